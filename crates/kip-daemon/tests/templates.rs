//! One table of settings: the OpenShift templates and the program say the same.
//!
//! `UPDATE_TEMPLATES=1 cargo test -p kip-daemon --test templates` writes the ConfigMap's template, and the list of its
//! parameters in docs/openshift.md, anew from the table.

#![allow(clippy::panic, reason = "these are tests, and so are their helpers")]

#[path = "support/files.rs"]
mod files;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::Once;

use files::{path, read};
use kip_daemon::settings::{VARIABLES, Variable, variable};
use serde_json::{Value, json};

const SERVICE_ACCOUNT: &str = "deploy/openshift/serviceaccount.yaml";
const CONFIG_MAP: &str = "deploy/openshift/configmap.yaml";
const APP: &str = "deploy/openshift/app.yaml";
const TEMPLATES: [&str; 3] = [SERVICE_ACCOUNT, CONFIG_MAP, APP];
const DOCUMENT: &str = "docs/openshift.md";

/// Settings that count at start and stand in the ConfigMap, beside all live ones: it is edited, the Deployment is not.
const AT_START: [&str; 3] = ["DAEMONSET_NAME", "NAMESPACE", "ALLOW_OTHER_NAMESPACE"];
/// Settings that the Deployment gives.
const OF_THE_DEPLOYMENT: [&str; 6] = [
    "DEPLOYMENT_NAME",
    "CONFIG_MAP_NAME",
    "POD_NAMESPACE",
    "REGISTRY_CA_FILE",
    "LOG_FORMAT",
    "LOG_LEVEL",
];
/// Settings that make no sense in a pod.
const ELSEWHERE: [&str; 1] = ["KUBECONFIG"];

fn template(name: &str) -> Value {
    update();
    serde_saphyr::from_str(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn parameters(template: &Value) -> &[Value] {
    let parameters = template["parameters"].as_array();
    parameters.map_or(&[], Vec::as_slice)
}

fn in_config_map() -> impl Iterator<Item = &'static Variable> {
    VARIABLES
        .iter()
        .filter(|variable| variable.live || AT_START.contains(&variable.name))
}

/// The words of a default that is no value.
fn words(variable: &Variable) -> Option<&str> {
    variable.default.strip_prefix('(')?.strip_suffix(')')
}

/// The chart's list, so that a plain install caches the same either way.
fn images_of_the_chart() -> String {
    let values: Value =
        serde_saphyr::from_str(&read("deploy/helm/values.yaml")).expect("it is YAML");
    let images = values["configMap"]["images"].as_array().expect("a list");
    let images: Vec<&str> = images.iter().filter_map(Value::as_str).collect();
    images.join(";\n")
}

/// The parameter that sets a variable. Quoted as JSON is, which is YAML of any version.
fn parameter(variable: &Variable) -> String {
    let required = words(variable) == Some("required");
    let value = match words(variable) {
        Some("required") => images_of_the_chart(),
        Some(_) => String::new(),
        None => variable.default.to_owned(),
    };
    let description = match words(variable) {
        Some(words) if !required => format!("{}. Empty: {words}", variable.meaning),
        _ => variable.meaning.to_owned(),
    };
    format!(
        "  - name: {}\n    description: {}\n{}    value: {}\n",
        variable.name,
        json!(description),
        if required { "    required: true\n" } else { "" },
        json!(value)
    )
}

/// The text with the lines between the two marks replaced; a mark has a line of its own.
fn replaced(text: &str, [begin, end]: [&str; 2], new: &str) -> String {
    let (before, rest) = text
        .split_once(&format!("{begin}\n"))
        .expect("the first mark is there");
    let end = rest.find(end).expect("the second mark is there");
    let line = rest[..end].rfind('\n').map_or(0, |line| line + 1);
    format!("{before}{begin}\n{new}{}", &rest[line..])
}

/// The template of the ConfigMap as the table has it.
fn config_map() -> String {
    let mut data = String::new();
    let mut parameters = String::new();
    for variable in in_config_map() {
        let name = variable.name;
        writeln!(data, "      {name}: \"${{{name}}}\"").expect("a String takes all");
        parameters += &parameter(variable);
    }
    let text = replaced(&read(CONFIG_MAP), ["# data: begin", "# data: end"], &data);
    let marks = ["# parameters: begin", "# parameters: end"];
    replaced(&text, marks, &parameters)
}

/// The documentation with the table's list of parameters.
fn document() -> String {
    let names: Vec<_> = in_config_map()
        .map(|variable| format!("`{}`", variable.name))
        .collect();
    let marks = ["<!-- settings:begin -->", "<!-- settings:end -->"];
    let list = format!("{}\n", names.join(",\n"));
    replaced(&read(DOCUMENT), marks, &list)
}

/// Writes both where that is asked for, once and before any test reads them.
fn update() {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        if std::env::var_os("UPDATE_TEMPLATES").is_some() {
            for (name, text) in [(CONFIG_MAP, config_map()), (DOCUMENT, document())] {
                fs::write(path(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        }
    });
}

#[test]
fn the_config_maps_template_is_that_of_the_table() {
    update();
    assert_eq!(
        read(CONFIG_MAP),
        config_map(),
        "UPDATE_TEMPLATES=1 writes it anew"
    );
}

#[test]
fn the_documentation_lists_the_config_maps_parameters() {
    update();
    assert_eq!(
        read(DOCUMENT),
        document(),
        "UPDATE_TEMPLATES=1 writes it anew"
    );
}

#[test]
fn every_setting_has_its_place() {
    for variable in VARIABLES {
        let places = [
            variable.live,
            AT_START.contains(&variable.name),
            OF_THE_DEPLOYMENT.contains(&variable.name),
            ELSEWHERE.contains(&variable.name),
        ];
        let places = places.iter().filter(|is_there| **is_there).count();
        assert_eq!(places, 1, "{}: say above where it belongs", variable.name);
    }
    for name in AT_START.iter().chain(&OF_THE_DEPLOYMENT).chain(&ELSEWHERE) {
        assert!(variable(name).is_some(), "{name} is no setting");
    }
}

#[test]
fn the_deployment_gives_exactly_the_settings_that_are_its_own() {
    let app = template(APP);
    let env = &app["objects"][0]["spec"]["template"]["spec"]["containers"][0]["env"];
    let names = env.as_array().expect("a list").iter();
    let names: Vec<&str> = names.filter_map(|env| env["name"].as_str()).collect();
    assert_eq!(names, OF_THE_DEPLOYMENT);
}

#[test]
fn parameters_that_are_settings_have_the_tables_defaults_and_words() {
    let mut compared = 0;
    for parameter in TEMPLATES.map(template).iter().flat_map(parameters) {
        let name = parameter["name"].as_str().expect("a name");
        let Some(setting) = variable(name) else {
            continue;
        };
        if words(setting).is_none() {
            assert_eq!(parameter["value"], setting.default, "{name}");
            compared += 1;
        }
        if name.starts_with("LOG_") {
            assert_eq!(parameter["description"], setting.meaning, "{name}");
        }
    }
    assert!(compared >= 12, "only {compared} defaults were compared");
}

#[test]
fn every_parameter_says_what_it_is_and_has_one_default_in_all_templates() {
    let mut values = BTreeMap::new();
    for template in TEMPLATES.map(template) {
        for parameter in parameters(&template) {
            let name = parameter["name"].as_str().expect("a name");
            let description = parameter["description"].as_str().unwrap_or_default();
            assert!(description.len() > 10, "{name}: {description:?}");
            let value = parameter["value"].clone();
            assert!(value.is_string(), "{name}: {value}");
            let first = values.entry(name.to_owned()).or_insert(value.clone());
            assert_eq!(*first, value, "{name}");
        }
    }
    let shared = ["DAEMONSET_NAME", "DEPLOYMENT_NAME", "SERVICEACCOUNT_NAME"];
    for name in shared {
        assert!(values.contains_key(name), "{name}");
    }
}

#[test]
fn the_templates_have_the_version_of_the_program() {
    let version = env!("CARGO_PKG_VERSION");
    for name in TEMPLATES {
        let template = template(name);
        assert_eq!(
            template["labels"]["app.kubernetes.io/version"], version,
            "{name}"
        );
    }
    let app = template(APP);
    let pod = &app["objects"][0]["spec"]["template"]["metadata"]["labels"];
    assert_eq!(pod["app.kubernetes.io/version"], version);
    let tag = parameters(&app).iter().find(|it| it["name"] == "IMAGE_TAG");
    assert_eq!(tag.expect("a parameter")["value"], version);
}
