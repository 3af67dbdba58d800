//! Every `oc process` of the documentation is one that works.

use super::templates::{TEMPLATES, read};
use kip_e2e::template::Template;

const DOCUMENTS: [&str; 2] = ["docs/openshift.md", "README.md"];

/// The commands of a text, each up to its first bar, as a shell would split them.
fn commands(text: &str) -> Vec<Vec<String>> {
    let joined = text.replace("\\\n", " ");
    let lines = joined
        .lines()
        .map(|line| line.trim_start_matches(['#', ' ']));
    lines
        .filter(|line| line.starts_with("oc process "))
        .map(words)
        .collect()
}

/// Words with single and double quotes, without any other rule of a shell.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars().chain([' ']) {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '\'' || c == '"' => quote = Some(c),
            None if c == '|' => break,
            None if c == ' ' => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            Some(_) | None => word.push(c),
        }
    }
    assert!(quote.is_none(), "{line:?} ends in a quote");
    words
}

fn run(command: &[String]) {
    let mut file = None;
    let mut arguments = Vec::new();
    let mut rest = command[2..].iter();
    while let Some(option) = rest.next() {
        let value = rest
            .next()
            .unwrap_or_else(|| panic!("{command:?}: {option} has no value"));
        match option.as_str() {
            "-f" => file = Some(value),
            "-p" => arguments.push(value),
            _ => panic!("{command:?}: {option} is not known here"),
        }
    }
    let file = file.unwrap_or_else(|| panic!("{command:?}: no file"));
    let template = Template::parse(&read(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    template
        .process(&arguments)
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
}

#[test]
fn the_documented_commands_work() {
    for document in DOCUMENTS {
        let commands = commands(&read(document));
        assert!(commands.len() >= 3, "{document}: {commands:?}");
        for command in commands {
            run(&command);
        }
    }
    for template in TEMPLATES {
        let commands = commands(&read(&format!("deploy/openshift/{template}")));
        assert_eq!(commands.len(), 1, "{template}: {commands:?}");
        run(&commands[0]);
    }
}

#[test]
fn a_command_is_split_as_a_shell_does() {
    let text = "x\n# oc process -f a.yaml \\\n  -p 'A=b c;d' -p B=\"e|f\"g | oc apply -f -\noc processes\n";
    assert_eq!(
        commands(text),
        [[
            "oc", "process", "-f", "a.yaml", "-p", "A=b c;d", "-p", "B=e|fg"
        ]]
    );
}
