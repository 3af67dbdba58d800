//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Fetches the image of a running container from its node, like docker pull, but from the cluster.
///
/// The image is the one that the container really runs, by its ID, whatever its tag means by now. It is read from the disk of
/// the node by a helper pod that pulls nothing and is gone afterwards. No registry is asked.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl pull-image",
    bin_name = "kubectl pull-image",
    version,
    args_conflicts_with_subcommands = true,
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
        #[arg(long)]
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
    #[arg(required_unless_present = "node", conflicts_with = "node")]
    pub pod: Option<String>,
    /// The container; needed where the pod has several.
    #[arg(short, long)]
    pub container: Option<String>,
    /// The images of all containers, init and ephemeral ones too.
    #[arg(long, conflicts_with = "container")]
    pub all_containers: bool,
    /// The node, for an image that no pod has to run.
    #[arg(long, requires = "image")]
    pub node: Option<String>,
    /// The image on the node: a name, or a digest of its index, manifest or configuration.
    #[arg(long, requires = "node")]
    pub image: Option<String>,
    /// Where to: docker, podman, nerdctl, oci-archive:FILE, docker-archive:FILE, oci:FOLDER, `registry://NAME`, or - for an
    /// archive on standard output. Default: docker, podman or nerdctl, the first one that is here.
    #[arg(long, value_name = "SINK")]
    pub to: Option<String>,
    /// A registry of --to that is spoken to without TLS, such as localhost:5000.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub plain_http: Vec<String>,
    /// The name that the image gets. Default: that in the pod.
    #[arg(long, value_name = "NAME")]
    pub tag: Option<String>,
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
#[derive(Debug, Args)]
#[command(next_help_heading = "kubectl's own")]
pub struct Connection {
    /// The namespace of the pod.
    #[arg(short, long, global = true)]
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
    #[arg(long, global = true, value_name = "DURATION", default_value = "0", value_parser = duration)]
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
    #[arg(long, global = true, value_name = "NAMESPACE")]
    pub helper_namespace: Option<String>,
    /// Its image, any that is on the node. Default: the image that is pulled. Nothing in it is run.
    #[arg(long, global = true, value_name = "IMAGE")]
    pub helper_image: Option<String>,
    /// The folder of the node that has the images of its container runtime.
    #[arg(long, global = true, value_name = "FOLDER", default_value = "/var")]
    pub host_path: String,
    /// How long it may take to start, and how long it lasts without a request.
    #[arg(long, global = true, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub helper_timeout: Duration,
    /// After how long the cluster ends it, whatever happens.
    #[arg(long, global = true, value_name = "DURATION", default_value = "2h", value_parser = duration)]
    pub deadline: Duration,
}

/// A duration as kubectl has it, `90`, `30s` or `1m`.
fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let number: Option<u64> = digits.parse().ok();
    let scale = match &text[digits.len()..] {
        "ms" => Some(Duration::from_millis(1)),
        "s" => Some(Duration::from_secs(1)),
        "m" => Some(Duration::from_secs(60)),
        "h" => Some(Duration::from_secs(3600)),
        _ => None,
    };
    let found = number
        .zip(scale)
        .and_then(|(number, scale)| scale.checked_mul(u32::try_from(number).ok()?));
    found.ok_or_else(|| "no duration such as 30s, 1m or 2h".to_owned())
}

/// A number of bytes, as Kubernetes writes them.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let scale = match &text[digits.len()..] {
        "" => Some(1),
        "k" => Some(1_000),
        "M" => Some(1_000_000),
        "G" => Some(1_000_000_000),
        "Ki" => Some(1 << 10),
        "Mi" => Some(1 << 20),
        "Gi" => Some(1 << 30),
        "Ti" => Some(1u64 << 40),
        _ => None,
    };
    let number: Option<u64> = digits.parse().ok();
    let found = number
        .zip(scale)
        .and_then(|(number, scale)| number.checked_mul(scale));
    found.ok_or_else(|| "no size such as 500Mi or 10Gi".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_and_sizes_are_those_of_kubectl() {
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        assert!(duration("soon").is_err() && duration("").is_err() && duration("5d").is_err());
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("10Gi"), Ok(10 << 30));
        assert!(size("much").is_err() && size("99999999Ti").is_err());
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
}
