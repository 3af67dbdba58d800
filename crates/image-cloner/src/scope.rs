//! What is left alone, and why. Every reason is told in the audit log.

#[cfg(test)]
mod tests;

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

/// So many images of an object are looked at. What is in a request is anybody's choice, and nobody has checked it yet.
const MOST: usize = 100;

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
    /// It is a template that some controller has made of another one, and may compare with that: as a Deployment does with
    /// its `ReplicaSets`, of which it would make more and more. Its pods are looked at.
    Controlled,
    /// It is a Job, whose template nobody can change any more, and its pods are looked at: whoever applies it again while
    /// nobody looks would be refused.
    Fixed,
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
    /// The pod cannot get the pull secret for the copies any more.
    Secret,
    /// There are too many.
    TooMany,
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
    /// The copy of it that stood there before the update: who applies the original's name again means the same.
    pub before: Option<Reference>,
    /// Whether it is pulled again each time (`imagePullPolicy: Always`): then a copy of before is not what is meant.
    pub follows: bool,
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
        if !kind.is_pod() && is_controlled(metadata) {
            return Err(Exempt::Controlled);
        }
        let are_pods_looked_at = self.kinds.iter().any(|kind| kind.is_pod());
        if (kind.group, kind.name) == ("batch", "Job") && are_pods_looked_at {
            return Err(Exempt::Fixed);
        }
        let mut found = images(kind, &request.object);
        let beyond = found.iter().skip(MOST).map(|it| it.pointer.clone());
        let beyond: BTreeSet<String> = beyond.collect();
        let mut old = Vec::new();
        if request.operation == Operation::Update {
            old = images(kind, &request.old_object);
            found = changed(found, &old);
        }
        let mut task = Task::default();
        for image in found {
            let wanted = if beyond.contains(&image.pointer) {
                Err(Left::TooMany)
            } else {
                self.wanted(&image, naming)
            };
            match wanted {
                Ok(reference) => task.wanted.push(Wanted {
                    before: before(&image, &reference, &old, naming),
                    follows: image.policy == Some("Always"),
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
        let groups = owners(metadata).filter_map(|owner| {
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

/// The copy that the container of the same name had of this very image.
fn before(
    image: &Found<'_>,
    reference: &Reference,
    old: &[Found<'_>],
    naming: &Naming,
) -> Option<Reference> {
    // Where names collide the copy may be another image's.
    if naming.collides() {
        return None;
    }
    let same = |it: &&Found<'_>| (it.list, it.name) == (image.list, image.name);
    let copy = Reference::parse(old.iter().find(same)?.image).ok()?;
    let place = naming.place(reference).ok()?;
    let is_of_it = (copy.name(), copy.tag()) == (place.name(), place.tag());
    (is_of_it && copy.digest().is_some()).then_some(copy)
}

fn owners(metadata: &Value) -> impl Iterator<Item = &Value> {
    let owners = metadata.get("ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten()
}

fn is_controlled(metadata: &Value) -> bool {
    owners(metadata).any(|owner| owner.get("controller") == Some(&Value::Bool(true)))
}

impl Exempt {
    /// A word, for metrics and the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Kind => "kind",
            Self::Namespace => "namespace",
            Self::Mirror => "mirror_pod",
            Self::Controlled => "controlled",
            Self::Fixed => "fixed",
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
            Self::Secret => "secret",
            Self::TooMany => "too_many",
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
            Self::Secret => {
                f.write_str("the pod cannot get the pull secret for the copies any more")
            }
            Self::TooMany => write!(f, "an object's first {MOST} images are looked at"),
        }
    }
}
