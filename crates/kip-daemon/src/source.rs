//! The configuration in force, and the judgement of each new one: a bad one never replaces a good one. Pure.

use std::collections::BTreeMap;

use tracing::warn;

use crate::cluster::Seen;
use crate::config::{Config, Problem, Problems};
use crate::settings::{Settings, VARIABLES, unknown_keys};

/// The configuration in force.
#[derive(Debug, Default)]
pub struct ConfigSource {
    in_force: Option<Config>,
    /// What is wrong with the newest configuration; `None` when it is in force.
    refused: Option<Problems>,
    /// The newest state of the `ConfigMap`: other parts of it change too.
    offered: Seen<BTreeMap<String, String>>,
    /// Name of the `ConfigMap`, for messages.
    config_map: String,
    at_start: BTreeMap<&'static str, Option<String>>,
}

/// What became of a configuration.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// It says what is in force already.
    Unchanged,
    /// It is in force now.
    InForce,
    /// It has problems.
    Refused(Problems),
}

impl ConfigSource {
    /// The environment gave the configuration, once.
    pub fn environment(config: Config) -> Self {
        Self {
            in_force: Some(config),
            ..Self::default()
        }
    }

    /// Takes up a configuration that was checked elsewhere. Tells whether it is another one.
    pub fn set(&mut self, config: Config) -> bool {
        let is_new = self.in_force.as_ref() != Some(&config);
        self.in_force = Some(config);
        is_new
    }

    /// A `ConfigMap` will give it, and give it again.
    pub fn config_map(name: &str) -> Self {
        Self {
            config_map: name.to_owned(),
            ..Self::default()
        }
    }

    /// The configuration in force; `None` until there was a valid one.
    pub fn in_force(&self) -> Option<&Config> {
        self.in_force.as_ref()
    }

    /// A new state of the `ConfigMap`; `None` when it is not there.
    pub fn offer(&mut self, data: Option<BTreeMap<String, String>>) -> Verdict {
        let offered = Seen::from(data.clone());
        if self.offered == offered {
            return Verdict::Unchanged;
        }
        self.offered = offered;
        let config = self.read(data);
        // After a bad one even the same is news: the alarm ends.
        let was_refused = self.refused.take().is_some();
        match config {
            Err(problems) => {
                self.refused = Some(problems.clone());
                Verdict::Refused(problems)
            }
            Ok(config) if self.in_force.as_ref() == Some(&config) && !was_refused => {
                Verdict::Unchanged
            }
            Ok(config) => {
                self.in_force = Some(config);
                Verdict::InForce
            }
        }
    }

    /// What is wrong with the newest configuration.
    pub fn refused(&self) -> Option<&Problems> {
        self.refused.as_ref()
    }

    fn read(&mut self, data: Option<BTreeMap<String, String>>) -> Result<Config, Problems> {
        let name = self.config_map.clone();
        let broken = |wrong: String| Problems(vec![Problem::new("CONFIG_MAP_NAME", &name, wrong)]);
        let Some(data) = data else {
            return Err(broken("there is no such ConfigMap".to_owned()));
        };
        self.notice_what_waits(&data);
        for key in unknown_keys(&data) {
            warn!(
                key,
                config_map = self.config_map,
                "no such setting, it has no effect"
            );
        }
        let settings =
            Settings::from_config_map(&data).map_err(|error| broken(error.to_string()))?;
        Config::from_settings(&settings)
    }

    /// The configuration in force, in a line.
    pub fn summary(&self) -> String {
        let images = self
            .in_force
            .iter()
            .flat_map(|config| &config.groups)
            .map(|group| group.images.len());
        format!("configuration in force: {} images", images.sum::<usize>())
    }

    fn notice_what_waits(&mut self, data: &BTreeMap<String, String>) {
        for key in VARIABLES
            .iter()
            .filter(|variable| !variable.live)
            .map(|variable| variable.name)
        {
            let value = data.get(key).cloned();
            match self.at_start.get(key) {
                Some(first) if *first != value => {
                    warn!(
                        key,
                        "this setting counts at start only: restart the daemon for it to take effect"
                    );
                }
                Some(_) => {}
                None => {
                    self.at_start.insert(key, value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(images: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("IMAGES".to_owned(), images.to_owned())])
    }

    #[test]
    fn a_bad_configuration_never_replaces_a_good_one() {
        let mut source = ConfigSource::config_map("settings");
        assert!(matches!(source.offer(None), Verdict::Refused(_)));
        assert!(matches!(
            source.offer(Some(data("Bad"))),
            Verdict::Refused(_)
        ));
        assert_eq!(source.in_force(), None);
        assert_eq!(source.offer(Some(data("a=nginx"))), Verdict::InForce);
        let good = source.in_force().cloned();
        assert!(matches!(
            source.offer(Some(data("a=Nginx"))),
            Verdict::Refused(_)
        ));
        assert!(matches!(source.offer(None), Verdict::Refused(_)));
        assert_eq!(source.in_force().cloned(), good);
        assert_eq!(
            source.offer(Some(data("a=nginx"))),
            Verdict::InForce,
            "the alarm ends"
        );
        assert_eq!(source.offer(Some(data(" a = nginx; "))), Verdict::Unchanged);
        assert_eq!(
            source.offer(Some(data("a=nginx;b=busybox"))),
            Verdict::InForce
        );
    }
}
