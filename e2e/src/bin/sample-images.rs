//! Pushes the sample images to a plain-HTTP registry and prints them as `IMAGES` takes them.

use std::io::{self, Write};

use anyhow::{Context, bail};
use kip_e2e::registry::Registry;
use kip_e2e::samples::{self, Edition};
use lexopt::prelude::*;

const USAGE: &str = "\
Usage: sample-images --registry HOST:PORT [--prefix demo] [--tag 1] [--salt TEXT]

Pushes the sample images to a plain-HTTP registry as HOST:PORT/PREFIX/NAME:TAG and prints one line for each:
NAME=HOST:PORT/PREFIX/NAME:TAG. Joined by `;` the lines are a value of IMAGES.

  --registry HOST:PORT  the registry, without http://
  --prefix PREFIX       the first part of the repositories (default: demo)
  --tag TAG             the tag (default: 1)
  --salt TEXT           another text gives images that no node has yet (default: none)
  --help                this text
";

struct Arguments {
    registry: String,
    prefix: String,
    tag: String,
    salt: String,
}

fn main() -> anyhow::Result<()> {
    let Some(arguments) = Arguments::parse(lexopt::Parser::from_env())? else {
        return Ok(io::stdout().write_all(USAGE.as_bytes())?);
    };
    let registry = Registry::new(&arguments.registry);
    let edition = Edition {
        prefix: &arguments.prefix,
        tag: &arguments.tag,
        salt: &arguments.salt,
    };
    for sample in samples::all() {
        let pushed = sample.push(&registry, edition)?;
        eprintln!(
            "{}: {} KiB, {}",
            pushed.name,
            pushed.size.div_ceil(1024),
            pushed.digest
        );
        writeln!(io::stdout(), "{}={}", pushed.name, pushed.reference())?;
    }
    Ok(())
}

// === impl Arguments ===

impl Arguments {
    /// `None` when only the usage is wanted.
    fn parse(mut parser: lexopt::Parser) -> anyhow::Result<Option<Self>> {
        let mut registry = None;
        let mut prefix = "demo".to_owned();
        let mut tag = "1".to_owned();
        let mut salt = String::new();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("registry") => registry = Some(parser.value()?.string()?),
                Long("prefix") => prefix = parser.value()?.string()?,
                Long("tag") => tag = parser.value()?.string()?,
                Long("salt") => salt = parser.value()?.string()?,
                Short('h') | Long("help") => return Ok(None),
                other => return Err(other.unexpected().into()),
            }
        }
        let registry = registry.context("--registry is missing, e.g. --registry 10.0.0.1:5000")?;
        if registry.contains('/') {
            bail!("--registry {registry:?} is not HOST:PORT, e.g. 10.0.0.1:5000");
        }
        Ok(Some(Self {
            registry,
            prefix,
            tag,
            salt,
        }))
    }
}
