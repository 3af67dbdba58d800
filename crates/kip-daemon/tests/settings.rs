//! One table of settings: the README, the chart and the program say the same.
//!
//! `UPDATE_README=1 cargo test -p kip-daemon --test settings` writes the README's table anew.

#![allow(clippy::panic, reason = "these are tests, and so are their helpers")]

#[path = "support/files.rs"]
mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use files::{path, read};
use kip_daemon::settings::{VARIABLES, variable};
use serde_json::Value;

const BEGIN: &str = "<!-- settings:begin -->";
const END: &str = "<!-- settings:end -->";

/// A cell of a Markdown table: a bar would end it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// The table as the README has it.
fn table() -> String {
    let mut table = String::from(
        "| Variable | Default | Meaning | Example | Live |\n| --- | --- | --- | --- | --- |\n",
    );
    for variable in VARIABLES {
        let default = match variable.default.strip_prefix('(') {
            // Words, not a value.
            Some(words) => cell(words.trim_end_matches(')')),
            None => format!("`{}`", cell(variable.default)),
        };
        writeln!(
            table,
            "| `{}` | {default} | {} | `{}` | {} |",
            variable.name,
            cell(variable.meaning),
            cell(variable.example),
            if variable.live { "yes" } else { "no" },
        )
        .expect("writing to a String cannot fail");
    }
    table
}

#[test]
fn the_readme_has_the_table_of_the_settings() {
    let readme = read("README.md");
    let (before, rest) = readme
        .split_once(BEGIN)
        .expect("README.md has the first marker");
    let (found, after) = rest
        .split_once(END)
        .expect("README.md has the second marker");
    let expected = format!("\n{}", table());
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write(
            path("README.md"),
            format!("{before}{BEGIN}{expected}{END}{after}"),
        )
        .expect("README.md can be written");
    } else {
        assert_eq!(found, expected, "UPDATE_README=1 writes the table anew");
    }
}

#[test]
fn the_table_can_be_shown_in_markdown() {
    for line in table().lines() {
        let bars = line.replace("\\|", "").matches('|').count();
        assert_eq!(bars, 6, "{line}");
        assert_eq!(line.matches('`').count() % 2, 0, "{line}");
    }
}

fn is_key(word: &str) -> bool {
    let capitals = |c: char| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit();
    word.len() > 2 && word.chars().all(capitals)
}

/// Keys that the template of the `ConfigMap` sets, each with the value of the chart that it comes from, where it
/// comes from one alone: `KEY: …`, or an include of a line with `"key" "KEY" "value" .value`.
fn config_map() -> BTreeMap<String, Option<String>> {
    let template = read("deploy/helm/templates/configmap.yaml");
    let mut keys = BTreeMap::new();
    for line in template.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Some(key) = words.first().and_then(|word| word.strip_suffix(':'))
            && is_key(key)
        {
            keys.insert(key.to_owned(), None);
        }
        if let Some(at) = words.iter().position(|word| *word == "\"key\"") {
            let key = words[at + 1].trim_matches('"').to_owned();
            assert!(is_key(&key), "{line}");
            let value = words.iter().find_map(|word| {
                let value = word.trim_end_matches([')', '}']).strip_prefix('.')?;
                value
                    .chars()
                    .all(char::is_alphanumeric)
                    .then(|| value.to_owned())
            });
            keys.insert(key, value);
        }
    }
    keys
}

/// Names of the variables that the Deployment sets.
fn deployment() -> BTreeSet<String> {
    let template = read("deploy/helm/templates/deployment.yaml");
    let names = template
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- name: "));
    names
        .filter(|name| is_key(name))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_chart_sets_nothing_that_is_no_setting() {
    let (config_map, deployment) = (config_map(), deployment());
    assert!(
        config_map.len() > 10 && deployment.len() > 2,
        "the templates are read wrongly"
    );
    for name in config_map.keys().chain(&deployment) {
        assert!(variable(name).is_some(), "{name} is no setting");
    }
    for name in &deployment {
        assert!(!config_map.contains_key(name), "{name} is set twice");
    }
}

#[test]
fn the_chart_sets_every_live_setting_in_the_config_map() {
    let config_map = config_map();
    for variable in VARIABLES.iter().filter(|variable| variable.live) {
        assert!(
            config_map.contains_key(variable.name),
            "{} is not set",
            variable.name
        );
    }
}

#[test]
fn the_deployment_tells_the_daemon_who_it_is() {
    let deployment = deployment();
    for name in ["CONFIG_MAP_NAME", "DEPLOYMENT_NAME", "POD_NAMESPACE"] {
        assert!(deployment.contains(name), "{name} is not set");
        assert!(
            variable(name).is_some_and(|variable| !variable.live),
            "{name}"
        );
    }
}

/// A value of the chart as the `ConfigMap` would have it; `None` where the daemon's default holds.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[test]
fn the_defaults_of_the_chart_are_those_of_the_table() {
    let values: Value =
        serde_saphyr::from_str(&read("deploy/helm/values.yaml")).expect("it is YAML");
    let mut compared = 0;
    let config_map = config_map();
    let from_config_map = config_map
        .iter()
        .filter_map(|(name, key)| Some((name.as_str(), format!("/configMap/{}", key.as_ref()?))));
    let others = [
        ("DAEMONSET_NAME", "/deploymentName"),
        ("LOG_FORMAT", "/logFormat"),
        ("LOG_LEVEL", "/logLevel"),
    ];
    let others = others.map(|(name, at)| (name, at.to_owned()));
    for (name, at) in from_config_map.chain(others) {
        let value = values
            .pointer(&at)
            .unwrap_or_else(|| panic!("values.yaml has no {at}"));
        let variable = variable(name).expect("the tests above say so");
        if let Some(value) = as_text(value)
            && !variable.default.starts_with('(')
        {
            assert_eq!(value, variable.default, "{name} and {at}");
            compared += 1;
        }
    }
    assert!(compared >= 9, "only {compared} defaults were compared");
}
