//! Registries to which there is no way. Of a list of hundreds of images nobody wants to wait for each.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use kip_registry::{Kind, Unreachable};

/// Those that were found while a list was asked for, and the reason.
#[derive(Debug, Default)]
pub struct Lost(Mutex<BTreeMap<String, String>>);

impl Lost {
    /// Why the registry need not be asked.
    pub fn reason(&self, registry: &str) -> Option<String> {
        let lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lost.get(registry).cloned()
    }

    /// Takes in how a request of it has failed, after all that was tried again.
    pub fn learn(&self, registry: &str, kind: &Kind, reason: &str) {
        if is_no_way(kind) {
            let mut lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lost.entry(registry.to_owned())
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
        lost.learn("a.example", &Kind::NotFound, "no such image");
        assert_eq!(lost.reason("a.example"), None);
        lost.learn("a.example", &Kind::Unreachable(Unreachable::Dns), "first");
        lost.learn("a.example", &Kind::Tls, "second");
        assert_eq!(lost.reason("a.example").as_deref(), Some("first"));
        assert_eq!(lost.reason("b.example"), None);
    }
}
