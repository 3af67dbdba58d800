//! The configuration: typed, valid, or every problem at once.

mod problem;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use tracing::Level;

pub use self::problem::{Problem, Problems};
pub(crate) use self::values::object_name;
use crate::answer::{Rules, Without};
use crate::naming::{Naming, Scheme};
use crate::scope::Scope;
use crate::service::Unproven;
use crate::settings::{Settings, variable};

/// All that is set.
#[derive(Debug, Clone)]
pub struct Config {
    /// `REGISTRY`; empty for Docker Hub.
    pub registry: String,
    /// `NAMING`
    pub scheme: Scheme,
    /// `AUTH_DIR`
    pub auth_dir: PathBuf,
    /// `REFERRERS`
    pub referrers: bool,
    /// `MAX_IMAGE_SIZE`, in bytes
    pub max_image_size: Option<u64>,
    /// What is left alone.
    pub scope: Scope,
    /// What is answered.
    pub rules: Rules,
    /// `UNPROVEN`
    pub unproven: Unproven,
    /// How registries are reached.
    pub reach: Reach,
    /// `COPIES_AT_ONCE`
    pub copies_at_once: usize,
    /// `ORIGINAL_FRESH`
    pub original_fresh: Duration,
    /// `COPY_FRESH`
    pub copy_fresh: Duration,
    /// `PROOF_LIFETIME`
    pub proof_lifetime: Duration,
    /// Names of what is the program's own in the cluster.
    pub own: Own,
    /// `CERTIFICATE_LIFETIME`
    pub certificate_lifetime: Duration,
    /// How lines are logged.
    pub logging: Logging,
}

/// How registries are reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// `PRIVATE_REGISTRIES`; `None` where all may have private addresses.
    pub private: Option<BTreeSet<String>>,
    /// `PLAIN_HTTP_REGISTRIES`
    pub plain_http: BTreeSet<String>,
    /// `REGISTRY_CA_FILE`
    pub ca_file: Option<PathBuf>,
}

/// Names of what is the program's own in the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Own {
    /// `POD_NAMESPACE`, where it is given.
    pub namespace: Option<String>,
    /// `SERVICE_NAME`
    pub service: String,
    /// `PROOF_SECRET`
    pub proof_secret: String,
    /// `CERTIFICATE_SECRET`
    pub certificate_secret: String,
    /// `WEBHOOK_CONFIGURATION`
    pub webhook_configuration: String,
}

/// How lines are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logging {
    /// `LOG_FORMAT`: whether a line is a JSON object.
    pub json: bool,
    /// `LOG_LEVEL`
    pub level: Level,
}

/// What has this label is left alone, whatever the settings say: it is this program itself.
const OWN_LABEL: (&str, &str) = ("app.kubernetes.io/name", "image-cloner");

const WITHOUT: [(&str, Without); 2] = [("admit", Without::Admit), ("deny", Without::Deny)];
const SCHEMES: [(&str, Scheme); 3] = [
    ("path", Scheme::Path),
    ("flat", Scheme::Flat),
    ("legacy", Scheme::Legacy),
];
const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];

/// Reads settings one by one, and keeps what is wrong.
#[derive(Default)]
struct Reading {
    problems: Problems,
}

impl Reading {
    /// What a setting says, or its default in the table where it is unset.
    fn read<T>(
        &mut self,
        name: &'static str,
        value: Option<&String>,
        fallback: T,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        let default = variable(name).map_or("", |it| it.default);
        let text = value.map_or(default, String::as_str);
        // A default in parentheses is no value.
        if value.is_none() && default.starts_with('(') {
            return fallback;
        }
        let parsed = parse(text).map(Some);
        self.problems.take(name, text, parsed).unwrap_or(fallback)
    }
}

impl Config {
    /// Reads it.
    ///
    /// # Errors
    /// Every problem.
    pub fn from_settings(settings: &Settings) -> Result<Self, Problems> {
        let mut it = Reading::default();
        let registry = settings.registry.clone().unwrap_or_default();
        let scheme = it.read("NAMING", settings.naming.as_ref(), Scheme::Path, |text| {
            values::choice(text, &SCHEMES)
        });
        // The user's name is not known yet: here it is about the registry alone.
        let named = Naming::new(&registry, "user", scheme).map(|_| ());
        it.problems.take(
            "REGISTRY",
            &registry,
            named.map_err(|error| crate::words::of(&error)),
        );
        let config = Self {
            scheme,
            auth_dir: it.read("AUTH_DIR", settings.auth_dir.as_ref(), PathBuf::new(), path),
            referrers: it.read(
                "REFERRERS",
                settings.referrers.as_ref(),
                true,
                values::boolean,
            ),
            max_image_size: it.read(
                "MAX_IMAGE_SIZE",
                settings.max_image_size.as_ref(),
                None,
                |text| values::bytes(text).map(Some),
            ),
            scope: scope(&mut it, settings),
            rules: rules(&mut it, settings),
            unproven: it.read(
                "UNPROVEN",
                settings.unproven.as_ref(),
                Unproven::Keep,
                |text| values::choice(text, &[("keep", Unproven::Keep), ("give", Unproven::Give)]),
            ),
            reach: reach(&mut it, settings),
            copies_at_once: it.read(
                "COPIES_AT_ONCE",
                settings.copies_at_once.as_ref(),
                1,
                |text| values::number(text, MOST_COPIES),
            ),
            original_fresh: time(
                &mut it,
                "ORIGINAL_FRESH",
                settings.original_fresh.as_ref(),
                Duration::ZERO,
            ),
            copy_fresh: time(
                &mut it,
                "COPY_FRESH",
                settings.copy_fresh.as_ref(),
                Duration::ZERO,
            ),
            proof_lifetime: time(
                &mut it,
                "PROOF_LIFETIME",
                settings.proof_lifetime.as_ref(),
                MINUTE,
            ),
            own: own(&mut it, settings),
            certificate_lifetime: time(
                &mut it,
                "CERTIFICATE_LIFETIME",
                settings.certificate_lifetime.as_ref(),
                SHORTEST_CERTIFICATE,
            ),
            logging: logging(&mut it, settings),
            registry,
        };
        if config.scheme == Scheme::Legacy && config.unproven == Unproven::Give {
            let wrong =
                "does not go with NAMING=legacy: the copy of that name may be another image's";
            it.problems
                .take::<()>("UNPROVEN", "give", Err(wrong.to_owned()));
        }
        if it.problems.0.is_empty() {
            Ok(config)
        } else {
            Err(it.problems)
        }
    }

    /// Whether the names of copies begin with the user's, which all replicas must know.
    pub fn needs_user(&self) -> bool {
        !self.registry.trim_end_matches('/').contains('/')
    }

    /// The names of copies, for this user of the registry.
    ///
    /// # Errors
    /// Docker Hub has no images but a user's.
    pub fn naming(&self, user: &str) -> Result<Naming, Problems> {
        if self.needs_user() && user.is_empty() {
            let wrong = "has no path, so that names of copies begin with the user's name, and AUTH_DIR has none";
            return Err(Problems(vec![Problem {
                variable: "REGISTRY",
                value: self.registry.clone(),
                wrong: wrong.to_owned(),
            }]));
        }
        Naming::new(&self.registry, user, self.scheme).map_err(|error| {
            Problems(vec![Problem {
                variable: "REGISTRY",
                value: self.registry.clone(),
                wrong: crate::words::of(&error),
            }])
        })
    }
}

const MOST_COPIES: usize = 256;
const MINUTE: Duration = Duration::from_secs(60);
/// A renewal takes its time: what is new is told to all API servers first.
const SHORTEST_CERTIFICATE: Duration = Duration::from_secs(60);

fn path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err("is no absolute path".to_owned())
    }
}

fn time(it: &mut Reading, name: &'static str, value: Option<&String>, least: Duration) -> Duration {
    it.read(name, value, least, |text| values::duration(text, least))
}

fn scope(it: &mut Reading, settings: &Settings) -> Scope {
    let empty = BTreeSet::new;
    let mut labels = it.read(
        "EXEMPT_LABELS",
        settings.exempt_labels.as_ref(),
        Vec::new(),
        values::labels,
    );
    let (key, value) = OWN_LABEL;
    labels.push((key.to_owned(), value.to_owned()));
    Scope {
        namespaces: it.read(
            "EXEMPT_NAMESPACES",
            settings.exempt_namespaces.as_ref(),
            empty(),
            values::object_names,
        ),
        kinds: it.read("KINDS", settings.kinds.as_ref(), Vec::new(), values::kinds),
        owner_groups: it.read(
            "EXEMPT_OWNERS",
            settings.exempt_owners.as_ref(),
            Vec::new(),
            |text| values::object_names(text).map(|it| it.into_iter().collect()),
        ),
        labels,
        allowed: it.read(
            "ALLOW_REGISTRIES",
            settings.allow_registries.as_ref(),
            empty(),
            values::registries,
        ),
        denied: it.read(
            "DENY_REGISTRIES",
            settings.deny_registries.as_ref(),
            empty(),
            values::registries,
        ),
    }
}

fn rules(it: &mut Reading, settings: &Settings) -> Rules {
    let without = |text: &str| values::choice(text, &WITHOUT);
    Rules {
        on_timeout: it.read(
            "ON_TIMEOUT",
            settings.on_timeout.as_ref(),
            Without::Admit,
            without,
        ),
        on_failure: it.read(
            "ON_FAILURE",
            settings.on_failure.as_ref(),
            Without::Admit,
            without,
        ),
        pull_secret: it.read("PULL_SECRET", settings.pull_secret.as_ref(), None, |text| {
            object_name(text).map(Some)
        }),
    }
}

fn reach(it: &mut Reading, settings: &Settings) -> Reach {
    Reach {
        private: it.read(
            "PRIVATE_REGISTRIES",
            settings.private_registries.as_ref(),
            Some(BTreeSet::new()),
            |text| match text {
                "*" => Ok(None),
                text => values::registries(text).map(Some),
            },
        ),
        plain_http: it.read(
            "PLAIN_HTTP_REGISTRIES",
            settings.plain_http_registries.as_ref(),
            BTreeSet::new(),
            values::registries,
        ),
        ca_file: it.read(
            "REGISTRY_CA_FILE",
            settings.registry_ca_file.as_ref(),
            None,
            |text| path(text).map(Some),
        ),
    }
}

fn own(it: &mut Reading, settings: &Settings) -> Own {
    let mut name = |name: &'static str, value: &Option<String>| {
        it.read(name, value.as_ref(), String::new(), object_name)
    };
    Own {
        service: name("SERVICE_NAME", &settings.service_name),
        proof_secret: name("PROOF_SECRET", &settings.proof_secret),
        certificate_secret: name("CERTIFICATE_SECRET", &settings.certificate_secret),
        webhook_configuration: name("WEBHOOK_CONFIGURATION", &settings.webhook_configuration),
        namespace: Some(name("POD_NAMESPACE", &settings.pod_namespace)).filter(|it| !it.is_empty()),
    }
}

fn logging(it: &mut Reading, settings: &Settings) -> Logging {
    Logging {
        json: it.read("LOG_FORMAT", settings.log_format.as_ref(), false, |text| {
            values::choice(text, &[("text", false), ("json", true)])
        }),
        level: it.read(
            "LOG_LEVEL",
            settings.log_level.as_ref(),
            Level::INFO,
            |text| values::choice(text, &LEVELS),
        ),
    }
}
