//! Programs that read an archive from their standard input.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::archive;
use crate::cache::Cache;
use crate::failure::{Status, failure};
use crate::image::Image;
use crate::interrupt::Interrupt;
use crate::whole_file::Interruptible;

/// Whether there is such a program on the `PATH`.
pub(super) fn is_here(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Runs `PROGRAM load`.
pub(super) fn load(
    program: &str,
    images: &[Image],
    cache: &Cache,
    interrupt: &Interrupt,
) -> Result<()> {
    let refused = |text: String| failure(Status::Sink, format!("{program} load: {text}"));
    let mut child = Command::new(program)
        .arg("load")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| refused(error.to_string()))?;
    let input = child.stdin.take().context("no standard input")?;
    // It may end before it has read all: what it says then is of more use than a broken pipe.
    let written = archive::write(
        std::io::BufWriter::with_capacity(1 << 20, Interruptible::new(input, interrupt)),
        images,
        cache,
    );
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(refused(format!("{}: {}", output.status, said.trim())));
    }
    written.map_err(|error| refused(format!("{error:#}")))
}
