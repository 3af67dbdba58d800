//! Asks what somebody may do: the API server's authorizer, and the API server itself by doing it.

use std::collections::BTreeSet;
use std::fmt;

use futures::{StreamExt as _, stream};
use http::{Method, Request};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kip_e2e::lab::identity::Served;
use kip_e2e::lab::release::NAME;
use kube::Client;
use kube::api::{Api, PostParams};

/// How many are asked at a time.
const AT_ONCE: usize = 32;

/// May this be done?
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) served: Served,
    pub(super) verb: &'static str,
    /// The namespace; empty means in all.
    pub(super) place: String,
    /// The object's name; empty where the request has none.
    pub(super) name: &'static str,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            served,
            verb,
            place,
            name,
        } = self;
        let Served {
            group, resource, ..
        } = served;
        write!(f, "{verb} {resource}.{group} {place:?}/{name:?}")
    }
}

/// Those of the questions that are answered by yes.
pub(super) async fn allowed(client: &Client, questions: Vec<Question>) -> BTreeSet<String> {
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    stream::iter(questions)
        .map(|question| {
            let api = api.clone();
            async move { ask(&api, &question).await.then(|| question.to_string()) }
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await
}

async fn ask(api: &Api<SelfSubjectAccessReview>, question: &Question) -> bool {
    let Served {
        group, resource, ..
    } = &question.served;
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, sub)) => (resource.to_owned(), Some(sub.to_owned())),
        None => (resource.clone(), None),
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(group.clone()),
                resource: Some(resource),
                subresource,
                verb: Some(question.verb.to_owned()),
                namespace: Some(question.place.clone()),
                name: Some(question.name.to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let answer = api.create(&PostParams::default(), &review).await;
    let status = answer.expect("everybody may ask").status;
    status.expect("there is an answer").allowed
}

/// The requests of each verb: its method, whether it names an object, its query. Nothing is changed by any of them.
const REQUESTS: [(&str, Method, bool, &str); 8] = [
    ("get", Method::GET, true, ""),
    ("list", Method::GET, false, "limit=1"),
    ("watch", Method::GET, false, "watch=1&timeoutSeconds=1"),
    ("create", Method::POST, false, "dryRun=All"),
    ("update", Method::PUT, true, "dryRun=All"),
    ("patch", Method::PATCH, true, "dryRun=All"),
    ("delete", Method::DELETE, true, "dryRun=All"),
    ("deletecollection", Method::DELETE, false, "dryRun=All"),
];

/// Makes a request of each verb to each resource, and checks that it is forbidden exactly where the right for it is
/// not granted. Gives how many were.
pub(super) async fn refused_in_truth(
    client: &Client,
    namespace: &str,
    listed: &BTreeSet<Served>,
    is_granted: impl Fn(&Served, &'static str, &'static str) -> bool,
) -> usize {
    let mut requests = Vec::new();
    for served in listed {
        for (verb, method, is_named, query) in REQUESTS {
            // A subresource is always that of an object. POST on one of the kind itself has no name, whatever is sent.
            let name = if is_named || served.resource.contains('/') {
                NAME
            } else {
                ""
            };
            let is_granted = is_granted(served, verb, name);
            let uri = uri(served, namespace, name, query);
            requests.push((verb, method, uri, is_granted));
        }
    }
    let answers = stream::iter(requests).map(|(verb, method, uri, is_granted)| async move {
        let is_forbidden = is_forbidden(client, method, &uri).await;
        let is_right = is_forbidden != is_granted;
        (is_forbidden, (!is_right).then(|| format!("{verb} {uri}")))
    });
    let answers: Vec<_> = answers.buffer_unordered(AT_ONCE).collect().await;
    let wrong: Vec<_> = answers
        .iter()
        .filter_map(|(_, wrong)| wrong.as_ref())
        .collect();
    assert!(wrong.is_empty(), "answered otherwise: {wrong:#?}");
    answers
        .iter()
        .filter(|(is_forbidden, _)| *is_forbidden)
        .count()
}

fn uri(served: &Served, namespace: &str, name: &str, query: &str) -> String {
    let Served {
        group,
        resource,
        version,
        namespaced,
    } = served;
    let root = if group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{group}/{version}")
    };
    let namespace = if *namespaced {
        format!("/namespaces/{namespace}")
    } else {
        String::new()
    };
    let object = match resource.split_once('/') {
        Some((resource, sub)) => format!("{resource}/{name}/{sub}"),
        None if name.is_empty() => resource.clone(),
        None => format!("{resource}/{name}"),
    };
    format!("{root}{namespace}/{object}?{query}")
}

async fn is_forbidden(client: &Client, method: Method, uri: &str) -> bool {
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .header("content-type", "application/json")
        .body(Vec::new())
        .expect("a request");
    let answer = client.request_text(request).await;
    let refusal = match &answer {
        Err(kube::Error::Api(status)) => Some(status),
        _ => None,
    };
    // What is no answer of the API server is no refusal either: say so.
    assert!(answer.is_ok() || refusal.is_some(), "{uri}: {answer:?}");
    refusal.is_some_and(|status| status.code == 403 && status.message.contains("cannot"))
}
