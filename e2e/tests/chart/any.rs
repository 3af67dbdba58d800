//! What holds for each of the charts. The file that includes this says which one it is about: `CHART` and `NAME`.

use serde_json::{Value, json};

use super::documented::{at, defaults, documented, leaves, readme};
use super::helm::{self, text_with};
use super::{CHART, NAME};

/// The environment variable that makes the README's test write the table instead.
const UPDATE: &str = "UPDATE_CHART_README";

#[test]
fn lint_finds_nothing() {
    let chart = helm::folder();
    let output = helm::run(&["lint", "--strict", chart.to_str().expect("UTF-8")], None);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("[WARNING]"), "{said}");
}

#[test]
fn the_chart_has_the_version_of_the_program() {
    let chart: Value = serde_saphyr::from_str(&helm::read("Chart.yaml")).expect("YAML");
    assert_eq!(chart["name"], NAME);
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn values_for_all_charts_are_accepted() {
    let shared = json!({"global": {"anything": {"at": ["all"]}}});
    let with = text_with(&[], &shared).expect("a render");
    assert_eq!(Ok(with), text_with(&[], &json!({})));
}

#[test]
fn every_value_is_documented() {
    let documented: Vec<_> = documented().into_iter().map(|it| it.path).collect();
    for path in leaves(&defaults()) {
        let covered = documented
            .iter()
            .any(|known| path == *known || path.starts_with(&format!("{known}.")));
        assert!(covered, "{path} has no comment that begins with `# --`");
    }
}

#[test]
fn the_readme_has_the_table_of_values() {
    let (is, should_be) = readme();
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(helm::folder().join("README.md"), should_be).expect("the README is written");
        return;
    }
    let test = env!("CARGO_CRATE_NAME");
    assert!(
        is == should_be,
        "the table in the README of {CHART} is not what values.yaml says; `{UPDATE}=1 cargo test -p kip-e2e --test {test} \
         the_readme` writes it:\n{should_be}"
    );
}

/// The schema knows the values of the file, and no others. Below these places the user writes what the schema knows, such as a
/// selector.
pub(super) fn the_schema_knows_the_values(written_by_the_user: &[&str]) {
    let schema: Value = serde_json::from_str(&helm::read("values.schema.json")).expect("JSON");
    compare("values", &schema, &defaults(), written_by_the_user);
}

fn compare(place: &str, schema: &Value, values: &Value, written_by_the_user: &[&str]) {
    let Some(known) = schema["properties"].as_object() else {
        return;
    };
    assert_eq!(schema["additionalProperties"], false, "{place} is open");
    let values = values
        .as_object()
        .unwrap_or_else(|| panic!("{place} is no map"));
    if written_by_the_user.contains(&place) {
        assert!(values.is_empty(), "{place} has values");
        assert!(schema["required"].is_null(), "{place} is empty");
        return;
    }
    let known_keys: Vec<_> = known.keys().filter(|key| *key != "global").collect();
    let mut keys: Vec<_> = values.keys().collect();
    let mut sorted = known_keys.clone();
    sorted.sort_unstable();
    keys.sort_unstable();
    assert_eq!(sorted, keys, "{place}");
    for key in known_keys {
        let below = format!("{place}.{key}");
        compare(&below, &known[key], &values[key], written_by_the_user);
    }
}

/// Each value changes what is made. `made` says what must be given for a value to count, `other` gives another legal one.
pub(super) fn every_value_counts(
    least: usize,
    made: impl Fn(&str) -> &'static [&'static str],
    other: impl Fn(&str, &Value) -> Value,
) {
    let defaults = defaults();
    let leaves = leaves(&defaults);
    assert!(leaves.len() > least, "only {leaves:?}");
    for path in leaves {
        let made = made(&path);
        let plain = text_with(made, &json!({})).expect("a render");
        let mut values = other(&path, at(&defaults, &path));
        for key in path.rsplit('.') {
            values = json!({key: values});
        }
        let changed = text_with(made, &values).unwrap_or_else(|error| panic!("{values}: {error}"));
        assert_ne!(changed, plain, "{path} changes nothing");
    }
}
