//! On which nodes the pods run, beside what the settings say: architectures that lack images have a `DaemonSet` of their
//! own.

use k8s_openapi::api::core::v1::{
    NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodSpec,
};

use crate::architecture::Architecture;
use crate::parts::{ARCHITECTURE, Parts};

/// Which nodes are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// All but those of the parts that are apart.
    Main(Parts),
    /// Those of one architecture.
    Part(Architecture),
}

impl Default for Placement {
    fn default() -> Self {
        Self::Main(Parts::default())
    }
}

/// Narrows down where the pods run. Whatever the settings say is said already.
pub(super) fn place(placement: &Placement, spec: &mut PodSpec) {
    match placement {
        Placement::Main(parts) => {
            let apart = parts.apart().map(|(it, _)| it.as_str().to_owned());
            let apart: Vec<String> = apart.collect();
            if !apart.is_empty() {
                keep_off(apart, spec);
            }
        }
        Placement::Part(architecture) => {
            let selector = spec.node_selector.get_or_insert_default();
            selector.insert(ARCHITECTURE.to_owned(), architecture.as_str().to_owned());
        }
    }
}

fn keep_off(architectures: Vec<String>, spec: &mut PodSpec) {
    let requirement = NodeSelectorRequirement {
        key: ARCHITECTURE.to_owned(),
        operator: "NotIn".to_owned(),
        values: Some(architectures),
    };
    let affinity = spec.affinity.get_or_insert_default();
    let required = &mut affinity
        .node_affinity
        .get_or_insert_default()
        .required_during_scheduling_ignored_during_execution;
    let terms = &mut required
        .get_or_insert_with(NodeSelector::default)
        .node_selector_terms;
    if terms.is_empty() {
        terms.push(NodeSelectorTerm {
            match_expressions: Some(vec![requirement]),
            match_fields: None,
        });
        return;
    }
    // A node need only meet one of them. One that asks for nothing is met by no node, and would be by nearly all.
    for term in terms.iter_mut().filter(|term| !asks_for_nothing(term)) {
        let expressions = term.match_expressions.get_or_insert_default();
        expressions.push(requirement.clone());
    }
}

fn asks_for_nothing(term: &NodeSelectorTerm) -> bool {
    let mut both = term.match_expressions.iter().chain(&term.match_fields);
    both.all(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use k8s_openapi::api::apps::v1::DaemonSet;

    use super::*;
    use crate::config::Config;
    use crate::config::startup::Identity;
    use crate::desired::names::PARTS;
    use crate::desired::{Flavour, Surroundings, content_hash_of, daemon_set};
    use crate::parts::{Part, Phase};
    use crate::settings::Settings;

    fn placed(placement: &Placement, spec: &Value) -> Value {
        let mut spec: PodSpec = serde_json::from_value(spec.clone()).unwrap();
        place(placement, &mut spec);
        let mut spec = serde_json::to_value(&spec).unwrap();
        spec.as_object_mut().unwrap().remove("containers");
        spec
    }

    fn main(phases: &[(Architecture, Phase)]) -> Placement {
        let part = |phase| Part {
            without: ["r.example/b:1".to_owned()].into(),
            phase,
            nodes: 1,
        };
        let parts = phases.iter().map(|(it, phase)| (*it, part(*phase)));
        Placement::Main(Parts(parts.collect::<BTreeMap<_, _>>()))
    }

    fn terms(terms: &Value) -> Value {
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            {"nodeSelectorTerms": terms}}}})
    }

    #[test]
    fn the_main_daemonset_is_kept_off_parts_that_are_apart_by_every_term_that_can_be_met() {
        let not = json!({"key": "kubernetes.io/arch", "operator": "NotIn", "values": ["arm64"]});
        let own = json!({"key": "disk", "operator": "Exists"});
        let field = json!({"key": "metadata.name", "operator": "In", "values": ["n"]});
        let apart = main(&[(Architecture::Arm64, Phase::Apart)]);
        assert_eq!(
            placed(&apart, &json!({})),
            terms(&json!([{"matchExpressions": [not]}]))
        );
        let several = terms(&json!([{"matchExpressions": [own]}, {"matchFields": [field]}, {}]));
        let expected = terms(&json!([
            {"matchExpressions": [own, not]},
            {"matchFields": [field], "matchExpressions": [not]},
            {},
        ]));
        assert_eq!(placed(&apart, &several), expected);
        let preferring = json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}});
        let placed = placed(&apart, &preferring);
        let required =
            &placed["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
        assert_eq!(
            required["nodeSelectorTerms"],
            json!([{"matchExpressions": [not]}])
        );
    }

    #[test]
    fn nothing_is_kept_off_before_a_part_is_apart_and_after_it_was() {
        for phase in [Phase::Beside, Phase::Going] {
            let placement = main(&[(Architecture::Arm64, phase)]);
            assert_eq!(placed(&placement, &json!({})), json!({}), "{phase:?}");
        }
    }

    #[test]
    fn both_architectures_are_kept_off_by_one_requirement() {
        let both = main(&Architecture::ALL.map(|it| (it, Phase::Apart)));
        let not =
            json!({"key": "kubernetes.io/arch", "operator": "NotIn", "values": ["amd64", "arm64"]});
        assert_eq!(
            placed(&both, &json!({})),
            terms(&json!([{"matchExpressions": [not]}]))
        );
    }

    #[test]
    fn a_part_runs_on_its_architecture_whatever_is_selected() {
        let part = Placement::Part(Architecture::Arm64);
        let selected = json!({"nodeSelector": {"kubernetes.io/arch": "amd64", "role": "worker"}});
        let expected = json!({"nodeSelector": {"kubernetes.io/arch": "arm64", "role": "worker"}});
        assert_eq!(placed(&part, &selected), expected);
    }

    fn desired(settings: &[(&str, &str)], placement: Placement) -> DaemonSet {
        let vars = [("IMAGES", "a=r.example/a:1;b=r.example/b:1")].iter();
        let vars = vars
            .chain(settings)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings = Settings::from_vars(vars).unwrap();
        let mut config = Config::from_settings(&settings).unwrap();
        if matches!(placement, Placement::Part(_)) {
            config.groups[0].images.truncate(1);
        }
        let identity = Identity::from_settings(&settings, None).unwrap();
        let surroundings = Surroundings {
            flavour: Flavour::Kubernetes,
            sleep_image: "sleep".to_owned(),
            sleep_pull_secrets: Vec::new(),
            owner: None,
            placement,
        };
        daemon_set(&identity, &config, &surroundings)
    }

    #[test]
    fn a_part_that_is_apart_makes_no_pod_of_the_others_outdated_and_is_written_down() {
        let plain = desired(&[], Placement::default());
        let placement = main(&[(Architecture::Arm64, Phase::Apart)]);
        let apart = desired(&[], placement.clone());
        assert_ne!(apart.spec, plain.spec);
        assert_eq!(content_hash_of(&apart), content_hash_of(&plain));
        let Placement::Main(parts) = placement else {
            panic!("it is the main one");
        };
        assert_eq!(
            apart.metadata.annotations.unwrap().get(PARTS),
            parts.text().as_ref()
        );
        assert_eq!(plain.metadata.annotations, None);
    }

    #[test]
    fn what_is_laid_over_an_image_brings_it_not_back_where_it_is_left_out() {
        let overlay =
            r#"{"spec": {"containers": [{"name": "b", "env": [{"name": "A", "value": "1"}]}]}}"#;
        let part = desired(
            &[("POD_TEMPLATE", overlay)],
            Placement::Part(Architecture::Arm64),
        );
        let pod = part.spec.unwrap().template.spec.unwrap();
        let names: Vec<&str> = pod.containers.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["a"]);
    }
}
