//! The table of durations against the library.

#[path = "support/cases.rs"]
mod cases;

use cases::CASES;
use kip_sleep::duration::parse;

#[test]
fn every_duration_of_the_table_is_read_as_go_reads_it() {
    assert!(CASES.len() >= 100, "{} cases", CASES.len());
    let wrong: Vec<_> = CASES
        .iter()
        .filter(|(text, expected)| parse(text) != *expected)
        .map(|(text, expected)| {
            format!(
                "{}: {:?}, not {expected:?}",
                text.escape_ascii(),
                parse(text)
            )
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
