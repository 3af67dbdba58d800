//! The course of a round.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::ask::{self, Asks};
use super::ending::Ending;
use super::node::{Node, Stage};
use super::orders::{Todo, orders};
use super::{Acts, News, Next, Record, Rollout, Round, Step, Swap, pod_name, record};
use crate::config::Group;
use crate::config::rollout::Refresh;
use crate::desired::names::{DIGESTS, REFRESH_HANDLED, REFRESHED_AT};
use crate::plan::PodName;

/// So many nodes are tried before one has come through.
const FIRST_NODES: u32 = 3;

/// What is to be done, over all nodes.
#[derive(Default)]
struct Work<'n, 'a> {
    gone: Vec<PodName>,
    swaps: Vec<Swap>,
    todo: Vec<Todo<'n, 'a>>,
    leaving: Vec<(&'a str, Ending)>,
    /// Nodes whose pod has been swapped in an earlier round and has not come yet.
    swapping: usize,
    /// Whether a first node has come through.
    is_proven: bool,
}

impl<'a> Rollout<'a> {
    pub(super) fn go_on(&self, round: &Round, next: &mut Next) -> Option<Step> {
        let images = self
            .facts
            .config
            .groups
            .first()
            .map(|group: &Group| ask::tagged(&group.images));
        let mut tagged = images.unwrap_or_default();
        if let Some(images) = &round.images {
            tagged.retain(|name, _| images.contains(*name));
        }
        let mut later = round.clone();
        if round.refresh {
            ask::learn(&mut later, &self.nodes, &tagged);
        }
        if let Some(stopped) = self.stopped(&later) {
            return Some(self.end(later, vec![stopped]));
        }
        let mut news = Vec::new();
        let asks = Asks::new(&later, &tagged, &self.nodes);
        let mut work = Work {
            is_proven: later.proven,
            ..Work::default()
        };
        for (name, node) in &self.nodes {
            self.look_at(name, node, &later, &asks, &mut work, next);
        }
        let Work {
            gone,
            mut swaps,
            mut todo,
            leaving,
            swapping,
            is_proven,
        } = work;
        // Fetchers may have come late, all at once. Where pods of an earlier round do not come, no more are let go; an edit
        // that mends that can be fetched meanwhile.
        let at_once = self.at_once(is_proven);
        let can_swap = at_once.saturating_sub(next.busy + swapping);
        let is_held_up = swaps.len() > can_swap;
        swaps.truncate(can_swap);
        next.busy += swaps.len();
        let room = at_once.saturating_sub(next.busy);
        if !later.proven && !todo.is_empty() {
            // Another first node at each try: the last one may be the only one that is broken.
            let turn = usize::try_from(later.tries).unwrap_or(0) % todo.len();
            todo.rotate_left(turn);
        }
        todo.sort_by_key(|(name, ..)| self.facts.refused_nodes.contains(*name));
        let orders = orders(&later, asks, todo, room);
        later.proven = is_proven;
        for (node, ending) in leaving {
            later.leave(node, ending);
            news.push(News::Left(node.to_owned(), ending));
        }
        if later != *round {
            return Some(record(later, news));
        }
        let acts = Acts {
            gone,
            swaps,
            orders,
        };
        let is_over = next.busy == 0 && !is_held_up;
        acts.into_step()
            .or_else(|| is_over.then(|| self.end(later, news)))
    }

    /// What is to be done at a node.
    fn look_at<'n>(
        &self,
        name: &'a str,
        node: &'n Node<'a>,
        later: &Round,
        asks: &Asks<'_, 'a>,
        work: &mut Work<'n, 'a>,
        next: &mut Next,
    ) {
        work.gone.extend(self.needless(node, next));
        if let Some(until) = node.swapping_until(self.clock) {
            work.swapping += 1;
            next.wake_at(until);
        }
        if later.has_left(name) {
            // Since a restart its deadline counts anew.
            if let (Some(_), Stage::Busy(_)) = (node.fetcher, node.stage(self.clock)) {
                next.busy += 1;
            }
            work.gone.extend(self.done_fetcher(node, next));
            return;
        }
        if !later.proven && node.in_vain().is_some() {
            // It has failed in a former round. Others are tried before it.
            match node.fetcher.filter(|_| node.adds_nothing()) {
                Some(fetcher) => work.gone.push(pod_name(fetcher)),
                None => next.kept += 1,
            }
            return;
        }
        let stale = if later.refresh {
            asks.stale(node)
        } else {
            BTreeSet::new()
        };
        let is_stale = !stale.is_empty();
        match node.stage(self.clock) {
            Stage::Idle => match node.clearing_until(self.clock) {
                None => work.todo.push((name, node, stale)),
                Some(_) if !node.is_outdated && !is_stale => {}
                Some(until) if self.clock.now < until => {
                    next.busy += 1;
                    next.wake_at(until);
                }
                Some(_) => work.leaving.push((name, Ending::Silent)),
            },
            Stage::Busy(until) => {
                next.busy += 1;
                next.wake_at(until);
            }
            Stage::Overdue(ending) => work.leaving.push((name, ending)),
            Stage::Swap => match (node.holder, node.fetcher) {
                (Some(holder), Some(fetcher)) => work.swaps.push(Swap {
                    holder: pod_name(holder),
                    fetcher: pod_name(fetcher),
                }),
                (holder, _) => {
                    next.busy += 1;
                    work.gone.extend(holder.map(pod_name));
                }
            },
            Stage::Blocked => {
                work.is_proven = true;
                work.leaving.push((name, Ending::Blocked));
            }
            Stage::Unstarted => work.leaving.push((name, Ending::Unstarted)),
            Stage::Done => {
                work.is_proven = true;
                if is_stale {
                    work.leaving.push((name, Ending::Unanswered));
                }
                work.gone.extend(node.fetcher.map(pod_name));
            }
        }
    }

    /// The first node's fetcher is through and has nothing of what it was to bring, or one first node after the other has
    /// left: where the registry hangs, each takes its whole time.
    fn stopped(&self, round: &Round) -> Option<News> {
        if round.proven {
            return None;
        }
        let left = round.unfinished.values().sum();
        if left >= FIRST_NODES {
            return Some(News::Unproven(left));
        }
        self.nodes.iter().find_map(|(name, node)| {
            node.fetcher
                .filter(|fetcher| ask::is_of(round, *fetcher) && !round.has_left(name))?;
            let images = node.in_vain()?.into_iter().map(str::to_owned).collect();
            Some(News::Stopped {
                node: (*name).to_owned(),
                images,
            })
        })
    }

    /// At how many nodes something may be fetched or swapped at once.
    fn at_once(&self, is_proven: bool) -> usize {
        if !is_proven {
            return 1;
        }
        let wanted = usize::try_from(self.facts.live.wanted_nodes).unwrap_or(0);
        self.facts.config.rollout.max_nodes_at_once.of(wanted)
    }

    pub(super) fn end(&self, mut round: Round, mut news: Vec<News>) -> Step {
        let is_stopped = !news.is_empty();
        let changed = round.changes();
        news.push(News::Ended { changed });
        let mut annotations = BTreeMap::new();
        if round.refresh {
            // Where every node has left, nobody has asked: it has failed as a whole as well.
            let is_asked = round.proven || round.unfinished.is_empty();
            if !is_stopped && is_asked {
                let request = round.request.take();
                annotations.extend(request.map(|request| (REFRESH_HANDLED, request)));
                annotations.insert(REFRESHED_AT, self.facts.now.to_string());
                // Where there was nothing to bring, or no node, nothing has failed either.
                round.proven = true;
                if self.facts.config.rollout.refresh == Refresh::Digest {
                    annotations.insert(DIGESTS, self.later_notes(&round));
                }
            }
        } else {
            let is_left = self.nodes.values().any(|node| node.is_outdated);
            round.retry = is_left.then(|| Time(self.retry(round.tries)));
        }
        round.end(self.facts.now);
        Step::Record(Box::new(Record {
            round,
            annotations,
            news,
        }))
    }
}
