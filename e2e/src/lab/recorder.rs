//! Records what happens to containers on the nodes, by containerd's own events: whether an image was ever without one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::cluster::Cluster;
use super::wait::eventually;

/// Follows containerd's events on every node from its start on.
pub struct Recorder {
    nodes: Vec<Node>,
}

struct Node {
    name: String,
    stream: Child,
    file: PathBuf,
    containers: String,
    tasks: String,
}

/// For how long an image was without something on a node, all times added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gap {
    /// Without a running container.
    pub running: Duration,
    /// Without any container, which is what keeps kubelet from collecting the image.
    pub kept: Duration,
}

impl Recorder {
    /// Begins to record.
    ///
    /// # Errors
    /// When a node's containerd cannot be reached.
    pub async fn start(cluster: &Cluster) -> Result<Self> {
        let mut nodes = Vec::new();
        for name in cluster.nodes().await? {
            let file = std::env::temp_dir().join(format!("kip-events-{}-{name}", cluster.unique()));
            let mut command = cluster.command(&["ctr", &name, "events"])?;
            let stream = command
                .stdout(File::create(&file)?)
                .stderr(Stdio::null())
                .process_group(0)
                .spawn()?;
            let mut node = Node {
                name,
                stream,
                file,
                containers: String::new(),
                tasks: String::new(),
            };
            node.connected(cluster).await;
            // What is there from before. What happens meanwhile is in both, which does no harm.
            node.containers = cluster.ctr(&node.name, &["containers", "ls"]).await?;
            node.tasks = cluster.ctr(&node.name, &["tasks", "ls"]).await?;
            nodes.push(node);
        }
        Ok(Self { nodes })
    }

    /// The gaps of these images until now, by node and image.
    ///
    /// # Errors
    /// When an image never had a container on a node: then the record is of something else.
    pub fn gaps(&self, images: &BTreeSet<&str>) -> Result<BTreeMap<(String, String), Gap>> {
        let mut gaps = BTreeMap::new();
        for node in &self.nodes {
            let text = std::fs::read_to_string(&node.file)?;
            let story = Story::read(&node.containers, &node.tasks, &text)?;
            for image in images {
                let gap = story
                    .gap(image)
                    .with_context(|| format!("{}: {image}", node.name))?;
                gaps.insert((node.name.clone(), (*image).to_owned()), gap);
            }
        }
        Ok(gaps)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            // Best effort: the whole group, since a script stands before containerd's client.
            let _ = Command::new("kill")
                .args(["--", &format!("-{}", node.stream.id())])
                .status();
            let _ = node.stream.wait();
            let _ = std::fs::remove_file(&node.file);
        }
    }
}

impl Node {
    /// Waits until the stream shows an event that is made for it.
    async fn connected(&self, cluster: &Cluster) {
        let file = &self.file;
        eventually("containerd's events arrive", async || {
            cluster
                .ctr(
                    &self.name,
                    &["namespaces", "label", "k8s.io", "kip-recorder=1"],
                )
                .await?;
            ensure!(
                std::fs::read_to_string(file)?.contains("/namespaces/update"),
                "no event yet"
            );
            Ok(())
        })
        .await;
    }
}

/// One change of one container.
#[derive(Debug)]
enum Change {
    Created(String),
    Started,
    Exited,
    Deleted,
}

#[derive(Debug)]
struct Story {
    /// Image of each container that is there from before, and whether it runs.
    before: HashMap<String, (String, bool)>,
    changes: Vec<(Timestamp, String, Change)>,
}

impl Story {
    fn read(containers: &str, tasks: &str, events: &str) -> Result<Self> {
        let column = |line: &str, number| line.split_whitespace().nth(number).map(str::to_owned);
        let running: BTreeSet<String> = tasks
            .lines()
            .filter(|line| line.contains("RUNNING"))
            .filter_map(|line| column(line, 0))
            .collect();
        let before = containers
            .lines()
            .skip(1)
            .filter_map(|line| Some((column(line, 0)?, column(line, 1)?)))
            .map(|(id, image)| {
                let is_running = running.contains(&id);
                (id, (image, is_running))
            })
            .collect();
        let mut changes = Vec::new();
        // The last line may be half written.
        for line in events.lines().filter(|line| line.ends_with('}')) {
            changes.extend(change(line)?);
        }
        Ok(Self { before, changes })
    }

    fn gap(&self, image: &str) -> Result<Gap> {
        let mut images: HashMap<&str, &str> = HashMap::new();
        let (mut kept, mut running) = (BTreeSet::new(), BTreeSet::new());
        for (id, (of, is_running)) in &self.before {
            images.insert(id, of);
            if of == image {
                kept.insert(id.as_str());
                if *is_running {
                    running.insert(id.as_str());
                }
            }
        }
        let mut gap = Gap::default();
        let mut last: Option<Timestamp> = None;
        let mut was_held = !running.is_empty();
        for (time, id, change) in &self.changes {
            if let Some(last) = last.filter(|_| was_held) {
                let between = Duration::try_from(time.duration_since(last)).unwrap_or_default();
                gap.running += if running.is_empty() {
                    between
                } else {
                    Duration::ZERO
                };
                gap.kept += if kept.is_empty() {
                    between
                } else {
                    Duration::ZERO
                };
            }
            last = Some(*time);
            if let Change::Created(of) = change {
                images.insert(id, of);
            }
            if images.get(id.as_str()) != Some(&image) {
                continue;
            }
            match change {
                Change::Created(_) => kept.insert(id),
                Change::Started => running.insert(id),
                Change::Exited => running.remove(id.as_str()),
                Change::Deleted => kept.remove(id.as_str()),
            };
            was_held |= !running.is_empty();
        }
        ensure!(was_held, "no container of it has run");
        Ok(gap)
    }
}

/// `2026-01-01 00:00:00.1 +0000 UTC k8s.io /tasks/start {…}`
fn change(line: &str) -> Result<Option<(Timestamp, String, Change)>> {
    let mut words = line.splitn(7, ' ');
    let mut word = || words.next().context(line.to_owned());
    let (day, time) = (word()?, word()?);
    let (_, _, _, topic, data) = (word()?, word()?, word()?, word()?, word()?);
    let data: Value = match topic {
        "/containers/create" | "/containers/delete" | "/tasks/start" | "/tasks/exit" => {
            serde_json::from_str(data)?
        }
        _ => return Ok(None),
    };
    let text = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
    let (id, change) = match topic {
        "/containers/create" => (text("id"), Change::Created(text("image"))),
        "/containers/delete" => (text("id"), Change::Deleted),
        "/tasks/start" => (text("container_id"), Change::Started),
        // The end of a process that was executed in a container is not the container's.
        _ if data["id"] != data["container_id"] => return Ok(None),
        _ => (text("container_id"), Change::Exited),
    };
    let time: Timestamp = format!("{day}T{time}Z").parse()?;
    Ok(Some((time, id, change)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "CONTAINER IMAGE RUNTIME\nold app:1 runc\n";
    const TASKS: &str = "TASK PID STATUS\nold 1 RUNNING\n";

    fn event(second: u32, topic: &str, data: &str) -> String {
        format!("2026-01-01 00:00:{second:02}.5 +0000 UTC k8s.io {topic} {data}\n")
    }

    #[test]
    fn a_container_that_goes_before_its_successor_runs_leaves_a_gap() {
        let events = [
            event(10, "/tasks/exit", r#"{"container_id":"old","id":"old"}"#),
            event(11, "/containers/delete", r#"{"id":"old"}"#),
            event(14, "/containers/create", r#"{"id":"new","image":"app:1"}"#),
            event(15, "/tasks/start", r#"{"container_id":"new","pid":2}"#),
        ]
        .concat();
        let story = Story::read(BEFORE, TASKS, &events).unwrap();
        let gap = story.gap("app:1").unwrap();
        assert_eq!((gap.running.as_secs(), gap.kept.as_secs()), (5, 3));
        assert!(story.gap("other:1").is_err());
    }

    #[test]
    fn a_container_that_goes_after_its_successor_runs_leaves_none() {
        let events = [
            event(9, "/containers/create", r#"{"id":"new","image":"app:1"}"#),
            event(10, "/tasks/start", r#"{"container_id":"new","pid":2}"#),
            event(
                11,
                "/tasks/exit",
                r#"{"container_id":"new","id":"an-exec"}"#,
            ),
            event(12, "/tasks/exit", r#"{"container_id":"old","id":"old"}"#),
            event(13, "/containers/delete", r#"{"id":"old"}"#),
        ]
        .concat();
        let story = Story::read(BEFORE, TASKS, &events).unwrap();
        assert_eq!(story.gap("app:1").unwrap(), Gap::default());
    }
}
