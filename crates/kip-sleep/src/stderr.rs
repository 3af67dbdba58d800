//! Standard error, written in as few pieces as possible so that lines of several processes do not mix.

use core::fmt::{self, Write};

use crate::linux::File;

/// Gathers text; [`Stderr::flush`] writes it.
pub(crate) struct Stderr {
    buffer: [u8; 512],
    used: usize,
}

impl Stderr {
    pub(crate) fn new() -> Self {
        Self {
            buffer: [0; 512],
            used: 0,
        }
    }

    /// Writes what was gathered. Where that fails there is nowhere left to say so: the exit status must do.
    pub(crate) fn flush(&mut self) {
        let _ = File::STDERR.write_all(self.buffer.get(..self.used).unwrap_or_default());
        self.used = 0;
    }

    fn push(&mut self, byte: u8) {
        if self.used == self.buffer.len() {
            self.flush();
        }
        if let Some(place) = self.buffer.get_mut(self.used) {
            *place = byte;
            self.used += 1;
        }
    }
}

impl Write for Stderr {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.push(byte));
        Ok(())
    }

    /// A byte, as [`kip_sleep::failure::Failure::describe`] writes what comes from outside.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "below U+0100; a check costs bytes"
    )]
    fn write_char(&mut self, character: char) -> fmt::Result {
        self.push(character as u32 as u8);
        Ok(())
    }
}
