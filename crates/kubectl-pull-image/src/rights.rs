//! Says which right is missing, or which policy refuses.

use anyhow::Error;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};

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

/// What has to be done in a namespace: verb, resource with its API group, subresource.
pub type Needed = (&'static str, &'static str, &'static str);

/// Asks whether all of it may be done, before something is made that could not be completed.
///
/// # Errors
/// With each right that is missing. Where the API server does not tell, what is done will.
pub async fn check(client: &Client, namespace: &str, needed: &[Needed]) -> Result<(), Error> {
    let asked = needed.iter().map(|it| may(client, namespace, *it));
    let answers = futures::future::join_all(asked).await;
    let missing: Vec<_> = needed
        .iter()
        .zip(answers)
        .filter(|(_, may)| *may == Some(false))
        .map(|(needed, _)| in_words(*needed, namespace))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(failure(Status::Refused, missing.join("; ")))
}

fn in_words((verb, resource, subresource): Needed, namespace: &str) -> String {
    let slash = if subresource.is_empty() { "" } else { "/" };
    format!(
        "a right is missing: verb {verb} on {resource}{slash}{subresource} in namespace {namespace}"
    )
}

/// Anybody may ask that for himself.
async fn may(
    client: &Client,
    namespace: &str,
    (verb, resource, subresource): Needed,
) -> Option<bool> {
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                namespace: Some(namespace.to_owned()),
                verb: Some(verb.to_owned()),
                resource: Some(resource.to_owned()),
                group: Some(group.to_owned()),
                subresource: Some(subresource.to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answer = api.create(&PostParams::default(), &review).await.ok()?;
    Some(answer.status?.allowed)
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
    fn a_right_is_named_with_its_subresource() {
        let text = in_words(("get", "pods", "exec"), "a");
        assert_eq!(
            text,
            "a right is missing: verb get on pods/exec in namespace a"
        );
        let text = in_words(("create", "jobs.batch", ""), "a");
        assert_eq!(
            text,
            "a right is missing: verb create on jobs.batch in namespace a"
        );
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
