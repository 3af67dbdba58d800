//! The documentation has the settings as the program has them, and every metric.
//!
//! `UPDATE_DOCS=1 cargo test -p image-cloner --test it documented` writes the table anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use image_cloner::metrics::{self, Answered, Metrics};
use image_cloner::settings::VARIABLES;

const BEGIN: &str = "<!-- settings:begin -->";
const END: &str = "<!-- settings:end -->";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/image-cloner.md")
}

fn table() -> String {
    // A bar would end a cell.
    let cell = |text: &str| text.replace('|', "\\|");
    let lines = VARIABLES.iter().map(|it| {
        let default = match it.default.strip_prefix('(') {
            // Words, not a value.
            Some(words) => cell(words.trim_end_matches(')')),
            None => format!("`{}`", cell(it.default)),
        };
        let (meaning, example) = (cell(it.meaning), cell(it.example));
        format!("| `{}` | {default} | {meaning} | `{example}` |\n", it.name)
    });
    let head = "| Variable | Default | Meaning | Example |\n| --- | --- | --- | --- |\n";
    head.to_owned() + &lines.collect::<String>()
}

#[test]
fn the_documentation_has_the_table_of_the_settings() {
    let text = fs::read_to_string(path()).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the first marker");
    let (found, after) = rest.split_once(END).expect("the second marker");
    let expected = format!("\n{}", table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path(), format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
    } else {
        assert_eq!(found, expected, "UPDATE_DOCS=1 writes the table anew");
    }
}

#[test]
fn the_documentation_has_every_metric_and_no_other() {
    let (metrics, registry) = Metrics::new();
    // What has no line yet is not printed.
    metrics.answered(Answered::Changed, Duration::ZERO);
    metrics.image("copy");
    metrics.left_alone("kind");
    metrics.copy_there();
    let text = metrics::text(&registry);
    let lines = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let printed: BTreeSet<String> = lines
        .filter_map(|line| {
            let (name, kind) = line.split_once(' ')?;
            Some(if kind == "counter" {
                format!("{name}_total")
            } else {
                name.to_owned()
            })
        })
        .filter(|name| name != "image_cloner_build_info")
        .collect();
    let documented = fs::read_to_string(path()).unwrap();
    let words = documented.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let named = words.filter(|word| word.starts_with("image_cloner_"));
    let named: BTreeSet<String> = named.map(str::to_owned).collect();
    assert_eq!(named, printed);
}
