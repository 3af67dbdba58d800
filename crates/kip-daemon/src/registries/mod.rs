//! Asks the registries what references stand for, with the pull secrets that the pods have.

mod lost;
mod secrets;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use futures::stream::BoxStream;
use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Secret;
use kip_image::{Digest, Keyring, Reference};
use kip_registry::{Client, Credential, Proxies, RateLimit, Retries, Settings};
use kube::api::Api;
use tokio::task::AbortHandle;
use tracing::{debug, info};

pub use self::lost::Lost;
use crate::answers::{Answers, NoAnswer, Question, Unfit, Why};
use crate::api_error::chain;
use crate::architecture::Architecture;
use crate::cluster::Content;
use crate::inspect::{self, Inspected};
use crate::observe::{Observation, Sender};

/// Registries are asked for so many images at a time.
const AT_ONCE: usize = 8;

/// How registries are reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Hosts that are spoken to without TLS, as references name them.
    pub plain_http: BTreeSet<String>,
    /// Names of the pull secrets.
    pub pull_secrets: Vec<String>,
    /// What is known of images already, by reference: they are not looked into again.
    pub inspected: BTreeMap<String, Content>,
}

/// Asks what it is told to, in the background.
pub struct Asker {
    secrets: Api<Secret>,
    ca_file: Option<PathBuf>,
    tx: Sender,
    /// The refresh of each list that is being asked for: a newer one takes its place.
    refreshes: Mutex<Vec<(Question, AbortHandle)>>,
}

impl Asker {
    /// Answers go to `tx`. The file has certificates of authorities in PEM that are trusted beside the system's.
    pub fn new(secrets: Api<Secret>, ca_file: Option<PathBuf>, tx: Sender) -> Self {
        Self {
            secrets,
            ca_file,
            tx,
            refreshes: Mutex::default(),
        }
    }

    /// Begins to ask, unless this very question, for a refresh, is being asked.
    pub fn ask(&self, question: Question, reach: impl FnOnce() -> Reach) {
        if !question.is_of_refresh() {
            let reach = reach();
            // One registry that is silent holds up no other.
            for question in question.by_registry() {
                self.begin(question, reach.clone());
            }
            return;
        }
        let refreshes = self.refreshes.lock();
        let mut refreshes = refreshes.unwrap_or_else(PoisonError::into_inner);
        refreshes.retain(|(_, task)| !task.is_finished());
        if refreshes.iter().any(|(other, _)| *other == question) {
            return;
        }
        let of_list = |(other, _): &mut (Question, AbortHandle)| other.content == question.content;
        for (_, task) in refreshes.extract_if(.., of_list) {
            task.abort();
        }
        let task = self.begin(question.clone(), reach());
        refreshes.push((question, task));
    }

    fn begin(&self, question: Question, reach: Reach) -> AbortHandle {
        let ca_file = self.ca_file.clone();
        let (secrets, tx) = (self.secrets.clone(), self.tx.clone());
        let task = tokio::spawn(async move {
            // Made anew for each question: the file may have changed, and tokens are for an hour at most.
            let client = match client(&reach, ca_file.as_deref()) {
                Ok(client) => client,
                Err(error) => {
                    let words = format!("registries cannot be asked: {error:#}");
                    let answers = unanswered(question, &words);
                    let _ = tx.send(Observation::Answers(answers)).await;
                    return;
                }
            };
            let (keyring, bad_secrets) = secrets::keyring(&secrets, &reach.pull_secrets).await;
            let mut answers = answers(&client, &keyring, question, bad_secrets).await;
            let unknown = unknown(&answers, &reach.inspected);
            let mut inspected = inspections(&client, &keyring, unknown);
            let mut first = Vec::new();
            // Before nodes ask for what has changed it is known whether they can use it.
            if answers.question.is_of_refresh() {
                first = inspected.by_ref().collect().await;
                answers.unfit = unfit(&answers.question, &first);
            }
            // A controller that has ended needs no answer.
            let _ = tx.send(Observation::Answers(answers)).await;
            let mut inspected = stream::iter(first).chain(inspected);
            while let Some((image, inspected)) = inspected.next().await {
                let _ = tx.send(Observation::Inspected(image, inspected)).await;
            }
        });
        task.abort_handle()
    }
}

/// A registry that does not answer must not hold up the others for long: it is asked again at the next interval, and by
/// nodes meanwhile.
const RETRIES: Retries = Retries {
    count: 2,
    first_wait: Duration::from_millis(500),
    longest_wait: Duration::from_secs(10),
};
const IDLE: Duration = Duration::from_secs(20);

fn client(reach: &Reach, ca_file: Option<&Path>) -> anyhow::Result<Client> {
    Ok(Client::new(Settings {
        retries: RETRIES,
        idle_timeout: IDLE,
        ..settings(&reach.plain_http, ca_file)?
    })?)
}

/// No registry was asked.
fn unanswered(question: Question, words: &str) -> Answers {
    let no = |name: &String| {
        let words = words.to_owned();
        let why = Why::Failed;
        (name.clone(), NoAnswer { why, words })
    };
    Answers {
        unanswered: question.images.keys().map(no).collect(),
        question,
        digests: BTreeMap::new(),
        unfit: Unfit::default(),
        bad_secrets: BTreeMap::new(),
    }
}

/// What a reference is, or why it is no image.
type Inspection = (String, Result<Box<Inspected>, NoAnswer>);

/// What was found to have nothing for nodes of some architecture, by the images' names.
fn unfit(question: &Question, inspected: &[Inspection]) -> Unfit {
    let lacks = |found: &Result<Box<Inspected>, NoAnswer>| match found {
        Ok(inspected) => inspected.absent(),
        Err(_) => Architecture::ALL.into(),
    };
    let of = |image: &String| {
        let found = inspected.iter().find(|(it, _)| it == image);
        found.map(|(_, found)| lacks(found))
    };
    let images = question.images.iter();
    let unfit = images.filter_map(|(name, image)| Some((name.clone(), of(image)?)));
    Unfit(unfit.collect())
}

/// How a client reaches registries: those named without TLS, the others also by the authorities of this file.
///
/// # Errors
/// The file cannot be read.
pub fn settings(plain_http: &BTreeSet<String>, ca_file: Option<&Path>) -> anyhow::Result<Settings> {
    let read = |path: &Path| {
        let context = || {
            format!(
                "REGISTRY_CA_FILE={}: the file cannot be read",
                path.display()
            )
        };
        std::fs::read(path).with_context(context)
    };
    let ca = ca_file.map(read).transpose()?;
    Ok(Settings {
        plain_http: plain_http.clone(),
        extra_ca: ca.into_iter().collect(),
        proxies: Proxies::from_env(),
        user_agent: concat!("kip-daemon/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..Settings::default()
    })
}

/// The references, by digest, that are to be looked into.
fn unknown(answers: &Answers, known: &BTreeMap<String, Content>) -> Vec<(String, Reference)> {
    let is_new = |(image, digest): &(&String, &String)| {
        known.get(*image).copied() != Some(Content::of(digest))
    };
    let images = answers.question.images.iter();
    images
        .filter_map(|(name, image)| Some((image, answers.digests.get(name)?)))
        .filter(is_new)
        .filter_map(|(image, digest)| {
            let reference = Reference::parse(image).ok()?;
            let digest = Digest::parse(digest).ok()?;
            Some((image.clone(), reference.with_digest(digest)))
        })
        .collect()
}

fn inspections<'a>(
    client: &'a Client,
    keyring: &'a Keyring,
    images: Vec<(String, Reference)>,
) -> BoxStream<'a, Inspection> {
    let inspect = move |(image, reference): (String, Reference)| async move {
        if !has_plenty(client.rate_limit(reference.registry())) {
            debug!(
                image,
                "not looked into: few pulls are left, and nodes need them"
            );
            return None;
        }
        let credentials = Credential::all_for(&reference, keyring);
        match inspect::inspect(client, &reference, &credentials).await {
            Ok(inspected) => Some((image, Ok(Box::new(inspected)))),
            Err(error @ inspect::Error::NoImage { .. }) => {
                let words = chain(&error);
                let why = Why::NoImage;
                Some((image, Err(NoAnswer { why, words })))
            }
            Err(error) => {
                debug!(
                    image,
                    detail = chain(&error),
                    "the image could not be looked into"
                );
                None
            }
        }
    };
    let found = stream::iter(images.into_iter().map(inspect)).buffer_unordered(AT_ONCE);
    found.filter_map(async |found| found).boxed()
}

/// Whether to read manifests: some registries count each of them as a pull, and let nodes that ask from the same address
/// have as many less.
fn has_plenty(limit: Option<RateLimit>) -> bool {
    limit.is_none_or(|it| it.limit.is_none_or(|all| it.remaining > all / 2))
}

async fn answers(
    client: &Client,
    keyring: &Keyring,
    question: Question,
    bad_secrets: BTreeMap<String, String>,
) -> Answers {
    let lost = Lost::default();
    let lost = &lost;
    let ask = |(name, image): (&String, &String)| {
        let (name, image) = (name.clone(), image.clone());
        async move { (name, digest(client, keyring, &image, lost).await) }
    };
    let mut asked = stream::iter(question.images.iter().map(ask)).buffer_unordered(AT_ONCE);
    let mut digests = BTreeMap::new();
    let mut unanswered = BTreeMap::new();
    while let Some((name, answer)) = asked.next().await {
        match answer {
            Ok(digest) => drop(digests.insert(name, digest)),
            Err(no) => drop(unanswered.insert(name, no)),
        }
    }
    drop(asked);
    Answers {
        question,
        digests,
        unanswered,
        unfit: Unfit::default(),
        bad_secrets,
    }
}

async fn digest(
    client: &Client,
    keyring: &Keyring,
    image: &str,
    lost: &Lost,
) -> Result<String, NoAnswer> {
    let reference = Reference::parse(image).map_err(|error| NoAnswer {
        why: Why::Failed,
        words: error.to_string(),
    })?;
    if let Some(words) = lost.spares(&reference) {
        let why = Why::Unreachable;
        return Err(NoAnswer { why, words });
    }
    let credentials = Credential::all_for(&reference, keyring);
    match client.resolve(&reference, &credentials).await {
        Ok(resolved) => {
            debug!(image, digest = %resolved.digest, "the registry has answered");
            Ok(resolved.digest.to_string())
        }
        Err(error) => {
            let words = chain(&error);
            info!(image, detail = words, "the registry tells no digest");
            lost.learn(&reference, error.kind(), &words);
            Err(NoAnswer {
                why: Why::from(error.kind()),
                words,
            })
        }
    }
}
