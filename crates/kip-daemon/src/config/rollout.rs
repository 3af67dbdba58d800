//! When images are asked for again, and how carefully a change is carried from node to node.

use std::num::{NonZeroU32, ParseIntError};
use std::time::Duration;

use super::problem::{Findings, Problem};
use crate::settings::Settings;

/// How a change and a refresh go through the nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// Whether tags are asked for again at each interval, and by whom.
    pub refresh: Refresh,
    /// Who asks for what the daemon cannot ask for.
    pub fallback: Fallback,
    /// On how many nodes at once something is fetched or replaced.
    pub max_nodes_at_once: AtOnce,
    /// How long one node may take before the others go on without it.
    pub settle_deadline: Duration,
    /// Whether all of it stands still.
    pub paused: bool,
}

/// Whether the interval asks for tags again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Refresh {
    /// At each interval the daemon asks the registries; nodes only for what has changed.
    #[default]
    Digest,
    /// At each interval nodes ask for every image that has a tag.
    Always,
    /// Only when an annotation asks for it.
    Never,
}

/// Who asks for images for which the daemon gets no answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fallback {
    /// Nodes, for these images.
    #[default]
    Node,
    /// Nodes, for every image that has a tag.
    Always,
    /// Nobody.
    Never,
}

/// A number of nodes, or a part of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtOnce {
    /// So many.
    Nodes(NonZeroU32),
    /// So many of a hundred, 1 to 100.
    Percent(u8),
}

impl Default for AtOnce {
    fn default() -> Self {
        Self::Percent(10)
    }
}

impl AtOnce {
    /// How many nodes at once where there are `nodes`: a part is rounded up, and is never none.
    #[must_use]
    pub fn of(self, nodes: usize) -> usize {
        match self {
            Self::Nodes(number) => usize::try_from(number.get()).unwrap_or(usize::MAX),
            Self::Percent(percent) => nodes
                .saturating_mul(usize::from(percent))
                .div_ceil(100)
                .max(1),
        }
    }
}

const SETTLE: Duration = Duration::from_secs(10 * 60);
/// A container needs longer than this to start on any node.
const SHORTEST: Duration = Duration::from_secs(1);
/// A node that needs longer is broken, and would hold up all others.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Reads and checks the settings.
pub(super) fn parse(settings: &Settings, findings: &mut Findings) -> Rollout {
    Rollout {
        refresh: findings.take(refresh(settings.refresh.as_deref())),
        fallback: findings.take(fallback(settings.refresh_fallback.as_deref())),
        max_nodes_at_once: findings.take(at_once(settings.max_nodes_at_once.as_deref())),
        settle_deadline: findings.take(deadline(settings.settle_deadline.as_deref())),
        paused: findings.take(super::boolean("PAUSED", settings.paused.as_deref())),
    }
}

fn refresh(text: Option<&str>) -> Result<Refresh, Problem> {
    match text {
        None => Ok(Refresh::default()),
        Some(text) if text.eq_ignore_ascii_case("digest") => Ok(Refresh::Digest),
        Some(text) if text.eq_ignore_ascii_case("always") => Ok(Refresh::Always),
        Some(text) if text.eq_ignore_ascii_case("never") => Ok(Refresh::Never),
        Some(text) => Err(Problem::new(
            "REFRESH",
            text,
            "is none of digest, always and never",
        )),
    }
}

fn fallback(text: Option<&str>) -> Result<Fallback, Problem> {
    match text {
        None => Ok(Fallback::default()),
        Some(text) if text.eq_ignore_ascii_case("node") => Ok(Fallback::Node),
        Some(text) if text.eq_ignore_ascii_case("always") => Ok(Fallback::Always),
        Some(text) if text.eq_ignore_ascii_case("never") => Ok(Fallback::Never),
        Some(text) => Err(Problem::new(
            "REFRESH_FALLBACK",
            text,
            "is none of node, always and never",
        )),
    }
}

fn at_once(text: Option<&str>) -> Result<AtOnce, Problem> {
    let Some(text) = text else {
        return Ok(AtOnce::default());
    };
    let parsed = match text.strip_suffix('%') {
        Some(percent) => self::percent(percent),
        None => number(text),
    };
    parsed.map_err(|wrong| Problem::new("MAX_NODES_AT_ONCE", text, wrong))
}

fn percent(digits: &str) -> Result<AtOnce, &'static str> {
    const WRONG: &str = "is not between 1% and 100%";
    match digits.parse() {
        Ok(percent @ 1..=100) if is_number(digits) => Ok(AtOnce::Percent(percent)),
        _ => Err(WRONG),
    }
}

fn number(digits: &str) -> Result<AtOnce, &'static str> {
    if !is_number(digits) {
        return Err("is neither a number of nodes nor a percentage of them");
    }
    let number: Result<NonZeroU32, ParseIntError> = digits.parse();
    number
        .map(AtOnce::Nodes)
        .map_err(|_| "is not between 1 and 4294967295 nodes; to stop everything set PAUSED to true")
}

/// Rust's numbers may begin with a sign.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn deadline(text: Option<&str>) -> Result<Duration, Problem> {
    let Some(text) = text else {
        return Ok(SETTLE);
    };
    let problem = |wrong: &str| Problem::new("SETTLE_DEADLINE", text, wrong);
    let nanoseconds = kip_sleep::duration::parse(text.as_bytes())
        .map_err(|error| problem(&format!("is no duration: {error}")))?;
    let deadline = u64::try_from(nanoseconds).map(Duration::from_nanos);
    deadline
        .ok()
        .filter(|deadline| (SHORTEST..=LONGEST).contains(deadline))
        .ok_or_else(|| problem("is not between 1s and 24h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(number: u32) -> AtOnce {
        AtOnce::Nodes(NonZeroU32::new(number).unwrap())
    }

    #[test]
    fn who_asks_in_any_case() {
        assert_eq!(refresh(None), Ok(Refresh::Digest));
        for (text, expected) in [
            ("always", Refresh::Always),
            ("Always", Refresh::Always),
            ("NEVER", Refresh::Never),
            ("digest", Refresh::Digest),
        ] {
            assert_eq!(refresh(Some(text)), Ok(expected), "{text}");
        }
        for text in ["", "true", "sometimes", "always never"] {
            assert!(refresh(Some(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn who_asks_where_the_daemon_cannot() {
        assert_eq!(fallback(None), Ok(Fallback::Node));
        for (text, expected) in [
            ("node", Fallback::Node),
            ("Always", Fallback::Always),
            ("NEVER", Fallback::Never),
        ] {
            assert_eq!(fallback(Some(text)), Ok(expected), "{text}");
        }
        for text in ["", "digest", "nodes"] {
            assert!(fallback(Some(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_or_a_percentage() {
        assert_eq!(at_once(None), Ok(AtOnce::Percent(10)));
        for (text, expected) in [
            ("1", nodes(1)),
            ("4294967295", nodes(u32::MAX)),
            ("1%", AtOnce::Percent(1)),
            ("100%", AtOnce::Percent(100)),
        ] {
            assert_eq!(at_once(Some(text)), Ok(expected), "{text}");
        }
        for text in [
            "0",
            "0%",
            "101%",
            "256%",
            "%",
            "10 %",
            "+5",
            "-5",
            "+5%",
            "1.5",
            "10%%",
            "ten",
            "4294967296",
        ] {
            assert!(at_once(Some(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_part_of_the_nodes_is_rounded_up_and_never_none() {
        for (at_once, all, expected) in [
            (AtOnce::Percent(10), 0, 1),
            (AtOnce::Percent(10), 1, 1),
            (AtOnce::Percent(10), 10, 1),
            (AtOnce::Percent(10), 11, 2),
            (AtOnce::Percent(100), 7, 7),
            (AtOnce::Percent(1), 5000, 50),
            (nodes(5), 3, 5),
            (nodes(5), 5000, 5),
        ] {
            assert_eq!(at_once.of(all), expected, "{at_once:?} of {all}");
        }
        assert!(AtOnce::Percent(50).of(usize::MAX) > 0);
    }

    #[test]
    fn the_deadline_is_a_duration_between_a_second_and_a_day() {
        assert_eq!(deadline(None), Ok(Duration::from_secs(600)));
        for (text, seconds) in [("1s", 1), ("90s", 90), ("1h30m", 5400), ("24h", 86_400)] {
            let expected = Duration::from_secs(seconds);
            assert_eq!(deadline(Some(text)), Ok(expected), "{text}");
        }
        for text in ["0", "999ms", "24h1ns", "-1m", "10", "1d", "soon"] {
            assert!(deadline(Some(text)).is_err(), "{text}");
        }
    }
}
