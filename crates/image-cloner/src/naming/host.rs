//! A registry's host as one part of a repository.

use super::flat::hex;

/// The part of a repository that stands for this registry, and for no other.
pub(super) fn part(registry: &str) -> String {
    // An address in brackets has more colons: what is before the first of them is no host then.
    let (host, port) = match registry.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (registry, None),
    };
    match port {
        _ if !is_plain(host) => format!("x_{}", hex(registry.as_bytes())),
        Some(port) => format!("{host}__{port}"),
        None => host.to_owned(),
    }
}

/// Whether the host is a part of a repository as it is: words of small letters and digits, with one `.` or any number of
/// `-` between them.
fn is_plain(host: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    host.split('.').all(|label| {
        let has_edges = !label.starts_with('-') && !label.ends_with('-');
        !label.is_empty() && has_edges && label.bytes().all(is_inner)
    })
}
