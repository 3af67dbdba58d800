//! The edge of a program of this workspace, the same for each: what it is told by the environment, what it prints, how it logs,
//! the port that it opens, and when it is to end.

pub mod logging;
pub mod output;
pub mod process;
pub mod settings;
