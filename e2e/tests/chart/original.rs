//! What a user of the Go image puller brings along: values, and the page that says what changes.

use std::collections::BTreeSet;

use kip_e2e::lab::original::fixture;
use kip_e2e::template::Template;
use serde_json::{Value, json};

use super::documented::leaves;
use super::helm::{config, deployment, refusal};

const PAGE: &str = "docs/coming-from-the-go-image-puller.md";
/// What the original's program reads of its environment beside the keys of its ConfigMap.
const VARIABLES: [&str; 3] = ["DAEMONSET_ANNOTATIONS", "DEPLOYMENT_NAME", "KUBECONFIG"];

fn page() -> String {
    let path = kip_e2e::lab::cluster::repository().join(PAGE);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{PAGE}: {error}"))
}

/// What the first cells of a table name in code.
fn named(section: &str) -> BTreeSet<String> {
    let page = page();
    let begin = format!("<!-- {section}:begin -->");
    let (_, rest) = page.split_once(&begin).expect("the table begins");
    let end = format!("<!-- {section}:end -->");
    let (table, _) = rest.split_once(&end).expect("the table ends");
    let cells = table.lines().filter_map(|line| line.split('|').nth(1));
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

fn original_values() -> Value {
    let text = std::fs::read_to_string(fixture("helm/values.yaml")).expect("the fixture is there");
    serde_saphyr::from_str(&text).expect("YAML")
}

fn parameters(template: &str) -> BTreeSet<String> {
    let path = fixture("openshift").join(template);
    let text = std::fs::read_to_string(path).expect("the fixture is there");
    let template = Template::parse(&text).expect("a template");
    template.parameters.into_iter().map(|it| it.name).collect()
}

#[test]
fn the_page_names_every_setting_value_and_parameter_of_the_original() {
    let mut settings = parameters("configmap.yaml");
    settings.extend(VARIABLES.map(str::to_owned));
    assert_eq!(named("settings"), settings);

    let mut others = parameters("app.yaml");
    others.extend(parameters("serviceaccount.yaml"));
    others.insert("DAEMONSET_NAME".to_owned());
    assert_eq!(named("parameters"), others);

    let named = named("values");
    let is_named = |leaf: &String| {
        named
            .iter()
            .any(|name| leaf == name || leaf.starts_with(&format!("{name}.")))
    };
    let all = leaves(&original_values());
    let missing: Vec<_> = all.iter().filter(|leaf| !is_named(leaf)).collect();
    assert!(missing.is_empty(), "{PAGE} does not name {missing:?}");
    for name in &named {
        let is_there = all
            .iter()
            .any(|leaf| leaf == name || leaf.starts_with(&format!("{name}.")));
        assert!(
            is_there,
            "{PAGE} names {name}, which the original does not have"
        );
    }
}

#[test]
fn the_originals_own_values_give_the_same_settings() {
    let mut values = original_values();
    values["configMap"]["images"] = json!("a=example.com/a:1; b=example.com/b:2;\n");
    values["image"] = json!({"repository": "example.com/puller", "tag": "1"});
    let found = config(&values);
    for (key, value) in [
        ("IMAGES", "a=example.com/a:1;\nb=example.com/b:2"),
        ("DAEMONSET_NAME", "kubernetes-image-puller"),
        ("CACHING_INTERVAL_HOURS", "1"),
        ("CACHING_MEMORY_REQUEST", "10Mi"),
        ("CACHING_MEMORY_LIMIT", "20Mi"),
        ("CACHING_CPU_REQUEST", ".05"),
        ("CACHING_CPU_LIMIT", ".2"),
    ] {
        assert_eq!(found[key], value, "{key}");
    }
    for (key, value) in [
        ("NODE_SELECTOR", "{}"),
        ("AFFINITY", "{}"),
        ("TOLERATIONS", "[]"),
    ] {
        assert!(
            found[key] == value || found[key].is_null(),
            "{key}: {}",
            found[key]
        );
    }
    assert_eq!(found["KIP_IMAGE"], Value::Null);
    let selector = &deployment(&values)["spec"]["selector"]["matchLabels"];
    assert_eq!(*selector, json!({"app": "kubernetes-image-puller"}));
}

#[test]
fn the_originals_image_is_refused_with_the_remedy() {
    let image = json!({"repository": "quay.io/eclipse/kubernetes-image-puller", "tag": "next"});
    let error = refusal(&json!({"image": image}));
    for words in [
        "image.repository",
        "the Go image puller's image",
        "where you pushed",
    ] {
        assert!(error.contains(words), "no {words:?} in {error}");
    }
}
