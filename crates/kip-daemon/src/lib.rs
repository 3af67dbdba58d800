//! The Kubernetes Image Puller: keeps a `DaemonSet` of sleeping containers, so that a list of images stays on every
//! node.
//!
//! ```text
//! environment, ConfigMap ──▶ settings (text) ──▶ Config (valid, or every problem at once) ─┐
//! watches: DaemonSet, Pods, Deployment; API groups ──▶ Cluster (plain facts) ──────────────┼─▶ plan ──▶ Plan
//! tick of the schedule ────────────────────────────────────────────────────────────────────┘   (pure)
//! Plan ──▶ apply (server-side apply) ──▶ API server         pods ──▶ status (pure) ──▶ metrics, Events
//! ```
//!
//! Pure, without clock or I/O: [`settings`], [`config`], [`desired`], [`cluster`], [`plan`], [`rollout`], [`status`],
//! [`ownership`], [`original`], [`answers`], [`footprint`], [`known`], [`status_page`], [`node_report`], [`parts`],
//! [`source`], [`trouble`].
//! At the edge: [`observe`], [`apply`], [`schedule`], [`events`], [`server`], [`registries`], [`inspect`], [`survey`].
//! [`controller`] puts them together; [`run`] starts everything.

pub mod answers;
pub mod api_error;
pub mod apply;
pub mod architecture;
pub mod cluster;
pub mod config;
pub mod controller;
pub mod desired;
pub mod events;
pub mod footprint;
pub mod inspect;
pub mod known;
pub mod metrics;
pub mod node_report;
pub mod observe;
pub mod original;
pub mod ownership;
pub mod pace;
pub mod parts;
pub mod plan;
pub mod pods;
pub mod preview;
pub mod registries;
pub mod report;
pub mod rollout;
pub mod run;
pub mod schedule;
pub mod server;
pub mod settings;
pub mod sizing;
pub mod source;
pub mod status;
pub mod status_page;
pub mod survey;
pub mod trouble;

/// The image built from this repository: what brings the sleep program where no Deployment tells.
pub const DEFAULT_IMAGE: &str = concat!("kubernetes-image-puller:", env!("CARGO_PKG_VERSION"));
