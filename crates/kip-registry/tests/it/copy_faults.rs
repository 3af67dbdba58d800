//! Copies that somebody on the way disturbs.

use http::Method;
use kip_registry::{Client, Copied, Error, Kind, Options};
use tempfile::TempDir;

use crate::support::debian::{Debian, Setup};
use crate::support::fake::{Change, Fake, Reply, Seen, status};
use crate::support::image::{Content, Image, bytes, image, index, serve};
use crate::support::push::list;
use crate::support::{client, copy_anonymously, reference, settings};

async fn run(client: &Client, from: &str, to: &str) -> Result<Copied, Error> {
    let (from, to) = (
        reference(&format!("{from}/a:1")),
        reference(&format!("{to}/a:1")),
    );
    copy_anonymously(client, &from, &to, &Options::default()).await
}

#[tokio::test]
async fn a_copy_survives_a_way_that_cuts_and_fails_at_both_ends() {
    let (data, other_data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let source = Debian::start(&data, &Setup::default());
    let target = Debian::start(&other_data, &Setup::default());
    let layers = [bytes(3_000_000), bytes(2_000_000), bytes(1_000_000)];
    let there = image(&layers.each_ref().map(Vec::as_slice), "");
    source.push("a", "1", &there).await;
    let disturb = |to: String| {
        // Not in turn, which could hit the same request each time.
        move |seen: &Seen| match fastrand::Rng::with_seed(seen.before as u64).u8(..8) {
            0 => Reply::Cut,
            1 => status(503).header("retry-after", "0").empty(),
            2 => Reply::Forward(to.clone(), Change::Cut),
            _ => Reply::Forward(to.clone(), Change::None),
        }
    };
    let near_source = Fake::start(|_| disturb(source.host().to_owned())).await;
    let near_target = Fake::start(|_| disturb(target.host().to_owned())).await;
    let (from, to) = (near_source.host(), near_target.host());
    let mut patient = settings([&*from, &*to, target.host()]);
    patient.retries.count = 20;
    patient.retries.longest_wait = std::time::Duration::from_millis(5);
    let client = Client::new(patient).unwrap();
    let copied = run(&client, &from, &to).await.unwrap();
    assert_eq!(copied.copied, 4);
    let copy = reference(&format!("{}/a:1", target.host()));
    assert_eq!(
        client.manifest(&copy, &[]).await.unwrap().bytes,
        there.manifest.bytes
    );
    for layer in layers {
        let blob = client
            .blob(&copy, &crate::support::sha256(&layer), .., &[])
            .await
            .unwrap();
        assert!(blob.bytes(layer.len()).await.unwrap() == layer);
    }
}

#[tokio::test]
async fn a_layer_that_was_changed_on_the_way_is_not_copied_and_no_tag_appears() {
    for change in [Change::Flip, Change::Short] {
        let (data, other_data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let source = Debian::start(&data, &Setup::default());
        let target = Debian::start(&other_data, &Setup::default());
        let layer = bytes(500_000);
        source.push("a", "1", &image(&[&layer], "")).await;
        let to = source.host().to_owned();
        let way = Fake::start(|_| {
            move |seen: &Seen| {
                let is_layer = seen.method == Method::GET && seen.path().contains("/blobs/");
                Reply::Forward(to.clone(), if is_layer { change } else { Change::None })
            }
        })
        .await;
        let client = client([&*way.host(), target.host()]);
        let error = run(&client, &way.host(), target.host()).await.unwrap_err();
        assert!(
            matches!(error.kind(), Kind::DigestMismatch { .. } | Kind::Malformed),
            "{change:?}: {error}"
        );
        assert_eq!(error.registry(), way.host(), "whose fault it is");
        let tag = reference(&format!("{}/a:1", target.host()));
        let error = client.resolve(&tag, &[]).await.unwrap_err();
        assert_eq!(*error.kind(), Kind::NotFound);
        assert!(
            !client
                .blob_exists(&tag, &crate::support::sha256(&layer), &[])
                .await
                .unwrap()
        );
    }
}

#[tokio::test]
async fn the_tag_is_not_written_when_anything_before_it_fails() {
    let (data, other_data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let source = Debian::start(&data, &Setup::default());
    let target = Debian::start(&other_data, &Setup::default());
    let (one, two) = (image(&[b"one"], ""), image(&[b"two"], ""));
    source.push("a", "one", &one).await;
    source.push("a", "two", &two).await;
    source.put("a", "1", &index(&[&one, &two])).await;
    let refused = format!("/v2/a/manifests/{}", two.manifest.digest);
    let to = target.host().to_owned();
    let way = Fake::start(|_| {
        move |seen: &Seen| {
            if seen.method == Method::PUT && seen.uri == refused {
                status(403).empty()
            } else {
                Reply::Forward(to.clone(), Change::None)
            }
        }
    })
    .await;
    let client = client([source.host(), &*way.host()]);
    let error = run(&client, source.host(), &way.host()).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Denied { .. }), "{error}");
    assert!(!way.lines().contains(&"PUT /v2/a/manifests/1".to_owned()));
    let tag = reference(&format!("{}/a:1", way.host()));
    assert_eq!(
        *client.resolve(&tag, &[]).await.unwrap_err().kind(),
        Kind::NotFound
    );
}

/// A target that has nothing and takes everything.
async fn hole() -> Fake {
    Fake::start(|_| {
        |seen: &Seen| match seen.method {
            Method::POST => status(202).header("location", "/session").empty(),
            Method::PUT => status(201).empty(),
            _ => status(404).empty(),
        }
    })
    .await
}

#[tokio::test]
async fn a_source_that_lies_about_sizes_or_never_ends_is_refused() {
    let layer = Content::new("application/vnd.oci.image.layer.v1.tar", bytes(1000));
    let config = Content::new("application/vnd.oci.image.config.v1+json", "{}");
    let lie = layer.descriptor("").replace("1000", "999");
    let wrong_layer = Content::new(
        kip_registry::media_type::OCI_MANIFEST,
        format!(r#"{{"config":{},"layers":[{lie}]}}"#, config.descriptor("")),
    );
    let inner = image(&[b"x"], "").manifest;
    let wrong_manifest = Content::new(
        kip_registry::media_type::OCI_INDEX,
        format!(
            r#"{{"manifests":[{}]}}"#,
            inner.descriptor("").replace("\"size\":", "\"size\":1")
        ),
    );
    let mut deep = index(&[]);
    let mut all = vec![
        layer,
        config,
        inner,
        wrong_layer.clone(),
        wrong_manifest.clone(),
        deep.clone(),
    ];
    for _ in 0..8 {
        deep = Content::new(
            kip_registry::media_type::OCI_INDEX,
            format!(r#"{{"manifests":[{}]}}"#, deep.descriptor("")),
        );
        all.push(deep.clone());
    }
    let many: Vec<String> = (0..2000)
        .map(|n| Content::new("a/b", format!("{n}")).descriptor(""))
        .collect();
    let wide = Content::new(
        kip_registry::media_type::OCI_INDEX,
        format!(r#"{{"manifests":[{}]}}"#, many.join(",")),
    );
    for (root, kind) in [
        (wrong_layer, Kind::Malformed),
        (wrong_manifest, Kind::Malformed),
        (
            deep,
            Kind::TooLarge {
                what: "the depth of an index",
                limit: 6,
            },
        ),
        (
            wide,
            Kind::TooLarge {
                what: "the number of manifests",
                limit: 1000,
            },
        ),
    ] {
        let has = [&all[..], std::slice::from_ref(&root)].concat();
        let source = Fake::start(|_| {
            move |seen: &Seen| {
                let last = seen.path().rsplit('/').next().unwrap();
                let found = has
                    .iter()
                    .find(|content| last == content.digest.to_string());
                match found {
                    _ if last == "1" => serve(seen, &root),
                    Some(content) => serve(seen, content),
                    None => status(404).empty(),
                }
            }
        })
        .await;
        let target = hole().await;
        let client = client([&*source.host(), &*target.host()]);
        let error = run(&client, &source.host(), &target.host())
            .await
            .unwrap_err();
        assert_eq!(*error.kind(), kind, "{error}");
        assert!(!target.lines().contains(&"PUT /v2/a/manifests/1".to_owned()));
    }
}

/// A source whose index names `count` images of about 10 kB, each with a list of referrers of about `listed` bytes.
async fn wide(count: usize, listed: usize) -> Fake {
    let images: Vec<Image> = (0..count)
        .map(|n| {
            image(
                &[],
                &format!(r#","annotations":{{"{n}":"{}"}}"#, "x".repeat(10_000)),
            )
        })
        .collect();
    let named: Vec<String> = images
        .iter()
        .map(|image| image.manifest.descriptor(""))
        .collect();
    let root = list(&named);
    Fake::start(|_| {
        move |seen: &Seen| {
            let last = seen.path().rsplit('/').next().unwrap();
            if seen.path().contains("/referrers/") {
                let air = " ".repeat(listed);
                return status(200)
                    .header("content-type", kip_registry::media_type::OCI_INDEX)
                    .body(format!(r#"{{"manifests":[{}]}}{air}"#, named[0]));
            }
            match images
                .iter()
                .find(|image| last == image.manifest.digest.to_string())
            {
                _ if last == "1" => serve(seen, &root),
                Some(image) => serve(seen, &image.manifest),
                None => status(404).empty(),
            }
        }
    })
    .await
}

#[tokio::test]
async fn what_a_copy_holds_in_memory_has_a_limit() {
    const LIMIT: usize = 100_000;
    // Nothing is too large but all together: the manifests, or the lists of what refers to them.
    for (count, listed) in [(50, 0), (3, 30_000)] {
        let source = wide(count, listed).await;
        let target = hole().await;
        let mut small = settings([&*source.host(), &*target.host()]);
        small.limits.all_manifest_bytes = LIMIT;
        let client = Client::new(small).unwrap();
        let error = run(&client, &source.host(), &target.host())
            .await
            .unwrap_err();
        let expected = Kind::TooLarge {
            what: "all manifests together",
            limit: LIMIT,
        };
        assert_eq!(*error.kind(), expected, "{count}: {error}");
        assert_eq!(error.registry(), source.host());
        // It ends early.
        let asked = source.lines();
        let fetched = asked
            .iter()
            .filter(|line| line.starts_with("GET /v2/a/manifests/"));
        assert!(fetched.count() < 20, "{asked:?}");
        assert!(!target.lines().iter().any(|line| !line.starts_with("HEAD ")));
    }
}

#[tokio::test]
async fn a_layer_that_only_its_maker_may_give_out_is_left_there() {
    let config = Content::new("application/vnd.docker.container.image.v1+json", "{}");
    let layer = Content::new(
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "foreign",
    );
    let root = Content::new(
        kip_registry::media_type::DOCKER_MANIFEST,
        format!(
            r#"{{"config":{},"layers":[{}]}}"#,
            config.descriptor(""),
            layer.descriptor(r#","urls":["https://maker.example/layer"]"#)
        ),
    );
    let content = root.clone();
    let source = Fake::start(|_| {
        move |seen: &Seen| match seen.path().rsplit('/').next().unwrap() {
            "1" => serve(seen, &content),
            last if last == config.digest.to_string() => serve(seen, &config),
            _ => status(404).empty(),
        }
    })
    .await;
    let target = hole().await;
    let client = client([&*source.host(), &*target.host()]);
    let copied = run(&client, &source.host(), &target.host()).await.unwrap();
    assert_eq!((copied.copied, copied.manifests), (1, 1));
    let put = target
        .seen()
        .into_iter()
        .find(|seen| seen.uri == "/v2/a/manifests/1")
        .unwrap();
    assert_eq!(put.body, root.bytes);
    assert_eq!(
        put.header("content-type"),
        Some(kip_registry::media_type::DOCKER_MANIFEST)
    );
}
