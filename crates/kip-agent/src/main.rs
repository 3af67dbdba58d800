//! The agent of `kubectl pull-image`. What it does is in the library.
//!
//! ```text
//! kip-agent wait SECONDS    lasts until nobody has asked for so long
//! kip-agent serve HOST      answers requests about the node whose folders are below HOST
//! ```

use std::io::{self, BufReader, BufWriter};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use kip_agent::{roots, serve, wait};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["wait", seconds] => match seconds.parse() {
            Ok(seconds) => {
                wait::until_idle(Duration::from_secs(seconds));
                Ok(())
            }
            Err(_) => Err(io::Error::other(format!(
                "'{seconds}' is no number of seconds"
            ))),
        },
        ["serve", host] => answer(Path::new(host)),
        _ => Err(io::Error::other("wait SECONDS or serve HOST is needed")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("kip-agent: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

fn answer(host: &Path) -> io::Result<()> {
    let stores = roots::stores(host)?;
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    serve::serve(&stores, &mut BufReader::new(io::stdin().lock()), &mut out)
}
