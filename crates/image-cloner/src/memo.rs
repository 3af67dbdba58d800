//! Answers that are asked for once, however many want them, and remembered for a while.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};

/// No answer takes longer.
const LONGEST: Duration = Duration::from_secs(60);

/// Remembers.
pub(crate) struct Memo<K, V> {
    fresh: Duration,
    /// So many are remembered at most: what is asked for is anybody's choice.
    most: usize,
    known: Mutex<Known<K, V>>,
}

struct Known<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// When those that are old were last forgotten.
    swept: Instant,
}

/// An answer that is there or on its way.
pub(crate) type Answer<V> = Shared<BoxFuture<'static, V>>;

struct Entry<V> {
    at: Instant,
    answer: Answer<V>,
    keeps: fn(&V) -> bool,
}

impl<K: Eq + Hash, V: Clone + Send + Sync + 'static> Memo<K, V> {
    /// For so long, and so many.
    pub(crate) fn new(fresh: Duration, most: usize) -> Self {
        Self {
            fresh,
            most,
            known: Mutex::new(Known {
                entries: HashMap::new(),
                swept: Instant::now(),
            }),
        }
    }

    /// The answer that is known or on its way, or else the one that `ask` will give. Only what `keeps` says is worth it is
    /// remembered once it is there.
    pub(crate) fn of(
        &self,
        key: K,
        keeps: fn(&V) -> bool,
        ask: impl FnOnce() -> BoxFuture<'static, V>,
    ) -> Answer<V> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { entries, swept } = &mut *known;
        if let Some(entry) = entries.get(&key).filter(|it| self.counts(it)) {
            return entry.answer.clone();
        }
        if entries.len() >= self.most || swept.elapsed() > self.fresh {
            entries.retain(|_, it| self.counts(it));
            *swept = Instant::now();
        }
        let answer = ask().shared();
        // It comes to its end though nobody waits for it any more: else whoever comes later would have an old one.
        tokio::spawn(answer.clone().map(drop));
        // Where all of them are still needed, one more is not remembered.
        if entries.len() < self.most {
            let entry = Entry {
                at: Instant::now(),
                answer: answer.clone(),
                keeps,
            };
            entries.insert(key, entry);
        }
        answer
    }

    fn counts(&self, entry: &Entry<V>) -> bool {
        match entry.answer.peek() {
            // One that never comes, since who asked has panicked, is asked for again.
            None => entry.at.elapsed() < LONGEST,
            Some(answer) => (entry.keeps)(answer) && entry.at.elapsed() < self.fresh,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    struct Stage {
        memo: Memo<u8, bool>,
        asked: Arc<AtomicUsize>,
    }

    impl Stage {
        fn new(fresh: Duration) -> Self {
            Self {
                memo: Memo::new(fresh, 100),
                asked: Arc::default(),
            }
        }

        fn ask(&self, key: u8, answer: bool) -> Answer<bool> {
            let asked = self.asked.clone();
            let ask = async move {
                tokio::task::yield_now().await;
                asked.fetch_add(1, Ordering::Relaxed);
                answer
            };
            self.memo.of(key, |good| *good, || ask.boxed())
        }

        fn count(&self) -> usize {
            self.asked.load(Ordering::Relaxed)
        }
    }

    #[tokio::test]
    async fn many_who_want_the_same_at_once_ask_once() {
        for good in [true, false] {
            let stage = Stage::new(Duration::ZERO);
            let all = (0..100).map(|_| stage.ask(1, good));
            let answers = futures::future::join_all(all).await;
            assert_eq!((answers.len(), stage.count()), (100, 1));
        }
    }

    #[tokio::test]
    async fn an_answer_comes_though_nobody_waits_for_it() {
        let stage = Stage::new(LONG);
        drop(stage.ask(1, true));
        while stage.count() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(stage.ask(1, true).await);
        assert_eq!(stage.count(), 1);
    }

    #[tokio::test]
    async fn what_is_good_is_remembered_for_its_time_and_what_is_not_is_asked_again() {
        let stage = Stage::new(LONG);
        for _ in 0..3 {
            assert!(stage.ask(1, true).await);
            assert!(!stage.ask(2, false).await);
        }
        assert_eq!(stage.count(), 4);
        let short = Stage::new(Duration::ZERO);
        short.ask(1, true).await;
        short.ask(1, true).await;
        assert_eq!(short.count(), 2);
    }
}
