//! The names of images, as Docker keeps them: short ones, each with an image's ID.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::Deserialize;

use crate::store::files;
use crate::store::names::{digest, in_order, whole};

/// All names of a store.
#[derive(Default)]
pub(super) struct Names {
    /// Whole names and the IDs of their images.
    ids: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Written {
    /// Per repository.
    repositories: BTreeMap<String, BTreeMap<String, String>>,
}

impl Names {
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let written: Written = files::json(path)?.unwrap_or_default();
        let all = written.repositories.into_values().flatten();
        Ok(Self {
            ids: all.map(|(name, id)| (whole(&name), id)).collect(),
        })
    }

    /// The image's names, tags first.
    pub(super) fn of(&self, id: &str) -> Vec<String> {
        let names = self.ids.iter().filter(|(_, named)| *named == id);
        in_order(names.map(|(name, _)| name.clone()).collect())
    }

    /// The digest that the image was pulled by, or pushed with.
    pub(super) fn digest(&self, id: &str) -> Option<String> {
        let names = self.ids.iter().filter(|(_, named)| *named == id);
        let mut digests = names.filter_map(|(name, _)| digest(name));
        digests.next().map(str::to_owned)
    }

    pub(super) fn by_digest(&self, wanted: &str) -> Option<String> {
        let mut found = (self.ids.iter()).filter(|(name, _)| digest(name) == Some(wanted));
        found.next().map(|(_, id)| id.clone())
    }

    pub(super) fn by_name(&self, name: &str) -> Option<String> {
        self.ids.get(&whole(name)).cloned()
    }
}
