//! A node that has thrown the layers away.

use kip_e2e::image::{Entry, Image};
use serde_json::json;

use crate::setup::{Lab, image, manifest, said, unpack, with_lab};

/// Layers with much in them, in the order in which a builder walks folders.
fn provable(lab: &Lab<'_>) -> Image {
    let unique = lab.space.cluster.unique().into_bytes();
    image(
        &lab.space.cluster,
        &[
            vec![
                Entry::folder("data"),
                Entry::file("data/empty", ""),
                Entry::file("data/gone", "x"),
                Entry::file("data/program", unique).with_mode(0o4755),
                Entry::folder("old"),
                Entry::file("old/a", "1"),
                Entry::file("zeros", vec![0; 1_000_000]).with_owner(1000),
            ],
            vec![
                Entry::folder("data"),
                Entry::file("data/.wh.gone", "").with_mode(0),
            ],
            vec![
                Entry::folder("old"),
                Entry::file("old/.wh..wh..opq", "").with_mode(0o755),
                Entry::file("old/b", "2"),
            ],
        ],
    )
}

#[tokio::test]
async fn layers_that_the_node_has_thrown_away_are_made_again_and_proven() {
    with_lab("pull-proven", async |lab| {
        let image = provable(lab);
        let name = lab.push("app:1", &image);
        lab.pod_without_layers("web", (&name, &image))
            .await
            .unwrap();
        let archive = lab.path("web.tar");
        let sink = format!("oci-archive:{}", archive.display());
        let done = lab
            .pull(&["web", "--require-identical", "--to", &sink])
            .await;
        assert_eq!(
            done["layers"],
            json!({"blob": 0, "proven": 4, "rebuilt": 0, "flat": 0}),
            "{done}"
        );
        assert_eq!(done["images"][0]["id"], image.config.digest.as_str());
        unpack(&archive, &lab.path("web")).unwrap();
        let (_, manifest) = manifest(&lab.path("web")).unwrap();
        assert_eq!(manifest["config"]["digest"], image.config.digest.as_str());
        let original =
            &manifest["annotations"]["io.github.kubernetes-image-puller.original-manifest"];
        assert_eq!(original, image.digest().as_str());
    })
    .await;
}

#[tokio::test]
async fn a_layer_that_cannot_be_proven_is_said_to_be_rebuilt_or_refused() {
    with_lab("pull-rebuilt", async |lab| {
        let unique = lab.space.cluster.unique().into_bytes();
        // No builder writes them in this order.
        let order = ["m", "z", "a", "q"].map(|name| Entry::file(name, unique.clone()));
        let image = image(&lab.space.cluster, &[order.to_vec()]);
        let name = lab.push("app:1", &image);
        lab.pod_without_layers("web", (&name, &image))
            .await
            .unwrap();
        let archive = lab.path("web.tar");
        let sink = format!("oci-archive:{}", archive.display());
        let output = lab
            .run(&["web", "--require-identical", "--to", &sink])
            .await;
        let words = said(&output);
        assert_eq!(output.status.code(), Some(5), "{words}");
        assert!(words.contains("--require-identical"), "{words}");
        assert!(!archive.exists(), "nothing is half done");

        let output = lab.run(&["web", "--to", &sink]).await;
        let words = said(&output);
        assert!(output.status.success(), "{words}");
        assert!(words.contains("1 proven identical, 1 rebuilt"), "{words}");
        unpack(&archive, &lab.path("web")).unwrap();
        let (_, manifest) = manifest(&lab.path("web")).unwrap();
        assert_ne!(manifest["config"]["digest"], image.config.digest.as_str());
        let how = manifest["layers"].as_array().unwrap().iter();
        let how =
            how.map(|it| it["annotations"]["io.github.kubernetes-image-puller.layer"].clone());
        assert_eq!(how.collect::<Vec<_>>(), ["proven", "rebuilt"]);
        // The same files all the same: podman or containerd would unpack them so.
        let layer = manifest["layers"][1]["digest"].as_str().unwrap();
        let layer = crate::setup::blob(&lab.path("web"), layer).unwrap();
        let mut names = Vec::new();
        for entry in tar::Archive::new(layer.as_slice()).entries().unwrap() {
            names.push(entry.unwrap().path().unwrap().display().to_string());
        }
        names.sort_unstable();
        assert_eq!(names, ["a", "m", "q", "z"]);
        lab.nothing_is_left().await;
    })
    .await;
}
