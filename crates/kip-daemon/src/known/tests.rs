use super::*;
use crate::answers::{Question, Unfit};
use crate::inspect::{Fit, Layer};
use crate::settings::Settings;

fn config(images: &str) -> Config {
    let vars = [("IMAGES".to_owned(), images.to_owned())];
    Config::from_settings(&Settings::from_vars(vars).unwrap()).unwrap()
}

fn digest(letter: char) -> kip_image::Digest {
    let hex: String = std::iter::repeat_n(letter, 64).collect();
    kip_image::Digest::parse(&format!("sha256:{hex}")).unwrap()
}

fn image(letter: char, amd64: u64) -> Inspected {
    let layer = Layer {
        digest: digest(letter),
        size: amd64,
    };
    Inspected::new(
        digest(letter),
        [Fit::Runs(vec![layer]), Fit::Absent],
        Vec::new(),
    )
}

const LIST: &str = "a=r.example/a:1;b=r.example/b:1";

fn learnt() -> Known {
    let mut known = Known::default();
    known.note_inspected("r.example/a:1".to_owned(), image('a', 5));
    known.note_inspected("r.example/b:1".to_owned(), image('b', 7));
    known.sum_up(&config(LIST), "list");
    known
}

#[test]
fn a_list_is_summed_up_when_all_of_it_is_known_and_again_when_something_changes() {
    let mut known = Known::default();
    known.note_inspected("r.example/a:1".to_owned(), image('a', 5));
    known.sum_up(&config(LIST), "list");
    assert!(!known.is_summed_up() && known.sum().is_none());
    let mut known = learnt();
    assert_eq!(known.sum().unwrap().bytes[&Architecture::Amd64], 12);
    known.note_inspected("r.example/b:1".to_owned(), image('c', 8));
    assert!(!known.is_summed_up());
    known.sum_up(&config(LIST), "list");
    assert_eq!(known.sum().unwrap().bytes[&Architecture::Amd64], 13);
    known.sum_up(&config("a=r.example/a:1;new=r.example/new:1"), "other");
    assert!(
        !known.is_summed_up(),
        "of the new list one image is not known"
    );
}

#[test]
fn an_image_that_no_registry_tells_of_is_not_counted_and_not_waited_for() {
    let mut known = Known::default();
    known.note_inspected("r.example/a:1".to_owned(), image('a', 5));
    let no = NoAnswer {
        why: Why::Credentials,
        words: String::new(),
    };
    known.note_no_image("r.example/b:1".to_owned(), no);
    assert!(known.sum_up(&config(LIST), "list"));
    let sum = known.sum().unwrap();
    assert_eq!(sum.bytes[&Architecture::Amd64], 5);
    assert_eq!(sum.unknown, BTreeSet::from(["r.example/b:1".to_owned()]));
    assert_eq!(known.lacks("r.example/b:1", Some("list")), None);
    let text = serde_json::to_string(sum).unwrap();
    let mut after_a_restart = Known::default();
    after_a_restart.restore(&text, "list");
    assert!(after_a_restart.is_summed_up(), "nobody is asked again");
    // When it can be had it is counted.
    known.note_inspected("r.example/b:1".to_owned(), image('b', 7));
    assert!(known.sum_up(&config(LIST), "list"));
    assert_eq!(known.sum().unwrap().bytes[&Architecture::Amd64], 12);
}

#[test]
fn what_was_written_down_is_read_again_for_the_same_list_alone() {
    let text = serde_json::to_string(learnt().sum().unwrap()).unwrap();
    let mut known = Known::default();
    known.restore(&text, "list");
    assert_eq!(known.sum(), learnt().sum());
    let lacks = known.absent("r.example/a:1");
    assert_eq!(lacks, BTreeSet::from([Architecture::Arm64]));
    for (text, content) in [(text.as_str(), "other"), ("{", "list"), ("[]", "list")] {
        let mut known = Known::default();
        known.restore(text, content);
        assert_eq!(known.sum(), None, "{text} of {content}");
    }
}

#[test]
fn what_was_said_of_another_list_is_not_known_of_this_one() {
    let text = serde_json::to_string(learnt().sum().unwrap()).unwrap();
    let mut known = Known::default();
    assert_eq!(known.lacks("r.example/a:1", Some("list")), None);
    known.restore(&text, "list");
    let arm64 = Some(BTreeSet::from([Architecture::Arm64]));
    assert_eq!(known.lacks("r.example/a:1", Some("list")), arm64);
    assert_eq!(known.lacks("r.example/a:1", Some("other")), None);
    known.note_inspected("r.example/a:1".to_owned(), image('a', 5));
    assert_eq!(known.lacks("r.example/a:1", Some("other")), arm64);
}

#[test]
fn what_stands_for_the_same_as_before_the_restart_is_not_looked_into_again() {
    let config = config(LIST);
    let mut known = Known::default();
    assert!(known.contents(&config).is_empty());
    let text = serde_json::to_string(learnt().sum().unwrap()).unwrap();
    known.restore(&text, "list");
    let (a, b) = (
        Content(0xaaaa_aaaa_aaaa_aaaa),
        Content(0xbbbb_bbbb_bbbb_bbbb),
    );
    let expected = [("r.example/a:1", a), ("r.example/b:1", b)];
    let expected = BTreeMap::from(expected.map(|(image, it)| (image.to_owned(), it)));
    assert_eq!(known.contents(&config), expected);
    // A tag that has moved, of which nothing could be learnt, is looked into the next time: nobody has noted its digest.
    assert!(known.is_summed_up());
    // What is learnt now counts more than what was known then.
    known.note_inspected("r.example/a:1".to_owned(), image('c', 6));
    let now = known.contents(&config);
    let expected = Content(0xcccc_cccc_cccc_cccc);
    assert_eq!(
        now,
        BTreeMap::from([("r.example/a:1".to_owned(), expected)])
    );
}

#[test]
fn what_was_looked_into_counts_for_its_own_content_and_for_no_other() {
    let known = learnt();
    let answered = |letter: char| Answers {
        question: Question::of_new([("a".to_owned(), "r.example/a:1".to_owned())].into()),
        digests: [("a".to_owned(), digest(letter).to_string())].into(),
        unanswered: BTreeMap::new(),
        unfit: Unfit::default(),
        bad_secrets: BTreeMap::new(),
    };
    let is_unfit = |letter| {
        let mut answers = answered(letter);
        known.complete(&mut answers, &config(LIST));
        answers.unfit.has("a", Some(Architecture::Arm64))
    };
    assert!(is_unfit('a') && !is_unfit('c'));
}

#[test]
fn what_failed_may_be_asked_again_and_what_left_the_list_is_forgotten() {
    let mut known = Known::default();
    let images = [("a", "r.example/a:1"), ("b", "r.example/b:1")];
    let no = NoAnswer {
        why: Why::NotFound,
        words: String::new(),
    };
    for (_, reference) in images {
        assert!(known.is_new(reference) && !known.is_new(reference));
    }
    known.note(&Answers {
        question: Question::of_new(
            images
                .map(|(name, reference)| (name.to_owned(), reference.to_owned()))
                .into(),
        ),
        digests: BTreeMap::from([("a".to_owned(), "sha256:a".to_owned())]),
        unanswered: BTreeMap::from([("b".to_owned(), no)]),
        unfit: Unfit::default(),
        bad_secrets: BTreeMap::new(),
    });
    let counts = BTreeMap::from([(None, 1), (Some(Why::NotFound), 1)]);
    assert_eq!(known.counts(), counts);
    assert!(known.is_new("secret"));
    known.forget_failures(&["secret".to_owned()]);
    assert!(known.is_new("r.example/b:1") && !known.is_new("r.example/a:1"));
    assert!(!known.is_new("secret"));
    // A new configuration may be what mends it.
    known.keep_only(&config(LIST));
    assert!(known.of("r.example/b:1").is_none() && known.is_new("r.example/b:1"));
    known.keep_only(&config("b=r.example/b:1"));
    assert!(known.of("r.example/a:1").is_none() && known.is_new("r.example/a:1"));
}
