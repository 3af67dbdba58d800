//! What counts at start only: who the daemon is, and how it logs.

use std::path::PathBuf;

use super::problem::Findings;
use super::{Problem, Problems, boolean, names};
use crate::settings::Settings;

/// Where the original's templates put the `DaemonSet`.
const DEFAULT_NAMESPACE: &str = "k8s-image-puller";
const DEFAULT_DAEMONSET: &str = "kubernetes-image-puller";

/// Who the daemon is, and what it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name of the `DaemonSet`: a DNS label, since it is a label's value too.
    pub daemonset: String,
    /// The namespace of the `DaemonSet`.
    pub namespace: String,
    /// The daemon's own namespace, where its Deployment and its `ConfigMap` are.
    pub own_namespace: String,
    /// The daemon's own Deployment; `None` on a workstation.
    pub deployment: Option<String>,
    /// The `ConfigMap` that is watched; `None` where the environment gives the settings.
    pub config_map: Option<String>,
    /// Certificates of further authorities for registries, a file.
    pub registry_ca_file: Option<PathBuf>,
}

impl Identity {
    /// Reads it from the environment. `pod_namespace` is the namespace of the service account, where there is one.
    ///
    /// # Errors
    /// Every problem.
    pub fn from_settings(
        settings: &Settings,
        pod_namespace: Option<&str>,
    ) -> Result<Self, Problems> {
        let mut findings = Findings::default();
        let daemonset = settings
            .daemonset_name
            .as_deref()
            .unwrap_or(DEFAULT_DAEMONSET);
        check(&mut findings, "DAEMONSET_NAME", daemonset, names::dns_label);
        let own = settings.pod_namespace.as_deref();
        if let Some(own) = own {
            check(&mut findings, "POD_NAMESPACE", own, names::dns_label);
        }
        let own = own.or(pod_namespace);
        let namespace = settings
            .namespace
            .as_deref()
            .or(own)
            .unwrap_or(DEFAULT_NAMESPACE);
        if settings.namespace.is_some() {
            check(&mut findings, "NAMESPACE", namespace, names::dns_label);
        }
        for (variable, name) in [
            ("DEPLOYMENT_NAME", &settings.deployment_name),
            ("CONFIG_MAP_NAME", &settings.config_map_name),
        ] {
            if let Some(name) = name {
                check(&mut findings, variable, name, names::dns_subdomain);
            }
        }
        if let Some(file) = &settings.registry_ca_file {
            check(&mut findings, "REGISTRY_CA_FILE", file, absolute_path);
        }
        let elsewhere = boolean(
            "ALLOW_OTHER_NAMESPACE",
            settings.allow_other_namespace.as_deref(),
        );
        let elsewhere_allowed = findings.take(elsewhere);
        let own_namespace = own.unwrap_or(namespace);
        let is_elsewhere = names::dns_label(namespace).is_ok() && own_namespace != namespace;
        if is_elsewhere && !elsewhere_allowed {
            let wrong = format!(
                "is not the daemon's own namespace {own_namespace:?}, and an owner cannot be in another one; \
                 set ALLOW_OTHER_NAMESPACE=true to go without an owner"
            );
            findings.add(Problem::new("NAMESPACE", namespace, wrong));
        }
        findings.finish(Self {
            daemonset: daemonset.to_owned(),
            namespace: namespace.to_owned(),
            own_namespace: own_namespace.to_owned(),
            deployment: settings.deployment_name.clone(),
            config_map: settings.config_map_name.clone(),
            registry_ca_file: settings.registry_ca_file.as_ref().map(PathBuf::from),
        })
    }

    /// Whether the Deployment can own the `DaemonSet`: owners are in the same namespace.
    pub fn is_owned(&self) -> bool {
        self.deployment.is_some() && self.own_namespace == self.namespace
    }
}

/// Where the daemon's process begins is nobody's choice.
fn absolute_path(path: &str) -> Result<(), String> {
    let is_wrong = !path.starts_with('/') || path.chars().any(char::is_control);
    if is_wrong || path.len() > PATH_MAX {
        let wrong = "is no absolute path of at most 4095 bytes";
        return Err(wrong.to_owned());
    }
    Ok(())
}

/// Linux takes no longer path.
const PATH_MAX: usize = 4095;

fn check(
    findings: &mut Findings,
    variable: &'static str,
    name: &str,
    rule: fn(&str) -> Result<(), String>,
) {
    if let Err(wrong) = rule(name) {
        findings.add(Problem::new(variable, name, wrong));
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logging {
    /// `LOG_FORMAT`
    pub format: LogFormat,
    /// `LOG_LEVEL`
    pub level: tracing::Level,
}

impl Logging {
    /// Reads it from the environment.
    ///
    /// # Errors
    /// Every problem.
    pub fn from_settings(settings: &Settings) -> Result<Self, Problems> {
        let mut findings = Findings::default();
        let format = match settings.log_format.as_deref() {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(other) => {
                findings.add(Problem::new(
                    "LOG_FORMAT",
                    other,
                    "is neither text nor json",
                ));
                LogFormat::Text
            }
        };
        let level = match settings.log_level.as_deref() {
            None | Some("info") => tracing::Level::INFO,
            Some("error") => tracing::Level::ERROR,
            Some("warn") => tracing::Level::WARN,
            Some("debug") => tracing::Level::DEBUG,
            Some("trace") => tracing::Level::TRACE,
            Some(other) => {
                let wrong = "is not one of error, warn, info, debug, trace";
                findings.add(Problem::new("LOG_LEVEL", other, wrong));
                tracing::Level::INFO
            }
        };
        findings.finish(Self { format, level })
    }
}
