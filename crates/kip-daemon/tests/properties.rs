//! Laws that hold for every input.

#![allow(clippy::panic, reason = "these are tests, and so are their helpers")]

use std::collections::BTreeSet;
use std::fmt::Write as _;

use kip_daemon::config::startup::{Identity, Logging};
use kip_daemon::config::{Config, names::dns_label};
use kip_daemon::desired::{Flavour, hash::content_hash};
use kip_daemon::preview;
use kip_daemon::settings::{Settings, VARIABLES};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

fn settings(pairs: &[(&str, String)]) -> Settings {
    let vars = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    Settings::from_vars(vars).expect("text is always read")
}

fn config(pairs: &[(&str, String)]) -> Config {
    Config::from_settings(&settings(pairs)).unwrap_or_else(|problems| panic!("{problems}"))
}

fn rendered(pairs: &[(&str, String)]) -> String {
    let (identity, config) =
        preview::checked(&settings(pairs), None).unwrap_or_else(|problems| panic!("{problems}"));
    preview::yaml(&preview::rendered(&identity, &config)).expect("it is serialised")
}

/// Text that looks like a value more often than chance would have it.
fn any_value() -> impl Strategy<Value = String> {
    let pieces = select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ";",
        "=",
        "\"",
        "'",
        ",",
        "-",
        "\n",
        "\t",
        " ",
        "&a",
        "*a",
        "<<",
        "!!int",
        "|",
        ">",
        "#",
        "%",
        "?",
        "---",
        "...",
        "null",
        "true",
        "none",
        "1",
        ".05",
        "1e9",
        "-1",
        "9223372036854775808",
        "Ki",
        "Mi",
        "E",
        "e",
        "h",
        "30m",
        "nginx",
        "a",
        "Z",
        "/",
        "@sha256:",
        "quay.io/org/app:1",
        "\u{feff}",
        "\u{202e}",
        "\u{0}",
        "\u{1f600}",
        "é",
        "e\u{301}",
        "\u{212a}",
        "nodeAffinity",
        "operator",
        "key",
        "Exists",
    ]);
    prop_oneof![
        any::<String>(),
        vec(pieces, 0..24).prop_map(|pieces| pieces.concat()),
        select(
            VARIABLES
                .iter()
                .map(|v| v.example.to_owned())
                .collect::<Vec<_>>()
        ),
    ]
}

fn label() -> impl Strategy<Value = String> {
    "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
}

/// A registry, a path, a name, a tag and a digest; a first part of a path that has a dot would be a registry.
fn reference() -> impl Strategy<Value = String> {
    let registry = "((localhost|[a-z0-9]{1,8}\\.[a-z]{2,3})(:[1-9][0-9]{1,3})?/)?";
    let path = "([a-z0-9]{1,20}/){0,4}";
    let name = "[a-z0-9]{1,9}((__|[._]|-{1,2})[a-z0-9]{1,9}){0,3}";
    let tag = "(:[A-Za-z0-9_][-A-Za-z0-9_.]{0,40})?";
    let digest = "(@sha256:[0-9a-f]{64})?";
    (registry, path, name, tag, digest).prop_map(|(registry, path, name, tag, digest)| {
        [registry, path, name, tag, digest].concat()
    })
}

/// Entries with names that differ: `(name, reference)`.
fn named_entries() -> impl Strategy<Value = Vec<(String, String)>> {
    (btree_set(label(), 1..12), vec(reference(), 12))
        .prop_map(|(names, references)| {
            let names = names.into_iter().filter(|name| name != "copy-sleep");
            names.zip(references).collect()
        })
        .prop_filter("there is an entry", |entries: &Vec<_>| !entries.is_empty())
        .prop_shuffle()
}

fn list(entries: &[(String, String)]) -> String {
    let entries: Vec<String> = entries
        .iter()
        .map(|(name, image)| format!("{name}={image}"))
        .collect();
    entries.join(";")
}

/// A document in YAML's block style, which has nothing in common with JSON; strings are quoted in YAML's own way.
fn block_style(value: &Value, indentation: usize, out: &mut String) {
    let inner = " ".repeat(indentation);
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                write!(out, "\n{inner}{}:", quoted(key)).expect("a String");
                block_style(value, indentation + 2, out);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for value in list {
                write!(out, "\n{inner}-").expect("a String");
                block_style(value, indentation + 2, out);
            }
        }
        Value::String(text) => write!(out, " {}", quoted(text)).expect("a String"),
        other => write!(out, " {other}").expect("a String"),
    }
}

fn yaml(value: &Value) -> String {
    let mut text = String::new();
    block_style(value, 0, &mut text);
    text
}

fn toleration() -> impl Strategy<Value = Value> {
    prop_oneof![
        label().prop_map(|key| json!({"key": key, "operator": "Exists"})),
        (label(), label()).prop_map(|(key, value)| json!({"key": key, "value": value, "effect": "NoSchedule"})),
        (label(), 0..100_000_i64).prop_map(|(key, seconds)| {
            json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds})
        }),
    ]
}

fn affinity() -> impl Strategy<Value = Value> {
    (label(), vec(label(), 1..4), 1..=100_i32).prop_map(|(key, values, weight)| {
        let term = json!({"matchExpressions": [{"key": key, "operator": "In", "values": values}]});
        json!({"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]},
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": weight, "preference": term}],
        }})
    })
}

/// A text without control characters: YAML's plain quotes cannot say those.
fn annotation_value() -> impl Strategy<Value = String> {
    "[ -~äöü€]{0,30}"
}

/// Inputs for each law: enough for a change; `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    let asked = std::env::var_os("PROPTEST_CASES");
    asked.map_or(1000, |_| ProptestConfig::default().cases)
}

proptest! {
    // A failure is printed in its smallest form, and belongs into a test of its own then, not into a file of seeds.
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_in_any_variable_is_a_panic(values in vec(proptest::option::weighted(0.3, any_value()), VARIABLES.len())) {
        let vars = VARIABLES.iter().zip(values).filter_map(|(variable, value)| Some((variable.name.to_owned(), value?)));
        let settings = Settings::from_vars(vars).expect("text is always read");
        // Whatever they say, they say it without a panic, and every problem can be printed.
        let said = [
            Config::from_settings(&settings).err(),
            Identity::from_settings(&settings, None).err(),
            Logging::from_settings(&settings).err(),
        ];
        for problem in said.iter().flatten().flat_map(|problems| &problems.0) {
            prop_assert!(problem.to_string().lines().count() == 1, "{problem}");
            prop_assert!(problem.to_string().starts_with(problem.variable));
        }
        if let Ok((identity, config)) = preview::checked(&settings, None) {
            prop_assert!(preview::yaml(&preview::rendered(&identity, &config)).is_ok());
        }
    }

    #[test]
    fn a_valid_list_keeps_its_order_and_its_names(entries in named_entries()) {
        let config = config(&[("IMAGES", list(&entries))]);
        let images = &config.groups[0].images;
        let found: Vec<_> = images.iter().map(|image| (image.name.clone(), image.image.clone())).collect();
        prop_assert_eq!(found, entries);
    }

    #[test]
    fn derived_names_are_legal_and_unique_or_the_list_is_refused(references in vec(reference(), 1..12)) {
        let text = references.join(";");
        match Config::from_settings(&settings(&[("IMAGES", text)])) {
            Ok(config) => {
                let images = &config.groups[0].images;
                let found: Vec<_> = images.iter().map(|image| image.image.clone()).collect();
                prop_assert_eq!(found, references);
                let names: BTreeSet<_> = images.iter().map(|image| image.name.as_str()).collect();
                prop_assert_eq!(names.len(), images.len());
                for name in names {
                    prop_assert_eq!(dns_label(name), Ok(()), "{}", name);
                }
            }
            // Two references may lead to one name; nothing else is wrong with a generated one.
            Err(problems) => for problem in problems.0 {
                prop_assert!(problem.wrong.contains("has the same name"), "{problem}");
            },
        }
    }

    #[test]
    fn the_hash_of_the_content_does_not_depend_on_order(
        entries in named_entries(),
        secrets in btree_set(label(), 0..5),
        swaps in vec((any::<Index>(), any::<Index>()), 0..12),
    ) {
        let secrets: Vec<String> = secrets.into_iter().collect();
        let hash = |entries: &[(String, String)], secrets: &[String]| {
            let config = config(&[("IMAGES", list(entries)), ("IMAGE_PULL_SECRETS", secrets.join(";"))]);
            content_hash(&config.groups[0], Flavour::Kubernetes)
        };
        let (mut other, mut turned) = (entries.clone(), secrets.clone());
        for (one, two) in swaps {
            other.swap(one.index(entries.len()), two.index(entries.len()));
        }
        turned.reverse();
        prop_assert_eq!(hash(&entries, &secrets), hash(&other, &turned));
        // And it does depend on the content.
        other[0].1 = "another.example.com/image:1".to_owned();
        prop_assert_ne!(hash(&entries, &secrets), hash(&other, &turned));
    }

    #[test]
    fn json_and_yaml_render_the_same_and_rendering_is_deterministic(
        selector in btree_map(label(), label(), 0..5),
        tolerations in vec(toleration(), 0..5),
        affinity in proptest::option::of(affinity()),
        annotations in btree_map(label(), annotation_value(), 0..5),
    ) {
        let documents = [
            ("NODE_SELECTOR", json!(selector)),
            ("TOLERATIONS", json!(tolerations)),
            ("AFFINITY", affinity.unwrap_or(json!({}))),
            ("DAEMONSET_ANNOTATIONS", json!(annotations)),
        ];
        let with = |write: &dyn Fn(&Value) -> String| {
            let mut pairs = vec![("IMAGES", "nginx".to_owned())];
            pairs.extend(documents.iter().map(|(name, value)| (*name, write(value))));
            rendered(&pairs)
        };
        let json = with(&Value::to_string);
        prop_assert_eq!(&json, &with(&|value| serde_json::to_string_pretty(value).expect("JSON")));
        prop_assert_eq!(&json, &with(&yaml));
    }
}
