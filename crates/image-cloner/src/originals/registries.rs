//! What is known of registries: which are away, and how many questions each is being asked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// For so long a registry that did not answer is not asked again.
const AWAY: Duration = Duration::from_secs(10);
/// A registry is asked so many questions at the same time; who asks more waits. One that is slow holds up no other.
const AT_ONCE: usize = 16;
/// So many questions wait for one registry at most.
const WAITING: usize = 500;
/// So many registries are known at most: what they are called is anybody's choice.
const MOST: usize = 1000;

/// All of them.
#[derive(Default)]
pub(super) struct Registries {
    away: Mutex<HashMap<String, Away>>,
    asked: Mutex<HashMap<String, Arc<Asked>>>,
}

struct Away {
    since: Instant,
    words: Arc<str>,
}

struct Asked {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Registries {
    /// Why a registry was away a moment ago.
    pub(super) fn away(&self, registry: &str) -> Option<Arc<str>> {
        let away = lock(&self.away);
        let known = away.get(registry)?;
        (known.since.elapsed() < AWAY).then(|| known.words.clone())
    }

    /// A registry does not answer. Gives the words back.
    pub(super) fn is_away(&self, registry: &str, words: String) -> Arc<str> {
        let words: Arc<str> = words.into();
        let mut away = lock(&self.away);
        away.retain(|_, it| it.since.elapsed() < AWAY);
        if away.len() < MOST {
            let known = Away {
                since: Instant::now(),
                words: words.clone(),
            };
            away.insert(registry.to_owned(), known);
        }
        words
    }

    /// A place for a question, as soon as there is one; `None` where too many wait.
    pub(super) async fn place(&self, registry: &str) -> Option<OwnedSemaphorePermit> {
        let asked = self.asked(registry)?;
        if asked.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING {
            asked.waiting.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let place = asked.places.clone().acquire_owned().await;
        asked.waiting.fetch_sub(1, Ordering::Relaxed);
        place.ok()
    }

    fn asked(&self, registry: &str) -> Option<Arc<Asked>> {
        let mut all = lock(&self.asked);
        if let Some(asked) = all.get(registry) {
            return Some(asked.clone());
        }
        if all.len() >= MOST {
            all.retain(|_, it| {
                Arc::strong_count(it) > 1 || it.places.available_permits() < AT_ONCE
            });
        }
        if all.len() >= MOST {
            return None;
        }
        let asked = Arc::new(Asked {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: AtomicUsize::new(0),
        });
        all.insert(registry.to_owned(), asked.clone());
        Some(asked)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn a_slow_registry_holds_up_no_other_and_not_without_end() {
        let registries = Arc::new(Registries::default());
        let mut held = Vec::new();
        for _ in 0..AT_ONCE {
            held.push(registries.place("slow.example").await.unwrap());
        }
        let waiting: Vec<_> = (0..WAITING)
            .map(|_| {
                let registries = registries.clone();
                tokio::spawn(async move { registries.place("slow.example").await.is_some() })
            })
            .collect();
        let slow = registries.asked("slow.example").unwrap();
        while slow.waiting.load(Ordering::Relaxed) < WAITING {
            tokio::task::yield_now().await;
        }
        assert!(
            registries.place("slow.example").await.is_none(),
            "too many wait"
        );
        assert!(registries.place("other.example").await.is_some());
        held.clear();
        let got = join_all(waiting).await;
        assert!(got.into_iter().all(|it| it.unwrap()));
        assert!(registries.place("slow.example").await.is_some());
    }

    #[test]
    fn a_registry_is_away_for_a_moment() {
        let registries = Registries::default();
        assert_eq!(registries.away("r.example"), None);
        registries.is_away("r.example", "no route".to_owned());
        assert_eq!(registries.away("r.example").as_deref(), Some("no route"));
        assert_eq!(registries.away("other.example"), None);
    }

    #[test]
    fn not_more_registries_are_known_than_there_is_room_for() {
        let registries = Registries::default();
        for number in 0..2 * MOST {
            assert!(registries.asked(&format!("r{number}.example")).is_some());
            registries.is_away(&format!("r{number}.example"), String::new());
        }
        assert!(lock(&registries.asked).len() <= MOST && lock(&registries.away).len() <= MOST);
    }
}
