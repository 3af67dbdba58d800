//! The pods that the Go image puller has left.

use super::*;

#[test]
fn what_the_go_image_puller_holds_is_taken_over_without_the_registry() {
    each_seed(20, |seed| {
        let config = config(&images("a=a:1;b=b:1"));
        let mut world = World::adopting(seed, 20, config, registry(), &OLD);
        world.is_registry_down = true;
        assert_eq!(world.leftovers().len(), 20);
        world.settle(MOST);
        assert_eq!(world.leftovers(), [""; 0]);
        assert_eq!((world.current_nodes(), world.requests), (20, 0));
        assert_eq!((world.swaps, world.fetchers), (0, 0));
    });
}

#[test]
fn a_pod_of_the_go_image_puller_stays_where_ours_does_not_run_what_it_holds() {
    each_seed(20, |seed| {
        let config = config(&images("a=a:1;b=b:1;c=c:1"));
        let mut world = World::adopting(seed, 6, config, registry(), &OLD);
        world.silent.insert("node-002".to_owned());
        world.settle(MOST);
        let left: Vec<&str> = world.leftovers();
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(world.pods[left[0]].node, "node-002");
        world.silent.clear();
        world.settle(MOST);
        assert_eq!(world.leftovers(), [""; 0]);
    });
}

#[test]
fn an_image_that_cannot_be_had_does_not_keep_the_pods_of_the_go_image_puller() {
    each_seed(20, |seed| {
        let config = config(&images("a=a:typo;b=docker.io/library/b:1"));
        let mut world = World::adopting(seed, 6, config, registry(), &OLD);
        let key = |node: &String| (node.clone(), "docker.io/library/b:1".to_owned());
        world
            .stores
            .extend(world.nodes.iter().map(|node| (key(node), 101)));
        world.settle(MOST);
        assert_eq!(world.leftovers(), [""; 0]);
    });
}

#[test]
fn whatever_happens_while_the_go_image_puller_is_taken_over_nothing_is_let_go() {
    let lists = [
        "a=a:1;b=b:1",
        "a=a:2;b=b:1;c=c:1",
        "a=a:1;new=typo",
        "b=b:1;d=a:1",
    ];
    each_seed(seeds(40), |seed| {
        let config = config(&images(lists[0]));
        let mut world = World::adopting(seed, 7, config, registry(), &OLD);
        let mut fate = Lots::new(seed + 2_000_000);
        for _ in 0..20 {
            match fate.below(6) {
                0 | 1 => world.edit(&images(lists[fate.below(lists.len())])),
                2 => world.is_registry_down = !world.is_registry_down,
                3 => {
                    let node = format!("node-{:03}", fate.below(7));
                    if !world.silent.remove(&node) {
                        world.silent.insert(node);
                    }
                }
                4 => world.restart_daemon(),
                _ => world.pass(Duration::from_secs(700)),
            }
            world.settle_for(fate.below(60));
        }
        world.is_registry_down = false;
        world.silent.clear();
        world.edit(&images(lists[0]));
        world.settle_for(2000);
        world.pass(Duration::from_secs(1400));
        world.settle(MOST);
        assert_eq!((world.current_nodes(), world.leftovers().len()), (7, 0));
        assert_eq!(world.fetchers_left(), [""; 0]);
    });
}
