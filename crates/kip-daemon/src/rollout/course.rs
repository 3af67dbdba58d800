//! The course of a round.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::ask::{self, Asks};
use super::node::{Ending, Node, Stage};
use super::{News, Next, Record, Rollout, Round, Step, pod_name, record};
use crate::config::Group;
use crate::desired::Order;
use crate::desired::names::{REFRESH_HANDLED, REFRESHED_AT};

/// Nodes that are picked in one step to ask for what nobody has asked for.
const PROBES: usize = 20;

impl<'a> Rollout<'a> {
    pub(super) fn go_on(&self, round: &Round, next: &mut Next) -> Option<Step> {
        let images = self
            .facts
            .config
            .groups
            .first()
            .map(|group: &Group| ask::tagged(&group.images));
        let tagged = images.unwrap_or_default();
        let mut later = round.clone();
        if round.refresh {
            ask::learn(&mut later, &self.nodes, &tagged);
        }
        let mut news = Vec::new();
        if let Some(stopped) = self.stopped(&later) {
            news.push(stopped);
            return Some(self.end(later, news));
        }
        let mut gone = Vec::new();
        let mut todo = Vec::new();
        let asks = Asks::new(&later, &tagged, &self.nodes);
        let mut leaving = Vec::new();
        let mut is_proven = later.proven;
        for (name, node) in &self.nodes {
            gone.extend(self.needless(node, next));
            if later.has_left(name) {
                gone.extend(self.done_fetcher(node, next));
                continue;
            }
            if !later.proven && node.in_vain().is_some() {
                // It has failed in a former round. Others are tried before it.
                next.kept += 1;
                continue;
            }
            let stale = if later.refresh {
                asks.stale(node)
            } else {
                BTreeSet::new()
            };
            let is_stale = !stale.is_empty();
            match node.stage(self.clock) {
                Stage::Idle => match node.clearing_until(self.clock) {
                    None => todo.push((*name, node, stale)),
                    Some(_) if !node.is_outdated && !is_stale => {}
                    Some(until) if self.clock.now < until => {
                        next.busy += 1;
                        next.wake_at(until);
                    }
                    Some(_) => leaving.push((*name, Ending::Silent)),
                },
                Stage::Busy(until) => {
                    next.busy += 1;
                    next.wake_at(until);
                }
                Stage::Overdue(ending) => leaving.push((*name, ending)),
                Stage::Swap => {
                    next.busy += 1;
                    gone.extend(node.holder.map(pod_name));
                }
                Stage::Blocked => {
                    is_proven = true;
                    leaving.push((*name, Ending::Blocked));
                }
                Stage::Unstarted => leaving.push((*name, Ending::Unstarted)),
                Stage::Done => {
                    is_proven = true;
                    if is_stale {
                        leaving.push((*name, Ending::Unanswered));
                    }
                    gone.extend(node.fetcher.map(pod_name));
                }
            }
        }
        let orders = self.orders(&later, asks, todo, is_proven, next);
        later.proven = is_proven;
        for (node, ending) in leaving {
            later.leave(node, ending);
            news.push(News::Left(node.to_owned(), ending));
        }
        if later != *round {
            return Some(record(later, news));
        }
        if !gone.is_empty() {
            return Some(Step::Delete(gone));
        }
        if !orders.is_empty() {
            return Some(Step::Fetch(orders));
        }
        (next.busy == 0).then(|| self.end(later, news))
    }

    /// The first node's fetcher is through and has nothing of what it was to bring.
    fn stopped(&self, round: &Round) -> Option<News> {
        if round.proven {
            return None;
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

    /// The next nodes, as many as there is room for.
    fn orders(
        &self,
        round: &Round,
        mut asks: Asks<'_, 'a>,
        todo: Vec<(&'a str, &Node<'a>, BTreeSet<String>)>,
        is_proven: bool,
        next: &Next,
    ) -> Vec<Order> {
        let wanted = usize::try_from(self.facts.live.wanted_nodes).unwrap_or(0);
        let at_once = self.facts.config.rollout.max_nodes_at_once.of(wanted);
        let room = if is_proven { at_once } else { 1 }.saturating_sub(next.busy);
        let order = |node: &str, ask: BTreeSet<String>| Order {
            node: node.to_owned(),
            round: round.number,
            ask,
        };
        if !round.refresh {
            let mut outdated = todo;
            outdated.retain(|(_, node, _)| node.is_outdated);
            if !is_proven && !outdated.is_empty() {
                // Another first node in each round: the last one may be the only one that is broken.
                let turn = usize::try_from(round.number).unwrap_or(0) % outdated.len();
                outdated.rotate_left(turn);
            }
            let orders = outdated
                .into_iter()
                .take(room)
                .map(|(name, _, nothing)| order(name, nothing));
            return orders.collect();
        }
        let mut orders: Vec<Order> = Vec::new();
        let mut rest = Vec::new();
        for (name, node, stale) in todo {
            if stale.is_empty() {
                rest.push((name, node));
            } else if orders.len() < room {
                orders.push(order(name, stale));
            }
        }
        while orders.len() < room.min(PROBES) {
            let unasked = rest.iter().map(|(name, node)| (*name, asks.unasked(node)));
            let most = unasked.max_by_key(|(_, pairs)| pairs.len());
            let Some((name, pairs)) = most.filter(|(_, pairs)| !pairs.is_empty()) else {
                break;
            };
            rest.retain(|(other, _)| *other != name);
            orders.push(order(
                name,
                pairs.iter().map(|(image, _)| (*image).to_owned()).collect(),
            ));
            asks.take(pairs);
        }
        orders
    }

    fn end(&self, mut round: Round, mut news: Vec<News>) -> Step {
        let is_stopped = !news.is_empty();
        let changed = round
            .changed_images()
            .into_iter()
            .map(str::to_owned)
            .collect();
        news.push(News::Ended { changed });
        let mut annotations = BTreeMap::new();
        if round.refresh {
            annotations.extend(
                round
                    .request
                    .take()
                    .map(|request| (REFRESH_HANDLED, request)),
            );
            if !is_stopped {
                annotations.insert(REFRESHED_AT, self.facts.now.to_string());
            }
        } else {
            let is_left = self.nodes.values().any(|node| node.is_outdated);
            let retry = self.clock.now.saturating_add(self.clock.settling).ok();
            round.retry = retry.filter(|_| is_left).map(Time);
        }
        round.end(self.facts.now);
        Step::Record(Box::new(Record {
            round,
            annotations,
            news,
        }))
    }
}
