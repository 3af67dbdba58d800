//! The names that images get.

use anyhow::Result;
use kip_image::Reference;

use crate::failure::{Status, failure};
use crate::on_node::OnNode;
use crate::target::TargetImage;

/// The names of each image: the one that was asked for, else that in the pod, else those of the node.
///
/// # Errors
/// When two images would get the same one: the second would take it from the first.
pub fn names(
    images: &[TargetImage],
    found: &[OnNode],
    tag: Option<&Reference>,
) -> Result<Vec<Vec<String>>> {
    let each = images.iter().zip(found);
    let all: Vec<_> = each
        .map(|(image, found)| of_one(image, found, tag))
        .collect();
    for (at, names) in all.iter().enumerate() {
        let is_earlier = |name: &&String| {
            let mut earlier = found.iter().zip(&all).take(at);
            earlier.any(|(other, names)| names.contains(name) && other.id != found[at].id)
        };
        if let Some(name) = names.iter().find(is_earlier) {
            let text = format!(
                "two different images would get the name {name}: fetch them one by one, with -c and --tag (the second is {})",
                found[at].id
            );
            return Err(failure(Status::Sink, text));
        }
    }
    Ok(all)
}

fn of_one(image: &TargetImage, found: &OnNode, tag: Option<&Reference>) -> Vec<String> {
    if let Some(name) = tag.and_then(tagged) {
        return vec![name];
    }
    // A digest is no name, though it looks like one with a tag.
    let own = (!image.name.starts_with("sha256:")).then(|| Reference::parse(&image.name));
    if let Some(own) = own.and_then(|name| tagged(&name.ok()?)) {
        return vec![own];
    }
    let known = found.names.iter();
    let known = known.filter_map(|name| Reference::parse(name).ok());
    known
        .filter_map(|name| name.tag().is_some().then(|| tagged(&name)).flatten())
        .collect()
}

/// The whole name with its tag. A name that has only a digest has no tag to give.
fn tagged(name: &Reference) -> Option<String> {
    let tag = name.tag_or_latest()?;
    Some(format!("{}:{tag}", name.name()))
}

#[cfg(test)]
mod tests {
    use kip_agent::protocol::Wanted;

    use super::*;
    use crate::digest;

    fn image(name: &str) -> TargetImage {
        TargetImage {
            containers: Vec::new(),
            name: name.to_owned(),
            other_name: None,
            wanted: Wanted {
                digest: None,
                name: None,
            },
            command: Vec::new(),
            args: Vec::new(),
            user: None,
        }
    }

    fn found(config: &str, names: &[&str]) -> OnNode {
        OnNode {
            names: names.iter().map(|it| (*it).to_owned()).collect(),
            manifest: None,
            id: digest::of(config.as_bytes()),
            config: config.into(),
            layers: Vec::new(),
            is_shown: true,
        }
    }

    #[test]
    fn a_name_is_the_one_asked_for_else_the_pods_else_the_nodes() {
        let on_node = [found(
            "1",
            &["docker.io/library/b:2", "docker.io/library/b@sha256:0"],
        )];
        let of = |name: &str, tag: Option<&str>| {
            let tag = tag.map(|tag| Reference::parse(tag).unwrap());
            names(&[image(name)], &on_node, tag.as_ref())
                .unwrap()
                .remove(0)
        };
        assert_eq!(of("a", Some("x:1")), ["docker.io/library/x:1"]);
        assert_eq!(of("a", None), ["docker.io/library/a:latest"]);
        let digest = digest::of(b"");
        assert_eq!(of(&digest.to_string(), None), ["docker.io/library/b:2"]);
        assert_eq!(of(&format!("a@{digest}"), None), ["docker.io/library/b:2"]);
        assert_eq!(
            of(&format!("a:3@{digest}"), None),
            ["docker.io/library/a:3"]
        );
    }

    #[test]
    fn two_images_do_not_get_one_name() {
        let on_node = [found("1", &[]), found("2", &[])];
        let tag = Reference::parse("x:1").unwrap();
        let images = [image("a:1"), image("b:1")];
        assert!(names(&images, &on_node, None).is_ok());
        for (images, tag) in [(images, Some(&tag)), ([image("a:1"), image("a:1")], None)] {
            let error = names(&images, &on_node, tag).unwrap_err();
            assert_eq!(crate::failure::status(&error), Status::Sink);
            assert!(
                error.to_string().contains(":1: fetch them one by one"),
                "{error}"
            );
        }
        let same = [found("1", &[]), found("1", &[])];
        assert!(names(&[image("a:1"), image("a:1")], &same, None).is_ok());
    }
}
