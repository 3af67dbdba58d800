//! The command line, read.

use std::net::SocketAddr;
use std::path::PathBuf;

use image_cloner::afterwards::Where;
use image_cloner::afterwards::hosts::First;
use image_cloner::run::Start;
use lexopt::prelude::*;

pub(crate) const USAGE: &str = "\
usage: image-cloner [serve] [--port PORT] [--metrics-port PORT]
                    [--tls-cert-file FILE --tls-private-key-file FILE]
       image-cloner check
       image-cloner mirror         (--namespace NAMESPACE | --all-namespaces)
       image-cloner restore-report (--namespace NAMESPACE | --all-namespaces) [--output table|json]
       image-cloner hosts-toml REGISTRY… [--original-first]
       image-cloner --version | --help

  serve           answer the API server (the default): POST /clone-image and GET /readyz by TLS on PORT (443), and
                  /livez, /readyz and /metrics without TLS on another (8080). Without files it makes and renews
                  certificates of its own, in a Secret of the cluster
  check           say everything that is wrong with the environment's settings
  mirror          copy every image that runs already and is not left alone, with the credentials of its pods
  restore-report  say which running images have a copy, and which have none
  hosts-toml      print what tells containerd where a registry's copies are, for nodes of one's own

Exit status: 0 done, 78 a setting is wrong, 64 the command line is wrong, 3 an image has no copy, 1 anything else.
Settings are environment variables:
";

/// What is to be done.
pub(crate) enum Command {
    Serve(Start),
    Check,
    Mirror(Where),
    Report {
        at: Where,
        json: bool,
    },
    Hosts {
        registries: Vec<String>,
        first: First,
    },
    Version,
    Help,
}

/// All that a command line may have.
#[derive(Default)]
struct Given {
    words: Vec<String>,
    port: Option<u16>,
    metrics_port: Option<u16>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    namespace: Option<String>,
    everywhere: bool,
    json: Option<bool>,
    original_first: bool,
}

pub(crate) fn parse(mut arguments: lexopt::Parser) -> Result<Command, lexopt::Error> {
    let mut given = Given::default();
    while let Some(argument) = arguments.next()? {
        let word = given.words.first().map_or("serve", String::as_str);
        match (word, argument) {
            (_, Long("version") | Short('V')) => return Ok(Command::Version),
            (_, Long("help") | Short('h')) => return Ok(Command::Help),
            ("serve", Long("port")) => given.port = Some(arguments.value()?.parse()?),
            ("serve", Long("metrics-port")) => {
                given.metrics_port = Some(arguments.value()?.parse()?);
            }
            ("serve", Long("tls-cert-file")) => {
                given.certificate = Some(arguments.value()?.into());
            }
            ("serve", Long("tls-private-key-file")) => given.key = Some(arguments.value()?.into()),
            ("mirror" | "restore-report", Long("namespace") | Short('n')) => {
                given.namespace = Some(arguments.value()?.string()?);
            }
            ("mirror" | "restore-report", Long("all-namespaces") | Short('A')) => {
                given.everywhere = true;
            }
            ("restore-report", Long("output") | Short('o')) => {
                given.json = Some(arguments.value()?.parse_with(|format| match format {
                    "table" => Ok(false),
                    "json" => Ok(true),
                    _ => Err("the output is table or json"),
                })?);
            }
            ("hosts-toml", Long("original-first")) => given.original_first = true,
            (_, Value(value)) => given.words.push(value.string()?),
            (_, other) => return Err(other.unexpected()),
        }
    }
    command(given)
}

fn command(given: Given) -> Result<Command, lexopt::Error> {
    let mut words = given.words.clone().into_iter();
    let word = words.next();
    let word = word.as_deref().unwrap_or("serve");
    let more = words.next();
    match (word, more) {
        ("hosts-toml", Some(first)) => Ok(Command::Hosts {
            registries: std::iter::once(first).chain(words).collect(),
            first: if given.original_first {
                First::Original
            } else {
                First::Copy
            },
        }),
        ("hosts-toml", None) => {
            Err("hosts-toml needs a registry, such as docker.io or quay.io".into())
        }
        (_, Some(more)) => Err(format!("{word} takes no {more:?}").into()),
        ("serve", None) => Ok(Command::Serve(start(given)?)),
        ("check", None) => Ok(Command::Check),
        ("mirror", None) => Ok(Command::Mirror(at(given)?)),
        ("restore-report", None) => Ok(Command::Report {
            json: given.json == Some(true),
            at: at(given)?,
        }),
        (other, None) => Err(format!("there is no command {other:?}").into()),
    }
}

fn start(given: Given) -> Result<Start, lexopt::Error> {
    let files = match (given.certificate, given.key) {
        (Some(certificate), Some(key)) => Some([certificate, key]),
        (None, None) => None,
        (Some(_), None) => return Err("--tls-cert-file needs --tls-private-key-file".into()),
        (None, Some(_)) => return Err("--tls-private-key-file needs --tls-cert-file".into()),
    };
    let everywhere = |port| SocketAddr::from(([0_u16; 8], port));
    Ok(Start {
        listen: everywhere(given.port.unwrap_or(443)),
        probes: everywhere(given.metrics_port.unwrap_or(8080)),
        files,
    })
}

fn at(given: Given) -> Result<Where, lexopt::Error> {
    match (given.namespace, given.everywhere) {
        (Some(namespace), false) => Ok(Where::Namespace(namespace)),
        (None, true) => Ok(Where::Everywhere),
        _ => Err("either --namespace NAMESPACE or --all-namespaces is needed".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        let arguments = line.split_whitespace();
        parse(lexopt::Parser::from_args(arguments)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_original_command_line_serves() {
        let line = "--tls-cert-file=/c --tls-private-key-file=/k --port 8443";
        for line in [line.to_owned(), format!("serve {line}")] {
            let Ok(Command::Serve(start)) = parsed(&line) else {
                unreachable!("{line}")
            };
            assert_eq!((start.listen.port(), start.probes.port()), (8443, 8080));
            assert_eq!(start.files, Some(["/c".into(), "/k".into()]));
        }
        assert!(matches!(parsed(""), Ok(Command::Serve(start)) if start.listen.port() == 443));
    }

    #[test]
    fn the_other_commands_are_read() {
        assert!(matches!(parsed("check"), Ok(Command::Check)));
        assert!(
            matches!(parsed("mirror -n a"), Ok(Command::Mirror(Where::Namespace(it))) if it == "a")
        );
        assert!(matches!(
            parsed("mirror --all-namespaces"),
            Ok(Command::Mirror(Where::Everywhere))
        ));
        let report = parsed("restore-report -A -o json");
        assert!(matches!(report, Ok(Command::Report { json: true, .. })));
        let hosts = parsed("hosts-toml docker.io quay.io --original-first");
        assert!(
            matches!(hosts, Ok(Command::Hosts { registries, first: First::Original }) if registries.len() == 2)
        );
        assert!(matches!(parsed("mirror --help"), Ok(Command::Help)));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, words) in [
            ("--tls-cert-file /c", "needs --tls-private-key-file"),
            ("--tls-private-key-file /k", "needs --tls-cert-file"),
            ("--port none", "none"),
            ("mirror", "--all-namespaces is needed"),
            ("mirror -n a -A", "--all-namespaces is needed"),
            ("mirror a -A", "mirror takes no \"a\""),
            ("restore-report -A -o yaml", "table or json"),
            ("hosts-toml", "needs a registry"),
            ("clone", "no command \"clone\""),
            ("check --port 1", "--port"),
        ] {
            let error = parsed(line).err().unwrap_or_default();
            assert!(error.contains(words), "{line}: {error}");
        }
    }
}
