//! What an error of the API server means for what to do next, and how long to wait before it.

use std::time::Duration;

use kube::runtime::watcher;

/// How long a request may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A request that failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The API server, or the way to it, failed.
    #[error("the API server failed")]
    Request(#[source] kube::Error),
    /// There was no answer.
    #[error("no answer from the API server within {} s", REQUEST_TIMEOUT.as_secs())]
    TimedOut,
    /// Somebody else changed the object between reading and writing, again and again.
    #[error("the object was changed by somebody else at every try")]
    Contended,
    /// What was written is not in what came back.
    #[error("{0} are not as they were written: a webhook or a policy of the cluster changes them")]
    NotKept(&'static str),
}

/// A closed set, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Category {
    /// No connection, no answer, or an answer of the kind "not now".
    Unreachable,
    /// 401, 403: a right is missing.
    Forbidden,
    /// 400, 422: the object is not accepted.
    Invalid,
    /// 409.
    Conflict,
    /// 500: a webhook that is not there, or the server's own trouble.
    ServerError,
    /// Any other refusal.
    Refused,
}

impl Category {
    /// All categories.
    pub const ALL: [Self; 6] = [
        Self::Unreachable,
        Self::Forbidden,
        Self::Invalid,
        Self::Conflict,
        Self::ServerError,
        Self::Refused,
    ];

    /// The word for it in metrics and Events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Forbidden => "forbidden",
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
            Self::ServerError => "server_error",
            Self::Refused => "refused",
        }
    }

    /// Whether the API server was there and said no.
    pub fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::Forbidden | Self::Invalid | Self::ServerError | Self::Refused
        )
    }

    fn of_code(code: u16) -> Self {
        match code {
            401 | 403 => Self::Forbidden,
            400 | 422 => Self::Invalid,
            409 => Self::Conflict,
            500 | 501 => Self::ServerError,
            // Too many requests, time-outs, something between us and the server, and no code at all.
            0 | 408 | 429 | 502.. => Self::Unreachable,
            _ => Self::Refused,
        }
    }

    /// The category of a client's error.
    pub fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_code(status.code),
            _ => Self::Unreachable,
        }
    }

    /// The category of a watch's error.
    pub fn of_watch(error: &watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => Self::of(error),
            watcher::Error::WatchError(status) => Self::of_code(status.code),
            watcher::Error::NoResourceVersion => Self::Refused,
        }
    }
}

impl ApiError {
    /// Its category.
    pub fn category(&self) -> Category {
        match self {
            Self::Request(error) => Category::of(error),
            Self::TimedOut => Category::Unreachable,
            Self::Contended => Category::Conflict,
            Self::NotKept(_) => Category::Refused,
        }
    }

    /// The server's own words where it has said something, else the whole chain of causes.
    pub fn detail(&self) -> String {
        match self {
            Self::Request(kube::Error::Api(status)) => status.message.clone(),
            other => chain(other),
        }
    }
}

/// What to look at when the server says this. Rights are given by name, so the commonest reason for a 403 is a name that
/// was changed in one place only.
pub fn advice(detail: &str) -> Option<&'static str> {
    let advices = [
        // The words of RBAC; a quota answers 403 too.
        (
            " is forbidden: User ",
            "the Role gives rights by name: it must be made with the DAEMONSET_NAME, DEPLOYMENT_NAME and ConfigMap that \
             are used here (chart: deploymentName, configMap.name; OpenShift: parameters of serviceaccount.yaml)",
        ),
        (
            " is forbidden: no PriorityClass with name ",
            "make that class, or mend POD_PRIORITY_CLASS (or POD_TEMPLATE)",
        ),
        (
            " is forbidden: pod rejected: RuntimeClass ",
            "make that class, or mend POD_RUNTIME_CLASS (or POD_TEMPLATE)",
        ),
        (
            " is forbidden: error looking up service account ",
            "make that account in the DaemonSet's namespace, or mend serviceAccountName in POD_TEMPLATE",
        ),
    ];
    let found = advices.iter().find(|(words, _)| detail.contains(words));
    found.map(|(_, advice)| *advice)
}

/// An error and its causes, each said once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Many errors print their cause themselves.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Bounds a request in time.
///
/// # Errors
/// The request's own error, or [`ApiError::TimedOut`].
pub async fn bounded<T>(
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, ApiError> {
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(answer) => answer.map_err(ApiError::Request),
        Err(_) => Err(ApiError::TimedOut),
    }
}

/// Pauses between tries: short while the API server is away, since it may be back at any moment; longer and longer
/// where it is there and refuses.
#[derive(Debug)]
pub struct Pauses {
    next: Duration,
}

const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST_UNREACHABLE: Duration = Duration::from_secs(2);
const LONGEST_REFUSED: Duration = Duration::from_secs(30);

impl Default for Pauses {
    fn default() -> Self {
        Self { next: SHORTEST }
    }
}

impl Pauses {
    /// How long to pause now.
    pub fn after(&mut self, category: Category) -> Duration {
        let longest = match category {
            Category::Unreachable | Category::Conflict => LONGEST_UNREACHABLE,
            Category::Forbidden | Category::Invalid | Category::ServerError | Category::Refused => {
                LONGEST_REFUSED
            }
        };
        let pause = self.next.min(longest);
        self.next = (pause * 2).min(longest);
        pause
    }

    /// After a success: the next pause is the shortest again.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_short_while_the_server_is_away_and_grow_where_it_refuses() {
        let mut pauses = Pauses::default();
        let away: Vec<u128> = (0..6)
            .map(|_| pauses.after(Category::Unreachable).as_millis())
            .collect();
        assert_eq!(away, [200, 400, 800, 1600, 2000, 2000]);
        let refused: Vec<u128> = (0..6)
            .map(|_| pauses.after(Category::Forbidden).as_millis())
            .collect();
        assert_eq!(refused, [2000, 4000, 8000, 16000, 30000, 30000]);
        assert_eq!(pauses.after(Category::Unreachable), LONGEST_UNREACHABLE);
        pauses.reset();
        assert_eq!(pauses.after(Category::Invalid), SHORTEST);
    }

    #[test]
    fn advice_is_given_for_a_missing_right_and_not_for_a_quota() {
        let right = "daemonsets.apps \"x\" is forbidden: User \"system:serviceaccount:a:b\" cannot patch resource";
        assert!(advice(right).is_some_and(|advice| advice.contains("DAEMONSET_NAME")));
        let quota = "daemonsets.apps \"x\" is forbidden: exceeded quota: q, requested: count/daemonsets.apps=1";
        assert_eq!(advice(quota), None);
    }

    #[test]
    fn a_class_or_an_account_that_is_not_there_is_told_with_the_setting_that_names_it() {
        for (words, setting) in [
            (
                "pods \"p\" is forbidden: no PriorityClass with name nope was found",
                "POD_PRIORITY_CLASS",
            ),
            (
                "pods \"p\" is forbidden: pod rejected: RuntimeClass \"nope\" not found",
                "POD_RUNTIME_CLASS",
            ),
            (
                "pods \"p\" is forbidden: error looking up service account ns/nope: serviceaccount \"nope\" not found",
                "serviceAccountName",
            ),
        ] {
            assert!(
                advice(words).is_some_and(|advice| advice.contains(setting)),
                "{words}"
            );
        }
    }
}
