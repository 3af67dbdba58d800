//! The loop: observations in, a plan, one step of it, again. The only place that knows all the parts.

mod adopting;
mod applying;
mod asking;
mod configuring;
mod ending;
mod finding;
mod lasting;
mod main;
mod missing;
mod news;
mod part;
mod rolling;
mod summing;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use crate::api_error::{ApiError, Pauses, advice};
use crate::apply::Writer;
use crate::architecture::Architecture;
use crate::cluster::{Cluster, DeploymentFacts, Seen};
use crate::config::startup::Identity;
use crate::desired::Flavour;
use crate::events::{Notices, Reason};
use crate::known::Known;
use crate::metrics::{ApplyResult, Metrics};
use crate::observe::Observation;
use crate::pace::{Pace, at};
use crate::parts::Report;
use crate::plan::{Applied, Plan, Why, plan};
use crate::report::Reporter;
use crate::rollout::Figures;
use crate::server::{HEARTBEAT, Health};
use crate::source::ConfigSource;
use crate::status::Status;
use crate::trouble::Trouble;

pub use self::finding::find_parts;
pub use self::main::Main;
use self::missing::{Missing, refusal};
pub use self::part::Link;
use self::rolling::Rolling;

/// Everything that the loop works with.
pub struct Controller {
    /// Who the daemon is.
    pub identity: Identity,
    /// The configuration in force, and where the next one comes from.
    pub source: ConfigSource,
    /// Writes to the cluster.
    pub writer: Writer,
    /// Tells people.
    pub notices: Notices,
    /// Counts.
    pub metrics: Metrics,
    /// What the probes ask for.
    pub health: Health,
    /// Which of the `DaemonSet`s it keeps.
    pub role: Role,
}

/// Which of the daemon's `DaemonSet`s a controller keeps.
pub enum Role {
    /// The main one: this controller follows the settings, asks registries, and has the parts.
    Main(Box<Main>),
    /// That of a part: this one does as the main controller says.
    Part(Link),
}

/// What the loop remembers from one step to the next.
struct Memory {
    cluster: Cluster,
    applied: Option<Applied>,
    /// The uid of the object that this process applied last. From the first on the daemon is ready.
    ours: Option<String>,
    pace: Pace,
    pauses: Pauses,
    waiting: Option<(Why, Instant)>,
    /// A Deployment that has the name of our own and another uid, and since when.
    rival: Option<(DeploymentFacts, Instant)>,
    reporter: Reporter,
    status: Status,
    /// With the parts.
    total: Status,
    figures: Figures,
    reports: BTreeMap<Architecture, Report>,
    status_due: Option<Instant>,
    missing: Missing,
    /// What registries have said.
    known: Known,
    /// What of it was written last, and to which `DaemonSet`.
    written_sum: Option<(String, String)>,
    rolling: Rolling,
    /// What was applied last, also by a configuration that is not in force any more.
    last: Option<DaemonSet>,
    /// When to look at what lasts; nothing that happens in between puts it off.
    look_at: Instant,
    remind_at: Instant,
}

/// Pods report often while they start; where things stand is summed up no more often than this.
const STATUS_GAP: Duration = Duration::from_millis(500);

impl Controller {
    /// Runs until `stop` ends, or for ever. Errors of the API server never end it.
    pub async fn run(
        mut self,
        mut seen: mpsc::Receiver<Observation>,
        stop: impl Future<Output = ()>,
    ) {
        let now = Instant::now();
        let mut memory = Memory {
            cluster: Cluster {
                placement: self.role.placement(),
                ..Cluster::default()
            },
            applied: None,
            ours: None,
            pace: Pace::default(),
            pauses: Pauses::default(),
            waiting: None,
            rival: None,
            reporter: Reporter::new(self.metrics.clone(), self.notices.clone()),
            status: Status::default(),
            total: Status::default(),
            figures: Figures::default(),
            reports: BTreeMap::new(),
            status_due: None,
            missing: Missing::default(),
            known: Known::default(),
            written_sum: None,
            rolling: Rolling::default(),
            last: None,
            look_at: now + HEARTBEAT,
            remind_at: now,
        };
        let mut stop = std::pin::pin!(stop);
        self.take_up_config(&mut memory).await;
        loop {
            self.health.turn();
            let due = memory.pace.due();
            let status_due = memory.status_due;
            let look_at = memory.look_at;
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = at(due), if due.is_some() => tokio::select! {
                    biased;
                    // What is cut off here is done again by the next daemon: every step may be repeated.
                    () = &mut stop => break,
                    () = self.act(&mut memory) => {}
                },
                () = at(status_due), if status_due.is_some() => self.sum_up(&mut memory),
                () = sleep_until(look_at) => tokio::select! {
                    biased;
                    () = &mut stop => break,
                    () = self.look_at_what_lasts(&mut memory) => {}
                },
                // Last: what is due must not wait for an end of what is seen.
                Some(observation) = seen.recv() => self.absorb(observation, &mut memory).await,
            }
        }
        self.end(&memory).await;
    }

    /// Takes an observation into the facts.
    async fn absorb(&mut self, observation: Observation, memory: &mut Memory) {
        let now = Instant::now();
        let cluster = &mut memory.cluster;
        match observation {
            Observation::ConfigMap(data) => {
                let verdict = self.source.offer(data);
                self.judge(verdict, memory).await;
                return;
            }
            Observation::Live(live) => cluster.see_live(live),
            Observation::Deployment(deployment) => {
                self.role
                    .pass_on(|| Observation::Deployment(deployment.clone()));
                let rival = cluster.see_deployment(deployment);
                memory.rival = rival.map(|rival| (rival, now));
                if let Seen::Present(own) = &cluster.deployment {
                    self.notices.about(&own.owner);
                }
            }
            // An answer without the group may come from a server that is just starting; a cluster does not change.
            Observation::Flavour(_) if cluster.flavour == Some(Flavour::OpenShift) => {}
            Observation::Flavour(flavour) => {
                cluster.flavour = Some(flavour);
                self.role.pass_on(|| Observation::Flavour(flavour));
            }
            Observation::Pod(name, pod) => cluster.see_pod(name, *pod),
            Observation::PodGone(list, name) => cluster.see_gone(list, &name),
            Observation::Pods(list, names) => cluster.see_list(list, &names),
            // What was applied is forgotten, so it is applied again.
            Observation::Tick => {
                memory.applied = None;
                self.role.pass_on(|| Observation::Tick);
            }
            Observation::Answers(answers) => self.take_answers(answers, memory),
            Observation::Inspected(image, Ok(inspected)) => {
                memory.known.note_inspected(image, *inspected);
            }
            Observation::Inspected(image, Err(no)) => {
                memory.known.note_no_image(image, no);
                self.metrics.answers(&memory.known.counts());
            }
            Observation::Order(order) => {
                self.obey(order, memory).await;
                return;
            }
            Observation::Part(architecture, report) => {
                memory.reports.insert(architecture, *report);
            }
            Observation::Ask(question) => self.ask(question, memory),
            Observation::FoundPart(architecture, images) => self.found(architecture, images),
        }
        memory.pace.soon(now);
        memory.status_due.get_or_insert(now + STATUS_GAP);
    }

    /// One step of the plan.
    async fn act(&mut self, memory: &mut Memory) {
        memory.pace.acting(Instant::now());
        if self.is_to_go() {
            self.go(memory).await;
            return;
        }
        self.decide_on_parts(memory);
        let Some(config) = self.source.in_force() else {
            return;
        };
        if self.is_somebody_elses(memory) {
            self.leave_alone();
            return;
        }
        let step = plan(
            &self.identity,
            config,
            &memory.cluster,
            memory.applied.as_ref(),
            Timestamp::now(),
        );
        let is_rolling = matches!(step, Plan::Roll(_));
        if is_rolling {
            self.instruct_parts(memory);
        }
        let result = match step {
            Plan::Wait(why) => {
                self.wait(why, memory);
                return;
            }
            Plan::Apply(desired) => {
                let outcome = self.writer.apply(&desired).await;
                if outcome
                    .as_ref()
                    .is_err_and(|error| error.category().is_refusal())
                {
                    self.bring_back_the_last(memory).await;
                }
                self.after_apply(outcome, *desired, memory)
            }
            Plan::Adopt(uid) => self.adopt(&uid, memory).await,
            Plan::Roll(next) => self.roll(*next, memory).await,
        };
        match result {
            Ok(()) => memory.pauses.reset(),
            Err(error) => self.failed(&error, is_rolling, memory),
        }
    }

    fn wait(&self, why: Why, memory: &mut Memory) {
        if memory.waiting.is_some_and(|(before, _)| before == why) {
            return;
        }
        memory.waiting = Some((why, Instant::now()));
        match why {
            Why::Unseen => debug!(why = why.as_str(), "waiting"),
            // An uninstall is nothing to warn of.
            Why::Dying | Why::OwnerGone => info!(why = why.as_str(), "waiting"),
            Why::ForeignSelector => {
                warn!(why = why.as_str(), "waiting");
                self.notices
                    .tell(Reason::ApplyFailed, why.as_str(), why.as_str());
            }
        }
        if memory.ours.is_none() {
            self.health.unready(why.as_str().to_owned());
        }
    }

    fn failed(&self, error: &ApiError, is_rolling: bool, memory: &mut Memory) {
        let now = Instant::now();
        let category = error.category();
        self.metrics.api_error(category);
        let pause = if is_rolling {
            let pause = memory.rolling.pause_after(error, now);
            memory.pace.at(now + pause);
            pause
        } else {
            self.metrics
                .applied(ApplyResult::failed, seconds_since_1970());
            let pause = memory.pauses.after(category);
            memory.pace.after(now, pause);
            pause
        };
        let mut detail = error.detail();
        if let Some(advice) = advice(&detail) {
            detail = format!("{detail}; {advice}");
        }
        warn!(
            category = category.as_str(),
            detail,
            ?pause,
            "the API server did not do it"
        );
        if category.is_refusal() {
            self.tell_refusal(error, &detail, is_rolling, memory);
        }
        if memory.ours.is_none() {
            self.health.unready(detail);
        }
    }

    fn tell_refusal(&self, error: &ApiError, detail: &str, is_rolling: bool, memory: &mut Memory) {
        let category = error.category().as_str();
        let Some((node, trouble)) = memory.rolling.refused(is_rolling) else {
            let mut text = format!("{category}: {detail}");
            let subject = without_name(&text);
            if is_rolling {
                text = format!(
                    "a step of the rollout is refused, and tried again; what the nodes hold stays: {text}"
                );
            }
            self.notices.tell(Reason::ApplyFailed, subject, text);
            return;
        };
        let found = refusal(error).map_or(Trouble::Refused, |(trouble, _)| trouble);
        *trouble = Some(found);
        let text = format!(
            "the fetcher for node {node} is refused, and the rollout waits; what the nodes hold stays: {detail} ({})",
            found.meaning()
        );
        let subject = match found {
            // Of a quota the words change as it fills, of a policy when it is another.
            Trouble::Admission => without_name(detail),
            found => found.as_str().to_owned(),
        };
        self.notices.tell(Reason::FetchRefused, subject, text);
        memory.status_due.get_or_insert(Instant::now());
    }
}

fn seconds_since_1970() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// The API server's words without the name of the object, which they quote first: what keeps 500 pods from being deleted
/// is told once.
fn without_name(words: &str) -> String {
    let mut parts = words.splitn(3, '"');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(before), Some(_), Some(after)) => format!("{before}{after}"),
        _ => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_refusal_of_two_pods_is_one_and_of_two_kinds_are_two() {
        let refused = |name: &str, why: &str| {
            without_name(&format!("invalid: pods \"{name}\" is forbidden: {why}"))
        };
        assert_eq!(refused("a", "policy \"p\""), refused("b", "policy \"p\""));
        assert_ne!(refused("a", "policy \"p\""), refused("a", "policy \"q\""));
        assert_eq!(without_name("no \"name"), "no \"name");
        assert_eq!(without_name("none"), "none");
    }
}
