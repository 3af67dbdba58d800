//! Tells how far a transfer is: a bar on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::output::printable;
use crate::transfer::Counters;

/// How often a line is written where there is no terminal.
const LINES: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(200);

/// Where people read what is going on: standard error. Standard output has what was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Voice {
    is_quiet: bool,
    verbosity: u8,
}

impl Voice {
    /// That says nothing if it is quiet.
    pub fn new(is_quiet: bool, verbosity: u8) -> Self {
        Self {
            is_quiet,
            verbosity,
        }
    }

    /// Says it.
    pub fn say(self, text: &str) {
        if !self.is_quiet {
            self.give(text);
        }
    }

    /// Says it, also if it is quiet: something went wrong.
    pub fn warn(self, text: &str) {
        self.give(&format!("warning: {text}"));
    }

    /// Says it, also if it is quiet: it was asked for.
    pub fn give(self, text: &str) {
        // Whoever has closed it does not want to read it.
        let _ = writeln!(std::io::stderr(), "{}", printable(text.trim_end()));
    }

    /// Says it to those who want to know this much.
    pub fn detail(self, level: u8, text: &str) {
        if self.verbosity >= level {
            self.give(text);
        }
    }

    /// Shows the progress until what is given back is dropped.
    pub fn show(self, counters: &Arc<Counters>, total: u64) -> Shown {
        let task = (!self.is_quiet).then(|| {
            let counters = counters.clone();
            if std::io::stderr().is_terminal() {
                tokio::spawn(bar(counters, total))
            } else {
                tokio::spawn(lines(counters, total))
            }
        });
        Shown { task }
    }
}

/// A progress that is being shown.
pub struct Shown {
    task: Option<JoinHandle<()>>,
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn bar(counters: Arc<Counters>, total: u64) {
    let template = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left{msg}";
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(total).with_style(style);
    // What was there before is no speed of this transfer.
    bar.set_position(counters.bytes.load(Ordering::Relaxed));
    bar.reset_eta();
    // Dropped with the task, the bar leaves the screen.
    let bar = Cleared(bar);
    loop {
        bar.0.set_position(counters.bytes.load(Ordering::Relaxed));
        let cuts = counters.cuts.load(Ordering::Relaxed);
        if cuts > 0 {
            bar.0.set_message(format!(", connection cut {cuts} times"));
        }
        tokio::time::sleep(TICK).await;
    }
}

struct Cleared(ProgressBar);

impl Drop for Cleared {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

async fn lines(counters: Arc<Counters>, total: u64) {
    let began = Instant::now();
    let first = counters.bytes.load(Ordering::Relaxed);
    loop {
        tokio::time::sleep(LINES).await;
        let bytes = counters.bytes.load(Ordering::Relaxed);
        let text = line(bytes, total, bytes.saturating_sub(first), began.elapsed());
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

fn line(bytes: u64, total: u64, new: u64, elapsed: Duration) -> String {
    let rate = per_second(new, elapsed);
    let left = total.saturating_sub(bytes).checked_div(rate);
    let left = left.map_or_else(|| "unknown".to_owned(), |seconds| format!("{seconds} s"));
    format!(
        "{} of {}, {}/s, {left} left",
        HumanBytes(bytes),
        HumanBytes(total),
        HumanBytes(rate)
    )
}

/// Bytes in each second.
pub fn per_second(bytes: u64, elapsed: Duration) -> u64 {
    let millis = elapsed.as_millis().max(1);
    u64::try_from(u128::from(bytes) * 1000 / millis).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_rate_and_the_time_left() {
        let text = line(512 << 20, 1 << 30, 256 << 20, Duration::from_secs(2));
        assert_eq!(text, "512.00 MiB of 1.00 GiB, 128.00 MiB/s, 4 s left");
        assert!(line(0, 10, 0, Duration::from_secs(1)).contains("unknown left"));
    }
}
