//! Whose credentials are used.

use std::fs;

use serde_json::json;
use tempfile::TempDir;

use super::registry::{Registry, USER};
use super::{EXIT_CONFIG, check, nobody};

/// A folder for `DOCKER_CONFIG` with this file.
fn docker(content: &serde_json::Value) -> TempDir {
    let folder = TempDir::with_prefix("kip-docker-").expect("a temporary folder");
    let path = folder.path().join("config.json");
    fs::write(path, content.to_string()).expect("it takes a file");
    folder
}

#[test]
fn the_password_comes_from_dockers_file() {
    let registry = Registry::closed();
    registry.both("app:1", &[b"a"], &[b"b"]);
    let host = registry.host();
    let images = [(host, "app=app:1")];

    let said = check(&images, &[], &[]);
    assert_eq!(said.status, Some(EXIT_CONFIG), "{said:?}");
    assert!(
        said.complaint("app").contains("wants credentials"),
        "{said:?}"
    );

    let entry =
        |password: &str| json!({"auths": {host: {"username": USER.0, "password": password}}});
    let right = docker(&entry(USER.1));
    let wrong = docker(&entry("wrong secret"));
    let [right, wrong] = [&right, &wrong].map(|folder| folder.path().display().to_string());
    let said = check(&images, &[], &[("DOCKER_CONFIG", &right)]);
    assert_eq!(
        (said.status, said.complaints.len()),
        (Some(0), 0),
        "{said:?}"
    );

    let said = check(&images, &[], &[("DOCKER_CONFIG", &wrong)]);
    assert_eq!(said.status, Some(EXIT_CONFIG), "{said:?}");
    let complaint = said.complaint("app");
    assert!(
        complaint.contains("no credentials are right (tried: user \"bob\")"),
        "{complaint}"
    );
    assert!(!complaint.contains("wrong secret"), "{complaint}");

    // What is named comes before what is found.
    let file = format!("{right}/config.json");
    let said = check(
        &images,
        &["--docker-config", &file],
        &[("DOCKER_CONFIG", &wrong)],
    );
    assert_eq!(said.status, Some(0), "{said:?}");
}

#[test]
fn an_empty_entry_is_no_credential_and_its_helper_is_named() {
    let registry = Registry::open();
    registry.both("app:1", &[b"a"], &[b"b"]);
    let host = registry.host();
    let helpers = json!({
        "auths": {host: {}}, "credsStore": "desktop", "credHelpers": {"registry.example": "ecr-login"},
    });
    let folder = docker(&helpers);
    let file = folder.path().join("config.json").display().to_string();
    let said = check(&[(host, "app=app:1")], &["--docker-config", &file], &[]);
    assert_eq!(said.status, Some(0), "{said:?}");
    let [store, helper] = said.complaints.as_slice() else {
        panic!("{said:?}");
    };
    assert!(
        store.starts_with(&format!(
            "warning: {file}: credsStore \"desktop\" is not supported"
        )),
        "{store}"
    );
    assert!(
        helper.contains("credHelpers \"ecr-login\" (for \"registry.example\")"),
        "{helper}"
    );
}

#[test]
fn a_file_of_credentials_that_cannot_be_used_ends_it() {
    let folder = docker(&json!({"auths": {"registry.example": {"auth": "SUPERSECRET"}}}));
    let broken = folder.path().join("config.json").display().to_string();
    let missing = folder.path().join("missing.json").display().to_string();
    for file in [&broken, &missing] {
        let said = check(
            &[("registry.example", "app=app:1")],
            &["--docker-config", file],
            &[],
        );
        assert_eq!(said.status, Some(1), "{said:?}");
        let [complaint] = said.complaints.as_slice() else {
            panic!("{said:?}");
        };
        assert!(
            complaint.contains(file) && !complaint.contains("SUPERSECRET"),
            "{complaint}"
        );
    }
    // Found by itself, it may be missing.
    let nobody = nobody();
    let home = [("HOME", missing.as_str())];
    let said = check(&[(&nobody, "app=app:1")], &[], &home);
    assert!(said.complaint("app").contains("no connection"), "{said:?}");
}
