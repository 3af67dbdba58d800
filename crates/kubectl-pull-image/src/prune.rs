//! Removes what killed runs may have left.

use anyhow::Result;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt as _};

use crate::cluster::Cluster;
use crate::helper::{LABEL, MANAGED_BY, is_name};
use crate::output;
use crate::rights::explain;

/// Removes Jobs that have ended or are over their deadline, and `ConfigMaps` whose Job is gone.
///
/// # Errors
/// When a right is missing.
pub async fn prune(cluster: &Cluster, namespace: Option<&str>, force: bool) -> Result<()> {
    let place = namespace.unwrap_or("(all)");
    let labels = [LABEL, MANAGED_BY].map(|(key, value)| format!("{key}={value}"));
    let ours = ListParams::default().labels(&labels.join(","));
    // A Job is made before its ConfigMap: of each map that is seen here, the Job is seen below, if it is there.
    let maps: Api<ConfigMap> = api(cluster, namespace);
    let maps = maps
        .list(&ours)
        .await
        .map_err(|error| explain(error, "list", "configmaps", place))?;
    let jobs: Api<Job> = api(cluster, namespace);
    let jobs = jobs
        .list(&ours)
        .await
        .map_err(|error| explain(error, "list", "jobs.batch", place))?;
    let now = Timestamp::now();
    let (over, under_way): (Vec<_>, Vec<_>) = jobs
        .items
        .into_iter()
        .filter(|job| is_name(&job.name_any()))
        .partition(|job| force || is_over(job, now));
    let mut removed = Vec::new();
    for job in &over {
        let space = job.namespace().unwrap_or_default();
        let api: Api<Job> = Api::namespaced(cluster.client.clone(), &space);
        let name = job.name_any();
        let deleted = api.delete(&name, &DeleteParams::background()).await;
        if is_gone(deleted.map(|_| ()), "jobs.batch", &space)? {
            removed.push(format!("job.batch/{name} in namespace {space} removed"));
        }
    }
    // Those of a Job that was just removed go with it.
    let owned: Vec<_> = over
        .iter()
        .chain(&under_way)
        .filter_map(kube::ResourceExt::uid)
        .collect();
    for map in maps.items {
        // Its Job owns it: what nobody owns is somebody else's, whatever it is labelled with.
        if !is_name(&map.name_any()) || map.owner_references().is_empty() {
            continue;
        }
        if map
            .owner_references()
            .iter()
            .any(|owner| owned.contains(&owner.uid))
        {
            continue;
        }
        let space = map.namespace().unwrap_or_default();
        let api: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &space);
        let name = map.name_any();
        let deleted = api.delete(&name, &DeleteParams::default()).await;
        if is_gone(deleted.map(|_| ()), "configmaps", &space)? {
            removed.push(format!("configmap/{name} in namespace {space} removed"));
        }
    }
    if removed.is_empty() {
        removed.push("nothing was left behind".to_owned());
    }
    output::write(&(removed.join("\n") + "\n"))
}

/// Whether it was removed just now; not where another one has done it.
fn is_gone(deleted: kube::Result<()>, resource: &str, namespace: &str) -> Result<bool> {
    match deleted {
        Ok(()) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(explain(error, "delete", resource, namespace)),
    }
}

fn api<K>(cluster: &Cluster, namespace: Option<&str>) -> Api<K>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(cluster.client.clone(), namespace),
        None => Api::all(cluster.client.clone()),
    }
}

/// Whether the Job has ended, or should have.
fn is_over(job: &Job, now: Timestamp) -> bool {
    let conditions = job
        .status
        .iter()
        .flat_map(|it| it.conditions.iter().flatten());
    let has_ended = |it: &k8s_openapi::api::batch::v1::JobCondition| {
        it.status == "True" && ["Complete", "Failed"].contains(&it.type_.as_str())
    };
    if conditions.into_iter().any(has_ended) {
        return true;
    }
    let deadline = job
        .spec
        .as_ref()
        .and_then(|spec| spec.active_deadline_seconds);
    let age = job
        .creation_timestamp()
        .map(|made| now.as_second() - made.0.as_second());
    deadline
        .zip(age)
        .is_some_and(|(deadline, age)| age > deadline)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(status: &serde_json::Value) -> Job {
        serde_json::from_value(json!({
            "metadata": {"creationTimestamp": "1970-01-01T00:01:00Z"},
            "spec": {"activeDeadlineSeconds": 100, "template": {}},
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn what_has_ended_or_is_over_its_deadline_is_removed() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(!is_over(&job(&json!({})), at(150)));
        assert!(is_over(&job(&json!({})), at(161)));
        let ended = json!({"conditions": [{"type": "Failed", "status": "True"}]});
        assert!(is_over(&job(&ended), at(61)));
    }
}
