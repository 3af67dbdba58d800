//! What the tests of the built program share.

use std::process::{Command, Output};

/// The program with an environment that holds nothing but these variables.
pub(crate) fn program<'a>(
    arguments: &[&str],
    environment: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kip-daemon"));
    command.args(arguments).env_clear().envs(environment);
    command
}

/// Runs it to its end.
pub(crate) fn output<'a>(
    arguments: &[&str],
    environment: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Output {
    program(arguments, environment)
        .output()
        .expect("the program starts")
}

/// Standard output or standard error as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the program writes UTF-8")
}
