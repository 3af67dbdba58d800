//! A certificate from files, which somebody else renews, such as cert-manager.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tracing::{info, warn};

use super::{CertificateError, Shown, certificate};
use crate::words;

/// Files are read so often. A mounted Secret changes by links: there is nothing in it that could be watched simply.
const PAUSE: Duration = Duration::from_secs(5);

/// What was read: certificate and key, in PEM.
type Pair = [Vec<u8>; 2];

/// Reads them for the first time.
///
/// # Errors
/// They cannot be read or used.
pub fn first(certificate: &Path, key: &Path) -> anyhow::Result<Shown> {
    let pair = read(certificate, key)?;
    Ok(Shown::new(parsed(&pair, [certificate, key])?))
}

/// Reads them again and again, for ever, and shows what is new. Something that cannot be used is told once.
pub async fn follow(certificate: PathBuf, key: PathBuf, shown: Shown) {
    let mut before = None;
    loop {
        tokio::time::sleep(PAUSE).await;
        let found = read(&certificate, &key);
        let found = found.map_err(|error| format!("{error:#}"));
        if before.as_ref() == Some(&found) {
            continue;
        }
        let is_first = before.is_none();
        let new = found
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|pair| parsed(pair, [&certificate, &key]).map_err(|error| words::of(&error)));
        match new {
            Ok(new) => {
                shown.show(new);
                if !is_first {
                    info!("a new certificate is shown");
                }
            }
            Err(error) => warn!(
                error,
                "the certificate's files cannot be used; the old one stays"
            ),
        }
        before = Some(found);
    }
}

fn read(certificate: &Path, key: &Path) -> anyhow::Result<Pair> {
    let read = |path: &Path| std::fs::read(path).with_context(|| path.display().to_string());
    Ok([read(certificate)?, read(key)?])
}

fn parsed(
    [chain, key]: &Pair,
    names: [&Path; 2],
) -> Result<rustls::sign::CertifiedKey, CertificateError> {
    certificate(chain, key, names)
}
