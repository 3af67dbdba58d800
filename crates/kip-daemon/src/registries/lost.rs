//! Registries to which there is no way. Of a list of hundreds of images nobody wants to wait for each.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use kip_image::Reference;
use kip_registry::{Kind, Unreachable};

/// Those that were found while a list was asked for, and the reason.
#[derive(Debug, Default)]
pub struct Lost(Mutex<BTreeMap<String, String>>);

impl Lost {
    /// Why the registry need not be asked for this image.
    pub fn spares(&self, reference: &Reference) -> Option<String> {
        let lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = lost.get(reference.registry())?;
        Some(format!(
            "{reference}: not asked for, since of another image: {reason}"
        ))
    }

    /// Takes in how a request for this image has failed, after all that was tried again.
    pub fn learn(&self, reference: &Reference, kind: &Kind, reason: &str) {
        if is_no_way(kind) {
            let mut lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lost.entry(reference.registry().to_owned())
                .or_insert_with(|| reason.to_owned());
        }
    }
}

/// Whether no image of the registry would fare better now.
fn is_no_way(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Tls
            | Kind::Unreachable(
                Unreachable::Dns | Unreachable::Connect | Unreachable::Timeout | Unreachable::Proxy
            )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_fails_on_the_way_counts_for_other_images_and_the_first_reason_stays() {
        let lost = Lost::default();
        let [one, two, other] = ["a.example/one:1", "a.example/two:1", "b.example/one:1"]
            .map(|text| Reference::parse(text).unwrap());
        lost.learn(&one, &Kind::NotFound, "no such image");
        assert_eq!(lost.spares(&two), None);
        lost.learn(&one, &Kind::Unreachable(Unreachable::Dns), "first");
        lost.learn(&one, &Kind::Tls, "second");
        let words = "a.example/two:1: not asked for, since of another image: first";
        assert_eq!(lost.spares(&two).as_deref(), Some(words));
        assert_eq!(lost.spares(&other), None);
    }
}
