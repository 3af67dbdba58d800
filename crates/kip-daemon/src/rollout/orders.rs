//! Which nodes are next, and what they are to ask for.

use std::collections::{BTreeSet, BinaryHeap};

use super::Round;
use super::ask::Asks;
use super::node::Node;
use crate::desired::Order;

/// Nodes that are picked in one step to ask for what nobody has asked for.
const PROBES: usize = 20;

/// A node at which nothing is under way: its name, itself, and the images of which it holds a content that the tag no
/// longer stands for.
pub(super) type Todo<'n, 'a> = (&'a str, &'n Node<'a>, BTreeSet<String>);

/// The next nodes, as many as there is room for.
pub(super) fn orders<'a>(
    round: &Round,
    mut asks: Asks<'_, 'a>,
    todo: Vec<Todo<'_, 'a>>,
    room: usize,
) -> Vec<Order> {
    let order = |node: &str, ask: BTreeSet<String>| Order {
        node: node.to_owned(),
        round: round.number,
        ask,
    };
    if !round.refresh {
        let mut outdated = todo;
        outdated.retain(|(_, node, _)| node.is_outdated);
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
    if !rest.is_empty() {
        // Among those with as much to ask for each round has another one first: one that cannot have an image, for its
        // architecture or its way to the registry, must not be asked again and again.
        let turn = usize::try_from(round.number).unwrap_or(0) % rest.len();
        rest.rotate_left(turn);
    }
    // What a node could ask for only gets less as others are picked: it is counted anew where it may be the most, or
    // each pick would look at every image of every node.
    let count = |asks: &Asks<'_, 'a>, place: usize| asks.unasked(rest[place].1).len();
    let mut most: BinaryHeap<(usize, usize)> = BinaryHeap::new();
    if orders.len() < room.min(PROBES) {
        most = (0..rest.len()).map(|n| (count(&asks, n), n)).collect();
    }
    while orders.len() < room.min(PROBES) {
        let Some((before, place)) = most.pop().filter(|(count, _)| *count > 0) else {
            break;
        };
        let (name, node) = rest[place];
        let pairs = asks.unasked(node);
        if pairs.len() < before {
            most.push((pairs.len(), place));
            continue;
        }
        let images = pairs.iter().map(|(image, _)| (*image).to_owned());
        orders.push(order(name, images.collect()));
        asks.take(pairs);
    }
    orders
}
