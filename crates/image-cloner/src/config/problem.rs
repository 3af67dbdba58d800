//! What is wrong with a setting, said so that a user can mend it.

use std::fmt;

use crate::settings::variable;

/// One thing that is wrong with one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable's name.
    pub variable: &'static str,
    /// Its value, or the part of it that is wrong.
    pub value: String,
    /// What is wrong.
    pub wrong: String,
}

/// A value longer than this is shortened in messages, in characters.
const SHOWN: usize = 120;

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            variable: name,
            value,
            wrong,
        } = self;
        match value.char_indices().nth(SHOWN) {
            None => write!(f, "{name}={value:?}: {wrong}")?,
            Some((end, _)) => write!(f, "{name}={:?}…: {wrong}", &value[..end])?,
        }
        match variable(name) {
            Some(variable) => write!(f, "; for example {name}={}", variable.example),
            None => Ok(()),
        }
    }
}

/// Every problem of a configuration, never only the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Problem::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Problems {}

impl Problems {
    /// The value, or its type's default while the problem is kept: the whole is then given up in the end.
    pub(super) fn take<T: Default>(
        &mut self,
        variable: &'static str,
        value: &str,
        result: Result<T, String>,
    ) -> T {
        result.unwrap_or_else(|wrong| {
            self.0.push(Problem {
                variable,
                value: value.to_owned(),
                wrong,
            });
            T::default()
        })
    }
}
