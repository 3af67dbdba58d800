//! Settings: a table of variables, and the text that somebody gives for them.

use std::ffi::OsString;

use serde::de::DeserializeOwned;

/// A setting as a user meets it.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// The environment variable, and the key in a `ConfigMap`.
    pub name: &'static str,
    /// What holds when it is unset or empty; words in parentheses say what cannot be a value.
    pub default: &'static str,
    /// What it does, in one line.
    pub meaning: &'static str,
    /// A value that works.
    pub example: &'static str,
    /// Whether a change takes effect while the program runs.
    pub live: bool,
}

impl Variable {
    /// One that counts at the start only.
    pub const fn at_start(
        name: &'static str,
        default: &'static str,
        example: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self {
            name,
            default,
            meaning,
            example,
            live: false,
        }
    }

    /// One whose change takes effect while the program runs.
    pub const fn live(
        name: &'static str,
        default: &'static str,
        example: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self {
            live: true,
            ..Self::at_start(name, default, example, meaning)
        }
    }
}

/// The variable of this name.
pub fn find(table: &'static [Variable], name: &str) -> Option<&'static Variable> {
    table.iter().find(|variable| variable.name == name)
}

/// What the environment gives for a table. Variables that are no text are passed over, unless they are in it.
///
/// # Errors
/// Says which one is no text.
pub fn of_environment(table: &[Variable]) -> Result<Vec<(String, String)>, String> {
    // The client of the cluster reads KUBECONFIG itself, and a path need not be text.
    let is_ours = |name: &OsString| {
        *name != *"KUBECONFIG" && table.iter().any(|variable| *name == *variable.name)
    };
    let mut vars = Vec::new();
    for (name, value) in std::env::vars_os().filter(|(name, _)| is_ours(name)) {
        let name = name.to_string_lossy().into_owned();
        let value = value
            .into_string()
            .map_err(|value| format!("{name}={}: is not UTF-8", value.display()))?;
        vars.push((name, value));
    }
    Ok(vars)
}

/// Reads what is given for a table's variables; blank values count as unset, names that are not in it are passed over.
///
/// # Errors
/// None is known where every field is text and optional. `envy` has the last word.
pub fn read<T: DeserializeOwned>(
    table: &'static [Variable],
    vars: impl IntoIterator<Item = (String, String)>,
) -> Result<T, envy::Error> {
    let given = vars
        .into_iter()
        .filter(|(name, value)| find(table, name).is_some() && !value.trim().is_empty())
        .map(|(name, value)| (name, trimmed(&value).to_owned()));
    envy::from_iter(given)
}

/// The text of `--help`: how the program is called, and the table.
pub fn help(usage: &str, table: &[Variable]) -> String {
    let variables = table.iter().map(|variable| {
        let Variable {
            name,
            default,
            meaning,
            example,
            ..
        } = variable;
        format!("\n  {name} (default: {default})\n      {meaning}\n      for example {example}\n")
    });
    usage.to_owned() + &variables.collect::<String>()
}

/// The value without what surrounds it. Where it has several lines the first one keeps its indentation: in YAML that
/// is part of what it says.
fn trimmed(value: &str) -> &str {
    let value = value.trim_end();
    let without_indentation = value.trim_start();
    if !without_indentation.contains('\n') {
        return without_indentation;
    }
    let skipped = &value[..value.len() - without_indentation.len()];
    let line = skipped.rfind('\n').map_or(0, |end| end + 1);
    &value[line..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_several_lines_keeps_its_indentation() {
        for (value, expected) in [
            (" \n  a: b\n  c: d\n", "  a: b\n  c: d"),
            ("  a: b\n  c: d", "  a: b\n  c: d"),
            ("\n  a: b\n", "a: b"),
            ("a: b\nc: d", "a: b\nc: d"),
        ] {
            assert_eq!(trimmed(value), expected, "{value:?}");
        }
    }
}
