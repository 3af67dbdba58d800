//! Where a registry is.

use reqwest::Url;

use crate::error::{Error, quote};
use crate::settings::Settings;

/// What Docker Hub is called in references, and the host that serves it.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// A registry, as references name it, and its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    name: String,
    base: Url,
}

impl Endpoint {
    pub(crate) fn new(registry: &str, settings: &Settings) -> Result<Self, Error> {
        let host = if registry == DOCKER_HUB.0 {
            DOCKER_HUB.1
        } else {
            registry
        };
        let scheme = if is_plain(settings, registry) {
            "http"
        } else {
            "https"
        };
        let base = Url::parse(&format!("{scheme}://{host}/v2/")).map_err(|source| {
            Error::malformed(format!("the registry {:?} is no host", quote(registry)))
                .source(source)
        })?;
        Ok(Self {
            name: registry.to_owned(),
            base,
        })
    }

    /// As references name it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The address of something in a repository: `manifests/latest`. References hold nothing that must be escaped.
    pub(crate) fn url(&self, repository: &str, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/v2/{repository}/{path}"));
        url
    }

    /// Whether it is the same server, spoken to in the same way.
    pub(crate) fn is_origin_of(&self, url: &Url) -> bool {
        self.base.origin() == url.origin()
    }

    pub(crate) fn base(&self) -> &Url {
        &self.base
    }
}

/// Whether the host, with its port if it has one, is named for plain HTTP.
fn is_plain(settings: &Settings, host: &str) -> bool {
    settings
        .plain_http
        .iter()
        .any(|named| named.eq_ignore_ascii_case(host))
}

/// Whether plain HTTP may be spoken to the URL's host.
pub(crate) fn is_plain_url(settings: &Settings, url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    match url.port() {
        Some(port) => is_plain(settings, &format!("{host}:{port}")),
        None => is_plain(settings, host) || is_plain(settings, &format!("{host}:80")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(plain: &[&str]) -> Settings {
        Settings {
            plain_http: plain.iter().map(|&host| host.to_owned()).collect(),
            ..Settings::default()
        }
    }

    #[test]
    fn docker_hub_is_served_by_another_host_than_its_name() {
        let hub = Endpoint::new("docker.io", &settings(&[])).unwrap();
        assert_eq!(hub.name(), "docker.io");
        assert_eq!(
            hub.url("library/nginx", "manifests/1.27").as_str(),
            "https://registry-1.docker.io/v2/library/nginx/manifests/1.27"
        );
    }

    #[test]
    fn only_named_hosts_are_spoken_to_without_tls() {
        let settings = settings(&["localhost:5000", "Plain.example"]);
        for (registry, url) in [
            ("localhost:5000", "http://localhost:5000/v2/"),
            ("localhost:5001", "https://localhost:5001/v2/"),
            ("localhost", "https://localhost/v2/"),
            ("plain.example", "http://plain.example/v2/"),
            ("[::1]:5000", "https://[::1]:5000/v2/"),
        ] {
            let endpoint = Endpoint::new(registry, &settings).unwrap();
            assert_eq!(endpoint.base().as_str(), url);
        }
        for (url, plain) in [
            ("http://localhost:5000/x", true),
            ("http://localhost:5001/x", false),
            ("http://plain.example/x", true),
            ("http://plain.example:80/x", true),
            ("http://plain.example:81/x", false),
        ] {
            assert_eq!(
                is_plain_url(&settings, &Url::parse(url).unwrap()),
                plain,
                "{url}"
            );
        }
    }
}
