use super::*;

#[test]
fn a_deployment_that_took_the_name_of_the_own_one_is_not_the_own_one() {
    let deployment = |uid: &str| DeploymentFacts {
        owner: Owner {
            name: "d".to_owned(),
            uid: uid.to_owned(),
        },
        terminating: false,
        image: None,
        pull_secrets: Vec::new(),
    };
    let mut cluster = Cluster::default();
    cluster.see_deployment(None);
    assert_eq!(cluster.deployment, Seen::Absent);
    cluster.see_deployment(Some(deployment("1")));
    assert_eq!(cluster.deployment, Seen::Present(deployment("1")));
    assert_eq!(
        cluster.see_deployment(Some(deployment("2"))),
        Some(deployment("2"))
    );
    assert_eq!(cluster.deployment, Seen::Absent);
    cluster.see_deployment(Some(deployment("1")));
    assert_eq!(cluster.deployment, Seen::Present(deployment("1")));
    cluster.adopt(deployment("2"));
    assert_eq!(cluster.see_deployment(Some(deployment("2"))), None);
    assert_eq!(cluster.deployment, Seen::Present(deployment("2")));
}

#[test]
fn what_one_watch_says_is_gone_says_nothing_of_the_pods_of_the_other() {
    let pod = |labels: serde_json::Value| {
        let pod: crate::pods::LeanPod = serde_json::from_value(serde_json::json!({
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "a", "command": ["/kip/sleep"]}]},
        }))
        .unwrap();
        pod.into_facts(&mut crate::pods::Interner::default(), Timestamp::UNIX_EPOCH)
            .1
    };
    let mut cluster = Cluster::default();
    cluster.see_pod("ours".to_owned(), pod(serde_json::json!({})));
    let labels = serde_json::json!({"test": "daemonset-test"});
    cluster.see_pod("left".to_owned(), pod(labels));
    let names = |cluster: &Cluster| cluster.pods.keys().cloned().collect::<Vec<_>>();
    // Somebody has given our pod the label of the others.
    cluster.see_gone(PodList::Leftovers, "ours");
    assert_eq!(names(&cluster), ["left", "ours"]);
    cluster.see_list(PodList::Leftovers, &HashSet::from(["left".to_owned()]));
    assert_eq!(names(&cluster), ["left", "ours"]);
    assert!(!cluster.pods_listed, "ours were not listed yet");
    cluster.see_list(PodList::Leftovers, &HashSet::new());
    assert_eq!(names(&cluster), ["ours"]);
    cluster.see_list(PodList::Ours, &HashSet::new());
    assert_eq!(names(&cluster), [""; 0]);
    assert!(cluster.pods_listed);
}

#[test]
fn the_daemons_container_is_found_beside_others() {
    let deployment: Deployment = serde_json::from_value(serde_json::json!({
        "metadata": {"name": "d", "uid": "1"},
        "spec": {"selector": {}, "template": {"spec": {
            "imagePullSecrets": [{"name": "s"}],
            "containers": [
                {"name": "sidecar", "image": "sidecar:1"},
                {"name": "puller", "image": "puller:1", "env": [{"name": "DEPLOYMENT_NAME", "value": "d"}]},
            ]}}},
    }))
    .unwrap();
    let facts = DeploymentFacts::from(&deployment);
    assert_eq!(facts.image.as_deref(), Some("puller:1"));
    assert_eq!(facts.pull_secrets, ["s"]);
}
