//! Between two rounds: whether one is due, and what the last one has left.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::ask;
use super::digests::Decision;
use super::node::{Node, Stage, after};
use super::{Acts, News, Next, Rollout, Round, Step, record};
use crate::answers::Question;
use crate::cluster::Duty;
use crate::config::rollout::Refresh;
use crate::desired::names::{REFRESH, REFRESH_HANDLED, REFRESHED_AT};

/// No longer than this, or `SETTLE_DEADLINE` if that is longer, until nodes are tried again.
const LONGEST_RETRY: SignedDuration = SignedDuration::from_mins(10);
/// A refresh that has failed as a whole is tried again after this, or after `SETTLE_DEADLINE` if that is longer.
const REFRESH_AGAIN: SignedDuration = SignedDuration::from_mins(1);

impl Rollout<'_> {
    /// Begins a round if there is a reason for one.
    pub(super) fn begin(&self, before: Option<&Round>, next: &mut Next) -> Option<Step> {
        let mut round = Round::begin(before, self.facts.content, self.facts.now);
        // Where the round before was lost, its fetchers tell its number. Two of one number would have one name.
        let numbers = self.facts.pods.values().map(|pod| match &pod.duty {
            Duty::Fetch { round, holder } if *holder == self.facts.live.uid => *round,
            _ => 0,
        });
        let newest = numbers.max().unwrap_or_default();
        round.number = round.number.max(newest.saturating_add(1));
        if self.is_edit_due(before, next) {
            round.tries = match round.retry {
                Some(_) => round.tries.saturating_add(1),
                None => 0,
            };
            return Some(record(round, vec![News::Began]));
        }
        round.request = self.request().cloned();
        let due = if self.is_request_due(before, next) {
            // One that is tried again is another question: the answers to the first are old.
            self.request_again(before)
        } else {
            Some(self.refresh_due(before, next)?)
        };
        round.refresh = true;
        if self.facts.config.rollout.refresh != Refresh::Digest {
            return Some(record(round, vec![News::Began]));
        }
        let question = self.question(round.request.clone(), due);
        match self.facts.answers {
            Some(answers) if answers.question == question => {
                let Decision {
                    images,
                    digests,
                    unfit,
                } = self.decide(answers);
                let is_silence = answers.digests.is_empty() && !answers.is_decided();
                round.digests = digests;
                round.unfit = unfit;
                if images.is_empty() {
                    // Where nobody has been told anything, it is tried again.
                    let news = is_silence.then_some(News::Unanswered);
                    return Some(self.end(round, news.into_iter().collect()));
                }
                round.images = Some(images);
                Some(record(round, vec![News::Began]))
            }
            _ => Some(Step::Ask(question)),
        }
    }

    fn question(&self, request: Option<String>, due: Option<Timestamp>) -> Question {
        let groups = self.facts.config.groups.first();
        let images = groups.map(|group| ask::tagged(&group.images));
        let images = images.into_iter().flatten();
        Question {
            content: self.facts.content.to_owned(),
            request,
            due,
            images: images
                .map(|(name, image)| (name.to_owned(), image.to_owned()))
                .collect(),
        }
    }

    /// When nodes are tried again that a round has left: soon at first, later more rarely. Kubelet goes on trying where
    /// a fetcher has stayed, and what it gets is seen at once.
    pub(super) fn retry(&self, tries: u32) -> Timestamp {
        let settling = self.clock.settling;
        let pause = settling.checked_mul(1 << tries.min(16));
        let pause = pause.unwrap_or(SignedDuration::MAX);
        after(self.facts.now, pause.min(settling.max(LONGEST_RETRY)))
    }

    /// What people have asked for and what is not done.
    fn request(&self) -> Option<&String> {
        let annotations = &self.facts.live.annotations;
        let request = annotations.get(REFRESH);
        request.filter(|request| Some(*request) != annotations.get(REFRESH_HANDLED))
    }

    fn is_request_due(&self, before: Option<&Round>, next: &mut Next) -> bool {
        let again = self.request_again(before);
        let wait = again.filter(|again| *again > self.facts.now);
        if let Some(again) = wait {
            next.wake_at(again);
        }
        self.request().is_some() && wait.is_none()
    }

    /// When what people have asked for is tried again, where it has failed.
    fn request_again(&self, before: Option<&Round>) -> Option<Timestamp> {
        let request = self.request()?;
        let failed = before.filter(|round| round.request.as_ref() == Some(request))?;
        self.refresh_again(failed)
    }

    /// When a refresh is tried again that has failed as a whole.
    fn refresh_again(&self, round: &Round) -> Option<Timestamp> {
        let Time(ended) = round.ended.as_ref().filter(|_| round.is_in_vain())?;
        let pause = self.clock.settling.max(REFRESH_AGAIN);
        let latest = after(self.facts.now, pause);
        Some(after(*ended, pause).min(latest))
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
        // A clock that was ahead must not put it off for good.
        let retry = retry.min(self.retry(same.map_or(0, |round| round.tries)));
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

    /// When the refresh was due, if its time has come.
    fn refresh_due(&self, before: Option<&Round>, next: &mut Next) -> Option<Timestamp> {
        if self.facts.config.rollout.refresh == Refresh::Never {
            return None;
        }
        let interval = self.facts.config.interval?;
        let interval = SignedDuration::try_from(interval).unwrap_or(SignedDuration::MAX);
        let live = self.facts.live;
        let written = live.annotations.get(REFRESHED_AT);
        let last = written
            .and_then(|text| text.parse().ok())
            // A clock that was ahead must not end refreshes for good.
            .filter(|last| *last <= self.facts.now)
            .or(live.created);
        let due = [
            last.map(|last| after(last, interval)),
            // One that failed as a whole has not written when it was.
            before.and_then(|round| self.refresh_again(round)),
        ];
        let due = due.into_iter().flatten().max().unwrap_or(Timestamp::MIN);
        if due > self.facts.now {
            next.wake_at(due);
        }
        (due <= self.facts.now).then_some(due)
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
        Acts::deletions(gone).into_step()
    }
}
