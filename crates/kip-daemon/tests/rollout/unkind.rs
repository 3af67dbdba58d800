//! A cluster that is less kind: pods that are going hold nothing, policies change pods, containers are not made, numbers
//! are wrong.

use std::collections::BTreeSet;

use kip_daemon::cluster::{ContainerState, Failure, FailureKind};
use kip_daemon::desired::names::{REFRESHED_AT, ROUND};

use super::*;

#[test]
fn an_edit_lets_nothing_go_where_a_pod_that_is_going_holds_nothing() {
    each_seed(20, |seed| {
        let mut world = world(seed, 20, "a=a:1;b=b:1;c=c:1");
        world.strict = true;
        world.edit(&images("a=a:2;b=b:1;d=b:2"));
        world.settle(MOST);
        assert_eq!(world.current_nodes(), 20);
    });
}

#[test]
fn a_pod_on_a_node_that_is_not_wanted_any_more_does_not_make_a_fetcher_go_too_soon() {
    each_seed(20, |seed| {
        let mut world = world(seed, 20, "a=a:1;b=b:1;c=c:1");
        // A taint came later: the pod stays, the node is not counted as wanted.
        world.live.wanted_nodes = 19;
        world.touch_live();
        world.edit(&images("a=a:2;b=b:1;d=b:2"));
        world.settle(MOST);
        assert_eq!(world.current_nodes(), 20);
    });
}

#[test]
fn a_sleep_image_that_is_corrected_is_taken_up_though_it_is_no_part_of_the_content() {
    let mut world = world(1, 6, "a=a:1;b=b:1");
    world.bad_sleep = true;
    world.edit(&images("a=a:2;b=b:1"));
    world.settle(MOST);
    assert_eq!(world.swaps, 0);
    world.bad_sleep = false;
    world.change_template();
    for _ in 0..3 {
        world.pass(Duration::from_secs(1300));
        world.settle(MOST);
    }
    assert_eq!(world.current_nodes(), 6, "{:?}", world.news);
}

#[test]
fn a_policy_that_takes_the_asking_away_does_not_make_a_refresh_without_end() {
    let mut world = world(1, 5, "a=a:1;b=b:1");
    world.never_asks = true;
    world.annotate(REFRESH, "1");
    world.settle(MOST);
    assert!(world.fetchers <= 5, "{} fetchers", world.fetchers);
    assert!(world.round().is_some_and(|round| !round.is_active()));
}

#[test]
fn an_image_whose_container_cannot_be_made_by_the_fetcher_keeps_the_one_that_runs() {
    each_seed(20, |seed| {
        let mut world = world(seed, 5, "a=a:1;b=b:1;c=c:1");
        world.strict = true;
        world.no_start.insert("b:1".to_owned());
        world.edit(&images("a=a:2;b=b:1;c=c:1"));
        world.settle(MOST);
        assert_eq!(world.swaps, 0);
    });
}

#[test]
fn a_sidecar_that_crashes_in_a_pod_does_not_make_it_one_that_holds_nothing() {
    let mut world = world(1, 5, "a=a:1;b=b:1;c=c:1");
    for name in world.pods.keys().cloned().collect::<Vec<_>>() {
        let mut pod = world.pods[&name].clone();
        pod.init_failure = Some(Failure {
            kind: FailureKind::Start,
            reason: "CrashLoopBackOff".to_owned(),
            message: String::new(),
        });
        world.put(name, pod);
    }
    world.strict = true;
    world.edit(&images("a=a:2;b=b:1;c=c:1"));
    world.settle(MOST);
    assert_eq!(world.current_nodes(), 5);
}

#[test]
fn a_fetcher_that_brings_nothing_does_not_end_the_one_that_holds_something() {
    let mut world = world(1, 5, "a=a:1;b=b:1;c=c:1");
    world.strict = true;
    world.edit(&images("a=a:typo;b=b:2;c=c:1"));
    world.settle(MOST);
    world.bad_sleep = true;
    world.edit(&images("a=a:typo2;b=b:2;c=c:1"));
    world.settle(MOST);
    assert_eq!(world.swaps, 0);
}

#[test]
fn after_a_restart_of_the_nodes_without_a_registry_what_ended_containers_hold_is_not_let_go() {
    let mut world = world(1, 5, "a=a:1;b=b:1");
    world.always_ask();
    world.is_registry_down = true;
    for name in world.pods.keys().cloned().collect::<Vec<_>>() {
        let mut pod = world.pods[&name].clone();
        for container in &mut pod.containers {
            container.has_run = true;
            container.state = ContainerState::Failed(Failure {
                kind: FailureKind::Pull,
                reason: "ErrImagePull".to_owned(),
                message: String::new(),
            });
        }
        world.put(name, pod);
    }
    world.held.clear();
    world.edit(&images("a=a:2;b=b:1"));
    world.settle(MOST);
    assert_eq!(world.swaps, 0, "{:?}", world.news);
}

#[test]
fn a_clock_that_was_ahead_does_not_end_refreshes_for_good() {
    let settings = [("IMAGES", "a=a:1;b=b:1"), ("REFRESH", "always")];
    let mut world = World::new(1, 5, config(&settings), registry());
    world.annotate(REFRESHED_AT, "2100-01-01T00:00:00Z");
    world.pass(Duration::from_secs(3700));
    world.settle_for(500);
    assert!(world.fetchers > 0);
}

#[test]
fn a_refresh_arrives_where_a_policy_pins_images_as_pods_are_made() {
    let mut world = world(1, 3, "a=a:1;b=b:1");
    for name in world.pods.keys().cloned().collect::<Vec<_>>() {
        let mut pod = world.pods[&name].clone();
        for container in &mut pod.containers {
            container.image = format!("{}@old", container.image).into();
        }
        world.put(name, pod);
    }
    world.held.clear();
    world.registry.insert("a:1".to_owned(), 500);
    world.annotate(REFRESH, "1");
    world.settle(MOST);
    assert_eq!(world.swaps, 3, "{:?}", world.news);
}

#[test]
fn a_name_that_is_wrong_for_long_is_tried_at_one_node_after_the_other_and_leaves_one_fetcher() {
    let mut world = world(1, 10, "a=a:1;b=b:1");
    world.edit(&images("a=a:1;b=b:1;new=typo"));
    let typo = images("a=a:typo;b=b:1");
    world.edit(&typo);
    for _ in 0..12 {
        world.settle(MOST);
        assert!(
            world.fetchers_left().len() <= 1,
            "{:?}",
            world.fetchers_left()
        );
        world.pass(Duration::from_secs(601));
    }
    let stopped = world.news.iter().filter_map(|news| match news {
        News::Stopped { node, .. } => Some(node.as_str()),
        _ => None,
    });
    let nodes: BTreeSet<&str> = stopped.collect();
    // The node of the try before is passed over, its fetcher is just going.
    assert!(nodes.len() >= 9, "each in its turn: {nodes:?}");
    assert_eq!(world.swaps, 0);
}

#[test]
fn a_short_deadline_does_not_make_it_try_for_ever_without_a_pause() {
    let mut world = world(1, 5, "a=a:1;b=b:1");
    let mut typo = images("a=a:typo;b=b:1");
    typo.push(("SETTLE_DEADLINE", "1s"));
    world.edit(&typo);
    let end = world.now + Duration::from_secs(3600);
    while world.now < end {
        world.happen();
    }
    assert!(
        world.fetchers < 30,
        "{} fetchers in an hour",
        world.fetchers
    );
}

#[test]
fn a_refresh_on_demand_that_failed_as_a_whole_is_done_when_the_registry_is_back() {
    each_seed(20, |seed| {
        let mut world = world(seed, 5, "a=a:1;b=b:1");
        world.registry.insert("a:1".to_owned(), 500);
        world.is_registry_down = true;
        world.annotate(REFRESH, "1");
        world.settle(MOST);
        assert_eq!((world.swaps, world.fetchers), (0, 1));
        assert_eq!(world.live.annotations.get(REFRESH_HANDLED), None);
        world.is_registry_down = false;
        world.pass(Duration::from_secs(601));
        world.settle(MOST);
        assert_eq!(world.swaps, 5);
        assert_eq!(world.live.annotations[REFRESH_HANDLED], "1");
        assert_eq!(world.fetchers_left(), [""; 0]);
    });
}

#[test]
fn a_round_that_is_lost_is_begun_anew_with_a_number_of_its_own() {
    each_seed(20, |seed| {
        let mut world = world(seed, 10, "a=a:1;b=b:1");
        world.edit(&images("a=a:2;b=b:1"));
        for _ in 0..5 {
            world.settle_for(300);
            world.live.annotations.remove(ROUND);
            world.touch_live();
        }
        world.settle(MOST);
        assert_eq!((world.current_nodes(), world.swaps), (10, 10));
        assert_eq!(world.fetchers_left(), [""; 0]);
    });
}

#[test]
fn an_image_under_another_name_is_not_let_go_where_it_could_not_be_had_again() {
    each_seed(20, |seed| {
        let mut world = world(seed, 4, "a=a:1;b=b:1");
        world.strict = true;
        world.always_ask();
        world.registry.remove("b:1");
        world.edit(&images("a=a:2;other=b:1"));
        world.settle(MOST);
        assert_eq!(world.swaps, 0);
    });
}

#[test]
fn a_refresh_on_demand_that_no_node_could_take_part_in_is_repeated() {
    each_seed(20, |seed| {
        let mut world = world(seed, 4, "a=a:1;b=b:1");
        world.registry.insert("a:1".to_owned(), 500);
        world.silent = world.nodes.iter().cloned().collect();
        world.annotate(REFRESH, "1");
        for _ in 0..5 {
            world.settle_for(500);
            world.pass(Duration::from_secs(61));
        }
        world.settle(MOST);
        assert_eq!(world.requests, 0);
        assert_eq!(world.live.annotations.get(REFRESH_HANDLED), None);
        world.silent.clear();
        world.pass(Duration::from_secs(601));
        world.settle(MOST);
        assert_eq!(world.swaps, 4);
        assert_eq!(world.live.annotations[REFRESH_HANDLED], "1");
        assert_eq!(world.fetchers_left(), [""; 0]);
    });
}

#[test]
fn a_round_in_which_one_first_node_after_the_other_does_not_answer_ends_and_says_so() {
    each_seed(20, |seed| {
        let mut world = world(seed, 20, "a=a:1;b=b:1");
        world.silent = world.nodes.iter().cloned().collect();
        world.edit(&images("a=a:2;b=b:1"));
        world.settle(MOST);
        assert_eq!((world.fetchers, world.swaps), (3, 0));
        assert!(world.news.contains(&News::Unproven(3)), "{:?}", world.news);
        world.silent.clear();
        world.pass(Duration::from_secs(601));
        world.settle(MOST);
        assert_eq!((world.current_nodes(), world.swaps), (20, 20));
        assert_eq!(world.fetchers_left(), [""; 0]);
    });
}

#[test]
fn nodes_whose_fetchers_are_refused_hold_up_no_other() {
    each_seed(20, |seed| {
        let mut world = world(seed, 10, "a=a:1;b=b:1");
        world.refused = [0, 4, 5, 6].map(|n| format!("node-{n:03}")).into();
        world.edit(&images("a=a:2;b=b:1"));
        world.settle_for(20_000);
        assert_eq!(world.current_nodes(), 6);
        world.refused.clear();
        world.settle(MOST);
        assert_eq!((world.current_nodes(), world.swaps), (10, 10));
    });
}
