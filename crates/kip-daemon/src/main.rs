//! The command line of the image puller: the only place that reads the environment, and that exits.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use kip_daemon::api_error::chain;
use kip_daemon::config::quantity::Quantity;
use kip_daemon::config::startup::{LogFormat, Logging};
use kip_daemon::config::{Config, Problems};
use kip_daemon::preview;
use kip_daemon::run::{self, Options, Stop};
use kip_daemon::settings::{Settings, VARIABLES};
use kip_daemon::sizing::amount::Amount;
use kip_daemon::sizing::{self, NodeSize, Sizing};
use kip_daemon::survey;
use kip_program::output::{self, complain};
use kip_program::settings;
use kip_registry::DockerConfig;
use lexopt::prelude::*;

/// `EX_CONFIG` of sysexits.h: the configuration is wrong.
const EXIT_CONFIG: u8 = 78;
/// `EX_USAGE` of sysexits.h: the command line is wrong.
const EXIT_USAGE: u8 = 64;

/// The disk of a node for images and all else, where nothing else is said.
const NODE_DISK: Amount = Amount::bytes(100 << 30);

const USAGE: &str = "\
usage: kip-daemon [run [--listen ADDRESS:PORT] | render [--output yaml|json]
                  | check [--nodes N] [--node-cpu CPU] [--node-memory MEMORY]
                          [--registries [--docker-config FILE] [--node-disk SIZE]]]
       kip-daemon --version | --help

  run      keep the DaemonSet (the default)
  render   print the DaemonSet that the environment asks for, without a cluster
  check    say everything that is wrong with the environment's settings, or sum them up: the images, what the pods take
           of a node (of CPU and MEMORY, by default 4 and 16Gi), and what N nodes need of a quota. It warns when the
           requests are more than 5 % of a node.
           --registries asks for every image too: whether it is there, for which architectures, and what the list takes of
           a node's disk (by default 100Gi); with the credentials of FILE, by default Docker's own config.json

Exit status: 0 done, 78 a setting is wrong or an image cannot be had, 64 the command line is wrong, 1 anything else.
Settings are environment variables:
";

enum Command {
    Run { listen: SocketAddr },
    Render { json: bool },
    Check(Scale),
    Version,
    Help,
}

/// What `check` counts for.
#[derive(Default)]
struct Scale {
    nodes: Option<NonZeroU32>,
    node: NodeSize,
    /// Whether the registries are asked.
    registries: bool,
    docker_config: Option<PathBuf>,
    disk: Option<Amount>,
}

fn main() -> ExitCode {
    let command = match parse(lexopt::Parser::from_env()) {
        Ok(command) => command,
        Err(error) => {
            complain(format_args!("kip-daemon: {error}\n{USAGE}  see --help"));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match command {
        Command::Version => print(concat!("kip-daemon ", env!("CARGO_PKG_VERSION"), "\n")),
        Command::Help => print(&settings::help(USAGE, VARIABLES)),
        Command::Check(scale) => with_settings(|settings| check(&settings, &scale)),
        Command::Render { json } => with_settings(|settings| render(&settings, json)),
        Command::Run { listen } => with_settings(|settings| run(settings, listen)),
    }
}

fn with_settings(act: impl FnOnce(Settings) -> ExitCode) -> ExitCode {
    match environment() {
        Ok(settings) => act(settings),
        Err(error) => {
            complain(format_args!("kip-daemon: {error}"));
            ExitCode::from(EXIT_CONFIG)
        }
    }
}

fn print(text: &str) -> ExitCode {
    output::print("kip-daemon", text)
}

fn parse(mut arguments: lexopt::Parser) -> Result<Command, lexopt::Error> {
    let mut word: Option<String> = None;
    let mut listen = SocketAddr::from(([0_u16; 8], 8080));
    let mut json = false;
    let mut scale = Scale::default();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("version") | Short('V') => return Ok(Command::Version),
            Long("help") | Short('h') => return Ok(Command::Help),
            Long("listen") if word.as_deref().is_none_or(|word| word == "run") => {
                listen = arguments.value()?.parse()?;
            }
            Long("output") | Short('o') if word.as_deref() == Some("render") => {
                json = arguments.value()?.parse_with(|format| match format {
                    "yaml" => Ok(false),
                    "json" => Ok(true),
                    _ => Err("the output is yaml or json"),
                })?;
            }
            Long("nodes") if word.as_deref() == Some("check") => {
                scale.nodes = Some(arguments.value()?.parse_with(|number| {
                    number
                        .parse()
                        .map_err(|_| "the number of nodes is between 1 and 4294967295")
                })?);
            }
            Long("node-cpu") if word.as_deref() == Some("check") => {
                scale.node.cpu = arguments.value()?.parse_with(size)?;
            }
            Long("node-memory") if word.as_deref() == Some("check") => {
                scale.node.memory = arguments.value()?.parse_with(size)?;
            }
            Long("registries") if word.as_deref() == Some("check") => scale.registries = true,
            Long("docker-config") if word.as_deref() == Some("check") => {
                scale.docker_config = Some(arguments.value()?.into());
            }
            Long("node-disk") if word.as_deref() == Some("check") => {
                scale.disk = Some(arguments.value()?.parse_with(size)?);
            }
            Value(value) if word.is_none() => word = Some(value.string()?),
            other => return Err(other.unexpected()),
        }
    }
    match word.as_deref() {
        None | Some("run") => Ok(Command::Run { listen }),
        Some("render") => Ok(Command::Render { json }),
        Some("check") if !scale.registries && scale.docker_config.is_some() => {
            Err("--docker-config needs --registries".into())
        }
        Some("check") if !scale.registries && scale.disk.is_some() => {
            Err("--node-disk needs --registries".into())
        }
        Some("check") => Ok(Command::Check(scale)),
        Some(other) => Err(format!("there is no command {other:?}").into()),
    }
}

/// A node's CPU, memory or disk.
fn size(text: &str) -> Result<Amount, String> {
    let amount = Amount::from(&Quantity::parse(text)?);
    if amount.milli() == 0 {
        return Err("a node has more than that; for example 8 or 32Gi".to_owned());
    }
    Ok(amount)
}

fn environment() -> Result<Settings, String> {
    let vars = settings::of_environment(VARIABLES)?;
    Settings::from_vars(vars).map_err(|error| error.to_string())
}

fn check(settings: &Settings, scale: &Scale) -> ExitCode {
    let (identity, config) = match preview::checked(settings, None) {
        Ok(checked) => checked,
        Err(problems) => return refuse(&problems),
    };
    let sizing = match Sizing::of(&identity, &config) {
        Ok(sizing) => sizing,
        Err(wrong) => {
            complain(format_args!("POD_TEMPLATE: {wrong}"));
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    for warning in sizing::warnings(&sizing, &scale.node) {
        complain(format_args!("{warning}"));
    }
    let nodes = scale
        .nodes
        .and_then(|nodes| usize::try_from(nodes.get()).ok());
    let printed = print(&format!(
        "{}{}",
        preview::summary(&identity, &config),
        sizing::report(&sizing, &scale.node, nodes)
    ));
    if !scale.registries {
        return printed;
    }
    match survey(&config, scale, identity.registry_ca_file.as_deref()) {
        Ok(report) => {
            for line in &report.complaints {
                complain(format_args!("{line}"));
            }
            let printed = print(&report.text);
            match (report.is_wrong, report.is_incomplete) {
                (true, _) => ExitCode::from(EXIT_CONFIG),
                (false, true) => ExitCode::FAILURE,
                (false, false) => printed,
            }
        }
        Err(error) => {
            complain(format_args!("kip-daemon: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Asks the registries for the whole list.
fn survey(
    config: &Config,
    scale: &Scale,
    ca_file: Option<&Path>,
) -> anyhow::Result<survey::Report> {
    let docker = match &scale.docker_config {
        Some(path) => DockerConfig::read(path)?,
        None => DockerConfig::read_default(|name| std::env::var_os(name))?,
    };
    for warning in &docker.warnings() {
        complain(format_args!("{warning}"));
    }
    let client = survey::client(&config.registries, ca_file)?;
    let answers = runtime()?.block_on(survey::ask(&client, &docker, config.images()));
    let architectures = survey::architectures(config);
    let disk = scale.disk.unwrap_or(NODE_DISK);
    Ok(survey::report(&answers, &architectures, disk))
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

fn render(settings: &Settings, json: bool) -> ExitCode {
    let (identity, config) = match preview::checked(settings, None) {
        Ok(checked) => checked,
        Err(problems) => return refuse(&problems),
    };
    let daemonset = preview::rendered(&identity, &config);
    let text = if json {
        serde_json::to_string_pretty(&daemonset).map_err(|error| error.to_string())
    } else {
        preview::yaml(&daemonset)
    };
    match text {
        Ok(text) => print(&format!("{}\n", text.trim_end())),
        Err(error) => {
            complain(format_args!("kip-daemon: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn refuse(problems: &Problems) -> ExitCode {
    complain(format_args!("{problems}\n{} problem(s)", problems.0.len()));
    ExitCode::from(EXIT_CONFIG)
}

fn run(settings: Settings, listen: SocketAddr) -> ExitCode {
    let logging = match Logging::from_settings(&settings) {
        Ok(logging) => logging,
        // With a ConfigMap to watch the daemon stays up whatever is wrong; its log then looks as by default.
        Err(_) if settings.config_map_name.is_some() => Logging {
            format: LogFormat::Text,
            level: tracing::Level::INFO,
        },
        Err(problems) => return refuse(&problems),
    };
    if settings.config_map_name.is_none()
        && let Err(problems) = preview::checked(&settings, None)
    {
        return refuse(&problems);
    }
    start_logging(logging);
    let instance = std::env::var("HOSTNAME").unwrap_or_else(|_| "kip-daemon".to_owned());
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the runtime does not start");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run::run(Options {
        settings,
        listen,
        instance,
    })) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<Stop>() {
            Some(Stop::BadSettings(problems)) => refuse(problems),
            None => {
                tracing::error!(error = chain(error.as_ref()), "ended");
                ExitCode::FAILURE
            }
        },
    }
}

fn start_logging(logging: Logging) {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    // The client logs each failure of a connection as an error; our own lines say the same, and what is done then.
    // Who looks for more sets a level below `info`.
    let is_searching = logging.level > tracing::Level::INFO;
    let (others, client) = if is_searching {
        (LevelFilter::INFO, LevelFilter::INFO)
    } else {
        (
            LevelFilter::from_level(logging.level).min(LevelFilter::WARN),
            LevelFilter::OFF,
        )
    };
    let filter = Targets::new()
        .with_default(others)
        .with_target("kube_client", client)
        .with_target("kip_daemon", logging.level);
    kip_program::logging::start(filter, logging.format == LogFormat::Json);
}
