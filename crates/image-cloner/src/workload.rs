//! The images of an object: one table for kinds, one for fields.

use serde_json::Value;

/// A kind of object that has pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// As in `kind:`.
    pub name: &'static str,
    /// The JSON pointer of its pod's `spec`.
    pub pod_spec: &'static str,
}

/// Every kind whose images are looked at.
pub const KINDS: [Kind; 8] = [
    kind("", "Pod", "/spec"),
    kind("", "ReplicationController", TEMPLATE),
    kind("apps", "DaemonSet", TEMPLATE),
    kind("apps", "Deployment", TEMPLATE),
    kind("apps", "ReplicaSet", TEMPLATE),
    kind("apps", "StatefulSet", TEMPLATE),
    kind("batch", "CronJob", "/spec/jobTemplate/spec/template/spec"),
    kind("batch", "Job", TEMPLATE),
];

const TEMPLATE: &str = "/spec/template/spec";

const fn kind(group: &'static str, name: &'static str, pod_spec: &'static str) -> Kind {
    Kind {
        group,
        name,
        pod_spec,
    }
}

impl Kind {
    /// That of an API group and a `kind:`.
    pub fn of(group: &str, name: &str) -> Option<Self> {
        KINDS
            .into_iter()
            .find(|it| it.group == group && it.name == name)
    }

    /// Whether its objects are pods, not templates of them.
    pub fn is_pod(self) -> bool {
        self.pod_spec == "/spec"
    }
}

/// A list of a pod's spec whose entries have an image.
struct Field {
    list: &'static str,
    /// Where the image is in an entry.
    image: &'static str,
    /// Where its pull policy is.
    policy: &'static str,
}

/// Every such list.
const FIELDS: [Field; 4] = [
    container("containers"),
    container("initContainers"),
    container("ephemeralContainers"),
    Field {
        list: "volumes",
        image: "/image/reference",
        policy: "/image/pullPolicy",
    },
];

const fn container(list: &'static str) -> Field {
    Field {
        list,
        image: "/image",
        policy: "/imagePullPolicy",
    }
}

/// An image of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'a> {
    /// Where it is in the object, as a JSON pointer.
    pub pointer: String,
    /// The list of the pod's spec that it is in, such as `initContainers`.
    pub list: &'static str,
    /// The name of the container or volume.
    pub name: &'a str,
    /// The reference, as it is written; it may be empty.
    pub image: &'a str,
    /// The pull policy, as it is written.
    pub policy: Option<&'a str>,
}

/// The images of an object, in the order of the lists. What has another shape than the API's has no image: the API server
/// refuses it afterwards.
pub fn images(kind: Kind, object: &Value) -> Vec<Found<'_>> {
    let Some(spec) = object.pointer(kind.pod_spec) else {
        return Vec::new();
    };
    let in_list = |field: &'static Field| {
        let entries = spec.get(field.list).and_then(Value::as_array);
        let entries = entries.into_iter().flatten().enumerate();
        entries.filter_map(move |(index, entry)| {
            let image = entry.pointer(field.image)?.as_str()?;
            Some(Found {
                pointer: format!("{}/{}/{index}{}", kind.pod_spec, field.list, field.image),
                list: field.list,
                name: entry
                    .get("name")
                    .and_then(Value::as_str)
                    .unwrap_or_default(),
                image,
                policy: entry.pointer(field.policy).and_then(Value::as_str),
            })
        })
    };
    FIELDS.iter().flat_map(in_list).collect()
}

/// Those that are not in the object as it was before. What stays as it was is left alone: a template that changes for another
/// reason must not have its pods replaced for ours, and of a pod that is there nothing else may be changed.
pub fn changed<'a>(found: Vec<Found<'a>>, before: &[Found<'_>]) -> Vec<Found<'a>> {
    let is_old = |now: &Found<'_>| {
        let mut same = before.iter();
        same.any(|old| (old.list, old.name, old.image) == (now.list, now.name, now.image))
    };
    found.into_iter().filter(|now| !is_old(now)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod_spec() -> Value {
        json!({
            "containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1", "imagePullPolicy": "Never"}],
            "initContainers": [{"name": "i", "image": "i:1"}],
            "ephemeralContainers": [{"name": "e", "image": "e:1"}],
            "volumes": [
                {"name": "data", "emptyDir": {}},
                {"name": "model", "image": {"reference": "m:1", "pullPolicy": "Always"}},
            ],
        })
    }

    /// The object of this kind around a pod's spec.
    fn object(kind: Kind, spec: Value) -> Value {
        let parts: Vec<&str> = kind.pod_spec.split('/').skip(1).collect();
        parts
            .into_iter()
            .rev()
            .fold(spec, |inner, part| json!({part: inner}))
    }

    #[test]
    fn every_image_of_every_kind_is_found_where_it_is() {
        for kind in KINDS {
            let object = object(kind, pod_spec());
            let found = images(kind, &object);
            let texts: Vec<&str> = found.iter().map(|it| it.image).collect();
            assert_eq!(texts, ["a:1", "b:1", "i:1", "e:1", "m:1"], "{kind:?}");
            for it in &found {
                let there = object.pointer(&it.pointer).and_then(Value::as_str);
                assert_eq!(there, Some(it.image));
            }
            let policies: Vec<_> = found.iter().map(|it| it.policy).collect();
            assert_eq!(policies, [None, Some("Never"), None, None, Some("Always")]);
            assert_eq!(Kind::of(kind.group, kind.name), Some(kind));
        }
        assert_eq!(Kind::of("apps", "Pod"), None);
        assert_eq!(Kind::of("", "Deployment"), None);
        assert!(KINDS.iter().filter(|kind| kind.is_pod()).count() == 1);
    }

    #[test]
    fn what_has_another_shape_has_no_image() {
        let pod = Kind::of("", "Pod").unwrap();
        let specs = [
            json!(null),
            json!([]),
            json!({"containers": null}),
            json!({"containers": {"image": "a:1"}}),
            json!({"containers": [null, 1, "a:1", {"image": 7}, {"image": null}, {}]}),
            json!({"volumes": [{"image": "a:1"}, {"image": {"reference": []}}]}),
        ];
        for spec in specs {
            assert_eq!(images(pod, &json!({"spec": spec})), []);
        }
        for object in [json!(null), json!({}), json!("spec")] {
            assert_eq!(images(pod, &object), []);
        }
    }

    #[test]
    fn what_was_there_before_is_left_alone_wherever_it_stands_now() {
        let pod = Kind::of("", "Pod").unwrap();
        let before = object(pod, pod_spec());
        let mut after = before.clone();
        let spec = &mut after["spec"];
        spec["containers"].as_array_mut().unwrap().reverse();
        spec["initContainers"][0]["image"] = json!("i:2");
        spec["ephemeralContainers"][0]["name"] = json!("new");
        let found = changed(images(pod, &after), &images(pod, &before));
        let found: Vec<_> = found.iter().map(|it| (it.list, it.image)).collect();
        assert_eq!(
            found,
            [("initContainers", "i:2"), ("ephemeralContainers", "e:1")]
        );
    }
}
