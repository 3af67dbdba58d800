//! Security of the pods: what the Pod Security level `restricted` asks for, and no more where an SCC decides.

use k8s_openapi::api::core::v1::{
    Capabilities, PodSecurityContext, SeccompProfile, SecurityContext,
};

use super::Flavour;
use super::names::UID;

/// For the pod. OpenShift's SCC `restricted-v2` assigns user and group and refuses others;
/// plain Kubernetes needs a numeric user, or an image whose user is root or a name would not start.
pub(super) fn pod(flavour: Flavour) -> PodSecurityContext {
    let id = match flavour {
        Flavour::Kubernetes => Some(UID),
        Flavour::OpenShift => None,
    };
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: id,
        run_as_group: id,
        fs_group: id,
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            localhost_profile: None,
        }),
        ..PodSecurityContext::default()
    }
}

/// For each container.
pub(super) fn container() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: None,
        }),
        read_only_root_filesystem: Some(true),
        ..SecurityContext::default()
    }
}
