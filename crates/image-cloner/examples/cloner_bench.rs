//! Measures a webhook that serves: how fast it answers, and how long one answer takes.
//!
//! ```text
//! cloner_bench ask  ADDRESS IMAGE                                 asks once, prints the seconds and what the image is now
//! cloner_bench load ADDRESS IMAGE CONNECTIONS SECONDS [A_SECOND]  asks all the time, or so often in a second; prints how many
//!                                                                 answers there were in a second, and the milliseconds of
//!                                                                 the half and of 99 in 100 of them
//! ```
//!
//! Each question is a new Deployment with this image.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::sync::Mutex;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["ask", address, image] => ask_once(address, image).await,
        ["load", address, image, connections, seconds] => {
            load(address, image, connections, seconds, None).await
        }
        ["load", address, image, connections, seconds, rate] => {
            load(address, image, connections, seconds, Some(rate)).await
        }
        _ => Err("see the head of examples/cloner_bench.rs".into()),
    };
    match done {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cloner_bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One that has a connection of its own, as long as it asks one question after the other.
fn client() -> Result<Client> {
    let builder = Client::builder()
        .no_proxy()
        .http1_only()
        .pool_max_idle_per_host(1);
    // Whose certificate it is does not matter for what is measured.
    Ok(builder.tls_danger_accept_invalid_certs(true).build()?)
}

fn review(image: &str) -> Vec<u8> {
    let container = json!({
        "name": "app", "image": image, "ports": [{"containerPort": 8080}], "terminationMessagePath": "/dev/termination-log",
        "env": [{"name": "A", "value": "b"}], "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
    });
    let spec = json!({
        "containers": [container], "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
    });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app", "namespace": "default"},
        "spec": {
            "replicas": 3, "selector": {"matchLabels": {"app": "app"}},
            "template": {"metadata": {"labels": {"app": "app"}}, "spec": spec},
        },
    });
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
            "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
            "name": "app", "namespace": "default", "operation": "CREATE", "userInfo": {"username": "admin"},
            "object": deployment, "oldObject": null, "dryRun": false,
        },
    })
    .to_string()
    .into_bytes()
}

/// What the image is replaced by.
async fn ask(client: &Client, address: &str, review: &[u8]) -> Result<String> {
    let request = client
        .post(address)
        .header("content-type", "application/json");
    let answer = request.body(review.to_vec()).send().await?;
    let answer: Value = serde_json::from_slice(&answer.bytes().await?)?;
    let patch = answer["response"]["patch"].as_str();
    let patch = patch.ok_or_else(|| format!("it is not rewritten: {answer}"))?;
    let patch: Value = serde_json::from_slice(&STANDARD.decode(patch)?)?;
    let changes = patch.as_array().into_iter().flatten();
    let image = changes
        .filter(|it| it["op"] == "replace")
        .find_map(|it| it["value"].as_str());
    Ok(image.ok_or("nothing is replaced")?.to_owned())
}

async fn ask_once(address: &str, image: &str) -> Result<String> {
    let client = client()?;
    let began = Instant::now();
    let copy = ask(&client, address, &review(image)).await?;
    Ok(format!("{:.3} {copy}", began.elapsed().as_secs_f64()))
}

async fn load(
    address: &str,
    image: &str,
    connections: &str,
    seconds: &str,
    rate: Option<&str>,
) -> Result<String> {
    let connections: u32 = connections.parse()?;
    let length = Duration::from_secs(seconds.parse()?);
    let pace = match rate {
        // Each connection has its share, and they begin one after the other.
        Some(rate) => Some(Duration::from_secs_f64(
            f64::from(connections) / rate.parse::<f64>()?,
        )),
        None => None,
    };
    let times = Arc::new(Mutex::new(Vec::new()));
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..connections {
        let (address, review, times) = (address.to_owned(), review(image), times.clone());
        tasks.spawn(async move {
            let client = client()?;
            // The connection is made before anything counts.
            ask(&client, &address, &review).await?;
            let mut own = Vec::new();
            let start = pace.map_or(Duration::ZERO, |pace| pace * number / connections);
            let mut due = Instant::now() + start;
            while began.elapsed() < length {
                if let Some(pace) = pace {
                    tokio::time::sleep_until(due.into()).await;
                    due += pace;
                }
                let asked = Instant::now();
                ask(&client, &address, &review).await?;
                own.push(asked.elapsed());
            }
            times.lock().await.extend(own);
            Result::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let took = began.elapsed().as_secs_f64();
    let mut times = std::mem::take(&mut *times.lock().await);
    times.sort_unstable();
    let at = |part: usize| {
        let index = (times.len() * part / 100).min(times.len().saturating_sub(1));
        times.get(index).map_or(0.0, |it| it.as_secs_f64() * 1000.0)
    };
    let count = u32::try_from(times.len())?;
    let per_second = f64::from(count) / took;
    Ok(format!(
        "{per_second:.0} {:.2} {:.2} {count}",
        at(50),
        at(99)
    ))
}
