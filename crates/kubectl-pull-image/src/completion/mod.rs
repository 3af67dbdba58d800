//! Completion: for kubectl, and for shells.

mod asked;

use std::time::Duration;

use anyhow::Result;
use clap::{CommandFactory as _, FromArgMatches as _};
use clap_complete::Shell as ClapShell;
use k8s_openapi::api::core::v1::{Namespace, Node};
use kube::api::{DynamicObject, ListParams};
use kube::config::Kubeconfig;
use kube::core::ApiResource;
use kube::{Api, ResourceExt};
use serde_json::Value;

use self::asked::{Asked, Source};
use crate::cli::{Cli, Connection, Shell};
use crate::cluster::Cluster;
use crate::progress::Voice;

/// The program's own name, which is what shells know.
const NAME: &str = "kubectl-pull_image";

/// kubectl looks for a program of this name, gives it the words so far, and reads candidates and a directive.
const KUBECTL: &str = "#!/bin/sh\n\
    # Put this on the PATH as kubectl_complete-pull_image, executable.\n\
    exec kubectl-pull_image __complete -- \"$@\"\n";

/// Cobra's `ShellCompDirectiveDefault`: without candidates the shell offers files.
const FILES: &str = ":0";

/// Cobra's `ShellCompDirectiveNoFileComp`.
const NO_FILES: &str = ":4";

/// Both of cobra's `ShellCompDirectiveNoFileComp` and `ShellCompDirectiveNoSpace`.
const NO_FILES_NO_SPACE: &str = ":6";

/// How long is waited for the cluster: whoever has pressed a key does not wait.
const PATIENCE: Duration = Duration::from_secs(2);

/// The script for a shell.
pub fn script(shell: Shell) -> String {
    let of = |shell: ClapShell| {
        let mut bytes = Vec::new();
        clap_complete::generate(shell, &mut for_shells(), NAME, &mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    match shell {
        Shell::Kubectl => KUBECTL.to_owned(),
        // clap writes the dash of the name in two ways, and the script would find no command below it.
        Shell::Bash => {
            of(ClapShell::Bash).replace("kubectl__subcmd__pull_image", "kubectl__pull_image")
        }
        Shell::Zsh => of(ClapShell::Zsh),
        Shell::Fish => of(ClapShell::Fish),
    }
}

/// The command line as shells are to know it. That of the program has a space in its name, which no shell completes, and clap's
/// scripts would offer what is hidden.
fn for_shells() -> clap::Command {
    let all = Cli::command();
    let offered = all.get_subcommands().filter(|it| !it.is_hide_set());
    clap::Command::new(NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments())
        .subcommands(offered)
}

/// The candidates for the last of the words, one each line, and the directive. The cluster is that of the flags among the
/// words, or else that of `own`.
pub async fn complete(words: &[String], own: &Connection, voice: Voice) -> String {
    let asked = asked::asked(words);
    let found = match &asked.from {
        None => Vec::new(),
        Some(source) => {
            let typed = connection(words);
            let looking = look_up(source, typed.as_ref().unwrap_or(own), voice);
            match tokio::time::timeout(PATIENCE, looking).await {
                Ok(Ok(found)) => found,
                _ => Vec::new(),
            }
        }
    };
    lines(asked, found)
}

/// The candidates that begin with what was typed, and the directive.
fn lines(asked: Asked, found: Vec<String>) -> String {
    let all = asked.fixed.into_iter().chain(found);
    let mut lines: Vec<_> = all.filter(|it| it.starts_with(&asked.typed)).collect();
    lines.sort();
    // No space where the word goes on after the candidate.
    let goes_on = |it: &String| it.ends_with(['/', ':']);
    let directive = if asked.from == Some(Source::Files) {
        FILES
    } else if !lines.is_empty() && lines.iter().all(goes_on) {
        NO_FILES_NO_SPACE
    } else {
        NO_FILES
    };
    lines.push(directive.to_owned());
    lines.join("\n") + "\n"
}

/// The flags about the cluster that are among the words before the last one.
fn connection(words: &[String]) -> Option<Connection> {
    let (_, typed) = words.split_last()?;
    // Half a command line is a wrong one.
    let command = Cli::command().no_binary_name(true).ignore_errors(true);
    let matches = command.try_get_matches_from(typed).ok()?;
    Connection::from_arg_matches(&matches).ok()
}

async fn look_up(source: &Source, connection: &Connection, voice: Voice) -> Result<Vec<String>> {
    // Connected to only where it is asked: a kubeconfig may have a program run for that.
    let cluster = Cluster::of(connection, voice);
    Ok(match source {
        Source::Files => Vec::new(),
        Source::Contexts => {
            let all = kubeconfig(connection)?.contexts.into_iter();
            all.map(|it| it.name).collect()
        }
        Source::Clusters => {
            let all = kubeconfig(connection)?.clusters.into_iter();
            all.map(|it| it.name).collect()
        }
        Source::Users => {
            let all = kubeconfig(connection)?.auth_infos.into_iter();
            all.map(|it| it.name).collect()
        }
        Source::Namespaces => {
            let kind = ApiResource::erase::<Namespace>(&());
            names(Api::all_with(cluster.await?.client, &kind)).await?
        }
        Source::Nodes => {
            let kind = ApiResource::erase::<Node>(&());
            names(Api::all_with(cluster.await?.client, &kind)).await?
        }
        Source::Objects { kind, before } => {
            let all = names(namespaced(cluster.await?, kind)).await?.into_iter();
            all.map(|name| format!("{before}{name}")).collect()
        }
        Source::Containers { kind, name } => {
            let object = namespaced(cluster.await?, kind).get(name).await?;
            containers(&object.data)
        }
    })
}

fn kubeconfig(connection: &Connection) -> Result<Kubeconfig> {
    Ok(match &connection.kubeconfig {
        Some(file) => Kubeconfig::read_from(file)?,
        None => Kubeconfig::read()?,
    })
}

fn namespaced(cluster: Cluster, kind: &ApiResource) -> Api<DynamicObject> {
    Api::namespaced_with(cluster.client, &cluster.namespace, kind)
}

async fn names(api: Api<DynamicObject>) -> Result<Vec<String>> {
    let all = api.list_metadata(&ListParams::default()).await?;
    Ok(all.iter().map(ResourceExt::name_any).collect())
}

/// The containers of a pod, or of the pods that something makes.
fn containers(object: &Value) -> Vec<String> {
    let template = object.pointer("/spec/template/spec");
    let Some(spec) = template.or_else(|| object.get("spec")) else {
        return Vec::new();
    };
    let kinds = ["containers", "initContainers", "ephemeralContainers"];
    let lists = kinds.iter().filter_map(|kind| spec[kind].as_array());
    let names = lists.flatten().filter_map(|it| it["name"].as_str());
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use serde_json::json;

    use super::*;

    fn split(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    async fn completed(line: &str) -> String {
        let own = connection(&split("")).unwrap();
        complete(&split(line), &own, Voice::new(true, 0)).await
    }

    #[test]
    fn what_was_typed_about_the_cluster_counts() {
        let of = |line: &str| connection(&split(line)).unwrap();
        let typed = of("web -n shop -c app --context=c --to oci:x ");
        assert_eq!(typed.namespace.as_deref(), Some("shop"));
        assert_eq!(typed.context.as_deref(), Some("c"));
        assert_eq!(of("-n shop ").namespace.as_deref(), Some("shop"));
        assert_eq!(of("-n sh").namespace, None);
        for line in [
            "-n shop list --node ",
            "list -n shop --node ",
            "prune -nshop --f",
        ] {
            assert_eq!(of(line).namespace.as_deref(), Some("shop"), "{line}");
        }
    }

    #[tokio::test]
    async fn candidates_begin_with_what_was_typed_and_the_directive_is_last() {
        assert_eq!(completed("--to do").await, "docker\ndocker-archive:\n:4\n");
        assert_eq!(completed("--dry-run=").await, "client\n:4\n");
        assert_eq!(completed("-o j").await, "json\n:4\n");
        assert_eq!(
            completed("completion ").await,
            "bash\nfish\nkubectl\nzsh\n:4\n"
        );
        assert_eq!(completed("prune --f").await, "--force\n:4\n");
        assert_eq!(completed("--f").await, "--flat\n:4\n");
        assert_eq!(completed("web --tag ").await, ":4\n");
        let all = completed("--").await;
        assert!(
            all.contains("--all-containers\n") && all.contains("--context\n"),
            "{all}"
        );
    }

    #[tokio::test]
    async fn no_space_follows_where_the_word_goes_on_and_files_are_left_to_the_shell() {
        assert_eq!(completed("--to oci").await, "oci-archive:\noci:\n:6\n");
        assert_eq!(completed("--to=oci:").await, ":0\n");
        assert_eq!(completed("--kubeconfig ").await, ":0\n");
    }

    #[tokio::test]
    async fn what_a_kubeconfig_has_is_offered_without_a_cluster() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        let text = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "contexts": [{"name": "east", "context": {"cluster": "c", "user": "u"}}, {"name": "west"}],
            "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1"}}],
            "users": [{"name": "u", "user": {}}],
        });
        std::fs::write(&file, text.to_string()).unwrap();
        let file = file.display();
        let of = async |line: &str| completed(&format!("--kubeconfig={file} {line}")).await;
        assert_eq!(of("--context ").await, "east\nwest\n:4\n");
        assert_eq!(of("list --context=e").await, "east\n:4\n");
        assert_eq!(of("--cluster ").await, "c\n:4\n");
        assert_eq!(of("--user=").await, "u\n:4\n");
    }

    #[test]
    fn containers_of_a_pod_and_of_a_template_are_found() {
        let spec = json!({
            "containers": [{"name": "app"}],
            "initContainers": [{"name": "init"}],
            "ephemeralContainers": [{"name": "debug"}],
        });
        let names = ["app", "init", "debug"];
        assert_eq!(containers(&json!({"spec": spec})), names);
        let deployment = json!({"spec": {"replicas": 1, "template": {"spec": spec}}});
        assert_eq!(containers(&deployment), names);
        assert!(containers(&json!({"spec": {"selector": {}}})).is_empty());
    }

    #[test]
    fn each_shell_has_a_script_without_what_is_hidden() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            assert!(script.contains("helper-namespace"), "{shell:?}");
            assert!(!script.contains("__complete"), "{shell:?}");
            assert!(!script.contains("kubectl pull-image"), "{shell:?}");
        }
        assert!(script(Shell::Kubectl).contains("__complete"));
    }

    /// What bash itself offers for a line.
    fn bash(line: &str) -> Vec<String> {
        let asking = "\nCOMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1))\n\
            of=$(complete -p \"$1\"); of=${of##*-F }; ${of%% *} \"$1\" \"${!#}\" \"${COMP_WORDS[COMP_CWORD-1]}\"\n\
            printf '%s\\n' \"${COMPREPLY[@]}\"\n";
        let said = Command::new("bash")
            .args(["--norc", "-c"])
            .arg(script(Shell::Bash) + asking)
            .args(["bash", NAME])
            .args(line.split(' '))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&said.stdout);
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn bash_completes_after_a_command_too() {
        assert_eq!(bash("list --no"), ["--node"]);
        assert_eq!(bash("prune --f"), ["--force"]);
        assert_eq!(bash("--f"), ["--flat"]);
        assert_eq!(bash("list -o j"), ["json"]);
        assert_eq!(bash("completion f"), ["fish"]);
        assert_eq!(bash("pr"), ["prune"]);
        assert_eq!(bash("__"), [""]);
    }
}
