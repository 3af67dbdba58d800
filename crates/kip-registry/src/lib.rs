//! A registry's client: resolve, fetch, upload and copy images, every byte checked.
//!
//! It speaks the [distribution specification][spec] and what real registries make of it. It is no store: nothing is
//! written to a disk, and nothing is kept but connections and tokens.
//!
//! [spec]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md

mod auth;
mod blob;
mod client;
mod copy;
mod credential;
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
pub use error::{Error, Kind, Unreachable};
pub use http::Source;
pub use manifest::{Content, Descriptor, Image, Index, Manifest, Platform, media_type};
pub use put::Stored;
pub use referrers::{Referrers, ReferrersFrom};
pub use resolve::{RateLimit, Resolved};
pub use settings::{Limits, Proxies, Retries, Settings, SettingsError};
