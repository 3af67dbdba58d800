//! Carries out a step of the rollout.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;
use tracing::{debug, info};

use super::missing::refusal;
use super::{Controller, Memory};
use crate::api_error::{ApiError, Category, Pauses};
use crate::cluster::{Duty, PodFacts, Seen};
use crate::desired::names::ROUND;
use crate::desired::{Order, Requests, fetcher};
use crate::plan::PodName;
use crate::rollout::{Acts, Next, Record, Step, Swap};
use crate::trouble::Trouble;

/// Pods that are made or deleted in one step.
const AT_ONCE: usize = 50;

/// What is remembered of the steps that could not be carried out.
///
/// The rollout has pauses of its own: a fetcher that is refused must not put off the healing of the `DaemonSet`.
#[derive(Debug, Default)]
pub(super) struct Rolling {
    pauses: Pauses,
    not_before: Option<Instant>,
    /// The node whose fetcher was refused, and why.
    pub(super) unfetched: Option<(String, Option<Trouble>)>,
    /// Names of the fetchers that were made in this round.
    made: HashSet<String>,
    round: u64,
}

impl Rolling {
    /// A new configuration may mend what was refused.
    pub(super) fn at_once(&mut self) {
        self.pauses.reset();
        self.not_before = None;
    }

    /// No further step before a pause is over, after this error. Gives back the pause.
    pub(super) fn pause_after(&mut self, error: &ApiError, now: Instant) -> Duration {
        let category = match error {
            // A webhook that hangs, most likely: each further try takes the time that healing may need.
            ApiError::TimedOut => Category::Refused,
            error => error.category(),
        };
        self.pause(category, now)
    }

    fn pause(&mut self, category: Category, now: Instant) -> Duration {
        let pause = self.pauses.after(category);
        self.not_before = Some(now + pause);
        pause
    }

    /// The fetcher that was to be made, where it was a step of the rollout that failed: during the rollout's pause other
    /// steps are carried out, and may fail as well.
    pub(super) fn refused(&mut self, is_rolling: bool) -> Option<&mut (String, Option<Trouble>)> {
        self.unfetched.as_mut().filter(|_| is_rolling)
    }

    /// Whether this process has made a fetcher of this name in this round before.
    fn is_made_again(&mut self, round: u64, name: &str) -> bool {
        if self.round != round {
            self.round = round;
            self.made.clear();
        }
        !self.made.insert(name.to_owned())
    }

    /// When the pause ends, if there is one.
    fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.not_before.filter(|not_before| *not_before > now)
    }
}

/// What has become of a step.
#[derive(Debug, Default)]
struct Done {
    /// Whether something is otherwise than before.
    has_moved: bool,
    /// What was refused last.
    refusal: Option<ApiError>,
}

impl Done {
    /// Takes in what has become of a part of it. Any error that is no refusal ends the step.
    fn note(&mut self, outcome: Result<bool, ApiError>) -> Result<(), ApiError> {
        match outcome {
            Ok(has_moved) => self.has_moved |= has_moved,
            Err(error) if error.category().is_refusal() => self.refusal = Some(error),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Controller {
    pub(super) async fn roll(&self, next: Next, memory: &mut Memory) -> Result<(), ApiError> {
        memory.waiting = None;
        memory.figures = next.figures();
        self.metrics.rollout(memory.figures_of_all());
        if let Some(wake) = next.wake {
            let wait =
                Duration::try_from(wake.duration_since(Timestamp::now())).unwrap_or_default();
            // A clock that was set anew would else have a say in when that is.
            memory.pace.at(Instant::now() + wait.min(LONGEST_SLEEP));
        }
        let Some(step) = next.step else {
            memory.rolling.unfetched = None;
            return Ok(());
        };
        if let Some(until) = memory.rolling.paused_until(Instant::now()) {
            memory.pace.at(until);
            return Ok(());
        }
        memory.rolling.unfetched = None;
        let done = match step {
            Step::Record(record) => Done {
                has_moved: self.record(*record, memory).await?,
                refusal: None,
            },
            Step::Act(acts) => self.carry_out(&acts, memory).await?,
            Step::Ask(question) => {
                self.ask(question, memory);
                return Ok(());
            }
        };
        // There may be a next step.
        let now = Instant::now();
        if done.has_moved {
            memory.rolling.at_once();
            memory.pace.soon(now);
        } else if done.refusal.is_none() {
            // Something has changed that the watch has not brought yet, or somebody undoes what was done.
            let pause = memory.rolling.pause(Category::Conflict, now);
            memory.pace.at(now + pause);
        }
        done.refusal.map_or(Ok(()), Err)
    }

    /// Whether it was written.
    async fn record(&self, record: Record, memory: &mut Memory) -> Result<bool, ApiError> {
        let Seen::Present(live) = &memory.cluster.live else {
            return Ok(false);
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
        let is_kept = all
            .iter()
            .all(|(key, value)| live.annotations.get(*key) == Some(value));
        memory.cluster.live = Seen::Present(live);
        if is_written && !is_kept {
            return Err(ApiError::NotKept("the DaemonSet's annotations"));
        }
        if is_written {
            self.tell_news(&round, news);
        }
        Ok(is_written)
    }

    /// Whether something was done, and the last refusal: one pod that must not go, or a node's fetcher that must not come,
    /// holds up no other.
    async fn carry_out(&self, acts: &Acts, memory: &mut Memory) -> Result<Done, ApiError> {
        let mut done = Done::default();
        for pod in acts.gone.iter().take(AT_ONCE) {
            done.note(self.delete(pod, memory).await)?;
        }
        for swap in acts.swaps.iter().take(AT_ONCE) {
            done.note(self.swap(swap, memory).await)?;
        }
        for order in acts.orders.iter().take(AT_ONCE) {
            let outcome = self.fetch(order, memory).await;
            let is_of_all = outcome.as_ref().is_err_and(|error| !is_of_one_pod(error));
            done.note(outcome)?;
            if is_of_all {
                break;
            }
        }
        Ok(done)
    }

    /// Whether it was deleted.
    async fn delete(&self, pod: &PodName, memory: &mut Memory) -> Result<bool, ApiError> {
        self.health.turn();
        if !self.writer.delete_pod(pod).await? {
            // It has changed: the watch brings it, and the plan looks again.
            return Ok(false);
        }
        info!(pod = pod.name, "pod deleted");
        if let Some(facts) = memory.cluster.pods.get_mut(&pod.name) {
            facts.terminating = true;
        }
        Ok(true)
    }

    /// Whether the pod was deleted for what its fetcher holds.
    async fn swap(&self, swap: &Swap, memory: &mut Memory) -> Result<bool, ApiError> {
        self.health.turn();
        // A watch may be behind by a minute, and the fetcher gone by now.
        if !self.writer.is_as_seen(&swap.fetcher).await? {
            debug!(pod = swap.fetcher.name, "the fetcher has changed");
            return Ok(false);
        }
        self.delete(&swap.holder, memory).await
    }

    /// Whether it was made, and had not been before: one that somebody deletes as soon as it is there is made again after a
    /// pause.
    async fn fetch(&self, order: &Order, memory: &mut Memory) -> Result<bool, ApiError> {
        let (Some(applied), Seen::Present(live)) = (&memory.applied, &memory.cluster.live) else {
            return Ok(false);
        };
        let owner = match &memory.cluster.deployment {
            Seen::Present(deployment) if self.identity.is_owned() => Some(&deployment.owner),
            _ => None,
        };
        self.health.turn();
        let pod = |requests| fetcher(&applied.desired, &live.uid, owner, order, requests);
        let made = self
            .make(pod(Requests::Nothing), || pod(Requests::AsTemplate))
            .await;
        let made = made.and_then(|(name, facts)| {
            let is_kept = is_for(&facts, order, &live.uid);
            let changed = ApiError::NotKept("a fetcher's labels or annotations");
            is_kept.then_some((name, facts)).ok_or(changed)
        });
        let cluster = &mut memory.cluster;
        match made {
            Ok((name, facts)) => {
                let (node, asks) = (&order.node, order.ask.len());
                info!(pod = name, node, asks, "fetcher made");
                let is_again = memory.rolling.is_made_again(order.round, &name);
                cluster.refused_nodes.remove(&order.node);
                cluster.pods.insert(name, facts);
                Ok(!is_again)
            }
            Err(error) => {
                memory.rolling.unfetched = Some((order.node.clone(), None));
                cluster.refused_nodes.insert(order.node.clone());
                Err(error)
            }
        }
    }

    /// Makes the pod, or the other one where a `LimitRange` wants it to request something.
    async fn make(
        &self,
        pod: Pod,
        other: impl Fn() -> Pod,
    ) -> Result<(String, PodFacts), ApiError> {
        let made = self.writer.create_pod(&pod).await;
        match made.as_ref().err().and_then(refusal) {
            Some((Trouble::LimitRange, _)) => self.writer.create_pod(&other()).await,
            _ => made,
        }
    }
}

/// Whether the next pod may be taken although this one was not: where a policy looks at the pod itself.
fn is_of_one_pod(error: &ApiError) -> bool {
    refusal(error).is_some_and(|(trouble, _)| trouble == Trouble::Admission)
}

/// Whether the pod will be taken for the fetcher of the order: one that is not would be made again and again.
fn is_for(pod: &PodFacts, order: &Order, holder_uid: &str) -> bool {
    let duty = Duty::Fetch {
        round: order.round,
        holder: holder_uid.to_owned(),
    };
    pod.duty == duty && pod.node == order.node
}

/// The plan is looked at again after this time in any case.
const LONGEST_SLEEP: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_something_else_is_not_told_as_one_of_a_fetcher() {
        let mut rolling = Rolling {
            unfetched: Some(("node".to_owned(), None)),
            ..Rolling::default()
        };
        assert!(rolling.refused(true).is_some());
        assert!(rolling.refused(false).is_none());
    }

    #[test]
    fn a_fetcher_is_made_again_where_this_round_has_made_it_before() {
        let mut rolling = Rolling::default();
        let made = [(1, "a"), (1, "b"), (1, "a"), (2, "a"), (2, "a")];
        let again = made.map(|(round, name)| rolling.is_made_again(round, name));
        assert_eq!(again, [false, false, true, false, true]);
    }
}
