//! One request from its beginning to its answer.

mod image;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures::future::join_all;
use kip_image::{Keyring, Reference};
use tokio::time::{Instant, timeout_at};

use crate::answer::{self, Object, Outcome, Rules};
use crate::copies::Copier;
use crate::naming::Naming;
use crate::originals::{Originals, Reader};
use crate::remembering::Remembering;
use crate::review::{Answer, Asked, Request};
use crate::scope::{Left, Scope, Task, Wanted};
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
        let mut task = match self.scope.task(request, &self.naming) {
            Ok(task) => task,
            Err(why) => return answer::left_alone(why),
        };
        let Some(kind) = WorkloadKind::of(&request.kind.group, &request.kind.kind) else {
            return Answer::default();
        };
        if self
            .rules
            .lacks_secret(kind, request.operation, &request.object)
        {
            // A copy that it cannot pull is worse than none.
            let wanted = std::mem::take(&mut task.wanted);
            let left = wanted.into_iter().map(|it| (it.pointer, Left::Secret));
            task.left.extend(left);
        }
        let mut secrets_read = None;
        if !task.wanted.is_empty() {
            secrets_read = timeout_at(deadline, secrets).await.ok();
        }
        let outcomes = match &secrets_read {
            Some(secrets)
                if secrets.account.is_none() && self.rules.needs_account(kind, &request.object) =>
            {
                let words = "the pull secrets of its service account cannot be read";
                vec![Outcome::Failed(words.to_owned()); task.wanted.len()]
            }
            Some(secrets) => self.outcomes(request, &task, secrets, deadline).await,
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

    /// Where the images are that are asked for: all but those whose copy stood there before and still is there, or is not known
    /// to be gone.
    async fn asked_for(&self, task: &Task, deadline: Instant) -> BTreeSet<String> {
        let is_new = task.wanted.iter().map(async |wanted| {
            let is_new = match &wanted.before {
                Some(copy) if !wanted.follows => {
                    let looked = timeout_at(deadline, self.copier.is_there(copy)).await;
                    matches!(looked, Ok(Ok(false)))
                }
                _ => true,
            };
            is_new.then(|| wanted.pointer.clone())
        });
        join_all(is_new).await.into_iter().flatten().collect()
    }

    /// What came of each image, in the task's order.
    async fn outcomes(
        self: &Arc<Self>,
        request: &Request,
        task: &Task,
        secrets: &PodSecrets,
        deadline: Instant,
    ) -> Vec<Outcome> {
        let new = self.asked_for(task, deadline).await;
        // The same image in two containers is one.
        let wanted = task.wanted.iter().filter(|it| new.contains(&it.pointer));
        let mut distinct: Vec<&Reference> = wanted.map(|it| &it.reference).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let is_dry = request.dry_run == Some(true);
        let outcomes = distinct.iter().map(async |reference| {
            let reader = Reader::new(&secrets.keyring, reference);
            let (service, reference) = (Arc::clone(self), (*reference).clone());
            // A task of its own: what is begun goes on when the time is over, and the next request finds it done.
            let outcome = tokio::spawn(async move {
                let outcome = service.outcome(&reference, reader, is_dry, deadline);
                outcome.await
            });
            match timeout_at(deadline, outcome).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(error)) => Outcome::Failed(format!("it has broken off: {error}")),
                Err(_) => Outcome::Late,
            }
        });
        let outcomes = join_all(outcomes).await;
        let by_reference: HashMap<&Reference, Outcome> =
            distinct.into_iter().zip(outcomes).collect();
        let of = |wanted: &Wanted| match &wanted.before {
            Some(copy) if !new.contains(&wanted.pointer) => Some(Outcome::There(copy.clone())),
            _ => by_reference.get(&wanted.reference).cloned(),
        };
        task.wanted.iter().filter_map(of).collect()
    }
}
