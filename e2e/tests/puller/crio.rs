//! A node whose runtime is CRI-O, as those of OpenShift are. `hack/run-e2e.sh --of crio` adds it.

use kip_e2e::lab::{alone, space};

use super::rollout::{contents, no_fetcher_is_left, refresh};
use super::setup;

/// Its name.
const NODE: &str = "crio-1";

#[tokio::test]
#[ignore = "it needs a node of CRI-O: hack/run-e2e.sh --of crio"]
async fn samples_of_all_kinds_are_held_there_and_a_moved_tag_comes() {
    let _alone = alone();
    space::within("crio", async |space| {
        let mut entries = setup::push_samples(&space.cluster);
        entries.extend(setup::push_images(&space.cluster, 1, 64));
        setup::installed(space, &entries).await;
        let (moving, image) = entries.last().unwrap();
        let before = contents(space, moving).await.unwrap();
        assert!(before.contains_key(NODE), "{before:?}");

        setup::push_anew(&space.cluster, image, 64);
        refresh(space, "moved").await;
        no_fetcher_is_left(space).await;
        space.all_held(&entries).await;
        let after = contents(space, moving).await.unwrap();
        assert_ne!(after[NODE], before[NODE]);
    })
    .await;
}
