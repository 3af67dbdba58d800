//! The HTTP port: `/livez`, `/readyz`, `/status`, `/metrics`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::metrics;

/// What the probes ask for; clones share it.
#[derive(Debug, Clone)]
pub struct Health {
    /// Why the daemon is not ready; `None` when it is.
    unready: watch::Sender<Option<String>>,
    /// Where things stand, as JSON.
    page: watch::Sender<String>,
    started: Instant,
    /// When the controller's loop last turned, in milliseconds after `started`.
    turned: Arc<AtomicU64>,
}

/// The loop turns at least every [`HEARTBEAT`]; each of its steps is bounded in time, some ten seconds each.
const STUCK: Duration = Duration::from_secs(120);
/// How often the controller's loop turns with nothing to do.
pub const HEARTBEAT: Duration = Duration::from_secs(20);

impl Health {
    /// Alive, and not ready for this reason.
    pub fn new(unready: &str) -> Self {
        Self {
            unready: watch::Sender::new(Some(unready.to_owned())),
            page: watch::Sender::new("{}".to_owned()),
            started: Instant::now(),
            turned: Arc::default(),
        }
    }

    /// A valid configuration has been applied.
    pub fn ready(&self) {
        self.unready.send_replace(None);
    }

    /// No valid configuration has been applied yet, for this reason.
    pub fn unready(&self, why: String) {
        self.unready.send_replace(Some(why));
    }

    /// Where things stand now, as JSON.
    pub fn show(&self, page: String) {
        self.page.send_replace(page);
    }

    /// The controller's loop turns.
    pub fn turn(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.turned.store(now, Ordering::Relaxed);
    }

    fn is_stuck(&self) -> bool {
        let turned = Duration::from_millis(self.turned.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(turned) > STUCK
    }
}

/// Serves, as a task that does not end by itself.
///
/// # Errors
/// The operating system's; `axum` knows none today.
pub async fn serve(listener: TcpListener, health: Health, registry: Registry) -> io::Result<()> {
    axum::serve(listener, router(health, Arc::new(registry))).await
}

fn router(health: Health, registry: Arc<Registry>) -> Router {
    let (alive, shown) = (health.clone(), health.clone());
    Router::new()
        .route("/livez", get(async move || livez(&alive)))
        .route("/readyz", get(async move || readyz(&health)))
        .route("/status", get(async move || page(&shown)))
        .route("/metrics", get(async move || scrape(&registry)))
}

fn livez(health: &Health) -> impl IntoResponse + use<> {
    if health.is_stuck() {
        (StatusCode::SERVICE_UNAVAILABLE, "the controller is stuck\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

fn readyz(health: &Health) -> impl IntoResponse + use<> {
    match &*health.unready.borrow() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(why) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {why}\n"),
        ),
    }
}

fn page(health: &Health) -> impl IntoResponse + use<> {
    let page = health.page.borrow().clone();
    ([(header::CONTENT_TYPE, "application/json")], page)
}

fn scrape(registry: &Registry) -> impl IntoResponse + use<> {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    (
        [(header::CONTENT_TYPE, OPEN_METRICS)],
        metrics::text(registry),
    )
}
