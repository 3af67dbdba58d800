use kip_image::Digest;

use super::*;
use crate::config::images::Image;
use crate::inspect::Layer;

const BOTH: [Architecture; 2] = Architecture::ALL;
const MIB: u64 = 1 << 20;

fn named(name: &str) -> Image {
    Image {
        name: name.to_owned(),
        image: format!("registry.example/{name}:1"),
    }
}

fn layers(layers: &[(char, u64)]) -> Vec<Layer> {
    let layer = |(letter, mebibytes): &(char, u64)| {
        let hex: String = std::iter::repeat_n(*letter, 64).collect();
        Layer {
            digest: Digest::parse(&format!("sha256:{hex}")).unwrap(),
            size: mebibytes * MIB,
        }
    };
    layers.iter().map(layer).collect()
}

fn runs(all: &[(char, u64)]) -> Fit {
    Fit::Runs(layers(all))
}

fn image(amd64: Fit, arm64: Fit, others: &[&str]) -> Inspected {
    let digest = Digest::parse(&format!("sha256:{}", "f".repeat(64))).unwrap();
    let others = others.iter().map(|&other| other.to_owned()).collect();
    Inspected::new(digest, [amd64, arm64], others)
}

/// The report on images with these names.
fn on(found: Vec<(&str, Result<Inspected, Unknown>)>, architectures: &[Architecture]) -> Report {
    let images: Vec<Image> = found.iter().map(|(name, _)| named(name)).collect();
    let answers: Vec<Answer<'_>> = std::iter::zip(&images, found)
        .map(|(image, (_, found))| Answer { image, found })
        .collect();
    report(&answers, architectures, Amount::bytes(100 << 30))
}

fn unknown(reason: &str, is_final: bool) -> Unknown {
    Unknown {
        reason: reason.to_owned(),
        is_final,
    }
}

#[test]
fn each_image_has_a_line_and_shared_layers_count_once_in_the_sum() {
    let found = vec![
        (
            "one",
            Ok(image(runs(&[('a', 30), ('b', 2)]), runs(&[('c', 9)]), &[])),
        ),
        (
            "two",
            Ok(image(runs(&[('a', 30)]), Fit::Absent, &["linux/s390x"])),
        ),
    ];
    let report = on(found, &BOTH);
    let table: Vec<Vec<&str>> = report
        .text
        .lines()
        .filter(|line| line.starts_with("  "))
        .map(|line| line.split_whitespace().collect())
        .collect();
    let stored = |mebibytes| format!("~{}", bytes(on_disk(mebibytes * MIB)));
    let (amd64, arm64) = (stored(32), stored(9));
    let expected = [
        vec!["amd64", "own", "arm64", "own"],
        vec!["one", "32.0Mi", "2.0Mi", "9.0Mi", "9.0Mi"],
        vec!["two", "30.0Mi", "0", "none"],
        vec!["a", "node", "pulls", "32.0Mi", "9.0Mi"],
        vec!["on", "its", "disk", &amd64, &arm64],
    ];
    assert_eq!(table, expected, "{}", report.text);
    assert!(report.text.contains("an estimate"), "{}", report.text);
    assert_eq!(
        report.complaints,
        [
            "warning: image two: registry.example/two:1 is not there for arm64, only for linux/amd64, linux/s390x: nodes \
             of another architecture cannot pull it"
        ]
    );
    assert!(!report.is_wrong && !report.is_incomplete);
}

#[test]
fn an_image_for_no_node_is_an_error_and_so_is_one_that_a_registry_refuses() {
    let found = vec![
        (
            "windows",
            Ok(image(Fit::Absent, Fit::Absent, &["windows/amd64"])),
        ),
        ("gone", Err(unknown("not found", true))),
    ];
    let report = on(found, &BOTH);
    assert!(report.is_wrong && !report.is_incomplete);
    assert_eq!(
        report.complaints,
        [
            "error: image windows: registry.example/windows:1 is not there for amd64 or arm64, only for windows/amd64: no \
             node can pull it",
            "error: image gone: not found"
        ]
    );
    let uncounted = "Nothing is known of 1 of 2 images: they are not counted\n";
    assert!(report.text.ends_with(uncounted), "{}", report.text);
}

#[test]
fn what_is_fetched_in_vain_is_told_and_counted() {
    let foreign = Fit::Foreign(layers(&[('a', 5)]));
    let report = on(
        vec![("one", Ok(image(runs(&[('a', 5)]), foreign, &[])))],
        &BOTH,
    );
    assert!(report.text.contains("(5.0Mi)"), "{}", report.text);
    assert_eq!(
        report.complaints,
        [
            "warning: image one: registry.example/one:1 is not there for arm64, only for linux/amd64: nodes of another \
             architecture fetch it all the same, and its programs do not start there"
        ]
    );
    assert!(!report.is_wrong);
}

#[test]
fn a_list_for_nodes_of_one_architecture_is_judged_by_that_alone() {
    let only_amd64 = || Ok(image(runs(&[('a', 5)]), Fit::Absent, &[]));
    let report = on(vec![("one", only_amd64())], &[Architecture::Amd64]);
    assert_eq!(report.complaints, [""; 0]);
    assert!(!report.text.contains("arm64"), "{}", report.text);
    let report = on(vec![("one", only_amd64())], &[Architecture::Arm64]);
    assert!(report.is_wrong, "{report:?}");
}

#[test]
fn nothing_known_is_not_wrong() {
    let report = on(vec![("one", Err(unknown("no connection", false)))], &BOTH);
    assert!(report.is_incomplete && !report.is_wrong);
    assert_eq!(
        report.text,
        "\nNothing is known of 1 of 1 images: they are not counted\n"
    );
}

#[test]
fn more_than_a_quarter_of_the_disk_is_warned_of_and_a_quarter_is_not() {
    // Of 100Gi: so many bytes that the estimate is just a quarter.
    let mut quarter = 25 << 30;
    while on_disk(quarter) > 25 << 30 {
        quarter -= quarter / 100 + 1;
    }
    while on_disk(quarter + 1) <= 25 << 30 {
        quarter += 1;
    }
    for (size, is_warned) in [(quarter, false), (quarter + 1, true)] {
        let mut layer = layers(&[('a', 0)]);
        layer[0].size = size;
        let image = image(Fit::Runs(layer), Fit::Absent, &[]);
        let report = on(vec![("one", Ok(image))], &[Architecture::Amd64]);
        let warned: Vec<_> = report.complaints.iter().collect();
        assert_eq!(warned.len(), usize::from(is_warned), "{warned:?}");
        if let [warning] = warned.as_slice() {
            assert!(
                warning.contains("25.1 % of 100Gi (--node-disk)"),
                "{warning}"
            );
            assert!(warning.contains("a node of amd64"), "{warning}");
        }
    }
}

#[test]
fn many_platforms_are_not_all_named() {
    let others: Vec<String> = (0..20).map(|n| format!("linux/other{n}")).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let report = on(
        vec![("one", Ok(image(Fit::Absent, Fit::Absent, &others)))],
        &BOTH,
    );
    assert!(
        report.complaints[0].contains("linux/other7 and 12 more: no node"),
        "{:?}",
        report.complaints
    );
}

#[test]
fn bytes_are_rounded_up_for_people() {
    for (number, text) in [
        (0, "0"),
        (1023, "1023"),
        (1024, "1.0Ki"),
        (1025, "1.1Ki"),
        (MIB - 1, "1024.0Ki"),
        (MIB, "1.0Mi"),
        (3 * (MIB << 10) / 2, "1.5Gi"),
        (u64::MAX, "16.0Ei"),
    ] {
        assert_eq!(bytes(number), text);
    }
}
