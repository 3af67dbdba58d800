//! The daemon's rights: exactly those that are written here, enough for all that it does, and missed by name.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by a panic, in its helper functions as well"
)]

#[path = "rights/asking.rs"]
mod asking;
#[path = "rights/course.rs"]
mod course;
#[path = "rights/missing.rs"]
mod missing;

use std::collections::BTreeSet;

use kip_e2e::lab::identity::{Served, served};
use kip_e2e::lab::release::NAME;
use kip_e2e::lab::templates::{apply, process};
use kip_e2e::lab::{Identity, Release, Space, space};
use serde_json::json;

use self::asking::{Question, allowed, refused_in_truth};

/// The ServiceAccount, and the ConfigMap, of the chart and of the templates.
const ACCOUNT: &str = "k8s-image-puller";
const CONFIG_MAP: &str = "k8s-image-puller";

/// The `DaemonSet`s of nodes whose architecture an image has nothing for.
const NAMES: [&str; 2] = [
    "kubernetes-image-puller-amd64",
    "kubernetes-image-puller-arm64",
];
const ON_DAEMONSETS: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];

/// The daemon's rights in its namespace: group, resource, the one name that they are for (else any), verbs.
const RIGHTS: [(&str, &str, Option<&str>, &[&str]); 7] = [
    ("apps", "daemonsets", Some(NAME), ON_DAEMONSETS),
    ("apps", "daemonsets", Some(NAMES[0]), ON_DAEMONSETS),
    ("apps", "daemonsets", Some(NAMES[1]), ON_DAEMONSETS),
    (
        "",
        "pods",
        None,
        &["get", "list", "watch", "create", "delete"],
    ),
    ("apps", "deployments", Some(NAME), &["get", "list", "watch"]),
    (
        "",
        "configmaps",
        Some(CONFIG_MAP),
        &["get", "list", "watch"],
    ),
    ("events.k8s.io", "events", None, &["create"]),
];

/// The pull secret that the installation names.
const SECRET: &str = "registry-credentials";
/// The right that it brings.
const TO_READ_IT: (&str, &str, Option<&str>, &[&str]) = ("", "secrets", Some(SECRET), &["get"]);

/// What everybody may do whom the API server knows (`system:basic-user`): ask about oneself.
const ANYBODYS: [(&str, &str); 3] = [
    ("authentication.k8s.io", "selfsubjectreviews"),
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
];

/// Every verb of a request, and those that admission and other components ask about.
const VERBS: [&str; 17] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "use",
    "bind",
    "escalate",
    "impersonate",
    "approve",
    "sign",
    "attest",
    "proxy",
    "*",
];

/// Resources that rights are given on and discovery does not list.
const UNLISTED: [(&str, &str); 8] = [
    ("", "users"),
    ("", "groups"),
    ("", "uids"),
    ("", "nodes/metrics"),
    ("", "nodes/log"),
    ("authentication.k8s.io", "userextras/scopes"),
    ("certificates.k8s.io", "signers"),
    ("*", "*"),
];

/// Whether this table grants it.
fn is_granted(question: &Question, namespace: &str) -> bool {
    let Question {
        served,
        verb,
        place,
        name,
    } = question;
    let is = |group: &str, resource: &str| served.group == group && served.resource == resource;
    let is_anybodys = *verb == "create" && ANYBODYS.iter().any(|(g, r)| is(g, r));
    is_anybodys
        || (place == namespace
            && RIGHTS
                .iter()
                .chain([&TO_READ_IT])
                .any(|(group, resource, only, verbs)| {
                    is(group, resource)
                        && verbs.contains(verb)
                        && only.is_none_or(|only| only == *name)
                }))
}

/// Asks for every verb on every resource, in every place; what is allowed must be what the table grants.
async fn has_exactly_the_rights_of_the_table(space: &Space) {
    let identity = Identity::new(&space.name, ACCOUNT).unwrap();
    let client = identity.client().await.unwrap();
    let listed = served(&space.cluster).await.unwrap();
    assert!(listed.len() > 100, "discovery lists too little: {listed:?}");
    let unlisted = UNLISTED.map(|(group, resource)| Served {
        group: group.to_owned(),
        resource: resource.to_owned(),
        version: String::new(),
        namespaced: false,
    });
    // No name is what a list, and a POST, has; `another` stands for all names that are not ours.
    let mut places = vec![(space.name.as_str(), "another")];
    for place in [space.name.as_str(), "default", ""] {
        let named = [NAME, CONFIG_MAP, SECRET, NAMES[0], NAMES[1]];
        let named = named.map(|name| (place, name));
        places.extend(named.into_iter().chain([(place, "")]));
    }
    let mut questions = Vec::new();
    for served in listed.iter().chain(&unlisted) {
        for verb in VERBS {
            for (place, name) in &places {
                questions.push(Question {
                    served: served.clone(),
                    verb,
                    place: (*place).to_owned(),
                    name,
                });
            }
        }
    }
    let expected: BTreeSet<String> = questions
        .iter()
        .filter(|question| is_granted(question, &space.name))
        .map(ToString::to_string)
        .collect();
    let count = questions.len();
    let found = allowed(&client, questions).await;
    let more: Vec<_> = found.difference(&expected).collect();
    let less: Vec<_> = expected.difference(&found).collect();
    assert!(more.is_empty(), "not in the table: {more:#?}");
    assert!(less.is_empty(), "only in the table: {less:#?}");
    println!(
        "figure: rights: {count} questions about {} resources, {} allowed",
        listed.len(),
        found.len()
    );

    let is_granted = |served: &Served, verb: &'static str, name: &'static str| {
        let place = space.name.clone();
        let served = served.clone();
        let question = Question {
            served,
            verb,
            place,
            name,
        };
        is_granted(&question, &space.name)
    };
    let refused = refused_in_truth(&client, &space.name, &listed, is_granted).await;
    println!("figure: rights: {refused} requests refused that were really made");
}

#[tokio::test]
async fn the_chart_gives_the_rights_of_the_table_and_no_other() {
    space::within("rights", async |space| {
        // A pull that fails at once: a node pulls one image after the other, also for the tests beside this one.
        let images = "a=127.0.0.1:1/a:1";
        let values = json!({"configMap.images": images, "configMap.imagePullSecrets": SECRET});
        Release::install(&space.name, &values).await.unwrap();
        has_exactly_the_rights_of_the_table(space).await;
    })
    .await;
}

#[tokio::test]
async fn the_openshift_template_gives_the_rights_of_the_table_and_no_other() {
    space::within("oc-rights", async |space| {
        let (_, resource, _, verbs) = TO_READ_IT;
        let rules = json!([{"apiGroups": [""], "resources": [resource], "resourceNames": [SECRET], "verbs": verbs}]);
        let rules = format!("PULL_SECRET_RULES={rules}");
        let account = process("serviceaccount.yaml", &[rules.as_str()]).unwrap();
        apply(&account, &space.name, &[]).await.unwrap();
        has_exactly_the_rights_of_the_table(space).await;
    })
    .await;
}
