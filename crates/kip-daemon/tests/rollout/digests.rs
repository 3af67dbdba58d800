//! Refreshes by digest: the daemon asks, and nodes only for what has changed.

use kip_daemon::architecture::Architecture;

use super::*;

/// A cluster of ten nodes that has had its first refresh.
pub(super) fn refreshed(
    seed: u64,
    more: &[(&'static str, &'static str)],
    reports_another: bool,
) -> World {
    let mut settings = refreshed_by("a=a:1;b=b:1;c=c:1", "digest");
    settings.extend(more);
    let mut world = World::new(seed, 10, config(&settings), registry());
    world.reports_another = reports_another;
    world.annotate(REFRESH, "first");
    world.settle(MOST);
    world.requests = 0;
    world.fetchers = 0;
    world.heads.set(0);
    world.news.clear();
    world
}

#[test]
fn an_unchanged_refresh_is_one_request_for_each_tag_and_no_pod() {
    each_seed(20, |seed| {
        let mut world = refreshed(seed, &[], false);
        world.annotate(REFRESH, "again");
        world.settle(MOST);
        assert_eq!((world.heads.get(), world.requests), (3, 0));
        assert_eq!((world.fetchers, world.swaps), (0, 0));
        assert_eq!(world.live.annotations[REFRESH_HANDLED], "again");
    });
}

#[test]
fn only_what_has_changed_is_asked_for_by_nodes() {
    each_seed(20, |seed| {
        let mut world = refreshed(seed, &[], false);
        world.registry.insert("b:1".to_owned(), 777);
        world.annotate(REFRESH, "again");
        world.settle(MOST);
        assert_eq!((world.heads.get(), world.requests), (3, 10));
        assert_eq!(world.swaps, 10);
        let told = changes(&world);
        assert_eq!(
            told,
            ["b sha256:0000000000000065 → sha256:0000000000000309"]
        );
        for node in &world.nodes {
            assert_eq!(world.runs(node)["b"].1, 777, "{node}");
        }
        world.annotate(REFRESH, "and again");
        world.settle(MOST);
        assert_eq!((world.requests, world.swaps), (10, 10));
    });
}

/// As where a tag has nothing for the architecture of some nodes any more.
#[test]
fn nodes_that_cannot_have_it_any_more_keep_it_from_no_other() {
    for foreign in [0..5, 5..10] {
        let mut world = refreshed(1, &[], false);
        world.registry.insert("b:1".to_owned(), 777);
        let nodes: Vec<String> = world.nodes[foreign].to_vec();
        let pairs = nodes.iter().map(|node| (node.clone(), "b:1".to_owned()));
        world.foreign = pairs.collect();
        world.annotate(REFRESH, "again");
        world.settle(MOST);
        for _ in 0..10 {
            world.pass(Duration::from_secs(601));
            world.settle(MOST);
        }
        assert_eq!(world.live.annotations[REFRESH_HANDLED], "again");
        for node in &world.nodes {
            let content = if nodes.contains(node) { 101 } else { 777 };
            assert_eq!(world.runs(node)["b"].1, content, "{node}");
        }
    }
}

fn unfit_for_arm(world: &mut World, image: &str, architectures: &[Architecture]) {
    let unfit = architectures.iter().copied().collect();
    world.unfit.0.insert("b".to_owned(), unfit);
    let arm = world.arm.iter().cloned();
    world.foreign = arm.map(|node| (node, image.to_owned())).collect();
}

#[test]
fn nodes_of_an_architecture_that_it_has_nothing_for_do_not_ask() {
    for arm in [0..5, 5..10] {
        let mut world = refreshed(1, &[], false);
        world.are_of_arm(arm);
        world.registry.insert("b:1".to_owned(), 777);
        unfit_for_arm(&mut world, "b:1", &[Architecture::Arm64]);
        // Also when nothing changes any more.
        for request in ["again", "and again"] {
            world.annotate(REFRESH, request);
            world.settle(MOST);
            assert_eq!(world.live.annotations[REFRESH_HANDLED], request);
            assert_eq!((world.requests, world.swaps), (5, 5));
        }
        for node in &world.nodes {
            let content = if world.arm.contains(node) { 101 } else { 777 };
            assert_eq!(world.runs(node)["b"].1, content, "{node}");
        }
        // It has something for them again.
        unfit_for_arm(&mut world, "b:1", &[]);
        (world.arm, world.foreign) = Default::default();
        world.annotate(REFRESH, "mended");
        world.settle(MOST);
        for node in &world.nodes {
            assert_eq!(world.runs(node)["b"].1, 777, "{node}");
        }
    }
}

/// As where it is no image any more.
#[test]
fn what_no_node_can_use_no_node_asks_for() {
    let mut world = refreshed(1, &[], false);
    world.registry.insert("b:1".to_owned(), 777);
    world.registry.insert("c:1".to_owned(), 778);
    unfit_for_arm(&mut world, "b:1", &Architecture::ALL);
    world.annotate(REFRESH, "again");
    world.settle(MOST);
    assert_eq!(world.live.annotations[REFRESH_HANDLED], "again");
    assert_eq!(world.requests, 10, "for c alone");
    for node in &world.nodes {
        assert_eq!(
            (world.runs(node)["b"].1, world.runs(node)["c"].1),
            (101, 778)
        );
    }
}

/// That no node can use it is an answer, too: the refresh is done.
#[test]
fn a_refresh_of_nothing_that_nodes_can_use_is_done() {
    let mut world = World::new(1, 10, config(&refreshed_by("b=b:1", "digest")), registry());
    world.annotate(REFRESH, "first");
    world.settle(MOST);
    world.registry.insert("b:1".to_owned(), 777);
    unfit_for_arm(&mut world, "b:1", &Architecture::ALL);
    world.requests = 0;
    world.annotate(REFRESH, "again");
    world.settle(MOST);
    assert_eq!(world.live.annotations[REFRESH_HANDLED], "again");
    assert_eq!(world.requests, 0);
}

#[test]
fn what_has_changed_and_does_not_arrive_is_asked_for_again_the_next_time() {
    each_seed(20, |seed| {
        let mut world = refreshed(seed, &[], false);
        world.registry.insert("b:1".to_owned(), 777);
        world.silent.insert("node-003".to_owned());
        world.annotate(REFRESH, "again");
        world.settle(MOST);
        assert_eq!(world.runs("node-003")["b"].1, 101);
        world.silent.clear();
        world.pass(Duration::from_secs(601));
        world.annotate(REFRESH, "and again");
        world.settle(MOST);
        assert_eq!(world.runs("node-003")["b"].1, 777);
        assert_eq!(world.fetchers_left(), [""; 0]);
    });
}

#[test]
fn what_the_daemon_cannot_ask_for_one_node_asks_for() {
    for (fallback, requests) in [("node", 1), ("always", 3), ("never", 0)] {
        let mut world = refreshed(1, &[("REFRESH_FALLBACK", fallback)], false);
        world.unaskable.insert("c:1".to_owned());
        world.annotate(REFRESH, "again");
        world.settle(MOST);
        assert_eq!((world.requests, world.swaps), (requests, 0), "{fallback}");
    }
}

#[test]
fn unchanged_refreshes_follow_the_interval_however_short_it_is() {
    let short = ("CACHING_INTERVAL_HOURS", "30s");
    for nodes in [1, 4] {
        let settings = [("IMAGES", "a=a:1;b=b:1"), WAVES_OF_THREE, short];
        let mut world = World::new(5, nodes, config(&settings), registry());
        world.settle(MOST);
        for round in 1..6 {
            world.heads.set(0);
            world.pass(Duration::from_secs(31));
            world.settle(MOST);
            assert_eq!(world.heads.get(), 2, "refresh {round} of {nodes} nodes");
        }
    }
}

#[test]
fn what_the_registry_does_not_have_no_node_asks_for() {
    for fallback in ["node", "never"] {
        let mut world = refreshed(1, &[("REFRESH_FALLBACK", fallback)], false);
        world.registry.remove("c:1");
        world.annotate(REFRESH, "again");
        world.settle(MOST);
        assert_eq!((world.requests, world.fetchers), (0, 0), "{fallback}");
        assert_eq!(world.live.annotations[REFRESH_HANDLED], "again");
    }
}

#[test]
fn a_tag_that_moves_at_each_interval_arrives_each_time() {
    let hourly = ("CACHING_INTERVAL_HOURS", "1");
    let settings = [("IMAGES", "a=a:1;b=b:1"), WAVES_OF_THREE, hourly];
    let mut world = World::new(3, 6, config(&settings), registry());
    for content in 1000..1010 {
        world.registry.insert("a:1".to_owned(), content);
        world.pass(Duration::from_secs(3601));
        world.settle(MOST);
        for node in &world.nodes {
            assert_eq!(world.runs(node)["a"].1, content, "{node}");
        }
    }
}
