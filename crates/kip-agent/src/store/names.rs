//! The names of images.

use kip_image::Reference;

/// The name as it is pulled, with its registry: the digest where it has a tag as well, `latest` where it has neither.
pub(super) fn whole(name: &str) -> String {
    Reference::parse(name).map_or_else(|_| name.to_owned(), |it| it.as_pulled().to_string())
}

/// Registry and repository.
pub(super) fn repository(name: &str) -> Option<String> {
    Reference::parse(name).ok().map(|it| it.name().to_owned())
}

/// The digest in a name.
pub(super) fn digest(name: &str) -> Option<&str> {
    name.split_once('@').map(|(_, digest)| digest)
}

/// Names in the order in which they are shown: tags first.
pub(super) fn in_order(mut names: Vec<String>) -> Vec<String> {
    names.sort_by_key(|name| name.contains('@'));
    names
}
