//! A `docker-registry` (Debian's package) as a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Long enough for a busy machine; a registry is up within a tenth of a second.
const DEADLINE: Duration = Duration::from_secs(30);

/// A registry that listens; it ends with the value.
pub(crate) struct Process {
    child: Child,
    /// `HOST:PORT`
    pub(crate) address: String,
}

impl Process {
    /// Starts it with this configuration, whose port is 0: the system chooses a free one, and the registry's log names it.
    pub(crate) fn serve(config: &Path) -> Self {
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry in PATH (Debian: apt-get install docker-registry)");
        let log = child.stderr.take().expect("standard error is piped");
        let address = listening_address(log).unwrap_or_else(|log| {
            // The child's end makes no difference to the report.
            let _ = child.kill();
            panic!("docker-registry did not listen within {DEADLINE:?}; it said:\n{log}")
        });
        Self { child, address }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Either fails only for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `HOST:PORT` from the registry's log, or all of the log. The log is read to its end, so that the registry never waits
/// for a reader.
fn listening_address(log: impl Read + Send + 'static) -> Result<String, String> {
    let (line_tx, line_rx) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            // Nobody listens after the address is known.
            let _ = line_tx.send(line);
        }
    });
    let mut seen = String::new();
    while let Ok(line) = line_rx.recv_timeout(DEADLINE) {
        if let Some((_, rest)) = line.split_once("listening on ") {
            let address = rest.split(['"', ' ', ',']).next().unwrap_or_default();
            return Ok(address.to_owned());
        }
        seen.push_str(&line);
        seen.push('\n');
    }
    Err(seen)
}
