//! The command line: the only place that reads the environment, and that exits.

use std::ffi::OsString;
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use image_cloner::config::{Config, Logging, Problems};
use image_cloner::run::{self, Start};
use image_cloner::settings::{Settings, VARIABLES};
use lexopt::prelude::*;

/// `EX_CONFIG` of sysexits.h: the configuration is wrong.
const EXIT_CONFIG: u8 = 78;
/// `EX_USAGE` of sysexits.h: the command line is wrong.
const EXIT_USAGE: u8 = 64;

const USAGE: &str = "\
usage: image-cloner [serve] [--port PORT] [--metrics-port PORT]
                    [--tls-cert-file FILE --tls-private-key-file FILE]
       image-cloner check
       image-cloner --version | --help

  serve    answer the API server (the default): POST /clone-image and GET /readyz by TLS on PORT (443), and
           /livez, /readyz and /metrics without TLS on another (8080). Without files it makes and renews
           certificates of its own, in a Secret of the cluster
  check    say everything that is wrong with the environment's settings

Exit status: 0 done, 78 a setting is wrong, 64 the command line is wrong, 1 anything else.
Settings are environment variables:
";

enum Command {
    Serve(Start),
    Check,
    Version,
    Help,
}

fn main() -> ExitCode {
    let command = match parse(lexopt::Parser::from_env()) {
        Ok(command) => command,
        Err(error) => {
            complain(format_args!("image-cloner: {error}\n{USAGE}  see --help"));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match command {
        Command::Version => print(concat!("image-cloner ", env!("CARGO_PKG_VERSION"), "\n")),
        Command::Help => print(&help()),
        Command::Check => with_config(|_| print("the settings are right\n")),
        Command::Serve(start) => with_config(|config| serve(config, start)),
    }
}

fn parse(mut arguments: lexopt::Parser) -> Result<Command, lexopt::Error> {
    let mut word: Option<String> = None;
    let mut ports = [443, 8080];
    let mut files: [Option<PathBuf>; 2] = [None, None];
    let mut is_serving = false;
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("version") | Short('V') => return Ok(Command::Version),
            Long("help") | Short('h') => return Ok(Command::Help),
            Long("port") => ports[0] = arguments.value()?.parse()?,
            Long("metrics-port") => ports[1] = arguments.value()?.parse()?,
            Long("tls-cert-file") => files[0] = Some(arguments.value()?.into()),
            Long("tls-private-key-file") => files[1] = Some(arguments.value()?.into()),
            Value(value) if word.is_none() => {
                word = Some(value.string()?);
                continue;
            }
            other => return Err(other.unexpected()),
        }
        is_serving = true;
    }
    match word.as_deref() {
        None | Some("serve") => {}
        Some("check") if !is_serving => return Ok(Command::Check),
        Some("check") => return Err("check takes no options".into()),
        Some(other) => return Err(format!("there is no command {other:?}").into()),
    }
    let files = match files {
        [Some(certificate), Some(key)] => Some([certificate, key]),
        [None, None] => None,
        [Some(_), None] => return Err("--tls-cert-file needs --tls-private-key-file".into()),
        [None, Some(_)] => return Err("--tls-private-key-file needs --tls-cert-file".into()),
    };
    let [listen, probes] = ports.map(|port| SocketAddr::from(([0_u16; 8], port)));
    Ok(Command::Serve(Start {
        listen,
        probes,
        files,
    }))
}

fn with_config(act: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    let settings = match environment() {
        Ok(settings) => settings,
        Err(error) => {
            complain(format_args!("image-cloner: {error}"));
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    match Config::from_settings(&settings) {
        Ok(config) => act(config),
        Err(problems) => refuse(&problems),
    }
}

fn refuse(problems: &Problems) -> ExitCode {
    complain(format_args!("{problems}\n{} problem(s)", problems.0.len()));
    ExitCode::from(EXIT_CONFIG)
}

/// Variables of the environment that are no text are passed over, unless they are settings of ours.
fn environment() -> Result<Settings, String> {
    // The client reads KUBECONFIG itself, and a path need not be text.
    let is_ours = |name: &OsString| {
        *name != *"KUBECONFIG" && VARIABLES.iter().any(|variable| *name == *variable.name)
    };
    let mut vars = Vec::new();
    for (name, value) in std::env::vars_os().filter(|(name, _)| is_ours(name)) {
        let name = name.to_string_lossy().into_owned();
        let value = value
            .into_string()
            .map_err(|value| format!("{name}={}: is not UTF-8", value.display()))?;
        vars.push((name, value));
    }
    Settings::from_vars(vars).map_err(|error| error.to_string())
}

fn help() -> String {
    let variables = VARIABLES.iter().map(|it| {
        let (name, default) = (it.name, it.default);
        let (meaning, example) = (it.meaning, it.example);
        format!("\n  {name} (default: {default})\n      {meaning}\n      for example {example}\n")
    });
    USAGE.to_owned() + &variables.collect::<String>()
}

fn serve(config: Config, start: Start) -> ExitCode {
    start_logging(config.logging);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the runtime does not start");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run::run(config, start)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(problems) = error.downcast_ref::<Problems>() {
                refuse(problems)
            } else {
                tracing::error!(error = format!("{error:#}"), "ended");
                ExitCode::FAILURE
            }
        }
    }
}

fn start_logging(logging: Logging) {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::fmt::layer;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;
    // The client logs each failure of a connection as an error; our own lines say the same, and what is done then.
    let others = LevelFilter::from_level(logging.level).min(LevelFilter::WARN);
    let filter = Targets::new()
        .with_default(others)
        .with_target("kube_client", LevelFilter::OFF)
        .with_target("image_cloner", logging.level);
    let registry = tracing_subscriber::registry().with(filter);
    let layer = layer().with_writer(std::io::stderr);
    if logging.json {
        registry.with(layer.json().flatten_event(true)).init();
    } else {
        registry
            .with(layer.with_target(false).with_ansi(false))
            .init();
    }
}

/// Writes to standard output. A reader that has seen enough and went away is no error.
fn print(text: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain(format_args!("image-cloner: standard output: {error}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Writes a line to standard error; where that fails there is nobody left to tell.
fn complain(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
