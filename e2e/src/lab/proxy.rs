//! A way to the API server that can fall silent: connections stay open, and nothing comes any more. So it is when a
//! firewall or a load balancer forgets a connection. And one that can be cut, as by a load balancer that is restarted.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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
        Self::start_slow(u64::MAX).await
    }

    /// Starts one that lets so many bytes through in a second, on each connection, from the API server.
    ///
    /// # Errors
    /// As [`Proxy::start`].
    pub async fn start_slow(rate: u64) -> Result<Self> {
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
        let accepting = tokio::spawn(accept(listener, target, ended, rate));
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

async fn accept(listener: TcpListener, target: SocketAddr, ended: watch::Receiver<End>, rate: u64) {
    while let Ok((stream, _)) = listener.accept().await {
        let mut ended = ended.clone();
        ended.mark_unchanged();
        tokio::spawn(forward(stream, target, ended, rate));
    }
}

async fn forward(
    mut stream: TcpStream,
    target: SocketAddr,
    mut ended: watch::Receiver<End>,
    rate: u64,
) {
    let cuts = ended.borrow().cuts;
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    tokio::select! {
        // Either side closes, or fails: so does this.
        _ = copy(&mut stream, server, rate) => {}
        _ = ended.changed() => {
            if ended.borrow().cuts == cuts {
                // Holds both ends open, and reads nothing.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Forwards both ways until either ends.
async fn copy(stream: &mut TcpStream, mut server: TcpStream, rate: u64) -> std::io::Result<()> {
    let (mut from_client, mut to_client) = stream.split();
    let (mut from_server, mut to_server) = server.split();
    let down = async {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let size = from_server.read(&mut buffer).await?;
            if size == 0 {
                return to_client.shutdown().await;
            }
            to_client.write_all(&buffer[..size]).await?;
            let pause = Duration::from_nanos(size as u64 * 1_000_000_000 / rate);
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    };
    let up = async {
        tokio::io::copy(&mut from_client, &mut to_server).await?;
        to_server.shutdown().await
    };
    tokio::try_join!(down, up).map(|_| ())
}
