//! A way to the API server that a daemon passes for one write only: the API server does it, and the daemon never hears
//! of it. So it is for a process that is killed at the worst moment.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

/// The gate; it ends when this is dropped.
pub struct Gate {
    kubeconfig: PathBuf,
    writes: Mutex<mpsc::UnboundedReceiver<String>>,
    serving: JoinHandle<()>,
}

struct Passage {
    client: Client,
    written: mpsc::UnboundedSender<String>,
}

impl Gate {
    /// Opens it before the API server of this client.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn open(client: &Client) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let kubeconfig =
            std::env::temp_dir().join(format!("kip-e2e-{}-{port}.kubeconfig", std::process::id()));
        std::fs::write(&kubeconfig, config(port))?;
        let (written, writes) = mpsc::unbounded_channel();
        let passage = Arc::new(Passage {
            client: client.clone(),
            written,
        });
        let router = axum::Router::new().fallback(pass).with_state(passage);
        let serving = tokio::spawn(async move {
            // It ends with the test.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            kubeconfig,
            writes: Mutex::new(writes),
            serving,
        })
    }

    /// A kubeconfig that goes this way.
    pub fn kubeconfig(&self) -> &str {
        self.kubeconfig.to_str().unwrap_or_default()
    }

    /// Waits for the next write that the API server has done: method and path.
    ///
    /// # Errors
    /// When the gate is broken.
    pub async fn written(&self) -> Result<String> {
        let mut writes = self.writes.lock().await;
        writes.recv().await.context("the gate is broken")
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.serving.abort();
        // Best effort: a file in the folder for temporary ones.
        let _ = std::fs::remove_file(&self.kubeconfig);
    }
}

fn config(port: u16) -> String {
    serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "gate",
        "clusters": [{"name": "gate", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
        "users": [{"name": "gate", "user": {}}],
        "contexts": [{"name": "gate", "context": {"cluster": "gate", "user": "gate"}}],
    })
    .to_string()
}

async fn pass(State(passage): State<Arc<Passage>>, request: Request) -> Response {
    match forward(&passage, request).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

async fn forward(passage: &Passage, request: Request) -> Result<Response> {
    let (mut parts, body) = request.into_parts();
    parts.headers.remove(header::HOST);
    let path = parts.uri.path_and_query().context("no path")?.to_string();
    parts.uri = path.parse()?;
    // An apply at the start changes nothing where everything is as it should be: after a kill it comes first again.
    let is_apply = parts
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/apply-patch"));
    // Events are for people: nothing depends on them.
    let is_step = parts.method != Method::GET && !is_apply && !path.contains("/events");
    let write = format!("{} {path}", parts.method);
    let body = axum::body::to_bytes(body, usize::MAX).await?;
    let request = Request::from_parts(parts, kube::client::Body::from(body));
    let response = passage.client.send(request).await?;
    if is_step && response.status().is_success() {
        passage.written.send(write)?;
        // Until the connection is closed.
        std::future::pending::<()>().await;
    }
    Ok(response.map(Body::new))
}
