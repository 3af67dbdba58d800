//! All that the daemon does, with its own rights.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::DaemonSet;
use kip_e2e::lab::logs::{AuditLog, Request};
use kip_e2e::lab::release::NAME;
use kip_e2e::lab::templates::{apply, process};
use kip_e2e::lab::{Daemon, Identity, Space, eventually, eventually_within, space};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::super::setup::{self, Entries};
use super::{ACCOUNT, CONFIG_MAP, RIGHTS};

const REFRESHED: &str = "kubernetes-image-puller/refresh-handled";

/// An edit that fetches and swaps, a refresh that somebody asks for, a deletion that is healed.
async fn run(space: &Space, entries: &Entries) {
    space.all_held(entries).await;
    let mut edited = entries.clone();
    edited[0] = (
        entries[0].0.clone(),
        setup::push_images(&space.cluster, 1, 64).remove(0).1,
    );
    space
        .edit_config(json!({"IMAGES": setup::list(&edited)}))
        .await
        .unwrap();
    space.all_held(&edited).await;

    let api = space.api::<DaemonSet>();
    let asked = json!({"metadata": {"annotations": {"kubernetes-image-puller/refresh": "now"}}});
    api.patch(NAME, &PatchParams::default(), &Patch::Merge(asked))
        .await
        .unwrap();
    eventually_within(
        std::time::Duration::from_secs(180),
        "the refresh is carried out",
        async || {
            let daemonset = space.daemonset().await?;
            let handled = daemonset.annotations().get(REFRESHED);
            anyhow::ensure!(handled.is_some_and(|it| it == "now"), "{handled:?}");
            Ok(())
        },
    )
    .await;

    let uid = space.daemonset().await.unwrap().uid();
    api.delete(NAME, &DeleteParams::background()).await.unwrap();
    eventually("the DaemonSet is made again", async || {
        let daemonset = space.daemonset().await?;
        anyhow::ensure!(daemonset.uid() != uid, "it is the old one");
        Ok(())
    })
    .await;
    space.all_held(&edited).await;
}

/// What the account has asked of the API server: nothing was refused.
fn nothing_was_refused(audit: &AuditLog, user: &str, is_it: impl Fn(&Request) -> bool) {
    let requests = audit.requests().unwrap();
    let own: Vec<_> = requests.iter().filter(|it| is_it(it)).collect();
    let refused: Vec<_> = own
        .iter()
        .filter(|it| matches!(it.code(), 401 | 403))
        .collect();
    assert!(refused.is_empty(), "{user}: {refused:#?}");
    let made: BTreeSet<(&str, &str)> = own
        .iter()
        .map(|it| (it.resource(), it.verb.as_str()))
        .collect();
    let granted = |(_, resource, _, verbs): &(_, &'static str, _, &'static [&'static str])| {
        // A watch that was let in is in the log when it has ended, and one that was refused is there at once.
        let verbs = verbs.iter().filter(|verb| **verb != "watch");
        verbs.map(|verb| (*resource, *verb)).collect::<Vec<_>>()
    };
    let granted: BTreeSet<_> = RIGHTS.iter().flat_map(granted).collect();
    let idle: Vec<_> = granted.difference(&made).collect();
    for needed in [
        ("daemonsets", "list"),
        ("daemonsets", "patch"),
        ("configmaps", "list"),
        ("pods", "list"),
        ("pods", "create"),
        ("pods", "delete"),
        ("deployments", "get"),
        ("events", "create"),
    ] {
        assert!(made.contains(&needed), "{needed:?} was not used: {made:?}");
    }
    println!(
        "figure: rights: {user} made {} requests, none refused; not used: {idle:?}",
        own.len()
    );
}

#[tokio::test]
async fn with_the_charts_rights_nothing_is_refused_that_the_daemon_does() {
    space::within("course", async |space| {
        let audit = space.cluster.audit_log().unwrap();
        let entries = setup::push_images(&space.cluster, 2, 64);
        setup::installed(space, &entries).await;
        run(space, &entries).await;
        let user = Identity::new(&space.name, ACCOUNT).unwrap().user();
        nothing_was_refused(&audit, &user, |request| request.user() == user);
    })
    .await;
}

/// The same by a process of this machine that acts as the account of the templates.
#[tokio::test]
async fn with_the_templates_rights_nothing_is_refused_to_who_acts_as_the_account() {
    space::within("oc-course", async |space| {
        let audit = space.cluster.audit_log().unwrap();
        let entries = setup::push_images(&space.cluster, 2, 64);
        install_without_a_pod(space, &entries).await;
        let identity = Identity::new(&space.name, ACCOUNT).unwrap();
        let _daemon = start_as(space, &identity);
        run(space, &entries).await;
        let user = identity.user();
        nothing_was_refused(&audit, &user, |request| request.acting_as() == user);
    })
    .await;
}

/// The three templates, and no daemon of theirs.
pub(super) async fn install_without_a_pod(space: &Space, entries: &Entries) {
    let images = format!("IMAGES={}", setup::list(entries));
    for (template, arguments) in [
        ("serviceaccount.yaml", vec![]),
        ("configmap.yaml", vec![images.as_str()]),
        ("app.yaml", vec![]),
    ] {
        let mut list = process(template, &arguments).unwrap();
        for object in list["items"].as_array_mut().unwrap() {
            if object["kind"] == "Deployment" {
                object["spec"]["replicas"] = json!(0);
            }
        }
        apply(&list, &space.name, &[]).await.unwrap();
    }
}

/// The daemon as its Deployment starts it, as this account.
pub(super) fn start_as(space: &Space, identity: &Identity) -> Daemon {
    Daemon::start(&[
        ("KUBECONFIG", identity.kubeconfig()),
        ("POD_NAMESPACE", space.name.as_str()),
        ("DEPLOYMENT_NAME", NAME),
        ("CONFIG_MAP_NAME", CONFIG_MAP),
    ])
    .expect("the daemon starts")
}
