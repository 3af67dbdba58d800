//! Which images run, and who may read them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kip_image::{Digest, Reference};
use kube::Client;
use kube::api::{Api, ListParams};
use serde_json::Value;

use crate::naming::Naming;
use crate::review::{GroupKind, Operation, Request};
use crate::scope::{Left, Scope};
use crate::secrets::Secrets;
use crate::service::PodSecrets;

/// Whose pods are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Where {
    /// Those of one namespace.
    Namespace(String),
    /// All.
    Everywhere,
}

/// An image that runs, and that the settings do not leave alone.
#[derive(Debug, Clone, Default)]
pub struct Running {
    /// Namespaces in which it runs.
    pub namespaces: BTreeSet<String>,
    /// How many pods have it.
    pub pods: usize,
    /// What nodes have for it, as far as kubelet says.
    pub digests: BTreeSet<String>,
    /// The secrets of those pods, each once.
    pub secrets: Vec<Arc<PodSecrets>>,
}

/// All that runs.
#[derive(Debug, Clone, Default)]
pub struct All {
    /// Images that are to have copies.
    pub originals: BTreeMap<Reference, Running>,
    /// Copies.
    pub copies: BTreeMap<Reference, Running>,
}

/// So many pods are read at a time.
const PAGE: u32 = 250;

/// The images that run, by what they are called, as the settings would have them copied.
///
/// # Errors
/// The API server's.
pub async fn running(
    client: &Client,
    at: &Where,
    scope: &Scope,
    naming: &Naming,
) -> Result<All, kube::Error> {
    let api: Api<Pod> = match at {
        Where::Namespace(name) => Api::namespaced(client.clone(), name),
        Where::Everywhere => Api::all(client.clone()),
    };
    let secrets = Secrets::new(client.clone());
    // Whatever kinds are rewritten: what runs are pods.
    let scope = Scope {
        kinds: crate::workload::KINDS.to_vec(),
        ..scope.clone()
    };
    let mut all = All::default();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&params).await?;
        for pod in page.items {
            add(&mut all, &pod, &scope, naming, &secrets).await;
        }
        match page.metadata.continue_.filter(|it| !it.is_empty()) {
            Some(next) => params = params.continue_token(&next),
            None => return Ok(all),
        }
    }
}

async fn add(all: &mut All, pod: &Pod, scope: &Scope, naming: &Naming, secrets: &Secrets) {
    let Some(request) = request(pod) else {
        return;
    };
    let Ok(task) = scope.task(&request, naming) else {
        return;
    };
    let mut seen = BTreeSet::new();
    let left = task.left.into_iter();
    for (pointer, _) in left.filter(|(_, left)| *left == Left::Copy) {
        let image = request.object.pointer(&pointer).and_then(Value::as_str);
        let copy = image.and_then(|image| Reference::parse(image).ok());
        if let Some(copy) = copy.filter(|copy| seen.insert(copy.clone())) {
            let running = all.copies.entry(copy).or_default();
            running.namespaces.insert(request.namespace.clone());
            running.pods += 1;
        }
    }
    if task.wanted.is_empty() {
        return;
    }
    let secrets = secrets.of(&request).await;
    for wanted in task.wanted {
        let running = all.originals.entry(wanted.reference.clone()).or_default();
        running.digests.extend(digests(pod, &wanted.pointer));
        if !seen.insert(wanted.reference) {
            continue;
        }
        running.namespaces.insert(request.namespace.clone());
        running.pods += 1;
        if !running.secrets.iter().any(|it| Arc::ptr_eq(it, &secrets)) {
            running.secrets.push(secrets.clone());
        }
    }
}

/// The pod as it would be asked about if it came now; `None` where it has ended.
fn request(pod: &Pod) -> Option<Request> {
    let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
    if matches!(phase, Some("Succeeded" | "Failed")) {
        return None;
    }
    Some(Request {
        uid: String::new(),
        kind: GroupKind {
            group: String::new(),
            kind: "Pod".to_owned(),
        },
        sub_resource: None,
        name: pod.metadata.name.clone().unwrap_or_default(),
        namespace: pod.metadata.namespace.clone().unwrap_or_default(),
        operation: Operation::Create,
        object: serde_json::to_value(pod).ok()?,
        old_object: Value::Null,
        dry_run: None,
    })
}

/// What the node has for the container at this pointer: the digest of its image.
fn digests(pod: &Pod, pointer: &str) -> Option<String> {
    // /spec/containers/0/image
    let mut parts = pointer.split('/').skip(2);
    let (list, index) = (parts.next()?, parts.next()?.parse::<usize>().ok()?);
    let (spec, status) = (pod.spec.as_ref()?, pod.status.as_ref()?);
    let (name, statuses) = match list {
        "containers" => (
            &spec.containers.get(index)?.name,
            status.container_statuses.as_ref()?,
        ),
        "initContainers" => (
            &spec.init_containers.as_ref()?.get(index)?.name,
            status.init_container_statuses.as_ref()?,
        ),
        _ => return None,
    };
    let status = statuses.iter().find(|it| it.name == *name)?;
    let (_, digest) = status.image_id.rsplit_once('@')?;
    Digest::parse(digest).ok().map(|digest| digest.to_string())
}
