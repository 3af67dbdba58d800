//! Registries for tests, what is in them, and clients.

pub(crate) mod debian;
pub(crate) mod fake;
pub(crate) mod image;
pub(crate) mod process;
pub(crate) mod push;
pub(crate) mod second;
pub(crate) mod tls;
pub(crate) mod tokens;

use std::time::Duration;

use kip_image::{Digest, Reference};
use kip_registry::{Client, Copied, Error, Options, Place, Progress, Retries, Settings};

/// Settings that speak plain HTTP to the hosts, and hardly wait between attempts.
pub(crate) fn settings<'a>(plain: impl IntoIterator<Item = &'a str>) -> Settings {
    Settings {
        plain_http: plain.into_iter().map(str::to_owned).collect(),
        retries: Retries {
            count: 3,
            first_wait: Duration::from_millis(1),
            longest_wait: Duration::from_secs(2),
        },
        // Long enough for a busy machine.
        idle_timeout: Duration::from_secs(30),
        ..Settings::default()
    }
}

pub(crate) fn client<'a>(plain: impl IntoIterator<Item = &'a str>) -> Client {
    Client::new(settings(plain)).expect("settings of a test")
}

/// Copies as nobody in particular, and tells nobody.
pub(crate) async fn copy_anonymously(
    client: &Client,
    from: &Reference,
    to: &Reference,
    options: &Options,
) -> Result<Copied, Error> {
    let place = |reference| Place {
        reference,
        credentials: &[],
    };
    kip_registry::copy(client, place(from), place(to), options, &Progress::none()).await
}

/// Another client than the one that is tested.
pub(crate) fn plain_client() -> reqwest::Client {
    // The library wants a provider even where no TLS is spoken. Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

pub(crate) fn reference(text: &str) -> Reference {
    Reference::parse(text).expect("a reference of a test")
}

pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    let hash = ring::digest::digest(&ring::digest::SHA256, bytes);
    let hex = hash
        .as_ref()
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    Digest::parse(&format!("sha256:{hex}")).expect("a digest")
}

/// The error's message and those of all its causes.
pub(crate) fn all_words(error: &Error) -> String {
    let mut words = vec![format!("{error}\n{error:?}\n{error:#?}")];
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words.push(format!("{error}\n{error:?}"));
        cause = error.source();
    }
    words.join("\n")
}
