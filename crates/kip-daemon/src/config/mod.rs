//! From text to a configuration that is valid, or to every problem at once. Pure: no clock, no I/O.

pub mod images;
mod interval;
mod metadata;
pub mod names;
pub mod overlay;
pub mod pod;
mod problem;
pub mod quantity;
pub mod registries;
pub mod resources;
pub mod rollout;
pub mod scheduling;
pub mod startup;
mod structured;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kip_image::Reference;

use self::images::Image;
use self::pod::Additions;
use self::problem::Findings;
pub use self::problem::{Problem, Problems};
use self::registries::Registries;
use self::resources::Resources;
use self::rollout::Rollout;
use self::scheduling::Scheduling;
use crate::settings::Settings;

/// A valid configuration: everything that may change while the daemon runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What to keep where. The plain settings make one group.
    pub groups: Vec<Group>,
    /// Time between two ticks; `None` means never.
    pub interval: Option<Duration>,
    /// How a change and a refresh go through the nodes.
    pub rollout: Rollout,
    /// How the daemon reaches registries.
    pub registries: Registries,
    /// Annotations of the `DaemonSet` itself.
    pub daemonset_annotations: BTreeMap<String, String>,
    /// The image that brings the sleep program; `None` means the daemon's own.
    pub sleep_image: Option<String>,
    /// Whether the `DaemonSet` is deleted when the daemon is asked to end.
    pub cleanup_on_shutdown: bool,
}

/// Images that are kept on the same nodes, in the same way.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The images, in the order in which kubelet pulls them.
    pub images: Vec<Image>,
    /// Requests and limits of each sleeping container.
    pub resources: Resources,
    /// Names of pull secrets.
    pub pull_secrets: Vec<String>,
    /// Where the pods run.
    pub scheduling: Scheduling,
    /// What the pods get beside the images.
    pub additions: Additions,
}

impl Config {
    /// The images of all groups, in their order.
    pub fn images(&self) -> impl Iterator<Item = &Image> {
        self.groups.iter().flat_map(|group| &group.images)
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// Every problem, in the order of the settings.
    pub fn from_settings(settings: &Settings) -> Result<Self, Problems> {
        let mut findings = Findings::default();
        let images = images::parse(settings.images.as_deref(), &mut findings);
        let known_images = findings.is_empty().then(|| images.clone());
        let interval = interval::parse(settings.caching_interval_hours.as_deref());
        let interval = findings.take(interval);
        let rollout = rollout::parse(settings, &mut findings);
        let registries =
            registries::parse(settings.plain_http_registries.as_deref(), &mut findings);
        let resources = resources::parse(settings, &mut findings);
        let scheduling = scheduling::parse(
            &scheduling::Texts {
                node_selector: settings.node_selector.as_deref(),
                affinity: settings.affinity.as_deref(),
                tolerations: settings.tolerations.as_deref(),
            },
            &mut findings,
        );
        let pull_secrets = pull_secrets(settings.image_pull_secrets.as_deref(), &mut findings);
        let daemonset_annotations = metadata::annotations(
            "DAEMONSET_ANNOTATIONS",
            settings.daemonset_annotations.as_deref(),
            &mut findings,
        );
        let additions = pod::parse(settings, known_images.as_deref(), &mut findings);
        let sleep_image = findings.take(sleep_image(settings.kip_image.as_deref()));
        let cleanup_on_shutdown = findings.take(boolean(
            "CLEANUP_ON_SHUTDOWN",
            settings.cleanup_on_shutdown.as_deref(),
        ));
        findings.finish(Self {
            groups: vec![Group {
                images,
                resources,
                pull_secrets,
                scheduling,
                additions,
            }],
            interval,
            rollout,
            registries,
            daemonset_annotations,
            sleep_image,
            cleanup_on_shutdown,
        })
    }
}

fn pull_secrets(text: Option<&str>, findings: &mut Findings) -> Vec<String> {
    const VARIABLE: &str = "IMAGE_PULL_SECRETS";
    let mut secrets: Vec<String> = Vec::new();
    let mut seen = BTreeSet::new();
    let entries = text.unwrap_or_default().split(';').map(str::trim);
    for name in entries.filter(|name| !name.is_empty()) {
        if let Err(wrong) = names::dns_subdomain(name) {
            findings.add(Problem::new(VARIABLE, name, wrong));
        } else if !seen.insert(name) {
            findings.add(Problem::new(
                VARIABLE,
                text.unwrap_or_default(),
                format!("names {name:?} twice"),
            ));
        } else {
            secrets.push(name.to_owned());
        }
    }
    secrets
}

/// The image of the original brings another sleep program, and no way to install ours.
const ORIGINAL: &str = "quay.io/eclipse/kubernetes-image-puller";

fn sleep_image(text: Option<&str>) -> Result<Option<String>, Problem> {
    const VARIABLE: &str = "KIP_IMAGE";
    let Some(text) = text else {
        return Ok(None);
    };
    let reference = Reference::parse(text)
        .map_err(|error| Problem::new(VARIABLE, text, images::place(&error)))?;
    if format!("{}/{}", reference.registry(), reference.repository()) == ORIGINAL {
        let wrong = "is the Go image puller's image, which cannot install this one's sleep program; \
                     remove the setting, the daemon's own image is used then";
        return Err(Problem::new(VARIABLE, text, wrong));
    }
    Ok(Some(text.to_owned()))
}

fn boolean(variable: &'static str, text: Option<&str>) -> Result<bool, Problem> {
    match text {
        None => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(text) => Err(Problem::new(variable, text, "is neither true nor false")),
    }
}

#[cfg(test)]
mod tests;
