//! A registry's client: resolve, fetch, upload and copy images, every byte checked.
//!
//! It speaks the [distribution specification][spec] and what real registries make of it. It is no store: nothing is
//! written to a disk, and nothing is kept but connections and tokens. HTTP/1.1 is enough for it: a connection for each
//! request that is under way, so that a layer's bytes never hold up a manifest's.
//!
//! ```text
//! Client ── resolve, manifest, blob, upload, put_manifest, referrers, copy
//!    │          what a method means: which addresses, which limits, which digests
//!    ├── call ── each credential in order; 401 ── challenge ── token ── once more       (auth)
//!    │    ├── retry      what may pass, when the registry says so
//!    │    ├── redirect   where it may lead, and without whose name
//!    │    └── transport  connections, TLS, proxies, silence
//!    └── settings, error
//! ```
//!
//! ```no_run
//! use kip_registry::{Client, Credential, Proxies, Settings};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new(Settings { proxies: Proxies::from_env(), ..Settings::default() })?;
//! let name = kip_image::Reference::parse("quay.io/org/app:1.0")?;
//! let credentials = [Credential::basic("bob", "secret")];
//! println!("{} is {}", name, client.resolve(&name, &credentials).await?.digest);
//! # Ok(())
//! # }
//! ```
//!
//! # Why not `oci-client`
//! As of 0.18 it keeps one credential for each registry, so that of two pull secrets only the first is ever used; it
//! tries nothing again, hears no `Retry-After`, asks for no new token when a scope is insufficient, knows no identity
//! tokens, uploads one `PATCH` for each piece of a stream, and panics where a registry answers a manifest without
//! `Location`.
//!
//! [spec]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md

mod auth;
mod blob;
mod client;
mod copy;
mod credential;
mod docker_config;
mod endpoint;
mod error;
mod hash;
mod http;
mod manifest;
mod put;
mod referrers;
mod resolve;
mod settings;
mod tls;

pub use blob::Blob;
pub use client::Client;
pub use copy::{Copied, Event, How, Options, Place, Progress, copy};
pub use credential::Credential;
pub use docker_config::{DockerConfig, DockerConfigError};
pub use error::{Error, Kind, Unreachable};
pub use http::Source;
pub use manifest::{Content, Descriptor, Image, Index, Manifest, Platform, media_type};
pub use put::Stored;
pub use referrers::{Referrers, ReferrersFrom};
pub use resolve::{RateLimit, Resolved};
pub use settings::{Limits, PrivateHosts, Proxies, Retries, Settings, SettingsError};
