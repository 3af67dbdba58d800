//! Requests that come all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use kip_e2e::lab::Space;
use kube::api::{Api, PostParams};
use tokio::task::JoinSet;

use crate::setup::{deployment, texts};

/// Requests of some clients, each of which creates a Deployment after the other, as a dry run.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
    clients: JoinSet<()>,
}

#[derive(Default)]
struct Counts {
    copies: AtomicUsize,
    /// Admitted as they came.
    unchanged: AtomicUsize,
    refused: AtomicUsize,
    slowest: AtomicUsize,
}

/// What came of the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) copies: usize,
    pub(crate) unchanged: usize,
    pub(crate) refused: usize,
    /// In milliseconds.
    pub(crate) slowest: usize,
}

/// Not as fast as they can: other tests run beside this one.
const PAUSE: Duration = Duration::from_millis(20);

impl Load {
    /// Begins, with an image whose copy is at a place.
    pub(crate) fn start(space: &Space, image: &str, place: &str, clients: usize) -> Self {
        let (stop, counts) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(Counts::default()),
        );
        let mut tasks = JoinSet::new();
        for client in 0..clients {
            let api: Api<Deployment> = space.api();
            let object = deployment(&format!("load-{client}"), image, 0);
            let object: Deployment = serde_json::from_value(object).expect("a Deployment");
            let place = format!("{place}@sha256:");
            let (stop, counts) = (stop.clone(), counts.clone());
            tasks.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    once(&api, &object, &place, &counts).await;
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
        Self {
            stop,
            counts,
            clients: tasks,
        }
    }

    /// So far.
    pub(crate) fn sum(&self) -> Sum {
        let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        let Counts {
            copies,
            unchanged,
            refused,
            slowest,
        } = &*self.counts;
        Sum {
            copies: of(copies),
            unchanged: of(unchanged),
            refused: of(refused),
            slowest: of(slowest),
        }
    }

    /// Ends. Gives what came of all of them.
    pub(crate) async fn end(mut self) -> Sum {
        self.stop.store(true, Ordering::Relaxed);
        while self.clients.join_next().await.is_some() {}
        self.sum()
    }
}

async fn once(api: &Api<Deployment>, object: &Deployment, place: &str, counts: &Counts) {
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let began = Instant::now();
    let made = api.create(&dry, object).await;
    let took = usize::try_from(began.elapsed().as_millis()).unwrap_or(usize::MAX);
    counts.slowest.fetch_max(took, Ordering::Relaxed);
    let which = match made {
        Err(error) => {
            eprintln!("refused: {error}");
            &counts.refused
        }
        Ok(made) => {
            let made = serde_json::to_value(&made).unwrap_or_default();
            let found = texts(&made, &["/spec/template/spec/containers/0/image"]);
            if found[0].starts_with(place) {
                &counts.copies
            } else {
                &counts.unchanged
            }
        }
    };
    which.fetch_add(1, Ordering::Relaxed);
}
