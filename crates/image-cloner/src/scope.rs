//! What is left alone, and why. Every reason is told in the audit log.

use std::collections::BTreeSet;
use std::fmt;

use kip_image::Reference;
use serde_json::Value;

use crate::naming::Naming;
use crate::review::{Operation, Request};
use crate::workload::{Found, Kind, changed, images};

/// What the settings say of what is left alone.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Namespaces of which nothing is changed.
    pub namespaces: BTreeSet<String>,
    /// Kinds whose objects are changed.
    pub kinds: Vec<Kind>,
    /// Objects whose controllers compare images with what they have written: API groups of owners, such as
    /// `postgresql.cnpg.io`. A group below one of these counts, too.
    pub owner_groups: Vec<String>,
    /// Labels of objects that are left alone: key and value.
    pub labels: Vec<(String, String)>,
    /// Registries that may be copied from; empty is all.
    pub allowed: BTreeSet<String>,
    /// Registries that may not.
    pub denied: BTreeSet<String>,
}

/// The annotation of a pod that mirrors one that kubelet has from a file. It cannot be changed.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// What Istio has for its proxy's image before its own webhook puts it in.
const PLACEHOLDER: &str = "auto";

/// Why an object is left alone as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exempt {
    /// Nothing is made or changed.
    Operation,
    /// It has no pods, or the settings leave its kind out.
    Kind,
    /// It is in a namespace that is left alone.
    Namespace,
    /// It is a mirror pod.
    Mirror,
    /// Its owner compares images.
    Owner,
    /// Its labels say so.
    Label,
}

/// Why an image is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// It is none yet: somebody else puts it in.
    Placeholder,
    /// It is no reference: in the words of the parser.
    Invalid(String),
    /// It is never pulled.
    Never,
    /// It is a copy.
    Copy,
    /// The settings do not allow its registry.
    Registry,
}

/// An image that is to be copied, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// A JSON pointer.
    pub pointer: String,
    /// As it is written.
    pub text: String,
    /// What it means.
    pub reference: Reference,
}

/// What is to be done for a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Task {
    /// What is to be copied.
    pub wanted: Vec<Wanted>,
    /// What is left alone: its JSON pointer, and why.
    pub left: Vec<(String, Left)>,
}

impl Scope {
    /// What is to be done; `Err` where nothing is, whatever the images are.
    ///
    /// # Errors
    /// Why the object is left alone.
    pub fn task(&self, request: &Request, naming: &Naming) -> Result<Task, Exempt> {
        let kind = self.kind(request)?;
        if self.namespaces.contains(&request.namespace) {
            return Err(Exempt::Namespace);
        }
        let metadata = request.object.get("metadata").unwrap_or(&Value::Null);
        if kind.is_pod()
            && metadata
                .pointer("/annotations")
                .is_some_and(|it| it.get(MIRROR).is_some())
        {
            return Err(Exempt::Mirror);
        }
        let labels = metadata.get("labels");
        let has = |(key, value): &(String, String)| {
            labels
                .and_then(|labels| labels.get(key))
                .and_then(Value::as_str)
                == Some(value)
        };
        if self.labels.iter().any(has) {
            return Err(Exempt::Label);
        }
        if self.is_owner_exempt(metadata) {
            return Err(Exempt::Owner);
        }
        let mut found = images(kind, &request.object);
        if request.operation == Operation::Update {
            found = changed(found, &images(kind, &request.old_object));
        }
        let mut task = Task::default();
        for image in found {
            match self.wanted(&image, naming) {
                Ok(reference) => task.wanted.push(Wanted {
                    pointer: image.pointer,
                    text: image.image.to_owned(),
                    reference,
                }),
                Err(left) => task.left.push((image.pointer, left)),
            }
        }
        Ok(task)
    }

    fn kind(&self, request: &Request) -> Result<Kind, Exempt> {
        if !matches!(request.operation, Operation::Create | Operation::Update) {
            return Err(Exempt::Operation);
        }
        let is_images = matches!(
            request.sub_resource.as_deref(),
            None | Some("" | "ephemeralcontainers")
        );
        let kind = Kind::of(&request.kind.group, &request.kind.kind);
        let kind = kind.filter(|kind| is_images && self.kinds.contains(kind));
        kind.ok_or(Exempt::Kind)
    }

    fn is_owner_exempt(&self, metadata: &Value) -> bool {
        let owners = metadata.get("ownerReferences").and_then(Value::as_array);
        let groups = owners.into_iter().flatten().filter_map(|owner| {
            let version = owner.get("apiVersion")?.as_str()?;
            version.split_once('/').map(|(group, _)| group)
        });
        let is_in = |group: &str, of: &str| {
            let above = group.strip_suffix(of);
            above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
        };
        let mut groups = groups;
        groups.any(|group| self.owner_groups.iter().any(|of| is_in(group, of)))
    }

    fn wanted(&self, image: &Found<'_>, naming: &Naming) -> Result<Reference, Left> {
        if image.image.is_empty() || image.image == PLACEHOLDER {
            return Err(Left::Placeholder);
        }
        if image.policy == Some("Never") {
            return Err(Left::Never);
        }
        let reference =
            Reference::parse(image.image).map_err(|error| Left::Invalid(error.to_string()))?;
        if naming.is_copy(&reference) {
            return Err(Left::Copy);
        }
        let registry = reference.registry();
        let is_allowed = self.allowed.is_empty() || self.allowed.contains(registry);
        if !is_allowed || self.denied.contains(registry) {
            return Err(Left::Registry);
        }
        Ok(reference)
    }
}

impl Exempt {
    /// A word, for metrics and the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Kind => "kind",
            Self::Namespace => "namespace",
            Self::Mirror => "mirror_pod",
            Self::Owner => "owner",
            Self::Label => "label",
        }
    }
}

impl Left {
    /// A word, for metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Placeholder => "placeholder",
            Self::Invalid(_) => "invalid",
            Self::Never => "never_pulled",
            Self::Copy => "copy",
            Self::Registry => "registry",
        }
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Placeholder => f.write_str("it is no image yet"),
            Self::Invalid(words) => f.write_str(words),
            Self::Never => f.write_str("its pull policy is Never"),
            Self::Copy => f.write_str("it is a copy"),
            Self::Registry => f.write_str("the settings do not allow its registry"),
        }
    }
}

#[cfg(test)]
mod tests {
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
        let owner = |version: &str| json!({"ownerReferences": [{"apiVersion": version, "kind": "Cluster"}]});
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
    fn what_is_never_pulled_is_left_alone() {
        let mut request = pod(&["a:1"]);
        request.object["spec"]["containers"][0]["imagePullPolicy"] = json!("Never");
        assert_eq!(task(&request).unwrap().left[0].1, Left::Never);
    }
}
