//! What has to be copied.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use kip_image::Digest;

use super::Job;
use crate::error::{Error, Kind};
use crate::manifest::{Content, Descriptor, Manifest};
use crate::referrers::{digest_tag, sibling};

/// What `cosign` puts behind the digest of an image.
const COSIGN_SUFFIXES: [&str; 3] = [".sig", ".att", ".sbom"];

/// What has to be copied.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The manifests.
    nodes: Vec<Node>,
    /// The blobs that they name, with their sizes.
    pub(super) blobs: BTreeMap<Digest, u64>,
    /// What refers to each manifest, at the source.
    pub(super) referrers: BTreeMap<Digest, Vec<Descriptor>>,
}

/// A manifest that has to be written.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) manifest: Manifest,
    /// Its tag, if it is not to be written by its digest.
    pub(super) tag: Option<String>,
    /// The manifests that it names.
    names: Vec<Digest>,
    /// Where it was found: the root is at 0.
    level: usize,
}

/// A manifest that is named by another.
struct Named {
    descriptor: Descriptor,
    /// Whether it is at the target, since what names it is.
    present: bool,
}

/// A manifest that was read.
struct Read {
    manifest: Manifest,
    /// Whether it is at the target.
    present: bool,
}

/// What is being planned.
struct Planning<'a> {
    job: &'a Job<'a>,
    plan: Plan,
    seen: HashSet<Digest>,
    /// Of all that was read.
    bytes: usize,
    /// Of the blobs, as the manifests say.
    blob_bytes: u64,
}

impl Plan {
    /// The manifests, on levels: each names only what is on later ones, and the first has the root only, if that is
    /// to be written.
    pub(super) fn levels(&self) -> Vec<Vec<&Node>> {
        let mut levels: HashMap<&Digest, usize> = self
            .nodes
            .iter()
            .map(|node| (&node.manifest.digest, node.level))
            .collect();
        // What is named in two places may have been found too early. Nothing names itself, so this ends.
        for _ in 0..self.nodes.len() {
            let mut settled = true;
            for node in &self.nodes {
                let below = levels
                    .get(&node.manifest.digest)
                    .map_or(0, |level| level + 1);
                for named in &node.names {
                    if let Some(level) = levels.get_mut(named)
                        && *level < below
                    {
                        *level = below;
                        settled = false;
                    }
                }
            }
            if settled {
                break;
            }
        }
        let mut all: Vec<Vec<&Node>> = vec![Vec::new()];
        for node in &self.nodes {
            let level = levels
                .get(&node.manifest.digest)
                .copied()
                .unwrap_or(node.level);
            while all.len() <= level {
                all.push(Vec::new());
            }
            all[level].push(node);
        }
        all
    }
}

impl Job<'_> {
    pub(super) async fn plan(&self, root: Manifest) -> Result<Plan, Error> {
        let mut planning = Planning {
            job: self,
            plan: Plan::default(),
            seen: HashSet::from([root.digest.clone()]),
            bytes: 0,
            blob_bytes: 0,
        };
        let digest = root.digest.clone();
        let mut wave = planning.root(root).await?;
        if self.options.cosign_tags {
            wave.extend(planning.cosign_tags(&digest).await?);
        }
        if self.options.referrers {
            wave.extend(planning.referrers([&digest].into()).await?);
        }
        for level in 1.. {
            if wave.is_empty() {
                break;
            }
            wave = planning.level(level, wave).await?;
        }
        Ok(planning.plan)
    }

    /// Whether the target has it, by its digest.
    async fn is_at_target(&self, digest: &Digest) -> Result<bool, Error> {
        let reference = self.at_target(digest);
        let resolved = self.client.resolve(&reference, self.target.credentials);
        Self::found(match resolved.await {
            Ok(_) => Ok(true),
            Err(error) if *error.kind() == Kind::NotFound => Ok(false),
            Err(error) => Err(error),
        })
    }

    /// Whether what the target has is taken to be there with all that it names.
    fn trusts(&self) -> bool {
        !self.options.thorough
    }

    /// The manifest, unless the target has it with all that it names.
    async fn missing(&self, named: &Named) -> Result<Option<Read>, Error> {
        let Descriptor { digest, size, .. } = &named.descriptor;
        if named.present {
            return Ok(None);
        }
        let present = self.is_at_target(digest).await?;
        if present && self.trusts() {
            return Ok(None);
        }
        let read = self.get(digest, present).await?;
        let length = read.manifest.bytes.len();
        if length as u64 != *size {
            return Err(self.at_fault(Error::malformed(format!(
                "{digest} has {length} bytes and is said to have {size}"
            ))));
        }
        Ok(Some(read))
    }

    /// Reads a manifest, from the target if that has it: some sources count what is pulled.
    async fn get(&self, digest: &Digest, present: bool) -> Result<Read, Error> {
        if present {
            let reference = self.at_target(digest);
            let manifest = self
                .client
                .manifest(&reference, self.target.credentials)
                .await;
            // What cannot be read is as good as missing.
            if let Ok(manifest) = manifest {
                return Ok(Read { manifest, present });
            }
        }
        let reference = self.at_source(digest);
        let manifest = self
            .client
            .manifest(&reference, self.source.credentials)
            .await?;
        Ok(Read {
            manifest,
            present: false,
        })
    }

    /// The source is wrong.
    pub(super) fn at_fault(&self, error: Error) -> Error {
        let reference = self.source.reference;
        error.about(reference.registry(), || reference.repository().to_owned())
    }
}

impl Planning<'_> {
    async fn root(&mut self, root: Manifest) -> Result<Vec<Named>, Error> {
        let job = self.job;
        let present = job.is_at_target(&root.digest).await?;
        let tag = job.target.reference.tag_or_latest().map(str::to_owned);
        let named = self.read(&root, present && job.trusts())?;
        // A tag may still be missing, or point elsewhere.
        if !present || tag.is_some() {
            self.keep(0, root, tag)?;
        }
        Ok(named)
    }

    /// Reads the manifests of a level, and returns what is on the next.
    async fn level(&mut self, level: usize, wave: Vec<Named>) -> Result<Vec<Named>, Error> {
        let job = self.job;
        let limit = job.client.settings().limits.depth;
        if level > limit {
            return Err(self.too_large("the depth of an index", limit));
        }
        let asked: Vec<_> = wave.iter().map(|named| job.missing(named)).collect();
        let mut missing = stream::iter(asked).buffered(job.parallel());
        let mut next = Vec::new();
        // One by one, so that no more are fetched once they are too many.
        while let Some(read) = missing.try_next().await? {
            let Some(Read { manifest, present }) = read else {
                continue;
            };
            next.extend(self.read(&manifest, false)?);
            if !present {
                self.keep(level, manifest, None)?;
            }
        }
        drop(missing);
        if job.options.referrers {
            let subjects = wave.iter().map(|named| &named.descriptor.digest).collect();
            next.extend(self.referrers(subjects).await?);
        }
        Ok(next)
    }

    /// Takes in what a manifest names; `present` is whether the target has all that.
    fn read(&mut self, manifest: &Manifest, present: bool) -> Result<Vec<Named>, Error> {
        self.weigh(manifest.bytes.len())?;
        let content = manifest.parse().map_err(|error| self.job.at_fault(error))?;
        match content {
            Content::Index(index) => self.unseen(index.manifests, present),
            Content::Image(image) if !present => {
                let blobs = image.layers.into_iter().chain([image.config]);
                for blob in blobs.filter(|blob| !blob.is_elsewhere()) {
                    self.blob(blob)?;
                }
                Ok(Vec::new())
            }
            Content::Image(_) => Ok(Vec::new()),
        }
    }

    fn blob(&mut self, blob: Descriptor) -> Result<(), Error> {
        let size = match self.plan.blobs.entry(blob.digest) {
            Entry::Occupied(there) => *there.get(),
            Entry::Vacant(place) => {
                self.blob_bytes = self.blob_bytes.saturating_add(blob.size);
                *place.insert(blob.size)
            }
        };
        if size != blob.size {
            return Err(self.job.at_fault(Error::malformed("a blob of two sizes")));
        }
        match self.job.options.max_bytes {
            Some(limit) if self.blob_bytes > limit => {
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                Err(self.too_large("the image", limit))
            }
            _ => Ok(()),
        }
    }

    fn unseen(&mut self, manifests: Vec<Descriptor>, present: bool) -> Result<Vec<Named>, Error> {
        let named = manifests
            .into_iter()
            .filter(|descriptor| self.seen.insert(descriptor.digest.clone()))
            .map(|descriptor| Named {
                descriptor,
                present,
            })
            .collect();
        let limit = self.job.client.settings().limits.index_entries;
        if self.seen.len() > limit {
            return Err(self.too_large("the number of manifests", limit));
        }
        Ok(named)
    }

    /// Counts what was read.
    fn weigh(&mut self, bytes: usize) -> Result<(), Error> {
        self.bytes = self.bytes.saturating_add(bytes);
        let limit = self.job.client.settings().limits.all_manifest_bytes;
        if self.bytes > limit {
            return Err(self.too_large("all manifests together", limit));
        }
        Ok(())
    }

    fn too_large(&self, what: &'static str, limit: usize) -> Error {
        let kind = Kind::TooLarge { what, limit };
        self.job.at_fault(Error::new(kind))
    }

    /// Puts a manifest on its level.
    fn keep(&mut self, level: usize, manifest: Manifest, tag: Option<String>) -> Result<(), Error> {
        let content = manifest.parse().map_err(|error| self.job.at_fault(error))?;
        let names = match content {
            Content::Index(index) => index.manifests.into_iter().map(|one| one.digest).collect(),
            Content::Image(_) => Vec::new(),
        };
        self.plan.nodes.push(Node {
            manifest,
            tag,
            names,
            level,
        });
        Ok(())
    }

    /// What refers to these, and was not seen yet.
    async fn referrers(&mut self, subjects: BTreeSet<&Digest>) -> Result<Vec<Named>, Error> {
        let job = self.job;
        let source = job.source;
        let ask = async |subject: &Digest| {
            let asked = job
                .client
                .weighed_referrers(source.reference, subject, source.credentials);
            let (found, bytes) = asked.await?;
            Ok::<_, Error>((subject.clone(), found.manifests, bytes))
        };
        let asked: Vec<_> = subjects.into_iter().map(ask).collect();
        let mut found = stream::iter(asked).buffered(job.parallel());
        let mut named = Vec::new();
        while let Some((subject, manifests, bytes)) = found.try_next().await? {
            if !manifests.is_empty() {
                self.weigh(bytes)?;
                named.extend(self.unseen(manifests.clone(), false)?);
                self.plan.referrers.insert(subject, manifests);
            }
        }
        Ok(named)
    }

    /// What `cosign` keeps about a digest. Goes to the second level, since it has tags.
    async fn cosign_tags(&mut self, digest: &Digest) -> Result<Vec<Named>, Error> {
        let Job {
            client,
            source,
            target,
            ..
        } = *self.job;
        let mut named = Vec::new();
        for tag in COSIGN_SUFFIXES.map(|suffix| digest_tag(digest, suffix)) {
            let there = sibling(source.reference, &tag)?;
            // Most have none: to ask costs no pull.
            let resolved = match client.resolve(&there, source.credentials).await {
                Ok(resolved) => resolved,
                Err(error) if *error.kind() == Kind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let copy = client
                .resolve(&sibling(target.reference, &tag)?, target.credentials)
                .await;
            let present = copy.is_ok_and(|copy| copy.digest == resolved.digest);
            if present && self.job.trusts() {
                continue;
            }
            let Read { manifest, present } = self.job.get(&resolved.digest, present).await?;
            self.seen.insert(manifest.digest.clone());
            named.extend(self.read(&manifest, false)?);
            if !present {
                self.keep(1, manifest, Some(tag))?;
            }
        }
        Ok(named)
    }
}
