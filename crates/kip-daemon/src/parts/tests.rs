mod lab;

use self::lab::Lab;
use super::*;
use crate::desired::names::REFRESH;
use crate::inspect::{Fit, Inspected};
use crate::settings::Settings;

const ARM: Architecture = Architecture::Arm64;
const AMD: Architecture = Architecture::Amd64;
const LIST: &str = "a=r.example/a:1;b=r.example/b:1;c=r.example/c:1";
const A: &str = "r.example/a:1";
const C: &str = "r.example/c:1";

fn configured(more: &[(&str, &str)]) -> Config {
    let list = more.iter().any(|(name, _)| *name == "IMAGES");
    let vars = (!list).then_some(&("IMAGES", LIST)).into_iter().chain(more);
    let vars = vars.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::from_settings(&Settings::from_vars(vars).unwrap()).unwrap()
}

/// The registry has said of each image whether it has something for arm64.
fn known(absent: &[&str]) -> Known {
    let mut known = Known::default();
    for image in references(&configured(&[])) {
        let arm = if absent.contains(&image) {
            Fit::Absent
        } else {
            Fit::Runs(Vec::new())
        };
        let digest = kip_image::Digest::parse(&format!("sha256:{}", "a".repeat(64))).unwrap();
        let inspected = Inspected::new(digest, [Fit::Runs(Vec::new()), arm], Vec::new());
        known.note_inspected(image.to_owned(), inspected);
    }
    known
}

fn hash(config: &Config) -> String {
    content_hash(&config.groups[0], Flavour::Kubernetes)
}

/// The main `DaemonSet` holds all it can on every node, and its pods have said where they are.
fn settled(config: &Config) -> Standing {
    Lab::settled(config, &[C]).main.standing()
}

fn decided(before: &Parts, config: &Config, known: &Known, main: &Standing) -> Parts {
    let facts = Facts {
        config,
        flavour: Flavour::Kubernetes,
        known,
        reports: &BTreeMap::new(),
    };
    decide(before, &facts, || main.clone())
}

fn part(phase: Phase) -> Parts {
    let without = BTreeSet::from([C.to_owned()]);
    let part = Part {
        without,
        phase,
        nodes: 0,
    };
    Parts(BTreeMap::from([(ARM, part)]))
}

#[test]
fn a_part_begins_where_an_image_is_absent_and_a_node_is_known_and_pods_may_run() {
    let none = Parts::default();
    let beside = part(Phase::Beside);
    let on = |arch: &str| format!("{{\"kubernetes.io/arch\": \"{arch}\"}}");
    let overlaid = |selector: &str| format!("{{\"spec\": {{\"nodeSelector\": {selector}}}}}");
    let cases = [
        (vec![], known(&[C]), &beside),
        (vec![], known(&[]), &none),
        (vec![], Known::default(), &none),
        (vec![("REFRESH", "always".to_owned())], known(&[C]), &none),
        (vec![("REFRESH", "never".to_owned())], known(&[C]), &none),
        (vec![("PAUSED", "true".to_owned())], known(&[C]), &none),
        (vec![("NODE_SELECTOR", on("amd64"))], known(&[C]), &none),
        (vec![("NODE_SELECTOR", on("arm64"))], known(&[C]), &beside),
        (
            vec![("POD_TEMPLATE", overlaid(&on("amd64")))],
            known(&[C]),
            &none,
        ),
        (
            vec![
                ("NODE_SELECTOR", on("amd64")),
                ("POD_TEMPLATE", overlaid("{\"kubernetes.io/arch\": null}")),
            ],
            known(&[C]),
            &beside,
        ),
    ];
    for (settings, known, expected) in cases {
        let settings: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let config = configured(&settings);
        let parts = decided(&none, &config, &known, &settled(&config));
        assert_eq!(parts, *expected, "{settings:?}");
    }
    let config = configured(&[]);
    let unseen = Standing::default();
    assert_eq!(decided(&none, &config, &known(&[C]), &unseen), none);
}

#[test]
fn what_is_not_known_stays_as_it_was() {
    let config = configured(&[]);
    let main = settled(&config);
    for phase in [Phase::Beside, Phase::Apart] {
        let before = part(phase);
        let after = decided(&before, &config, &Known::default(), &main);
        assert_eq!(after, before, "{phase:?}");
    }
    let back = decided(&part(Phase::Apart), &config, &known(&[]), &main);
    let whole = &back.0[&ARM];
    assert_eq!(
        (whole.phase, whole.without.len()),
        (Phase::Apart, 0),
        "the part brings it first"
    );
    let again = decided(&part(Phase::Going), &config, &known(&[C]), &main);
    assert_eq!(again, part(Phase::Beside), "it is needed again");
}

#[test]
fn where_nothing_of_the_list_is_there_the_main_daemonset_is_kept_off_and_there_is_no_other() {
    let config = configured(&[]);
    let all = [A, "r.example/b:1", C];
    let known = known(&all);
    let main = Lab::settled(&config, &all).main.standing();
    let beside = decided(&Parts::default(), &config, &known, &main);
    let apart = decided(&beside, &config, &known, &main);
    let part = &apart.0[&ARM];
    assert_eq!((part.phase, part.nodes), (Phase::Apart, 2));
    assert_eq!(order("main", &config, &Seen::Absent, part), Order::Go);
}

#[test]
fn what_a_node_may_hold_is_not_left_out() {
    let config = configured(&[]);
    let none = Parts::default();
    // Pods that were made anew: kubelet has not said yet that it finds nothing, nor that it has the image still.
    let starting = Lab::starting(&config).main.standing();
    assert_eq!(starting.nodes_of(ARM).count(), 2);
    assert_eq!(decided(&none, &config, &known(&[C]), &starting), none);
    // Another name of the same image, that the pods do not have yet.
    let renamed = configured(&[(
        "IMAGES",
        "other=r.example/a:1;b=r.example/b:1;c=r.example/c:1",
    )]);
    let before = Lab::settled(&config, &[]);
    let main = before.main.standing_of(&renamed);
    assert_eq!(decided(&none, &renamed, &known(&[A]), &main), none);
    // Another image under the same name is not what they hold.
    let replaced = configured(&[("IMAGES", "a=r.example/c:1")]);
    let before = Lab::settled(&configured(&[("IMAGES", "a=r.example/a:1")]), &[]);
    let main = before.main.standing_of(&replaced);
    assert_eq!(decided(&none, &replaced, &known(&[C]), &main).0.len(), 1);
}

#[test]
fn a_part_has_the_rest_of_the_list_in_its_order_and_what_people_ask_of_the_whole() {
    let config = configured(&[]);
    let live = Live {
        annotations: BTreeMap::from([(REFRESH.to_owned(), "now".to_owned())]),
        ..Live::default()
    };
    let parts = part(Phase::Apart);
    let Order::Keep(derived) = order("main", &config, &Seen::Present(live), &parts.0[&ARM]) else {
        panic!("there is something to keep");
    };
    let images: Vec<&str> = references(&derived).collect();
    assert_eq!(images, ["r.example/a:1", "r.example/b:1"]);
    let annotations = &derived.daemonset_annotations;
    assert_eq!(annotations[REFRESH], "now");
    assert_eq!(annotations["kubernetes-image-puller/part-of"], "main");
}

#[test]
fn names_are_as_long_as_a_label_may_be() {
    assert_eq!(name("keeper", ARM).as_deref(), Some("keeper-arm64"));
    assert_eq!(name(&"k".repeat(57), AMD).map(|name| name.len()), Some(63));
    assert_eq!(name(&"k".repeat(58), AMD), None);
}

#[test]
fn parts_are_read_as_they_were_written_and_what_is_none_is_not() {
    let parts = part(Phase::Apart);
    let read = |text: &str| {
        Parts::of(&Seen::Present(Live {
            annotations: BTreeMap::from([(PARTS.to_owned(), text.to_owned())]),
            ..Live::default()
        }))
    };
    assert_eq!(read(&parts.text().unwrap()), Some(parts));
    assert_eq!(Parts::default().text(), None);
    for text in ["", "{", "[]", "{\"riscv64\": {}}", "{\"arm64\": {}}"] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn a_part_that_was_found_leaves_out_what_it_has_not() {
    let config = configured(&[]);
    let images = ["r.example/a:1", "r.example/b:1"].map(str::to_owned).into();
    let mut parts = Parts::default();
    parts.find(ARM, &images, &config);
    assert_eq!(parts, part(Phase::Beside));
    let mut known = part(Phase::Apart);
    known.find(ARM, &BTreeSet::new(), &config);
    assert_eq!(known, part(Phase::Apart), "what is written down counts");
}
