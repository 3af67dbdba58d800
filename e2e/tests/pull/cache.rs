//! What runs have in common: the cache.

use kip_e2e::image::Entry;

use crate::setup::{KEEPS, image, manifest, noise, said, small, unpack, with_lab};

#[tokio::test]
async fn what_is_damaged_in_the_cache_is_fetched_again() {
    with_lab("pull-damaged", async |lab| {
        let image = small(&lab.space.cluster);
        lab.pod("web", KEEPS, &lab.push("app:1", &image))
            .await
            .unwrap();
        let sink = format!("oci:{}", lab.path("layout").display());
        lab.pull(&["web", "--to", &sink]).await;
        let layer = image.layers[1].digest.as_str();
        let hex = layer.strip_prefix("sha256:").unwrap();
        // As after a loss of power; and who writes into what was delivered has not written into the cache.
        let cached = lab.path("cache").join("blobs/sha256").join(hex);
        let delivered = lab.path("layout").join("blobs/sha256").join(hex);
        let size = std::fs::metadata(&cached).unwrap().len();
        std::fs::write(&delivered, "damaged").unwrap();
        assert_eq!(std::fs::metadata(&cached).unwrap().len(), size);
        std::fs::write(&cached, vec![0; usize::try_from(size).unwrap()]).unwrap();
        let done = lab.pull(&["web", "--to", &sink]).await;
        assert_eq!(done["fetched"]["bytes"], size, "{done}");
        let (digest, _) = manifest(&lab.path("layout")).unwrap();
        assert_eq!(digest, image.digest().as_str());
        lab.nothing_is_left().await;
    })
    .await;
}

#[tokio::test]
async fn of_two_runs_at_once_one_fetches_and_the_other_waits_longer_than_its_pod_would() {
    with_lab("pull-twice", async |lab| {
        let way = kip_e2e::lab::Proxy::start_slow(2 << 20).await.unwrap();
        let content = noise(&lab.space.cluster.unique(), 48 << 20);
        let image = image(&lab.space.cluster, &[vec![Entry::file("large", content)]]);
        lab.pod("web", KEEPS, &lab.push("app:1", &image))
            .await
            .unwrap();
        let run = |name: &str| {
            let archive = lab.path(name);
            let sink = format!("oci-archive:{}", archive.display());
            let kubeconfig = way.kubeconfig().to_owned();
            async move {
                let more = ["--helper-timeout", "10s", "-o", "json", "--kubeconfig"];
                let all = ["web", "--to", &sink].into_iter().chain(more);
                let all: Vec<_> = all.chain([kubeconfig.as_str()]).collect();
                let output = lab.run(&all).await;
                assert!(output.status.success(), "{}", said(&output));
                let folder = archive.with_extension("d");
                unpack(&archive, &folder).unwrap();
                let (digest, _) = manifest(&folder).unwrap();
                let done: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
                let fetched = done["fetched"]["bytes"].as_u64().unwrap();
                (digest, fetched, said(&output))
            }
        };
        let (one, other) = tokio::join!(run("one.tar"), run("other.tar"));
        assert_eq!([&one.0, &other.0], [image.digest().as_str(); 2]);
        let size = image.layers.iter().map(|it| it.bytes.len() as u64);
        assert_eq!(one.1 + other.1, size.sum::<u64>(), "each byte is read once");
        let waited = [&one.2, &other.2].map(|it| it.contains("another run reads"));
        assert!(waited[0] ^ waited[1], "{} {}", one.2, other.2);
        lab.nothing_is_left().await;
    })
    .await;
}
