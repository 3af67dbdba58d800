//! Says which right is missing, or which policy refuses.

use anyhow::Error;

use crate::failure::{Status, failure};

/// The error in words: for a refusal, the verb, the resource and the namespace.
pub fn explain(error: kube::Error, verb: &str, resource: &str, namespace: &str) -> Error {
    let kube::Error::Api(status) = &error else {
        return Error::new(error).context(format!("{verb} {resource} in namespace {namespace}"));
    };
    let message = &status.message;
    match status.code {
        401 => failure(
            Status::Refused,
            format!("the API server does not know who you are: {message}"),
        ),
        403 if message.contains("violates PodSecurity") => {
            failure(Status::Refused, by_pod_security(message, namespace))
        }
        403 if message.contains("cannot ") => failure(
            Status::Refused,
            format!(
                "a right is missing: verb {verb} on {resource} in namespace {namespace} ({message})"
            ),
        ),
        403 => failure(
            Status::Refused,
            format!("{verb} {resource} in namespace {namespace} is refused: {message}"),
        ),
        404 => failure(
            Status::NotFound,
            format!("{verb} {resource} in namespace {namespace}: {message}"),
        ),
        _ => failure(
            Status::Other,
            format!("{verb} {resource} in namespace {namespace}: {message}"),
        ),
    }
}

/// The level that is enforced, and what to do.
fn by_pod_security(message: &str, namespace: &str) -> String {
    let level = message
        .split_once("PodSecurity \"")
        .and_then(|(_, rest)| rest.split_once('"'));
    let level = level.map_or("another level", |(level, _)| level);
    format!(
        "the namespace {namespace} enforces the Pod Security level {level}, and a pod that reads a folder of its node needs \
         'privileged': name another namespace with --helper-namespace, for example kube-system ({message})"
    )
}

#[cfg(test)]
mod tests {
    use kube::core::Status as Answer;

    use super::*;
    use crate::failure::status;

    fn refused(message: &str) -> Error {
        let mut answer = Answer::failure(message, "Forbidden");
        answer.code = 403;
        explain(kube::Error::Api(answer.boxed()), "create", "jobs", "a")
    }

    #[test]
    fn a_refusal_names_what_is_missing() {
        let error =
            refused("jobs.batch is forbidden: User \"eve\" cannot create resource \"jobs\"");
        assert_eq!(status(&error), Status::Refused);
        assert!(
            error
                .to_string()
                .contains("verb create on jobs in namespace a"),
            "{error}"
        );
        let error = refused(
            "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": hostPath volumes",
        );
        assert!(
            error.to_string().contains("level restricted:latest"),
            "{error}"
        );
        assert!(error.to_string().contains("--helper-namespace"), "{error}");
        let error = refused("admission webhook \"p\" denied the request: no");
        assert!(
            error.to_string().contains("is refused: admission webhook"),
            "{error}"
        );
    }
}
