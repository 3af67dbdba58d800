//! Image pull policies: which one a container gets, and what kubelet does with it.
//!
//! The rules are those of [Images: Image pull policy] in the documentation of Kubernetes, and where that says less
//! than the code, those of the code: a differential test compares [`PullPolicy::default_for`] with the API
//! server's own function.
//!
//! ```
//! use kip_image::{NodeAction, Presence, PullPolicy, Reference};
//!
//! let image: Reference = "quay.io/org/app:1.4".parse()?;
//! let policy = PullPolicy::default_for(&image);
//! assert_eq!(policy, PullPolicy::IfNotPresent);
//! assert_eq!(policy.on_node(Presence::Absent), NodeAction::Pull);
//! assert_eq!(policy.on_node(Presence::Usable), NodeAction::Use);
//! # Ok::<(), kip_image::ParseError>(())
//! ```
//!
//! [Images: Image pull policy]: https://kubernetes.io/docs/concepts/containers/images/#image-pull-policy

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::reference::{DEFAULT_TAG, Reference};

/// When kubelet pulls a container's image: the field `imagePullPolicy`.
///
/// Read and printed as in the API, where case matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PullPolicy {
    /// Each time a container is made, kubelet has the container runtime ask the registry what the name stands for,
    /// and pull what is not on the node of it.
    ///
    /// [To force it][required], set it, or leave policy and tag out, or tag the image `latest`.
    ///
    /// The admission plugin [`AlwaysPullImages`] gives every container this policy.
    ///
    /// [required]: https://kubernetes.io/docs/concepts/containers/images/#required-image-pull
    /// [`AlwaysPullImages`]: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#alwayspullimages
    Always,
    /// The image is pulled if it is not on the node.
    IfNotPresent,
    /// The image is not pulled: it must be on the node.
    Never,
}

/// Whether an image is on a node, as kubelet sees it for one pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    /// It is not there.
    Absent,
    /// It is there, and the pod may use it.
    ///
    /// Up to Kubernetes 1.34 this holds for each image that is there: [a pod has read access to every image on its
    /// node](https://kubernetes.io/docs/concepts/containers/images/#pre-pulled-images).
    Usable,
    /// It is there, but was pulled with credentials that the pod has not shown.
    ///
    /// Since 1.35 kubelet remembers with which pull secrets it pulled an image, and makes a pod that has others, or
    /// none, prove itself at the registry: [Ensure image pull credential verification].
    ///
    /// [Ensure image pull credential verification]: https://kubernetes.io/docs/concepts/containers/images/#ensureimagepullcredentialverification
    Unverified,
}

/// What kubelet does before it starts a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeAction {
    /// It has the runtime ask the registry, and pull what is missing. Fails when the registry does not answer, even
    /// if the image is there; what a tag stands for may have [changed](PullPolicy::may_change).
    AskRegistry,
    /// It has the runtime pull the image, which is not there or not the pod's to use. In the second case the layers
    /// stay where they are, and the pull proves that the pod's credentials are accepted.
    Pull,
    /// It uses what is there, without a word to the registry.
    Use,
    /// It does not start the container: `ErrImageNeverPull`.
    Fail,
}

impl PullPolicy {
    /// All of them, in the order of the API's documentation.
    pub const ALL: [Self; 3] = [Self::Always, Self::IfNotPresent, Self::Never];

    /// The name in the API: `IfNotPresent`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }

    /// What the API server writes into a container that has no policy, when the object is created. It does not
    /// change [when the image is changed later][default].
    ///
    /// | Image | Policy |
    /// | --- | --- |
    /// | no tag, no digest | `Always` |
    /// | tag `latest` | `Always`, also where a digest follows |
    /// | another tag | `IfNotPresent` |
    /// | digest, and no tag or another tag than `latest` | `IfNotPresent` |
    ///
    /// For `app:latest@sha256:…` the documentation says `IfNotPresent`; the API server looks at the tag first. (An
    /// image that is no reference gets `IfNotPresent`, and its container never starts.)
    ///
    /// ```
    /// use kip_image::{PullPolicy, Reference};
    ///
    /// let policy = |image| Reference::parse(image).map(|image| PullPolicy::default_for(&image));
    /// assert_eq!(policy("nginx"), Ok(PullPolicy::Always));
    /// assert_eq!(policy("nginx:1.27"), Ok(PullPolicy::IfNotPresent));
    /// ```
    ///
    /// [default]: https://kubernetes.io/docs/concepts/containers/images/#imagepullpolicy-defaulting
    pub fn default_for(image: &Reference) -> Self {
        if image.tag_or_latest() == Some(DEFAULT_TAG) {
            Self::Always
        } else {
            Self::IfNotPresent
        }
    }

    /// What kubelet does for a container with this policy.
    ///
    /// | | absent | usable | unverified |
    /// | --- | --- | --- | --- |
    /// | `Always` | ask the registry | ask the registry | ask the registry |
    /// | `IfNotPresent` | pull | use | pull |
    /// | `Never` | fail | use | fail |
    ///
    /// A digest changes nothing here: with `Always`, the registry is asked for an image by digest too, and must
    /// answer. It changes what may come of it: see [`may_change`](Self::may_change).
    pub fn on_node(self, presence: Presence) -> NodeAction {
        match (self, presence) {
            (Self::Always, _) => NodeAction::AskRegistry,
            (_, Presence::Usable) => NodeAction::Use,
            (Self::IfNotPresent, _) => NodeAction::Pull,
            (Self::Never, _) => NodeAction::Fail,
        }
    }

    /// Whether a node that has the image may run other content under the same name later: only where a registry is
    /// asked each time, and only for an image that is [not pinned](Reference::is_pinned).
    pub fn may_change(self, image: &Reference) -> bool {
        self == Self::Always && !image.is_pinned()
    }
}

/// How long kubelet waits, at least, before it tries a pull again that has failed so many times in a row: 10 s, then
/// twice as long each time, [5 minutes at most][backoff]. The container's state is `ImagePullBackOff` meanwhile.
///
/// [backoff]: https://kubernetes.io/docs/concepts/containers/images/#imagepullbackoff
pub fn pull_backoff(failures: u32) -> Duration {
    const FIRST: Duration = Duration::from_secs(10);
    const MOST: Duration = Duration::from_secs(300);
    match failures.checked_sub(1) {
        None => Duration::ZERO,
        Some(doubled) => FIRST
            .saturating_mul(2_u32.saturating_pow(doubled))
            .min(MOST),
    }
}

impl Reference {
    /// Whether the reference has a digest, so that it [names the same content
    /// forever](https://kubernetes.io/docs/concepts/containers/images/#image-names): a tag beside it is not looked
    /// at, and once pulled, no registry can say anything new.
    pub fn is_pinned(&self) -> bool {
        self.digest().is_some()
    }
}

/// A text that is no pull policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid pull policy {}: one of Always, IfNotPresent, Never was expected{}",
    quote(found),
    hint(found)
)]
pub struct InvalidPullPolicy {
    found: Box<str>,
}

/// The text in quotes; a long one is cut.
fn quote(text: &str) -> String {
    const MOST: usize = 64;
    let mut start: String = text.chars().take(MOST).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    format!("{start:?}")
}

fn hint(text: &str) -> String {
    let meant = PullPolicy::ALL
        .into_iter()
        .find(|policy| policy.as_str().eq_ignore_ascii_case(text.trim()));
    meant.map_or_else(String::new, |policy| {
        format!(" (did you mean {policy}? Letters and spaces count)")
    })
}

impl FromStr for PullPolicy {
    type Err = InvalidPullPolicy;

    fn from_str(text: &str) -> Result<Self, InvalidPullPolicy> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.as_str() == text)
            .ok_or_else(|| InvalidPullPolicy { found: text.into() })
    }
}

impl TryFrom<&str> for PullPolicy {
    type Error = InvalidPullPolicy;

    fn try_from(text: &str) -> Result<Self, InvalidPullPolicy> {
        text.parse()
    }
}

impl fmt::Display for PullPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "@sha256:45b23dee08af5e43a7fea6c4cf9c25ccf269ee113168c19722f87876677c5cb2";

    fn default_for(image: &str) -> PullPolicy {
        PullPolicy::default_for(&Reference::parse(image).expect(image))
    }

    #[test]
    fn the_default_follows_the_tag_and_only_then_the_digest() {
        use PullPolicy::{Always, IfNotPresent};
        for (image, policy) in [
            ("nginx", Always),
            ("nginx:latest", Always),
            ("localhost:5000/nginx", Always),
            ("nginx:Latest", IfNotPresent),
            ("nginx:1.27", IfNotPresent),
            ("latest:1", IfNotPresent),
            (&format!("nginx{DIGEST}"), IfNotPresent),
            (&format!("nginx:1.27{DIGEST}"), IfNotPresent),
            (&format!("nginx:latest{DIGEST}"), Always),
        ] {
            assert_eq!(default_for(image), policy, "{image}");
        }
    }

    #[test]
    fn kubelet_asks_pulls_uses_or_fails_as_the_table_says() {
        use NodeAction::{AskRegistry, Fail, Pull, Use};
        for (policy, absent, usable, unverified) in [
            (PullPolicy::Always, AskRegistry, AskRegistry, AskRegistry),
            (PullPolicy::IfNotPresent, Pull, Use, Pull),
            (PullPolicy::Never, Fail, Use, Fail),
        ] {
            assert_eq!(policy.on_node(Presence::Absent), absent, "{policy}");
            assert_eq!(policy.on_node(Presence::Usable), usable, "{policy}");
            assert_eq!(policy.on_node(Presence::Unverified), unverified, "{policy}");
        }
    }

    #[test]
    fn only_a_tag_that_is_asked_for_each_time_may_change() {
        let tag = Reference::parse("nginx:1").expect("valid");
        let digest = Reference::parse(&format!("nginx:1{DIGEST}")).expect("valid");
        for policy in PullPolicy::ALL {
            assert_eq!(policy.may_change(&tag), policy == PullPolicy::Always);
            assert!(!policy.may_change(&digest));
        }
    }

    #[test]
    fn a_pull_that_fails_is_tried_again_after_five_minutes_at_the_latest() {
        let seconds = |failures| pull_backoff(failures).as_secs();
        let waits: Vec<_> = (0..8).map(seconds).collect();
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(seconds(u32::MAX), 300);
    }

    #[test]
    fn what_is_printed_is_read_back() {
        for policy in PullPolicy::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
    }

    #[test]
    fn another_text_is_refused_with_what_was_expected_and_perhaps_meant() {
        let message = |text: &str| text.parse::<PullPolicy>().expect_err(text).to_string();
        assert_eq!(
            message("ifnotpresent "),
            "invalid pull policy \"ifnotpresent \": one of Always, IfNotPresent, Never was expected \
             (did you mean IfNotPresent? Letters and spaces count)"
        );
        assert_eq!(
            message("\n"),
            "invalid pull policy \"\\n\": one of Always, IfNotPresent, Never was expected"
        );
        assert!(message(&"é".repeat(10_000)).len() < 300);
    }
}
