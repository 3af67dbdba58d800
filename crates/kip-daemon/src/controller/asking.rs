//! Registries: what they are asked, and what their answers mean to people.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{Controller, Memory, Role};
use crate::answers::{Answers, NoAnswer, Question, Why};
use crate::api_error::ApiError;
use crate::cluster::{Cluster, Duty, Seen};
use crate::config::Config;
use crate::config::images::Image;
use crate::config::rollout::{Fallback, Refresh};
use crate::desired::content_hash_of;
use crate::desired::names::SUM;
use crate::events::Reason;
use crate::known::Known;
use crate::observe::Observation;
use crate::registries::Reach;

/// What is known of a list takes so many bytes of an annotation at most. All annotations together may have 256 KiB, and the
/// rollout needs some; without it a restart has registries asked again.
const SUM_MOST: usize = 64 * 1024;

impl Controller {
    /// Has registries asked; the answers are observed.
    pub(super) fn ask(&self, question: Question, memory: &Memory) {
        let main = match &self.role {
            Role::Main(main) => main,
            Role::Part(link) => {
                // Where there is no room for it now it is asked again.
                link.tell(Observation::Ask(question));
                return;
            }
        };
        let Some(config) = self.source.in_force() else {
            return;
        };
        main.asker.ask(question, || Reach {
            plain_http: config.registries.plain_http.clone(),
            pull_secrets: memory.pull_secrets(config),
            inspected: memory.known.contents(config),
        });
    }

    /// What is known of the images is made one sum of the list.
    pub(super) fn sum_up_what_is_known(&self, memory: &mut Memory) {
        let applied = memory.applied.as_ref();
        let content = applied.and_then(|applied| content_hash_of(&applied.desired));
        if let (Some(config), Some(content)) = (self.source.in_force(), content) {
            if let Seen::Present(live) = &memory.cluster.live
                && let Some(text) = live.annotations.get(SUM)
            {
                memory.known.restore(text, content);
            }
            if memory.known.sum_up(config, content) {
                // It is written down at once: who comes after a restart need not ask.
                memory.look_at = Instant::now();
            }
        }
    }

    /// Images that some node does not have yet are asked for at once: a mistake in a name is told before nodes try. So are
    /// those whose size is not known. What a daemon before has learnt is written down, so that a restart asks nobody.
    pub(super) fn ask_for_what_is_new(&self, memory: &mut Memory) {
        let Some(config) = self.source.in_force() else {
            return;
        };
        let is_main = matches!(self.role, Role::Main(_));
        let is_by_digest = config.rollout.refresh == Refresh::Digest;
        if !is_main || !is_by_digest || memory.total.wanted_nodes == 0 {
            return;
        }
        let secrets = memory.pull_secrets(config);
        let (known, status) = (&mut memory.known, &memory.total);
        // All of them, so that each is looked at.
        let new_secrets = secrets.iter().filter(|name| known.is_new(name)).count();
        if new_secrets > 0 {
            known.forget_failures(&secrets);
        }
        let is_summed_up = known.is_summed_up();
        let is_wanted = |known: &Known, image: &Image| {
            let is_missing = status.missing_on(&image.name) > 0;
            // Somebody may have mended it.
            let is_refused = matches!(known.of(&image.image), Some(Err(no)) if no.why.is_decided());
            is_missing || is_refused || (!is_summed_up && known.inspected(&image.image).is_none())
        };
        let images: BTreeMap<String, String> = config
            .images()
            .filter(|image| is_wanted(known, image) && known.is_new(&image.image))
            .map(|image| (image.name.clone(), image.image.clone()))
            .collect();
        if !images.is_empty() || new_secrets > 0 {
            self.ask(Question::of_new(images), memory);
        }
    }

    pub(super) fn take_answers(&mut self, mut answers: Answers, memory: &mut Memory) {
        let applied = memory.applied.as_ref();
        let content = applied.and_then(|applied| content_hash_of(&applied.desired));
        let is_for_us = content == Some(&answers.question.content);
        if let Role::Part(_) = &self.role {
            if is_for_us {
                memory.cluster.answers = Some(answers);
            }
            return;
        }
        memory.known.note(&answers);
        if let Some(config) = self.source.in_force() {
            memory.known.complete(&mut answers, config);
        }
        self.metrics.answers(&memory.known.counts());
        self.tell_bad_secrets(&answers);
        let question = &answers.question;
        let (asked, answered) = (question.images.len(), answers.digests.len());
        if !question.is_of_refresh() {
            info!(asked, answered, "registries were asked for what is new");
            return;
        }
        info!(asked, answered, "registries were asked for a refresh");
        if !answers.unanswered.is_empty() {
            self.tell_unanswered(&answers);
        }
        self.role.pass_on(|| Observation::Answers(answers.clone()));
        // Else they are for a part, or for a list that is not in force any more.
        if is_for_us {
            memory.cluster.answers = Some(answers);
        }
    }

    fn tell_bad_secrets(&self, answers: &Answers) {
        let groups = self.source.in_force().into_iter();
        let groups = groups.flat_map(|config| &config.groups);
        let named: Vec<&String> = groups.flat_map(|group| &group.pull_secrets).collect();
        for (secret, why) in &answers.bad_secrets {
            // One of the service account may be for nothing of the list.
            if answers.unanswered.is_empty() && !named.contains(&secret) {
                debug!(
                    secret,
                    why, "a pull secret that nobody needs cannot be used"
                );
                continue;
            }
            let text = format!("the pull secret {secret} cannot be used to ask registries: {why}");
            self.notices
                .tell(Reason::PullSecretUnusable, secret.as_str(), text);
        }
    }

    /// Writes down what is known of the list, where that is new. It is written once: a policy may take it off.
    pub(super) async fn write_down_the_sum(&self, memory: &mut Memory) -> Result<(), ApiError> {
        let (Some(sum), Seen::Present(live)) = (memory.known.sum(), &memory.cluster.live) else {
            return Ok(());
        };
        if memory.ours.as_ref() != Some(&live.uid) {
            return Ok(());
        }
        // Architectures, numbers and names can always be written.
        let text = serde_json::to_string(sum).unwrap_or_default();
        if text.len() > SUM_MOST {
            debug!(
                bytes = text.len(),
                "what is known of the list is too long to be written down"
            );
            return Ok(());
        }
        let written = Some((live.uid.clone(), text.clone()));
        if live.annotations.get(SUM) == Some(&text) || memory.written_sum == written {
            return Ok(());
        }
        let (is_written, live) = self.writer.annotate(live, &[(SUM, text)].into()).await?;
        if is_written {
            memory.written_sum = written;
        }
        memory.cluster.live = Seen::Present(live);
        Ok(())
    }

    fn tell_unanswered(&self, answers: &Answers) {
        let Some(config) = self.source.in_force() else {
            return;
        };
        // That there is no such image is an answer, and told as one.
        let is_none = |no: &NoAnswer| matches!(no.why, Why::NotFound | Why::NoImage);
        let silent = answers.unanswered.iter().filter(|(_, no)| !is_none(no));
        let silent: Vec<(&String, &NoAnswer)> = silent.collect();
        if silent.is_empty() {
            return;
        }
        let (asked, unanswered) = (answers.question.images.len(), silent.len());
        let then = match config.rollout.fallback {
            Fallback::Node => "nodes ask for those that are not said to be missing",
            Fallback::Always => "nodes ask for every tag",
            Fallback::Never => "they stay as they are",
        };
        let texts = silent
            .into_iter()
            .map(|(name, no)| format!("{name}: {}", no.words));
        let details: Vec<String> = texts.collect();
        let text = format!(
            "registries do not tell what {unanswered} of {asked} tags stand for; {then} (REFRESH_FALLBACK): {}",
            details.join("; ")
        );
        warn!(unanswered, asked, then, "registries have not answered");
        self.notices.tell(Reason::RegistryUnanswered, "", text);
    }
}

impl Memory {
    /// Those of the settings, then those that the pods got from their service account: only where the settings name none
    /// does Kubernetes give them any. All nodes may be those of parts.
    fn pull_secrets(&self, config: &Config) -> Vec<String> {
        let groups = config.groups.iter();
        let mut names: Vec<String> = groups
            .flat_map(|group| group.pull_secrets.iter().cloned())
            .collect();
        let own = newest_pull_secrets(&self.cluster);
        let parts = self.reports.values().flat_map(|it| &it.pull_secrets);
        for secret in own.iter().chain(parts) {
            if !names.iter().any(|name| **name == **secret) {
                names.push(secret.to_string());
            }
        }
        names
    }
}

/// Those of the newest pod that is no fetcher.
pub(super) fn newest_pull_secrets(cluster: &Cluster) -> Box<[Arc<str>]> {
    let holders = cluster.pods.values().filter(|pod| pod.duty == Duty::Hold);
    let newest = holders.max_by_key(|pod| pod.created);
    newest.map_or_else(Default::default, |pod| pod.pull_secrets.clone())
}
