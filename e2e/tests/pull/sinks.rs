//! Where an image goes.

use std::path::Path;
use std::process::{Command, Output};

use kip_e2e::image::{Entry, Image};
use kip_e2e::lab::Docker;
use kip_e2e::lab::cluster::repository;

use crate::setup::{KEEPS, Lab, THROWS, image, manifest, noise, said, unpack, with_lab};

/// Runs another program. Gives what it printed.
fn printed(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.expect(program);
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        said(&output)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn two_layers(lab: &Lab<'_>) -> Image {
    let unique = lab.space.cluster.unique();
    image(
        &lab.space.cluster,
        &[vec![Entry::file("unique", noise(&unique, 100_000))]],
    )
}

/// An image that pods run on both nodes: `keeps`, and `throws`, whose node has thrown the layers away.
async fn on_both_nodes(lab: &Lab<'_>) -> anyhow::Result<Image> {
    let image = two_layers(lab);
    let name = lab.push("app:1", &image);
    lab.pod("keeps", KEEPS, &name).await?;
    lab.pod_without_layers("throws", (&name, &image)).await?;
    Ok(image)
}

/// The image ID that skopeo finds, which reads everything that the archive has.
fn id_by_skopeo(lab: &Lab<'_>, source: &str) -> String {
    let copy = lab.path("by-skopeo");
    let _ = std::fs::remove_dir_all(&copy);
    let target = format!("oci:{}:x", copy.display());
    printed(
        "skopeo",
        &["--insecure-policy", "copy", "--quiet", source, &target],
    );
    let (_, manifest) = manifest(&copy).expect("a layout");
    manifest["config"]["digest"]
        .as_str()
        .expect("a digest")
        .to_owned()
}

#[tokio::test]
async fn each_archive_is_read_by_others_and_loaded_by_a_node() {
    with_lab("pull-archives", async |lab| {
        let image = on_both_nodes(lab).await.unwrap();
        let id = image.config.digest.as_str();
        for pod in ["keeps", "throws"] {
            let _ = std::fs::remove_dir_all(lab.path("cache"));
            let [oci, docker, folder] = ["oci", "docker", "folder"].map(|kind| {
                let path = lab.path(&format!("{pod}-{kind}"));
                path.display().to_string()
            });
            lab.pull(&[pod, "--to", &format!("oci-archive:{oci}")])
                .await;
            lab.pull(&[pod, "--to", &format!("docker-archive:{docker}")])
                .await;
            lab.pull(&[pod, "--to", &format!("oci:{folder}")]).await;
            manifest(Path::new(&folder)).unwrap();
            for source in [
                format!("oci-archive:{oci}"),
                format!("docker-archive:{oci}"),
                format!("docker-archive:{docker}"),
                format!("oci:{folder}"),
            ] {
                assert_eq!(id_by_skopeo(lab, &source), id, "{source}");
            }
            // containerd: under a name of its own, so that it is seen to be there.
            let loaded = format!("loaded.example/{}/{pod}:1", lab.space.name);
            let to = format!("oci-archive:{oci}");
            lab.pull(&[pod, "--tag", &loaded, "--to", &to]).await;
            let cluster = &lab.space.cluster;
            let imported = cluster.ctr(THROWS, &["images", "import", &oci]).await;
            imported.unwrap();
            let listed = cluster.ctr(THROWS, &["images", "ls", "-q"]).await.unwrap();
            assert!(listed.lines().any(|it| it == loaded), "{listed}");
            let removed = cluster.ctr(THROWS, &["images", "rm", &loaded]).await;
            removed.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn standard_output_is_an_archive_and_nothing_else() {
    with_lab("pull-stdout", async |lab| {
        let image = two_layers(lab);
        let name = lab.push("app:1", &image);
        lab.pod("web", KEEPS, &name).await.unwrap();
        let output = lab.run(&["web", "--to", "-"]).await;
        assert!(output.status.success());
        let archive = lab.path("out.tar");
        std::fs::write(&archive, &output.stdout).unwrap();
        unpack(&archive, &lab.path("out")).unwrap();
        let (digest, _) = manifest(&lab.path("out")).unwrap();
        assert_eq!(digest, image.digest().as_str());
        assert!(!output.stderr.is_empty(), "what it does is told elsewhere");
    })
    .await;
}

#[tokio::test]
async fn a_registry_gets_what_it_lacks_and_a_pod_runs_from_it() {
    with_lab("pull-registry", async |lab| {
        let image = on_both_nodes(lab).await.unwrap();
        for pod in ["keeps", "throws"] {
            let _ = std::fs::remove_dir_all(lab.path("cache"));
            let place = format!(
                "{}/{}/to/{pod}:2",
                lab.space.cluster.registry, lab.space.name
            );
            let sink = format!("registry://{place}");
            let done = lab.pull(&[pod, "--to", &sink]).await;
            // Tars are compressed for it; the image stays the same.
            let remote = format!("docker://{place}");
            let raw = printed(
                "skopeo",
                &["inspect", "--tls-verify=false", "--raw", &remote],
            );
            let found = kip_e2e::image::Digest::of(raw.as_bytes());
            assert_eq!(done["images"][0]["manifest"], found.as_str());
            let manifest: serde_json::Value = serde_json::from_str(&raw).unwrap();
            assert_eq!(manifest["config"]["digest"], image.config.digest.as_str());
            for layer in manifest["layers"].as_array().unwrap() {
                assert!(
                    layer["mediaType"].as_str().unwrap().ends_with("gzip"),
                    "{raw}"
                );
            }
            let log = lab.space.cluster.registry_log().unwrap();
            lab.pull(&[pod, "--to", &sink]).await;
            let asked = log.requests_of("kip-registry/").unwrap();
            let path = format!("/v2/{}/to/{pod}/", lab.space.name);
            let asked: Vec<_> = asked.iter().filter(|it| it.contains(&path)).collect();
            assert!(!asked.is_empty());
            let is_asked = |it: &&String| it.contains("HEAD ") || it.contains("/manifests/");
            assert!(asked.iter().copied().all(|it| is_asked(&it)), "{asked:?}");
            lab.pod(&format!("{pod}-again"), KEEPS, &place)
                .await
                .unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn podman_loads_it_where_it_is() {
    with_lab("pull-podman", async |lab| {
        let image = two_layers(lab);
        let name = lab.push("app:1", &image);
        lab.pod("web", KEEPS, &name).await.unwrap();
        // A storage of its own, without mounts.
        let storage = lab.path("storage").display().to_string();
        let config = lab.path("storage.conf");
        let text = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{storage}/root\"\nrunroot = \"{storage}/run\"\n"
        );
        std::fs::write(&config, text).unwrap();
        let tag = format!("localhost/{}:1", lab.space.name);
        let mut command = lab.command(&["web", "--to", "podman", "--tag", &tag]);
        command.env("CONTAINERS_STORAGE_CONF", &config);
        let output: Output = command.output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let mut command = Command::new("podman");
        command
            .env("CONTAINERS_STORAGE_CONF", &config)
            .args(["image", "inspect", "--format", "{{.Id}}", &tag]);
        let output = command.output().unwrap();
        let found = format!("sha256:{}", String::from_utf8_lossy(&output.stdout).trim());
        assert_eq!(found, image.config.digest.as_str(), "{}", said(&output));
        // The plugin is found by kubectl.
        let path = format!("{}:{}", repository().join("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("kubectl");
        command.env("PATH", path).args(["pull-image", "--version"]);
        assert!(command.output().unwrap().status.success());
    })
    .await;
}

#[tokio::test]
async fn docker_loads_it_unless_something_else_is_said() {
    with_lab("pull-docker", async |lab| {
        let image = on_both_nodes(lab).await.unwrap();
        let docker = Docker::start(&lab.path("docker")).await.unwrap();
        let id = |tag: &str| docker.run(&["image", "inspect", "--format", "{{.Id}}", tag]);
        for pod in ["keeps", "throws"] {
            let tag = format!("localhost/{}:{pod}", lab.space.name);
            let mut command = lab.command(&[pod, "--tag", &tag]);
            let output = command.env("DOCKER_HOST", docker.host()).output().unwrap();
            assert!(output.status.success(), "{}", said(&output));
            assert!(said(&output).contains("; to docker"), "{}", said(&output));
            assert_eq!(id(&tag).unwrap(), image.config.digest.as_str());
            // Its files are there: an engine unpacks them only then.
            docker.run(&["create", &tag]).unwrap();
        }
        let tag = format!("localhost/{}:flat", lab.space.name);
        let mut command = lab.command(&["keeps", "--flat", "--to", "docker", "--tag", &tag]);
        let output = command.env("DOCKER_HOST", docker.host()).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        docker.run(&["create", &tag, "/sleep"]).unwrap();
        // What the engine says is told, and nothing is left half done.
        let mut command = lab.command(&["keeps", "--to", "docker"]);
        let nobody = format!("unix://{}", lab.path("nobody").display());
        let output = command.env("DOCKER_HOST", nobody).output().unwrap();
        assert_eq!(output.status.code(), Some(6), "{}", said(&output));
        assert!(said(&output).contains("docker load"), "{}", said(&output));
    })
    .await;
}
