//! The table.

/// A setting as a user meets it.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// The environment variable.
    pub name: &'static str,
    /// What holds when it is unset or empty; words in parentheses say what cannot be a value.
    pub default: &'static str,
    /// A value that works.
    pub example: &'static str,
    /// What it does, in one line.
    pub meaning: &'static str,
}

const fn it(
    name: &'static str,
    default: &'static str,
    example: &'static str,
    meaning: &'static str,
) -> Variable {
    Variable {
        name,
        default,
        example,
        meaning,
    }
}

/// The setting of this name.
pub fn variable(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|it| it.name == name)
}

/// All settings, in the order in which the documentation lists them.
pub const VARIABLES: &[Variable] = &[
    it(
        "REGISTRY",
        "(Docker Hub)",
        "registry.example.com/backup",
        "Where the copies go: a registry, and what their names begin with. Where it has no path, that is the user's name \
         (`AUTH_DIR`)",
    ),
    it(
        "NAMING",
        "path",
        "flat",
        "How copies are named. `path`: `REGISTRY/HOST/REPOSITORY:TAG`; `flat`: `REGISTRY/WORDS-HASH:TAG`, for registries \
         without nested names; `legacy`: `REGISTRY/LAST_PART:TAG`, where different images may want one name, and the second \
         one gets no copy",
    ),
    it(
        "AUTH_DIR",
        "/auth",
        "/run/secrets/registry",
        "A folder with the credentials of `REGISTRY`: the files `username` and `password`, or a docker config \
         (`.dockerconfigjson` or `config.json`). It may be missing, and is read again when it changes",
    ),
    it(
        "PULL_SECRET",
        "(none)",
        "backup-pull",
        "The pull secret that pods need for the copies; it is added to what is rewritten, and must be in their namespaces",
    ),
    it(
        "REFERRERS",
        "true",
        "false",
        "Whether signatures, attestations and lists of contents are copied with an image: its referrers, and cosign's tags",
    ),
    it(
        "MAX_IMAGE_SIZE",
        "(none)",
        "20Gi",
        "No larger image is copied: of all its platforms together, compressed; in bytes, or with `Ki`, `Mi`, `Gi`, `Ti`",
    ),
    it(
        "KINDS",
        "templates",
        "pods",
        "Whose images are rewritten. `templates`: those of all workloads and of pods; `pods`: of pods alone, so that what \
         GitOps keeps stays as it is; or kinds, such as `Deployment;CronJob`",
    ),
    it(
        "ON_TIMEOUT",
        "admit",
        "deny",
        "What happens when a copy takes longer than the request may: `admit` it with that image as it is, or `deny` it. The \
         copy goes on, and the next request finds it",
    ),
    it(
        "ON_FAILURE",
        "admit",
        "deny",
        "The same when there can be no copy",
    ),
    it(
        "UNPROVEN",
        "keep",
        "give",
        "Who gets a copy while the original's registry is away. `keep`: only pods whose own credentials have read the \
         original before, others keep the original's name; `give`: all",
    ),
    it(
        "EXEMPT_NAMESPACES",
        "kube-system;kube-node-lease;kube-public",
        "kube-system;kube-node-lease;kube-public;monitoring",
        "Namespaces in which nothing is changed, separated by `;`",
    ),
    it(
        "EXEMPT_OWNERS",
        "cnpg.io;aerospike.com;serving.knative.dev",
        "cnpg.io",
        "API groups, separated by `;`, whose operators compare the images of what they made with what they asked for: what \
         such an object owns is left alone. A group below one of these counts, too",
    ),
    it(
        "EXEMPT_LABELS",
        "app.kubernetes.io/name=kubernetes-image-puller",
        "app.kubernetes.io/name=kubernetes-image-puller;app=vault",
        "Labels, separated by `;`, of objects that are left alone: by default what keeps images on the nodes. The image \
         cloner itself always is",
    ),
    it(
        "ALLOW_REGISTRIES",
        "(all)",
        "docker.io;quay.io",
        "The only registries that are copied from, as references name them, separated by `;`",
    ),
    it(
        "DENY_REGISTRIES",
        "(none)",
        "mirror.example.com",
        "Registries that are not copied from",
    ),
    it(
        "PRIVATE_REGISTRIES",
        "(none)",
        "harbor.corp.example;10.0.0.7:5000",
        "Registries that may have a private, link-local or loopback address; `*` is all. `REGISTRY` may. No other is asked: \
         who may create a pod could else reach what only this program can",
    ),
    it(
        "PLAIN_HTTP_REGISTRIES",
        "(none)",
        "registry.example:5000",
        "Registries that are spoken to without TLS, as references name them, separated by `;`",
    ),
    it(
        "REGISTRY_CA_FILE",
        "(none)",
        "/etc/registry-ca/ca.crt",
        "Certificates of further authorities, in PEM, that registries' certificates may be from",
    ),
    it(
        "COPIES_AT_ONCE",
        "8",
        "2",
        "How many images are copied at the same time, from 1 to 256; others wait",
    ),
    it(
        "ORIGINAL_FRESH",
        "30s",
        "5m",
        "For so long nobody asks again what a tag stands for",
    ),
    it(
        "COPY_FRESH",
        "10m",
        "1h",
        "For so long nobody asks again whether a copy is there",
    ),
    it(
        "PROOF_LIFETIME",
        "720h",
        "168h",
        "For so long it is remembered which credentials have read which image",
    ),
    it(
        "PROOF_SECRET",
        "image-cloner-proofs",
        "backup-proofs",
        "The Secret that remembers this for all replicas and across restarts",
    ),
    it(
        "CERTIFICATE_SECRET",
        "image-cloner-certificates",
        "backup-certificates",
        "The Secret with the certificate that all replicas show, where no files are given",
    ),
    it(
        "CERTIFICATE_LIFETIME",
        "2160h",
        "720h",
        "How long a certificate is good. It is renewed when a third of that is left",
    ),
    it(
        "WEBHOOK_CONFIGURATION",
        "image-cloner",
        "image-backup",
        "The MutatingWebhookConfiguration that is told which authority to trust",
    ),
    it(
        "SERVICE_NAME",
        "image-cloner",
        "image-backup",
        "The Service by which the API server reaches this program: the certificate is for its name",
    ),
    it(
        "POD_NAMESPACE",
        "(the pod's)",
        "image-cloner",
        "The namespace of the Service and of the two Secrets",
    ),
    it("LOG_FORMAT", "text", "json", "`text` or `json`"),
    it(
        "LOG_LEVEL",
        "info",
        "debug",
        "`error`, `warn`, `info`, `debug` or `trace`",
    ),
    it(
        "KUBECONFIG",
        "(the pod's service account, else ~/.kube/config)",
        "/home/me/.kube/config",
        "How the cluster is reached from a workstation",
    ),
];
