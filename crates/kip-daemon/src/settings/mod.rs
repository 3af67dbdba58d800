//! Every setting of the daemon: one table, and the text that the environment or a `ConfigMap` gives for it.
//!
//! The table is the source: the README's settings, the chart, the OpenShift templates and the golden files are checked
//! against it.

mod table;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use kip_program::settings::Variable;

pub use self::table::{VARIABLES, variable};

/// The settings as text, field by field; empty and blank values count as unset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[allow(
    missing_docs,
    reason = "the fields are the variables of the table, in lower case"
)]
pub struct Settings {
    pub images: Option<String>,
    pub caching_interval_hours: Option<String>,
    pub refresh: Option<String>,
    pub refresh_fallback: Option<String>,
    pub plain_http_registries: Option<String>,
    pub registry_ca_file: Option<String>,
    pub max_nodes_at_once: Option<String>,
    pub settle_deadline: Option<String>,
    pub paused: Option<String>,
    pub caching_memory_request: Option<String>,
    pub caching_memory_limit: Option<String>,
    pub caching_cpu_request: Option<String>,
    pub caching_cpu_limit: Option<String>,
    pub node_selector: Option<String>,
    pub image_pull_secrets: Option<String>,
    pub affinity: Option<String>,
    pub tolerations: Option<String>,
    pub daemonset_annotations: Option<String>,
    pub pod_labels: Option<String>,
    pub pod_annotations: Option<String>,
    pub pod_priority_class: Option<String>,
    pub pod_runtime_class: Option<String>,
    pub pod_template: Option<String>,
    pub kip_image: Option<String>,
    pub cleanup_on_shutdown: Option<String>,
    pub daemonset_name: Option<String>,
    pub namespace: Option<String>,
    pub allow_other_namespace: Option<String>,
    pub deployment_name: Option<String>,
    pub config_map_name: Option<String>,
    pub pod_namespace: Option<String>,
    pub log_format: Option<String>,
    pub log_level: Option<String>,
}

impl Settings {
    /// Reads the settings from name and value pairs; names that are no setting are passed over.
    ///
    /// # Errors
    /// None is known: every field is text and optional. `envy` has the last word.
    pub fn from_vars(
        vars: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, envy::Error> {
        kip_program::settings::read(VARIABLES, vars)
    }

    /// Reads the settings from the data of a `ConfigMap`.
    ///
    /// # Errors
    /// As [`Settings::from_vars`].
    pub fn from_config_map(data: &BTreeMap<String, String>) -> Result<Self, envy::Error> {
        Self::from_vars(
            data.iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        )
    }

    /// These settings, with the names of `newer` where it has any: what counts at start and can be mended by an
    /// edit of the `ConfigMap`.
    #[must_use]
    pub fn renamed_by(&self, newer: Self) -> Self {
        Self {
            daemonset_name: newer.daemonset_name,
            namespace: newer.namespace,
            allow_other_namespace: newer.allow_other_namespace,
            ..self.clone()
        }
    }
}

/// Keys of a `ConfigMap` that are no setting: most often a misspelt name, whose value would silently not count.
pub fn unknown_keys(data: &BTreeMap<String, String>) -> Vec<&str> {
    data.keys()
        .map(String::as_str)
        .filter(|key| variable(key).is_none())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn every_variable_of_the_table_is_read() {
        for variable in VARIABLES.iter().filter(|v| v.name != "KUBECONFIG") {
            let read = Settings::from_vars(vars(&[(variable.name, "x")])).unwrap();
            assert_ne!(read, Settings::default(), "{} is not read", variable.name);
        }
    }

    #[test]
    fn blank_is_unset_and_spaces_around_a_value_do_not_count() {
        let read =
            Settings::from_vars(vars(&[("IMAGES", " a=b \n"), ("AFFINITY", " \n ")])).unwrap();
        assert_eq!(read.images.as_deref(), Some("a=b"));
        assert_eq!(read.affinity, None);
    }

    #[test]
    fn misspelt_keys_of_a_config_map_are_found() {
        let data = vars(&[("IMAGES", "a"), ("CACHING_INTERVAL_HOUR", "1")])
            .into_iter()
            .collect();
        assert_eq!(unknown_keys(&data), ["CACHING_INTERVAL_HOUR"]);
    }
}
