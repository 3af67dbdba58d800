//! An image whose files are read as they are mounted. What else there is of it is put together from what the pod says.

use anyhow::{Context as _, Result, ensure};
use kip_agent::protocol;
use serde_json::{Value, json};

use crate::digest;
use crate::failure::{Status, failure};
use crate::on_node::OnNode;
use crate::target::{TargetImage, digest_of_id};

/// What the agent says of the image, with what the pod says of the container: the agent sees the files, the environment and the
/// folder that the image has.
///
/// # Errors
/// When the agent contradicts itself.
pub fn check(told: protocol::Image, image: &TargetImage) -> Result<OnNode> {
    // The node's own digests cannot be seen from in there.
    let any = protocol::Wanted {
        digest: None,
        name: None,
    };
    let mut found = OnNode::check(told, &any)?;
    ensure!(
        found.layers.len() == 1,
        "the agent gave more than one layer"
    );
    found.config = with_known(&found.config, image)?;
    found.id = digest::of(&found.config);
    Ok(found)
}

fn with_known(config: &[u8], image: &TargetImage) -> Result<Vec<u8>> {
    let mut config: Value = serde_json::from_slice(config)?;
    let place = config.pointer_mut("/config");
    let place = place.context("a configuration without what is run")?;
    for (field, words) in [("Entrypoint", &image.command), ("Cmd", &image.args)] {
        if !words.is_empty() {
            place[field] = json!(words);
        }
    }
    if let Some(user) = &image.user {
        place["User"] = json!(user);
    }
    Ok(serde_json::to_vec(&config)?)
}

/// Checks that the helper pod has the image that is wanted: where only a name is known, that may mean another one by now.
///
/// # Errors
/// When it has another one.
pub fn is_same(image: &TargetImage, image_id: &str) -> Result<()> {
    // The digest itself was given to the kubelet as a name.
    if image.wanted.digest.as_ref() == Some(&image.name) {
        return Ok(());
    }
    let (Some(wanted), Some(found)) = (&image.wanted.digest, digest_of_id(image_id)) else {
        return Ok(());
    };
    if *wanted == found {
        return Ok(());
    }
    let text = format!(
        "{} means {found} on the node by now, and what runs is {wanted}; without --flat that one can be read",
        image.name
    );
    Err(failure(Status::NotFound, text))
}

#[cfg(test)]
mod tests {
    use kip_agent::protocol::Wanted;

    use super::*;

    fn image() -> TargetImage {
        TargetImage {
            containers: vec!["app".to_owned()],
            name: "app:1".to_owned(),
            other_name: None,
            wanted: Wanted {
                digest: Some(digest::of(b"app").to_string()),
                name: None,
            },
            command: vec!["/bin/app".to_owned()],
            args: Vec::new(),
            user: Some("7:8".to_owned()),
        }
    }

    #[test]
    fn what_the_pod_says_becomes_the_configuration() {
        let config = json!({"config": {"Env": ["A=1"], "WorkingDir": "/w"}, "os": "linux"});
        let known = with_known(config.to_string().as_bytes(), &image()).unwrap();
        let known: Value = serde_json::from_slice(&known).unwrap();
        let expected =
            json!({"Env": ["A=1"], "WorkingDir": "/w", "Entrypoint": ["/bin/app"], "User": "7:8"});
        assert_eq!(known["config"], expected);
    }

    #[test]
    fn a_name_that_means_another_image_is_refused() {
        let id = |text: &[u8]| format!("docker.io/library/app@{}", digest::of(text));
        assert!(is_same(&image(), &id(b"app")).is_ok());
        assert!(is_same(&image(), "").is_ok());
        let error = is_same(&image(), &id(b"other")).unwrap_err().to_string();
        assert!(error.contains("app:1 means sha256:"), "{error}");
    }
}
