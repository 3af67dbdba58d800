//! What `check` says of nodes and quotas.

#![allow(clippy::panic, reason = "these are tests, and so are their helpers")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use kip_daemon::sizing;
use serde_json::Value;

use support::{output, text};

const FIVE: (&str, &str) = ("IMAGES", "a;b;c;d;e");

/// The report without the summary of the list, and the warnings.
fn check(arguments: &[&str], environment: &[(&str, &str)]) -> (String, String) {
    let mut all = vec!["check"];
    all.extend(arguments);
    let output = output(&all, environment.iter().copied());
    let warnings = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{warnings}");
    let said = text(&output.stdout);
    let (_, report) = said
        .split_once("the configuration is valid\n")
        .expect("it is summed up first");
    (report.to_owned(), warnings)
}

#[test]
fn check_prints_what_a_node_and_what_a_number_of_nodes_needs() {
    let (report, warnings) = check(&[], &[FIVE]);
    let expected = "
On each node 1 pod:
          requests  limits         of a node
  cpu         250m       1        6.3 % of 4
  memory      50Mi   100Mi     0.4 % of 16Gi

In the namespace, with the daemon's pod, and with a fetcher on each node that a change has reached
(MAX_NODES_AT_ONCE); the last column is what the Go image puller's formula gives, memory limit × images × nodes:
  nodes  pods  requests.cpu  requests.memory  limits.cpu  limits.memory  original
  1         3          300m            114Mi       2200m          456Mi     100Mi
  10       12         2550m            564Mi      11200m         1356Mi    1000Mi
  100     111        25050m           5064Mi     110200m        11256Mi   10000Mi
  500     551       125050m          25064Mi     550200m        55256Mi   50000Mi

--nodes N prints a ResourceQuota for N nodes
";
    let squeezed = |text: &str| {
        let lines = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(squeezed(&report), squeezed(expected));
    assert_eq!(
        warnings,
        "warning: the pod of each node requests 250m of cpu, 6.3 % of a node with 4 (--node-cpu), more than 5 %: \
         lower CACHING_CPU_REQUEST; for 5 images, for example, CACHING_CPU_REQUEST=40m\n"
    );
}

#[test]
fn a_number_of_nodes_gives_a_quota_to_paste() {
    let (report, _) = check(&["--nodes", "20"], &[FIVE]);
    let quota = "
A ResourceQuota for 20 nodes:

hard:
  pods: \"23\"
  requests.cpu: \"5050m\"
  requests.memory: \"1064Mi\"
  limits.cpu: \"22200m\"
  limits.memory: \"2456Mi\"
";
    assert!(report.ends_with(quota), "{report}");
}

#[test]
fn a_larger_node_is_not_warned_of_and_a_smaller_one_for_both_resources() {
    let (report, warnings) = check(&["--node-cpu", "5", "--node-memory=32Gi"], &[FIVE]);
    assert_eq!(warnings, "", "5 % itself is no more than 5 %");
    assert!(
        report.contains("5.0 % of 5\n") && report.contains("0.2 % of 32Gi\n"),
        "{report}"
    );
    let (_, warnings) = check(&["--node-cpu", "2", "--node-memory", "512Mi"], &[FIVE]);
    let names: Vec<_> = warnings
        .lines()
        .filter_map(|line| line.rsplit(' ').next())
        .collect();
    assert_eq!(
        names,
        ["CACHING_CPU_REQUEST=20m", "CACHING_MEMORY_REQUEST=5Mi"]
    );
}

#[test]
fn what_is_left_out_is_said_and_stands_in_no_quota() {
    let none = [
        FIVE,
        ("CACHING_CPU_REQUEST", "none"),
        ("CACHING_CPU_LIMIT", "none"),
    ];
    let (report, warnings) = check(&["--nodes", "2"], &none);
    assert_eq!(warnings, "");
    let hard = report.split_once("hard:").expect("a quota").1;
    assert!(!hard.contains("cpu"), "{report}");
    assert!(report.contains("limits.cpu: no quota"), "{report}");
    let (report, warnings) = check(&[], &[FIVE, ("CACHING_CPU_REQUEST", "none")]);
    assert!(
        report.contains("Kubernetes makes it the request"),
        "{report}"
    );
    assert!(warnings.contains("requests 1 of cpu, 25.0 %"), "{warnings}");
}

/// `check` has no chart to read: it counts the daemon's pod as the chart makes it by default.
#[test]
fn the_daemons_pod_is_counted_as_the_chart_has_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/helm/values.yaml");
    let values = std::fs::read_to_string(path).expect("the chart's values");
    let values: Value = serde_saphyr::from_str(&values).expect("they are YAML");
    let daemon = sizing::daemon();
    for (kind, figures) in [("requests", daemon.requests), ("limits", daemon.limits)] {
        let ours: BTreeMap<_, _> = figures
            .iter()
            .map(|(resource, figure)| ((*resource).to_owned(), figure.amount.to_string()))
            .collect();
        let theirs: BTreeMap<String, String> =
            serde_json::from_value(values["resources"][kind].clone()).expect("quantities");
        assert_eq!(ours, theirs, "{kind}");
    }
}
