//! What is wrong with a setting, said so that a user can mend it.

use std::fmt;

use crate::settings::variable;

/// One thing that is wrong with one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable's name.
    pub variable: &'static str,
    /// Its value, shortened; `None` when it is missing.
    pub value: Option<String>,
    /// What is wrong.
    pub wrong: String,
}

/// A value longer than this is shortened in messages, in characters.
const SHOWN: usize = 120;
/// The same for what is wrong, which may repeat a part of the value: so much of its beginning and of its end.
const SAID: usize = 250;
/// So many problems are kept, then they are only counted: a megabyte of nonsense would become hundreds of megabytes
/// of messages.
const KEPT: usize = 200;

impl Problem {
    /// A problem with the value of a variable.
    pub fn new(variable: &'static str, value: &str, wrong: impl fmt::Display) -> Self {
        Self {
            variable,
            value: Some(shorten(value)),
            wrong: one_line(&wrong.to_string()),
        }
    }

    /// A variable that must be set and is not.
    pub fn missing(variable: &'static str) -> Self {
        Self {
            variable,
            value: None,
            wrong: "is required and is not set".to_owned(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value:?}: {}", self.variable, self.wrong)?,
            None => write!(f, "{} {}", self.variable, self.wrong)?,
        }
        match variable(self.variable) {
            Some(variable) => write!(f, "; for example {}={}", variable.name, variable.example),
            None => Ok(()),
        }
    }
}

/// Every problem of a configuration, never only the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Gathers problems while the settings are read one after another.
#[derive(Debug, Default)]
pub(super) struct Findings {
    kept: Vec<Problem>,
    /// Variable of the first problem that was only counted, and how many there are.
    more: Option<(&'static str, usize)>,
}

impl Findings {
    /// Keeps a problem.
    pub(super) fn add(&mut self, problem: Problem) {
        if self.kept.len() < KEPT {
            self.kept.push(problem);
        } else {
            self.more.get_or_insert((problem.variable, 0)).1 += 1;
        }
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The value, or its default while the problem is kept: the result is discarded in the end.
    pub(super) fn take<T: Default>(&mut self, result: Result<T, Problem>) -> T {
        result.unwrap_or_else(|problem| {
            self.add(problem);
            T::default()
        })
    }

    /// The value if nothing was found.
    ///
    /// # Errors
    /// All that was found.
    pub(super) fn finish<T>(self, value: T) -> Result<T, Problems> {
        let Self { mut kept, more } = self;
        kept.extend(more.map(|(variable, count)| Problem {
            variable,
            value: None,
            wrong: format!("and the settings after it have {count} more problems"),
        }));
        if kept.is_empty() {
            Ok(value)
        } else {
            Err(Problems(kept))
        }
    }
}

fn shorten(value: &str) -> String {
    match value.char_indices().nth(SHOWN) {
        None => value.to_owned(),
        Some((end, _)) => format!("{}…", &value[..end]),
    }
}

/// The text without control characters, which a document's keys may bring, and without its middle where it is long.
fn one_line(text: &str) -> String {
    let count = text.chars().count();
    let mut line = String::with_capacity(text.len().min(8 * SAID));
    for (index, c) in text.chars().enumerate() {
        if count > 2 * SAID && index == SAID {
            line.push('…');
        }
        if count <= 2 * SAID || index < SAID || index >= count - SAID {
            if c.is_control() {
                line.extend(c.escape_default());
            } else {
                line.push(c);
            }
        }
    }
    line
}
