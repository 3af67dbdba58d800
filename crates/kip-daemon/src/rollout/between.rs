//! Between two rounds: whether one is due, and what the last one has left.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::SignedDuration;

use super::node::{Node, Stage, after};
use super::{News, Next, Rollout, Round, Step, record};
use crate::config::rollout::Refresh;
use crate::desired::names::{REFRESH, REFRESH_HANDLED, REFRESHED_AT};

impl Rollout<'_> {
    /// Begins a round if there is a reason for one.
    pub(super) fn begin(&self, before: Option<&Round>, next: &mut Next) -> Option<Step> {
        let mut round = Round::begin(before, self.facts.content, self.facts.now);
        if self.is_edit_due(before, next) {
            return Some(record(round, vec![News::Began]));
        }
        let request = self.facts.live.annotations.get(REFRESH);
        let is_new = request != self.facts.live.annotations.get(REFRESH_HANDLED);
        round.request = request.filter(|_| is_new).cloned();
        if round.request.is_some() || self.is_refresh_due(before, next) {
            round.refresh = true;
            return Some(record(round, vec![News::Began]));
        }
        None
    }

    /// Whether pods are to be brought to the list in force now.
    fn is_edit_due(&self, before: Option<&Round>, next: &mut Next) -> bool {
        if next.outdated == 0 {
            return false;
        }
        let same = before.filter(|round| round.content == self.facts.content);
        let Some(Time(retry)) = same.and_then(|round| round.retry.clone()) else {
            return true;
        };
        let retry = retry.min(after(self.facts.now, self.clock.settling));
        // A fetcher that had stayed has got what was missing.
        let has_come = |node: &Node<'_>| {
            node.fetcher.is_some()
                && node.stage(self.clock) == Stage::Swap
                && node.in_vain().is_none()
        };
        let is_due = retry <= self.facts.now || self.nodes.values().any(has_come);
        if !is_due {
            next.wake_at(retry);
        }
        is_due
    }

    fn is_refresh_due(&self, before: Option<&Round>, next: &mut Next) -> bool {
        let rollout = &self.facts.config.rollout;
        let (Refresh::Always, Some(interval)) = (rollout.refresh, self.facts.config.interval)
        else {
            return false;
        };
        let interval = SignedDuration::try_from(interval).unwrap_or(SignedDuration::MAX);
        let live = self.facts.live;
        let written = live.annotations.get(REFRESHED_AT);
        let last = written
            .and_then(|text| text.parse().ok())
            // A clock that was ahead must not end refreshes for good.
            .filter(|last| *last <= self.facts.now)
            .or(live.created);
        // One that failed as a whole has not written when it was.
        let failed = before.filter(|round| round.refresh && !round.proven);
        let failed = failed
            .and_then(|round| round.ended.clone())
            .map(|Time(ended)| ended);
        let due = [
            last.map(|last| after(last, interval)),
            failed.map(|failed| after(failed, self.clock.settling.min(interval))),
        ];
        let due = due.into_iter().flatten().max().unwrap_or(self.facts.now);
        if due > self.facts.now {
            next.wake_at(due);
        }
        due <= self.facts.now
    }

    /// Removes fetchers that have nothing more to do.
    pub(super) fn clear(&self, round: Option<&Round>, next: &mut Next) -> Option<Step> {
        let ended = round.filter(|round| round.content == self.facts.content);
        let mut gone = Vec::new();
        for node in self.nodes.values() {
            gone.extend(self.needless(node, next));
            if ended.is_some() {
                gone.extend(self.done_fetcher(node, next));
            }
        }
        (!gone.is_empty()).then_some(Step::Delete(gone))
    }
}
