//! Completion: for kubectl, and for shells.

use std::time::Duration;

use clap::{CommandFactory as _, FromArgMatches as _};
use clap_complete::Shell as ClapShell;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

use crate::cli::{Cli, Connection, Shell};
use crate::cluster::Cluster;

/// kubectl looks for a program of this name, gives it the words so far, and reads candidates and a directive.
const KUBECTL: &str = "#!/bin/sh\n\
    # Put this on the PATH as kubectl_complete-pull_image, executable.\n\
    exec kubectl-pull_image __complete -- \"$@\"\n";

/// Cobra's `ShellCompDirectiveNoFileComp`.
const NO_FILES: &str = ":4";

/// How long is waited for the cluster: whoever has pressed a key does not wait.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sinks that have nothing more to say, and the beginnings of the others.
const SINKS: &[&str] = &[
    "docker",
    "podman",
    "nerdctl",
    "oci-archive:",
    "docker-archive:",
    "oci:",
    "registry://",
    "-",
];

/// Types of what has pods.
const TYPES: &[&str] = &[
    "deployment/",
    "daemonset/",
    "statefulset/",
    "replicaset/",
    "job/",
    "service/",
];

/// The script for a shell.
pub fn script(shell: Shell) -> String {
    let of = |shell: ClapShell| {
        let mut bytes = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "kubectl-pull_image", &mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    match shell {
        Shell::Kubectl => KUBECTL.to_owned(),
        Shell::Bash => of(ClapShell::Bash),
        Shell::Zsh => of(ClapShell::Zsh),
        Shell::Fish => of(ClapShell::Fish),
    }
}

/// What is asked for at the last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Flags,
    Namespaces,
    Containers,
    Nodes,
    Sinks,
    Pods,
    Nothing,
}

/// The candidates for the last of the words, one each line, and the directive.
pub async fn complete(cluster: Option<&Cluster>, words: &[String]) -> String {
    let last = words.last().map(String::as_str).unwrap_or_default();
    let asked = candidates(cluster, wanted(words), words);
    let found = tokio::time::timeout(PATIENCE, asked)
        .await
        .unwrap_or_default();
    let mut lines: Vec<_> = found
        .into_iter()
        .filter(|it| it.starts_with(last))
        .collect();
    lines.sort();
    lines.push(NO_FILES.to_owned());
    lines.join("\n") + "\n"
}

/// The flags about the cluster that are among the words.
pub fn connection(words: &[String]) -> Option<Connection> {
    let (_, typed) = words.split_last()?;
    // Half a command line is a wrong one.
    let command = Cli::command().no_binary_name(true).ignore_errors(true);
    let matches = command.try_get_matches_from(typed).ok()?;
    Connection::from_arg_matches(&matches).ok()
}

fn wanted(words: &[String]) -> Wanted {
    let Some((last, before)) = words.split_last() else {
        return Wanted::Pods;
    };
    match before.last().map(String::as_str) {
        Some("-n" | "--namespace" | "--helper-namespace") => return Wanted::Namespaces,
        Some("-c" | "--container") => return Wanted::Containers,
        Some("--node") => return Wanted::Nodes,
        Some("--to") => return Wanted::Sinks,
        Some(flag) if takes_value(flag) => return Wanted::Nothing,
        _ => {}
    }
    if last.starts_with('-') {
        return Wanted::Flags;
    }
    if pod(before).is_some() {
        Wanted::Nothing
    } else {
        Wanted::Pods
    }
}

/// Whether the word after this one is its value.
fn takes_value(flag: &str) -> bool {
    let command = Cli::command();
    command.get_arguments().any(|argument| {
        let long = argument
            .get_long()
            .is_some_and(|long| flag == format!("--{long}"));
        let short = argument
            .get_short()
            .is_some_and(|short| flag == format!("-{short}"));
        (long || short) && argument.get_action().takes_values()
    })
}

/// The word that is no flag and no flag's value.
fn pod(words: &[String]) -> Option<&str> {
    let mut before = "";
    for word in words {
        if !word.starts_with('-') && !takes_value(before) {
            return Some(word);
        }
        before = word;
    }
    None
}

async fn candidates(cluster: Option<&Cluster>, wanted: Wanted, words: &[String]) -> Vec<String> {
    let fixed = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
    match (wanted, cluster) {
        (Wanted::Flags, _) => flags(),
        (Wanted::Sinks, _) => fixed(SINKS),
        (Wanted::Namespaces, Some(cluster)) => {
            names::<Namespace>(Api::all(cluster.client.clone())).await
        }
        (Wanted::Nodes, Some(cluster)) => names::<Node>(Api::all(cluster.client.clone())).await,
        (Wanted::Pods, Some(cluster)) => {
            let mut all: Vec<String> = fixed(TYPES);
            all.extend(
                names::<Pod>(Api::namespaced(cluster.client.clone(), &cluster.namespace)).await,
            );
            all
        }
        (Wanted::Containers, Some(cluster)) => containers(cluster, pod(words)).await,
        _ => Vec::new(),
    }
}

fn flags() -> Vec<String> {
    let command = Cli::command();
    let long = command.get_arguments().filter_map(clap::Arg::get_long);
    long.map(|long| format!("--{long}")).collect()
}

async fn names<K>(api: Api<K>) -> Vec<String>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let all = api.list(&ListParams::default()).await;
    all.into_iter().flatten().map(|it| it.name_any()).collect()
}

async fn containers(cluster: &Cluster, pod: Option<&str>) -> Vec<String> {
    let Some(pod) = pod else { return Vec::new() };
    let pod = pod.strip_prefix("pod/").unwrap_or(pod);
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let Some(spec) = api.get(pod).await.ok().and_then(|pod| pod.spec) else {
        return Vec::new();
    };
    let init = spec.init_containers.into_iter().flatten();
    let ephemeral = spec
        .ephemeral_containers
        .into_iter()
        .flatten()
        .map(|it| it.name);
    spec.containers
        .into_iter()
        .chain(init)
        .map(|it| it.name)
        .chain(ephemeral)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: &str) -> Wanted {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        wanted(&words)
    }

    #[test]
    fn what_is_asked_for_depends_on_the_word_before() {
        assert_eq!(at(""), Wanted::Pods);
        assert_eq!(at("-n a "), Wanted::Pods);
        assert_eq!(at("-n "), Wanted::Namespaces);
        assert_eq!(at("web -c "), Wanted::Containers);
        assert_eq!(at("web --to "), Wanted::Sinks);
        assert_eq!(at("web --tag "), Wanted::Nothing);
        assert_eq!(at("web --quiet "), Wanted::Nothing);
        assert_eq!(at("--quiet w"), Wanted::Pods);
        assert_eq!(at("web --t"), Wanted::Flags);
    }

    #[test]
    fn what_was_typed_about_the_cluster_counts() {
        let of = |line: &str| {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            connection(&words).unwrap()
        };
        let typed = of("web -n shop -c app --context=c --to oci:x ");
        assert_eq!(typed.namespace.as_deref(), Some("shop"));
        assert_eq!(typed.context.as_deref(), Some("c"));
        assert_eq!(of("-n shop ").namespace.as_deref(), Some("shop"));
        assert_eq!(of("-n sh").namespace, None);
    }

    #[tokio::test]
    async fn candidates_begin_with_the_last_word_and_the_directive_is_last() {
        let words = ["--to".to_owned(), "oci".to_owned()];
        assert_eq!(complete(None, &words).await, "oci-archive:\noci:\n:4\n");
        let all = complete(None, &["--".to_owned()]).await;
        assert!(
            all.contains("--all-containers\n") && all.contains("--context\n"),
            "{all}"
        );
    }

    #[test]
    fn each_shell_has_a_script() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            assert!(script(shell).contains("helper-namespace"), "{shell:?}");
        }
        assert!(script(Shell::Kubectl).contains("__complete"));
    }
}
