//! A namespace that treats pods as a project of OpenShift does, on a cluster that is none.
//!
//! What of OpenShift an image puller meets: the API group `security.openshift.io`; the constraint `restricted-v2`, which
//! gives each pod the project's user and group and refuses pods that bring others; and the admission plugin
//! `OwnerReferencesPermissionEnforcement`, which the local cluster has on always.
//! The rules: <https://docs.openshift.com/container-platform/latest/authentication/managing-security-context-constraints.html>

use std::panic::{AssertUnwindSafe, resume_unwind};

use anyhow::{Context as _, Result, ensure};
use futures::FutureExt as _;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams,
};
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::space::{self, Space};
use super::wait::eventually;

/// The first user and the group of the project.
pub const ID: i64 = 1_000_680_000;
/// How many users it has.
const IDS: i64 = 10_000;
const LEVEL: &str = "s0:c26,c15";

const GROUP: &str = "security.openshift.io";
const CONSTRAINTS: &str = "securitycontextconstraints.security.openshift.io";

/// Runs a test in a namespace of its own, which is a project of OpenShift to the pods in it.
///
/// # Panics
/// When the test does, or when the cluster does not take part.
pub async fn within(test: &str, body: impl AsyncFnOnce(&Space)) {
    with_constraints_served(async || {
        space::within(test, async |space| {
            let project = Project { space };
            project.make().await.expect("the policies can be made");
            let result = AssertUnwindSafe(async {
                eventually("the policies are in force", async || project.probe().await).await;
                body(space).await;
            })
            .catch_unwind()
            .await;
            project
                .remove()
                .await
                .expect("the policies can be taken away");
            if let Err(panic) = result {
                resume_unwind(panic);
            }
        })
        .await;
    })
    .await;
}

/// Runs a test while the API group `security.openshift.io` is served.
///
/// # Panics
/// When the test does, or when the group cannot be served.
pub async fn with_constraints_served(body: impl AsyncFnOnce()) {
    let cluster = Cluster::from_env().await.expect("the tests need a cluster");
    let crds = Api::<CustomResourceDefinition>::all(cluster.client.clone());
    crds.create(&PostParams::default(), &constraints())
        .await
        .expect("the API group can be made");
    let result = AssertUnwindSafe(async {
        eventually("the API group is served", async || {
            group_is(&cluster, true).await
        })
        .await;
        body().await;
    })
    .catch_unwind()
    .await;
    crds.delete(CONSTRAINTS, &DeleteParams::default())
        .await
        .expect("the API group can be taken away");
    eventually("the API group is gone", async || {
        group_is(&cluster, false).await
    })
    .await;
    if let Err(panic) = result {
        resume_unwind(panic);
    }
}

fn constraints() -> CustomResourceDefinition {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    from(json!({
        "metadata": {"name": CONSTRAINTS},
        "spec": {
            "group": GROUP, "scope": "Cluster",
            "names": {"plural": "securitycontextconstraints", "kind": "SecurityContextConstraints"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    }))
}

async fn group_is(cluster: &Cluster, wanted: bool) -> Result<()> {
    let groups = cluster.client.list_api_groups().await?.groups;
    let is = groups.iter().any(|group| group.name == GROUP);
    ensure!(is == wanted, "{GROUP} served: {is}");
    Ok(())
}

#[allow(clippy::expect_used, reason = "only literals of this file get here")]
fn from<K: serde::de::DeserializeOwned>(object: Value) -> K {
    serde_json::from_value(object).expect("the literals of this file have the fields of their kind")
}

/// A namespace with the two policies that stand for the constraint.
struct Project<'a> {
    space: &'a Space,
}

impl Project<'_> {
    fn client(&self) -> Client {
        self.space.cluster.client.clone()
    }

    /// Name of the policies and their bindings.
    fn name(&self) -> String {
        format!("restricted-v2.{}", self.space.name)
    }

    /// An API that the client's types do not have yet: it is stable since Kubernetes 1.36.
    fn mutating(&self, kind: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
        Api::all_with(self.client(), &ApiResource::from_gvk(&kind))
    }

    async fn make(&self) -> Result<()> {
        let annotations = json!({
            "openshift.io/sa.scc.uid-range": format!("{ID}/{IDS}"),
            "openshift.io/sa.scc.supplemental-groups": format!("{ID}/{IDS}"),
            "openshift.io/sa.scc.mcs": LEVEL,
        });
        let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
        Api::<Namespace>::all(self.client())
            .patch(&self.space.name, &PatchParams::default(), &patch)
            .await?;
        let create = PostParams::default();
        let binding = self.binding(json!({}));
        self.mutating("MutatingAdmissionPolicy")
            .create(&create, &from(self.assigns()))
            .await
            .context("Kubernetes 1.36 or newer is needed")?;
        self.mutating("MutatingAdmissionPolicyBinding")
            .create(&create, &from(binding))
            .await?;
        Api::<ValidatingAdmissionPolicy>::all(self.client())
            .create(&create, &from(self.refuses()))
            .await?;
        Api::<ValidatingAdmissionPolicyBinding>::all(self.client())
            .create(
                &create,
                &from(self.binding(json!({"validationActions": ["Deny"]}))),
            )
            .await?;
        Ok(())
    }

    async fn remove(&self) -> Result<()> {
        let (name, delete) = (self.name(), DeleteParams::default());
        for kind in ["MutatingAdmissionPolicyBinding", "MutatingAdmissionPolicy"] {
            self.mutating(kind).delete(&name, &delete).await?;
        }
        Api::<ValidatingAdmissionPolicyBinding>::all(self.client())
            .delete(&name, &delete)
            .await?;
        Api::<ValidatingAdmissionPolicy>::all(self.client())
            .delete(&name, &delete)
            .await?;
        Ok(())
    }

    fn binding(&self, more: Value) -> Value {
        let mut spec = json!({"policyName": self.name()});
        if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), more) {
            spec.extend(more);
        }
        json!({"metadata": {"name": self.name()}, "spec": spec})
    }

    /// New pods of this namespace.
    fn constraints(&self) -> Value {
        json!({
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.space.name}},
            "resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
            }],
        })
    }

    /// Gives what a pod leaves open, from the annotations of its namespace.
    fn assigns(&self) -> Value {
        let user = |kind: &str| {
            format!(
                "Object.spec.{kind}{{name: c.name, securityContext: Object.spec.{kind}.securityContext{{runAsUser: \
                 has(c.securityContext) && has(c.securityContext.runAsUser) ? c.securityContext.runAsUser : \
                 has(object.spec.securityContext) && has(object.spec.securityContext.runAsUser) ? \
                 object.spec.securityContext.runAsUser : variables.user}}}}"
            )
        };
        let expression = format!(
            "Object{{metadata: Object.metadata{{annotations: {{'openshift.io/scc': 'restricted-v2'}}}}, \
             spec: Object.spec{{securityContext: Object.spec.securityContext{{\
             fsGroup: has(object.spec.securityContext) && has(object.spec.securityContext.fsGroup) ? \
             object.spec.securityContext.fsGroup : variables.group, \
             seLinuxOptions: Object.spec.securityContext.seLinuxOptions{{level: variables.level}}}}, \
             containers: object.spec.containers.map(c, {}), \
             initContainers: has(object.spec.initContainers) ? object.spec.initContainers.map(c, {}) : []}}}}",
            user("containers"),
            user("initContainers")
        );
        let annotation = |key: &str| {
            format!("namespaceObject.metadata.annotations['openshift.io/sa.scc.{key}']")
        };
        let first = |key: &str| format!("int({}.split('/')[0])", annotation(key));
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingAdmissionPolicy",
            "metadata": {"name": self.name()},
            "spec": {
                "failurePolicy": "Fail",
                "reinvocationPolicy": "Never",
                "matchConstraints": self.constraints(),
                "variables": [
                    {"name": "user", "expression": first("uid-range")},
                    {"name": "group", "expression": first("supplemental-groups")},
                    {"name": "level", "expression": annotation("mcs")},
                ],
                "mutations": [
                    {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}},
                ],
            },
        })
    }

    /// Refuses what is not of the project.
    fn refuses(&self) -> Value {
        let in_range = |id: &str| format!("{id} >= {ID} && {id} < {}", ID + IDS);
        let users = |kind: &str| {
            format!(
                "object.spec.{kind}.all(c, {})",
                in_range("c.securityContext.runAsUser")
            )
        };
        let validation = |expression: String, what: &str| {
            json!({
                "expression": expression, "reason": "Forbidden",
                "message": format!("restricted-v2: {what} must be in the range of the project"),
            })
        };
        json!({
            "metadata": {"name": self.name()},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": self.constraints(),
                "validations": [
                    validation(users("containers"), "runAsUser"),
                    validation(
                        format!("!has(object.spec.initContainers) || {}", users("initContainers")),
                        "runAsUser of an init container",
                    ),
                    validation(in_range("object.spec.securityContext.fsGroup"), "fsGroup"),
                ],
            },
        })
    }

    /// Whether the policies are in force: asks for pods that are not made.
    async fn probe(&self) -> Result<()> {
        let pod = ask(self.space, &json!({})).await?;
        let mut containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let user = containers.find_map(|it| it.security_context.as_ref()?.run_as_user);
        ensure!(user == Some(ID), "the pod would run as {user:?}");
        for own in [json!({"runAsUser": 65532}), json!({"fsGroup": 65532})] {
            match ask(self.space, &own).await {
                Ok(_) => anyhow::bail!("a pod with {own} is admitted"),
                Err(error) => ensure!(error.to_string().contains("restricted-v2"), "{error:#}"),
            }
        }
        Ok(())
    }
}

/// What the API server would make of a pod with this security context; none is made.
///
/// # Errors
/// Its refusal.
pub async fn ask(space: &Space, security: &Value) -> Result<Pod> {
    let mut own = json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    if let (Some(own), Some(more)) = (own.as_object_mut(), security.as_object()) {
        own.extend(more.clone());
    }
    let container = json!({"name": "a", "image": "registry.invalid/a:1", "securityContext": {
        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}});
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "probe"},
        "spec": {"securityContext": own, "containers": [container]},
    }))?;
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    Ok(space.api::<Pod>().create(&dry_run, &pod).await?)
}
