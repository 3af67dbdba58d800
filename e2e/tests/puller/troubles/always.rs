//! `AlwaysPullImages`, as a policy does it for one namespace.

use std::time::Duration;

use kip_e2e::lab::{Space, eventually, eventually_within, space};
use serde_json::json;

use super::super::setup;
use super::{policies, trouble_is};

/// Each new pod of the namespace asks the registry for every image at each start.
async fn with_always(space: &Space, body: impl AsyncFnOnce()) {
    let name = format!("always.{}", space.name);
    let always = |kind: &str| {
        format!(
            "object.spec.{kind}.map(c, Object.spec.{kind}{{name: c.name, imagePullPolicy: 'Always'}})"
        )
    };
    let expression = format!(
        "Object{{spec: Object.spec{{containers: {}, initContainers: has(object.spec.initContainers) ? {} : []}}}}",
        always("containers"),
        always("initContainers")
    );
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail", "reinvocationPolicy": "Never",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space.name}},
                "resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
                }],
            },
            "mutations": [
                {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}},
            ],
        },
    });
    let binding = json!({"metadata": {"name": name}, "spec": {"policyName": name}});
    let objects = [
        ("MutatingAdmissionPolicy", policy),
        ("MutatingAdmissionPolicyBinding", binding),
    ];
    policies::within(space, &name, objects, async || {
        eventually("the policy is in force", async || probe(space).await).await;
        body().await;
    })
    .await;
}

async fn probe(space: &Space) -> anyhow::Result<()> {
    let pod = policies::probe(space, json!({})).await?;
    let policies = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut policies = policies.map(|container| container.image_pull_policy.as_deref());
    anyhow::ensure!(policies.all(|policy| policy == Some("Always")), "not yet");
    Ok(())
}

#[tokio::test]
async fn a_policy_that_always_pulls_is_named_and_a_rollout_under_it_lets_nothing_go() {
    space::within("always", async |space| {
        with_always(space, async || scenario(space).await).await;
    })
    .await;
}

async fn scenario(space: &Space) {
    let mut entries = setup::push_images(&space.cluster, 3, 64);
    setup::installed(space, &entries).await;
    space.event_says("AlwaysPulled", "AlwaysPullImages").await;
    trouble_is(space, "always_pull", "2").await;

    entries[0].1 = setup::push_images(&space.cluster, 1, 64).remove(0).1;
    let edit = json!({"IMAGES": setup::list(&entries)});
    space.edit_config(edit).await.unwrap();
    let patient = Duration::from_secs(180);
    eventually_within(patient, "the edit is on all nodes", async || {
        space.held(&entries).await
    })
    .await;
    let before = space.fingerprints().await.unwrap();

    // A pod made anew would ask for this one, and not start it.
    setup::remove(&space.cluster, &entries[1].1);
    entries[0].1 = setup::push_images(&space.cluster, 1, 64).remove(0).1;
    let edit = json!({"IMAGES": setup::list(&entries)});
    space.edit_config(edit).await.unwrap();
    space.event_says("NodeSkipped", "cannot be had").await;
    assert_eq!(space.fingerprints().await.unwrap(), before);
}
