//! The agent of `kubectl pull-image`. What it does is in the library.
//!
//! ```text
//! kip-agent --version       says which agent it is
//! kip-agent wait SECONDS    lasts until nobody has asked for so long
//! kip-agent serve HOST SECONDS
//!                           answers requests about the node whose folders are below HOST, until nobody has asked or
//!                           listened for so long
//! kip-agent flat FOLDER SECONDS [skip-unreadable]
//!                           the same about the one image whose root file system is mounted at FOLDER; what this user cannot
//!                           read of it is an error, or is left out
//! ```

use std::io::{self, BufReader, BufWriter};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use kip_agent::patient::Patient;
use kip_agent::store::{Store, flat::Flat};
use kip_agent::{roots, serve, wait};

/// What only an agent has in it: `hack/package.sh` looks for it in what is packed.
const MARK: &str = concat!("kubectl-pull-image agent ", env!("CARGO_PKG_VERSION"), "\n");

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["--version"] => io::Write::write_all(&mut io::stdout(), MARK.as_bytes()),
        ["wait", seconds] => duration(seconds).map(wait::until_idle),
        ["serve", host, seconds] => duration(seconds)
            .and_then(|patience| answer(&roots::stores(Path::new(host))?, patience)),
        ["flat", folder, seconds] => flat(folder, seconds, false),
        ["flat", folder, seconds, "skip-unreadable"] => flat(folder, seconds, true),
        _ => Err(io::Error::other(
            "wait SECONDS, serve HOST SECONDS or flat FOLDER SECONDS [skip-unreadable] is needed",
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

fn flat(folder: &str, seconds: &str, skips: bool) -> io::Result<()> {
    let patience = duration(seconds)?;
    let store = Flat::open(Path::new(folder), skips)?;
    answer(&[Box::new(store)], patience)
}

fn answer(stores: &[Box<dyn Store>], patience: Duration) -> io::Result<()> {
    let out = Patient::new(io::stdout(), patience)?;
    let input = Patient::new(io::stdin(), patience)?;
    // More than a frame, so that its header does not go by itself: each write becomes a message to the API server.
    let mut out = BufWriter::with_capacity(1 << 19, out);
    serve::serve(stores, &mut BufReader::new(input), &mut out)
}
