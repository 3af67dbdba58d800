//! What the pod does between requests: it lasts while somebody asks, and ends on its own when nobody does any more.

use std::path::Path;
use std::time::{Duration, Instant};

/// Waits until no other program has been in the container for this long. Kubernetes starts one for each connection of a
/// client, and ends it with the connection, so that a client that was killed leaves nothing behind.
pub fn until_idle(patience: Duration) {
    let mut last = Instant::now();
    while last.elapsed() < patience {
        std::thread::sleep(Duration::from_millis(500));
        if others(Path::new("/proc"), std::process::id()) {
            last = Instant::now();
        }
    }
}

/// Whether there is a process beside this one. Where that cannot be known, there is.
fn others(proc: &Path, own: u32) -> bool {
    let Ok(entries) = std::fs::read_dir(proc) else {
        return true;
    };
    let ids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.into_iter().any(|id| id != own)
}

#[cfg(test)]
mod tests {
    use super::others;

    #[test]
    fn another_process_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str| std::fs::create_dir(folder.path().join(name)).unwrap();
        make("1");
        make("sys");
        assert!(!others(folder.path(), 1));
        make("17");
        assert!(others(folder.path(), 1));
    }
}
