//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use kip_image::Reference;

use crate::units::{duration, size};

/// Fetches the image of a running container from its node, like docker pull, but from the cluster.
///
/// The image is the one that the container really runs, by its ID, whatever its tag means by now. It is read from the disk of
/// the node by a helper pod that pulls nothing and is gone afterwards. No registry is asked.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl pull-image",
    bin_name = "kubectl pull-image",
    version,
    subcommand_negates_reqs = true,
    after_help = "Exit statuses: 0 done; 1 failed; 2 wrong command line; 3 not found; 4 a right is missing or a policy refuses \
                  the helper pod; 5 the node has not got all of the image any more; 6 the image could not be delivered; 130 \
                  interrupted"
)]
pub struct Cli {
    /// A command other than to pull.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What to pull.
    #[command(flatten)]
    pub pull: Pull,
    /// Which cluster.
    #[command(flatten)]
    pub connection: Connection,
    /// About the helper pod.
    #[command(flatten)]
    pub helper: HelperOptions,
}

/// Commands other than to pull.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lists the images that a node has on its disk.
    List {
        /// The node.
        #[arg(long, value_parser = name)]
        node: String,
        /// How to print them.
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
    /// Removes what killed runs may have left in the cluster.
    Prune {
        /// In all namespaces, not only in that of --helper-namespace or -n.
        #[arg(short = 'A', long)]
        all_namespaces: bool,
        /// Also those that are not over their deadline yet: another run may need them.
        #[arg(long)]
        force: bool,
    },
    /// What kubectl asks for when a word is to be completed.
    #[command(name = "__complete", hide = true)]
    Complete {
        /// The words so far, the last one in part.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Prints the completion of a shell, or installs that of kubectl.
    Completion {
        /// For which.
        shell: Shell,
    },
}

/// Whose completion.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Shell {
    /// kubectl's: a script to be put on the PATH as kubectl_complete-pull_image.
    Kubectl,
    /// For `kubectl-pull_image` itself.
    Bash,
    /// For `kubectl-pull_image` itself.
    Zsh,
    /// For `kubectl-pull_image` itself.
    Fish,
}

/// What to pull, and where to.
#[derive(Debug, Args)]
pub struct Pull {
    /// The pod, or TYPE/NAME of what has pods, such as deploy/web: its newest ready pod.
    #[arg(required_unless_present = "node", conflicts_with = "node", value_parser = name)]
    pub pod: Option<String>,
    /// The container; needed where the pod has several.
    #[arg(short, long, value_parser = name)]
    pub container: Option<String>,
    /// The images of all containers, init and ephemeral ones too.
    #[arg(long, conflicts_with = "container")]
    pub all_containers: bool,
    /// The node, for an image that no pod has to run.
    #[arg(long, requires = "image", value_parser = name)]
    pub node: Option<String>,
    /// The image on the node: a name, or a digest of its index, manifest or configuration.
    #[arg(long, requires = "node", value_parser = name)]
    pub image: Option<String>,
    /// Where to: docker, podman, nerdctl, oci-archive:FILE, docker-archive:FILE, oci:FOLDER, `registry://NAME`, or - for an
    /// archive on standard output. Default: docker, podman or nerdctl, the first one that is here.
    #[arg(long, value_name = "SINK")]
    pub to: Option<String>,
    /// A registry of --to that is spoken to without TLS, such as localhost:5000.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub plain_http: Vec<String>,
    /// The name that the image gets. Default: that in the pod.
    #[arg(long, value_name = "NAME", value_parser = tag)]
    pub tag: Option<Reference>,
    /// Fail where a layer would have to be made again that cannot be proven to be the same.
    #[arg(long)]
    pub require_identical: bool,
    /// How many streams read at the same time.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub streams: u8,
    /// Where what was read is kept, so that a second pull reads only what is new. Default: kubectl-pull-image in the user's
    /// folder of caches.
    #[arg(long, value_name = "FOLDER")]
    pub cache_dir: Option<PathBuf>,
    /// How much of it is kept after a pull, such as 500Mi or 10Gi; 0 keeps nothing.
    #[arg(long, value_name = "SIZE", default_value = "10Gi", value_parser = size)]
    pub cache_size: u64,
    /// Print what would be made in the cluster, and make nothing.
    #[arg(long, value_enum, value_name = "HOW", num_args = 0..=1, default_missing_value = "client", require_equals = true)]
    pub dry_run: Option<DryRun>,
    /// How to print what was done; with --dry-run, what would be.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    /// Say nothing but what is asked for.
    #[arg(short, long)]
    pub quiet: bool,
}

/// How not to do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// Nothing is sent.
    Client,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

/// kubectl's own flags.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "kubectl's own")]
pub struct Connection {
    /// The namespace of the pod.
    #[arg(short, long, global = true, value_parser = name)]
    pub namespace: Option<String>,
    /// The kubeconfig file.
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context in it.
    #[arg(long, global = true)]
    pub context: Option<String>,
    /// The cluster in it.
    #[arg(long, global = true)]
    pub cluster: Option<String>,
    /// The user in it.
    #[arg(long, global = true)]
    pub user: Option<String>,
    /// Act as this user.
    #[arg(long = "as", global = true, value_name = "USER")]
    pub impersonate: Option<String>,
    /// Act as of this group.
    #[arg(long = "as-group", global = true, value_name = "GROUP")]
    pub impersonate_groups: Vec<String>,
    /// How long a single request may last, such as 30s or 1m; 0 for as long as it takes. Not the transfer.
    #[arg(long, global = true, value_name = "DURATION", default_value = "0", value_parser = up_to_a_day, allow_hyphen_values = true)]
    pub request_timeout: Duration,
    /// How much to say of what is done: 0 to 9.
    #[arg(short, long, global = true, value_name = "LEVEL", default_value_t = 0)]
    pub v: u8,
}

/// About the helper pod.
#[derive(Debug, Args)]
#[command(next_help_heading = "The helper pod")]
pub struct HelperOptions {
    /// Its namespace, which has to allow a pod that reads a folder of its node. Default: that of the pod.
    #[arg(long, global = true, value_name = "NAMESPACE", value_parser = name)]
    pub helper_namespace: Option<String>,
    /// Its image, any that is on the node. Default: the image that is pulled. Nothing in it is run.
    #[arg(long, global = true, value_name = "IMAGE", value_parser = name)]
    pub helper_image: Option<String>,
    /// The folder of the node that has the images of its container runtime.
    #[arg(long, global = true, value_name = "FOLDER", default_value = "/var", value_parser = absolute)]
    pub host_path: String,
    /// Read the image's files as they are mounted, not what the node keeps of the image: one layer, and nothing of the node is needed.
    /// From Kubernetes 1.35 on.
    #[arg(long, conflicts_with_all = ["require_identical", "all_containers", "helper_image", "host_path"])]
    pub flat: bool,
    /// With --flat, where the pod may not be root: leave out files that it cannot read.
    #[arg(long, requires = "flat")]
    pub skip_unreadable: bool,
    /// How long it may take to start, and how long it lasts without a request.
    #[arg(long, global = true, value_name = "DURATION", default_value = "60s", value_parser = patience, allow_hyphen_values = true)]
    pub helper_timeout: Duration,
    /// After how long the cluster ends it, whatever happens.
    #[arg(long, global = true, value_name = "DURATION", default_value = "2h", value_parser = deadline, allow_hyphen_values = true)]
    pub deadline: Duration,
}

/// A duration between these.
fn between(text: &str, least: Duration, most: Duration) -> Result<Duration, String> {
    let found = duration(text)?;
    if (least..=most).contains(&found) {
        return Ok(found);
    }
    let (least, most) = (least.as_secs(), most.as_secs());
    Err(format!(
        "{least} to {most} seconds are possible, for example 90s or 1h"
    ))
}

const DAY: Duration = Duration::from_secs(24 * 3600);

fn up_to_a_day(text: &str) -> Result<Duration, String> {
    between(text, Duration::ZERO, DAY)
}

fn patience(text: &str) -> Result<Duration, String> {
    between(text, Duration::from_secs(10), DAY)
}

fn deadline(text: &str) -> Result<Duration, String> {
    between(text, Duration::from_secs(10), 7 * DAY)
}

/// A name of something in the cluster.
fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(char::is_whitespace) {
        return Err("no name such as web".to_owned());
    }
    Ok(text.to_owned())
}

/// A name that an image can get.
fn tag(text: &str) -> Result<Reference, String> {
    let name = Reference::parse(text).map_err(|error| error.to_string())?;
    if name.digest().is_some() {
        return Err(
            "a digest is what an image has by itself; a name is such as example.com/web:1"
                .to_owned(),
        );
    }
    Ok(name)
}

/// A folder of a node.
fn absolute(text: &str) -> Result<String, String> {
    let mut parts = text.split('/');
    if text.starts_with('/') && !text.contains(':') && parts.all(|part| part != "..") {
        return Ok(text.to_owned());
    }
    Err("no absolute path such as /var".to_owned())
}

impl Cli {
    /// Reads the command line of this program. Ends it where that is wrong.
    pub fn read() -> Self {
        Self::of(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// Reads a command line.
    ///
    /// # Errors
    /// When it is none.
    pub fn of<T: Into<OsString> + Clone>(
        words: impl IntoIterator<Item = T>,
    ) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(words)?;
        if let Some(other) = matches.subcommand_name() {
            // clap can refuse all flags before a command, or none.
            if let Some(given) = given_to_pull(&command, &matches) {
                let text = format!("{given} cannot be used with the command '{other}'");
                return Err(command.error(clap::error::ErrorKind::ArgumentConflict, text));
            }
        }
        Self::from_arg_matches(&matches)
    }
}

/// What the command line has that is only for a pull.
fn given_to_pull(command: &clap::Command, matches: &clap::ArgMatches) -> Option<String> {
    let is_given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let mut own = command.get_arguments().filter(|it| !it.is_global_set());
    let given = own.find(|it| is_given(it.get_id().as_str()))?;
    let flag = given.get_long().map(|long| format!("--{long}"));
    Some(flag.unwrap_or_else(|| "POD".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Cli, clap::Error> {
        Cli::of(std::iter::once("kubectl-pull_image").chain(line.split(' ')))
    }

    fn refusal(line: &str) -> String {
        let error = of(line).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
        error.to_string()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_originals_command_lines_are_understood() {
        let cli = Cli::try_parse_from(["kubectl-pull_image", "-n", "a", "-c", "b", "pod"]).unwrap();
        assert_eq!(cli.pull.pod.as_deref(), Some("pod"));
        assert_eq!(cli.pull.container.as_deref(), Some("b"));
        assert_eq!(cli.connection.namespace.as_deref(), Some("a"));
        assert!(Cli::try_parse_from(["kubectl-pull_image"]).is_err());
        let cli = Cli::try_parse_from(["kubectl-pull_image", "list", "--node", "n", "-o", "json"])
            .unwrap();
        assert!(matches!(cli.command, Some(Command::List { .. })));
    }
    #[test]
    fn flags_of_the_cluster_may_come_before_a_command_and_others_may_not() {
        let cli = of("-n shop --context c list --node n").unwrap();
        assert!(matches!(cli.command, Some(Command::List { .. })));
        assert_eq!(cli.connection.namespace.as_deref(), Some("shop"));
        assert!(refusal("--flat list --node n").contains("--flat cannot"));
        let said = refusal("--all-containers list --node n");
        assert!(
            said.contains("--all-containers cannot") && said.contains("'list'"),
            "{said}"
        );
        assert!(refusal("web prune").contains("'prune'"));
        assert!(of("pod/list").unwrap().command.is_none());
    }

    #[test]
    fn a_bad_value_is_named_with_its_flag() {
        let said = refusal(
            "web --tag a@sha256:0000000000000000000000000000000000000000000000000000000000000000",
        );
        assert!(
            said.contains("--tag") && said.contains("example.com/web:1"),
            "{said}"
        );
        assert!(refusal("web --tag UPPER").contains("'UPPER' for '--tag"));
        for flag in [
            "-n ",
            "--helper-image=",
            "-c ",
            "--helper-timeout 0",
            "--deadline -5",
            "--deadline 99999999h",
        ] {
            let said = refusal(&format!("web {flag}"));
            let name = flag.split([' ', '=']).next().unwrap();
            assert!(said.contains(name), "{flag}: {said}");
        }
        for path in ["var", "/var/../etc", "/a:b", ""] {
            assert!(
                refusal(&format!("web --host-path {path}")).contains("such as /var"),
                "{path}"
            );
        }
    }
}
