//! A place that looks like an API server and counts who comes.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long a program that does talk to the cluster may take to begin.
const DEADLINE: Duration = Duration::from_secs(30);

/// Counts the connections to it; it answers none.
pub(crate) struct Listener {
    count: Arc<AtomicUsize>,
    came: Receiver<()>,
    kubeconfig: PathBuf,
}

impl Listener {
    /// Listens on a free port of this machine, and writes the kubeconfig that leads there.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let kubeconfig =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("kubeconfig-{port}"));
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
             clusters: [{{name: here, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\n\
             contexts: [{{name: here, context: {{cluster: here, user: me}}}}]\n\
             users: [{{name: me, user: {{}}}}]\n"
        );
        std::fs::write(&kubeconfig, text).expect("the kubeconfig can be written");
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let (came_tx, came) = channel();
        std::thread::spawn(move || {
            for _ in listener.incoming() {
                counter.fetch_add(1, Ordering::SeqCst);
                // The test may be over.
                let _ = came_tx.send(());
            }
        });
        Self {
            count,
            came,
            kubeconfig,
        }
    }

    /// The value of `KUBECONFIG`.
    pub(crate) fn kubeconfig(&self) -> String {
        self.kubeconfig.display().to_string()
    }

    /// How many came until now.
    pub(crate) fn connections(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Whether anybody came before the deadline.
    pub(crate) fn wait_for_connection(&self) -> bool {
        self.came.recv_timeout(DEADLINE).is_ok()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Left over in the build folder, it harms nobody.
        let _ = std::fs::remove_file(&self.kubeconfig);
    }
}
