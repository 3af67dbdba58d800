//! The OpenShift templates, processed and applied as `oc process … | oc apply -f -` does it: `oc apply` is `kubectl
//! apply`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::cluster::repository;
use crate::template::Template;

/// `kubectl apply -f -` of an object or a list, in a namespace; what it says.
///
/// # Errors
/// What kubectl says.
pub async fn apply(object: &Value, namespace: &str, more: &[&str]) -> Result<String> {
    let mut command = Command::new("kubectl");
    command
        .args(["apply", "--namespace", namespace, "--filename", "-"])
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let input = object.to_string();
    let output = tokio::task::spawn_blocking(move || {
        let mut child = command
            .spawn()
            .context("kubectl is not in PATH; run hack/run-e2e.sh")?;
        let mut stdin = child.stdin.take().context("kubectl has no input")?;
        stdin.write_all(input.as_bytes())?;
        drop(stdin);
        anyhow::Ok(child.wait_with_output()?)
    })
    .await??;
    ensure!(
        output.status.success(),
        "kubectl apply {more:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The list that `oc process -f deploy/openshift/NAME -p …` prints.
///
/// # Errors
/// What is wrong with the template or the arguments.
pub fn process(name: &str, arguments: &[impl AsRef<str>]) -> Result<Value> {
    process_file(&repository().join("deploy/openshift").join(name), arguments)
}

/// The same for a template that is elsewhere.
///
/// # Errors
/// What is wrong with the template or the arguments.
pub fn process_file(path: &Path, arguments: &[impl AsRef<str>]) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(Template::parse(&text)?.process(arguments)?)
}
