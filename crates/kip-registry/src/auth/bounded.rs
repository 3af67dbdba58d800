//! A map that forgets.

use std::collections::HashMap;
use std::hash::Hash;

/// A map with a bound. What was used longest ago is forgotten first.
#[derive(Debug)]
pub(super) struct Bounded<K, V> {
    entries: HashMap<K, (u64, V)>,
    bound: usize,
    clock: u64,
}

impl<K: Eq + Hash + Clone, V> Bounded<K, V> {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            entries: HashMap::new(),
            bound,
            clock: 0,
        }
    }

    pub(super) fn get(&mut self, key: &K) -> Option<&V> {
        self.clock += 1;
        let (used, value) = self.entries.get_mut(key)?;
        *used = self.clock;
        Some(value)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        self.clock += 1;
        if self.entries.len() >= self.bound && !self.entries.contains_key(&key) {
            self.forget_half();
        }
        self.entries.insert(key, (self.clock, value));
    }

    pub(super) fn remove(&mut self, key: &K) {
        self.entries.remove(key);
    }

    /// Half at a time, so that the search for the oldest costs little for each entry.
    fn forget_half(&mut self) {
        let mut ages: Vec<u64> = self.entries.values().map(|(used, _)| *used).collect();
        let middle = ages.len() / 2;
        let (_, &mut median, _) = ages.select_nth_unstable(middle);
        self.entries.retain(|_, (used, _)| *used > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_is_forgotten_and_the_bound_is_kept() {
        let mut map = Bounded::new(4);
        for n in 0..100 {
            map.insert(n, n);
            assert_eq!(map.get(&0), Some(&0), "used all the time");
            assert!(map.entries.len() <= 4);
        }
        assert_eq!(map.get(&99), Some(&99));
        assert_eq!(map.get(&50), None);
        map.remove(&99);
        assert_eq!(map.get(&99), None);
    }
}
