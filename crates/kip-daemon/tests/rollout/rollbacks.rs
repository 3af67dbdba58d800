//! Tags that go back, nodes that come and go, registries that answer now and then: what the daemon has noted of a refresh
//! never counts more than what the nodes report.

use super::*;

const B: &str = "b:1";

fn refreshed(more: &[(&'static str, &'static str)], reports_another: bool) -> World {
    digests::refreshed(1, more, reports_another)
}

fn refresh(world: &mut World, request: &str) {
    world.annotate(REFRESH, request);
    world.settle(MOST);
}

fn all_run(world: &World, content: u64) {
    for node in &world.nodes {
        assert_eq!(world.runs(node)["b"].1, content, "{node}");
    }
}

#[test]
fn a_release_that_nodes_got_as_they_were_replaced_is_taken_back() {
    for reports_another in [false, true] {
        let mut world = refreshed(&[], reports_another);
        for node in world.nodes.clone() {
            // Pulled while the tag stood for it, between two refreshes.
            world.make_stale(&node, B, 777);
        }
        world.settle(MOST);
        refresh(&mut world, "again");
        all_run(&world, 101);
    }
}

/// A release that does not reach one node, which is then as `then` says, and is taken back.
fn rolled_back_after_a_miss(reports_another: bool, then: impl Fn(&mut World)) {
    let mut world = refreshed(&[], reports_another);
    world.registry.insert(B.to_owned(), 777);
    world.silent.insert("node-003".to_owned());
    refresh(&mut world, "again");
    world.silent.clear();
    then(&mut world);
    world.registry.insert(B.to_owned(), 101);
    refresh(&mut world, "rolled back");
    assert_eq!(world.live.annotations[REFRESH_HANDLED], "rolled back");
    all_run(&world, 101);
}

#[test]
fn a_release_that_one_node_has_missed_is_taken_back_after_that_node_is_gone() {
    for reports_another in [false, true] {
        rolled_back_after_a_miss(reports_another, |world| {
            world.remove_node("node-003");
            world.pass(Duration::from_secs(3700));
            world.settle(MOST);
        });
    }
}

#[test]
fn a_release_that_one_node_has_missed_is_taken_back_on_the_others() {
    for reports_another in [false, true] {
        rolled_back_after_a_miss(reports_another, |world| {
            world.pass(Duration::from_secs(3700));
        });
    }
}

#[test]
fn a_release_that_nodes_have_asked_for_themselves_is_taken_back() {
    for reports_another in [false, true] {
        let mut world = refreshed(&[], reports_another);
        world.registry.insert(B.to_owned(), 777);
        world.unaskable = ["a:1", "b:1", "c:1"].map(str::to_owned).into();
        refresh(&mut world, "again");
        all_run(&world, 777);
        world.unaskable.clear();
        world.registry.insert(B.to_owned(), 101);
        refresh(&mut world, "rolled back");
        all_run(&world, 101);
    }
}

#[test]
fn a_node_that_brings_an_old_content_on_its_disk_gets_the_current_one() {
    for reports_another in [false, true] {
        let mut world = refreshed(&[], reports_another);
        world.make_stale("node-004", B, 55);
        world.settle(MOST);
        refresh(&mut world, "again");
        all_run(&world, 101);
    }
}

#[test]
fn a_runtime_that_reports_another_digest_makes_no_refresh_ask_again() {
    let mut world = refreshed(&[], true);
    refresh(&mut world, "again");
    assert_eq!(
        (world.heads.get(), world.requests, world.fetchers),
        (3, 0, 0)
    );
}

#[test]
fn a_request_that_is_tried_again_asks_the_registries_again() {
    let mut world = refreshed(&[], false);
    world.is_registry_down = true;
    refresh(&mut world, "again");
    let first = world.heads.get();
    world.is_registry_down = false;
    world.pass(Duration::from_secs(3700));
    world.settle(MOST);
    assert_eq!(world.live.annotations[REFRESH_HANDLED], "again");
    assert_eq!(world.heads.get(), first + 3);
}

#[test]
fn where_no_registry_answers_and_no_node_is_to_ask_it_is_tried_again() {
    let mut world = refreshed(&[("REFRESH_FALLBACK", "never")], false);
    world.registry.insert(B.to_owned(), 777);
    world.is_registry_down = true;
    refresh(&mut world, "again");
    assert_eq!(world.live.annotations[REFRESH_HANDLED], "first");
    world.is_registry_down = false;
    world.pass(Duration::from_secs(3700));
    world.settle(MOST);
    assert_eq!(world.live.annotations[REFRESH_HANDLED], "again");
    all_run(&world, 777);
}

/// Edits, tags that move there and back, silent nodes, registries that answer now and then, restarts.
fn whatever_happens(seed: u64) {
    let lists = [
        "a=a:1;b=b:1;c=c:1",
        "a=a:1;b=b:1",
        "a=a:1;b=b:1;c=c:1;d=b:2",
    ];
    let settings = |list| {
        let hourly = ("CACHING_INTERVAL_HOURS", "1");
        vec![("IMAGES", list), WAVES_OF_THREE, hourly]
    };
    let mut world = World::new(seed, 6, config(&settings(lists[0])), registry());
    world.reports_another = seed % 2 == 1;
    let mut lots = Lots::new(seed ^ 0x00ab_cdef);
    for step in 0..25 {
        match lots.below(9) {
            0 | 1 => {
                let image = ["a:1", "b:1", "c:1", "b:2"][lots.below(4)];
                let content = 2000 + u64::from(lots.below(2) == 1);
                world.registry.insert(image.to_owned(), content);
            }
            2 => world.annotate(REFRESH, &step.to_string()),
            3 => world.edit(&settings(lists[lots.below(3)])),
            4 => {
                let node = format!("node-{:03}", lots.below(6));
                if !world.silent.remove(&node) {
                    world.silent.insert(node);
                }
            }
            5 => {
                let image = ["a:1", "b:1"][lots.below(2)].to_owned();
                if !world.unaskable.remove(&image) {
                    world.unaskable.insert(image);
                }
            }
            6 => world.restart_daemon(),
            7 => world.is_registry_down = !world.is_registry_down,
            _ => world.pass(Duration::from_secs(3700)),
        }
        world.settle_for(lots.below(120));
    }
    world.silent.clear();
    world.unaskable.clear();
    world.is_registry_down = false;
    for last in 0..3 {
        world.pass(Duration::from_secs(7300));
        world.settle(MOST);
        refresh(&mut world, &format!("last {last}"));
    }
    for node in &world.nodes {
        for (name, (image, content)) in world.runs(node) {
            let wanted = world.registry[&image];
            assert_eq!(content, wanted, "{name} on {}", world.story(node));
        }
    }
}

#[test]
fn whatever_happens_each_node_ends_with_what_the_registry_has() {
    each_seed(seeds(60), whatever_happens);
}
