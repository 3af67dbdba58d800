//! Certificates of its own: what the Secret holds, and how it goes on from one to the next.
//!
//! Each certificate has an authority of its own, whose key is thrown away as soon as it has signed: nobody can ever sign
//! another one with it. A renewal goes so, and each step may be done by any replica:
//!
//! 1. A new certificate is in the Secret, not shown yet; its authority is trusted beside the old one.
//! 2. The webhook configuration has both authorities, and all API servers have heard of it.
//! 3. The new certificate is shown by every replica.
//! 4. The old authority ends, and is trusted no longer.

mod keeper;
mod make;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

pub use self::keeper::{Keeper, KeeperError};

/// What the Secret holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificates {
    /// What is shown.
    pub shown: Leaf,
    /// What will be shown.
    pub next: Option<Next>,
    /// Who is trusted.
    pub authorities: Vec<Authority>,
}

/// A certificate and its key, in PEM.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
    /// The names that it is for.
    pub names: Vec<String>,
    /// When it was made, in seconds since 1970.
    pub made: u64,
    /// When it ends, in seconds since 1970.
    pub until: u64,
}

/// A certificate that is not shown yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// The certificate.
    pub leaf: Leaf,
    /// Since when its authority is in the webhook configuration, in seconds since 1970.
    pub published: Option<u64>,
}

/// An authority that is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// Its certificate, in PEM.
    pub certificate: String,
    /// When it ends, in seconds since 1970.
    pub until: u64,
}

/// For whom and for how long certificates are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The names.
    pub names: Vec<String>,
    /// How long each is good.
    pub lifetime: Duration,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[error("a certificate cannot be made")]
pub struct MakeError(#[from] rcgen::Error);

/// API servers hear of a change within this time, and a replica looks so often.
const PUBLICATION: Duration = Duration::from_secs(60);

impl Order {
    /// For a Service, by all names that it has within a cluster.
    pub fn for_service(service: &str, namespace: &str, lifetime: Duration) -> Self {
        let full = format!("{service}.{namespace}.svc");
        Self {
            names: vec![
                full.clone(),
                format!("{full}.cluster.local"),
                format!("{service}.{namespace}"),
                service.to_owned(),
            ],
            lifetime,
        }
    }

    /// How long an authority is in the webhook configuration before what it has signed is shown: less where certificates
    /// are short.
    pub fn publication(&self) -> Duration {
        PUBLICATION.min(self.lifetime / 12)
    }
}

impl Certificates {
    /// The first ones.
    ///
    /// # Errors
    /// The library's.
    pub fn new(order: &Order, now: SystemTime) -> Result<Self, MakeError> {
        let (leaf, authority) = make::pair(order, now)?;
        Ok(Self {
            shown: leaf,
            next: None,
            authorities: vec![authority],
        })
    }

    /// Goes one step on, where one is due. Says whether anything has changed.
    ///
    /// # Errors
    /// The library's.
    pub fn go_on(&mut self, order: &Order, now: SystemTime) -> Result<bool, MakeError> {
        let before = self.clone();
        let at = seconds(now);
        self.authorities.retain(|it| it.until > at);
        // One from the future is of a machine whose clock was wrong, and counts for nobody yet.
        let is_from_now = self.shown.made <= seconds(now + make::SKEW);
        let is_wrong = self.shown.names != order.names || self.shown.until <= at || !is_from_now;
        if is_wrong {
            // It is of no use to anybody: there is nothing to wait for.
            let (leaf, authority) = make::pair(order, now)?;
            self.authorities.push(authority);
            self.shown = leaf;
            self.next = None;
        }
        let is_other = |next: &Next| {
            next.leaf.names != order.names || next.leaf.made > seconds(now + make::SKEW)
        };
        if self.next.as_ref().is_some_and(is_other) {
            self.next = None;
        }
        let is_public = |next: &Next| {
            let since = next.published?;
            Some(since + order.publication().as_secs() <= at)
        };
        if self.next.as_ref().and_then(is_public) == Some(true)
            && let Some(next) = self.next.take()
        {
            self.shown = next.leaf;
        }
        let left = self.shown.until.saturating_sub(at);
        if self.next.is_none() && left < order.lifetime.as_secs() / 3 {
            let (leaf, authority) = make::pair(order, now)?;
            self.authorities.push(authority);
            self.next = Some(Next {
                leaf,
                published: None,
            });
        }
        Ok(*self != before)
    }

    /// All who are trusted, in PEM.
    pub fn bundle(&self) -> String {
        self.authorities
            .iter()
            .map(|it| it.certificate.as_str())
            .collect()
    }

    /// The bundle is in the webhook configuration. Says whether that is new.
    pub fn is_published(&mut self, now: SystemTime) -> bool {
        match &mut self.next {
            Some(next) if next.published.is_none() => {
                next.published = Some(seconds(now));
                true
            }
            _ => false,
        }
    }
}

impl std::fmt::Debug for Leaf {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leaf")
            .field("names", &self.names)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
