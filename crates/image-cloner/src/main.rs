//! The command line: the only place that reads the environment, and that exits.

mod command;

use std::process::ExitCode;

use image_cloner::afterwards::mirror::Line;
use image_cloner::afterwards::report::{self, State};
use image_cloner::afterwards::{Where, commands};
use image_cloner::config::{Config, Logging, Problems};
use image_cloner::run::{self, Start};
use image_cloner::settings::{Settings, VARIABLES};
use kip_program::output::{self, complain};
use kip_program::settings;

use self::command::{Command, USAGE};

/// `EX_CONFIG` of sysexits.h: the configuration is wrong.
const EXIT_CONFIG: u8 = 78;
/// `EX_USAGE` of sysexits.h: the command line is wrong.
const EXIT_USAGE: u8 = 64;

/// An image has no copy.
const EXIT_WITHOUT: u8 = 3;

fn main() -> ExitCode {
    let command = match command::parse(lexopt::Parser::from_env()) {
        Ok(command) => command,
        Err(error) => {
            complain(format_args!("image-cloner: {error}\n{USAGE}  see --help"));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match command {
        Command::Version => print(concat!("image-cloner ", env!("CARGO_PKG_VERSION"), "\n")),
        Command::Help => print(&settings::help(USAGE, VARIABLES)),
        Command::Check => with_config(|_| print("the settings are right\n")),
        Command::Serve(start) => with_config(|config| serve(config, start)),
        Command::Mirror(at) => with_config(|config| mirror(&config, &at)),
        Command::Report { at, json } => with_config(|config| report(&config, &at, json)),
        Command::Hosts { registries, first } => {
            with_config(
                |config| match commands::hosts_of(&config, &registries, first) {
                    Ok(text) => print(&text),
                    Err(error) => fail(&error),
                },
            )
        }
    }
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

fn environment() -> Result<Settings, String> {
    let vars = settings::of_environment(VARIABLES)?;
    Settings::from_vars(vars).map_err(|error| error.to_string())
}

fn serve(config: Config, start: Start) -> ExitCode {
    start_logging(config.logging);
    match block_on(run::run(config, start)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Problems>() => fail(&error),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "ended");
            ExitCode::FAILURE
        }
    }
}

fn mirror(config: &Config, at: &Where) -> ExitCode {
    start_logging(quietly(config.logging));
    let tell = |line: &Line| {
        // Who has seen enough does not end the work.
        print(&format!("{line}\n"));
    };
    match block_on(commands::mirror_all(config, at, tell)) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(count) => {
            complain(format_args!("image-cloner: {count} image(s) have no copy"));
            ExitCode::from(EXIT_WITHOUT)
        }
        Err(error) => fail(&error),
    }
}

fn report(config: &Config, at: &Where, json: bool) -> ExitCode {
    start_logging(quietly(config.logging));
    let entries = match block_on(commands::report_all(config, at)) {
        Ok(entries) => entries,
        Err(error) => return fail(&error),
    };
    let text = if json {
        serde_json::to_string_pretty(&entries)
            .map_or_else(|error| error.to_string(), |it| it + "\n")
    } else {
        report::table(&entries)
    };
    let printed = print(&text);
    let has_all = entries.iter().all(|it| it.state == State::There);
    if has_all {
        printed
    } else {
        ExitCode::from(EXIT_WITHOUT)
    }
}

/// What is printed is the result: of the rest only what is wrong is told.
fn quietly(logging: Logging) -> Logging {
    Logging {
        level: logging.level.min(tracing::Level::WARN),
        ..logging
    }
}

fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    // Two: copies that hash do not hold up who waits for an answer.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build()?;
    runtime.block_on(future)
}

/// Says what is wrong, and of what kind that is.
fn fail(error: &anyhow::Error) -> ExitCode {
    if let Some(problems) = error.downcast_ref::<Problems>() {
        return refuse(problems);
    }
    complain(format_args!("image-cloner: {error:#}"));
    ExitCode::FAILURE
}

fn start_logging(logging: Logging) {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    // The client logs each failure of a connection as an error; our own lines say the same, and what is done then.
    let others = LevelFilter::from_level(logging.level).min(LevelFilter::WARN);
    let filter = Targets::new()
        .with_default(others)
        .with_target("kube_client", LevelFilter::OFF)
        .with_target("image_cloner", logging.level);
    kip_program::logging::start(filter, logging.json);
}

fn print(text: &str) -> ExitCode {
    output::print("image-cloner", text)
}
