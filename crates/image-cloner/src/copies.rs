//! Copies of images, each made once however many ask for it, and made to its end though nobody waits any more.

mod error;
mod pace;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kip_image::{Digest, Reference};
use kip_registry::{Client, Copied, Credential, Kind, Options, Place, copy};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tracing::{info, warn};

pub use self::error::CopyError;
use self::error::of;
use self::pace::Pace;
use crate::metrics::Metrics;
use crate::naming::Naming;
use crate::words;

/// How copies are made.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where they are.
    pub naming: Naming,
    /// What belongs to them.
    pub options: Options,
    /// So many are made at a time.
    pub at_once: usize,
    /// For so long nobody asks again whether one is there.
    pub fresh: Duration,
}

/// An image that is to be copied.
#[derive(Debug, Clone)]
pub struct Source {
    /// As it is asked for: of this the copy's name is made.
    pub reference: Reference,
    /// What it stands for now: this is copied.
    pub digest: Digest,
    /// Who may read it, tried in order.
    pub credentials: Arc<[Credential]>,
}

/// The copy's name, with tag and digest.
pub type Done = Result<Reference, CopyError>;

/// Makes copies. Clones are the same one.
#[derive(Clone)]
pub struct Copier(Arc<Shared>);

struct Shared {
    client: Client,
    settings: Settings,
    /// Who may write the copies.
    writers: Mutex<Arc<[Credential]>>,
    running: Mutex<HashMap<Reference, watch::Receiver<Option<Done>>>>,
    /// Copies that were there, and when that was found.
    there: Mutex<HashMap<Reference, Instant>>,
    /// For copies, which take long.
    slots: Semaphore,
    /// How many of those each registry has.
    shares: Mutex<HashMap<String, Arc<Semaphore>>>,
    /// For looking whether they are there, which does not.
    looks: Semaphore,
    made: AtomicU64,
    metrics: Metrics,
}

/// So many copies are looked for at the same time.
const LOOKS: usize = 64;
/// So many are made or wait: which images there are in requests is anybody's choice.
const MOST: usize = 2000;
/// A copy may take so long. A registry that sends a byte now and then would else hold a place for ever.
const LONGEST: Duration = Duration::from_secs(3600);

impl Copier {
    /// Copies by this client. The credentials are those of the copies' registry.
    pub fn new(
        client: Client,
        settings: Settings,
        writers: Arc<[Credential]>,
        metrics: Metrics,
    ) -> Self {
        Self(Arc::new(Shared {
            client,
            slots: Semaphore::new(settings.at_once),
            shares: Mutex::default(),
            looks: Semaphore::new(LOOKS),
            metrics,
            settings,
            writers: Mutex::new(writers),
            running: Mutex::default(),
            there: Mutex::default(),
            made: AtomicU64::new(0),
        }))
    }

    /// The copies' registry has other credentials now.
    pub fn set_writers(&self, writers: Arc<[Credential]>) {
        *lock(&self.0.writers) = writers;
    }

    /// How many copies were made.
    pub fn made(&self) -> u64 {
        self.0.made.load(Ordering::Relaxed)
    }

    /// The copy of an image, made where it is not there. Who waits no longer drops the future; the copy goes on.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn copy_of(&self, source: Source) -> Done {
        let place = self.0.settings.naming.place(&source.reference);
        let place = place.map_err(CopyError::Name)?;
        let copy = place.clone().with_digest(source.digest.clone());
        if self.0.is_fresh(&copy) {
            return Ok(copy);
        }
        let mut done = self.begin(&copy, place, source)?;
        let result = done.wait_for(Option::is_some).await;
        result.map_or(Err(CopyError::BrokenOff), |done| {
            done.clone().unwrap_or(Err(CopyError::BrokenOff))
        })
    }

    /// The copy that is there, as its tag says; one request. For an original that cannot be asked for.
    ///
    /// # Errors
    /// Where the copies' registry does not answer.
    pub async fn find(&self, original: &Reference) -> Result<Option<Reference>, CopyError> {
        let place = self
            .0
            .settings
            .naming
            .place(original)
            .map_err(CopyError::Name)?;
        let found = self.0.look(&place).await?;
        if found.is_none() {
            self.0.forget(&place);
        }
        Ok(found.map(|digest| place.with_digest(digest)))
    }

    /// Looks into a copy that is there, and mends what the registry has lost of it, such as the platforms of an index. Says
    /// whether anything was missing.
    ///
    /// # Errors
    /// Why it cannot be mended.
    pub async fn mend(&self, source: &Source) -> Result<bool, CopyError> {
        let place = self.0.settings.naming.place(&source.reference);
        let place = place.map_err(CopyError::Name)?;
        let options = Options {
            thorough: true,
            ..self.0.settings.options.clone()
        };
        let copied = self.0.bring(&place, source, &options).await?;
        // The manifest is written once more under its tag.
        Ok(copied.manifests > 1 || copied.copied > 0 || copied.mounted > 0)
    }

    /// Whether a copy is there by its own name.
    ///
    /// # Errors
    /// Where the copies' registry does not answer.
    pub async fn is_there(&self, copy: &Reference) -> Result<bool, CopyError> {
        if self.0.is_fresh(copy) {
            return Ok(true);
        }
        let found = self.0.look(copy).await?;
        if found.is_some() {
            self.0.note(copy);
        }
        Ok(found.is_some())
    }

    /// Joins the copy that is being made, or begins it.
    fn begin(
        &self,
        copy: &Reference,
        place: Reference,
        source: Source,
    ) -> Result<watch::Receiver<Option<Done>>, CopyError> {
        let mut running = lock(&self.0.running);
        if let Some(known) = running.get(copy).filter(|done| done.has_changed().is_ok()) {
            return Ok(known.clone());
        }
        if running.len() >= MOST {
            return Err(CopyError::Busy);
        }
        let (tx, rx) = watch::channel(None);
        running.insert(copy.clone(), rx.clone());
        self.0.metrics.copies_waiting(running.len());
        let (shared, copy) = (self.0.clone(), copy.clone());
        tokio::spawn(async move {
            let made = shared.make(&place, &copy, &source).await;
            match &made {
                Ok(_) => shared.note(&copy),
                Err(error) => {
                    shared.metrics.copy_failed();
                    let error = words::of(error);
                    warn!(original = %source.reference, %copy, error, "not copied");
                }
            }
            // First the result, then the end: who comes in between joins it.
            tx.send_replace(Some(made));
            let mut running = lock(&shared.running);
            running.remove(&copy);
            shared.metrics.copies_waiting(running.len());
        });
        Ok(rx)
    }
}

impl Shared {
    fn is_fresh(&self, copy: &Reference) -> bool {
        let there = lock(&self.there);
        let found = there.get(copy);
        found.is_some_and(|found| found.elapsed() < self.settings.fresh)
    }

    /// Somebody has looked for what a tag stands for and found nothing: from now on that counts.
    fn forget(&self, place: &Reference) {
        let is_other = |copy: &Reference| copy.name() != place.name() || copy.tag() != place.tag();
        lock(&self.there).retain(|copy, _| is_other(copy));
    }

    fn note(&self, copy: &Reference) {
        let mut there = lock(&self.there);
        there.retain(|_, found| found.elapsed() < self.settings.fresh);
        there.insert(copy.clone(), Instant::now());
    }

    async fn make(&self, place: &Reference, copy: &Reference, source: &Source) -> Done {
        // To look is cheap, and waits for no copy.
        if self.is_made(place, source).await? {
            self.metrics.copy_there();
            return Ok(copy.clone());
        }
        // One registry never has all slots: it may be slow, and not by chance. None is ever closed.
        let of_one = self.slots_of(source.reference.registry());
        let _share = of_one.acquire().await;
        let _slot = self.slots.acquire().await;
        let began = Instant::now();
        let brought = timeout(LONGEST, self.bring(place, source, &self.settings.options)).await;
        let copied = brought.unwrap_or(Err(CopyError::TooSlow))?;
        let took = began.elapsed();
        self.metrics.copy_made(took, copied.bytes);
        self.made.fetch_add(1, Ordering::Relaxed);
        info!(
            original = %source.reference,
            %copy,
            seconds = took.as_secs_f64(),
            bytes = copied.bytes,
            blobs = copied.copied,
            mounted = copied.mounted,
            present = copied.present,
            "copied"
        );
        Ok(copy.clone())
    }

    /// What the copies' registry has under a name; one request.
    async fn look(&self, name: &Reference) -> Result<Option<Digest>, CopyError> {
        let writers = lock(&self.writers).clone();
        match self.client.resolve(name, &writers).await {
            Ok(found) => Ok(Some(found.digest)),
            Err(error) if *error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(of(&error)),
        }
    }

    /// Whether the copy is made already. Another one under its tag is kept, or in the way.
    async fn is_made(&self, place: &Reference, source: &Source) -> Result<bool, CopyError> {
        let _look = self.looks.acquire().await;
        let Some(found) = self.look(place).await? else {
            return Ok(false);
        };
        if found == source.digest {
            return Ok(true);
        }
        if self.settings.naming.collides() {
            let place = place.clone();
            return Err(CopyError::Taken { place, found });
        }
        if let Err(error) = self.keep(place, found).await {
            // What it was goes when the registry cleans up; what it is counts more.
            let error = words::of(&error);
            warn!(%place, error, "what the tag stood for gets no tag of its own");
        }
        Ok(false)
    }

    /// What the tag stood for until now keeps a tag of its own: pods name it by its digest, and registries throw away what
    /// has no tag.
    async fn keep(&self, place: &Reference, before: Digest) -> Result<(), CopyError> {
        let writers = lock(&self.writers).clone();
        let kept = self.settings.naming.kept(place, &before);
        let kept = kept.map_err(CopyError::Name)?;
        let pinned = place.clone().with_digest(before);
        let manifest = self.client.manifest(&pinned, &writers).await;
        let manifest = manifest.map_err(|error| of(&error))?;
        let written = self.client.put_manifest(&kept, &manifest, &writers).await;
        written.map(drop).map_err(|error| of(&error))
    }

    async fn bring(
        &self,
        place: &Reference,
        source: &Source,
        options: &Options,
    ) -> Result<Copied, CopyError> {
        let error = match self.paced(place, source, options).await? {
            Ok(copied) => return Ok(copied),
            Err(error) if !options.referrers && !options.cosign_tags => return Err(of(&error)),
            // What may pass is tried again, with all that belongs to the image.
            Err(error) if error.kind().is_transient() => return Err(of(&error)),
            Err(error) => error,
        };
        // What is beside an image must not be in its way. The blobs are there by now, where it was that.
        let alone = Options {
            referrers: false,
            cosign_tags: false,
            ..options.clone()
        };
        let copied = self.paced(place, source, &alone).await?;
        let copied = copied.map_err(|error| of(&error))?;
        let error = words::of(&error);
        warn!(original = %source.reference, error, "copied without its signatures and the like");
        Ok(copied)
    }

    /// Copies, unless that hardly moves.
    async fn paced(
        &self,
        place: &Reference,
        source: &Source,
        options: &Options,
    ) -> Result<Result<Copied, kip_registry::Error>, CopyError> {
        let motion = Arc::new(Pace::default());
        tokio::select! {
            copied = self.try_bring(place, source, options, &motion) => Ok(copied),
            () = motion.too_slow() => Err(CopyError::TooSlow),
        }
    }

    async fn try_bring(
        &self,
        place: &Reference,
        source: &Source,
        options: &Options,
        motion: &Arc<Pace>,
    ) -> Result<Copied, kip_registry::Error> {
        let writers = lock(&self.writers).clone();
        let pinned = source.reference.clone().with_digest(source.digest.clone());
        let from = Place {
            reference: &pinned,
            credentials: &source.credentials,
        };
        let to = Place {
            reference: place,
            credentials: &writers,
        };
        copy(&self.client, from, to, options, &motion.progress()).await
    }

    /// How many copies from one registry are made at the same time: all but one of them.
    fn slots_of(&self, registry: &str) -> Arc<Semaphore> {
        let mut all = lock(&self.shares);
        // What nobody holds is as good as new.
        all.retain(|_, it| Arc::strong_count(it) > 1);
        let most = self.settings.at_once.saturating_sub(1).max(1);
        let share = all.entry(registry.to_owned());
        share
            .or_insert_with(|| Arc::new(Semaphore::new(most)))
            .clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
