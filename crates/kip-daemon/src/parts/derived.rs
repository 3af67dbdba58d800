//! The configuration of a part, made from that of the whole.

use std::collections::BTreeSet;

use super::ARCHITECTURE;
use crate::architecture::Architecture;
use crate::cluster::Live;
use crate::config::Config;
use crate::config::startup::Identity;
use crate::desired::names::{PART_OF, REFRESH};

/// A name is the value of a label, too.
const LONGEST: usize = 63;

/// The name of the part's `DaemonSet`; `None` where it would be too long.
pub fn name(main: &str, architecture: Architecture) -> Option<String> {
    let name = format!("{main}-{architecture}");
    // Both are as long: either all parts have a name or none has.
    (name.len() <= LONGEST).then_some(name)
}

/// Who keeps the part.
pub fn identity(main: &Identity, architecture: Architecture) -> Option<Identity> {
    Some(Identity {
        daemonset: name(&main.daemonset, architecture)?,
        ..main.clone()
    })
}

/// The configuration of the part: without these images. What people ask of the main `DaemonSet` by an annotation is asked
/// of the part as well.
pub(super) fn config(
    main: &str,
    config: &Config,
    live: Option<&Live>,
    without: &BTreeSet<String>,
) -> Config {
    let mut config = config.clone();
    for group in &mut config.groups {
        group.images.retain(|image| !without.contains(&image.image));
    }
    let annotations = &mut config.daemonset_annotations;
    annotations.insert(PART_OF.to_owned(), main.to_owned());
    if let Some(request) = live.and_then(|live| live.annotations.get(REFRESH)) {
        annotations.insert(REFRESH.to_owned(), request.clone());
    }
    config
}

/// Whether the settings let pods run on nodes of this architecture.
pub fn may_run_on(config: &Config, architecture: Architecture) -> bool {
    config.groups.iter().all(|group| {
        let overlay = group.additions.overlay.document();
        let overlaid = overlay
            .get("spec")
            .and_then(|spec| spec.get("nodeSelector"));
        let overlaid = overlaid.and_then(|it| it.get(ARCHITECTURE));
        let selected = group.scheduling.node_selector.get(ARCHITECTURE);
        // What is null in the overlay is taken away.
        let selected = overlaid.map_or(selected.map(String::as_str), |it| it.as_str());
        selected.is_none_or(|selected| selected == architecture.as_str())
    })
}
