//! The Go image puller that was here before: how what it has made is known. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::DaemonSet;

use crate::desired::names::{COMPONENT, NAME, SLEEP};

/// Its pods, as a label selector. Every version of it has given them this label.
pub const POD_SELECTOR: &str = "test=daemonset-test";

const LABEL: (&str, &str) = ("test", "daemonset-test");
/// Newer versions of it have both in their selector.
const NAME_LABEL: (&str, &str) = (NAME, "image-puller");

/// Whether it has made this `DaemonSet`: by the selector, which can be nobody's by chance, and by what the containers
/// run.
pub fn has_made(daemonset: &DaemonSet) -> bool {
    let Some(spec) = &daemonset.spec else {
        return false;
    };
    let selector = &spec.selector;
    let has_expressions = selector.match_expressions.iter().flatten().next().is_some();
    let labels: Vec<(&str, &str)> = selector
        .match_labels
        .iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    // A map is in the order of its keys.
    let is_its_selector = labels == [LABEL] || labels == [NAME_LABEL, LABEL];
    let pod = spec.template.spec.as_ref();
    let containers = pod.map_or(&[][..], |pod| &pod.containers);
    is_its_selector
        && !has_expressions
        && !containers.is_empty()
        && containers
            .iter()
            .all(|container| is_sleep(container.command.as_deref().unwrap_or_default()))
}

/// Whether a pod has its labels. Ours have a duty beside them, whatever else somebody has put there.
pub fn has_labelled(labels: Option<&BTreeMap<String, String>>) -> bool {
    let Some(labels) = labels else {
        return false;
    };
    labels.get(LABEL.0).is_some_and(|value| value == LABEL.1) && !labels.contains_key(COMPONENT)
}

/// Whether a container of this command is one of its sleepers.
pub fn is_sleep(command: &[String]) -> bool {
    command.first().is_some_and(|program| program == SLEEP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn is_its(selector: &Value, command: &Value) -> bool {
        let daemonset = json!({"spec": {"selector": selector, "template": {"spec": {"containers": [
            {"name": "a", "image": "a:1", "command": command, "args": ["720h"]},
        ]}}}});
        has_made(&serde_json::from_value(daemonset).unwrap())
    }

    #[test]
    fn it_is_known_by_its_selector_and_its_sleepers_and_nothing_else_passes_for_it() {
        let newer = json!({"matchLabels": {"test": "daemonset-test", "app.kubernetes.io/name": "image-puller"}});
        let older = json!({"matchLabels": {"test": "daemonset-test"}});
        let sleep = json!(["/kip/sleep"]);
        assert!(is_its(&newer, &sleep) && is_its(&older, &sleep));
        assert!(is_its(&newer, &json!(["/kip/sleep", "720h"])));
        assert!(!is_its(&newer, &json!(["/bin/sleep"])), "another program");
        assert!(!is_its(&newer, &json!(null)), "the image's own program");
        for selector in [
            json!({"matchLabels": {}}),
            json!({"matchLabels": {"test": "other"}}),
            json!({"matchLabels": {"app.kubernetes.io/name": "image-puller"}}),
            json!({"matchLabels": {"test": "daemonset-test", "app.kubernetes.io/name": "other"}}),
            json!({"matchLabels": {"test": "daemonset-test", "more": "x"}}),
            json!({"matchLabels": {"test": "daemonset-test"},
                   "matchExpressions": [{"key": "a", "operator": "Exists"}]}),
        ] {
            assert!(!is_its(&selector, &sleep), "{selector}");
        }
        assert!(!has_made(&DaemonSet::default()));
    }

    #[test]
    fn a_pod_of_ours_is_never_taken_for_one_of_its() {
        let labels = |pairs: &[(&str, &str)]| {
            let owned = pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            owned.collect::<BTreeMap<_, _>>()
        };
        let its = labels(&[("test", "daemonset-test"), ("pod-template-generation", "1")]);
        assert!(has_labelled(Some(&its)));
        let ours = labels(&[("test", "daemonset-test"), (COMPONENT, "holder")]);
        assert!(!has_labelled(Some(&ours)));
        assert!(!has_labelled(None));
    }
}
