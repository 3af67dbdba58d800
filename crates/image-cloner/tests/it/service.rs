//! Requests from their beginning to their answer, between real registries.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use image_cloner::answer::{Rules, Without};
use image_cloner::copies::{Copier, Settings};
use image_cloner::metrics::Metrics;
use image_cloner::naming::{Naming, Scheme};
use image_cloner::originals::{self, Originals, Reader};
use image_cloner::proofs::Proofs;
use image_cloner::review::{self, Answer, Change};
use image_cloner::scope::Scope;
use image_cloner::service::{PodSecrets, Service, Unproven};
use image_cloner::workload::KINDS;
use kip_image::{Keyring, PullSecret, SecretType};
use kip_registry::{Client, Credential, Options};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::client;
use crate::support::debian::{Debian, Setup, USER};
use crate::support::image::{bytes, image};

struct Stage {
    source: Option<Debian>,
    host: String,
    target: Debian,
    client: Client,
    service: Arc<Service>,
    _data: [TempDir; 2],
}

impl Stage {
    fn new(is_private: bool) -> Self {
        let data = [TempDir::new().unwrap(), TempDir::new().unwrap()];
        let setup = Setup {
            password: is_private,
            ..Setup::default()
        };
        let source = Debian::start(&data[0], &setup);
        let target = Debian::start(&data[1], &Setup::default());
        let client = client([source.host(), target.host()]);
        Self {
            service: Arc::new(service(&client, target.host())),
            host: source.host().to_owned(),
            source: Some(source),
            target,
            client,
            _data: data,
        }
    }

    fn source(&self) -> &Debian {
        self.source.as_ref().unwrap()
    }

    fn end_source(&mut self) {
        crate::end(self.source.take().unwrap());
    }

    /// A pod with this image, dealt with for so long.
    async fn pod(&self, image: &str, secrets: &Arc<PodSecrets>, within: Duration) -> Answer {
        self.asked(
            json!({"name": "c", "image": format!("{}/{image}", self.host)}),
            false,
            secrets,
            within,
        )
        .await
    }

    async fn asked(
        &self,
        container: Value,
        is_dry: bool,
        secrets: &Arc<PodSecrets>,
        within: Duration,
    ) -> Answer {
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "u", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "namespace": "team",
                "operation": "CREATE", "dryRun": is_dry, "object": {"spec": {"containers": [container]}},
            },
        });
        let asked = review::read(review.to_string().as_bytes()).unwrap();
        let secrets = std::future::ready(secrets.clone());
        self.service
            .answer(&asked, secrets, Instant::now() + within)
            .await
    }
}

/// One that speaks to no registry without TLS.
pub(crate) fn client_of_nobody() -> Client {
    client([])
}

/// Copies to this registry.
pub(crate) fn service(client: &Client, target: &str) -> Service {
    let naming = Naming::new(&format!("{target}/backup"), "", Scheme::Path).unwrap();
    let settings = Settings {
        naming: naming.clone(),
        options: Options::default(),
        at_once: 4,
        fresh: Duration::ZERO,
    };
    Service {
        scope: Scope {
            namespaces: BTreeSet::new(),
            kinds: KINDS.to_vec(),
            owner_groups: Vec::new(),
            labels: Vec::new(),
            allowed: BTreeSet::new(),
            denied: BTreeSet::new(),
        },
        naming,
        rules: Rules {
            on_timeout: Without::Admit,
            on_failure: Without::Admit,
            pull_secret: None,
        },
        unproven: Unproven::Keep,
        originals: Originals::new(client.clone(), Proofs::new(b"key"), ASKED),
        remembering: None,
        copier: Copier::new(client.clone(), settings, Arc::new([]), Metrics::default()),
    }
}

/// Every time anew.
const ASKED: originals::Settings = originals::Settings {
    lifetime: LONG,
    fresh: Duration::ZERO,
};
const LONG: Duration = Duration::from_secs(60);

/// What the image is replaced by.
fn replacement(answer: &Answer) -> Option<String> {
    answer.changes.iter().find_map(|change| match change {
        Change::Replace { value, .. } => value.as_str().map(str::to_owned),
        Change::Add { .. } => None,
    })
}

fn of(host: &str, user: &str, password: &str) -> Arc<PodSecrets> {
    let config = json!({"auths": {host: {"username": user, "password": password}}});
    let secret = PullSecret::parse(SecretType::DockerConfigJson, config.to_string().as_bytes());
    Arc::new(PodSecrets {
        keyring: Keyring::new([secret.unwrap()]),
        account: None,
    })
}

#[tokio::test]
async fn a_pod_runs_from_the_copy_also_when_the_original_is_gone() {
    let mut stage = Stage::new(false);
    stage
        .source()
        .push("team/app", "1", &image(&[b"one"], ""))
        .await;
    let anybody = Arc::default();
    let first = replacement(&stage.pod("team/app:1", &anybody, LONG).await).unwrap();
    let name = format!(
        "{}/backup/{}/team/app:1@sha256:",
        stage.target.host(),
        stage.host.replace(':', "__")
    );
    assert!(first.starts_with(&name), "{first}");
    stage.end_source();
    let again = stage.pod("team/app:1", &anybody, LONG).await;
    assert_eq!(replacement(&again), Some(first));
    let other = stage.pod("team/other:1", &anybody, LONG).await;
    assert_eq!((replacement(&other), other.warnings.len()), (None, 1));
}

#[tokio::test]
async fn a_private_image_is_given_only_to_who_could_read_it() {
    let mut stage = Stage::new(true);
    let source = format!("{}/team/app:1", stage.host);
    let pushed = crate::support::reference(&format!("{}/team/app:1", stage.host));
    let owner = [Credential::basic(USER.0, USER.1)];
    // By way of the copies' registry, which lets anybody write.
    stage
        .target
        .push("tmp/app", "1", &image(&[b"one"], ""))
        .await;
    let from = crate::support::reference(&format!("{}/tmp/app:1", stage.target.host()));
    let (from, to) = (
        kip_registry::Place {
            reference: &from,
            credentials: &[],
        },
        kip_registry::Place {
            reference: &pushed,
            credentials: &owner,
        },
    );
    let (options, nobody) = (Options::default(), kip_registry::Progress::none());
    let copied = kip_registry::copy(&stage.client, from, to, &options, &nobody);
    copied.await.unwrap();

    let (bob, eve) = (
        of(&stage.host, USER.0, USER.1),
        of(&stage.host, "eve", "guess"),
    );
    let given = replacement(&stage.pod("team/app:1", &bob, LONG).await);
    assert!(given.is_some(), "{source}");
    assert_eq!(
        replacement(&stage.pod("team/app:1", &eve, LONG).await),
        None
    );
    assert_eq!(
        replacement(&stage.pod("team/app:1", &Arc::default(), LONG).await),
        None
    );
    // What everybody could read is given though it is denied by now: some registries say so of what was deleted.
    let (digest, name) = (crate::support::reference(given.as_deref().unwrap()), pushed);
    let (digest, anybody) = (digest.digest().unwrap().clone(), Reader::anybody());
    let public = Arc::new(service(&stage.client, stage.target.host()));
    public.originals.note(&name, &digest, &anybody);
    let private = std::mem::replace(&mut stage.service, public);
    let to_eve = replacement(&stage.pod("team/app:1", &eve, LONG).await);
    assert_eq!(to_eve, given);
    stage.service = private;
    // The registry is away: what was proven counts.
    stage.end_source();
    assert_eq!(
        replacement(&stage.pod("team/app:1", &bob, LONG).await),
        given
    );
    let refused = stage.pod("team/app:1", &eve, LONG).await;
    assert_eq!(replacement(&refused), None);
    let told =
        refused.annotations["without-copy"].contains("nothing shows that these pods may read it");
    assert!(
        told && !format!("{refused:?}").contains("guess"),
        "{refused:?}"
    );
    // A process that has forgotten, and one that does not care.
    let forgetful = service(&stage.client, stage.target.host());
    stage.service = Arc::new(forgetful);
    assert_eq!(
        replacement(&stage.pod("team/app:1", &bob, LONG).await),
        None
    );
    let mut careless = service(&stage.client, stage.target.host());
    careless.unproven = Unproven::Give;
    stage.service = Arc::new(careless);
    assert_eq!(
        replacement(&stage.pod("team/app:1", &eve, LONG).await),
        given
    );
}

#[tokio::test]
async fn past_the_deadline_a_pod_passes_as_it_is_and_the_next_one_finds_the_copy() {
    let stage = Stage::new(false);
    let layer = bytes(2_000_000);
    stage.source().push("app", "1", &image(&[&layer], "")).await;
    let anybody = Arc::default();
    let late = stage.pod("app:1", &anybody, Duration::ZERO).await;
    assert_eq!((replacement(&late), late.refusal.clone()), (None, None));
    assert!(late.warnings[0].contains("still being copied"), "{late:?}");
    assert!(replacement(&stage.pod("app:1", &anybody, LONG).await).is_some());
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let stage = Stage::new(false);
    stage.source().push("app", "1", &image(&[b"one"], "")).await;
    let container = json!({"name": "c", "image": format!("{}/app:1", stage.host)});
    let dry = stage.asked(container, true, &Arc::default(), LONG).await;
    let name = replacement(&dry).unwrap();
    assert_eq!(stage.service.copier.made(), 0);
    let copy = crate::support::reference(&name);
    assert!(
        stage.client.resolve(&copy, &[]).await.is_err(),
        "there is no {name}"
    );
    let real = stage.pod("app:1", &Arc::default(), LONG).await;
    assert_eq!(replacement(&real), Some(name));
}

#[tokio::test]
async fn secrets_that_do_not_come_in_time_are_not_taken_for_none() {
    let stage = Stage::new(false);
    stage.source().push("app", "1", &image(&[b"one"], "")).await;
    let container = json!({"name": "c", "image": format!("{}/app:1", stage.host)});
    let review = |container: Value| {
        let request = json!({
            "uid": "u", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "namespace": "team",
            "operation": "CREATE", "object": {"spec": {"containers": [container]}},
        });
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request,
        });
        review::read(review.to_string().as_bytes()).unwrap()
    };
    let soon = || Instant::now() + Duration::from_millis(50);
    let asked = review(container);
    let answer = stage.service.answer(&asked, std::future::pending(), soon());
    let answer = answer.await;
    assert_eq!(
        (replacement(&answer), answer.outcomes),
        (None, vec!["late"])
    );
    // Where nothing is wanted they are not asked for.
    let asked = review(json!({"name": "c", "image": "auto"}));
    let answer = stage.service.answer(&asked, std::future::pending(), soon());
    assert_eq!(answer.await.outcomes, ["placeholder"]);
}
