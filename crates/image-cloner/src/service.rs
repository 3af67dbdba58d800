//! One request from its beginning to its answer.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::join_all;
use kip_image::{Keyring, Reference};
use kip_registry::Kind;
use tokio::time::{Instant, timeout_at};

use crate::answer::{self, Object, Outcome, Rules};
use crate::copies::{Copier, Source};
use crate::naming::Naming;
use crate::originals::{Original, Originals, Reader};
use crate::remembering::Remembering;
use crate::review::{Answer, Asked, Request};
use crate::scope::{Scope, Task, Wanted};
use crate::workload::Kind as WorkloadKind;

/// What becomes of an image whose original is away, when nothing proves that who asks may read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unproven {
    /// It stays as it is.
    Keep,
    /// It is given the copy: for registries whose images all may be read by all.
    Give,
}

/// What the settings say.
pub struct Service {
    /// What is left alone.
    pub scope: Scope,
    /// Where copies are.
    pub naming: Naming,
    /// What is answered.
    pub rules: Rules,
    /// What is given without a proof.
    pub unproven: Unproven,
    /// Asks for the originals.
    pub originals: Originals,
    /// Makes the copies.
    pub copier: Copier,
    /// Where other replicas remember what they have proven; `None` where there are no others.
    pub remembering: Option<Remembering>,
}

/// The credentials of the pods of an object.
#[derive(Debug, Default)]
pub struct PodSecrets {
    /// Those that kubelet would have.
    pub keyring: Keyring,
    /// The pull secrets of the pods' service account; `None` where they are not known.
    pub account: Option<Vec<String>>,
}

impl Service {
    /// Answers before the deadline. Copies that take longer go on. The secrets are read only where they matter.
    pub async fn answer(
        self: &Arc<Self>,
        asked: &Asked,
        secrets: impl Future<Output = Arc<PodSecrets>>,
        deadline: Instant,
    ) -> Answer {
        let request = &asked.request;
        let task = match self.scope.task(request, &self.naming) {
            Ok(task) => task,
            Err(why) => return answer::left_alone(why),
        };
        let Some(kind) = WorkloadKind::of(&request.kind.group, &request.kind.kind) else {
            return Answer::default();
        };
        let mut secrets_read = None;
        if !task.wanted.is_empty() {
            secrets_read = timeout_at(deadline, secrets).await.ok();
        }
        let outcomes = match &secrets_read {
            Some(secrets) => self.outcomes(request, kind, &task, secrets, deadline).await,
            None => vec![Outcome::Late; task.wanted.len()],
        };
        let object = Object {
            kind,
            operation: request.operation,
            value: &request.object,
            account_secrets: secrets_read.as_ref().and_then(|it| it.account.as_deref()),
        };
        answer::answer(object, &task, &outcomes, &self.rules)
    }

    /// What came of each image, in the task's order.
    async fn outcomes(
        self: &Arc<Self>,
        request: &Request,
        kind: WorkloadKind,
        task: &Task,
        secrets: &PodSecrets,
        deadline: Instant,
    ) -> Vec<Outcome> {
        // The same image in two containers is one.
        let mut distinct: Vec<&Reference> = task.wanted.iter().map(|it| &it.reference).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let is_dry = request.dry_run == Some(true);
        let outcomes = distinct.iter().map(async |reference| {
            let reader = Reader::new(&secrets.keyring, reference);
            let (service, reference) = (Arc::clone(self), (*reference).clone());
            // A task of its own: what is begun goes on when the time is over, and the next request finds it done.
            let outcome =
                tokio::spawn(async move { service.outcome(&reference, reader, is_dry).await });
            match timeout_at(deadline, outcome).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(error)) => Outcome::Failed(format!("it has broken off: {error}")),
                Err(_) => Outcome::Late,
            }
        });
        let outcomes = join_all(outcomes).await;
        let by_reference: HashMap<&Reference, Outcome> =
            distinct.into_iter().zip(outcomes).collect();
        // Nobody may change a Job's template, also not to what a tag stands for by now.
        let is_fixed = (kind.group, kind.name) == ("batch", "Job");
        let of = |wanted: &Wanted| match &wanted.before {
            Some(copy) if is_fixed => Some(Outcome::There(copy.clone())),
            _ => by_reference.get(&wanted.reference).cloned(),
        };
        task.wanted.iter().filter_map(of).collect()
    }

    async fn outcome(&self, reference: &Reference, reader: Reader, is_dry: bool) -> Outcome {
        let error = match self.originals.of(reference, &reader).await {
            Original::There(digest) => {
                let source = Source {
                    reference: reference.clone(),
                    digest,
                    credentials: Arc::from(reader.credentials),
                };
                return self.copied(source, is_dry).await;
            }
            Original::Denied(error) => return Outcome::Failed(error.to_string()),
            Original::Gone(error) => error,
        };
        let copy = match self.copier.find(reference).await {
            Ok(Some(copy)) => copy,
            Ok(None) => return Outcome::Failed(format!("{error}, and there is no copy of it")),
            Err(second) => return Outcome::Failed(format!("{error}; {second}")),
        };
        if self.unproven == Unproven::Give || self.is_proven(reference, &copy, &reader).await {
            return Outcome::There(copy);
        }
        let what = if *error.kind() == Kind::NotFound {
            "gone"
        } else {
            "not to be reached"
        };
        Outcome::Failed(format!(
            "the original is {what}, and nothing shows that these pods may read it: {error}"
        ))
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

    async fn copied(&self, source: Source, is_dry: bool) -> Outcome {
        if is_dry {
            // Nothing may come of it: the name is what it would be.
            let place = self.naming.place(&source.reference);
            return match place {
                Ok(place) => Outcome::There(place.with_digest(source.digest)),
                Err(error) => Outcome::Failed(error.to_string()),
            };
        }
        match self.copier.copy_of(source).await {
            Ok(copy) => Outcome::There(copy),
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }
}
