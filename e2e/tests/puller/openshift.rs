//! The templates of deploy/openshift, in a namespace that treats pods as OpenShift does.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kip_e2e::lab::release::NAME;
use kip_e2e::lab::templates::{apply, process};
use kip_e2e::lab::{Space, alone, eventually, openshift};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::json;

use super::setup::{self, Entries};

const SERVICE_ACCOUNT: &str = "serviceaccount.yaml";
const CONFIG_MAP: &str = "configmap.yaml";
const APP: &str = "app.yaml";
/// In the order of the documentation.
const TEMPLATES: [&str; 3] = [SERVICE_ACCOUNT, CONFIG_MAP, APP];

/// Who administers the project, and nothing beside it.
const DEVELOPER: &str = "developer";

/// `oc process -f TEMPLATE … | oc apply -f -`, as the project's administrator.
async fn install(space: &Space, template: &str, entries: &Entries, more: &[&str]) -> String {
    let mut arguments: Vec<String> = more.iter().map(|&argument| argument.to_owned()).collect();
    if template == CONFIG_MAP {
        arguments.push(format!("IMAGES={}", setup::list(entries)));
    }
    let list = process(template, &arguments).expect("the template can be processed");
    let user = format!("--as={DEVELOPER}");
    apply(&list, &space.name, &[&user])
        .await
        .expect("kubectl apply")
}

/// On OpenShift who makes a project is its administrator: the right to do all in it, and not to give away more.
async fn administered_by_its_developer(space: &Space) {
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "admin"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": DEVELOPER}],
    }))
    .expect("a RoleBinding");
    space
        .api::<RoleBinding>()
        .create(&PostParams::default(), &binding)
        .await
        .expect("the RoleBinding can be made");
}

/// Users and groups of a process of this machine: the four ids of `/proc/PID/status`, and the supplementary groups.
fn ids(pid: &str) -> (BTreeSet<i64>, BTreeSet<i64>) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let of = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let words = line.unwrap_or_default().split_whitespace();
        words.map(|word| word.parse().expect("an id")).collect()
    };
    (of("Uid:"), of("Groups:"))
}

async fn runs_as_openshift_says(space: &Space, pod: &Pod, container: &str) {
    let (node, _, pid) = setup::task(space, pod, container)
        .await
        .expect("a running container");
    let (users, groups) = ids(&pid);
    assert_eq!(
        users,
        BTreeSet::from([openshift::ID]),
        "{container} on {node}"
    );
    assert!(
        groups.contains(&openshift::ID),
        "{container} on {node}: {groups:?}"
    );
}

#[tokio::test]
async fn what_the_templates_install_runs_under_the_ids_that_openshift_assigns() {
    let _alone = alone();
    openshift::within("scc", async |space| {
        administered_by_its_developer(space).await;
        let entries = setup::push_images(&space.cluster, 2, 64);
        for template in TEMPLATES {
            install(space, template, &entries, &[]).await;
        }
        let pods = space.all_held(&entries).await;
        assert!(pods.len() >= 2, "{pods:?}");
        for pod in &pods {
            for (name, _) in &entries {
                runs_as_openshift_says(space, pod, name).await;
            }
        }
        runs_as_openshift_says(space, &space.daemon_ready().await, NAME).await;

        // The same once more changes nothing.
        let before = space.fingerprints().await.unwrap();
        for template in TEMPLATES {
            install(space, template, &entries, &[]).await;
        }
        let deployment = space.api::<Deployment>().get(NAME).await.unwrap();
        assert_eq!(deployment.metadata.generation, Some(1));
        assert_eq!(space.fingerprints().await.unwrap(), before);

        let owners = space.daemonset().await.unwrap().owner_references().to_vec();
        assert_eq!(owners.len(), 1);
        assert_eq!(Some(&owners[0].uid), deployment.uid().as_ref());
        space
            .api::<Deployment>()
            .delete(NAME, &DeleteParams::default())
            .await
            .unwrap();
        eventually("the DaemonSet and all pods are gone", async || {
            let all = ListParams::default();
            let sets = space.api::<DaemonSet>().list(&all).await?.items.len();
            let pods = space.api::<Pod>().list(&all).await?.items.len();
            anyhow::ensure!(sets + pods == 0, "{sets} DaemonSets, {pods} pods");
            Ok(())
        })
        .await;
    })
    .await;
}

/// What the project's original leaves: its names, its selector, its wide rights, and no pod of it.
async fn apply_the_original(space: &Space) {
    let labels = json!({"app": "kubernetes-image-puller"});
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "k8s-image-puller"}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "create-daemonset"},
         "rules": [{"apiGroups": ["apps"], "resources": ["daemonsets"],
                    "verbs": ["create", "delete", "watch", "get", "list"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "create-daemonset"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "create-daemonset"},
         "subjects": [{"kind": "ServiceAccount", "name": "k8s-image-puller"}]},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "k8s-image-puller"}, "data": {
            "IMAGES": "old=registry.invalid/old:1", "DAEMONSET_NAME": "kubernetes-image-puller", "OLD_KEY": "1",
            "NAMESPACE": "k8s-image-puller", "KIP_IMAGE": "registry.invalid/original:1"}},
        {"apiVersion": "apps/v1", "kind": "Deployment",
         "metadata": {"name": "kubernetes-image-puller", "labels": labels},
         "spec": {"replicas": 0, "strategy": {"type": "Recreate"}, "selector": {"matchLabels": labels}, "template": {
             "metadata": {"labels": labels},
             "spec": {"serviceAccountName": "k8s-image-puller", "containers": [{
                 "name": "kubernetes-image-puller", "image": "registry.invalid/original:1", "command": ["/original"],
                 "env": [{"name": "OLD_VARIABLE", "value": "1"}],
                 "envFrom": [{"configMapRef": {"name": "k8s-image-puller"}}]}]}}}},
    ]});
    apply(&list, &space.name, &[&format!("--as={DEVELOPER}")])
        .await
        .expect("kubectl apply");
}

#[tokio::test]
async fn the_templates_apply_in_any_order_and_leave_nothing_of_the_original_in_force() {
    let _alone = alone();
    openshift::within("over", async |space| {
        administered_by_its_developer(space).await;
        apply_the_original(space).await;
        let entries = setup::push_images(&space.cluster, 1, 64);
        for template in [APP, CONFIG_MAP, SERVICE_ACCOUNT] {
            install(space, template, &entries, &[]).await;
        }
        space.all_held(&entries).await;
        let role = space.api::<Role>().get("create-daemonset").await.unwrap();
        for rule in role.rules.unwrap() {
            let on_sets = rule.resources == Some(vec!["daemonsets".to_owned()]);
            assert!(!on_sets || rule.resource_names.is_some(), "{rule:?}");
        }
        let config = space.api::<ConfigMap>().get("k8s-image-puller").await;
        let data = config.unwrap().data.unwrap();
        assert!(!data.contains_key("OLD_KEY"), "{data:?}");
        assert_eq!(data["NAMESPACE"], "");
        let deployment = space.api::<Deployment>().get(NAME).await.unwrap();
        let containers = deployment.spec.unwrap().template.spec.unwrap().containers;
        assert_eq!(containers.len(), 1);
        assert_eq!(containers[0].command, None);
        let env = containers[0].env.as_deref().unwrap_or_default();
        assert!(env.iter().all(|env| env.name != "OLD_VARIABLE"), "{env:?}");
    })
    .await;
}

#[tokio::test]
async fn an_app_that_is_there_first_waits_for_its_account_and_its_config_map() {
    let _alone = alone();
    openshift::within("first", async |space| {
        administered_by_its_developer(space).await;
        let entries = setup::push_images(&space.cluster, 1, 64);
        install(space, APP, &entries, &[]).await;
        eventually("the Deployment cannot make its pod", async || {
            let deployment = space.api::<Deployment>().get(NAME).await?;
            let conditions = deployment.status.and_then(|status| status.conditions);
            let conditions = conditions.unwrap_or_default();
            let says = |words: &str| {
                conditions.iter().any(|condition| {
                    let message = condition.message.as_deref().unwrap_or_default();
                    condition.type_ == "ReplicaFailure" && message.contains(words)
                })
            };
            anyhow::ensure!(says("k8s-image-puller"), "{conditions:?}");
            Ok(())
        })
        .await;
        install(space, SERVICE_ACCOUNT, &entries, &[]).await;
        eventually("the pod waits for the ConfigMap", async || {
            let pod = space.daemon_pod().await?;
            let status = kip_e2e::lab::space::container_status(&pod, NAME)?;
            let waiting = status.state.as_ref().and_then(|it| it.waiting.as_ref());
            let reason = waiting.and_then(|waiting| waiting.reason.as_deref());
            anyhow::ensure!(
                reason == Some("CreateContainerConfigError"),
                "{:?}",
                status.state
            );
            Ok(())
        })
        .await;
        install(space, CONFIG_MAP, &entries, &[]).await;
        space.all_held(&entries).await;
    })
    .await;
}

/// A name that was given to one template only: the log says which parameter to look at.
#[tokio::test]
async fn a_name_that_the_role_was_not_made_for_is_told() {
    let _alone = alone();
    openshift::within("names", async |space| {
        administered_by_its_developer(space).await;
        let entries = setup::push_images(&space.cluster, 1, 64);
        install(space, SERVICE_ACCOUNT, &entries, &[]).await;
        install(space, CONFIG_MAP, &entries, &["DAEMONSET_NAME=another"]).await;
        install(space, APP, &entries, &[]).await;
        eventually("the log names the parameter", async || {
            let log = space.log_of(&space.daemon_pod().await?).await?;
            let told = log.lines().any(|line| {
                line.contains("\\\"another\\\" is forbidden")
                    || line.contains("\"another\" is forbidden")
            });
            anyhow::ensure!(told && log.contains("serviceaccount.yaml"), "{log}");
            Ok(())
        })
        .await;
        let both = ["DAEMONSET_NAME=another"];
        install(space, SERVICE_ACCOUNT, &entries, &both).await;
        space.all_held(&entries).await;
        let sets: Api<DaemonSet> = space.api();
        assert!(sets.get("another").await.is_ok());
    })
    .await;
}
