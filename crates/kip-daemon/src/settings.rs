//! Every setting of the daemon: one table, and the text that the environment or a `ConfigMap` gives for it.
//!
//! The table is the source: the README's settings, the chart, the OpenShift templates and the golden files are checked
//! against it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A setting as a user meets it.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// The environment variable, and the key in the `ConfigMap`.
    pub name: &'static str,
    /// What holds when it is unset or empty; words in parentheses say what cannot be a value.
    pub default: &'static str,
    /// What it does, in one line.
    pub meaning: &'static str,
    /// A value that works.
    pub example: &'static str,
    /// Whether an edit of the `ConfigMap` takes effect while the daemon runs.
    pub live: bool,
}

const fn live(
    name: &'static str,
    default: &'static str,
    example: &'static str,
    meaning: &'static str,
) -> Variable {
    Variable {
        name,
        default,
        meaning,
        example,
        live: true,
    }
}

const fn at_start(
    name: &'static str,
    default: &'static str,
    example: &'static str,
    meaning: &'static str,
) -> Variable {
    Variable {
        name,
        default,
        meaning,
        example,
        live: false,
    }
}

/// All settings, in the order in which the documentation lists them.
pub const VARIABLES: &[Variable] = &[
    live(
        "IMAGES",
        "(required)",
        "nginx=docker.io/library/nginx:1.27;quay.io/prometheus/busybox:latest",
        "The images to keep on every node: `name=image` or just `image`, separated by `;`. \
         Names are container names; the order is the order of pulling",
    ),
    live(
        "CACHING_INTERVAL_HOURS",
        "1",
        "30m",
        "Time between two refreshes, each of which also puts right what differs from the settings: hours, \
         also decimal, or a duration such as `30m`; `0` means never",
    ),
    live(
        "REFRESH",
        "always",
        "never",
        "`always`: a refresh asks the registries again for every image that has a tag; \
         `never`: only an annotation makes it ask",
    ),
    live(
        "MAX_NODES_AT_ONCE",
        "10%",
        "5",
        "On how many nodes at once images are fetched and pods are replaced, after an edit or in a refresh: \
         a number, or a percentage of the nodes, rounded up",
    ),
    live(
        "SETTLE_DEADLINE",
        "10m",
        "30m",
        "How long a node may take to fetch, and then to start, before the others go on without it: \
         a duration from `1s` to `24h`",
    ),
    live(
        "PAUSED",
        "false",
        "true",
        "`true`: nothing is fetched and no pod is replaced; the DaemonSet is kept",
    ),
    live(
        "CACHING_MEMORY_REQUEST",
        "10Mi",
        "10Mi",
        "Memory request of each sleeping container; `none` leaves it out",
    ),
    live(
        "CACHING_MEMORY_LIMIT",
        "20Mi",
        "20Mi",
        "Memory limit of each sleeping container; `none` leaves it out",
    ),
    live(
        "CACHING_CPU_REQUEST",
        ".05",
        "50m",
        "CPU request of each sleeping container; `none` leaves it out",
    ),
    live(
        "CACHING_CPU_LIMIT",
        ".2",
        "200m",
        "CPU limit of each sleeping container; `none` leaves it out",
    ),
    live(
        "NODE_SELECTOR",
        "{}",
        r#"{"node-role": "worker"}"#,
        "Labels that a node must have, as JSON or YAML; `kubernetes.io/os: linux` is added",
    ),
    live(
        "IMAGE_PULL_SECRETS",
        "(none)",
        "registry-one;registry-two",
        "Pull secrets in the DaemonSet's namespace, separated by `;`",
    ),
    live(
        "AFFINITY",
        "{}",
        r#"{"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}]}]}}}"#,
        "A pod's `affinity`, as JSON or YAML",
    ),
    live(
        "TOLERATIONS",
        "[]",
        r#"[{"key": "gpu", "operator": "Exists"}]"#,
        "A pod's `tolerations`, as JSON or YAML",
    ),
    live(
        "DAEMONSET_ANNOTATIONS",
        "{}",
        r#"{"team": "platform"}"#,
        "Annotations of the DaemonSet itself, as JSON or YAML",
    ),
    live(
        "POD_LABELS",
        "{}",
        r#"{"team": "platform"}"#,
        "Labels of the sleeping pods beside the daemon's own, as JSON or YAML",
    ),
    live(
        "POD_ANNOTATIONS",
        "{}",
        r#"{"sidecar.istio.io/inject": "false"}"#,
        "Annotations of the sleeping pods beside the daemon's own, as JSON or YAML",
    ),
    live(
        "POD_PRIORITY_CLASS",
        "(the cluster's default)",
        "low-priority",
        "Priority class of the sleeping pods",
    ),
    live(
        "POD_RUNTIME_CLASS",
        "(the cluster's default)",
        "gvisor",
        "Runtime class of the sleeping pods",
    ),
    live(
        "POD_TEMPLATE",
        "{}",
        r#"{"spec": {"serviceAccountName": "cached", "securityContext": {"fsGroup": null}}}"#,
        "A part of a pod template, as JSON or YAML, laid over the sleeping pods' own in the end: a strategic merge, \
         `null` deletes. Programs, images and the set of containers stay",
    ),
    live(
        "KIP_IMAGE",
        "(the daemon's own image)",
        "docker.io/library/kubernetes-image-puller:0.1.0",
        "The image that brings the sleep program into the pods",
    ),
    live(
        "CLEANUP_ON_SHUTDOWN",
        "false",
        "true",
        "Delete the DaemonSet when the daemon is asked to end. It drops the cache at every restart: \
         meant for trying things out",
    ),
    at_start(
        "DAEMONSET_NAME",
        "kubernetes-image-puller",
        "kubernetes-image-puller",
        "Name of the DaemonSet, at most 63 characters",
    ),
    at_start(
        "NAMESPACE",
        "(the daemon's own namespace, else `k8s-image-puller`)",
        "k8s-image-puller",
        "Where the DaemonSet lives",
    ),
    at_start(
        "ALLOW_OTHER_NAMESPACE",
        "false",
        "true",
        "Permit a `NAMESPACE` other than the daemon's own; the DaemonSet then has no owner, \
         and an uninstall leaves it behind",
    ),
    at_start(
        "DEPLOYMENT_NAME",
        "(none)",
        "kubernetes-image-puller",
        "The daemon's own Deployment, made owner of the DaemonSet; set by the chart",
    ),
    at_start(
        "CONFIG_MAP_NAME",
        "(none)",
        "k8s-image-puller",
        "The ConfigMap that is watched for the settings; without it the environment gives them, once",
    ),
    at_start(
        "POD_NAMESPACE",
        "(the service account's namespace)",
        "k8s-image-puller",
        "The daemon's own namespace; set by the chart",
    ),
    at_start("LOG_FORMAT", "text", "json", "`text` or `json`"),
    at_start(
        "LOG_LEVEL",
        "info",
        "debug",
        "`error`, `warn`, `info`, `debug` or `trace`",
    ),
    at_start(
        "KUBECONFIG",
        "(`~/.kube/config`, else the pod's service account)",
        "/home/me/.kube/config",
        "How to reach the cluster from outside of it",
    ),
];

/// Looks a setting up in [`VARIABLES`].
pub fn variable(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name)
}

/// The settings as text, field by field; empty and blank values count as unset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[allow(
    missing_docs,
    reason = "the fields are the variables of the table, in lower case"
)]
pub struct Settings {
    pub images: Option<String>,
    pub caching_interval_hours: Option<String>,
    pub refresh: Option<String>,
    pub max_nodes_at_once: Option<String>,
    pub settle_deadline: Option<String>,
    pub paused: Option<String>,
    pub caching_memory_request: Option<String>,
    pub caching_memory_limit: Option<String>,
    pub caching_cpu_request: Option<String>,
    pub caching_cpu_limit: Option<String>,
    pub node_selector: Option<String>,
    pub image_pull_secrets: Option<String>,
    pub affinity: Option<String>,
    pub tolerations: Option<String>,
    pub daemonset_annotations: Option<String>,
    pub pod_labels: Option<String>,
    pub pod_annotations: Option<String>,
    pub pod_priority_class: Option<String>,
    pub pod_runtime_class: Option<String>,
    pub pod_template: Option<String>,
    pub kip_image: Option<String>,
    pub cleanup_on_shutdown: Option<String>,
    pub daemonset_name: Option<String>,
    pub namespace: Option<String>,
    pub allow_other_namespace: Option<String>,
    pub deployment_name: Option<String>,
    pub config_map_name: Option<String>,
    pub pod_namespace: Option<String>,
    pub log_format: Option<String>,
    pub log_level: Option<String>,
}

impl Settings {
    /// Reads the settings from name and value pairs; names that are no setting are passed over.
    ///
    /// # Errors
    /// None is known: every field is text and optional. `envy` has the last word.
    pub fn from_vars(
        vars: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, envy::Error> {
        let given = vars
            .into_iter()
            .filter(|(name, value)| variable(name).is_some() && !value.trim().is_empty())
            .map(|(name, value)| (name, trimmed(&value).to_owned()));
        envy::from_iter(given)
    }

    /// Reads the settings from the data of a `ConfigMap`.
    ///
    /// # Errors
    /// As [`Settings::from_vars`].
    pub fn from_config_map(data: &BTreeMap<String, String>) -> Result<Self, envy::Error> {
        Self::from_vars(
            data.iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        )
    }

    /// These settings, with the names of `newer` where it has any: what counts at start and can be mended by an
    /// edit of the `ConfigMap`.
    #[must_use]
    pub fn renamed_by(&self, newer: Self) -> Self {
        Self {
            daemonset_name: newer.daemonset_name,
            namespace: newer.namespace,
            allow_other_namespace: newer.allow_other_namespace,
            ..self.clone()
        }
    }
}

/// The value without what surrounds it. Where it has several lines the first one keeps its indentation: in YAML that
/// is part of what it says.
fn trimmed(value: &str) -> &str {
    let value = value.trim_end();
    let without_indentation = value.trim_start();
    if !without_indentation.contains('\n') {
        return without_indentation;
    }
    let skipped = &value[..value.len() - without_indentation.len()];
    let line = skipped.rfind('\n').map_or(0, |end| end + 1);
    &value[line..]
}

/// Keys of a `ConfigMap` that are no setting: most often a misspelt name, whose value would silently not count.
pub fn unknown_keys(data: &BTreeMap<String, String>) -> Vec<&str> {
    data.keys()
        .map(String::as_str)
        .filter(|key| variable(key).is_none())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn every_variable_of_the_table_is_read() {
        for variable in VARIABLES.iter().filter(|v| v.name != "KUBECONFIG") {
            let read = Settings::from_vars(vars(&[(variable.name, "x")])).unwrap();
            assert_ne!(read, Settings::default(), "{} is not read", variable.name);
        }
    }

    #[test]
    fn blank_is_unset_and_spaces_around_a_value_do_not_count() {
        let read =
            Settings::from_vars(vars(&[("IMAGES", " a=b \n"), ("AFFINITY", " \n ")])).unwrap();
        assert_eq!(read.images.as_deref(), Some("a=b"));
        assert_eq!(read.affinity, None);
    }

    #[test]
    fn the_first_of_several_lines_keeps_its_indentation() {
        for (value, expected) in [
            (" \n  a: b\n  c: d\n", "  a: b\n  c: d"),
            ("  a: b\n  c: d", "  a: b\n  c: d"),
            ("\n  a: b\n", "a: b"),
            ("a: b\nc: d", "a: b\nc: d"),
        ] {
            assert_eq!(trimmed(value), expected, "{value:?}");
        }
    }

    #[test]
    fn misspelt_keys_of_a_config_map_are_found() {
        let data = vars(&[("IMAGES", "a"), ("CACHING_INTERVAL_HOUR", "1")])
            .into_iter()
            .collect();
        assert_eq!(unknown_keys(&data), ["CACHING_INTERVAL_HOUR"]);
    }
}
