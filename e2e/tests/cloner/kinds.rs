//! Every kind of workload, and every field that has an image.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Pod, ReplicationController};
use kip_e2e::lab::cloner::with_cloner;
use kip_e2e::lab::space::is_ready;
use kip_e2e::lab::{Cloner, Cluster, Private, Space, eventually};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::setup::{are_copies, container, create, deployment, pod_spec, push, texts};

/// The kinds that have a template of their pods where a Deployment has it.
const SETS: [&str; 5] = [
    "deployment",
    "daemonset",
    "statefulset",
    "replicaset",
    "replicationcontroller",
];
const TEMPLATE: &str = "/spec/template/spec/containers/0/image";

/// One edition of all workloads: names begin with the word.
struct Edition<'a> {
    space: &'a Space,
    registry: &'a Private,
    word: &'a str,
}

impl Edition<'_> {
    fn image(&self, name: &str) -> String {
        format!("{}/team/{name}:1", self.registry.address)
    }

    /// An object of a kind whose pods have labels and a template.
    fn set(&self, kind: &str, replicas: u32) -> Value {
        let name = format!("{}-{kind}", self.word);
        let mut object = deployment(&name, &self.image(kind), replicas);
        match kind {
            "daemonset" => {
                let spec = object["spec"].as_object_mut().expect("a spec");
                spec.remove("replicas");
                if replicas == 0 {
                    object["spec"]["template"]["spec"]["nodeSelector"] = json!({"no": "node"});
                }
            }
            "replicationcontroller" => object["spec"]["selector"] = json!({"app": name}),
            _ => {}
        }
        object
    }

    fn job_spec(&self, kind: &str) -> Value {
        let mut spec = pod_spec(&self.image(kind));
        spec["restartPolicy"] = json!("Never");
        // It ends by itself: a sleeper of a second.
        spec["containers"][0]["args"] = json!(["1s"]);
        spec["containers"][0]["command"] = json!(["/sleep"]);
        json!({"template": {"spec": spec}})
    }

    fn pod(&self) -> Value {
        let mut spec = pod_spec(&self.image("pod"));
        let mut init = container("init", &self.image("init"));
        init["command"] = json!(["/sleep", "10ms"]);
        let mut sidecar = container("sidecar", &self.image("sidecar"));
        sidecar["restartPolicy"] = json!("Always");
        spec["initContainers"] = json!([init, sidecar]);
        spec["volumes"] = json!([{"name": "files", "image": {"reference": self.image("volume")}}]);
        spec["containers"][0]["volumeMounts"] = json!([{"name": "files", "mountPath": "/files"}]);
        json!({"metadata": {"name": format!("{}-pod", self.word)}, "spec": spec})
    }

    /// Creates all of them, with so many pods each. Gives the images that the API server has for them, by name.
    async fn create(&self, replicas: u32) -> Result<Vec<(String, String)>> {
        let space = self.space;
        let mut found = Vec::new();
        for kind in SETS {
            let object = self.set(kind, replicas);
            let made = match kind {
                "deployment" => create::<Deployment>(space, object).await?,
                "daemonset" => create::<DaemonSet>(space, object).await?,
                "statefulset" => create::<StatefulSet>(space, object).await?,
                "replicaset" => create::<ReplicaSet>(space, object).await?,
                _ => create::<ReplicationController>(space, object).await?,
            };
            found.push((kind.to_owned(), texts(&made, &[TEMPLATE]).remove(0)));
        }
        let is_suspended = replicas == 0;
        let job = json!({
            "metadata": {"name": format!("{}-job", self.word)}, "spec": self.job_spec("job"),
        });
        let made = create::<Job>(space, job).await?;
        // Its template can never change: it is left alone, and its pods are not.
        ensure!(texts(&made, &[TEMPLATE]) == [self.image("job")], "{made}");
        found.push(("job".to_owned(), self.image_of_job().await));
        let cron = json!({
            "metadata": {"name": format!("{}-cronjob", self.word)},
            "spec": {"schedule": "* * * * *", "suspend": is_suspended, "jobTemplate": {"spec": self.job_spec("cronjob")}},
        });
        let made = create::<CronJob>(space, cron).await?;
        let template = format!("/spec/jobTemplate{TEMPLATE}");
        found.push(("cronjob".to_owned(), texts(&made, &[&template]).remove(0)));
        Ok(found)
    }

    /// The image of the Job's pod.
    async fn image_of_job(&self) -> String {
        eventually("the Job has a pod", async || {
            let job = format!("batch.kubernetes.io/job-name={}-job", self.word);
            let params = ListParams::default().labels(&job);
            let pods = self.space.api::<Pod>().list(&params).await?.items;
            let pod = pods.into_iter().next().context("none")?;
            anyhow::Ok(texts(&json!(pod), &["/spec/containers/0/image"]).remove(0))
        })
        .await
    }

    async fn create_pod(&self) -> Result<Vec<(String, String)>> {
        let made = create::<Pod>(self.space, self.pod()).await?;
        let fields = [
            ("pod", "/spec/containers/0/image"),
            ("init", "/spec/initContainers/0/image"),
            ("sidecar", "/spec/initContainers/1/image"),
            ("volume", "/spec/volumes/0/image/reference"),
        ];
        let found =
            fields.map(|(name, pointer)| (name.to_owned(), texts(&made, &[pointer]).remove(0)));
        Ok(found.into())
    }

    /// Adds a debug container to the pod. Gives its image.
    async fn debug(&self) -> Result<Vec<(String, String)>> {
        let pods: Api<Pod> = self.space.api();
        let name = format!("{}-pod", self.word);
        let debug = container("debug", &self.image("debug"));
        let mut debug = debug;
        // Resources of such a container are not allowed.
        debug
            .as_object_mut()
            .context("an object")?
            .remove("resources");
        let patch = Patch::Strategic(json!({"spec": {"ephemeralContainers": [debug]}}));
        let pod = pods
            .patch_ephemeral_containers(&name, &PatchParams::default(), &patch)
            .await?;
        let pod = serde_json::to_value(pod)?;
        let image = texts(&pod, &["/spec/ephemeralContainers/0/image"]).remove(0);
        Ok(vec![("debug".to_owned(), image)])
    }
}

fn places(cloner: &Cloner<'_>, registry: &Private, found: &[(String, String)]) -> Vec<String> {
    let place = |(name, _): &(String, String)| cloner.place(registry, &format!("team/{name}:1"));
    found.iter().map(place).collect()
}

fn check(cloner: &Cloner<'_>, registry: &Private, found: &[(String, String)]) -> Result<()> {
    let images: Vec<String> = found.iter().map(|(_, image)| image.clone()).collect();
    are_copies(&images, &places(cloner, registry, found))
}

async fn all_run(space: &Space, word: &str, nodes: usize) {
    eventually("all of it runs", async || {
        let pods = space.api::<Pod>().list(&ListParams::default()).await?;
        let of = |kind: &str| {
            let begin = format!("{word}-{kind}");
            pods.items
                .iter()
                .filter(move |pod| pod.name_any().starts_with(&begin))
        };
        for kind in [
            "deployment",
            "statefulset",
            "replicaset",
            "replicationcontroller",
            "pod",
        ] {
            let ready = of(kind).filter(|pod| is_ready(pod)).count();
            ensure!(ready == 1, "{kind}: {ready} are ready");
        }
        let ready = of("daemonset").filter(|pod| is_ready(pod)).count();
        ensure!(ready == nodes, "daemonset: {ready} are ready");
        for kind in ["job", "cronjob"] {
            let has_ended = |pod: &&Pod| {
                pod.status.as_ref().and_then(|it| it.phase.as_deref()) == Some("Succeeded")
            };
            ensure!(
                of(kind).any(|pod| has_ended(&pod)),
                "{kind}: none has succeeded"
            );
        }
        let pod = of("pod").next().context("no pod")?;
        let debug = pod
            .status
            .as_ref()
            .and_then(|it| it.ephemeral_container_statuses.clone());
        let debug = debug
            .into_iter()
            .flatten()
            .next()
            .context("no debug container")?;
        let is_running = debug.state.is_some_and(|state| state.running.is_some());
        ensure!(is_running, "debug does not run");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn every_kind_is_rolled_out_from_the_copies_while_the_registry_of_the_originals_is_stopped() {
    let cluster = Cluster::from_env().await.unwrap();
    let mut registry = Private::start_open(&cluster).await.unwrap();
    let names = SETS.iter().chain(&[
        "job", "cronjob", "pod", "init", "sidecar", "volume", "debug",
    ]);
    for name in names {
        push(&cluster, &registry, &format!("team/{name}:1"));
    }
    let address = registry.address.clone();
    with_cloner(
        "cloner-kinds",
        &[&address],
        json!({}),
        async |cloner, space| {
            // Copies are made as objects come: no pod is needed.
            let first = Edition {
                space,
                registry: &registry,
                word: "first",
            };
            let mut found = first.create(0).await.unwrap();
            found.extend(first.create_pod().await.unwrap());
            found.extend(first.debug().await.unwrap());
            check(cloner, &registry, &found).unwrap();
            let all = found;
            registry.stop();
            let second = Edition {
                space,
                registry: &registry,
                word: "second",
            };
            let mut found = second.create(1).await.unwrap();
            found.extend(second.create_pod().await.unwrap());
            found.extend(second.debug().await.unwrap());
            assert_eq!(found, all, "the same copies, digests and all");
            let nodes = cluster.nodes().await.unwrap().len();
            all_run(space, "second", nodes).await;
        },
    )
    .await;
}
