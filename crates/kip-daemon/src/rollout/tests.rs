use super::*;
use crate::architecture::Architecture;
use crate::node_report::NodeReport;
use crate::parts::{Part, Parts, Phase};
use crate::settings::Settings;

/// Whether a fetcher goes that is alone on its node, a minute after it was made.
fn lone_fetcher_goes(node: Architecture, phase: Phase) -> bool {
    let vars = [("IMAGES".to_owned(), "a=a:1".to_owned())];
    let config = Config::from_settings(&Settings::from_vars(vars).unwrap()).unwrap();
    let live = Live {
        uid: "ds".to_owned(),
        created: Some(Timestamp::UNIX_EPOCH),
        generation: 1,
        observed_generation: 1,
        ..Live::default()
    };
    let fetcher = PodFacts {
        node: "n1".to_owned(),
        taken_up: true,
        duty: Duty::Fetch {
            round: 1,
            holder: "ds".to_owned(),
        },
        content_hash: Some("h".to_owned()),
        node_report: Some(NodeReport {
            architecture: node,
            disk: None,
        }),
        ..PodFacts::default()
    };
    let part = Part {
        without: ["a:1".to_owned()].into(),
        phase,
        nodes: 1,
    };
    let parts = Parts([(Architecture::Arm64, part)].into());
    let next = next(&Facts {
        config: &config,
        content: "h",
        live: &live,
        answers: None,
        pods: &[("fetcher".to_owned(), fetcher)].into(),
        refused_nodes: &BTreeSet::new(),
        placement: &Placement::Main(parts),
        now: Timestamp::from_second(60).unwrap(),
    });
    matches!(next.step, Some(Step::Act(acts)) if acts.gone.len() == 1)
}

#[test]
fn a_fetcher_goes_at_once_where_the_node_has_become_one_of_a_part() {
    assert!(lone_fetcher_goes(Architecture::Arm64, Phase::Apart));
    assert!(!lone_fetcher_goes(Architecture::Arm64, Phase::Beside));
    assert!(!lone_fetcher_goes(Architecture::Amd64, Phase::Apart));
}
