//! The rollout in a cluster in memory, in every order of events: no image is let go, and it always comes to its end.

#![allow(clippy::panic, reason = "these are tests, and so are their helpers")]

#[path = "rollout/daemon.rs"]
mod daemon;
#[path = "rollout/digests.rs"]
mod digests;
#[path = "rollout/leftovers.rs"]
mod leftovers;
#[path = "rollout/look.rs"]
mod look;
#[path = "rollout/nodes.rs"]
mod nodes;
#[path = "rollout/rollbacks.rs"]
mod rollbacks;
#[path = "rollout/unkind.rs"]
mod unkind;
#[path = "rollout/world.rs"]
mod world;

use std::time::Duration;

use kip_daemon::desired::names::{REFRESH, REFRESH_HANDLED};
use kip_daemon::rollout::{Ending, News};
use world::{Lots, Registry, World, config};

const MOST: usize = 200_000;
const WAVES_OF_THREE: (&str, &str) = ("MAX_NODES_AT_ONCE", "3");
const NO_TICK: (&str, &str) = ("CACHING_INTERVAL_HOURS", "0");

fn registry() -> Registry {
    ["a:1", "b:1", "c:1", "a:2", "b:2"]
        .into_iter()
        .zip(100..)
        .map(|(n, c)| (n.to_owned(), c))
        .collect()
}

/// Nodes ask for each tag.
fn images(list: &str) -> Vec<(&str, &str)> {
    refreshed_by(list, "always")
}

fn refreshed_by<'t>(list: &'t str, refresh: &'t str) -> Vec<(&'t str, &'t str)> {
    let mode = ("REFRESH", refresh);
    vec![("IMAGES", list), WAVES_OF_THREE, NO_TICK, mode]
}

fn world(seed: u64, nodes: usize, list: &str) -> World {
    World::new(seed, nodes, config(&images(list)), registry())
}

fn each_seed(count: u64, test: impl Fn(u64) + std::panic::RefUnwindSafe) {
    for seed in 0..count {
        if let Err(panic) = std::panic::catch_unwind(|| test(seed)) {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// What people were told that has changed.
fn changes(world: &World) -> Vec<String> {
    let changes = world.news.iter().filter_map(|news| match news {
        News::Ended { changed } => Some(changed),
        _ => None,
    });
    changes.flatten().map(ToString::to_string).collect()
}

/// `KIP_ROLLOUT_SEEDS` for more.
fn seeds(default: u64) -> u64 {
    let given = std::env::var("KIP_ROLLOUT_SEEDS").ok();
    given.map_or(default, |text| {
        text.parse().expect("KIP_ROLLOUT_SEEDS is a number")
    })
}

#[test]
fn an_edit_reaches_every_node_in_waves_and_lets_nothing_go() {
    each_seed(20, |seed| {
        let mut world = world(seed, 20, "a=a:1;b=b:1;c=c:1");
        world.edit(&images("a=a:2;b=b:1;d=b:2"));
        world.settle(MOST);
        assert_eq!(world.current_nodes(), 20);
        assert_eq!((world.swaps, world.fetchers), (20, 20), "each node once");
        assert_eq!(world.fetchers_left(), [""; 0]);
        for node in &world.nodes {
            assert_eq!(world.runs(node).len(), 3, "{node}");
        }
        assert!(
            world
                .round()
                .is_some_and(|round| !round.is_active() && round.unfinished.is_empty())
        );
    });
}

#[test]
fn a_refresh_without_a_change_asks_on_one_node_and_replaces_nothing() {
    each_seed(20, |seed| {
        let mut world = world(seed, 20, "a=a:1;b=b:1;c=c:1");
        world.annotate(REFRESH, "now");
        world.settle(MOST);
        assert_eq!((world.requests, world.swaps, world.fetchers), (3, 0, 1));
        assert_eq!(world.fetchers_left(), [""; 0]);
    });
}

#[test]
fn a_tag_that_moved_is_brought_to_every_node_and_the_others_are_asked_for_once() {
    each_seed(20, |seed| {
        let mut world = world(seed, 20, "a=a:1;b=b:1;c=c:1");
        world.registry.insert("b:1".to_owned(), 777);
        world.annotate(REFRESH, "now");
        world.settle(MOST);
        // The first node asks for all three, each other one for what has changed.
        assert_eq!(
            (world.requests, world.swaps, world.fetchers),
            (3 + 19, 20, 20)
        );
        for node in &world.nodes {
            assert_eq!(world.runs(node)["b"].1, 777, "{node}");
        }
        let told = changes(&world);
        assert_eq!(
            told,
            ["b sha256:0000000000000065 → sha256:0000000000000309"]
        );
        world.annotate(REFRESH, "again");
        world.settle(MOST);
        assert_eq!((world.requests, world.swaps, world.fetchers), (25, 20, 21));
    });
}

#[test]
fn nodes_that_hold_another_content_are_found_and_asked_as_well() {
    each_seed(20, |seed| {
        let mut world = world(seed, 6, "a=a:1;b=b:1");
        world.registry.insert("a:1".to_owned(), 500);
        world.annotate(REFRESH, "1");
        world.settle(MOST);
        // One node that was away holds the old content, the registry has not changed since.
        world.make_stale("node-004", "a:1", 100);
        world.annotate(REFRESH, "2");
        world.settle(MOST);
        for node in &world.nodes {
            assert_eq!(world.runs(node)["a"].1, 500, "{node}");
        }
    });
}

#[test]
fn where_each_node_holds_a_content_of_its_own_each_is_asked_once() {
    each_seed(20, |seed| {
        let mut world = world(seed, 12, "a=a:1;b=b:1");
        for (node, content) in world.nodes.clone().iter().zip(1000..) {
            world.make_stale(node, "a:1", content);
        }
        world.annotate(REFRESH, "1");
        world.settle(MOST);
        // The first one picked asks for both.
        assert_eq!((world.requests, world.swaps, world.fetchers), (13, 12, 12));
        for node in &world.nodes {
            assert_eq!(world.runs(node)["a"].1, 100, "{node}");
        }
    });
}

#[test]
fn an_image_that_cannot_be_had_stops_the_round_at_its_first_node_and_its_correction_mends_it() {
    each_seed(20, |seed| {
        let mut world = world(seed, 20, "a=a:1;b=b:1;c=c:1");
        world.edit(&images("a=a:typo;b=b:1;c=c:1"));
        world.settle(MOST);
        assert_eq!((world.swaps, world.fetchers), (0, 1));
        assert!(
            matches!(&world.news[..], [News::Began, News::Stopped { images, .. }, News::Ended { .. }] if images == &["a"]),
            "{:?}",
            world.news
        );
        world.edit(&images("a=a:2;b=b:1;c=c:1"));
        world.settle(MOST);
        assert_eq!((world.current_nodes(), world.swaps), (20, 20));
        assert_eq!(world.fetchers_left(), [""; 0]);
    });
}

#[test]
fn what_is_wrong_beside_what_is_right_keeps_its_old_container_and_what_is_right_arrives() {
    each_seed(20, |seed| {
        let mut world = world(seed, 10, "a=a:1;b=b:1;c=c:1");
        world.edit(&images("a=a:typo;b=b:2;c=c:1"));
        world.settle(MOST);
        assert_eq!(
            (world.swaps, world.fetchers_left().len()),
            (0, 10),
            "fetchers hold what is new"
        );
        assert!(
            world
                .news
                .contains(&News::Left("node-000".to_owned(), Ending::Blocked))
        );
        // It comes at last: the nodes are mended without an edit, and without new fetchers.
        world.registry.insert("a:typo".to_owned(), 900);
        world.settle(MOST);
        assert_eq!((world.current_nodes(), world.fetchers), (10, 10));
        assert_eq!(world.fetchers_left(), [""; 0]);
    });
}

#[test]
fn a_new_image_that_cannot_be_had_does_not_hold_up_the_others() {
    each_seed(20, |seed| {
        let mut world = world(seed, 10, "a=a:1;b=b:1");
        world.edit(&images("a=a:1;b=b:2;new=typo"));
        world.settle(MOST);
        assert_eq!((world.current_nodes(), world.swaps), (10, 10));
        assert_eq!(world.fetchers_left(), [""; 0]);
    });
}

#[test]
fn a_registry_that_is_away_changes_nothing_and_the_refresh_is_done_later() {
    each_seed(20, |seed| {
        let mut world = world(seed, 10, "a=a:1;b=b:1");
        world.edit(&[("IMAGES", "a=a:1;b=b:1"), WAVES_OF_THREE]);
        world.is_registry_down = true;
        world.registry.insert("a:1".to_owned(), 500);
        world.pass(Duration::from_secs(3601));
        world.settle_for(3000);
        assert_eq!(world.swaps, 0);
        assert!(
            world
                .news
                .iter()
                .any(|news| matches!(news, News::Stopped { .. }))
        );
        world.is_registry_down = false;
        world.pass(Duration::from_secs(601));
        world.settle(MOST);
        assert_eq!(world.swaps, 10);
        assert_eq!(world.fetchers_left(), [""; 0]);
    });
}

#[test]
fn a_silent_node_is_left_out_and_tried_again() {
    each_seed(20, |seed| {
        let mut world = world(seed, 6, "a=a:1;b=b:1");
        world.silent.insert("node-002".to_owned());
        world.edit(&images("a=a:2;b=b:1"));
        world.settle(MOST);
        assert_eq!(world.current_nodes(), 5);
        assert!(
            world
                .news
                .contains(&News::Left("node-002".to_owned(), Ending::Silent))
        );
        world.silent.clear();
        world.pass(Duration::from_secs(601));
        world.settle(MOST);
        assert_eq!(world.current_nodes(), 6, "{}", world.story("node-002"));
        assert_eq!(world.fetchers_left(), [""; 0]);
    });
}

#[test]
fn nothing_moves_while_it_is_paused() {
    let mut world = world(1, 5, "a=a:1");
    let mut paused = images("a=a:2");
    paused.push(("PAUSED", "true"));
    world.edit(&paused);
    world.annotate(REFRESH, "now");
    world.settle(MOST);
    assert_eq!(
        (world.fetchers, world.swaps, world.next.outdated),
        (0, 0, 5)
    );
    world.edit(&images("a=a:2"));
    world.settle(MOST);
    assert_eq!(world.swaps, 5);
}

#[test]
fn a_pod_that_finds_no_place_is_made_anew_from_a_newer_template_and_from_no_other() {
    let mut world = world(1, 3, "a=a:1");
    world.unplace("node-001");
    world.settle(MOST);
    assert_eq!(world.swaps, 0);
    world.edit(&images("a=a:2"));
    world.settle(MOST);
    assert_eq!(world.current_nodes(), 3);
    assert_eq!(world.waiting_for_a_place(), 0);
}

#[test]
fn where_a_policy_makes_every_pod_ask_nothing_is_let_go_that_cannot_be_had_again() {
    each_seed(20, |seed| {
        let mut world = world(seed, 4, "a=a:1;b=b:1");
        world.always_ask();
        world.annotate(REFRESH, "1");
        world.settle(MOST);
        world.registry.remove("b:1");
        world.edit(&images("a=a:2;b=b:1"));
        world.settle(MOST);
        assert!(world.swaps <= 4, "{}", world.swaps);
        for node in &world.nodes {
            assert!(world.runs(node).contains_key("b"), "{node}");
        }
    });
}

#[test]
fn a_restart_that_people_ask_for_replaces_each_pod_once_and_lets_nothing_go() {
    each_seed(20, |seed| {
        let mut world = world(seed, 10, "a=a:1;b=b:1");
        world.restart_pods("2026-01-01T00:00:00Z");
        world.settle(MOST);
        assert_eq!((world.swaps, world.requests), (10, 0));
        assert_eq!(world.fetchers_left(), [""; 0]);
    });
}

const OLD: [(&str, &str); 2] = [("a", "a:1"), ("b", "b:1")];

/// Everything at once: edits, moving tags, a registry that comes and goes, silent nodes, restarts of the daemon.
#[test]
fn whatever_happens_nothing_is_let_go_and_it_comes_to_its_end() {
    let lists = [
        "a=a:1;b=b:1;c=c:1",
        "a=a:2;b=b:1;c=c:1",
        "a=a:typo;b=b:1;c=c:1",
        "a=a:typo;b=b:2;c=c:1",
        "b=b:2;c=c:1;d=a:1",
        "a=a:1;b=b:1;new=typo",
    ];
    each_seed(seeds(40), |seed| {
        let mode = ["always", "digest"][usize::from(seed % 2 == 0)];
        let images = |list| refreshed_by(list, mode);
        let mut world = World::new(seed, 7, config(&images(lists[0])), registry());
        let mut fate = Lots::new(seed + 1_000_000);
        for step in 0..60 {
            match fate.below(9) {
                0 | 1 => world.edit(&images(lists[fate.below(lists.len())])),
                2 => world.annotate(REFRESH, &step.to_string()),
                3 => {
                    world.registry.insert("b:1".to_owned(), 1000 + step);
                }
                4 => world.is_registry_down = !world.is_registry_down,
                5 => {
                    let node = format!("node-{:03}", fate.below(7));
                    if !world.silent.remove(&node) {
                        world.silent.insert(node);
                    }
                }
                6 => world.restart_daemon(),
                7 => world.pass(Duration::from_secs(700)),
                _ => {}
            }
            world.settle_for(fate.below(400));
        }
        world.is_registry_down = false;
        world.silent.clear();
        world.edit(&images("a=a:1;b=b:1;c=c:1"));
        world.settle_for(2000);
        world.pass(Duration::from_secs(1400));
        world.settle(MOST);
        world.annotate(REFRESH, "last");
        world.settle(MOST);
        assert_eq!(world.current_nodes(), 7);
        assert_eq!(world.fetchers_left(), [""; 0]);
        for node in &world.nodes {
            let runs = world.runs(node)["b"].1;
            assert_eq!(runs, world.registry["b:1"], "{}", world.story(node));
        }
    });
}
