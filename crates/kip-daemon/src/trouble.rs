//! Troubles that have a name: told by the words of who refuses. A closed set, for metrics. Pure.

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    /// A `ResourceQuota` is too small for a pod.
    Quota,
    /// A `LimitRange` does not let a pod be as it is.
    LimitRange,
    /// The level of Pod Security is too high for a pod.
    PodSecurity,
    /// A webhook or a policy refuses a pod, or cannot be asked.
    Admission,
    /// A pod is refused for something else.
    Refused,
    /// A policy makes every start of a sleeper ask the registry.
    AlwaysPull,
    /// The registry does not give an image to who asks.
    Credentials,
    /// The registry does not answer.
    Registry,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Quota,
        Self::LimitRange,
        Self::PodSecurity,
        Self::Admission,
        Self::Refused,
        Self::AlwaysPull,
        Self::Credentials,
        Self::Registry,
    ];

    /// The word for it in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quota => "quota",
            Self::LimitRange => "limit_range",
            Self::PodSecurity => "pod_security",
            Self::Admission => "admission",
            Self::Refused => "refused",
            Self::AlwaysPull => "always_pull",
            Self::Credentials => "credentials",
            Self::Registry => "registry",
        }
    }

    /// In words, with what can be done.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Quota => {
                "a ResourceQuota is too small for it: raise it (`kip-daemon check --nodes N` says to what), or lower \
                 CACHING_*_REQUEST and CACHING_*_LIMIT"
            }
            Self::LimitRange => {
                "a LimitRange does not allow it: change that, or CACHING_*_REQUEST and CACHING_*_LIMIT"
            }
            Self::PodSecurity => {
                "the namespace enforces a level of Pod Security that it does not meet: take out of POD_TEMPLATE what the \
                 level forbids"
            }
            Self::Admission => {
                "a webhook or a policy of the cluster does not let it in: exempt the namespace there"
            }
            Self::Refused => "the API server does not let it in",
            Self::AlwaysPull => {
                "a policy of the cluster (AlwaysPullImages?) has set imagePullPolicy: Always. Each start of a sleeper \
                 then asks the registry, and while that is away none starts: exempt the namespace there"
            }
            Self::Credentials => "the registry does not give the image to who asks",
            Self::Registry => "the registry does not answer the node",
        }
    }

    /// What the API server's words mean when it does not take a pod.
    pub fn of_refusal(words: &str) -> Self {
        let says = |part: &&str| words.contains(*part);
        let any = |parts: &[&str]| parts.iter().any(says);
        // A policy's words may quote anything, so its own marks come first.
        if any(&["admission webhook", "calling webhook", "AdmissionPolicy"]) {
            Self::Admission
        } else if any(&["exceeded quota", "failed quota", "unknown for quota"]) {
            Self::Quota
        } else if any(&["violates PodSecurity"]) {
            Self::PodSecurity
        } else if any(&[" usage per ", "limit to request ratio per "]) {
            Self::LimitRange
        } else {
            Self::Refused
        }
    }

    /// What kubelet's words mean when an image cannot be pulled; `None` where they name no trouble of this list.
    pub fn of_pull(words: &str) -> Option<Self> {
        let words = words.to_ascii_lowercase();
        let any = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
        // Credentials first: kubelet may say of both.
        if any(&[
            "unauthorized",
            "403 forbidden",
            "authorization failed",
            "authentication required",
            "access denied",
            "access to the resource is denied",
            "no basic auth credentials",
            "insufficient_scope",
        ]) {
            Some(Self::Credentials)
        } else if any(&[
            "connection refused",
            "connection reset",
            "no route to host",
            "network is unreachable",
            "no such host",
            "i/o timeout",
            "deadline exceeded",
            "tls handshake timeout",
            "service unavailable",
            "bad gateway",
            "gateway timeout",
        ]) {
            Some(Self::Registry)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart_by_the_words_of_kubernetes() {
        for (words, trouble) in [
            (
                "pods \"p\" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1",
                Trouble::Quota,
            ),
            (
                "pods \"p\" is forbidden: failed quota: q: must specify limits.cpu for: a",
                Trouble::Quota,
            ),
            (
                "pods \"p\" is forbidden: [maximum memory usage per Container is 10Mi, but limit is 20Mi, maximum cpu usage \
                 per Container is 10m, but limit is 200m]",
                Trouble::LimitRange,
            ),
            (
                "pods \"p\" is forbidden: memory max limit to request ratio per Container is 1, but provided ratio is 2.0",
                Trouble::LimitRange,
            ),
            (
                "pods \"p\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true)",
                Trouble::PodSecurity,
            ),
            (
                "admission webhook \"w.example.com\" denied the request: exceeded quota of patience",
                Trouble::Admission,
            ),
            (
                "pods \"p\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
                Trouble::Admission,
            ),
            (
                "Internal error occurred: failed calling webhook \"w.example.com\": connection refused",
                Trouble::Admission,
            ),
            (
                "pods \"p\" is forbidden: no PriorityClass with name high was found",
                Trouble::Refused,
            ),
        ] {
            assert_eq!(Trouble::of_refusal(words), trouble, "{words}");
        }
    }

    #[test]
    fn pulls_that_fail_for_want_of_an_answer_or_of_credentials_are_told_apart() {
        for (words, trouble) in [
            (
                "failed to resolve reference \"r/a:1\": pull access denied, repository does not exist or may require \
                 authorization: authorization failed: no basic auth credentials",
                Some(Trouble::Credentials),
            ),
            (
                "unexpected status from HEAD request to https://r/v2/a/manifests/1: 401 Unauthorized",
                Some(Trouble::Credentials),
            ),
            (
                "unexpected status from HEAD request to https://r/v2/a/manifests/1: 403 Forbidden",
                Some(Trouble::Credentials),
            ),
            (
                "dial tcp 10.0.0.1:5000: connect: connection refused",
                Some(Trouble::Registry),
            ),
            (
                "dial tcp: lookup r on 10.96.0.10:53: no such host",
                Some(Trouble::Registry),
            ),
            ("r/a:1: not found", None),
            ("x509: certificate signed by unknown authority", None),
        ] {
            assert_eq!(Trouble::of_pull(words), trouble, "{words}");
        }
    }

    #[test]
    fn every_trouble_has_a_word_of_its_own() {
        let words: std::collections::BTreeSet<_> = Trouble::ALL
            .iter()
            .map(|trouble| trouble.as_str())
            .collect();
        assert_eq!(words.len(), Trouble::ALL.len());
    }
}
