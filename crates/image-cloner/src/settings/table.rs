//! The table.

use kip_program::settings::{Variable, find};

/// The setting of this name.
pub fn variable(name: &str) -> Option<&'static Variable> {
    find(VARIABLES, name)
}

/// All settings, in the order in which the documentation lists them.
pub const VARIABLES: &[Variable] = &[
    Variable::at_start(
        "REGISTRY",
        "(Docker Hub)",
        "registry.example.com/backup",
        "Where the copies go: a registry, and what their names begin with. Where it has no path, that is the user's name \
         (`AUTH_DIR`)",
    ),
    Variable::at_start(
        "NAMING",
        "path",
        "flat",
        "How copies are named. `path`: `REGISTRY/HOST/REPOSITORY:TAG`; `flat`: `REGISTRY/WORDS-HASH:TAG`, for registries \
         without nested names; `legacy`: `REGISTRY/LAST_PART:TAG`, where different images may want one name, and the second \
         one gets no copy",
    ),
    Variable::at_start(
        "AUTH_DIR",
        "/auth",
        "/run/secrets/registry",
        "A folder with the credentials of `REGISTRY`: the files `username` and `password`, or a docker config \
         (`.dockerconfigjson` or `config.json`). It may be missing, and is read again when it changes",
    ),
    Variable::at_start(
        "PULL_SECRET",
        "(none)",
        "backup-pull",
        "The pull secret that pods need for the copies; it is added to what is rewritten, and must be in their namespaces",
    ),
    Variable::at_start(
        "REFERRERS",
        "true",
        "false",
        "Whether signatures, attestations and lists of contents are copied with an image: its referrers, and cosign's tags",
    ),
    Variable::at_start(
        "MAX_IMAGE_SIZE",
        "(none)",
        "20Gi",
        "No larger image is copied: of all its platforms together, compressed; in bytes, or with `Ki`, `Mi`, `Gi`, `Ti`",
    ),
    Variable::at_start(
        "KINDS",
        "templates",
        "pods",
        "Whose images are rewritten. `templates`: those of all workloads and of pods; `pods`: of pods alone, so that what \
         GitOps keeps stays as it is; or kinds, such as `Deployment;CronJob`",
    ),
    Variable::at_start(
        "ON_TIMEOUT",
        "admit",
        "deny",
        "What happens when a copy takes longer than the request may: `admit` it with that image as it is, or `deny` it. The \
         copy goes on, and the next request finds it",
    ),
    Variable::at_start(
        "ON_FAILURE",
        "admit",
        "deny",
        "The same when there can be no copy",
    ),
    Variable::at_start(
        "UNPROVEN",
        "keep",
        "give",
        "Who gets a copy while the original's registry is away. `keep`: only pods whose own credentials have read the \
         original before, others keep the original's name; `give`: all",
    ),
    Variable::at_start(
        "EXEMPT_NAMESPACES",
        "kube-system;kube-node-lease;kube-public",
        "kube-system;kube-node-lease;kube-public;monitoring",
        "Namespaces in which nothing is changed, separated by `;`",
    ),
    Variable::at_start(
        "EXEMPT_OWNERS",
        "cnpg.io;aerospike.com;serving.knative.dev",
        "cnpg.io",
        "API groups, separated by `;`, whose operators compare the images of what they made with what they asked for: what \
         such an object owns is left alone. A group below one of these counts, too",
    ),
    Variable::at_start(
        "EXEMPT_LABELS",
        "app.kubernetes.io/name=kubernetes-image-puller",
        "app.kubernetes.io/name=kubernetes-image-puller;app=vault",
        "Labels, separated by `;`, of objects that are left alone: by default what keeps images on the nodes. The image \
         cloner itself always is",
    ),
    Variable::at_start(
        "ALLOW_REGISTRIES",
        "(all)",
        "docker.io;quay.io",
        "The only registries that are copied from, as references name them, separated by `;`",
    ),
    Variable::at_start(
        "DENY_REGISTRIES",
        "(none)",
        "mirror.example.com",
        "Registries that are not copied from",
    ),
    Variable::at_start(
        "PRIVATE_REGISTRIES",
        "(none)",
        "harbor.corp.example;10.0.0.7:5000",
        "Registries that may have a private, link-local or loopback address; `*` is all. `REGISTRY` may. No other is asked: \
         who may create a pod could else reach what only this program can",
    ),
    Variable::at_start(
        "PLAIN_HTTP_REGISTRIES",
        "(none)",
        "registry.example:5000",
        "Registries that are spoken to without TLS, as references name them, separated by `;`",
    ),
    Variable::at_start(
        "REGISTRY_CA_FILE",
        "(none)",
        "/etc/registry-ca/ca.crt",
        "Certificates of further authorities, in PEM, that registries' certificates may be from",
    ),
    Variable::at_start(
        "COPIES_AT_ONCE",
        "8",
        "2",
        "How many images are copied at the same time, from 1 to 256; others wait",
    ),
    Variable::at_start(
        "ORIGINAL_FRESH",
        "30s",
        "5m",
        "For so long nobody asks again what a tag stands for",
    ),
    Variable::at_start(
        "COPY_FRESH",
        "10m",
        "1h",
        "For so long nobody asks again whether a copy is there",
    ),
    Variable::at_start(
        "PROOF_LIFETIME",
        "720h",
        "168h",
        "For so long it is remembered which credentials have read which image",
    ),
    Variable::at_start(
        "PROOF_SECRET",
        "image-cloner-proofs",
        "backup-proofs",
        "The Secret that remembers this for all replicas and across restarts",
    ),
    Variable::at_start(
        "CERTIFICATE_SECRET",
        "image-cloner-certificates",
        "backup-certificates",
        "The Secret with the certificate that all replicas show, where no files are given",
    ),
    Variable::at_start(
        "CERTIFICATE_LIFETIME",
        "2160h",
        "720h",
        "How long a certificate is good. It is renewed when a third of that is left",
    ),
    Variable::at_start(
        "WEBHOOK_CONFIGURATION",
        "image-cloner",
        "image-backup",
        "The MutatingWebhookConfiguration that is told which authority to trust",
    ),
    Variable::at_start(
        "SERVICE_NAME",
        "image-cloner",
        "image-backup",
        "The Service by which the API server reaches this program: the certificate is for its name",
    ),
    Variable::at_start(
        "POD_NAMESPACE",
        "(the pod's)",
        "image-cloner",
        "The namespace of the Service and of the two Secrets",
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
        "(the pod's service account, else ~/.kube/config)",
        "/home/me/.kube/config",
        "How the cluster is reached from a workstation",
    ),
];
