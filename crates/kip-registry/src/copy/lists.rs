//! Lists of referrers, where the target keeps none itself.

use std::collections::HashSet;

use kip_image::Digest;

use super::Job;
use super::plan::Plan;
use crate::error::Error;
use crate::manifest::{Descriptor, Manifest};
use crate::referrers::{ReferrersFrom, fallback_tag};

impl Job<'_> {
    /// Sees to it that the target lists what refers to each manifest; returns how many lists were written.
    pub(super) async fn write_lists(&self, plan: &Plan) -> Result<usize, Error> {
        let mut written = 0;
        for (subject, referrers) in &plan.referrers {
            written += usize::from(self.write_list(subject, referrers).await?);
        }
        Ok(written)
    }

    async fn write_list(&self, subject: &Digest, referrers: &[Descriptor]) -> Result<bool, Error> {
        let target = self.target;
        let there = self
            .client
            .referrers(target.reference, subject, target.credentials)
            .await?;
        if there.from == ReferrersFrom::Registry {
            return Ok(false);
        }
        let listed: HashSet<&Digest> = there.manifests.iter().map(|one| &one.digest).collect();
        let missing: Vec<&Descriptor> = referrers
            .iter()
            .filter(|one| !listed.contains(&one.digest))
            .collect();
        if missing.is_empty() {
            return Ok(false);
        }
        // What somebody else wrote stays.
        let all = there.manifests.iter().chain(missing);
        let list = Manifest::index_of(all)?;
        self.put(&fallback_tag(target.reference, subject)?, &list)
            .await?;
        Ok(true)
    }
}
