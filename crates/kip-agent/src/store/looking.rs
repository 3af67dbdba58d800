//! A look at all images of a store: it may last, and some of them may be damaged.

use std::io;

/// Says that the agent is at work, and keeps what could not be read: it hides nothing else.
pub struct Looking<'a> {
    working: &'a mut dyn FnMut() -> io::Result<()>,
    /// Nobody waits any more.
    is_over: bool,
    problems: Vec<String>,
}

impl<'a> Looking<'a> {
    /// `working` is called before each image; its error ends the look.
    pub fn new(working: &'a mut dyn FnMut() -> io::Result<()>) -> Self {
        Self {
            working,
            is_over: false,
            problems: Vec::new(),
        }
    }

    /// Says that there is work going on.
    ///
    /// # Errors
    /// When nobody waits for it.
    pub fn working(&mut self) -> io::Result<()> {
        let said = (self.working)();
        self.is_over |= said.is_err();
        said
    }

    /// What was read. Where it could not be, `None`, and the error is noted with what it is about.
    ///
    /// # Errors
    /// When the error is that nobody waits.
    pub fn note<T>(&mut self, about: &str, read: io::Result<T>) -> io::Result<Option<T>> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error) if self.is_over => Err(error),
            Err(error) => {
                self.add(about, &error);
                Ok(None)
            }
        }
    }

    /// Notes it, with what it is about.
    pub(super) fn add(&mut self, about: &str, error: &io::Error) {
        let problem = match about {
            "" => error.to_string(),
            about => format!("{about}: {error}"),
        };
        // Several images may have one blob.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// What could not be read, in words.
    pub fn into_problems(self) -> Vec<String> {
        self.problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_noted_once_and_that_nobody_waits_ends_it() {
        let mut beats = 0;
        let working = &mut || {
            beats += 1;
            let gone = || io::Error::other("nobody waits");
            (beats < 3).then_some(()).ok_or_else(gone)
        };
        let mut looking = Looking::new(working);
        let bad = || Err::<u8, _>(io::Error::other("bad"));
        assert_eq!(looking.note("a", Ok(1)).unwrap(), Some(1));
        for about in ["a", "a", ""] {
            looking.working().ok();
            let read = looking.note(about, bad());
            assert_eq!(read.is_err(), about.is_empty());
        }
        assert_eq!(looking.into_problems(), ["a: bad"]);
    }
}
