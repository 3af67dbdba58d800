//! Blobs that are written.

use kip_image::{Digest, Reference};

use super::session::{Begun, Session};
use crate::client::{Client, Repository};
use crate::credential::Credential;
use crate::error::{Error, Kind};
use crate::http::{Payload, Source, retry};

/// So many bytes has a chunk, where a blob must be sent in several. Registries behind proxies that cannot take a whole
/// blob mostly take 20 MB.
const CHUNK: u64 = 16 << 20;

/// A blob to be written.
#[derive(Clone, Copy)]
struct Content<'a> {
    digest: &'a Digest,
    size: u64,
    source: &'a dyn Source,
}

impl Client {
    /// Writes a blob into the reference's repository.
    ///
    /// It is sent in one piece where the registry takes that, and in chunks where it does not. The registry checks the
    /// digest, and refuses what does not have it.
    pub async fn upload(
        &self,
        repository: &Reference,
        digest: &Digest,
        size: u64,
        source: &dyn Source,
        credentials: &[Credential],
    ) -> Result<(), Error> {
        let repository = self.repository(repository, credentials)?;
        self.upload_to(&repository, digest, size, source, None)
            .await
            .map_err(|error| repository.about(error, &format!("@{digest}")))
    }

    /// Has the registry take a blob from another of its repositories, and tells whether it did.
    pub async fn mount(
        &self,
        repository: &Reference,
        digest: &Digest,
        from: &Reference,
        credentials: &[Credential],
    ) -> Result<bool, Error> {
        if from.registry() != repository.registry() {
            return Ok(false);
        }
        let repository = self.repository(repository, credentials)?;
        match Session::begin(self, &repository, Some((digest, from.repository()))).await {
            Ok(Begun::Mounted) => Ok(true),
            Ok(Begun::Session(session)) => {
                session.cancel().await;
                Ok(false)
            }
            Err(error) => Err(repository.about(error, &format!("@{digest}"))),
        }
    }

    /// Writes a blob, with an upload that may have been begun already.
    pub(crate) async fn upload_to<'a>(
        &'a self,
        repository: &'a Repository<'a>,
        digest: &Digest,
        size: u64,
        source: &dyn Source,
        mut begun: Option<Session<'a>>,
    ) -> Result<(), Error> {
        let content = Content {
            digest,
            size,
            source,
        };
        let mut failures = 0;
        let mut in_chunks = false;
        loop {
            let mut session = match begun.take() {
                Some(session) => session,
                None => Session::start(self, repository).await?,
            };
            let sent = if in_chunks {
                send_chunks(&mut session, content).await
            } else {
                session.finish(digest, content.part(0, size)).await
            };
            let Err(error) = sent else { return Ok(()) };
            session.cancel().await;
            if !in_chunks && wants_chunks(&error) {
                in_chunks = true;
                continue;
            }
            // What the source has to say has been tried again already.
            if !error.registry().is_empty() {
                return Err(error);
            }
            let wait = retry::wait(&self.settings().retries, failures, &error).ok_or(error)?;
            failures += 1;
            // Once may be an accident.
            in_chunks |= failures > 1;
            tokio::time::sleep(wait).await;
        }
    }
}

impl<'a> Content<'a> {
    fn part(self, from: u64, length: u64) -> Payload<'a> {
        Payload::Source {
            source: self.source,
            from,
            length,
        }
    }
}

/// Sends a blob chunk by chunk. A chunk that breaks off is sent again from where the registry has it.
async fn send_chunks(session: &mut Session<'_>, content: Content<'_>) -> Result<(), Error> {
    let chunk = CHUNK.max(session.chunk_min);
    let mut failures = 0;
    let mut sent = 0;
    while sent < content.size {
        let length = chunk.min(content.size - sent);
        let error = match session
            .patch(sent, length, content.part(sent, length))
            .await
        {
            Ok(()) => {
                sent += length;
                failures = 0;
                continue;
            }
            Err(error) => error,
        };
        if !error.registry().is_empty() {
            return Err(error);
        }
        let wait =
            retry::wait(&session.client.settings().retries, failures, &error).ok_or(error)?;
        failures += 1;
        tokio::time::sleep(wait).await;
        sent = session.progress().await?.min(content.size);
    }
    session.finish(content.digest, Payload::Empty).await
}

/// Whether a registry says that it cannot take a blob in one piece.
fn wants_chunks(error: &Error) -> bool {
    match error.kind() {
        Kind::Rejected { status } => matches!(status, 411 | 413 | 416),
        Kind::Unsupported => true,
        _ => false,
    }
}
