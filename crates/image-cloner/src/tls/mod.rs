//! Serves the addresses by TLS, with a certificate that may change at any time: connections that are open stay, new ones get
//! the new one.

pub mod files;

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

/// Who connects has so long to agree on TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Who says nothing for so long has gone.
const SILENCE: Duration = Duration::from_secs(60);
/// So many connections at the same time. An API server needs one or a few.
const CONNECTIONS: usize = 1000;
/// Requests that are under way have so long to end when the server does: as long as the API server waits at most.
const DRAIN: Duration = Duration::from_secs(30);

/// The certificate that is shown now. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Shown(Arc<RwLock<Arc<CertifiedKey>>>);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The certificates are not PEM, or there is none.
    #[error("{what} cannot be read")]
    Pem {
        /// Which of the two.
        what: String,
        /// What is wrong.
        source: rustls::pki_types::pem::Error,
    },
    /// The key cannot be used, or is another one's.
    #[error("certificate and key do not belong together")]
    Key(#[from] rustls::Error),
}

/// Reads a certificate and its key from PEM; the names are for errors.
///
/// # Errors
/// When they cannot be used.
pub fn certificate(
    certificate: &[u8],
    key: &[u8],
    names: [&Path; 2],
) -> Result<CertifiedKey, CertificateError> {
    let [certificate_name, key_name] = names.map(|name| name.display().to_string());
    let pem = |what: &str| {
        let what = what.to_owned();
        move |source| CertificateError::Pem { what, source }
    };
    let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(pem(&certificate_name))?;
    if chain.is_empty() {
        return Err(pem(&certificate_name)(
            rustls::pki_types::pem::Error::NoItemsFound,
        ));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(pem(&key_name))?;
    Ok(CertifiedKey::from_der(
        chain,
        key,
        &ring::default_provider(),
    )?)
}

impl Shown {
    /// Shows this one first.
    pub fn new(certificate: CertifiedKey) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(certificate))))
    }

    /// From now on shows this one.
    pub fn show(&self, certificate: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certificate);
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let now = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&now))
    }
}

/// Serves until `stop` ends, and then what has begun.
///
/// # Errors
/// The library knows no protocol version; today it knows two.
pub async fn serve(
    listener: TcpListener,
    shown: Shown,
    router: Router,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let provider = Arc::new(ring::default_provider());
    let config =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut stop = std::pin::pin!(stop);
    loop {
        // Whoever comes when all places are taken waits. The semaphore is never closed.
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            () = &mut stop => break,
        };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Too many open files, most often: they become fewer.
                    debug!(%error, "no connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let (acceptor, router, watcher) = (acceptor.clone(), router.clone(), graceful.watcher());
        tokio::spawn(async move {
            let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await
            else {
                debug!("a connection without TLS");
                return;
            };
            let _place = place;
            // By what was agreed on: to find it out from what comes first would wait for that without end.
            let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let builder = Builder::new(TokioExecutor::new());
            let mut builder = if is_h2 {
                builder.http2_only()
            } else {
                builder.http1_only()
            };
            builder
                .http1()
                .timer(TokioTimer::new())
                .header_read_timeout(SILENCE);
            builder
                .http2()
                .timer(TokioTimer::new())
                .keep_alive_interval(SILENCE)
                .keep_alive_timeout(SILENCE);
            let service = TowerToHyperService::new(router);
            let connection = builder
                .serve_connection(TokioIo::new(stream), service)
                .into_owned();
            if let Err(error) = watcher.watch(connection).await {
                debug!(error, "a connection has ended");
            }
        });
    }
    drop(listener);
    // What takes longer is not waited for by the API server either.
    let _ = tokio::time::timeout(DRAIN, graceful.shutdown()).await;
    Ok(())
}
