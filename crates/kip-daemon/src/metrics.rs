//! Metrics, in the text format of Prometheus. All labels are from closed sets or from the configuration.

mod labels;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use self::labels::{
    AnswerLabel, ArchitectureLabel, CategoryLabel, CostLabels, ImageLabel, ImageLabels,
    ReasonLabel, ResultLabel, RoundLabels, StateLabel, VariableLabel, VersionLabel,
};
pub use self::labels::{ApplyResult, RoundResult};
use crate::answers::Why;
use crate::api_error::Category;
use crate::architecture::Architecture;
use crate::config::Problems;
use crate::known::Cost;
use crate::rollout::{Ending, Figures};
use crate::status::{ImageState, Status};
use crate::trouble::Trouble;

/// All metrics; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    applies: Family<ResultLabel, Counter>,
    api_errors: Family<CategoryLabel, Counter>,
    config_valid: Gauge,
    config_problems: Family<VariableLabel, Gauge>,
    images: Gauge,
    nodes: Family<StateLabel, Gauge>,
    image_nodes: Family<ImageLabels, Gauge>,
    last_apply: Gauge<f64, AtomicU64>,
    rounds: Family<RoundLabels, Counter>,
    left: Family<ReasonLabel, Counter>,
    rollout_nodes: Family<StateLabel, Gauge>,
    troubles: Family<ReasonLabel, Gauge>,
    answers: Family<AnswerLabel, Gauge>,
    list_bytes: Family<CostLabels, Gauge>,
    smallest_disk: Family<ArchitectureLabel, Gauge>,
    kept_off: Family<ImageLabel, Gauge>,
}

impl Metrics {
    /// The metrics, and the registry that prints them.
    pub fn new() -> (Self, Registry) {
        let metrics = Self::default();
        let mut registry = Registry::with_prefix("kip");
        let info = Family::<VersionLabel, Gauge>::default();
        info.get_or_create(&VersionLabel {
            version: env!("CARGO_PKG_VERSION"),
        })
        .set(1);
        registry.register("build_info", "The daemon's version", info);
        registry.register(
            "applies",
            "Applies of the DaemonSet by result",
            metrics.applies.clone(),
        );
        registry.register(
            "api_errors",
            "Failed requests and watches by category",
            metrics.api_errors.clone(),
        );
        registry.register(
            "config_valid",
            "1 while the newest configuration is valid and in force",
            metrics.config_valid.clone(),
        );
        registry.register(
            "config_problems",
            "Problems of the newest configuration by variable",
            metrics.config_problems.clone(),
        );
        registry.register(
            "images",
            "Images of the list in force",
            metrics.images.clone(),
        );
        registry.register(
            "nodes",
            "Nodes that are to have the images (wanted), have all of them (complete), have no pod for it (without_pod)",
            metrics.nodes.clone(),
        );
        registry.register(
            "image_nodes",
            "Nodes by image and by how far they are with it",
            metrics.image_nodes.clone(),
        );
        registry.register(
            "last_apply_timestamp_seconds",
            "When an apply last succeeded, in seconds since 1970",
            metrics.last_apply.clone(),
        );
        registry.register(
            "rounds",
            "Rounds of fetching and swapping that have ended, by kind and result",
            metrics.rounds.clone(),
        );
        registry.register(
            "round_nodes_left",
            "Nodes that left a round which could not be brought to its end there, by reason",
            metrics.left.clone(),
        );
        registry.register(
            "rollout_nodes",
            "Nodes whose pod holds something else than it should (outdated), at which something is fetched or swapped \
             (busy), whose fetcher stays because it holds what the pod does not (kept), that still have a pod of the \
             Go image puller (leftover)",
            metrics.rollout_nodes.clone(),
        );
        registry.register(
            "troubles",
            "Nodes that a trouble keeps from holding an image, or from holding it safely, by reason",
            metrics.troubles.clone(),
        );
        registry.register(
            "registry_answers",
            "Images of the list by what their registry has answered the daemon last",
            metrics.answers.clone(),
        );
        registry.register(
            "list_bytes",
            "What the list costs a node of each architecture: the bytes that it pulls, and an estimate of what they take on \
             its disk",
            metrics.list_bytes.clone(),
        );
        registry.register(
            "smallest_disk_bytes",
            "The smallest disk of the nodes of each architecture, as their pods tell",
            metrics.smallest_disk.clone(),
        );
        registry.register(
            "image_kept_off_nodes",
            "Nodes that an image is kept off, since it has nothing for their architecture",
            metrics.kept_off.clone(),
        );
        metrics.show_zeros();
        (metrics, registry)
    }

    /// Those of a part: what happens is counted with all else, where things stand is for the main controller to tell.
    #[must_use]
    pub fn for_part(&self) -> Self {
        Self {
            applies: self.applies.clone(),
            api_errors: self.api_errors.clone(),
            last_apply: self.last_apply.clone(),
            rounds: self.rounds.clone(),
            left: self.left.clone(),
            ..Self::default()
        }
    }

    /// What has not happened yet is told as well: an alert on an increase needs a beginning.
    fn show_zeros(&self) {
        self.troubles(&BTreeMap::new());
        self.answers(&BTreeMap::new());
        for result in [
            ApplyResult::created,
            ApplyResult::changed,
            ApplyResult::unchanged,
            ApplyResult::failed,
        ] {
            drop(self.applies.get_or_create(&ResultLabel { result }));
        }
        for kind in ["edit", "refresh"] {
            for result in [
                RoundResult::done,
                RoundResult::unfinished,
                RoundResult::stopped,
            ] {
                drop(self.rounds.get_or_create(&RoundLabels { kind, result }));
            }
        }
        for ending in Ending::ALL {
            let reason = ending.as_str();
            drop(self.left.get_or_create(&ReasonLabel { reason }));
        }
        for category in Category::ALL {
            drop(self.api_errors.get_or_create(&CategoryLabel {
                category: category.as_str(),
            }));
        }
    }

    /// Counts an apply. `now` in seconds since 1970.
    pub fn applied(&self, result: ApplyResult, now: f64) {
        self.applies.get_or_create(&ResultLabel { result }).inc();
        if result != ApplyResult::failed {
            self.last_apply.set(now);
        }
    }

    /// Counts a round that has ended.
    pub fn round_ended(&self, kind: &'static str, result: RoundResult) {
        self.rounds
            .get_or_create(&RoundLabels { kind, result })
            .inc();
    }

    /// Counts a node that has left a round.
    pub fn left(&self, ending: Ending) {
        let reason = ending.as_str();
        self.left.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// How far the nodes are.
    pub fn rollout(&self, figures: Figures) {
        for (state, count) in [
            ("outdated", figures.outdated),
            ("busy", figures.busy),
            ("kept", figures.kept),
            ("leftover", figures.leftovers),
        ] {
            self.rollout_nodes
                .get_or_create(&StateLabel { state })
                .set(to_i64(count));
        }
    }

    /// On how many nodes there is which trouble; one that is not mentioned is over.
    pub fn troubles(&self, nodes: &BTreeMap<Trouble, usize>) {
        for trouble in Trouble::ALL {
            let reason = trouble.as_str();
            let count = nodes.get(&trouble).copied().unwrap_or(0);
            self.troubles
                .get_or_create(&ReasonLabel { reason })
                .set(to_i64(count));
        }
    }

    /// How many images were answered with a digest (`None`), and how many were not, and why.
    pub fn answers(&self, counts: &BTreeMap<Option<Why>, usize>) {
        for why in std::iter::once(None).chain(Why::ALL.map(Some)) {
            let answer = why.map_or("digest", Why::as_str);
            let count = counts.get(&why).copied().unwrap_or(0);
            self.answers
                .get_or_create(&AnswerLabel { answer })
                .set(to_i64(count));
        }
    }

    /// What the list costs.
    pub fn costs(&self, costs: &BTreeMap<Architecture, Cost>) {
        self.list_bytes.clear();
        self.smallest_disk.clear();
        for (architecture, cost) in costs {
            let architecture = architecture.as_str();
            for (kind, bytes) in [("pulled", cost.pulled), ("on_disk", cost.on_disk)] {
                let labels = CostLabels { architecture, kind };
                let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
                self.list_bytes.get_or_create(&labels).set(bytes);
            }
            if let Some(disk) = cost.smallest_disk {
                let labels = ArchitectureLabel { architecture };
                let bytes = i64::try_from(disk).unwrap_or(i64::MAX);
                self.smallest_disk.get_or_create(&labels).set(bytes);
            }
        }
    }

    /// How many nodes each image of the list is kept off.
    pub fn kept_off(&self, nodes: &BTreeMap<String, usize>) {
        for (image, nodes) in nodes {
            let image = image.clone();
            self.kept_off
                .get_or_create(&ImageLabel { image })
                .set(to_i64(*nodes));
        }
    }

    /// Counts a failed request or watch.
    pub fn api_error(&self, category: Category) {
        self.api_errors
            .get_or_create(&CategoryLabel {
                category: category.as_str(),
            })
            .inc();
    }

    /// The newest configuration is in force, and has so many images.
    pub fn config_in_force(&self, images: usize) {
        self.config_valid.set(1);
        self.config_problems.clear();
        self.images.set(to_i64(images));
        // Images that are no longer in the list would stay for ever.
        self.image_nodes.clear();
        self.kept_off.clear();
    }

    /// The newest configuration is refused.
    pub fn config_refused(&self, problems: &Problems) {
        self.config_valid.set(0);
        self.config_problems.clear();
        for problem in &problems.0 {
            self.config_problems
                .get_or_create(&VariableLabel {
                    variable: problem.variable,
                })
                .inc();
        }
    }

    /// Where things stand.
    pub fn status(&self, status: &Status) {
        let set = |state, count| {
            self.nodes
                .get_or_create(&StateLabel { state })
                .set(to_i64(count));
        };
        set("wanted", status.wanted_nodes);
        set("complete", status.complete_nodes);
        set("without_pod", status.empty_nodes);
        for (name, image) in &status.images {
            for state in ImageState::ALL {
                let count = image.nodes.get(&state).copied().unwrap_or(0);
                let labels = ImageLabels {
                    image: name.clone(),
                    state: state.as_str(),
                };
                self.image_nodes.get_or_create(&labels).set(to_i64(count));
            }
        }
    }
}

fn to_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The text of a scrape.
pub fn text(registry: &Registry) -> String {
    let mut text = String::new();
    if encode(&mut text, registry).is_err() {
        // Writing to a String does not fail; should the encoder ever, the scrape says so.
        let _ = write!(text, "# the metrics could not be encoded\n# EOF\n");
    }
    text
}
