//! Runs the real `helm` on the chart: what it renders, or what it says.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use super::CHART;

/// The release's namespace in every render; unlike any other name, so that a mix-up is seen.
pub(super) const NAMESPACE: &str = "puller-home";
/// The release's name, likewise.
pub(super) const RELEASE: &str = "puller-release";

/// The chart's folder.
pub(super) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(CHART)
}

/// A file of the chart.
pub(super) fn read(name: &str) -> String {
    let path = folder().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs `helm` with these arguments and a values file; its home is thrown away, so that nobody's settings count.
pub(super) fn run(arguments: &[&str], values: Option<&Value>) -> Output {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new("helm");
    command.args(arguments);
    if let Some(values) = values {
        let path = home.path().join("values.json");
        let mut file = std::fs::File::create(&path).expect("a values file");
        file.write_all(values.to_string().as_bytes())
            .expect("values are written");
        command.arg("--values").arg(path);
    }
    for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(variable, home.path());
    }
    command.env("KUBECONFIG", home.path().join("none"));
    match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!(
                "helm is not in PATH; `hack/tools/build.sh helm` builds it and prints its folder"
            )
        }
        Err(error) => panic!("helm: {error}"),
    }
}

/// What `helm template` prints for these values, or its error.
pub(super) fn text_with(extra: &[&str], values: &Value) -> Result<String, String> {
    let chart = folder();
    let chart = chart.to_str().expect("a path of UTF-8");
    let mut arguments = vec!["template", RELEASE, chart, "--namespace", NAMESPACE];
    arguments.extend(extra);
    let output = run(&arguments, Some(values));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(text(output.stderr))
    }
}

/// The objects that the chart makes of these values.
pub(super) fn objects(values: &Value) -> Vec<Value> {
    let text = text_with(&[], values).unwrap_or_else(|error| panic!("{values}: {error}"));
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Helm's refusal of these values.
pub(super) fn refusal(values: &Value) -> String {
    match text_with(&[], values) {
        Ok(text) => panic!("{values} is not refused:\n{text}"),
        Err(error) => error,
    }
}

/// The only object of a kind.
pub(super) fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    let object = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "more than one {kind}");
    object
}

/// The data of the ConfigMap that the chart makes of these values.
pub(super) fn config(values: &Value) -> Value {
    only(&objects(values), "ConfigMap")["data"].clone()
}

/// The Deployment that the chart makes of these values.
pub(super) fn deployment(values: &Value) -> Value {
    only(&objects(values), "Deployment").clone()
}

/// Kind and name of each object, sorted.
pub(super) fn names(objects: &[Value]) -> Vec<String> {
    let name = |object: &Value| {
        format!("{} {}", object["kind"], object["metadata"]["name"]).replace('"', "")
    };
    let mut names: Vec<_> = objects.iter().map(name).collect();
    names.sort_unstable();
    names
}
