//! `render` and `check`: what the daemon would do, without a cluster.

use std::fmt::Write as _;

use k8s_openapi::api::apps::v1::DaemonSet;

use crate::DEFAULT_IMAGE;
use crate::config::startup::{Identity, Logging};
use crate::config::{Config, Problem, Problems};
use crate::desired::{Flavour, Placement, Surroundings, daemon_set};
use crate::settings::Settings;

/// Everything that the environment says, checked.
///
/// # Errors
/// Every problem of every setting.
pub fn checked(
    settings: &Settings,
    pod_namespace: Option<&str>,
) -> Result<(Identity, Config), Problems> {
    let config = Config::from_settings(settings);
    let identity = Identity::from_settings(settings, pod_namespace);
    let logging = Logging::from_settings(settings);
    let mut problems: Vec<Problem> = Vec::new();
    problems.extend(logging.err().map(|p| p.0).unwrap_or_default());
    match (config, identity) {
        (Ok(config), Ok(identity)) if problems.is_empty() => Ok((identity, config)),
        (config, identity) => {
            let mut all = config.err().map(|p| p.0).unwrap_or_default();
            all.extend(identity.err().map(|p| p.0).unwrap_or_default());
            all.extend(problems);
            Err(Problems(all))
        }
    }
}

/// The `DaemonSet` as it would be on plain Kubernetes, without an owner.
pub fn rendered(identity: &Identity, config: &Config) -> DaemonSet {
    let surroundings = Surroundings {
        flavour: Flavour::Kubernetes,
        sleep_image: config
            .sleep_image
            .clone()
            .unwrap_or_else(|| DEFAULT_IMAGE.to_owned()),
        sleep_pull_secrets: Vec::new(),
        owner: None,
        placement: Placement::default(),
    };
    daemon_set(identity, config, &surroundings)
}

/// The object as YAML, for people and for `kubectl diff`.
///
/// # Errors
/// The serialiser's; none is known.
pub fn yaml(daemonset: &DaemonSet) -> Result<String, String> {
    serde_saphyr::to_string(daemonset).map_err(|error| error.to_string())
}

/// A valid configuration in words.
pub fn summary(identity: &Identity, config: &Config) -> String {
    let mut text = format!("DaemonSet {}/{}\n", identity.namespace, identity.daemonset);
    for group in &config.groups {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} images, pulled in this order:", group.images.len());
        for image in &group.images {
            let _ = writeln!(text, "  {}  {}", image.name, image.image);
        }
    }
    let interval = config
        .interval
        .map_or("never".to_owned(), |interval| format!("every {interval:?}"));
    let _ = writeln!(text, "brought about again {interval}");
    text.push_str("the configuration is valid\n");
    text
}
