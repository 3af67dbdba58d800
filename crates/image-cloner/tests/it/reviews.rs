//! The addresses, in the process: what the API server may send, and what it must not.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, Version, header};
use http_body_util::BodyExt as _;
use image_cloner::metrics::Metrics;
use image_cloner::secrets::Secrets;
use image_cloner::server::{App, router};
use image_cloner::service::Service;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::service::{client_of_nobody, service};

fn app() -> Router {
    app_of(service(&client_of_nobody(), "r.example"))
}

/// The addresses of this service, where there is no cluster.
pub(crate) fn app_of(service: Service) -> Router {
    app_while(true, service)
}

fn app_while(ready: bool, service: Service) -> Router {
    router(App {
        service: Arc::new(service),
        secrets: Arc::new(Secrets::none()),
        metrics: Metrics::default(),
        ready: tokio::sync::watch::channel(ready).1,
    })
}

async fn sent(method: &str, address: &str, body: impl Into<Body>) -> (StatusCode, Vec<u8>) {
    let request = Request::builder().method(method).uri(address);
    let request = request.body(body.into()).unwrap();
    let answer = app().oneshot(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap();
    (status, body.to_bytes().to_vec())
}

fn review(request: &Value) -> String {
    let mut all = json!({
        "uid": "u", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "namespace": "team", "operation": "CREATE",
    });
    for (key, value) in request.as_object().unwrap() {
        all[key] = value.clone();
    }
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": all})
        .to_string()
}

async fn answered(request: Value) -> Value {
    let (status, body) = sent("POST", "/clone-image?timeout=10s", review(&request)).await;
    assert_eq!(status, StatusCode::OK);
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["response"]["uid"], "u");
    answer["response"].clone()
}

#[tokio::test]
async fn readiness_is_told_in_two_letters() {
    let (status, body) = sent("GET", "/readyz", "").await;
    assert_eq!(
        (status, body.as_slice()),
        (StatusCode::OK, b"OK".as_slice())
    );
    let (status, _) = sent("GET", "/clone-image", "").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn each_answer_of_one_that_ends_is_the_last_of_its_connection() {
    for (ready, version, expected) in [
        (true, Version::HTTP_11, None),
        (false, Version::HTTP_11, Some("close")),
        (false, Version::HTTP_2, None),
    ] {
        let app = app_while(ready, service(&client_of_nobody(), "r.example"));
        let request = Request::get("/readyz").version(version);
        let answer = app
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let told = answer.headers().get(header::CONNECTION);
        let told = told.map(|it| it.to_str().unwrap());
        assert_eq!(told, expected, "ready: {ready}, {version:?}");
    }
}

#[tokio::test]
async fn what_is_no_review_is_a_bad_request() {
    for body in [
        "",
        "{",
        "null",
        "[]",
        "{}",
        r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}"#,
    ] {
        let (status, words) = sent("POST", "/clone-image", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(!words.is_empty());
    }
    let (status, _) = sent("POST", "/clone-image", vec![b' '; 9_000_000]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn what_has_no_image_to_copy_passes_as_it_is() {
    let left_alone = [
        json!({"operation": "DELETE", "oldObject": {"spec": {}}}),
        json!({"kind": {"group": "apps", "version": "v1", "kind": "Scale"}}),
        json!({"object": {"spec": {"containers": [{"name": "c", "image": ""}]}}}),
        json!({"object": {"spec": {"containers": [{"name": "c", "image": "auto"}]}}}),
        json!({"object": {"spec": {"containers": [{"name": "c", "image": "NOT AN IMAGE"}]}}}),
        json!({"object": {"spec": {"containers": [{"name": "c", "image": "r.example/backup/quay.io/app:1"}]}}}),
        json!({"object": null}),
        json!({"object": {"spec": {"containers": "many"}}}),
        json!({}),
    ];
    for request in left_alone {
        let response = answered(request.clone()).await;
        assert_eq!(response["allowed"], true, "{request}");
        assert!(
            response["patch"].is_null() && response["warnings"].is_null(),
            "{request}: {response}"
        );
    }
}
