//! Names that are fixed for ever: changing one would orphan what an older version made.

/// Prefix of every annotation of ours.
pub const PREFIX: &str = "kubernetes-image-puller/";
/// On each pod: what it holds, see [`content_hash`](super::hash::content_hash).
pub const CONTENT_HASH: &str = "kubernetes-image-puller/content-hash";

/// On the `DaemonSet`: the round that is under way, or the last one, as JSON.
/// On a fetcher: the number of its round.
pub const ROUND: &str = "kubernetes-image-puller/round";
/// On the `DaemonSet`: when every tag was last asked for. Absent: when the `DaemonSet` was made.
pub const REFRESHED_AT: &str = "kubernetes-image-puller/refreshed-at";
/// On the `DaemonSet`, written by people: each new value asks for a refresh.
pub const REFRESH: &str = "kubernetes-image-puller/refresh";
/// On the `DaemonSet`: what the tags stood for in the last refresh, by the image's name, as JSON.
pub const DIGESTS: &str = "kubernetes-image-puller/digests";
/// On the `DaemonSet`: what a node pulls for the list, as JSON ([`Sum`](crate::known::Sum)).
pub const SUM: &str = "kubernetes-image-puller/sum";
/// On the `DaemonSet`: the value of [`REFRESH`] that was carried out last.
pub const REFRESH_HANDLED: &str = "kubernetes-image-puller/refresh-handled";
/// On the main `DaemonSet`: the architectures whose nodes have a `DaemonSet` of their own, as JSON
/// ([`Parts`](crate::parts::Parts)).
pub const PARTS: &str = "kubernetes-image-puller/parts";
/// On the `DaemonSet` of such nodes: the name of the main one.
pub const PART_OF: &str = "kubernetes-image-puller/part-of";
/// On a fetcher: the `DaemonSet` that it fetches for.
pub const HOLDER_UID: &str = "kubernetes-image-puller/holder-uid";
/// On a fetcher: the node that it is meant for, known before it is placed.
pub const NODE: &str = "kubernetes-image-puller/node";

/// Label: the `DaemonSet` that the pod belongs to. With [`COMPONENT`] it is the selector.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// Label: the pod's duty.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// The duty of the pods of the `DaemonSet`: to keep images.
pub const HOLDER: &str = "holder";
/// The duty of the pods that bring images to a node.
pub const FETCHER: &str = "fetcher";
/// Labels for people.
pub const NAME: &str = "app.kubernetes.io/name";
/// Labels for people.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The program, as [`NAME`] says.
pub const PROGRAM: &str = "kubernetes-image-puller";
/// The field manager of every server-side apply, and the value of [`MANAGED_BY`].
pub const MANAGER: &str = "kip-daemon";

/// The init container, reserved: no image may be called so.
pub const COPY_SLEEP: &str = "copy-sleep";
/// The volume that brings the sleep program into every container.
pub const VOLUME: &str = "kip";
/// Where the volume is mounted.
pub const MOUNT: &str = "/kip/";
/// The sleep program in the volume.
pub const SLEEP: &str = "/kip/sleep";
/// The sleep program in our image.
pub const SLEEP_IN_IMAGE: &str = "/kip-sleep";
/// How long a sleeper sleeps: the longest duration that Go's syntax can say, 292 years. A shorter one would end
/// all sleepers of all nodes at the same moment.
pub const SLEEP_DURATION: &str = "2562047h";
/// By how many milliseconds each sleeper of a pod ends later than the one before it, since kubelet signals all of them at once.
/// Where all end at once as well, more processes end than containerd's shim has room for, and who would make room waits for one
/// of them: a pod of twenty then takes a minute to end (containerd's issues 12678 and 13849).
pub const SLEEPERS_APART: usize = 50;
/// User and group of the sleepers on plain Kubernetes.
pub const UID: i64 = 65532;

/// The annotation by which `kubectl rollout restart` asks for new pods.
pub const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";
/// The annotation by which the API server numbers a `DaemonSet`'s templates.
pub const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";
/// The label by which the controller marks a pod with the number of its template.
pub const POD_TEMPLATE_GENERATION: &str = "pod-template-generation";
/// The label by which the controller marks a pod with the text of its template.
pub const CONTROLLER_REVISION: &str = "controller-revision-hash";

/// Which pods are the `DaemonSet`'s and which its fetchers, as a label selector.
pub fn pod_selector(daemonset: &str) -> String {
    format!("{INSTANCE}={daemonset},{COMPONENT} in ({HOLDER},{FETCHER})")
}
