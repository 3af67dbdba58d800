use serde_json::json;

use super::*;
use crate::naming::Scheme;
use crate::review::GroupKind;
use crate::workload::KINDS;

fn scope() -> Scope {
    Scope {
        namespaces: BTreeSet::from(["kube-system".to_owned()]),
        kinds: KINDS.to_vec(),
        owner_groups: vec!["cnpg.io".to_owned()],
        labels: vec![("app".to_owned(), "ours".to_owned())],
        allowed: BTreeSet::new(),
        denied: BTreeSet::from(["denied.example".to_owned()]),
    }
}

fn request(kind: Kind, object: Value) -> Request {
    Request {
        uid: "u".to_owned(),
        kind: GroupKind {
            group: kind.group.to_owned(),
            kind: kind.name.to_owned(),
        },
        sub_resource: None,
        name: String::new(),
        namespace: "team".to_owned(),
        operation: Operation::Create,
        object,
        old_object: Value::Null,
        dry_run: None,
    }
}

fn pod(images: &[&str]) -> Request {
    let containers: Vec<Value> = images
        .iter()
        .enumerate()
        .map(|(index, image)| json!({"name": format!("c{index}"), "image": image}))
        .collect();
    let pod = Kind::of("", "Pod").unwrap();
    request(
        pod,
        json!({"metadata": {}, "spec": {"containers": containers}}),
    )
}

fn naming() -> Naming {
    Naming::new("r.example/copies", "", Scheme::Path).unwrap()
}

fn task(request: &Request) -> Result<Task, Exempt> {
    scope().task(request, &naming())
}

fn exempt(change: impl FnOnce(&mut Request)) -> Option<Exempt> {
    let mut request = pod(&["a:1"]);
    change(&mut request);
    task(&request).err()
}

#[test]
fn whole_objects_are_left_alone_for_these_reasons() {
    let metadata = |value: Value| move |it: &mut Request| it.object["metadata"] = value;
    let owner =
        |version: &str| json!({"ownerReferences": [{"apiVersion": version, "kind": "Cluster"}]});
    assert_eq!(exempt(|_| {}), None);
    assert_eq!(
        exempt(|it| it.operation = Operation::Delete),
        Some(Exempt::Operation)
    );
    assert_eq!(
        exempt(|it| it.operation = Operation::Connect),
        Some(Exempt::Operation)
    );
    assert_eq!(
        exempt(|it| it.kind.kind = "Node".to_owned()),
        Some(Exempt::Kind)
    );
    assert_eq!(
        exempt(|it| it.sub_resource = Some("status".to_owned())),
        Some(Exempt::Kind)
    );
    assert_eq!(
        exempt(|it| it.sub_resource = Some("ephemeralcontainers".to_owned())),
        None
    );
    assert_eq!(
        exempt(|it| it.namespace = "kube-system".to_owned()),
        Some(Exempt::Namespace)
    );
    let mirror = json!({"annotations": {"kubernetes.io/config.mirror": "hash"}});
    assert_eq!(exempt(metadata(mirror)), Some(Exempt::Mirror));
    assert_eq!(
        exempt(metadata(json!({"labels": {"app": "ours"}}))),
        Some(Exempt::Label)
    );
    assert_eq!(exempt(metadata(json!({"labels": {"app": "theirs"}}))), None);
    assert_eq!(
        exempt(metadata(owner("postgresql.cnpg.io/v1"))),
        Some(Exempt::Owner)
    );
    assert_eq!(exempt(metadata(owner("cnpg.io/v1"))), Some(Exempt::Owner));
    assert_eq!(exempt(metadata(owner("notcnpg.io/v1"))), None);
    assert_eq!(exempt(metadata(owner("v1"))), None);
    assert_eq!(exempt(metadata(json!("metadata"))), None);
}

#[test]
fn a_template_that_a_controller_has_made_is_left_to_it_and_its_pods_are_not() {
    let owned = |kind: Kind, is_controller: bool| {
        let owner =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "controller": is_controller});
        let metadata = json!({"ownerReferences": [owner]});
        task(&request(kind, json!({"metadata": metadata}))).err()
    };
    let [set, pod] =
        [("apps", "ReplicaSet"), ("", "Pod")].map(|(group, name)| Kind::of(group, name).unwrap());
    assert_eq!(owned(set, true), Some(Exempt::Controlled));
    assert_eq!((owned(set, false), owned(pod, true)), (None, None));
}

#[test]
fn images_are_left_alone_for_these_reasons() {
    let images = [
        ("quay.io/app:1", None),
        ("", Some("placeholder")),
        ("auto", Some("placeholder")),
        ("Upper:1", Some("invalid")),
        ("${IMAGE}", Some("invalid")),
        ("r.example/copies/quay.io/app:1", Some("copy")),
        ("denied.example/app", Some("registry")),
    ];
    let texts = images.map(|(image, _)| image);
    let task = task(&pod(&texts)).unwrap();
    assert_eq!(task.wanted.len(), 1);
    assert_eq!(task.wanted[0].pointer, "/spec/containers/0/image");
    let left: Vec<_> = task.left.iter().map(|(_, left)| left.as_str()).collect();
    let expected: Vec<_> = images.iter().filter_map(|(_, left)| *left).collect();
    assert_eq!(left, expected);
    for (_, left) in &task.left {
        assert!(!left.to_string().is_empty());
    }
}

#[test]
fn only_allowed_registries_are_copied_from_where_some_are() {
    let mut scope = scope();
    scope.allowed = BTreeSet::from(["docker.io".to_owned(), "denied.example".to_owned()]);
    let naming = naming();
    let request = pod(&["nginx", "quay.io/app:1", "denied.example/app"]);
    let task = scope.task(&request, &naming).unwrap();
    let wanted: Vec<_> = task.wanted.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(wanted, ["nginx"]);
}

#[test]
fn an_update_copies_what_is_new() {
    let mut update = pod(&["a:2", "b:1"]);
    update.operation = Operation::Update;
    update.old_object = pod(&["a:1", "b:1"]).object;
    let wanted = task(&update).unwrap().wanted;
    let wanted: Vec<_> = wanted.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(wanted, ["a:2"]);
}

#[test]
fn an_object_has_so_many_images_and_no_more() {
    let images: Vec<String> = (0..=MOST).map(|number| format!("a:{number}")).collect();
    let texts: Vec<&str> = images.iter().map(String::as_str).collect();
    let task = task(&pod(&texts)).unwrap();
    assert_eq!(task.wanted.len(), MOST);
    let pointer = format!("/spec/containers/{MOST}/image");
    assert_eq!(task.left, [(pointer, Left::TooMany)]);
}

#[test]
fn a_job_is_left_to_its_pods_where_they_are_looked_at() {
    let job = Kind::of("batch", "Job").unwrap();
    let request = request(job, json!({}));
    assert_eq!(task(&request).err(), Some(Exempt::Fixed));
    let mut scope = scope();
    scope.kinds = vec![job];
    assert!(scope.task(&request, &naming()).is_ok());
}

#[test]
fn an_update_knows_the_copy_that_was_there_of_the_same_image() {
    let digest = format!("sha256:{:064x}", 1);
    let copy = format!("r.example/copies/docker.io/library/a:1@{digest}");
    let before = |new: &str, old: &str| {
        let mut update = pod(&[new]);
        update.operation = Operation::Update;
        update.old_object = pod(&[old]).object;
        let wanted = task(&update).unwrap().wanted.remove(0);
        wanted.before.map(|copy| copy.to_string())
    };
    assert_eq!(before("a:1", &copy), Some(copy.clone()));
    assert_eq!(before("docker.io/library/a:1", &copy), Some(copy.clone()));
    for (new, old) in [
        ("a:2", copy.as_str()),
        ("b:1", &copy),
        ("a:1", "a:0"),
        ("a:1", "r.example/copies/docker.io/library/a:1"),
    ] {
        assert_eq!(before(new, old), None, "{new} {old}");
    }
}

#[test]
fn an_update_to_another_image_of_the_same_legacy_name_is_another_image() {
    let naming = Naming::new("r.example/copies", "", Scheme::Legacy).unwrap();
    let mut update = pod(&["ghcr.io/b/app:1"]);
    update.operation = Operation::Update;
    let copy = format!("r.example/copies/app:1@sha256:{:064x}", 1);
    update.old_object = pod(&[&copy]).object;
    let task = scope().task(&update, &naming).unwrap();
    assert_eq!(task.wanted[0].before, None);
}

#[test]
fn what_is_never_pulled_is_left_alone() {
    let mut request = pod(&["a:1"]);
    request.object["spec"]["containers"][0]["imagePullPolicy"] = json!("Never");
    assert_eq!(task(&request).unwrap().left[0].1, Left::Never);
}
