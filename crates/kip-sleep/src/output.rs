//! Text on its way to a file, written in as few pieces as possible so that lines of several processes do not mix.

use core::fmt::{self, Write};

use crate::linux::File;

/// Gathers text; [`Output::flush`] writes it.
pub(crate) struct Output {
    buffer: [u8; 512],
    used: usize,
    file: File,
}

impl Output {
    pub(crate) fn new(file: File) -> Self {
        Self {
            buffer: [0; 512],
            used: 0,
            file,
        }
    }

    /// Writes what was gathered. Where that fails there is nowhere left to say so.
    pub(crate) fn flush(&mut self) {
        let _ = self
            .file
            .write_all(self.buffer.get(..self.used).unwrap_or_default());
        self.used = 0;
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.buffer.get_mut(self.used) {
            *place = byte;
            self.used += 1;
        }
        if self.used >= self.buffer.len() {
            self.flush();
        }
    }
}

impl Write for Output {
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
