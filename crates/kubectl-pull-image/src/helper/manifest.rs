//! What is made in the cluster for a pull: a Job with one pod, and a ConfigMap with the agent.
//!
//! The pod's image is one that the node has, and nothing in it is run: the agent comes with the ConfigMap. The Job has a
//! deadline and is removed by the cluster when it has ended; the ConfigMap and the pod are its own and go with it.

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::ByteString;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::reads::{FILES, Reads};

/// What all objects of this program are labelled with.
pub const LABEL: (&str, &str) = ("app.kubernetes.io/name", "kubectl-pull-image");

/// And with this.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", LABEL.1);

/// The container's name.
pub const CONTAINER: &str = "agent";

/// What the helper pod is to be like.
#[derive(Debug, Clone)]
pub struct Helper {
    /// The name of the Job and of the ConfigMap.
    pub name: String,
    /// Their namespace.
    pub namespace: String,
    /// The node that is read.
    pub node: String,
    /// An image that the node has.
    pub image: String,
    /// For kubelets that check anew who may use an image that is there.
    pub pull_secrets: Vec<String>,
    /// The same.
    pub service_account: Option<String>,
    /// What it reads.
    pub reads: Reads,
    /// For how many seconds it lasts without a request.
    pub patience: u64,
    /// After how many seconds the cluster ends it.
    pub deadline: u64,
    /// What it is for, for people who look at it.
    pub purpose: String,
}

impl Helper {
    /// A name that no other run has, and that no image can guess.
    pub fn new_name() -> String {
        use std::hash::{BuildHasher as _, Hasher as _};
        let hasher = std::hash::RandomState::new().build_hasher();
        format!("pull-image-{:016x}", hasher.finish())
    }

    /// What is run in it to answer requests.
    pub fn serve(&self) -> Vec<String> {
        let patience = self.patience.to_string();
        match &self.reads {
            Reads::Node { .. } => vec![self.agent(), "serve".to_owned(), self.host(), patience],
            Reads::Image {
                skip_unreadable, ..
            } => {
                let skip = skip_unreadable.then(|| "skip-unreadable".to_owned());
                let flat = [
                    self.agent(),
                    "flat".to_owned(),
                    self.image_folder(),
                    patience,
                ];
                flat.into_iter().chain(skip).collect()
            }
        }
    }

    /// The agent's path.
    fn agent(&self) -> String {
        format!("{}/kip-agent", self.agent_folder())
    }

    /// Where the node's folders are mounted.
    fn host(&self) -> String {
        format!("/{}/host", self.name)
    }

    /// Where the image's files are mounted.
    fn image_folder(&self) -> String {
        format!("/{}/image", self.name)
    }

    /// The pod's root is the image that is pulled, and that may be a hostile one: a path that it knew could be a link in it,
    /// by which another program would be run instead of the agent.
    fn agent_folder(&self) -> String {
        format!("/{}/agent", self.name)
    }

    /// The Job.
    ///
    /// # Errors
    /// Never: the form is checked by the tests.
    pub fn job(&self) -> serde_json::Result<Job> {
        serde_json::from_value(json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": self.metadata(),
            "spec": {
                "backoffLimit": 0,
                "activeDeadlineSeconds": self.deadline,
                "ttlSecondsAfterFinished": 5,
                "template": {"metadata": {"labels": labels()}, "spec": self.pod_spec()},
            },
        }))
    }

    /// The pod that the Job will have, to ask whether it is admitted.
    ///
    /// # Errors
    /// As [`Self::job`].
    pub fn pod(&self) -> Result<Pod> {
        Ok(serde_json::from_value(json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": self.metadata(),
            "spec": self.pod_spec(),
        }))?)
    }

    /// The ConfigMap with the agent. It is the Job's own, where there is one.
    pub fn config_map(&self, agent: &[u8], owner: Option<&Job>) -> ConfigMap {
        let owner = owner.map(|job| OwnerReference {
            api_version: "batch/v1".to_owned(),
            kind: "Job".to_owned(),
            name: job.name_any(),
            uid: job.uid().unwrap_or_default(),
            ..OwnerReference::default()
        });
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.namespace.clone()),
                labels: Some(labels()),
                owner_references: owner.map(|owner| vec![owner]),
                ..ObjectMeta::default()
            },
            immutable: Some(true),
            binary_data: Some(BTreeMap::from([(
                "kip-agent".to_owned(),
                ByteString(agent.to_vec()),
            )])),
            ..ConfigMap::default()
        }
    }

    fn metadata(&self) -> Value {
        json!({
            "name": self.name,
            "namespace": self.namespace,
            "labels": labels(),
            "annotations": {"kubectl-pull-image/purpose": self.purpose},
        })
    }

    fn pod_spec(&self) -> Value {
        let secrets: Vec<_> = self
            .pull_secrets
            .iter()
            .map(|name| json!({"name": name}))
            .collect();
        json!({
            // Not through the scheduler: the node may be full, cordoned or tainted, and it is this one that has the image.
            "nodeName": self.node,
            "tolerations": [{"operator": "Exists"}],
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "serviceAccountName": self.service_account,
            "imagePullSecrets": secrets,
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [
                {"name": "agent", "configMap": {"name": self.name, "defaultMode": 0o555}},
                self.reads.volume(&self.image),
            ],
            "containers": [{
                "name": CONTAINER,
                "image": self.image,
                "imagePullPolicy": "Never",
                "command": [self.agent(), "wait", self.patience.to_string()],
                "securityContext": self.reads.security_context(),
                "resources": {
                    "requests": {"cpu": "10m", "memory": "32Mi"},
                    "limits": {"memory": "256Mi"},
                },
                "volumeMounts": [
                    {"name": "agent", "mountPath": self.agent_folder(), "readOnly": true},
                    {"name": FILES, "mountPath": self.mount_path(), "readOnly": true},
                ],
            }],
        })
    }

    fn mount_path(&self) -> String {
        match &self.reads {
            Reads::Node { path } => format!("{}{path}", self.host()),
            Reads::Image { .. } => self.image_folder(),
        }
    }
}

/// Whether a Job or a ConfigMap may be ours by its name.
pub fn is_name(name: &str) -> bool {
    let digits = name.strip_prefix("pull-image-");
    let is_hex = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
    digits.is_some_and(|digits| digits.len() == 16 && digits.bytes().all(is_hex))
}

fn labels() -> BTreeMap<String, String> {
    [LABEL, MANAGED_BY]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::reads::NOBODY;

    fn helper() -> Helper {
        Helper {
            name: "pull-image-1".to_owned(),
            namespace: "a".to_owned(),
            node: "node-1".to_owned(),
            image: "app:1".to_owned(),
            pull_secrets: vec!["s".to_owned()],
            service_account: Some("sa".to_owned()),
            reads: Reads::Node {
                path: "/var".to_owned(),
            },
            patience: 60,
            deadline: 7200,
            purpose: "container a of pod p".to_owned(),
        }
    }

    #[test]
    fn the_job_ends_by_itself_and_its_pod_pulls_and_writes_nothing() {
        let job = serde_json::to_value(helper().job().unwrap()).unwrap();
        let at = |pointer: &str| job.pointer(pointer).cloned().unwrap_or_default();
        assert_eq!(at("/spec/activeDeadlineSeconds"), 7200);
        assert_eq!(at("/spec/ttlSecondsAfterFinished"), 5);
        assert_eq!(at("/spec/backoffLimit"), 0);
        let container = |field: &str| at(&format!("/spec/template/spec/containers/0/{field}"));
        assert_eq!(container("imagePullPolicy"), "Never");
        assert_eq!(
            container("volumeMounts/1"),
            json!({"name": FILES, "mountPath": "/pull-image-1/host/var", "readOnly": true})
        );
        assert_eq!(container("securityContext/privileged"), false);
        assert_eq!(at("/spec/template/spec/nodeName"), "node-1");
        assert_eq!(at("/spec/template/spec/imagePullSecrets/0/name"), "s");
        assert_eq!(
            at("/spec/template/spec/volumes/0/configMap/name"),
            "pull-image-1"
        );
        let pod = serde_json::to_value(helper().pod().unwrap()).unwrap();
        assert_eq!(pod.pointer("/spec"), job.pointer("/spec/template/spec"));
    }

    #[test]
    fn a_name_is_known_again() {
        assert!(is_name(&Helper::new_name()));
        for other in [
            "",
            "pull-image-",
            "my-settings",
            "pull-image-0123456789abcdeg",
        ] {
            assert!(!is_name(other), "{other}");
        }
    }

    #[test]
    fn to_read_an_image_nothing_of_the_node_is_needed() {
        let mut helper = helper();
        for (as_root, user) in [(true, 0), (false, NOBODY)] {
            helper.reads = Reads::Image {
                as_root,
                skip_unreadable: !as_root,
            };
            let pod = serde_json::to_value(helper.pod().unwrap()).unwrap();
            let text = pod.to_string();
            assert!(
                !text.contains("hostPath") && !text.contains("SYS_ADMIN"),
                "{text}"
            );
            let at = |pointer: &str| pod.pointer(pointer).cloned().unwrap_or_default();
            let volume =
                json!({"name": "files", "image": {"reference": "app:1", "pullPolicy": "Never"}});
            assert_eq!(at("/spec/volumes/1"), volume);
            let context = at("/spec/containers/0/securityContext");
            assert_eq!(context["runAsUser"], user);
            assert_eq!(context["allowPrivilegeEscalation"], false);
        }
        let mut pod = helper.pod().unwrap();
        assert!(Reads::is_kept_in(pod.spec.as_ref()).is_ok());
        // As an older API server answers.
        pod.spec.as_mut().unwrap().volumes.as_mut().unwrap().pop();
        let error = Reads::is_kept_in(pod.spec.as_ref()).unwrap_err();
        assert!(error.to_string().contains("1.35"), "{error}");
        let folder = "/pull-image-1";
        let serve = [
            &format!("{folder}/agent/kip-agent"),
            "flat",
            &format!("{folder}/image"),
            "60",
            "skip-unreadable",
        ];
        assert_eq!(helper.serve(), serve);
    }

    #[test]
    fn the_config_map_is_the_jobs_own() {
        let mut job = helper().job().unwrap();
        job.metadata.uid = Some("1-2".to_owned());
        let map = helper().config_map(b"agent", Some(&job));
        assert_eq!(map.owner_references()[0].uid, "1-2");
        assert_eq!(map.binary_data.unwrap()["kip-agent"].0, b"agent");
        assert_eq!(map.metadata.labels.unwrap()[LABEL.0], LABEL.1);
    }
}
