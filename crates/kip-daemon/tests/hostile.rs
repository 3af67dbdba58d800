//! What a hostile user could put into a `ConfigMap`: it must end, soon, in an error or in a small configuration.

#![allow(clippy::panic, reason = "these are tests, and so are their helpers")]

use std::fmt::Write as _;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use kip_daemon::config::{Config, Problems};
use kip_daemon::settings::Settings;

/// Generous, for a busy machine and a build without optimisation.
const DEADLINE: Duration = Duration::from_secs(60);
/// A `ConfigMap` holds a tenth of this.
const HUGE: usize = 10_000_000;
/// The stack of the program's main thread; deeper recursion is a crash.
const STACK: usize = 8 << 20;

/// Reads the settings as the daemon does, within the deadline.
#[allow(
    clippy::unwrap_in_result,
    reason = "the result is what is tested, a machine without threads is not"
)]
fn read(pairs: &[(&str, String)]) -> Result<Config, Problems> {
    let owned = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    let mut vars = vec![("IMAGES".to_owned(), "nginx".to_owned())];
    vars.retain(|(name, _)| !pairs.iter().any(|(other, _)| other == name));
    vars.extend(owned);
    let (done_tx, done) = channel();
    let reader = std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || {
            let settings = Settings::from_vars(vars).expect("text is always read");
            // Nobody listens after the deadline.
            let _ = done_tx.send(Config::from_settings(&settings));
        });
    let reader = reader.expect("a thread can be started");
    match done.recv_timeout(DEADLINE) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => panic!("not done after {DEADLINE:?}"),
        Err(RecvTimeoutError::Disconnected) => panic!("it panicked: {:?}", reader.join().is_err()),
    }
}

fn refused(variable: &str, value: String) -> String {
    let problems = read(&[(variable, value)]).expect_err("it must be refused");
    let said = problems.to_string();
    assert!(
        problems
            .0
            .iter()
            .all(|problem| problem.variable == variable),
        "{said}"
    );
    assert!(said.len() < 500_000, "{} bytes of messages", said.len());
    said
}

const DOCUMENTS: [&str; 7] = [
    "NODE_SELECTOR",
    "AFFINITY",
    "TOLERATIONS",
    "DAEMONSET_ANNOTATIONS",
    "POD_LABELS",
    "POD_ANNOTATIONS",
    "POD_TEMPLATE",
];

#[test]
fn deep_nesting_is_refused() {
    for variable in DOCUMENTS {
        for (open, middle, close) in [
            ("[", "", "]"),
            ("{\"a\":", "1", "}"),
            ("{a: ", "b", "}"),
            ("- ", "a", ""),
            ("[", "", ""),
            ("? ", "a", ""),
            ("!!map ", "a", ""),
        ] {
            for depth in [200, 2_000, 20_000] {
                refused(
                    variable,
                    [&open.repeat(depth), middle, &close.repeat(depth)].concat(),
                );
            }
        }
        let indented = (0..2_000).fold(String::new(), |mut text, depth| {
            writeln!(text, "{}a:", " ".repeat(depth)).expect("a String");
            text
        });
        refused(variable, indented);
    }
}

#[test]
fn an_alias_that_grows_is_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        let list = vec![before; 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{list}]").expect("a String");
    }
    for variable in DOCUMENTS {
        refused(variable, bomb.clone());
        refused(variable, "&a [*a]".to_owned());
        refused(variable, "a: &a {b: *a}".to_owned());
        refused(variable, "<<: &a {<<: *a}".to_owned());
        refused(variable, "a: *nowhere".to_owned());
    }
}

#[test]
fn a_key_that_comes_twice_is_refused_in_json_and_yaml() {
    let affinity = |inner: &str| {
        format!(
            "{{\"nodeAffinity\": {{\"requiredDuringSchedulingIgnoredDuringExecution\": {inner}}}}}"
        )
    };
    let term =
        r#""nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]"#;
    assert!(
        read(&[("AFFINITY", affinity(&format!("{{{term}}}")))]).is_ok(),
        "once is right"
    );
    for (variable, value) in [
        ("AFFINITY", affinity(&format!("{{{term}, {term}}}"))),
        (
            "NODE_SELECTOR",
            "{\"a\": \"b\", \"\\u0061\": \"c\"}".to_owned(),
        ),
        ("NODE_SELECTOR", "a: b\n\"a\": c".to_owned()),
        ("NODE_SELECTOR", "{a: b, 'a': b}".to_owned()),
        ("DAEMONSET_ANNOTATIONS", "x: y\nx: y".to_owned()),
        (
            "TOLERATIONS",
            "- key: a\n  operator: Exists\n  key: b".to_owned(),
        ),
        (
            "TOLERATIONS",
            r#"[{"key": "a", "operator": "Exists", "operator": "Equal"}]"#.to_owned(),
        ),
    ] {
        let said = refused(variable, value.clone());
        let lower = said.to_lowercase();
        assert!(
            lower.contains("twice") || lower.contains("duplicate"),
            "{value}: {said}"
        );
    }
}

#[test]
fn more_than_one_document_is_refused() {
    for variable in ["NODE_SELECTOR", "AFFINITY", "DAEMONSET_ANNOTATIONS"] {
        refused(variable, "---\n{}\n---\n{}\n".to_owned());
        refused(variable, "{} {}".to_owned());
    }
}

#[test]
fn what_only_looks_like_text_is_not_taken_for_text() {
    for value in [
        "1", "1.5", "true", "null", "~", ".nan", ".inf", "[a]", "{a: b}", "1e999",
    ] {
        for variable in [
            "NODE_SELECTOR",
            "DAEMONSET_ANNOTATIONS",
            "POD_LABELS",
            "POD_ANNOTATIONS",
        ] {
            refused(variable, format!("a: {value}"));
        }
    }
    for value in [".nan", ".inf", "1e999"] {
        for variable in DOCUMENTS {
            refused(variable, value.to_owned());
        }
    }
}

#[test]
fn strange_characters_are_no_part_of_a_name() {
    for strange in [
        "\u{200b}",
        "\u{202e}",
        "\u{feff}",
        "\u{0}",
        "\u{1b}",
        "\u{212a}",
        "\u{130}",
        "\u{ff41}",
        "\u{430}",
        "e\u{301}",
        "\u{10ffff}",
        "\u{661}",
        "\u{2028}",
    ] {
        for (variable, value) in [
            ("IMAGES", format!("a{strange}b=nginx")),
            ("IMAGES", format!("a=ng{strange}inx")),
            ("IMAGES", format!("a=nginx:1{strange}2")),
            ("KIP_IMAGE", format!("kip{strange}puller")),
            ("IMAGE_PULL_SECRETS", format!("a{strange}b")),
            (
                "NODE_SELECTOR",
                serde_json::json!({ format!("a{strange}b"): "c" }).to_string(),
            ),
            (
                "NODE_SELECTOR",
                serde_json::json!({ "a": format!("b{strange}c") }).to_string(),
            ),
            (
                "POD_LABELS",
                serde_json::json!({ "a": format!("b{strange}c") }).to_string(),
            ),
            ("POD_PRIORITY_CLASS", format!("a{strange}b")),
            ("POD_RUNTIME_CLASS", format!("a{strange}b")),
            (
                "POD_TEMPLATE",
                serde_json::json!({"spec": {format!("host{strange}Network"): true}}).to_string(),
            ),
            ("CACHING_CPU_LIMIT", format!("1{strange}0")),
            ("CACHING_MEMORY_LIMIT", format!("2{strange}Gi")),
            ("CACHING_INTERVAL_HOURS", format!("1{strange}0")),
            ("CLEANUP_ON_SHUTDOWN", format!("tr{strange}ue")),
            ("REFRESH", format!("ne{strange}ver")),
            ("MAX_NODES_AT_ONCE", format!("1{strange}0")),
            ("MAX_NODES_AT_ONCE", format!("1{strange}0%")),
            ("SETTLE_DEADLINE", format!("1{strange}0m")),
            ("PAUSED", format!("fal{strange}se")),
        ] {
            refused(variable, value);
        }
    }
}

#[test]
fn ten_megabytes_of_anything_are_refused_in_time() {
    for piece in [
        "A",
        "A;",
        "a;",
        "{",
        "[",
        "\"",
        "[1,",
        "- ",
        "a: b\n",
        "&a ",
        "{}",
        "9",
        ".",
        "\u{1f600}",
        "a=b=c;",
    ] {
        // A list of so many wrong entries takes a while without optimisation, a few microseconds each.
        let size = if piece.contains(';') { HUGE / 5 } else { HUGE };
        let value = piece.repeat(size / piece.len());
        for variable in [
            "IMAGES",
            "AFFINITY",
            "POD_TEMPLATE",
            "CACHING_CPU_LIMIT",
            "MAX_NODES_AT_ONCE",
            "SETTLE_DEADLINE",
            "KIP_IMAGE",
            "IMAGE_PULL_SECRETS",
        ] {
            refused(variable, value.clone());
        }
    }
}

#[test]
fn ten_megabytes_of_blanks_are_as_if_it_were_not_set() {
    let value = " \n".repeat(HUGE / 2);
    let config = read(&[("AFFINITY", value.clone()), ("IMAGE_PULL_SECRETS", value)]);
    assert_eq!(config, read(&[]));
}

#[test]
fn many_problems_are_counted_and_few_are_told() {
    let said = refused("IMAGES", "A;".repeat(100_000));
    assert!(said.contains("have 99800 more problems"), "{said}");
    assert_eq!(said.lines().count(), 201);
}

#[test]
fn a_long_list_of_names_that_differ_is_read_in_time() {
    let names: Vec<String> = (0..150_000).map(|n| format!("a{n}")).collect();
    let list = names.join(";");
    let config = read(&[("IMAGES", list.clone()), ("IMAGE_PULL_SECRETS", list)]);
    let config = config.expect("it is valid, and the API server's to refuse");
    assert_eq!(config.groups[0].images.len(), names.len());
    assert_eq!(config.groups[0].pull_secrets, names);
}
