//! What killed runs may leave, and who removes it.

use std::process::Stdio;

use k8s_openapi::api::core::v1::ConfigMap;
use kip_e2e::lab::eventually;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::json;

use crate::setup::{KEEPS, said, small, with_lab};

#[tokio::test]
async fn what_a_killed_run_has_left_is_removed_by_prune_or_ends_by_itself() {
    with_lab("pull-prune", async |lab| {
        let name = lab.push("app:1", &small(&lab.space.cluster));
        lab.pod("web", KEEPS, &name).await.unwrap();
        for by_prune in [true, false] {
            let timeout = if by_prune { "1h" } else { "10s" };
            let sink = format!("oci-archive:{}", lab.path("web.tar").display());
            let arguments = ["web", "--to", &sink, "--helper-timeout", timeout];
            let mut command = lab.command(&arguments);
            let mut child = command.stdout(Stdio::null()).spawn().unwrap();
            eventually("the helper is there", async || {
                let left = lab.left().await?;
                anyhow::ensure!(left.len() == 3, "{left:?}");
                Ok(())
            })
            .await;
            child.kill().unwrap();
            child.wait().unwrap();
            if by_prune {
                // Somebody else's, whatever it is labelled with.
                let name = format!("pull-image-{}", "0".repeat(16));
                let other = json!({"metadata": {"name": name, "labels": {
                    "app.kubernetes.io/name": "kubectl-pull-image",
                    "app.kubernetes.io/managed-by": "kubectl-pull-image",
                }}});
                let maps: Api<ConfigMap> = lab.space.api();
                let other: ConfigMap = serde_json::from_value(other).unwrap();
                maps.create(&PostParams::default(), &other).await.unwrap();
                // Another run may need it, for all that one knows.
                let output = lab.run(&["prune"]).await;
                assert!(output.status.success(), "{}", said(&output));
                assert_ne!(lab.left().await.unwrap(), Vec::<String>::new());
                let output = lab.run(&["prune", "--force"]).await;
                assert!(output.status.success(), "{}", said(&output));
                maps.delete(&name, &DeleteParams::default()).await.unwrap();
            }
            lab.nothing_is_left().await;
        }
    })
    .await;
}
