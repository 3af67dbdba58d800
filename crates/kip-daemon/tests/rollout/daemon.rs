//! The daemon: one step of its plan, carried out as its controller does it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kip_daemon::answers::{Answers, NoAnswer, Question, Why};
use kip_daemon::cluster::{ContainerState, Duty, Live, PodFacts, Seen};
use kip_daemon::desired::names::ROUND;
use kip_daemon::desired::{Order, Requests, content_hash_of, fetcher};
use kip_daemon::plan::PodName;
use kip_daemon::pods::{Interner, LeanPod};
use kip_daemon::rollout::{Acts, Facts, Record, Step, next};

use super::world::{World, seconds};

impl World {
    pub(crate) fn daemon(&mut self) {
        let Seen::Present(live) = self.view.live.clone() else {
            return;
        };
        // The daemon applies an edit before it does anything else.
        let live = if live.generation < self.live.generation {
            self.live.clone()
        } else {
            live
        };
        self.view.see_live(Some(live.clone()));
        let content = content_hash_of(&self.desired).expect("it has one");
        let next = next(&Facts {
            config: &self.config,
            content,
            live: &live,
            answers: self.view.answers.as_ref(),
            pods: &self.view.pods,
            refused_nodes: &self.view.refused_nodes,
            placement: &self.view.placement,
            now: self.now,
        });
        if next.step.is_some() {
            self.log.push(format!("{} step {:?}", self.now, next.step));
        }
        self.next = next.clone();
        let most = self.config.rollout.max_nodes_at_once.of(self.nodes.len());
        match next.step {
            None => {}
            Some(Step::Record(record)) => self.record(&live, *record),
            Some(Step::Act(acts)) => self.carry_out(acts, most),
            Some(Step::Ask(question)) => self.ask(question),
        }
    }

    /// The registry answers the daemon, where it can.
    fn ask(&mut self, question: Question) {
        let mut digests = BTreeMap::new();
        let mut unanswered = BTreeMap::new();
        for (name, image) in &question.images {
            self.heads.set(self.heads.get() + 1);
            let is_asked = !self.is_registry_down && !self.unaskable.contains(image);
            let why = match self.registry.get(image) {
                Some(found) if is_asked => {
                    let found = found + 9_000_000 * u64::from(self.reports_another);
                    digests.insert(name.clone(), format!("sha256:{found:016x}{:048}", 0));
                    continue;
                }
                None if is_asked => Why::NotFound,
                _ => Why::Unreachable,
            };
            let words = String::new();
            unanswered.insert(name.clone(), NoAnswer { why, words });
        }
        self.view.answers = Some(Answers {
            question,
            digests,
            unanswered,
            unfit: self.unfit.clone(),
            bad_secrets: BTreeMap::new(),
        });
    }

    fn carry_out(&mut self, acts: Acts, most: usize) {
        for pod in acts.gone {
            self.delete(&pod);
        }
        let has_swapped = !acts.swaps.is_empty();
        for swap in acts.swaps {
            if self.is_as_seen(&swap.fetcher) {
                self.delete(&swap.holder);
            }
        }
        let swapping = self.swapping();
        assert!(
            !has_swapped || swapping <= most,
            "{swapping} nodes swap at once, {most} may"
        );
        let has_fetched = !acts.orders.is_empty();
        for order in acts.orders {
            if self.refused.contains(&order.node) {
                self.view.refused_nodes.insert(order.node);
            } else {
                self.fetch(&order);
            }
        }
        let fetching = self.fetching();
        assert!(
            !has_fetched || fetching <= most,
            "{fetching} nodes fetch at once, {most} may"
        );
    }

    fn fetch(&mut self, order: &Order) {
        let uid = &self.live.uid;
        let pod = fetcher(&self.desired, uid, None, order, Requests::Nothing);
        let (name, facts) = LeanPod::from(pod).into_facts(&mut Interner::default(), self.now);
        if self.pods.contains_key(&name) {
            return;
        }
        self.made += 1;
        self.fetchers += 1;
        let facts = PodFacts {
            uid: format!("uid-{}", self.made),
            created: Some(seconds(self.now)),
            ..facts
        };
        self.put(name.clone(), facts);
        let made = self.pods[&name].clone();
        self.view.see_pod(name, made);
    }

    /// Fetchers of the round that are not through. That of a node that has left it is to go, and may wake as it does.
    pub(crate) fn fetching(&self) -> usize {
        let round = self.round().unwrap_or_default();
        let is_of_round = |pod: &&PodFacts| {
            matches!(pod.duty, Duty::Fetch { round: number, .. } if number == round.number)
                && !round.has_left(&pod.node)
                && !pod.terminating
                && pod
                    .containers
                    .iter()
                    .any(|c| c.state == ContainerState::Waiting)
        };
        self.pods.values().filter(is_of_round).count()
    }

    pub(crate) fn record(&mut self, seen: &Live, record: Record) {
        if seen.resource_version != self.live.resource_version {
            self.view.see_live(Some(self.live.clone()));
            return;
        }
        let round = serde_json::to_string(&record.round).expect("it can be written");
        self.live.annotations.insert(ROUND.to_owned(), round);
        for (key, value) in record.annotations {
            self.live.annotations.insert(key.to_owned(), value);
        }
        self.touch_live();
        self.view.see_live(Some(self.live.clone()));
        self.news.extend(record.news);
    }

    fn is_as_seen(&self, meant: &PodName) -> bool {
        self.pods.get(&meant.name).is_some_and(|pod| {
            pod.uid == meant.uid
                && pod.resource_version == meant.resource_version
                && !pod.terminating
        })
    }

    /// Nodes whose pod is going, or has gone, for what a fetcher holds; not those where none comes, which nobody waits for
    /// for ever.
    fn swapping(&self) -> usize {
        let is_held = |node: &str| {
            self.pods
                .values()
                .any(|pod| pod.node == node && pod.controller.is_some() && !pod.terminating)
        };
        let fetchers = self.pods.values().filter(|pod| {
            matches!(pod.duty, Duty::Fetch { .. }) && !pod.terminating && !is_held(&pod.node)
        });
        let is_awaited = |node: &&str| {
            let swapped = self.swapped.get(*node);
            swapped.is_some_and(|at| self.now < *at + Duration::from_secs(300))
        };
        let nodes = fetchers.map(|pod| pod.node.as_str()).filter(is_awaited);
        let nodes: BTreeSet<&str> = nodes.collect();
        nodes.len()
    }

    pub(crate) fn delete(&mut self, meant: &PodName) {
        let name = &meant.name;
        if !self.is_as_seen(meant) {
            return;
        }
        let pod = self.pods[name].clone();
        let is_holder = pod.controller.is_some();
        if is_holder {
            self.swaps += 1;
            self.swapped.insert(pod.node.clone(), self.now);
            // What was asked for in vain is held by nobody until the new pod runs.
            let is_fetcher = |p: &&PodFacts| {
                matches!(p.duty, Duty::Fetch { .. }) && p.node == pod.node && !p.terminating
            };
            let fetcher = self.pods.values().filter(is_fetcher);
            let in_vain = fetcher
                .flat_map(|p| &p.containers)
                .filter(|c| c.asks && matches!(c.state, ContainerState::Failed(_)));
            let in_vain: Vec<_> = in_vain
                .map(|c| (pod.node.clone(), c.image.to_string()))
                .collect();
            self.excused.extend(in_vain);
        }
        let facts = PodFacts {
            terminating: true,
            ..pod
        };
        self.put(name.clone(), facts);
        if let Some(seen) = self.view.pods.get_mut(name) {
            seen.terminating = true;
        }
    }
}
