//! Every setting: one table, and the text that the environment gives for it.
//!
//! The table is the source: the documentation, the chart and the plain manifests are checked against it.

mod table;

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
    pub registry: Option<String>,
    pub naming: Option<String>,
    pub auth_dir: Option<String>,
    pub pull_secret: Option<String>,
    pub referrers: Option<String>,
    pub max_image_size: Option<String>,
    pub kinds: Option<String>,
    pub on_timeout: Option<String>,
    pub on_failure: Option<String>,
    pub unproven: Option<String>,
    pub exempt_namespaces: Option<String>,
    pub exempt_owners: Option<String>,
    pub exempt_labels: Option<String>,
    pub allow_registries: Option<String>,
    pub deny_registries: Option<String>,
    pub private_registries: Option<String>,
    pub plain_http_registries: Option<String>,
    pub registry_ca_file: Option<String>,
    pub copies_at_once: Option<String>,
    pub original_fresh: Option<String>,
    pub copy_fresh: Option<String>,
    pub proof_lifetime: Option<String>,
    pub proof_secret: Option<String>,
    pub certificate_secret: Option<String>,
    pub certificate_lifetime: Option<String>,
    pub webhook_configuration: Option<String>,
    pub service_name: Option<String>,
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: &str) -> Settings {
        Settings::from_vars([(name.to_owned(), value.to_owned())]).unwrap()
    }

    #[test]
    fn every_variable_of_the_table_is_read() {
        for variable in VARIABLES.iter().filter(|it| it.name != "KUBECONFIG") {
            let read = read(variable.name, "x");
            assert_ne!(read, Settings::default(), "{} is not read", variable.name);
        }
    }

    #[test]
    fn blank_is_unset_and_spaces_around_a_value_do_not_count() {
        assert_eq!(read("REGISTRY", " \n "), Settings::default());
        let registry = read("REGISTRY", " r.example/a\n").registry;
        assert_eq!(registry.as_deref(), Some("r.example/a"));
    }
}
