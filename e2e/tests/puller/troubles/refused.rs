//! A policy that refuses the fetcher of one node.

use k8s_openapi::api::core::v1::Pod;
use kip_e2e::lab::space::container_status;
use kip_e2e::lab::{Space, eventually, space};
use kube::ResourceExt as _;
use serde_json::json;

use super::super::setup;
use super::{policies, trouble_is};

const NODE: &str = "kubernetes-image-puller/node";

/// The node on which each pod runs, and whether all its images do.
async fn nodes(space: &Space) -> anyhow::Result<Vec<(String, Pod)>> {
    let pods = space.holder_pods().await?;
    let node = |pod: Pod| Some((pod.spec.as_ref()?.node_name.clone()?, pod));
    let mut nodes: Vec<(String, Pod)> = pods.into_iter().filter_map(node).collect();
    nodes.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(nodes)
}

/// No pod that says that it is for this node.
async fn without_fetchers(space: &Space, node: &str, body: impl AsyncFnOnce()) {
    let name = format!("refused.{}", space.name);
    let expression = format!(
        "!has(object.metadata.annotations) || !('{NODE}' in object.metadata.annotations) || \
         object.metadata.annotations['{NODE}'] != '{node}'"
    );
    let policy = json!({
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space.name}},
                "resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
                }],
            },
            "validations": [{"expression": expression, "message": "not on this node"}],
        },
    });
    let binding = json!({"metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]}});
    let objects = [
        ("ValidatingAdmissionPolicy", policy),
        ("ValidatingAdmissionPolicyBinding", binding),
    ];
    policies::within(space, &name, objects, async || {
        eventually("the policy is in force", async || {
            let tried = policies::probe(space, json!({NODE: node})).await;
            let refused = tried.is_err_and(|error| error.to_string().contains("not on this node"));
            anyhow::ensure!(refused, "not yet");
            Ok(())
        })
        .await;
        body().await;
    })
    .await;
}

#[tokio::test]
async fn a_policy_that_refuses_the_fetcher_of_one_node_holds_up_no_other() {
    space::within("refuse-one", async |space| {
        let mut entries = setup::push_images(&space.cluster, 2, 64);
        setup::installed(space, &entries).await;
        let before = nodes(space).await.unwrap();
        // A round begins at the first by name.
        let (first, old) = &before[0];
        without_fetchers(space, first, async || {
            entries[0].1 = setup::push_images(&space.cluster, 1, 64).remove(0).1;
            let edit = json!({"IMAGES": setup::list(&entries)});
            space.edit_config(edit).await.unwrap();
            space.event_says("FetchRefused", "not on this node").await;
            trouble_is(space, "admission", "1").await;
            eventually("the other nodes have the new list", async || {
                for (node, pod) in nodes(space).await? {
                    let image = &container_status(&pod, &entries[0].0)?.image;
                    let is_new = *image == entries[0].1;
                    anyhow::ensure!(is_new == (node != *first), "{node}: {image}");
                }
                Ok(())
            })
            .await;
            let now = nodes(space).await.unwrap();
            assert_eq!(now[0].1.uid(), old.uid(), "what it holds stays");
        })
        .await;
        space.all_held(&entries).await;
        trouble_is(space, "admission", "0").await;
    })
    .await;
}
