//! The agent of `kubectl pull-image`. See the library.

fn main() {}
