use super::*;

const COPY: &str = "r.example/c/quay.io/app:1@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn task(images: &[&str]) -> Task {
    let wanted = images.iter().enumerate();
    let wanted = wanted.map(|(index, image)| Wanted {
        pointer: format!("/spec/containers/{index}/image"),
        text: (*image).to_owned(),
        reference: Reference::parse(image).unwrap(),
        before: None,
        follows: false,
    });
    Task {
        wanted: wanted.collect(),
        left: vec![("/spec/containers/9/image".to_owned(), Left::Never)],
    }
}

fn rules(without: Without) -> Rules {
    Rules {
        on_timeout: without,
        on_failure: without,
        pull_secret: None,
    }
}

fn there() -> Outcome {
    Outcome::There(Reference::parse(COPY).unwrap())
}

fn pod(value: &Value) -> Object<'_> {
    Object {
        kind: Kind::of("", "Pod").unwrap(),
        operation: Operation::Create,
        value,
        account_secrets: Some(&[]),
    }
}

#[test]
fn what_has_a_copy_is_replaced_and_all_is_told() {
    let task = task(&["quay.io/app:1", "slow:1", "gone:1"]);
    let outcomes = [
        there(),
        Outcome::Late,
        Outcome::Failed("no such image".to_owned()),
    ];
    let answer = answer(pod(&json!({})), &task, &outcomes, &rules(Without::Admit));
    let path = "/spec/containers/0/image".to_owned();
    let expected = [Change::Replace {
        path,
        value: json!(COPY),
    }];
    assert_eq!(answer.changes, expected);
    assert_eq!(answer.refusal, None);
    let expected = [
        "slow:1 has no copy: it is still being copied",
        "gone:1 has no copy: no such image",
    ];
    assert_eq!(answer.warnings, expected);
    let keys: Vec<_> = answer.annotations.keys().copied().collect();
    assert_eq!(keys, ["copied", "left-alone", "without-copy"]);
}

#[test]
fn what_must_have_a_copy_is_refused_as_a_whole() {
    let task = task(&["quay.io/app:1", "slow:1"]);
    let outcomes = [there(), Outcome::Late];
    let rules = Rules {
        on_timeout: Without::Deny,
        ..rules(Without::Admit)
    };
    let answer = answer(pod(&json!({})), &task, &outcomes, &rules);
    let words = "slow:1 has no copy: it is still being copied";
    assert_eq!(answer.refusal.as_deref(), Some(words));
    assert_eq!((answer.changes, answer.warnings), (vec![], vec![]));
}

#[test]
fn warnings_are_short() {
    let failed = [Outcome::Failed("ä".repeat(500))];
    let answer = answer(
        pod(&json!({})),
        &task(&["a:1"]),
        &failed,
        &rules(Without::Admit),
    );
    assert_eq!(answer.warnings[0].chars().count(), WARNING);
}

fn secret_of(object: Object<'_>) -> Option<Change> {
    let rules = Rules {
        pull_secret: Some("copies".to_owned()),
        ..rules(Without::Admit)
    };
    let answer = answer(object, &task(&["a:1"]), &[there()], &rules);
    answer.changes.into_iter().nth(1)
}

fn added(path: &str, value: Value) -> Change {
    let path = path.to_owned();
    Change::Add { path, value }
}

#[test]
fn the_copy_that_was_there_stays_where_a_new_one_cannot_be_had() {
    let mut task = task(&["a:1"]);
    task.wanted[0].before = Some(Reference::parse(COPY).unwrap());
    let spec = json!({"spec": {}});
    let object = Object {
        kind: Kind::of("", "Pod").unwrap(),
        operation: Operation::Update,
        value: &spec,
        account_secrets: None,
    };
    for outcome in [Outcome::Late, Outcome::Failed("no route".to_owned())] {
        let answer = answer(object, &task, &[outcome], &rules(Without::Deny));
        assert_eq!(answer.refusal, None);
        assert_eq!(
            answer.changes[0],
            Change::Replace {
                path: "/spec/containers/0/image".to_owned(),
                value: json!(COPY),
            }
        );
        assert!(answer.annotations["copied"].contains("is still"));
    }
}

#[test]
fn a_pod_of_a_template_that_was_rewritten_gets_the_secret_for_its_copies() {
    let rules = Rules {
        pull_secret: Some("copies".to_owned()),
        ..rules(Without::Admit)
    };
    let mut task = task(&[]);
    task.left = vec![("/spec/containers/0/image".to_owned(), Left::Copy)];
    let value = json!({"spec": {}});
    let answered = answer(pod(&value), &task, &[], &rules);
    let expected = [added("/spec/imagePullSecrets", json!([{"name": "copies"}]))];
    assert_eq!(answered.changes, expected);
}

#[test]
fn a_pod_that_is_made_can_get_no_secret_and_a_template_must_keep_those_of_its_account() {
    let rules = Rules {
        pull_secret: Some("copies".to_owned()),
        ..rules(Without::Admit)
    };
    let (kind, template) = (
        Kind::of("", "Pod").unwrap(),
        Kind::of("apps", "Deployment").unwrap(),
    );
    let (with, without) = (
        json!({"spec": {"imagePullSecrets": [{"name": "copies"}]}}),
        json!({"spec": {}}),
    );
    assert!(rules.lacks_secret(kind, Operation::Update, &without));
    assert!(!rules.lacks_secret(kind, Operation::Update, &with));
    assert!(!rules.lacks_secret(kind, Operation::Create, &without));
    assert!(!rules.lacks_secret(template, Operation::Update, &without));
    assert!(rules.needs_account(template, &json!({})));
    let named = json!({"spec": {"template": {"spec": {"imagePullSecrets": [{"name": "own"}]}}}});
    assert!(!rules.needs_account(template, &named));
    assert!(!rules.needs_account(kind, &without));
}

#[test]
fn a_warning_is_one_line() {
    let outcome = Outcome::Failed("line\nline\u{7}".to_owned());
    let spec = json!({"spec": {}});
    let object = Object {
        kind: Kind::of("", "Pod").unwrap(),
        operation: Operation::Create,
        value: &spec,
        account_secrets: None,
    };
    let answer = answer(object, &task(&["a:1"]), &[outcome], &rules(Without::Admit));
    assert!(
        !answer.warnings[0].chars().any(char::is_control),
        "{:?}",
        answer.warnings
    );
}

#[test]
fn a_pod_gets_the_pull_secret_beside_its_own_and_only_as_it_is_made() {
    let list = "/spec/imagePullSecrets";
    let end = "/spec/imagePullSecrets/-";
    let cases = [
        (
            json!({"spec": {}}),
            Some(added(list, json!([{"name": "copies"}]))),
        ),
        (
            json!({"spec": {"imagePullSecrets": []}}),
            Some(added(list, json!([{"name": "copies"}]))),
        ),
        (
            json!({"spec": {"imagePullSecrets": [{"name": "own"}]}}),
            Some(added(end, json!({"name": "copies"}))),
        ),
        (
            json!({"spec": {"imagePullSecrets": [{"name": "copies"}]}}),
            None,
        ),
    ];
    for (value, expected) in cases {
        assert_eq!(secret_of(pod(&value)), expected, "{value}");
    }
    let value = json!({"spec": {}});
    let update = Object {
        operation: Operation::Update,
        ..pod(&value)
    };
    assert_eq!(secret_of(update), None);
    let none = answer(
        pod(&value),
        &task(&["a:1"]),
        &[Outcome::Late],
        &rules(Without::Admit),
    );
    assert_eq!(
        none.changes,
        [],
        "where nothing is replaced nothing is needed"
    );
}

#[test]
fn a_template_keeps_the_secrets_of_its_account() {
    let value = json!({"spec": {"template": {"spec": {}}}});
    let template = Object {
        kind: Kind::of("apps", "Deployment").unwrap(),
        operation: Operation::Update,
        value: &value,
        account_secrets: Some(&["of-account".to_owned(), "copies".to_owned()]),
    };
    let expected = json!([{"name": "of-account"}, {"name": "copies"}]);
    let expected = added("/spec/template/spec/imagePullSecrets", expected);
    assert_eq!(secret_of(template), Some(expected));
}
