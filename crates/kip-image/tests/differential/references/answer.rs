//! What the Go module makes of an input.

use crate::oracle::REFUSED;

/// What the Go module makes of an input.
#[derive(Debug)]
pub(crate) struct Answer {
    /// `ParseNormalizedNamed` and `ParseDockerRef`, which accept the same.
    pub(crate) named: Option<Parts>,
    /// `ParseAnyReference`: the printed form, and whether it is a digest alone.
    pub(crate) any: Option<(String, bool)>,
}

#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) registry: String,
    pub(crate) repository: String,
    pub(crate) tag: String,
    pub(crate) digest: String,
    pub(crate) printed: String,
    pub(crate) familiar: String,
    pub(crate) pulled: String,
}

impl Answer {
    pub(crate) fn read(line: &str) -> Self {
        let fields: [&str; 9] = line
            .split('\t')
            .collect::<Vec<_>>()
            .try_into()
            .expect("nine fields");
        let [
            registry,
            repository,
            tag,
            digest,
            printed,
            familiar,
            pulled,
            any,
            is_id,
        ] = fields.map(str::to_owned);
        assert_eq!(
            printed == REFUSED,
            pulled == REFUSED,
            "accepted in one form only: {line}"
        );
        let accepted = printed != REFUSED;
        let parts = Parts {
            registry,
            repository,
            tag,
            digest,
            printed,
            familiar,
            pulled,
        };
        Self {
            named: accepted.then_some(parts),
            any: (any != REFUSED).then_some((any, is_id == "true")),
        }
    }
}
