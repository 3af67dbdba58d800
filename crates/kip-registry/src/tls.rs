//! Whom to trust.

use std::error::Error as StdError;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::settings::SettingsError;

/// Trusts the system's authorities, and the given ones beside them. A container image may have none: then those that
/// Mozilla trusts, as of this crate's build.
pub(crate) fn config(extra_ca: &[Vec<u8>]) -> Result<ClientConfig, SettingsError> {
    let mut roots = RootCertStore::empty();
    // A certificate that cannot be read is not trusted; the others are.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for (index, pem) in extra_ca.iter().enumerate() {
        let fail = |source: Option<Box<dyn StdError + Send + Sync>>| SettingsError::ExtraCa {
            index,
            source,
        };
        let mut any = false;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|source| fail(Some(source.into())))?;
            roots
                .add(certificate)
                .map_err(|source| fail(Some(source.into())))?;
            any = true;
        }
        if !any {
            return Err(fail(None));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|source| SettingsError::Tls(source.into()))?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
