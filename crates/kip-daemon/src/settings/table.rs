//! The table.

use kip_program::settings::{Variable, find};

/// All settings, in the order in which the documentation lists them.
pub const VARIABLES: &[Variable] = &[
    Variable::live(
        "IMAGES",
        "(required)",
        "nginx=docker.io/library/nginx:1.27;quay.io/prometheus/busybox:latest",
        "The images to keep on every node: `name=image` or just `image`, separated by `;`. \
         Names are container names; the order is the order of pulling",
    ),
    Variable::live(
        "CACHING_INTERVAL_HOURS",
        "1",
        "30m",
        "Time between two refreshes, each of which also puts right what differs from the settings: hours, \
         also decimal, or a duration such as `30m`; `0` means never",
    ),
    Variable::live(
        "REFRESH",
        "digest",
        "always",
        "What a refresh does for images that have a tag. `digest`: the daemon asks the registries, and nodes only for what \
         has changed; `always`: nodes ask for every one; `never`: only an annotation makes them ask. With the last two \
         the daemon itself asks no registry",
    ),
    Variable::live(
        "REFRESH_FALLBACK",
        "node",
        "never",
        "Who asks where `REFRESH` is `digest` and the daemon gets no answer. `node`: nodes, for these images; \
         `always`: nodes, for every image that has a tag; `never`: nobody",
    ),
    Variable::live(
        "PLAIN_HTTP_REGISTRIES",
        "(none)",
        "registry.example:5000",
        "Registries that the daemon asks without TLS, as references name them, separated by `;`",
    ),
    Variable::live(
        "MAX_NODES_AT_ONCE",
        "10%",
        "5",
        "On how many nodes at once images are fetched and pods are replaced, after an edit or in a refresh: \
         a number, or a percentage of the nodes, rounded up",
    ),
    Variable::live(
        "SETTLE_DEADLINE",
        "10m",
        "30m",
        "How long a node may take to fetch, and then to start, before the others go on without it: \
         a duration from `1s` to `24h`",
    ),
    Variable::live(
        "PAUSED",
        "false",
        "true",
        "`true`: nothing is fetched and no pod is replaced; the DaemonSet is kept",
    ),
    Variable::live(
        "CACHING_MEMORY_REQUEST",
        "10Mi",
        "10Mi",
        "Memory request of each sleeping container; `none` leaves it out",
    ),
    Variable::live(
        "CACHING_MEMORY_LIMIT",
        "20Mi",
        "20Mi",
        "Memory limit of each sleeping container; `none` leaves it out",
    ),
    Variable::live(
        "CACHING_CPU_REQUEST",
        ".05",
        "50m",
        "CPU request of each sleeping container; `none` leaves it out",
    ),
    Variable::live(
        "CACHING_CPU_LIMIT",
        ".2",
        "200m",
        "CPU limit of each sleeping container; `none` leaves it out",
    ),
    Variable::live(
        "NODE_SELECTOR",
        "{}",
        r#"{"node-role": "worker"}"#,
        "Labels that a node must have, as JSON or YAML; `kubernetes.io/os: linux` is added",
    ),
    Variable::live(
        "IMAGE_PULL_SECRETS",
        "(none)",
        "registry-one;registry-two",
        "Pull secrets in the DaemonSet's namespace, separated by `;`",
    ),
    Variable::live(
        "AFFINITY",
        "{}",
        r#"{"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}]}]}}}"#,
        "A pod's `affinity`, as JSON or YAML",
    ),
    Variable::live(
        "TOLERATIONS",
        "[]",
        r#"[{"key": "gpu", "operator": "Exists"}]"#,
        "A pod's `tolerations`, as JSON or YAML",
    ),
    Variable::live(
        "DAEMONSET_ANNOTATIONS",
        "{}",
        r#"{"team": "platform"}"#,
        "Annotations of the DaemonSet itself, as JSON or YAML",
    ),
    Variable::live(
        "POD_LABELS",
        "{}",
        r#"{"team": "platform"}"#,
        "Labels of the sleeping pods beside the daemon's own, as JSON or YAML",
    ),
    Variable::live(
        "POD_ANNOTATIONS",
        "{}",
        r#"{"sidecar.istio.io/inject": "false"}"#,
        "Annotations of the sleeping pods beside the daemon's own, as JSON or YAML",
    ),
    Variable::live(
        "POD_PRIORITY_CLASS",
        "(the cluster's default)",
        "low-priority",
        "Priority class of the sleeping pods",
    ),
    Variable::live(
        "POD_RUNTIME_CLASS",
        "(the cluster's default)",
        "gvisor",
        "Runtime class of the sleeping pods",
    ),
    Variable::live(
        "POD_TEMPLATE",
        "{}",
        r#"{"spec": {"serviceAccountName": "cached", "securityContext": {"fsGroup": null}}}"#,
        "A part of a pod template, as JSON or YAML, laid over the sleeping pods' own in the end: a strategic merge, \
         `null` deletes. Programs, images and the set of containers stay",
    ),
    Variable::live(
        "KIP_IMAGE",
        "(the daemon's own image)",
        "docker.io/library/kubernetes-image-puller:0.1.0",
        "The image that brings the sleep program into the pods",
    ),
    Variable::live(
        "CLEANUP_ON_SHUTDOWN",
        "false",
        "true",
        "Delete the DaemonSet when the daemon is asked to end. It drops the cache at every restart: \
         meant for trying things out",
    ),
    Variable::at_start(
        "DAEMONSET_NAME",
        "kubernetes-image-puller",
        "kubernetes-image-puller",
        "Name of the DaemonSet, at most 63 characters",
    ),
    Variable::at_start(
        "NAMESPACE",
        "(the daemon's own namespace, else `k8s-image-puller`)",
        "k8s-image-puller",
        "Where the DaemonSet lives",
    ),
    Variable::at_start(
        "ALLOW_OTHER_NAMESPACE",
        "false",
        "true",
        "Permit a `NAMESPACE` other than the daemon's own; the DaemonSet then has no owner, \
         and an uninstall leaves it behind",
    ),
    Variable::at_start(
        "DEPLOYMENT_NAME",
        "(none)",
        "kubernetes-image-puller",
        "The daemon's own Deployment, made owner of the DaemonSet; set by the chart",
    ),
    Variable::at_start(
        "CONFIG_MAP_NAME",
        "(none)",
        "k8s-image-puller",
        "The ConfigMap that is watched for the settings; without it the environment gives them, once",
    ),
    Variable::at_start(
        "POD_NAMESPACE",
        "(the service account's namespace)",
        "k8s-image-puller",
        "The daemon's own namespace; set by the chart",
    ),
    Variable::at_start(
        "REGISTRY_CA_FILE",
        "(the system's authorities alone)",
        "/etc/registry-ca/ca.crt",
        "A file with certificates, in PEM, of further authorities that the daemon trusts when it asks registries; it is \
         read each time",
    ),
    Variable::at_start("LOG_FORMAT", "text", "json", "`text` or `json`"),
    Variable::at_start(
        "LOG_LEVEL",
        "info",
        "debug",
        "`error`, `warn`, `info`, `debug` or `trace`",
    ),
    Variable::at_start(
        "KUBECONFIG",
        "(`~/.kube/config`, else the pod's service account)",
        "/home/me/.kube/config",
        "How to reach the cluster from outside of it",
    ),
];

/// Looks a setting up in [`VARIABLES`].
pub fn variable(name: &str) -> Option<&'static Variable> {
    find(VARIABLES, name)
}
