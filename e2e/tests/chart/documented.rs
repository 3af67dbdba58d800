//! values.yaml as documentation: the comments that begin with `# --`, the leaves, and the README's table of both.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::helm;

/// Where the README's table begins and ends.
const BEGIN: &str = "<!-- values: begin -->\n";
const END: &str = "<!-- values: end -->";

/// A value with its comment.
pub(super) struct Documented {
    /// Its path, as `--set` takes it.
    pub(super) path: String,
    /// The comment, in one line.
    pub(super) meaning: String,
}

/// values.yaml as data.
pub(super) fn defaults() -> Value {
    serde_saphyr::from_str(&helm::read("values.yaml")).expect("values.yaml is YAML")
}

/// Every `# --` comment with the key that it stands above.
pub(super) fn documented() -> Vec<Documented> {
    let mut found = Vec::new();
    let mut parents: Vec<(usize, String)> = Vec::new();
    let mut comment: Option<String> = None;
    for line in helm::read("values.yaml").lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some(first) = text.strip_prefix("# -- ") {
            comment = Some(first.to_owned());
        } else if let Some(more) = text.strip_prefix("# ") {
            if let Some(comment) = &mut comment {
                comment.push(' ');
                comment.push_str(more);
            }
        } else if let Some((key, _)) = text.split_once(':').filter(|_| !text.starts_with("- ")) {
            parents.retain(|(depth, _)| *depth < indent);
            parents.push((indent, key.to_owned()));
            if let Some(meaning) = comment.take() {
                let keys: Vec<_> = parents.iter().map(|(_, key)| key.as_str()).collect();
                let path = keys.join(".");
                found.push(Documented { path, meaning });
            }
        } else {
            assert!(comment.is_none(), "a comment above no key: {comment:?}");
        }
    }
    found
}

/// The value at a path.
pub(super) fn at<'a>(values: &'a Value, path: &str) -> &'a Value {
    let pointer = format!("/{}", path.replace('.', "/"));
    values
        .pointer(&pointer)
        .unwrap_or_else(|| panic!("no {path} in values.yaml"))
}

/// Every path that ends in something other than a map with entries.
pub(super) fn leaves(values: &Value) -> Vec<String> {
    fn collect(prefix: &str, map: &Map<String, Value>, into: &mut Vec<String>) {
        for (key, value) in map {
            let path = format!("{prefix}{key}");
            match value.as_object().filter(|inner| !inner.is_empty()) {
                Some(inner) => collect(&format!("{path}."), inner, into),
                None => into.push(path),
            }
        }
    }
    let mut paths = Vec::new();
    collect("", values.as_object().expect("a map"), &mut paths);
    paths
}

/// The README's table as values.yaml has it.
fn table() -> String {
    let defaults = defaults();
    let mut table = String::from("| Value | Default | Meaning |\n| --- | --- | --- |\n");
    for Documented { path, meaning } in documented() {
        let default = at(&defaults, &path);
        writeln!(table, "| `{path}` | `{default}` | {meaning} |").expect("a String takes all");
    }
    table
}

/// The README as it is, and as it should be.
pub(super) fn readme() -> (String, String) {
    let is = helm::read("README.md");
    let (before, rest) = is.split_once(BEGIN).expect("the README has the first mark");
    let (_, after) = rest
        .split_once(END)
        .expect("the README has the second mark");
    let should_be = format!("{before}{BEGIN}{}{END}{after}", table());
    (is, should_be)
}
