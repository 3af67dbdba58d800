//! Carries out a step of the rollout.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Controller, Memory};
use crate::api_error::ApiError;
use crate::cluster::Seen;
use crate::desired::names::ROUND;
use crate::desired::{Order, fetcher};
use crate::events::Reason;
use crate::metrics::RoundResult;
use crate::plan::PodName;
use crate::rollout::{News, Next, Record, Round, Step};

/// Pods that are made or deleted in one step.
const AT_ONCE: usize = 50;

impl Controller {
    pub(super) async fn roll(&self, next: Next, memory: &mut Memory) -> Result<(), ApiError> {
        memory.waiting = None;
        self.metrics.rollout(&next);
        if let Some(wake) = next.wake {
            let wait =
                Duration::try_from(wake.duration_since(Timestamp::now())).unwrap_or_default();
            // A clock that was set anew would else have a say in when that is.
            memory.pace.at(Instant::now() + wait.min(LONGEST_SLEEP));
        }
        let Some(step) = next.step else {
            return Ok(());
        };
        match step {
            Step::Record(record) => self.record(*record, memory).await?,
            Step::Delete(pods) => self.delete(&pods, memory).await?,
            Step::Fetch(orders) => self.fetch(&orders, memory).await?,
        }
        // There may be a next step.
        memory.pace.soon(Instant::now());
        Ok(())
    }

    async fn record(&self, record: Record, memory: &mut Memory) -> Result<(), ApiError> {
        let Seen::Present(live) = &memory.cluster.live else {
            return Ok(());
        };
        let Record {
            round,
            annotations,
            news,
        } = record;
        let mut all: BTreeMap<&str, String> = annotations;
        // A round is numbers and texts: it can always be written.
        all.insert(ROUND, serde_json::to_string(&round).unwrap_or_default());
        let (is_written, live) = self.writer.annotate(live, &all).await?;
        memory.cluster.live = Seen::Present(live);
        if is_written {
            self.tell_news(&round, news);
        }
        Ok(())
    }

    fn tell_news(&self, round: &Round, news: Vec<News>) {
        let kind = if round.refresh { "refresh" } else { "edit" };
        let number = round.number;
        let mut is_stopped = false;
        for item in news {
            match item {
                News::Began => info!(kind, number, "round begins"),
                News::Stopped { node, images } => {
                    is_stopped = true;
                    let images = images.join(", ");
                    warn!(
                        kind,
                        number, node, images, "round stopped at its first node"
                    );
                    let text = format!(
                        "round {number} ({kind}) stopped at its first node, {node}: nothing of what it was to bring can be had \
                         there ({images}); no other node was touched. It is tried again by itself"
                    );
                    self.notices.tell(Reason::RolloutStopped, images, text);
                }
                News::Left(node, ending) => {
                    let why = ending.as_str();
                    warn!(kind, number, node, why, "a node has left the round");
                    self.metrics.left(ending);
                    let text =
                        format!("node {node}: {} (round {number}, {kind})", ending.meaning());
                    self.notices.tell(Reason::NodeSkipped, why, text);
                }
                News::Ended { changed } => {
                    let result = match (is_stopped, round.unfinished.is_empty()) {
                        (true, _) => RoundResult::stopped,
                        (false, true) => RoundResult::done,
                        (false, false) => RoundResult::unfinished,
                    };
                    self.metrics.round_ended(kind, result);
                    let changed = changed.join(", ");
                    let unfinished = round.unfinished.values().sum::<u32>();
                    info!(kind, number, changed, unfinished, "round ended");
                    if !changed.is_empty() {
                        let text = format!("refreshed: {changed}");
                        self.notices.tell(Reason::ImagesRefreshed, "", text);
                    }
                }
            }
        }
    }

    async fn delete(&self, pods: &[PodName], memory: &mut Memory) -> Result<(), ApiError> {
        for pod in pods.iter().take(AT_ONCE) {
            self.health.turn();
            if !self.writer.delete_pod(pod).await? {
                // It has changed: the watch brings it, and the plan looks again.
                continue;
            }
            info!(pod = pod.name, "pod deleted");
            if let Some(facts) = memory.cluster.pods.get_mut(&pod.name) {
                facts.terminating = true;
            }
        }
        Ok(())
    }

    async fn fetch(&self, orders: &[Order], memory: &mut Memory) -> Result<(), ApiError> {
        let (Some(applied), Seen::Present(live)) = (&memory.applied, &memory.cluster.live) else {
            return Ok(());
        };
        let owner = match &memory.cluster.deployment {
            Seen::Present(deployment) if self.identity.is_owned() => Some(&deployment.owner),
            _ => None,
        };
        for order in orders.iter().take(AT_ONCE) {
            self.health.turn();
            let pod = fetcher(&applied.desired, &live.uid, owner, order);
            memory.unfetched = Some((order.node.clone(), None));
            let (name, facts) = self.writer.create_pod(&pod).await?;
            memory.unfetched = None;
            info!(
                pod = name,
                node = order.node,
                asks = order.ask.len(),
                "fetcher made"
            );
            memory.cluster.pods.insert(name, facts);
        }
        Ok(())
    }
}

/// The plan is looked at again after this time in any case.
const LONGEST_SLEEP: Duration = Duration::from_secs(60 * 60);
