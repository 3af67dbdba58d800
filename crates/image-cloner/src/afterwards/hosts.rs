//! Tells containerd where the copies are: a `hosts.toml` for each registry ([documentation]).
//!
//! Nodes then ask for the copies by the originals' names, and nothing need be rewritten. It is for clusters whose nodes are
//! one's own.
//!
//! [documentation]: https://github.com/containerd/containerd/blob/main/docs/hosts.md

use std::fmt::Write as _;

use crate::naming::Naming;

/// Which one is asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// The copies.
    Copy,
    /// The registry itself.
    Original,
}

/// Why there is no such file.
#[derive(Debug, thiserror::Error)]
pub enum HostsError {
    /// Copies' names do not end as the originals' do.
    #[error(
        "only names of NAMING=path can be told to containerd: it puts the repository's name after what it is told"
    )]
    Naming,
    /// It is no registry.
    #[error("{0:?} is no registry as references name them; for example docker.io or quay.io:443")]
    Host(String),
}

/// What Docker Hub is called in references, and the host that serves it.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// The file for a registry, as references name it. `is_plain` says of a registry whether it is spoken to without TLS.
///
/// # Errors
/// When there can be none.
pub fn toml(
    naming: &Naming,
    host: &str,
    first: First,
    is_plain: impl Fn(&str) -> bool,
) -> Result<String, HostsError> {
    let part = naming.part(host).ok_or(HostsError::Naming)?;
    let probe = kip_image::Reference::parse(&format!("{host}/x"));
    if !probe.is_ok_and(|it| it.registry() == host) {
        return Err(HostsError::Host(host.to_owned()));
    }
    let url = |registry: &str| {
        let scheme = if is_plain(registry) { "http" } else { "https" };
        let host = if registry == DOCKER_HUB.0 {
            DOCKER_HUB.1
        } else {
            registry
        };
        format!("{scheme}://{host}")
    };
    let (server, copies) = (url(host), url(naming.registry()));
    let mut text = format!("# /etc/containerd/certs.d/{host}/hosts.toml\nserver = \"{server}\"\n");
    let capabilities = "  capabilities = [\"pull\", \"resolve\"]\n";
    if first == First::Original {
        let _ = write!(text, "\n[host.\"{server}\"]\n{capabilities}");
    }
    // The address has the whole path: containerd adds the repository, its tag or its digest.
    let _ = write!(
        text,
        "\n[host.\"{copies}/v2/{part}\"]\n{capabilities}  override_path = true\n"
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::naming::Scheme;

    fn naming(scheme: Scheme) -> Naming {
        Naming::new("backup.example:5000/team", "", scheme).unwrap()
    }

    #[test]
    fn the_copies_are_asked_first_or_last() {
        let naming = naming(Scheme::Path);
        let copies_first = toml(&naming, "docker.io", First::Copy, |_| false).unwrap();
        let expected = "\
# /etc/containerd/certs.d/docker.io/hosts.toml
server = \"https://registry-1.docker.io\"

[host.\"https://backup.example:5000/v2/team/docker.io\"]
  capabilities = [\"pull\", \"resolve\"]
  override_path = true
";
        assert_eq!(copies_first, expected);
        let plain = |host: &str| host == "backup.example:5000";
        let last = toml(&naming, "r.example:444", First::Original, plain).unwrap();
        let expected = "\
# /etc/containerd/certs.d/r.example:444/hosts.toml
server = \"https://r.example:444\"

[host.\"https://r.example:444\"]
  capabilities = [\"pull\", \"resolve\"]

[host.\"http://backup.example:5000/v2/team/r.example__444\"]
  capabilities = [\"pull\", \"resolve\"]
  override_path = true
";
        assert_eq!(last, expected);
    }

    #[test]
    fn what_cannot_be_told_is_an_error() {
        let flat = toml(&naming(Scheme::Flat), "docker.io", First::Copy, |_| false);
        assert!(matches!(flat, Err(HostsError::Naming)));
        for host in ["https://quay.io", "quay", "quay.io/team", ""] {
            let error = toml(&naming(Scheme::Path), host, First::Copy, |_| false).unwrap_err();
            assert!(matches!(error, HostsError::Host(_)), "{host}: {error}");
        }
    }
}
