//! A way to a registry that lets nobody have a blob until it is opened. So it is with an image that is large, or far away.

use std::sync::Arc;

use anyhow::Result;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The way; it ends when this is dropped.
pub struct Turnstile {
    /// `HOST:PORT`
    pub address: String,
    state: watch::Sender<Passing>,
    serving: JoinHandle<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Passing {
    All,
    NoBlobs,
    Nobody,
}

struct Passage {
    registry: String,
    state: watch::Receiver<Passing>,
}

impl Turnstile {
    /// Stands before the registry at `HOST:PORT`, on the same host, and is closed.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn before(registry: &str) -> Result<Self> {
        let host = registry.split_once(':').map_or(registry, |(host, _)| host);
        let listener = TcpListener::bind((host, 0)).await?;
        let address = listener.local_addr()?.to_string();
        let (state, now) = watch::channel(Passing::NoBlobs);
        let passage = Arc::new(Passage {
            registry: registry.to_owned(),
            state: now,
        });
        let router = axum::Router::new().fallback(pass).with_state(passage);
        let serving = tokio::spawn(async move {
            // It ends with the test.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            address,
            state,
            serving,
        })
    }

    /// From now on everybody passes.
    pub fn open(&self) {
        self.state.send_replace(Passing::All);
    }

    /// From now on nobody has an answer: connections are taken, and nothing comes.
    pub fn fall_silent(&self) {
        self.state.send_replace(Passing::Nobody);
    }
}

impl Drop for Turnstile {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass(State(passage): State<Arc<Passage>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let is_blob = request.method() == Method::GET && path.contains("/blobs/");
    let passes = |state: &Passing| match state {
        Passing::All => true,
        Passing::NoBlobs => !is_blob,
        Passing::Nobody => false,
    };
    // Whoever waits for it has ended where this fails.
    let _ = passage.state.clone().wait_for(passes).await;
    let address = format!("http://{}{path}", passage.registry);
    let is_head = request.method() == Method::HEAD;
    let accept = request.headers().clone();
    let asked = tokio::task::spawn_blocking(move || ask(&address, is_head, &accept)).await;
    match asked {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

fn ask(address: &str, is_head: bool, headers: &HeaderMap) -> Result<Response> {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build();
    let agent = ureq::Agent::new_with_config(agent);
    let mut request = if is_head {
        agent.head(address)
    } else {
        agent.get(address)
    };
    for accept in headers.get_all(ACCEPT) {
        request = request.header(ACCEPT, accept);
    }
    let mut answer = request.call()?;
    let body = answer.body_mut().read_to_vec()?;
    let mut response = Response::builder().status(answer.status().as_u16());
    for (name, value) in answer.headers() {
        response = response.header(name, value);
    }
    Ok(response.body(Body::from(body))?)
}
