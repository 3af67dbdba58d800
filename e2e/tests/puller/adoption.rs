//! Over an installation of the Go image puller: what it holds stays held.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, Deployment};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kip_e2e::lab::original::{self, REPOSITORY, TAG, Version};
use kip_e2e::lab::recorder::Gap;
use kip_e2e::lab::release::NAME;
use kip_e2e::lab::templates::{apply, process, process_file};
use kip_e2e::lab::{Recorder, Release, Space, alone, eventually, openshift, space};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::setup::{self, Entries};

const ACCOUNT: &str = "k8s-image-puller";

/// The values of a user of the original: everything is text.
fn values(entries: &Entries) -> Value {
    json!({
        "deploymentName": NAME,
        "deploymentAnnotations": {"team": "platform"},
        "updateStrategy.type": "Recreate",
        "configMap.images": format!("{};", setup::list(entries)),
        "configMap.cachingIntervalHours": "1",
        "configMap.cachingMemoryRequest": "10Mi",
        "configMap.daemonsetAnnotations": "{\"team\": \"platform\"}",
        "configMap.nodeSelector": "{\"kubernetes.io/arch\": \"amd64\"}",
        "configMap.imagePullSecrets": "",
        "configMap.affinity": "{}",
        "configMap.tolerations": "[]",
    })
}

/// `helm install` of the original, and what its program makes then.
async fn installed(space: &Space, entries: &Entries, more: &[&str]) -> Release {
    original::admit(space)
        .await
        .expect("the namespace takes it");
    let mut values = values(entries);
    values["image.repository"] = json!(REPOSITORY);
    values["image.tag"] = json!(TAG);
    let chart = original::fixture("helm");
    let release = Release::install_chart(&chart, &space.name, &values, more).await;
    let release = release.expect("helm install");
    original_runs(space, Version::Newer, entries).await;
    release
}

async fn original_runs(space: &Space, version: Version, entries: &Entries) {
    eventually("the original's Deployment is ready", async || {
        let pod = space.daemon_pod().await?;
        ensure!(space::is_ready(&pod), "{:?}", pod.status);
        Ok(())
    })
    .await;
    original::make_daemonset(space, version, entries)
        .await
        .expect("the original's DaemonSet can be made");
}

/// Longest gap of any image on any node.
fn longest_gap(recorder: &Recorder, entries: &Entries) -> Gap {
    let images: BTreeSet<&str> = entries.iter().map(|(_, image)| image.as_str()).collect();
    let gaps = recorder.gaps(&images).expect("the record can be read");
    let longest = |of: fn(&Gap) -> Duration| gaps.values().map(of).max().unwrap_or_default();
    Gap {
        running: longest(|gap| gap.running),
        kept: longest(|gap| gap.kept),
    }
}

/// What nodes asked the registry for, but for the daemon's own image.
fn requests(log: &kip_e2e::lab::logs::RegistryLog) -> Vec<String> {
    let all = log.requests().expect("the registry's log can be read");
    let is_own = |line: &String| line.contains(&format!("/{REPOSITORY}/"));
    all.into_iter().filter(|line| !is_own(line)).collect()
}

/// Whether the original may delete its `DaemonSet`.
async fn may_delete(space: &Space) -> bool {
    let review: SubjectAccessReview = serde_json::from_value(json!({"metadata": {}, "spec": {
        "user": format!("system:serviceaccount:{}:{ACCOUNT}", space.name),
        "resourceAttributes": {"namespace": space.name, "verb": "delete", "group": "apps",
                               "resource": "daemonsets", "name": NAME}}}))
    .expect("it is a review");
    let reviews = kube::Api::all(space.cluster.client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await;
    let answer: SubjectAccessReview = answer.expect("it can be asked");
    answer.status.is_some_and(|status| status.allowed)
}

/// As the documentation says: the original loses its rights, and is ended. It cannot delete its `DaemonSet` then.
async fn ended_without_rights(space: &Space, role_binding: &str) {
    assert!(may_delete(space).await);
    space
        .api::<RoleBinding>()
        .delete(role_binding, &DeleteParams::default())
        .await
        .expect("it can be deleted");
    eventually("the right is gone", async || {
        ensure!(!may_delete(space).await, "not yet");
        anyhow::Ok(())
    })
    .await;
    let scale = Patch::Merge(json!({"spec": {"replicas": 0}}));
    let deployments = space.api::<Deployment>();
    deployments
        .patch_scale(NAME, &PatchParams::default(), &scale)
        .await
        .expect("it can be scaled");
    eventually("the original has ended", async || {
        ensure!(space.daemon_pod().await.is_err(), "not yet");
        anyhow::Ok(())
    })
    .await;
}

#[tokio::test]
async fn helm_upgrade_over_the_original_lets_nothing_go_where_its_daemonset_is_still_there() {
    let _alone = alone();
    // As Helm 3 does it, and as Helm 4 does it.
    for mode in ["--server-side=false", "--server-side=true"] {
        space::within("adopt", async |space| {
            let entries = setup::push_images(&space.cluster, 3, 64);
            let release = installed(space, &entries, &[mode]).await;
            let deployment = space.api::<Deployment>().get(NAME).await.unwrap();
            let recorder = Recorder::start(&space.cluster).await.unwrap();
            let log = space.cluster.registry_log().unwrap();
            ended_without_rights(space, ACCOUNT).await;

            release.upgrade_with(&values(&entries), flags(mode)).await.unwrap();
            space.all_held(&entries).await;
            original::no_pod_is_left(space).await;
            space.event_says("DaemonSetAdopted", "each of its pods stays").await;
            let gap = longest_gap(&recorder, &entries);
            let asked = requests(&log);
            println!(
                "figure: over the Go image puller ({mode}), its DaemonSet still there: 3 images on 2 nodes, each without \
                 a running container for {} s at most, {} registry requests",
                gap.running.as_secs_f64(), asked.len(),
            );
            assert_eq!(gap, Gap::default());
            assert_eq!(asked, [""; 0]);
            let now = space.api::<Deployment>().get(NAME).await.unwrap();
            assert_eq!(now.uid(), deployment.uid(), "the Deployment is the same one");
            let container = &now.spec.unwrap().template.spec.unwrap().containers[0];
            assert_eq!(container.command, None, "nothing of the original is left in it");
            for rule in space.api::<Role>().get(ACCOUNT).await.unwrap().rules.unwrap() {
                let on_sets = rule.resources == Some(vec!["daemonsets".to_owned()]);
                assert!(!on_sets || rule.resource_names.is_some(), "{rule:?}");
            }
            let data = space.api::<ConfigMap>().get(ACCOUNT).await.unwrap().data.unwrap();
            assert!(!data.contains_key("KIP_IMAGE"), "{data:?}");
            space.metric_is(r#"kip_rollout_nodes{state="leftover"}"#, "0").await;
            // As documented: the history of its DaemonSet is all that stays.
            let history = space.api::<ControllerRevision>().list(&labelled()).await.unwrap();
            assert_eq!(history.items.len(), 1);

            release.rollback(flags(mode)).await.expect("helm rollback");
            let back = space.api::<Deployment>().get(NAME).await.unwrap();
            let container = &back.spec.unwrap().template.spec.unwrap().containers[0];
            assert!(container.command.is_some(), "the original's Deployment is back");
        })
        .await;
    }
}

fn labelled() -> ListParams {
    ListParams::default().labels("test=daemonset-test")
}

/// Where the original was scaled, Helm 4 finds that somebody else owns the field.
fn flags(mode: &str) -> &'static [&'static str] {
    match mode {
        "--server-side=true" => &["--force-conflicts"],
        _ => &[],
    }
}

#[tokio::test]
async fn a_daemonset_of_the_original_that_is_being_deleted_is_awaited() {
    let _alone = alone();
    space::within("adopt-dying", async |space| {
        let entries = setup::push_images(&space.cluster, 3, 64);
        let release = installed(space, &entries, &["--server-side=false"]).await;
        let recorder = Recorder::start(&space.cluster).await.unwrap();
        let log = space.cluster.registry_log().unwrap();
        let hold = |finalizers: Value| Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
        let sets = space.api::<DaemonSet>();
        let params = PatchParams::default();
        sets.patch(NAME, &params, &hold(json!(["example.com/hold"]))).await.unwrap();
        original::delete_daemonset(space).await.unwrap();
        release.upgrade_with(&values(&entries), &[]).await.unwrap();
        log_says(space, "the DaemonSet is being deleted").await;
        let dying = space.daemonset().await.unwrap();
        assert!(dying.metadata.deletion_timestamp.is_some());
        sets.patch(NAME, &params, &hold(json!(null))).await.unwrap();

        space.all_held(&entries).await;
        original::no_pod_is_left(space).await;
        assert_ne!(space.daemonset().await.unwrap().uid(), dying.uid());
        let gap = longest_gap(&recorder, &entries);
        println!(
            "figure: over the Go image puller, its DaemonSet being deleted in the foreground and held up: an image was \
             without a running container for {:.1} s at most, without any for {:.1} s, {} registry requests",
            gap.running.as_secs_f64(), gap.kept.as_secs_f64(), requests(&log).len(),
        );
        assert!(gap.running > Duration::ZERO, "the record shows what happened");
        assert_eq!(requests(&log), [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn what_the_original_has_deleted_is_held_again_without_the_registry() {
    let _alone = alone();
    space::within("adopt-gone", async |space| {
        let entries = setup::push_images(&space.cluster, 3, 64);
        let release = installed(space, &entries, &["--server-side=true"]).await;
        let recorder = Recorder::start(&space.cluster).await.unwrap();
        let log = space.cluster.registry_log().unwrap();
        original::delete_daemonset(space).await.unwrap();
        eventually("the original's DaemonSet is gone", async || {
            ensure!(space.daemonset().await.is_err(), "it is there");
            original::no_pod_is_left(space).await;
            anyhow::Ok(())
        })
        .await;
        // Nobody has scaled or edited anything: no conflict.
        release.upgrade_with(&values(&entries), &[]).await.unwrap();
        space.all_held(&entries).await;
        let gap = longest_gap(&recorder, &entries);
        println!(
            "figure: over the Go image puller, which has deleted its DaemonSet: an image was without a running container \
             for {:.1} s at most, without any for {:.1} s, {} registry requests",
            gap.running.as_secs_f64(), gap.kept.as_secs_f64(), requests(&log).len(),
        );
        assert!(gap.running > Duration::ZERO, "the record shows what happened");
        assert_eq!(requests(&log), [""; 0]);
    })
    .await;
}

async fn log_says(space: &Space, words: &str) {
    eventually("the log says it", async || {
        let log = space.log_of(&space.daemon_pod().await?).await?;
        ensure!(log.contains(words), "{log}");
        anyhow::Ok(())
    })
    .await;
}

async fn apply_template(space: &Space, list: Value) {
    let said = apply(&list, &space.name, &[]).await;
    said.expect("kubectl apply");
}

#[tokio::test]
async fn oc_apply_over_the_original_refuses_its_kip_image_and_touches_nothing_until_it_is_mended() {
    let _alone = alone();
    openshift::within("adopt-oc", async |space| {
        original::admit(space).await.unwrap();
        let entries = setup::push_images(&space.cluster, 2, 64);
        let images = format!("IMAGES={}", setup::list(&entries));
        let namespace = format!("NAMESPACE={}", space.name);
        let theirs = |name: &str, arguments: &[&str]| {
            process_file(&original::fixture("openshift").join(name), arguments).unwrap()
        };
        let (image, tag) = (format!("IMAGE={REPOSITORY}"), format!("IMAGE_TAG={TAG}"));
        let app = [image.as_str(), tag.as_str()];
        apply_template(space, theirs("serviceaccount.yaml", &[])).await;
        apply_template(space, theirs("configmap.yaml", &[&images, &namespace])).await;
        apply_template(space, theirs("app.yaml", &app)).await;
        original_runs(space, Version::Older, &entries).await;
        let before = space.daemonset().await.unwrap();
        let recorder = Recorder::start(&space.cluster).await.unwrap();
        let log = space.cluster.registry_log().unwrap();

        // The ConfigMap is still the original's.
        apply_template(space, process("serviceaccount.yaml", &[""; 0]).unwrap()).await;
        apply_template(space, process("app.yaml", &app).unwrap()).await;
        let remedy = "remove the setting, the daemon's own image is used then";
        space.event_says("InvalidConfiguration", remedy).await;
        space.event_says("InvalidConfiguration", "KIP_IMAGE").await;
        log_says(space, remedy).await;
        let now = space.daemonset().await.unwrap();
        assert_eq!(now.uid(), before.uid());
        assert_eq!(now.metadata.generation, before.metadata.generation);
        assert_eq!(now.metadata.deletion_timestamp, None);
        let pods = original::pods(space).await.unwrap();
        assert!(
            pods.iter().all(|pod| pod.owner_references().len() == 1),
            "{pods:#?}"
        );

        apply_template(space, process("configmap.yaml", &[&images]).unwrap()).await;
        space.all_held(&entries).await;
        original::no_pod_is_left(space).await;
        let gap = longest_gap(&recorder, &entries);
        assert_eq!(gap, Gap::default());
        assert_eq!(requests(&log), [""; 0]);
        let data = space
            .api::<ConfigMap>()
            .get(ACCOUNT)
            .await
            .unwrap()
            .data
            .unwrap();
        assert_eq!(data["KIP_IMAGE"], "");
    })
    .await;
}
