//! The agent of `kubectl pull-image`. What it does is in the library.
//!
//! ```text
//! kip-agent wait SECONDS    lasts until nobody has asked for so long
//! kip-agent serve HOST SECONDS
//!                           answers requests about the node whose folders are below HOST, until nobody has asked or
//!                           listened for so long
//! ```

use std::io::{self, BufReader, BufWriter};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use kip_agent::patient::Patient;
use kip_agent::{roots, serve, wait};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["wait", seconds] => duration(seconds).map(wait::until_idle),
        ["serve", host, seconds] => {
            duration(seconds).and_then(|patience| answer(Path::new(host), patience))
        }
        _ => Err(io::Error::other(
            "wait SECONDS or serve HOST SECONDS is needed",
        )),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("kip-agent: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

fn duration(seconds: &str) -> io::Result<Duration> {
    let wrong = |_| io::Error::other(format!("'{seconds}' is no number of seconds"));
    seconds.parse().map(Duration::from_secs).map_err(wrong)
}

fn answer(host: &Path, patience: Duration) -> io::Result<()> {
    let stores = roots::stores(host)?;
    let out = Patient::new(io::stdout(), patience)?;
    let input = Patient::new(io::stdin(), patience)?;
    // More than a frame, so that its header does not go by itself: each write becomes a message to the API server.
    let mut out = BufWriter::with_capacity(1 << 19, out);
    serve::serve(&stores, &mut BufReader::new(input), &mut out)
}
