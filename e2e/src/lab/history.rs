//! Every state that the objects of a kind go through in a namespace: what was never to happen has not happened in
//! between either.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use futures::StreamExt as _;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

use super::wait::eventually;

/// A new state of an object.
#[derive(Debug, Clone)]
pub enum Change<K> {
    /// It is so now.
    Now(K),
    /// It is gone; this was its last state.
    Gone(K),
}

/// Changes in their order, from a list on without a gap.
pub struct History<K> {
    api: Api<K>,
    seen: Arc<Mutex<Vec<Change<K>>>>,
    watching: JoinHandle<()>,
}

/// The API server ends a watch after so long; it goes on where it was.
const WATCH_SECONDS: u32 = 240;

impl<K> History<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    /// Lists, then watches until this is dropped.
    ///
    /// # Errors
    /// The API server's.
    pub async fn start(api: Api<K>) -> Result<Self> {
        let list = api.list(&ListParams::default()).await?;
        let version = list.metadata.resource_version.unwrap_or_default();
        let first = list.items.into_iter().map(Change::Now).collect();
        let seen = Arc::new(Mutex::new(first));
        let watching = tokio::spawn(watch(api.clone(), version, seen.clone()));
        Ok(Self {
            api,
            seen,
            watching,
        })
    }

    /// How many changes there are: what comes next has this index.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing is there yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads the changes.
    ///
    /// # Panics
    /// When the watch has broken: something may be missing then.
    pub fn read<T>(&self, reader: impl FnOnce(&[Change<K>]) -> T) -> T {
        assert!(!self.watching.is_finished(), "the watch has broken");
        reader(&self.lock())
    }

    /// The objects as they are, by name.
    pub fn now(&self) -> BTreeMap<String, K> {
        self.read(|changes| {
            let mut now: BTreeMap<String, &K> = BTreeMap::new();
            for change in changes {
                match change {
                    Change::Now(object) => now.insert(object.name_any(), object),
                    Change::Gone(object) => now.remove(&object.name_any()),
                };
            }
            let clone = |(name, object): (String, &K)| (name, object.clone());
            now.into_iter().map(clone).collect()
        })
    }

    /// Waits until everything that has happened before this call is known.
    ///
    /// # Panics
    /// When the deadline is over.
    pub async fn caught_up(&self) {
        eventually("the history is up to date", async || {
            let list = self.api.list(&ListParams::default()).await?;
            let version = |object: &K| (object.name_any(), object.resource_version());
            let listed: BTreeMap<_, _> = list.items.iter().map(version).collect();
            let known: BTreeMap<_, _> = self.now().values().map(version).collect();
            ensure!(known == listed, "{known:?}, but there is {listed:?}");
            Ok(())
        })
        .await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Change<K>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Drop for History<K> {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// Ends only when something may have been missed.
async fn watch<K>(api: Api<K>, mut version: String, seen: Arc<Mutex<Vec<Change<K>>>>)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + 'static,
{
    let params = WatchParams::default().timeout(WATCH_SECONDS);
    loop {
        let Ok(stream) = api.watch(&params, &version).await else {
            continue;
        };
        let mut stream = pin!(stream);
        while let Some(Ok(event)) = stream.next().await {
            let change = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => Change::Now(object),
                WatchEvent::Deleted(object) => Change::Gone(object),
                WatchEvent::Bookmark(_) => continue,
                WatchEvent::Error(error) => {
                    eprintln!("watch of {}: {error:?}", K::kind(&()));
                    return;
                }
            };
            let (Change::Now(object) | Change::Gone(object)) = &change;
            version = object.resource_version().unwrap_or_default();
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(change);
        }
    }
}
