//! Who may read which image: remembered, so that a copy is given only to those who could have had the original, also while
//! the original's registry is away.
//!
//! A proof is the beginning of a keyed hash of the credentials and of the content, and a time until which it counts. Nothing
//! of a credential can be read from it. Replicas share them by a Secret: [`Proofs::encode`] and [`Proofs::merge`].

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kip_image::Digest;
use ring::hmac;

/// So many bytes of the hash are kept: nobody guesses one, and none of a million collides.
const HASH: usize = 16;
/// So many bytes a proof takes when it is written.
const WRITTEN: usize = HASH + 4;
/// So many proofs are kept: a Secret holds 1 MiB. Those that end first go first.
const MOST: usize = 40_000;

type Hash = [u8; HASH];

/// What proofs are about: who asks, for what of which repository.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// What tells credentials apart: their bytes in order. Empty where anybody may read.
    pub credentials: &'a [u8],
    /// Registry and repository.
    pub name: &'a str,
    /// The content.
    pub digest: &'a Digest,
}

/// Those that are known.
pub struct Proofs {
    secret: Box<[u8]>,
    key: hmac::Key,
    /// Until when each counts, in minutes since 1970.
    until: HashMap<Hash, u32>,
}

impl Proofs {
    /// None yet. The key is the same for all replicas.
    pub fn new(key: &[u8]) -> Self {
        Self {
            secret: key.into(),
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            until: HashMap::new(),
        }
    }

    /// The same once more.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            until: self.until.clone(),
            ..Self::new(&self.secret)
        }
    }

    /// The key.
    pub fn key(&self) -> Vec<u8> {
        self.secret.to_vec()
    }

    /// Notes that the claim has been proven, for so long, and says whether that is news. One that counts for nearly as long
    /// stays as it is: else each request would have all of them written again.
    pub fn note(&mut self, claim: Claim<'_>, now: SystemTime, lifetime: Duration) -> bool {
        let until = minutes(now + lifetime);
        let hash = self.hash(claim);
        let enough = minutes(now + lifetime - lifetime / 10);
        if self.until.get(&hash).is_some_and(|known| *known >= enough) {
            return false;
        }
        self.insert(hash, until);
        self.bound();
        true
    }

    /// Whether the claim was proven.
    pub fn has(&self, claim: Claim<'_>, now: SystemTime) -> bool {
        let until = self.until.get(&self.hash(claim));
        until.is_some_and(|until| *until > minutes(now))
    }

    /// All of them that still count, as they are written down.
    pub fn encode(&self, now: SystemTime) -> Vec<u8> {
        let now = minutes(now);
        let mut living: Vec<_> = self
            .until
            .iter()
            .filter(|(_, until)| **until > now)
            .collect();
        // The same proofs are the same bytes.
        living.sort_unstable();
        let bytes = living.into_iter().flat_map(|(hash, until)| {
            let until = until.to_be_bytes();
            hash.iter().copied().chain(until).collect::<Vec<u8>>()
        });
        bytes.collect()
    }

    /// Takes in what another replica, or a process before this one, has written down. What is cut off is not read.
    pub fn merge(&mut self, written: &[u8]) {
        for proof in written.chunks_exact(WRITTEN) {
            let (hash, until) = proof.split_at(HASH);
            let (Ok(hash), Ok(until)) = (hash.try_into(), until.try_into()) else {
                continue;
            };
            self.insert(hash, u32::from_be_bytes(until));
        }
        self.bound();
    }

    /// So many bytes they take when they are written.
    #[allow(
        clippy::cast_precision_loss,
        reason = "there are at most some hundred thousand"
    )]
    pub fn bytes(&self) -> f64 {
        (self.until.len() * WRITTEN) as f64
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.until.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.until.is_empty()
    }

    fn insert(&mut self, hash: Hash, until: u32) {
        let known = self.until.entry(hash).or_insert(until);
        *known = until.max(*known);
    }

    fn bound(&mut self) {
        if self.until.len() <= MOST {
            return;
        }
        let mut all: Vec<(u32, Hash)> = self
            .until
            .iter()
            .map(|(hash, until)| (*until, *hash))
            .collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        // A tenth more than is needed, or each one that comes would have all of them sorted again.
        all.truncate(MOST - MOST / 10);
        self.until = all.into_iter().map(|(until, hash)| (hash, until)).collect();
    }

    fn hash(&self, claim: Claim<'_>) -> Hash {
        let mut context = hmac::Context::with_key(&self.key);
        let digest = claim.digest.to_string();
        for part in [claim.credentials, claim.name.as_bytes(), digest.as_bytes()] {
            // Lengths keep what belongs to one part from being read as another's.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut hash = [0; HASH];
        hash.copy_from_slice(&context.sign().as_ref()[..HASH]);
        hash
    }
}

fn minutes(time: SystemTime) -> u32 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs() / 60).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn now() -> SystemTime {
        UNIX_EPOCH + 20_000 * DAY
    }

    fn digest(number: usize) -> Digest {
        Digest::parse(&format!("sha256:{number:064x}")).unwrap()
    }

    fn claim<'a>(credentials: &'a str, name: &'a str, digest: &'a Digest) -> Claim<'a> {
        Claim {
            credentials: credentials.as_bytes(),
            name,
            digest,
        }
    }

    #[test]
    fn a_proof_counts_for_its_time_and_for_nothing_else() {
        let (one, two) = (digest(1), digest(2));
        let mut proofs = Proofs::new(b"key");
        proofs.note(claim("bob", "r/app", &one), now(), DAY);
        let has = |it, time| proofs.has(it, time);
        assert!(has(claim("bob", "r/app", &one), now()));
        assert!(!has(claim("bob", "r/app", &one), now() + DAY));
        for other in [
            claim("eve", "r/app", &one),
            claim("", "r/app", &one),
            claim("bob", "r/other", &one),
            claim("bob", "r/app", &two),
            claim("bobr", "/app", &one),
        ] {
            assert!(!has(other, now()), "{other:?}");
        }
    }

    #[test]
    fn proofs_outlive_the_process_and_come_from_others_of_the_same_key() {
        let (one, two) = (digest(1), digest(2));
        let mut proofs = Proofs::new(b"key");
        proofs.note(claim("bob", "r/app", &one), now(), DAY);
        proofs.note(claim("bob", "r/app", &two), now(), DAY / 2);
        let written = proofs.encode(now() + DAY / 2);
        assert_eq!(written.len(), WRITTEN, "what counts no more is not written");
        let mut other = Proofs::new(b"key");
        other.merge(&written);
        other.merge(b"cut off");
        assert!(other.has(claim("bob", "r/app", &one), now()));
        assert_eq!(other.encode(now()), written);
        let mut foreign = Proofs::new(b"another key");
        foreign.merge(&written);
        assert!(!foreign.has(claim("bob", "r/app", &one), now()));
        assert!(Proofs::new(b"key").is_empty());
    }

    #[test]
    fn a_proof_is_written_anew_only_when_a_tenth_of_its_time_is_over() {
        let one = digest(1);
        let mut proofs = Proofs::new(b"key");
        let written = |proofs: &mut Proofs, after: Duration| {
            proofs.note(claim("bob", "r/app", &one), now() + after, 10 * DAY);
            proofs.encode(now())
        };
        let first = written(&mut proofs, Duration::ZERO);
        assert_eq!(written(&mut proofs, DAY / 2), first);
        assert_ne!(written(&mut proofs, 2 * DAY), first);
        assert_eq!(proofs.key(), b"key");
    }

    #[test]
    fn the_longer_one_of_two_counts() {
        let one = digest(1);
        let mut proofs = Proofs::new(b"key");
        proofs.note(claim("bob", "r/app", &one), now(), DAY);
        proofs.note(claim("bob", "r/app", &one), now(), DAY / 2);
        assert!(proofs.has(claim("bob", "r/app", &one), now() + DAY / 2));
    }

    #[test]
    fn there_are_no_more_than_a_secret_holds_and_the_longest_stay() {
        let mut proofs = Proofs::new(b"key");
        let hours = |number: usize| Duration::from_secs(3600) * u32::try_from(number).unwrap();
        for number in 1..=MOST + 1 {
            proofs.note(claim("bob", "r/app", &digest(number)), now(), hours(number));
        }
        assert!(proofs.len() <= MOST && proofs.encode(now()).len() < 1024 * 1024);
        assert!(!proofs.has(claim("bob", "r/app", &digest(1)), now()));
        assert!(proofs.has(claim("bob", "r/app", &digest(MOST + 1)), now()));
    }
}
