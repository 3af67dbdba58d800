//! A way to the API server that can fall silent: connections stay open, and nothing comes any more. So it is when a
//! firewall or a load balancer forgets a connection. And one that can be cut, as by a load balancer that is restarted.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The proxy; it ends when this is dropped.
pub struct Proxy {
    ends: watch::Sender<End>,
    kubeconfig: PathBuf,
    accepting: tokio::task::JoinHandle<()>,
}

/// How often each has come to the connections that were open.
#[derive(Default)]
struct End {
    silences: u64,
    cuts: u64,
}

impl Proxy {
    /// Starts it before the API server of `KUBECONFIG`.
    ///
    /// # Errors
    /// When the kubeconfig is not one of hack/local-cluster.sh.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let text = std::fs::read_to_string(std::env::var("KUBECONFIG")?)?;
        let line = text
            .lines()
            .find(|line| line.contains("server: https://"))
            .context("no server in KUBECONFIG")?;
        let (indent, address) = line.split_once("server: https://").context("no server")?;
        let target: SocketAddr = address.trim().parse()?;
        let proxied = format!(
            "{indent}server: https://127.0.0.1:{port}\n{indent}tls-server-name: {}",
            target.ip()
        );
        let kubeconfig =
            std::env::temp_dir().join(format!("kip-e2e-{}-{port}.kubeconfig", std::process::id()));
        std::fs::write(&kubeconfig, text.replace(line, &proxied))?;
        let (ends, ended) = watch::channel(End::default());
        let accepting = tokio::spawn(accept(listener, target, ended));
        Ok(Self {
            ends,
            kubeconfig,
            accepting,
        })
    }

    /// A kubeconfig that goes this way.
    pub fn kubeconfig(&self) -> &str {
        self.kubeconfig.to_str().unwrap_or_default()
    }

    /// Silences every connection that is open now; later ones work.
    pub fn silence(&self) {
        self.ends.send_modify(|end| end.silences += 1);
    }

    /// Cuts every connection that is open now; later ones work.
    pub fn cut(&self) {
        self.ends.send_modify(|end| end.cuts += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        // Best effort: a file in the folder for temporary ones.
        let _ = std::fs::remove_file(&self.kubeconfig);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, ended: watch::Receiver<End>) {
    while let Ok((stream, _)) = listener.accept().await {
        let mut ended = ended.clone();
        ended.mark_unchanged();
        tokio::spawn(forward(stream, target, ended));
    }
}

async fn forward(mut stream: TcpStream, target: SocketAddr, mut ended: watch::Receiver<End>) {
    let cuts = ended.borrow().cuts;
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    tokio::select! {
        // Either side closes, or fails: so does this.
        _ = copy_bidirectional(&mut stream, &mut server) => {}
        _ = ended.changed() => {
            if ended.borrow().cuts == cuts {
                // Holds both ends open, and reads nothing.
                std::future::pending::<()>().await;
            }
        }
    }
}
