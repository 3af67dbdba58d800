//! What it costs. Each figure is printed, and held against its limit.

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::jiff::Timestamp;
use kip_e2e::lab::cluster::repository;
use kip_e2e::lab::release::NAME;
use kip_e2e::lab::{Release, Space, alone, eventually, eventually_within, space};
use kube::ResourceExt as _;

use super::setup;

#[tokio::test]
async fn an_idle_daemon_is_small_and_writes_nothing() {
    space::within("idle", async |space| {
        let entries = setup::push_images(&space.cluster, 5, 64);
        setup::installed(space, &entries).await;
        space.metric_is(r#"kip_nodes{state="complete"}"#, "2").await;
        let pod = space.daemon_ready().await;
        let audit = space.cluster.audit_log().unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let user = format!("system:serviceaccount:{}:k8s-image-puller", space.name);
        let requests = audit.requests().unwrap();
        let ours = requests.iter().filter(|request| request.user() == user);
        let (writes, reads): (Vec<_>, Vec<_>) = ours.partition(|request| request.is_write());
        assert!(
            !reads.is_empty(),
            "the audit log knows the daemon by another name than {user}"
        );
        assert!(writes.is_empty(), "{writes:#?}");
        let (_, _, pid) = setup::task(space, &pod, NAME).await.unwrap();
        let resident = resident_kilobytes(&pid).unwrap();
        let bytes = std::fs::metadata(repository().join("bin/kip-daemon"))
            .unwrap()
            .len();
        println!("figure: kip-daemon: {bytes} bytes");
        println!("figure: kip-daemon: resident {resident} kB, idle, 2 nodes, 5 images");
        println!(
            "figure: kip-daemon: {} API writes and {} reads in an idle minute",
            writes.len(),
            reads.len()
        );
        assert!(resident <= 10_000, "{resident} kB");
    })
    .await;
}

/// `KIP_SOAK_MINUTES` makes it a soak, with a refresh every minute.
#[tokio::test]
async fn a_daemon_that_refreshes_again_and_again_does_not_grow() {
    let soak: Option<u64> = std::env::var("KIP_SOAK_MINUTES")
        .ok()
        .map(|text| text.parse().expect("KIP_SOAK_MINUTES is a number"));
    let (interval, refreshes) = soak.map_or((5, 10), |minutes| (60, minutes));
    space::within("soak", async |space| {
        let entries = setup::push_images(&space.cluster, 5, 64);
        let mut values = setup::values(&entries);
        values["configMap.cachingIntervalHours"] = serde_json::json!(format!("{interval}s"));
        Release::install(&space.name, &values).await.unwrap();
        space.all_held(&entries).await;
        let pod = space.daemon_ready().await;
        let (_, _, pid) = setup::task(space, &pod, NAME).await.unwrap();
        let mut last = String::new();
        let mut resident = Vec::new();
        for number in 0..=refreshes {
            // Every other one finds a tag that has moved.
            if number % 2 == 1 {
                setup::push_anew(&space.cluster, &entries[0].1, 64);
            }
            let deadline = Duration::from_secs(interval + 120);
            last = eventually_within(deadline, "the next refresh", async || {
                let daemonset = space.daemonset().await?;
                let key = "kubernetes-image-puller/refreshed-at";
                let at = daemonset.annotations().get(key).cloned().unwrap_or_default();
                anyhow::ensure!(at != last, "still that of {at:?}");
                Ok::<_, anyhow::Error>(at)
            })
            .await;
            resident.push(resident_kilobytes(&pid).unwrap());
        }
        let (first, end) = (resident[0], resident[resident.len() - 1]);
        println!(
            "figure: kip-daemon: resident {first} kB after its first refresh, {end} kB after {refreshes} more, one every {interval} s"
        );
        assert!(end < first + 2048, "{resident:?}");
    })
    .await;
}

#[tokio::test]
async fn a_sleeping_container_costs_hardly_more_than_an_empty_sandbox() {
    space::within("cgroups", async |space| {
        let entries = setup::push_images(&space.cluster, 5, 64);
        setup::installed(space, &entries).await;
        let pods = space.all_held(&entries).await;
        let mut sandboxes = Vec::new();
        let mut sleepers = Vec::new();
        for pod in &pods {
            let (_, _, pid) = setup::task(space, pod, "").await.unwrap();
            sandboxes.push(cgroup_bytes(&pid).unwrap());
            for (name, _) in &entries {
                let (_, _, pid) = setup::task(space, pod, name).await.unwrap();
                sleepers.push(cgroup_bytes(&pid).unwrap());
            }
        }
        let (sandbox, sleeper) = (median(&mut sandboxes), median(&mut sleepers));
        let kib = |bytes: u64| bytes / 1024;
        println!("sleepers {sleepers:?}, sandboxes {sandboxes:?}");
        println!(
            "figure: memory cgroup of a sleeping container: {} KiB, of its sandbox: {} KiB (medians of {} and {})",
            kib(sleeper), kib(sandbox), sleepers.len(), sandboxes.len()
        );
        assert!(sleeper <= sandbox, "sleepers {sleepers:?}, sandboxes {sandboxes:?}");
    })
    .await;
}

#[tokio::test]
async fn the_first_apply_follows_the_start_at_once() {
    const ROUNDS: usize = 5;
    let _alone = alone();
    let mut taken = Vec::new();
    for _ in 0..ROUNDS {
        space::within("start", async |space| taken.push(first_apply(space).await)).await;
    }
    let median = median(&mut taken);
    println!("figure: kip-daemon: start to first apply {median} ms (median of {ROUNDS})");
    assert!(median <= 2000, "{taken:?}");
}

/// Milliseconds from the start of the process to the API server's answer to its first apply.
async fn first_apply(space: &Space) -> u64 {
    let audit = space.cluster.audit_log().expect("there is an audit log");
    let started = Timestamp::now();
    let _daemon = setup::lone_daemon(space, &[]);
    let path = format!("/namespaces/{}/daemonsets/{NAME}", space.name);
    let answered = eventually("the first apply", async || {
        let requests = audit.requests()?;
        let first = requests
            .iter()
            .find(|request| request.code() == 201 && request.uri.contains(&path));
        first
            .map(|request| request.answered)
            .context("no apply yet")
    })
    .await;
    u64::try_from(answered.duration_since(started).as_millis()).expect("time goes forward")
}

fn median(values: &mut [u64]) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}

pub(super) fn resident_kilobytes(pid: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// The memory that the process's cgroup is charged for, in bytes: cgroup v1 or v2. The kernel charges some 100 KiB in
/// advance for each processor, and gives them back when it reclaims: so that is asked for first.
fn cgroup_bytes(pid: &str) -> Result<u64> {
    let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let v1 = cgroups
        .lines()
        .find_map(|line| line.split_once(":memory:").map(|(_, path)| path));
    let (reclaim, request, usage) = if let Some(path) = v1 {
        let folder = format!("/sys/fs/cgroup/memory{path}");
        (
            format!("{folder}/memory.force_empty"),
            "0",
            format!("{folder}/memory.usage_in_bytes"),
        )
    } else {
        let path = cgroups
            .lines()
            .find_map(|line| line.strip_prefix("0::"))
            .context("no cgroup")?;
        let folder = format!("/sys/fs/cgroup{path}");
        (
            format!("{folder}/memory.reclaim"),
            "1G",
            format!("{folder}/memory.current"),
        )
    };
    // It fails where less can be reclaimed than was asked for, which is always so.
    let _ = std::fs::write(reclaim, request);
    Ok(std::fs::read_to_string(&usage)
        .context(usage)?
        .trim()
        .parse()?)
}
