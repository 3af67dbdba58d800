//! What comes of one image.

use std::sync::Arc;
use std::time::Duration;

use kip_image::Reference;
use tokio::time::{Instant, timeout};

use super::{Service, Unproven};
use crate::answer::Outcome;
use crate::copies::Source;
use crate::originals::{Original, Reader, Why};
use crate::words;

/// A registry that has not answered by then is taken to be away, where there is a copy to give; or by a third of the time that
/// there is, where that is less.
const PATIENCE: Duration = Duration::from_secs(3);

impl Service {
    /// Who asks waits until the deadline; what has been begun goes on.
    pub(super) async fn outcome(
        &self,
        reference: &Reference,
        reader: Reader,
        is_dry: bool,
        deadline: Instant,
    ) -> Outcome {
        let patience = PATIENCE.min(deadline.saturating_duration_since(Instant::now()) / 3);
        let mut asked = std::pin::pin!(self.originals.of(reference, &reader));
        let original = match timeout(patience, &mut asked).await {
            Ok(original) => original,
            Err(_) => match self.given(reference, &reader).await {
                Ok(copy) => return Outcome::There(copy),
                // There is only to wait on.
                Err(_) => asked.await,
            },
        };
        match original {
            Original::There(digest) => {
                let source = Source {
                    reference: reference.clone(),
                    digest,
                    credentials: Arc::from(reader.credentials.clone()),
                };
                self.copied(source, &reader, is_dry).await
            }
            Original::Denied(why) => self.withdrawn(reference, &why).await,
            Original::Gone(why) => {
                let given = self.given(reference, &reader).await;
                given.map_or_else(|other| failed(&why, &other), Outcome::There)
            }
        }
    }

    /// The copy, while its original is away: for who has read it before. Else why not.
    async fn given(&self, reference: &Reference, reader: &Reader) -> Result<Reference, String> {
        let copy = self.found(reference).await?;
        if self.unproven == Unproven::Give || self.is_proven(reference, &copy, reader).await {
            Ok(copy)
        } else {
            Err("nothing shows that these pods may read it".to_owned())
        }
    }

    /// What is denied to all who ask is as if it were not there: some registries say so of what was deleted. It was everybody's
    /// where it was read without credentials.
    async fn withdrawn(&self, reference: &Reference, why: &Why) -> Outcome {
        let anybody = Reader::anybody();
        let copy = match self.found(reference).await {
            Ok(copy) => copy,
            Err(other) => return failed(why, &other),
        };
        if self.is_proven(reference, &copy, &anybody).await {
            return Outcome::There(copy);
        }
        Outcome::Failed(why.words.to_string())
    }

    async fn found(&self, reference: &Reference) -> Result<Reference, String> {
        match self.copier.find(reference).await {
            Ok(Some(copy)) => Ok(copy),
            Ok(None) => Err("there is no copy of it".to_owned()),
            Err(error) => Err(words::of(&error)),
        }
    }

    /// Whether who asks could read the copy's content before, as far as any replica knows.
    async fn is_proven(&self, reference: &Reference, copy: &Reference, reader: &Reader) -> bool {
        let Some(digest) = copy.digest() else {
            return false;
        };
        if self.originals.is_proven(reference, digest, reader) {
            return true;
        }
        let Some(remembering) = &self.remembering else {
            return false;
        };
        remembering.look(&self.originals).await;
        self.originals.is_proven(reference, digest, reader)
    }

    /// That there is a copy now is a proof for who has asked.
    async fn copied(&self, source: Source, reader: &Reader, is_dry: bool) -> Outcome {
        if is_dry {
            // Nothing may come of it: the name is what it would be.
            let place = self.naming.place(&source.reference);
            return match place {
                Ok(place) => Outcome::There(place.with_digest(source.digest)),
                Err(error) => Outcome::Failed(error.to_string()),
            };
        }
        let (reference, digest) = (source.reference.clone(), source.digest.clone());
        match self.copier.copy_of(source).await {
            Ok(copy) => {
                self.originals.note(&reference, &digest, reader);
                Outcome::There(copy)
            }
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }
}

fn failed(why: &Why, other: &str) -> Outcome {
    Outcome::Failed(format!("{}, and {other}", why.words))
}
