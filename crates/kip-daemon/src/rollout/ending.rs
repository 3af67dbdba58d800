//! How nodes leave a round.

/// How a node left a round that could not bring it to its end: a closed set, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The scheduler found no place for the fetcher.
    Unplaced,
    /// Kubelet did not take the fetcher up.
    Silent,
    /// The fetcher was not through in time.
    Slow,
    /// The fetcher was ended by somebody else, for example evicted.
    Evicted,
    /// An image that replaces another cannot be had: the old one is kept.
    Blocked,
    /// The new pod did not start in time: the fetcher stays.
    Unstarted,
    /// There was no answer for an image that has changed elsewhere.
    Unanswered,
}

impl Ending {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Unplaced,
        Self::Silent,
        Self::Slow,
        Self::Evicted,
        Self::Blocked,
        Self::Unstarted,
        Self::Unanswered,
    ];

    /// The word for it in metrics and Events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unplaced => "unplaced",
            Self::Silent => "silent",
            Self::Slow => "slow",
            Self::Evicted => "evicted",
            Self::Blocked => "blocked",
            Self::Unstarted => "unstarted",
            Self::Unanswered => "unanswered",
        }
    }

    /// In words, with what can be done.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Unplaced => {
                "the scheduler finds no place for the fetcher (cordoned? too many pods?), the old list stays"
            }
            Self::Silent => "kubelet does not take the fetcher up, the old list stays",
            Self::Slow => {
                "fetching takes longer than SETTLE_DEADLINE, the old list stays; a larger value gives it more time"
            }
            Self::Evicted => "the fetcher was ended by somebody else, for example by an eviction",
            Self::Blocked => {
                "an image that replaces another one cannot be had, the old pod stays and a fetcher holds what is new"
            }
            Self::Unstarted => {
                "the new pod does not start in time what the fetcher holds, the fetcher stays"
            }
            Self::Unanswered => "the registry did not answer, the old content stays",
        }
    }
}
