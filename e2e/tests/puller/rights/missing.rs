//! One right is missing: the daemon says which.

use std::collections::BTreeSet;

use k8s_openapi::api::rbac::v1::Role;
use kip_e2e::lab::identity::Served;
use kip_e2e::lab::{Daemon, Identity, Space, eventually, space};
use kube::Client;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::super::setup;
use super::asking::{Question, allowed};
use super::course::{install_without_a_pod, start_as};
use super::{ACCOUNT, RIGHTS};

const ROLE: &str = "create-daemonset";

/// Gives all rights but one, and waits until the API server goes by it.
async fn give(space: &Space, client: &Client, rules: &Value, missing: Option<(&str, &str)>) {
    let rules = missing.map_or_else(
        || rules.clone(),
        |(resource, verb)| without(rules, resource, verb),
    );
    let patch = Patch::Merge(json!({ "rules": rules }));
    space
        .api::<Role>()
        .patch(ROLE, &PatchParams::default(), &patch)
        .await
        .expect("the Role can be changed");
    let question = |group: &str, resource: &str, only: Option<&'static str>, verb| Question {
        served: Served {
            group: group.to_owned(),
            resource: resource.to_owned(),
            version: String::new(),
            namespaced: true,
        },
        verb,
        place: space.name.clone(),
        name: only.unwrap_or_default(),
    };
    let mut questions = Vec::new();
    let mut expected = BTreeSet::new();
    for (group, resource, only, verbs) in RIGHTS {
        for verb in verbs {
            let question = question(group, resource, only, verb);
            if missing != Some((resource, verb)) {
                expected.insert(question.to_string());
            }
            questions.push(question);
        }
    }
    eventually("the rights are in force", async || {
        let found = allowed(client, questions.clone()).await;
        anyhow::ensure!(found == expected, "{found:?}");
        Ok(())
    })
    .await;
}

/// The rules without one verb on one resource.
fn without(rules: &Value, resource: &str, verb: &str) -> Value {
    let mut rules = rules.clone();
    for rule in rules.as_array_mut().expect("rules") {
        if rule["resources"] == json!([resource]) {
            let verbs = rule["verbs"].as_array_mut().expect("verbs");
            let count = verbs.len();
            verbs.retain(|it| it != verb);
            assert_eq!(verbs.len(), count - 1, "{resource} had no {verb}");
        }
    }
    // A rule must have a verb.
    let rules = rules.as_array().expect("rules").iter();
    rules
        .filter(|rule| rule["verbs"] != json!([]))
        .cloned()
        .collect()
}

async fn names(daemon: &Daemon, verb: &str, resource: &str) {
    let what = format!("the daemon misses {verb} on {resource}");
    eventually(&what, async || {
        let (_, metrics) = daemon.get("/metrics").unwrap_or_default();
        let count = metrics
            .lines()
            .find_map(|line| line.strip_prefix(r#"kip_api_errors_total{category="forbidden"} "#));
        let log = daemon.log();
        // An Event that cannot be written is told by the log alone.
        let is_counted = count.is_some_and(|count| count != "0");
        let words = format!("cannot {verb} resource");
        let is_named = log
            .lines()
            .any(|line| line.contains(&words) && line.contains(resource));
        anyhow::ensure!(is_counted && is_named, "forbidden: {count:?}\n{log}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn each_missing_right_is_counted_and_named() {
    space::within("missing", async |space| {
        let entries = setup::push_images(&space.cluster, 1, 64);
        install_without_a_pod(space, &entries).await;
        let role = space.api::<Role>().get(ROLE).await.unwrap();
        let all = serde_json::to_value(role.rules).unwrap();
        let identity = Identity::new(&space.name, ACCOUNT).unwrap();
        let client = identity.client().await.unwrap();
        // The owner is asked for before the first DaemonSet is made: as long as none can be made it is.
        for (resource, verb) in [
            ("daemonsets", "create"),
            ("deployments", "get"),
            ("daemonsets", "get"),
            ("daemonsets", "patch"),
            ("daemonsets", "list"),
            ("daemonsets", "watch"),
            ("pods", "list"),
            ("pods", "watch"),
            ("deployments", "list"),
            ("deployments", "watch"),
            ("configmaps", "list"),
            ("configmaps", "watch"),
            ("events", "create"),
        ] {
            give(space, &client, &all, Some((resource, verb))).await;
            let daemon = start_as(space, &identity);
            names(&daemon, verb, resource).await;
            drop(daemon);
        }
        give(space, &client, &all, None).await;
        let daemon = start_as(space, &identity);
        space.all_held(&entries).await;
        let mut list = entries;
        for (verb, reason) in [
            ("create", "FetchRefused"),
            ("get", "ApplyFailed"),
            ("delete", "ApplyFailed"),
        ] {
            give(space, &client, &all, Some(("pods", verb))).await;
            list[0].1 = setup::push_images(&space.cluster, 1, 64).remove(0).1;
            let edit = json!({"IMAGES": setup::list(&list)});
            space.edit_config(edit).await.unwrap();
            names(&daemon, verb, "pods").await;
            let words = format!("cannot {verb} resource \"pods\"");
            space.event_says(reason, &words).await;
            give(space, &client, &all, None).await;
            space.all_held(&list).await;
        }
    })
    .await;
}
