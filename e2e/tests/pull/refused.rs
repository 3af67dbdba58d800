//! What is refused, and what is said of it.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kip_e2e::lab::{Identity, eventually};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::setup::{KEEPS, Lab, container, said, small, with_lab};

#[tokio::test]
async fn a_policy_that_refuses_the_pod_is_named_and_another_namespace_helps() {
    with_lab("pull-policy", async |lab| {
        let image = small(&lab.space.cluster);
        let name = lab.push("app:1", &image);
        lab.pod("web", KEEPS, &name).await.unwrap();
        lab.enforce("restricted").await.unwrap();
        let sink = format!("oci-archive:{}", lab.path("web.tar").display());
        let output = lab.run(&["web", "--to", &sink]).await;
        let words = said(&output);
        assert_eq!(output.status.code(), Some(4), "{words}");
        for part in [
            "restricted",
            &lab.space.name,
            "--helper-namespace",
            "privileged",
        ] {
            assert!(words.contains(part), "{part}: {words}");
        }
        lab.nothing_is_left().await;

        let helpers = lab.space.another("helpers").await.unwrap();
        let other = Lab {
            space: &helpers,
            folder: tempfile::tempdir().unwrap(),
        };
        other.enforce("privileged").await.unwrap();
        let done = lab
            .pull(&["web", "--to", &sink, "--helper-namespace", &helpers.name])
            .await;
        assert_eq!(done["images"][0]["id"], image.config.digest.as_str());
        other.nothing_is_left().await;
        helpers.remove().await;
    })
    .await;
}

#[tokio::test]
async fn a_right_that_is_missing_is_named_until_none_is() {
    with_lab("pull-rights", async |lab| {
        let name = lab.push("app:1", &small(&lab.space.cluster));
        lab.pod("web", KEEPS, &name).await.unwrap();
        let identity = Identity::new(&lab.space.name, "puller").unwrap();
        let sink = format!("oci-archive:{}", lab.path("web.tar").display());
        let arguments = ["web", "--to", &sink, "--kubeconfig", identity.kubeconfig()];
        // Without the right to delete it, the Job ends when nobody asks it.
        let arguments = [&arguments[..], &["--helper-timeout", "10s"]].concat();
        let mut given = Vec::new();
        loop {
            let output = lab.run(&arguments).await;
            if output.status.success() {
                break;
            }
            let words = said(&output);
            assert_eq!(output.status.code(), Some(4), "{words}");
            let (verbs, resource) = missing(&words).expect(&words);
            assert!(
                words.contains(&format!("in namespace {}", lab.space.name)),
                "{words}"
            );
            assert!(given.len() < NEEDED.len(), "{given:?}, and now {words}");
            lab.nothing_is_left().await;
            given.extend(verbs.into_iter().map(|verb| (verb, resource.clone())));
            allow(lab, &identity, &given).await.unwrap();
        }
        given.sort();
        // The message of exec has both of its verbs.
        given.dedup();
        let given: Vec<_> = given
            .iter()
            .map(|(verb, it)| (verb.as_str(), it.as_str()))
            .collect();
        assert_eq!(given, NEEDED);
        lab.nothing_is_left().await;
    })
    .await;
}

/// What docs/pull-image.md says is needed.
const NEEDED: [(&str, &str); 7] = [
    ("create", "configmaps"),
    ("create", "jobs.batch"),
    ("create", "pods/exec"),
    ("delete", "jobs.batch"),
    ("get", "pods"),
    ("get", "pods/exec"),
    ("list", "pods"),
];

/// Verbs and resource of what is said.
fn missing(words: &str) -> Option<(Vec<String>, String)> {
    let (_, rest) = words.split_once("a right is missing: verb")?;
    let (verbs, rest) = rest.trim_start_matches('s').split_once(" on ")?;
    let verbs = verbs.split(" and ").map(|verb| verb.trim().to_owned());
    let (resource, _) = rest.split_once(' ')?;
    Some((verbs.collect(), resource.to_owned()))
}

/// Gives the account just these rights.
async fn allow(lab: &Lab<'_>, identity: &Identity, rights: &[(String, String)]) -> Result<()> {
    let rules = rights.iter().map(|(verb, resource)| {
        let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
        json!({"apiGroups": [group], "resources": [resource], "verbs": [verb]})
    });
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "puller"}, "rules": rules.collect::<Vec<_>>(),
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "puller"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "puller"},
        "subjects": [{"kind": "User", "name": identity.user(), "apiGroup": "rbac.authorization.k8s.io"}],
    });
    let params = PatchParams::apply("test").force();
    let api: Api<Role> = lab.space.api();
    api.patch("puller", &params, &Patch::Apply(role)).await?;
    let bindings: Api<RoleBinding> = lab.space.api();
    bindings
        .patch("puller", &params, &Patch::Apply(binding))
        .await?;
    let (verb, resource) = rights.last().context("one")?;
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    // The API server's authorizer follows with a small delay.
    eventually("the right is given", async || {
        let review: SelfSubjectAccessReview = serde_json::from_value(json!({"spec": {"resourceAttributes": {
            "namespace": lab.space.name, "verb": verb, "resource": resource, "subresource": subresource,
            "group": group,
        }}}))?;
        let reviews = Api::all(identity.client().await?);
        let answer = reviews.create(&PostParams::default(), &review).await?;
        ensure!(answer.status.is_some_and(|it| it.allowed), "not yet");
        anyhow::Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn two_images_do_not_get_one_name() {
    with_lab("pull-names", async |lab| {
        let names = ["main", "side"].map(|name| {
            let image = small(&lab.space.cluster);
            lab.push(&format!("{name}:1"), &image)
        });
        let spec =
            json!({"containers": [container("main", &names[0]), container("side", &names[1])]});
        lab.pod_of("web", KEEPS, spec).await.unwrap();
        let archive = lab.path("web.tar");
        let sink = format!("oci-archive:{}", archive.display());
        let all = [
            "web",
            "--all-containers",
            "--to",
            &sink,
            "--tag",
            "kept.example/web:1",
        ];
        let output = lab.run(&all).await;
        let words = said(&output);
        assert_eq!(output.status.code(), Some(6), "{words}");
        assert!(
            words.contains("kept.example/web:1") && words.contains("-c"),
            "{words}"
        );
        assert!(!archive.exists());
        let done = lab.pull(&all[..4]).await;
        assert_eq!(done["images"].as_array().unwrap().len(), 2);
        lab.nothing_is_left().await;
    })
    .await;
}
