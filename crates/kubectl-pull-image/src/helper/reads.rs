//! What the helper pod reads, and what it may do for that.

use anyhow::Result;
use k8s_openapi::api::core::v1::PodSpec;
use serde_json::{Value, json};

use crate::failure::{Status, failure};

/// The name of the volume.
pub(super) const FILES: &str = "files";

/// The user who owns nothing.
pub(super) const NOBODY: u32 = 65534;

/// What the helper pod reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reads {
    /// A folder of the node, with what its container runtime keeps there.
    Node {
        /// Its path.
        path: String,
    },
    /// The files of its own image, which are mounted a second time: for that nothing of the node is needed.
    Image {
        /// Whether it may be root in its container. Else files that are not for everybody cannot be read.
        as_root: bool,
        /// Whether such files are left out.
        skip_unreadable: bool,
    },
}

impl Reads {
    /// Checks that the API server has kept what is read: a kind of volume that it does not know it leaves out without a word.
    ///
    /// # Errors
    /// When it has not.
    pub fn is_kept_in(pod: Option<&PodSpec>) -> Result<()> {
        let volumes = pod.and_then(|pod| pod.volumes.as_ref());
        if volumes
            .into_iter()
            .flatten()
            .any(|volume| volume.name == FILES)
        {
            return Ok(());
        }
        let text = "--flat: the API server knows no image volumes; Kubernetes has them from 1.35 on, before that behind the feature \
                    gate ImageVolume";
        Err(failure(Status::Other, text))
    }

    /// The volume with it, in a pod of this image.
    pub(super) fn volume(&self, image: &str) -> Value {
        match self {
            Self::Node { path } => {
                json!({"name": FILES, "hostPath": {"path": path, "type": "Directory"}})
            }
            Self::Image { .. } => {
                json!({"name": FILES, "image": {"reference": image, "pullPolicy": "Never"}})
            }
        }
    }

    /// What the container may do to read it.
    pub(super) fn security_context(&self) -> Value {
        match self {
            Self::Node { .. } => json!({
                "runAsUser": 0,
                "runAsGroup": 0,
                "runAsNonRoot": false,
                "privileged": false,
                "readOnlyRootFilesystem": true,
                // To read files of any owner, and to see the marks of an overlay's opaque folders. Neither is to write.
                "capabilities": {"drop": ["ALL"], "add": ["DAC_READ_SEARCH", "SYS_ADMIN"]},
                // Where there is SELinux, the files of a runtime are not for containers of the usual type.
                "seLinuxOptions": {"type": "spc_t"},
            }),
            // What the Pod Security level 'baseline' allows.
            Self::Image { as_root: true, .. } => json!({
                "runAsUser": 0,
                "runAsGroup": 0,
                "runAsNonRoot": false,
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                // To read files of any owner: 'baseline' does not allow the capability that is for reading alone.
                "capabilities": {"drop": ["ALL"], "add": ["DAC_OVERRIDE"]},
            }),
            // What 'restricted' allows.
            Self::Image { as_root: false, .. } => json!({
                "runAsUser": NOBODY,
                "runAsGroup": NOBODY,
                "runAsNonRoot": true,
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            }),
        }
    }
}
