//! What is asked for at the last word: told from the words and clap's definition alone.

use clap::{Arg, Command, CommandFactory as _, ValueHint};
use kube::core::ApiResource;

use crate::cli::Cli;
use crate::target::types::{TYPES, resource, split};

/// Sinks that have nothing more to say, and the beginnings of the others.
const SINKS: &[&str] = &[
    "docker",
    "podman",
    "nerdctl",
    "oci-archive:",
    "docker-archive:",
    "oci:",
    "registry://",
    "-",
];

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// What candidates have to begin with. Of `--flag=value` the value: the scripts that cobra makes for kubectl take the flag
    /// away from the word in bash, and put it before each candidate in zsh and fish.
    pub(super) typed: String,
    /// The candidates that are known.
    pub(super) fixed: Vec<String>,
    /// Where others are looked up.
    pub(super) from: Option<Source>,
}

/// Where candidates are looked up.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Namespaces of the cluster.
    Namespaces,
    /// Nodes of the cluster.
    Nodes,
    /// Objects of the namespace.
    Objects {
        /// Their type.
        kind: ApiResource,
        /// What was typed before the name: the type and a slash, or nothing.
        before: String,
    },
    /// Containers of an object of the namespace.
    Containers {
        /// Its type.
        kind: ApiResource,
        /// Its name.
        name: String,
    },
    /// Contexts of the kubeconfig.
    Contexts,
    /// Clusters of the kubeconfig.
    Clusters,
    /// Users of the kubeconfig.
    Users,
    /// Files, by the shell.
    Files,
}

/// What is asked for at the last of the words.
pub(super) fn asked(words: &[String]) -> Asked {
    let mut command = Cli::command();
    // Hands what is global to the commands below.
    command.build();
    let mut line = Line {
        command: &command,
        operands: Vec::new(),
        awaiting: None,
        is_of_pull: false,
        is_past_flags: false,
    };
    let Some((last, before)) = words.split_last() else {
        return line.asked("");
    };
    for word in before {
        line.read(word);
    }
    line.asked(last)
}

/// The words before the last one.
struct Line<'a> {
    /// The command that they are of.
    command: &'a Command,
    /// Those that are no flag and no flag's value.
    operands: Vec<&'a str>,
    /// The flag whose value is next.
    awaiting: Option<&'a Arg>,
    /// Whether there is a flag that a command below this one refuses.
    is_of_pull: bool,
    /// After `--`.
    is_past_flags: bool,
}

impl<'a> Line<'a> {
    fn read(&mut self, word: &'a str) {
        if self.awaiting.take().is_some() {
            return;
        }
        if self.is_past_flags {
            self.operands.push(word);
        } else if word == "--" {
            self.is_past_flags = true;
        } else if word.starts_with('-') {
            self.awaiting = self.awaited(word);
            let name = word.split_once('=').map_or(word, |(name, _)| name);
            self.is_of_pull |= self.flag(name).is_some_and(|it| !it.is_global_set());
        } else if let Some(command) = self.command.find_subcommand(word) {
            self.command = command;
            self.operands.clear();
        } else {
            self.operands.push(word);
        }
    }

    /// The flag of this word whose value is the next word.
    fn awaited(&self, word: &str) -> Option<&'a Arg> {
        let takes_next = |it: &&Arg| it.get_action().takes_values() && !it.is_require_equals_set();
        if word.starts_with("--") {
            return self.flag(word).filter(takes_next);
        }
        // Of several letters, the first that takes a value takes the rest of the word, or else the next one.
        let mut letters = word.chars().skip(1);
        let flag = letters.find_map(|it| self.flag(&format!("-{it}")).filter(takes_next));
        flag.filter(|_| letters.next().is_none())
    }

    /// The flag of this name, with its dashes.
    fn flag(&self, name: &str) -> Option<&'a Arg> {
        self.command.get_arguments().find(|it| {
            let is_long = it.get_long().is_some_and(|it| name == format!("--{it}"));
            is_long || it.get_short().is_some_and(|it| name == format!("-{it}"))
        })
    }

    fn asked(&self, last: &str) -> Asked {
        if let Some(flag) = self.awaiting {
            return self.value(flag, last);
        }
        if last.starts_with('-') && !self.is_past_flags {
            return match last.split_once('=') {
                None => Asked {
                    typed: last.to_owned(),
                    fixed: self.flags(),
                    from: None,
                },
                Some((flag, value)) => match self.flag(flag) {
                    Some(flag) => self.value(flag, value),
                    None => Asked::default(),
                },
            };
        }
        let operand = self.command.get_positionals().nth(self.operands.len());
        let mut asked = match operand {
            Some(operand) => self.value(operand, last),
            None => Asked {
                typed: last.to_owned(),
                ..Asked::default()
            },
        };
        if self.operands.is_empty() && !self.is_of_pull && !self.is_past_flags {
            let commands = self.command.get_subcommands();
            let offered = commands.filter(|it| !it.is_hide_set());
            asked
                .fixed
                .extend(offered.map(|it| it.get_name().to_owned()));
        }
        asked
    }

    fn flags(&self) -> Vec<String> {
        let offered = self.command.get_arguments().filter(|it| !it.is_hide_set());
        let names = offered.filter_map(Arg::get_long);
        names.map(|it| format!("--{it}")).collect()
    }

    /// What is asked for in the value of a flag, or in an operand.
    fn value(&self, of: &Arg, typed: &str) -> Asked {
        let owned = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
        let (fixed, from) = match of.get_id().as_str() {
            "namespace" | "helper_namespace" => (Vec::new(), Some(Source::Namespaces)),
            "node" => (Vec::new(), Some(Source::Nodes)),
            "context" => (Vec::new(), Some(Source::Contexts)),
            "cluster" => (Vec::new(), Some(Source::Clusters)),
            "user" => (Vec::new(), Some(Source::Users)),
            "container" => (Vec::new(), self.containers()),
            "pod" if typed.contains('/') => (Vec::new(), objects(typed)),
            "pod" => (owned(TYPES), objects(typed)),
            "to" if is_file(typed) => (Vec::new(), Some(Source::Files)),
            "to" => (owned(SINKS), None),
            _ if of.get_value_hint() == ValueHint::AnyPath => (Vec::new(), Some(Source::Files)),
            _ => {
                let values = of.get_possible_values().into_iter();
                let offered = values.filter(|it| !it.is_hide_set());
                (offered.map(|it| it.get_name().to_owned()).collect(), None)
            }
        };
        Asked {
            typed: typed.to_owned(),
            fixed,
            from,
        }
    }

    fn containers(&self) -> Option<Source> {
        let (kind, name) = split(self.operands.first()?);
        Some(Source::Containers {
            kind: resource(kind)?,
            name: name.to_owned(),
        })
    }
}

/// Whether this is a sink whose rest is a file name.
fn is_file(sink: &str) -> bool {
    let mut with_files = SINKS.iter().filter(|it| it.ends_with(':'));
    with_files.any(|it| sink.starts_with(it))
}

/// The objects of the type that was typed.
fn objects(typed: &str) -> Option<Source> {
    let (kind, name) = split(typed);
    Some(Source::Objects {
        kind: resource(kind)?,
        // As it was typed, or else the shell would not take the candidates for the word's.
        before: typed[..typed.len() - name.len()].to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: &str) -> Asked {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        asked(&words)
    }

    fn objects(kind: &str, before: &str) -> Source {
        Source::Objects {
            kind: resource(kind).unwrap(),
            before: before.to_owned(),
        }
    }

    fn containers(kind: &str, name: &str) -> Source {
        Source::Containers {
            kind: resource(kind).unwrap(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn what_is_looked_up_depends_on_the_words_before() {
        let pods = || Some(objects("pod", ""));
        let table = [
            ("", "", pods()),
            ("-n a ", "", pods()),
            ("--quiet w", "w", pods()),
            ("-qn ", "", Some(Source::Namespaces)),
            ("-qnshop w", "w", pods()),
            ("--dry-run ", "", pods()),
            ("-n s", "s", Some(Source::Namespaces)),
            ("--namespace=s", "s", Some(Source::Namespaces)),
            ("prune --helper-namespace ", "", Some(Source::Namespaces)),
            ("web -c ", "", Some(containers("pod", "web"))),
            ("po/web -c=a", "a", Some(containers("pod", "web"))),
            (
                "-n a deploy/web -c ",
                "",
                Some(containers("deployment", "web")),
            ),
            ("-c ", "", None),
            ("--node ", "", Some(Source::Nodes)),
            ("list --node=n", "n", Some(Source::Nodes)),
            ("list -n a --node n", "n", Some(Source::Nodes)),
            ("--context e", "e", Some(Source::Contexts)),
            ("list --cluster=", "", Some(Source::Clusters)),
            ("--user ", "", Some(Source::Users)),
            ("--kubeconfig ", "", Some(Source::Files)),
            ("--cache-dir=a", "a", Some(Source::Files)),
            ("--to oci:a", "oci:a", Some(Source::Files)),
            ("--to=oci-archive:", "oci-archive:", Some(Source::Files)),
            ("--to oci", "oci", None),
            ("--to registry://a", "registry://a", None),
            ("--tag ", "", None),
            ("--host-path ", "", None),
            ("web ", "", None),
            ("web --quiet ", "", None),
            ("prune ", "", None),
            ("pod/we", "pod/we", Some(objects("pod", "pod/"))),
            (
                "Deploy/w",
                "Deploy/w",
                Some(objects("deployment", "Deploy/")),
            ),
            ("cronjob/w", "cronjob/w", None),
            ("-- -w", "-w", pods()),
        ];
        for (line, typed, from) in table {
            let asked = at(line);
            assert_eq!(asked.typed, typed, "{line}");
            assert_eq!(asked.from, from, "{line}");
        }
    }

    #[test]
    fn what_is_known_is_of_the_command_and_of_the_flag() {
        let none: &[&str] = &[];
        let formats: &[&str] = &["text", "json", "yaml"];
        let table = [
            ("web -o ", formats),
            ("web --output=j", formats),
            ("list -o ", formats),
            ("--dry-run=", &["client"]),
            ("completion ", &["kubectl", "bash", "zsh", "fish"]),
            ("completion bash ", none),
            ("help ", &["list", "prune", "completion", "help"]),
            ("--to ", SINKS),
            ("--to oci:", none),
            ("--quiet=", none),
            ("--nothing=", none),
            ("prune ", none),
            ("web ", none),
            ("-- ", TYPES),
            ("--flat ", TYPES),
            ("-o json ", TYPES),
            ("--streams=3 ", TYPES),
        ];
        for (line, fixed) in table {
            assert_eq!(at(line).fixed, fixed, "{line}");
        }
    }

    #[test]
    fn flags_are_those_of_the_command_and_the_global_ones() {
        let table = [
            ("web --t", "--to", "--force"),
            ("-n list --t", "--to", "--force"),
            ("list --", "--node", "--to"),
            ("-n a list -n b --", "--node", "--force"),
            ("prune --f", "--force", "--flat"),
            ("completion --", "--help", "--flat"),
        ];
        for (line, one, other) in table {
            let flags = at(line).fixed;
            let has = |it: &str| flags.iter().any(|flag| flag == it);
            assert!(has(one) && !has(other), "{line}: {flags:?}");
            assert!(has("--namespace"), "{line}: {flags:?}");
        }
    }

    #[test]
    fn commands_are_offered_as_the_first_word_beside_pods() {
        for line in ["", "l", "-n a ", "--context=c "] {
            let fixed = at(line).fixed;
            for it in ["list", "prune", "completion", "deployment/"] {
                assert!(fixed.iter().any(|word| word == it), "{line}: {fixed:?}");
            }
            assert!(!fixed.iter().any(|word| word == "__complete"), "{line}");
        }
    }
}
