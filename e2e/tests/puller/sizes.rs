//! What `kip-daemon check` says of quotas, held to a real one.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by a panic, in its helper functions as well"
)]

use std::collections::BTreeMap;
use std::process::Command;

use k8s_openapi::api::core::v1::ResourceQuota;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kip_daemon::config::quantity;
use kip_daemon::sizing::amount::Amount;
use kip_e2e::lab::cluster::repository;
use kip_e2e::lab::{Change, History, Space, space};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::setup;

/// The nodes of the cluster.
const NODES: usize = 2;

type Figures = BTreeMap<String, String>;

/// The quota that `check` prints for this list.
fn printed(list: &str) -> Figures {
    let program = repository().join("bin/kip-daemon");
    let output = Command::new(program)
        .args(["check", "--nodes", &NODES.to_string()])
        .env("IMAGES", list)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (_, hard) = text.split_once("hard:\n").unwrap();
    let figures = hard.lines().map_while(|line| line.trim().split_once(": "));
    figures
        .map(|(name, amount)| (name.to_owned(), amount.trim_matches('"').to_owned()))
        .collect()
}

async fn set_quota(space: &Space, hard: &Figures) {
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "exact"}, "spec": {"hard": hard}});
    let api = space.api::<ResourceQuota>();
    let params = PatchParams::apply("test").force();
    api.patch("exact", &params, &Patch::Apply(quota))
        .await
        .unwrap();
}

/// In thousandths of a unit.
fn amount(text: &str) -> i128 {
    Amount::from(&quantity::Quantity::parse(text).unwrap()).milli()
}

/// The most that was used of each figure at any moment.
fn most_used(history: &History<ResourceQuota>) -> BTreeMap<String, i128> {
    history.read(|changes| {
        let mut most = BTreeMap::new();
        for change in changes {
            let (Change::Now(quota) | Change::Gone(quota)) = change;
            let used = quota
                .status
                .as_ref()
                .and_then(|status| status.used.as_ref());
            for (name, Quantity(used)) in used.into_iter().flatten() {
                let most: &mut i128 = most.entry(name.clone()).or_default();
                *most = amount(used).max(*most);
            }
        }
        most
    })
}

#[tokio::test]
async fn the_quota_that_check_prints_is_used_up_by_a_change_and_not_exceeded() {
    space::within("sizes", async |space| {
        let mut entries = setup::push_images(&space.cluster, 3, 64);
        let hard = printed(&setup::list(&entries));
        assert_eq!(hard.len(), 5, "{hard:?}");
        set_quota(space, &hard).await;
        let history = History::start(space.api::<ResourceQuota>()).await.unwrap();
        setup::installed(space, &entries).await;
        let change = |entries: &mut setup::Entries| {
            entries[0].1 = setup::push_images(&space.cluster, 1, 64).remove(0).1;
            json!({"IMAGES": setup::list(entries)})
        };
        let edit = change(&mut entries);
        space.edit_config(edit).await.unwrap();
        space.all_held(&entries).await;
        history.caught_up().await;
        let wanted: BTreeMap<String, i128> = hard
            .iter()
            .map(|(name, text)| (name.clone(), amount(text)))
            .collect();
        assert_eq!(most_used(&history), wanted, "no less would have done");

        let mut less = hard.clone();
        let pods: usize = less["pods"].parse().unwrap();
        less.insert("pods".to_owned(), (pods - 1).to_string());
        set_quota(space, &less).await;
        let edit = change(&mut entries);
        space.edit_config(edit).await.unwrap();
        space
            .event_says("FetchRefused", "exceeded quota: exact")
            .await;
        set_quota(space, &hard).await;
        space.all_held(&entries).await;
    })
    .await;
}
