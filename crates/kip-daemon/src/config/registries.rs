//! How registries are reached.

use std::collections::BTreeSet;

use kip_image::Reference;

use super::problem::{Findings, Problem};

/// How registries are reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registries {
    /// Those that are spoken to without TLS: `host` or `host:port`, as references name them.
    pub plain_http: BTreeSet<String>,
}

const PLAIN_HTTP: &str = "PLAIN_HTTP_REGISTRIES";

/// Reads and checks the setting.
pub(super) fn parse(plain_http: Option<&str>, findings: &mut Findings) -> Registries {
    let entries = plain_http.unwrap_or_default().split(';').map(str::trim);
    let mut hosts = BTreeSet::new();
    for entry in entries.filter(|entry| !entry.is_empty()) {
        if is_registry(entry) {
            hosts.insert(entry.to_owned());
        } else {
            findings.add(Problem::new(
                PLAIN_HTTP,
                entry,
                "is no registry as references name them: a host, and a port if they have one",
            ));
        }
    }
    Registries { plain_http: hosts }
}

/// A name in DNS, and a port.
const LONGEST: usize = 253 + ":65535".len();

/// Whether a reference can begin so.
fn is_registry(text: &str) -> bool {
    let reference = Reference::parse(&format!("{text}/repository"));
    let port = text.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    let has_port = port.is_none_or(|port| port.is_ok_and(|port| port > 0));
    has_port
        && text.len() <= LONGEST
        && reference.is_ok_and(|reference| reference.registry() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<Vec<String>> {
        let mut findings = Findings::default();
        let registries = parse(Some(text), &mut findings);
        let hosts = registries.plain_http.into_iter().collect();
        findings.finish(hosts).ok()
    }

    #[test]
    fn registries_are_named_as_in_references() {
        for (text, expected) in [
            ("localhost:5001", vec!["localhost:5001"]),
            (
                "registry.example:80; 10.0.0.1:5000 ;",
                vec!["10.0.0.1:5000", "registry.example:80"],
            ),
            (";", vec![]),
        ] {
            let expected = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(parsed(text), Some(expected), "{text}");
        }
        for text in [
            "http://registry.example",
            "registry.example/team",
            "registry",
            "a b.example",
            "registry.example,other.example",
            "registry.example:99999",
            "registry.example:0",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
