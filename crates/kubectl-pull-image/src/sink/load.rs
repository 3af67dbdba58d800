//! Programs that read an archive from their standard input.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};

use crate::archive;
use crate::cache::Cache;
use crate::failure::{Status, failure};
use crate::image::Image;
use crate::interrupt::Interrupt;
use crate::whole_file::Interruptible;

/// How much is kept of what a program says, in bytes.
const MAX_SAID: usize = 64 << 10;

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
    // Whoever writes much before he reads would wait for us for ever, and we for him.
    let said = drain(child.stderr.take());
    let rest = drain(child.stdout.take());
    // It may end before it has read all: what it says then is of more use than a broken pipe.
    let written = archive::write(
        std::io::BufWriter::with_capacity(1 << 20, Interruptible::new(input, interrupt)),
        images,
        cache,
    );
    if interrupt.is_set() {
        let _ = child.kill();
    }
    let status = child.wait()?;
    let _ = rest.join();
    if !status.success() {
        let said = said.join().unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        return Err(refused(format!("{status}: {}", said.trim())));
    }
    written.map_err(|error| refused(format!("{error:#}")))
}

/// Reads what a program says, and keeps the begin.
fn drain(stream: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let mut buffer = [0; 4096];
        let mut stream = stream;
        while let Some(Ok(size @ 1..)) = stream.as_mut().map(|it| it.read(&mut buffer)) {
            if kept.len() < MAX_SAID {
                kept.extend_from_slice(&buffer[..size]);
            }
        }
        kept
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::failure::status;

    /// A program that does this.
    fn program(folder: &tempfile::TempDir, script: &str) -> String {
        let path = folder.path().join("loader");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    #[test]
    fn who_says_much_before_he_reads_holds_up_nothing_and_his_words_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&folder.path().join("cache"), || ()).unwrap();
        let interrupt = Interrupt::default();
        let talk = "head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero; cat >/dev/null";
        load(&program(&folder, talk), &[], &cache, &interrupt).unwrap();
        let refusal = program(&folder, "echo no room >&2; exit 3");
        let error = load(&refusal, &[], &cache, &interrupt).unwrap_err();
        assert_eq!(status(&error), Status::Sink);
        assert!(error.to_string().contains("no room"), "{error}");
    }
}
