//! Reads pull secrets.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kip_image::{Keyring, PullSecret};
use kube::api::Api;
use tracing::warn;

use crate::api_error::{ApiError, Category, bounded};

/// The credentials of the pull secrets in their order, and why others have none. Kubelet passes such a secret over, too.
pub(super) async fn keyring(
    secrets: &Api<Secret>,
    names: &[String],
) -> (Keyring, BTreeMap<String, String>) {
    let mut read = Vec::new();
    let mut bad = BTreeMap::new();
    for name in names {
        let secret = bounded(secrets.get_opt(name)).await;
        match secret.map_err(|error| words(&error)).and_then(parsed) {
            Ok(secret) => read.push(secret),
            Err(why) => {
                warn!(secret = name, why, "a pull secret cannot be used");
                bad.insert(name.clone(), why);
            }
        }
    }
    (Keyring::new(read), bad)
}

fn words(error: &ApiError) -> String {
    if error.category() == Category::Forbidden {
        return "the daemon has no right to read it: name it in configMap.imagePullSecrets or rbac.pullSecrets of the \
                chart, or in PULL_SECRET_RULES of the template, and apply that"
            .to_owned();
    }
    error.detail()
}

fn parsed(secret: Option<Secret>) -> Result<PullSecret, String> {
    let secret = secret.ok_or("there is none of this name in the namespace of the DaemonSet")?;
    let kind = secret.type_.as_deref().unwrap_or_default();
    let data = |key: &str| {
        let data = secret.data.as_ref()?.get(key)?;
        Some(data.0.as_slice())
    };
    match PullSecret::from_data(kind, data) {
        Ok(Some(secret)) => Ok(secret),
        Ok(None) => Err(format!(
            "its type is {kind:?}; a pull secret is of type kubernetes.io/dockerconfigjson and has the key \
             .dockerconfigjson, or of type kubernetes.io/dockercfg with the key .dockercfg"
        )),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;

    fn secret(type_: &str, key: &str, data: &str) -> Secret {
        let data = ByteString(data.as_bytes().to_vec());
        Secret {
            type_: Some(type_.to_owned()),
            data: Some([(key.to_owned(), data)].into()),
            ..Secret::default()
        }
    }

    #[test]
    fn what_is_wrong_with_a_secret_is_told_without_what_is_in_it() {
        let config = r#"{"auths": {"r.example": {"username": "bob", "password": "hush"}}}"#;
        let json = "kubernetes.io/dockerconfigjson";
        assert!(parsed(Some(secret(json, ".dockerconfigjson", config))).is_ok());
        for (secret, expected) in [
            (None, "there is none"),
            (
                Some(secret("Opaque", "a", "hush")),
                "its type is \"Opaque\"",
            ),
            (
                Some(secret(json, ".dockercfg", config)),
                ".dockerconfigjson",
            ),
            (Some(secret(json, ".dockerconfigjson", "{hush")), ""),
        ] {
            let why = parsed(secret).expect_err("it cannot be used");
            assert!(why.contains(expected) && !why.contains("hush"), "{why}");
        }
    }
}
