//! Where the pods run: node selector, affinity, tolerations. The rules are those of the API server's own
//! validation, so that a mistake is found before anything is sent.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm, Toleration,
};

use super::names;
use super::problem::{Findings, Problem};
use super::structured;

/// The label of a node's operating system, and the only one that the sleep program is made for.
pub(super) const OS: &str = "kubernetes.io/os";
pub(super) const LINUX: &str = "linux";

/// What decides on which nodes the pods run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scheduling {
    /// Labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Affinity, `None` where the setting is absent or empty.
    pub affinity: Option<Affinity>,
    /// Taints that the pods tolerate.
    pub tolerations: Vec<Toleration>,
}

/// The three settings as text.
pub(super) struct Texts<'a> {
    pub(super) node_selector: Option<&'a str>,
    pub(super) affinity: Option<&'a str>,
    pub(super) tolerations: Option<&'a str>,
}

/// Reads and checks the settings.
pub(super) fn parse(texts: &Texts<'_>, findings: &mut Findings) -> Scheduling {
    let node_selector: BTreeMap<String, String> =
        findings.take(structured::parse("NODE_SELECTOR", texts.node_selector));
    let affinity: Affinity = findings.take(structured::parse("AFFINITY", texts.affinity));
    let tolerations: Vec<Toleration> =
        findings.take(structured::parse("TOLERATIONS", texts.tolerations));

    let mut wrong_labels = check_labels(&node_selector);
    if let Some(os) = node_selector.get(OS).filter(|os| *os != LINUX) {
        wrong_labels.push(format!(
            "asks for {OS} {os:?}, but the sleep program is made for {LINUX}"
        ));
    }

    let mut report = |variable, text: Option<&str>, wrong: Vec<String>| {
        for wrong in wrong {
            findings.add(Problem::new(variable, text.unwrap_or_default(), wrong));
        }
    };
    report("NODE_SELECTOR", texts.node_selector, wrong_labels);
    report("AFFINITY", texts.affinity, check_affinity(&affinity));
    let wrong = tolerations
        .iter()
        .enumerate()
        .filter_map(|(index, toleration)| {
            check_toleration(toleration)
                .err()
                .map(|wrong| format!("toleration [{index}] {wrong}"))
        })
        .collect();
    report("TOLERATIONS", texts.tolerations, wrong);

    Scheduling {
        node_selector,
        affinity: (affinity != Affinity::default()).then_some(affinity),
        tolerations,
    }
}

pub(super) fn check_labels(labels: &BTreeMap<String, String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (key, value) in labels {
        wrong.extend(
            names::qualified_name(key)
                .err()
                .map(|w| format!("the key {key:?} {w}")),
        );
        wrong.extend(
            names::label_value(value)
                .err()
                .map(|w| format!("the value {value:?} of {key:?} {w}")),
        );
    }
    wrong
}

/// <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/>
pub(super) fn check_toleration(toleration: &Toleration) -> Result<(), String> {
    let key = toleration.key.as_deref().unwrap_or_default();
    let value = toleration.value.as_deref().unwrap_or_default();
    let effect = toleration.effect.as_deref().unwrap_or_default();
    if !key.is_empty() {
        names::qualified_name(key).map_err(|wrong| format!("has a key {key:?} that {wrong}"))?;
    }
    match toleration.operator.as_deref().unwrap_or("Equal") {
        "Exists" if !value.is_empty() => {
            return Err(format!(
                "has operator Exists and a value {value:?}; leave the value out"
            ));
        }
        "Equal" | "" | "Lt" | "Gt" if key.is_empty() => {
            return Err("has no key; only operator Exists may go without".to_owned());
        }
        "Equal" | "" => {
            names::label_value(value)
                .map_err(|wrong| format!("has a value {value:?} that {wrong}"))?;
        }
        "Lt" | "Gt" if value.parse::<i64>().is_err() => {
            return Err(format!("has a value {value:?} that is not a whole number"));
        }
        "Exists" | "Lt" | "Gt" => {}
        other => {
            return Err(format!(
                "has operator {other:?}; Exists and Equal are allowed"
            ));
        }
    }
    if !matches!(effect, "" | "NoSchedule" | "PreferNoSchedule" | "NoExecute") {
        return Err(format!(
            "has effect {effect:?}; NoSchedule, PreferNoSchedule and NoExecute are allowed"
        ));
    }
    if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
        return Err("has tolerationSeconds, which needs effect NoExecute".to_owned());
    }
    Ok(())
}

/// <https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#affinity-and-anti-affinity>
pub(super) fn check_affinity(affinity: &Affinity) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(node) = &affinity.node_affinity {
        if let Some(required) = &node.required_during_scheduling_ignored_during_execution {
            if required.node_selector_terms.is_empty() {
                wrong.push("nodeAffinity: nodeSelectorTerms is empty".to_owned());
            }
            required
                .node_selector_terms
                .iter()
                .for_each(|term| check_term(term, &mut wrong));
        }
        for preferred in node
            .preferred_during_scheduling_ignored_during_execution
            .iter()
            .flatten()
        {
            check_weight(preferred.weight, &mut wrong);
            check_term(&preferred.preference, &mut wrong);
        }
    }
    let pods = affinity.pod_affinity.as_ref().map(|pods| {
        (
            &pods.required_during_scheduling_ignored_during_execution,
            &pods.preferred_during_scheduling_ignored_during_execution,
        )
    });
    let anti = affinity.pod_anti_affinity.as_ref().map(|pods| {
        (
            &pods.required_during_scheduling_ignored_during_execution,
            &pods.preferred_during_scheduling_ignored_during_execution,
        )
    });
    for (required, preferred) in pods.into_iter().chain(anti) {
        required
            .iter()
            .flatten()
            .for_each(|term| check_pod_term(term, &mut wrong));
        for preferred in preferred.iter().flatten() {
            check_weight(preferred.weight, &mut wrong);
            check_pod_term(&preferred.pod_affinity_term, &mut wrong);
        }
    }
    wrong
}

fn check_weight(weight: i32, wrong: &mut Vec<String>) {
    if !(1..=100).contains(&weight) {
        wrong.push(format!("weight {weight} is not between 1 and 100"));
    }
}

fn check_pod_term(term: &PodAffinityTerm, wrong: &mut Vec<String>) {
    if term.topology_key.is_empty() {
        wrong.push("a term of podAffinity or podAntiAffinity has no topologyKey".to_owned());
    }
}

fn check_term(term: &NodeSelectorTerm, wrong: &mut Vec<String>) {
    for requirement in term.match_expressions.iter().flatten() {
        wrong.extend(
            names::qualified_name(&requirement.key)
                .err()
                .map(|w| format!("nodeAffinity: the key {:?} {w}", requirement.key)),
        );
        wrong.extend(check_requirement(requirement).err());
    }
    for requirement in term.match_fields.iter().flatten() {
        if requirement.key != "metadata.name" {
            wrong.push(format!(
                "nodeAffinity: matchFields knows only metadata.name, not {:?}",
                requirement.key
            ));
        }
        wrong.extend(check_requirement(requirement).err());
    }
}

fn check_requirement(requirement: &NodeSelectorRequirement) -> Result<(), String> {
    let values = requirement.values.as_deref().unwrap_or_default();
    let key = &requirement.key;
    match requirement.operator.as_str() {
        "In" | "NotIn" if values.is_empty() => Err(format!(
            "nodeAffinity: {key:?} has operator {} and no values",
            requirement.operator
        )),
        "Exists" | "DoesNotExist" if !values.is_empty() => Err(format!(
            "nodeAffinity: {key:?} has operator {} and values; leave them out",
            requirement.operator
        )),
        "Gt" | "Lt" if !matches!(values, [one] if one.parse::<i64>().is_ok()) => Err(format!(
            "nodeAffinity: {key:?} has operator {}, which needs one whole number",
            requirement.operator
        )),
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => Ok(()),
        other => Err(format!(
            "nodeAffinity: {key:?} has operator {other:?}; In, NotIn, Exists, DoesNotExist, Gt and Lt are allowed"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(selector: &str, affinity: &str, tolerations: &str) -> Vec<String> {
        let mut findings = Findings::default();
        let texts = Texts {
            node_selector: Some(selector),
            affinity: Some(affinity),
            tolerations: Some(tolerations),
        };
        parse(&texts, &mut findings);
        findings.finish(()).err().map_or_else(Vec::new, |problems| {
            problems.0.iter().map(ToString::to_string).collect()
        })
    }

    #[test]
    fn json_and_yaml_say_the_same() {
        let read = |selector, affinity, tolerations| {
            let mut findings = Findings::default();
            let texts = Texts {
                node_selector: Some(selector),
                affinity: Some(affinity),
                tolerations: Some(tolerations),
            };
            let scheduling = parse(&texts, &mut findings);
            findings.finish(scheduling).unwrap()
        };
        let json = read(
            r#"{"role": "worker"}"#,
            r#"{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"a","operator":"Exists"}]}]}}}"#,
            "[\t{\"operator\": \"Exists\"}]",
        );
        let yaml = read(
            "role: worker",
            "nodeAffinity:\n  requiredDuringSchedulingIgnoredDuringExecution:\n    nodeSelectorTerms:\n    - matchExpressions:\n      - {key: a, operator: Exists}\n",
            "- operator: Exists",
        );
        assert_eq!(json, yaml);
        assert!(json.affinity.is_some());
        assert_eq!(read("{}", "{}", "[]"), Scheduling::default());
    }

    #[test]
    fn unknown_fields_are_refused_with_their_path() {
        let problems = problems(
            "{}",
            r#"{"nodeAffinty": {}}"#,
            r#"[{"operator": "Exists", "efect": "NoSchedule"}]"#,
        );
        assert_eq!(problems.len(), 2, "{problems:#?}");
        assert!(
            problems[0].contains("unknown field: nodeAffinty"),
            "{problems:#?}"
        );
        assert!(
            problems[1].contains("unknown field: 0.efect"),
            "{problems:#?}"
        );
    }

    #[test]
    fn what_the_api_server_would_refuse_is_refused_here() {
        for (selector, affinity, tolerations) in [
            ("{a: true}", "{}", "[]"),
            ("[a]", "{}", "[]"),
            ("{a b: c}", "{}", "[]"),
            ("{kubernetes.io/os: windows}", "{}", "[]"),
            ("{a: 'b c'}", "{}", "[]"),
            ("{", "{}", "[]"),
            ("{}", "[]", "[]"),
            (
                "{}",
                "{nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}}}",
                "[]",
            ),
            (
                "{}",
                "{nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: in, values: [b]}]}]}}}",
                "[]",
            ),
            (
                "{}",
                "{nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: In}]}]}}}",
                "[]",
            ),
            (
                "{}",
                "{nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchFields: [{key: a, operator: In, values: [b]}]}]}}}",
                "[]",
            ),
            (
                "{}",
                "{podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: ''}]}}",
                "[]",
            ),
            ("{}", "{}", "[{key: a, operator: Equals}]"),
            ("{}", "{}", "[{operator: Equal}]"),
            ("{}", "{}", "[{key: a, operator: Exists, value: b}]"),
            ("{}", "{}", "[{key: a, effect: NoRun}]"),
            ("{}", "{}", "[{key: a, tolerationSeconds: 5}]"),
            ("{}", "{}", "{key: a}"),
        ] {
            assert_eq!(
                problems(selector, affinity, tolerations).len(),
                1,
                "{selector} {affinity} {tolerations}"
            );
        }
    }
}
