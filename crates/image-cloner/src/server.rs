//! The webhook's addresses: `POST /clone-image` and `GET /readyz`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, Request as HttpRequest, State};
use axum::http::{HeaderValue, StatusCode, Version, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use crate::metrics::{self, Answered, Metrics};
use crate::review::{self, Answer, Asked};
use crate::secrets::Secrets;
use crate::service::Service;
use crate::words;

/// A request has the object twice at most, each no larger than etcd takes, and little else.
const BODY: usize = 8 * 1024 * 1024;
/// Most are far smaller. Those that are not, or do not say it, are taken a few at a time: anybody on the cluster's network
/// can send some, and memory has its limit.
const LARGE: usize = 512 * 1024;
const LARGE_AT_ONCE: usize = 8;
/// A request is read in so long.
const READING: Duration = Duration::from_secs(10);
/// How long the API server waits where it does not say: its default.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that the API allows.
const LONGEST: Duration = Duration::from_secs(30);
/// So much earlier the answer is on its way.
const MARGIN: Duration = Duration::from_secs(1);

/// What the addresses need.
#[derive(Clone)]
pub struct App {
    /// Answers.
    pub service: Arc<Service>,
    /// Reads pull secrets.
    pub secrets: Arc<Secrets>,
    /// Whether requests are welcome.
    pub ready: watch::Receiver<bool>,
    /// Counts.
    pub metrics: Metrics,
}

/// All addresses. Once requests are welcome no longer, each answer is the last one of its connection: the API server speaks
/// HTTP/1.1 to webhooks and keeps connections, and cannot repeat a request that meets the end of one.
pub fn router(app: App) -> Router {
    let ready = app.ready.clone();
    let large = Arc::new(Semaphore::new(LARGE_AT_ONCE));
    let clone_image = async move |query: RawQuery, request: HttpRequest| {
        // Held until the answer is there: so long the object is in memory. It is never closed.
        let began = Instant::now();
        let mut place = None;
        if is_large(&request) {
            let Ok(found) = timeout(READING, large.acquire()).await else {
                return (StatusCode::TOO_MANY_REQUESTS, "too many large requests\n")
                    .into_response();
            };
            place = Some(found);
        }
        let _place = place;
        let body = timeout(READING, axum::body::to_bytes(request.into_body(), BODY)).await;
        let body = body.map_err(|_| "it does not come to its end".to_owned());
        match body.and_then(|body| body.map_err(|error| words::of(&error))) {
            Ok(body) => clone_image(&app, query, &body, began).await,
            Err(words) => {
                warn!(words, "a request cannot be read");
                app.metrics.answered(Answered::Malformed, Duration::ZERO);
                (StatusCode::PAYLOAD_TOO_LARGE, format!("{words}\n")).into_response()
            }
        }
    };
    let ending = ready.clone();
    Router::new()
        .route("/clone-image", post(clone_image))
        .route("/readyz", get(async move || readiness(&ready)))
        .layer(from_fn_with_state(ending, last_of_its_connection))
}

async fn last_of_its_connection(
    State(ready): State<watch::Receiver<bool>>,
    request: HttpRequest,
    next: Next,
) -> Response {
    // Another version has other means.
    let keeps = request.version() <= Version::HTTP_11;
    let mut response = next.run(request).await;
    if keeps && !*ready.borrow() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

fn is_large(request: &HttpRequest) -> bool {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
    length.is_none_or(|length| length > LARGE)
}

/// Serves probes and metrics, without TLS, until it is dropped.
///
/// # Errors
/// The operating system's.
pub async fn probes(
    listener: TcpListener,
    ready: watch::Receiver<bool>,
    registry: Registry,
) -> anyhow::Result<()> {
    let registry = Arc::new(registry);
    let metrics = async move || {
        let kind = [(header::CONTENT_TYPE, metrics::CONTENT_TYPE)];
        (kind, metrics::text(&registry))
    };
    let router = Router::new()
        .route("/livez", get(async || "OK"))
        .route("/metrics", get(metrics))
        .route("/readyz", get(async move || readiness(&ready)));
    Ok(axum::serve(listener, router).await?)
}

fn readiness(ready: &watch::Receiver<bool>) -> Response {
    if *ready.borrow() {
        "OK".into_response()
    } else {
        let why = "no requests are taken: it is starting or ending\n";
        (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
    }
}

async fn clone_image(
    app: &App,
    RawQuery(query): RawQuery,
    body: &[u8],
    began: Instant,
) -> Response {
    let deadline = began + time_of(query.as_deref());
    let asked = match review::read(body) {
        Ok(asked) => asked,
        Err(error) => {
            let words = words::of(&error);
            warn!(words, "a request is no review");
            app.metrics.answered(Answered::Malformed, began.elapsed());
            return (StatusCode::BAD_REQUEST, format!("{words}\n")).into_response();
        }
    };
    let secrets = app.secrets.of(&asked.request);
    let answer = app.service.answer(&asked, secrets, deadline).await;
    tell(&asked, &answer);
    count(&app.metrics, &answer, began.elapsed());
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, asked.answered(&answer)).into_response()
}

/// How long the answer may take. The API server says how long it waits, as `timeout=10s`.
fn time_of(query: Option<&str>) -> Duration {
    let mut parameters = query.unwrap_or_default().split('&');
    let given = parameters.find_map(|it| it.strip_prefix("timeout="));
    let nanoseconds = given.and_then(|text| kip_sleep::duration::parse(text.as_bytes()).ok());
    let given = nanoseconds.and_then(|it| u64::try_from(it).ok());
    let given = given.map_or(TIMEOUT, Duration::from_nanos).min(LONGEST);
    // Of a second that is all there is, a half is left.
    given.saturating_sub(MARGIN).max(given / 2)
}

fn count(metrics: &Metrics, answer: &Answer, after: Duration) {
    let how = if answer.refusal.is_some() {
        Answered::Denied
    } else if answer.changes.is_empty() {
        Answered::Unchanged
    } else {
        Answered::Changed
    };
    metrics.answered(how, after);
    for outcome in &answer.outcomes {
        metrics.image(outcome);
    }
    if let Some(reason) = answer.left_alone {
        metrics.left_alone(reason);
    }
}

fn tell(asked: &Asked, answer: &Answer) {
    let request = &asked.request;
    let (kind, namespace, name) = (&request.kind.kind, &request.namespace, &request.name);
    let told: Vec<String> = answer
        .annotations
        .iter()
        .map(|(key, text)| format!("{key}: {text}"))
        .collect();
    let detail = told.join("; ");
    let refused = answer.refusal.is_some();
    // Most requests change nothing that matters here.
    let is_news = refused || !answer.changes.is_empty() || !answer.warnings.is_empty();
    if is_news {
        info!(kind, namespace, name, refused, detail, "answered");
    } else {
        debug!(kind, namespace, name, detail, "answered");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_takes_a_second_less_than_the_api_server_waits() {
        let seconds = |query| time_of(query).as_secs_f64();
        let cases = [
            (None, 9.0),
            (Some(""), 9.0),
            (Some("timeout=30s"), 29.0),
            (Some("a=b&timeout=2s"), 1.0),
            (Some("timeout=1s"), 0.5),
            (Some("timeout=1m0s"), 29.0),
            (Some("timeout=-1s"), 9.0),
            (Some("timeout=soon"), 9.0),
        ];
        for (query, expected) in cases {
            let found = seconds(query);
            assert!((found - expected).abs() < 1e-9, "{query:?}: {found}");
        }
    }
}
