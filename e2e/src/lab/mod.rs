//! The harness: a cluster that is there, namespaces that come and go, waiting with a deadline, and the logs that prove
//! what was asked of whom.
//!
//! ```text
//! hack/run-e2e.sh ──▶ environment (KUBECONFIG, KIP_…) ──▶ Cluster ──▶ Space (a namespace) ──▶ Release (helm)
//! ```

pub mod cloner;
pub mod cluster;
pub mod daemon;
pub mod docker;
pub mod gate;
pub mod history;
pub mod identity;
pub mod kubelet;
pub mod logs;
pub mod nodes;
pub mod openshift;
pub mod original;
pub mod private;
pub mod proxy;
pub mod recorder;
pub mod release;
pub mod sleeper;
pub mod space;
pub mod templates;
pub mod turn;
pub mod turnstile;
pub mod wait;

pub use self::cloner::Cloner;
pub use self::cluster::Cluster;
pub use self::daemon::Daemon;
pub use self::docker::Docker;
pub use self::gate::Gate;
pub use self::history::{Change, History};
pub use self::identity::Identity;
pub use self::kubelet::{Kubelet, Mood, Pull};
pub use self::nodes::FakeNodes;
pub use self::private::Private;
pub use self::proxy::Proxy;
pub use self::recorder::Recorder;
pub use self::release::Release;
pub use self::space::Space;
pub use self::turn::{Alone, alone};
pub use self::turnstile::Turnstile;
pub use self::wait::{DEADLINE, eventually, eventually_within};
