//! When the controller acts: at once on a first trigger, gathered on many, slower when somebody fights it.

use std::time::Duration;

use tokio::time::Instant;

/// Triggers within this time after an act are gathered into the next.
const GATHER: Duration = Duration::from_millis(50);
/// What somebody else does counts as a fight when it was undone more often than this within [`FIGHT_WINDOW`].
const FIGHT_CHANGES: usize = 10;
/// The same for deletions: to be there again at once is what the daemon is for, so it gives way later.
const FIGHT_DELETIONS: usize = 150;
const FIGHT_WINDOW: Duration = Duration::from_secs(60);
/// While somebody fights, nothing is undone faster than this.
const FIGHT_PAUSE: Duration = Duration::from_secs(5);

/// The next time to act, and what it depends on.
#[derive(Debug, Default)]
pub struct Pace {
    due: Option<Instant>,
    /// Not before: the last act and the gathering after it, or the pause after an error.
    not_before: Option<Instant>,
    changes: Vec<Instant>,
    deletions: Vec<Instant>,
}

impl Pace {
    /// When to act; `None` while nothing has happened.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Something happened: act as soon as allowed.
    pub fn soon(&mut self, now: Instant) {
        let at = self
            .not_before
            .map_or(now, |not_before| not_before.max(now));
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Act then, if nothing happens before.
    pub fn at(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Something happened that makes an error's pause pointless: act now.
    pub fn now(&mut self, now: Instant) {
        self.not_before = None;
        self.due = Some(now);
    }

    /// The act begins; what happens from now on needs another.
    pub fn acting(&mut self, now: Instant) {
        self.due = None;
        self.not_before = Some(now + GATHER);
    }

    /// The act failed: again after a pause.
    pub fn after(&mut self, now: Instant, pause: Duration) {
        let at = now + pause;
        self.not_before = Some(at);
        self.due = Some(at);
    }

    /// A change by somebody else was undone; whether it has become a fight.
    pub fn undid_change(&mut self, now: Instant) -> bool {
        is_fight(&mut self.changes, FIGHT_CHANGES, now) && self.slow_down(now)
    }

    /// A deletion by somebody else was undone; whether it has become a fight.
    pub fn undid_deletion(&mut self, now: Instant) -> bool {
        is_fight(&mut self.deletions, FIGHT_DELETIONS, now) && self.slow_down(now)
    }

    fn slow_down(&mut self, now: Instant) -> bool {
        self.not_before = Some(now + FIGHT_PAUSE);
        true
    }
}

fn is_fight(undone: &mut Vec<Instant>, limit: usize, now: Instant) -> bool {
    undone.retain(|at| now.duration_since(*at) < FIGHT_WINDOW);
    undone.push(now);
    if undone.len() > limit {
        undone.remove(0);
        return true;
    }
    false
}

/// Waits until then; for ever where there is no such time.
pub async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn the_first_trigger_acts_at_once_and_later_ones_are_gathered() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.due(), None);
        pace.soon(start);
        assert_eq!(pace.due(), Some(start));
        pace.acting(start);
        pace.soon(start + ms(10));
        pace.soon(start + ms(20));
        assert_eq!(pace.due(), Some(start + ms(50)));
        pace.acting(start + ms(50));
        pace.soon(start + ms(500));
        assert_eq!(pace.due(), Some(start + ms(500)));
    }

    #[test]
    fn a_trigger_does_not_shorten_an_errors_pause_but_a_new_configuration_does() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.acting(start);
        pace.after(start, ms(2000));
        pace.soon(start + ms(100));
        assert_eq!(pace.due(), Some(start + ms(2000)));
        pace.now(start + ms(200));
        assert_eq!(pace.due(), Some(start + ms(200)));
    }

    #[test]
    fn a_fight_is_fought_slowly_and_ends_by_itself() {
        let start = Instant::now();
        let mut pace = Pace::default();
        for step in 0..10 {
            assert!(!pace.undid_change(start + ms(step)), "{step}");
        }
        assert!(pace.undid_change(start + ms(100)));
        pace.soon(start + ms(110));
        assert_eq!(pace.due(), Some(start + ms(100) + FIGHT_PAUSE));
        assert!(!pace.undid_change(start + FIGHT_WINDOW + ms(200)));
    }
}
