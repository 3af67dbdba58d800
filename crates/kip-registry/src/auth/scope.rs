//! What a token allows.

use std::collections::BTreeSet;
use std::fmt;

/// What a token must allow: [resources and what is done to them][scope].
///
/// [scope]: https://distribution.github.io/distribution/spec/auth/scope/
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Scope(BTreeSet<String>);

impl Scope {
    /// To read a repository.
    pub(crate) fn pull(repository: &str) -> Self {
        Self([format!("repository:{repository}:pull")].into())
    }

    /// To write it. Whether something is there already is asked with the same token.
    pub(crate) fn push(repository: &str) -> Self {
        Self([format!("repository:{repository}:pull,push")].into())
    }

    /// Both.
    #[must_use]
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Adds what a registry asks for. Tells whether that is anything new.
    pub(crate) fn widen(&mut self, asked: &str) -> bool {
        let before = self.0.len();
        self.0
            .extend(asked.split_ascii_whitespace().map(str::to_owned));
        self.0.len() > before
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, one) in self.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{one}")?;
        }
        Ok(())
    }
}
