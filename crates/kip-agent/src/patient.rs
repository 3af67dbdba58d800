//! Streams that do not wait for ever: a client that was killed leaves pipes behind that nobody empties and nobody closes.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

/// A stream whose other side may be gone.
pub struct Patient<F> {
    stream: F,
    patience: Timespec,
}

impl<F: AsFd> Patient<F> {
    /// The stream, where each reading and each writing waits for so long at most.
    ///
    /// # Errors
    /// The operating system's.
    pub fn new(stream: F, patience: Duration) -> io::Result<Self> {
        let flags = fcntl_getfl(&stream)?;
        fcntl_setfl(&stream, flags | OFlags::NONBLOCK)?;
        let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
        Ok(Self { stream, patience })
    }

    /// Does it as soon as it can be done.
    fn when_ready(
        &self,
        flags: PollFlags,
        mut done: impl FnMut(&F) -> Result<usize, Errno>,
    ) -> io::Result<usize> {
        loop {
            match done(&self.stream) {
                Err(Errno::AGAIN) => {}
                other => return Ok(other?),
            }
            let mut waiting = [PollFd::new(&self.stream, flags)];
            if poll(&mut waiting, Some(&self.patience))? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the client is not there any more",
                ));
            }
        }
    }
}

impl<F: AsFd> io::Read for Patient<F> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.when_ready(PollFlags::IN, |stream| {
            rustix::io::read(stream, &mut *bytes)
        })
    }
}

impl<F: AsFd> io::Write for Patient<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.when_ready(PollFlags::OUT, |stream| rustix::io::write(stream, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _, Write as _, pipe};
    use std::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(100);

    #[test]
    fn what_nobody_empties_is_given_up_and_so_is_what_nobody_fills() {
        let (reader, writer) = pipe().unwrap();
        let began = Instant::now();
        let mut patient = Patient::new(writer, PATIENCE).unwrap();
        let error = patient.write_all(&vec![7; 1 << 20]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(began.elapsed() >= PATIENCE);
        let mut patient = Patient::new(reader, PATIENCE).unwrap();
        let mut bytes = Vec::new();
        let error = patient.read_to_end(&mut bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(!bytes.is_empty() && bytes.iter().all(|byte| *byte == 7));
    }

    #[test]
    fn what_is_emptied_slowly_comes_whole() {
        let (mut reader, writer) = pipe().unwrap();
        let mut patient = Patient::new(writer, PATIENCE).unwrap();
        let emptied = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let mut buffer = vec![0; 64 << 10];
            loop {
                std::thread::sleep(Duration::from_millis(2));
                let size = reader.read(&mut buffer).unwrap();
                if size == 0 {
                    return bytes;
                }
                bytes.extend_from_slice(&buffer[..size]);
            }
        });
        let sent: Vec<u8> = (0..2_000_000u32).map(|it| it.to_le_bytes()[1]).collect();
        patient.write_all(&sent).unwrap();
        drop(patient);
        assert!(emptied.join().unwrap() == sent);
    }
}
