//! Tells people what happens in a round.

use tracing::{info, warn};

use super::Controller;
use crate::events::Reason;
use crate::metrics::RoundResult;
use crate::rollout::{Change, News, Round};

impl Controller {
    pub(super) fn tell_news(&self, round: &Round, news: Vec<News>) {
        let kind = if round.refresh { "refresh" } else { "edit" };
        let number = round.number;
        let mut is_stopped = false;
        for item in news {
            match item {
                News::Began => info!(kind, number, "round begins"),
                News::Stopped { node, images } => {
                    is_stopped = true;
                    let images = images.join(", ");
                    warn!(
                        kind,
                        number, node, images, "round stopped at its first node"
                    );
                    let text = format!(
                        "round {number} ({kind}) stopped at its first node, {node}: nothing of what it was to bring can be had \
                         there ({images}); no other node was touched. It is tried again by itself"
                    );
                    self.notices.tell(Reason::RolloutStopped, images, text);
                }
                News::Unanswered => {
                    is_stopped = true;
                    warn!(
                        kind,
                        number, "no registry has answered: tried again by itself"
                    );
                }
                News::Unproven(nodes) => {
                    is_stopped = true;
                    warn!(kind, number, nodes, "round stopped at its first nodes");
                    let text = format!(
                        "round {number} ({kind}) stopped: {nodes} nodes were tried first, one after the other, and none has \
                         come through (Events NodeSkipped say why); no other node was touched. It is tried again by itself"
                    );
                    self.notices.tell(Reason::RolloutStopped, "", text);
                }
                News::Left(node, ending) => {
                    let why = ending.as_str();
                    warn!(kind, number, node, why, "a node has left the round");
                    self.metrics.left(ending);
                    let text =
                        format!("node {node}: {} (round {number}, {kind})", ending.meaning());
                    self.notices.tell(Reason::NodeSkipped, why, text);
                }
                News::Ended { changed } => {
                    let is_done = round.unfinished.is_empty() && round.retry.is_none();
                    let result = match (is_stopped, is_done) {
                        (true, _) => RoundResult::stopped,
                        (false, true) => RoundResult::done,
                        (false, false) => RoundResult::unfinished,
                    };
                    self.metrics.round_ended(kind, result);
                    let changed: Vec<String> = changed.iter().map(Change::to_string).collect();
                    let changed = changed.join(", ");
                    let unfinished = round.unfinished.values().sum::<u32>();
                    info!(kind, number, changed, unfinished, "round ended");
                    if !changed.is_empty() {
                        let text = format!("refreshed: {changed}");
                        self.notices.tell(Reason::ImagesRefreshed, "", text);
                    }
                }
            }
        }
    }
}
