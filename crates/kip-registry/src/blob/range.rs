//! The headers `Range`, `Content-Range` and their like.

use std::ops::{Bound, RangeBounds};

use http::HeaderValue;
use http::header::{CONTENT_RANGE, RANGE};

use crate::error::Error;
use crate::http::Answer;

/// A part of a blob, from one byte to before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) from: u64,
    pub(crate) to: Option<u64>,
}

impl Part {
    pub(crate) fn new(range: &impl RangeBounds<u64>) -> Self {
        Self {
            from: match range.start_bound() {
                Bound::Unbounded => 0,
                Bound::Included(&from) => from,
                Bound::Excluded(&from) => from.saturating_add(1),
            },
            to: match range.end_bound() {
                Bound::Unbounded => None,
                Bound::Included(&to) => Some(to.saturating_add(1)),
                Bound::Excluded(&to) => Some(to),
            },
        }
    }

    /// Whether it is all there is.
    pub(crate) fn is_whole(self) -> bool {
        self.from == 0 && self.to.is_none()
    }

    /// Whether it has no byte at all.
    pub(crate) fn is_empty(self) -> bool {
        self.to.is_some_and(|to| to <= self.from)
    }

    /// The header that asks for it.
    pub(crate) fn header(self) -> Option<HeaderValue> {
        if self.is_whole() {
            return None;
        }
        let last = self
            .to
            .map_or(String::new(), |to| (to.saturating_sub(1)).to_string());
        HeaderValue::from_str(&format!("bytes={}-{last}", self.from)).ok()
    }

    pub(crate) fn insert(self, headers: &mut http::HeaderMap) {
        headers.extend(self.header().map(|header| (RANGE, header)));
    }
}

/// Where the bytes of an answer 206 begin, and how large the whole is, if that is known.
pub(super) fn content_range(answer: &Answer) -> Result<(u64, Option<u64>), Error> {
    answer
        .header(&CONTENT_RANGE)
        .and_then(read_content_range)
        .ok_or_else(|| Error::malformed("the answer 206 has no Content-Range"))
}

fn read_content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (from, _) = range.split_once('-')?;
    Some((from.trim().parse().ok()?, total.trim().parse().ok()))
}

/// How many bytes an upload has, by the header `Range` of its registry: `0-1023`.
pub(super) fn uploaded(value: &str) -> Option<u64> {
    let range = value.trim();
    let (from, last) = range
        .strip_prefix("bytes=")
        .unwrap_or(range)
        .split_once('-')?;
    if from != "0" {
        return None;
    }
    last.parse::<u64>().ok()?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_asked_for_as_http_wants_it() {
        let header = |part: Part| {
            part.header()
                .map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(header(Part::new(&(..))), None);
        assert_eq!(header(Part::new(&(0..))), None);
        assert_eq!(header(Part::new(&(5..))).as_deref(), Some("bytes=5-"));
        assert_eq!(header(Part::new(&(5..10))).as_deref(), Some("bytes=5-9"));
        assert_eq!(header(Part::new(&(..=9))).as_deref(), Some("bytes=0-9"));
        assert!(Part::new(&(5..5)).is_empty());
        assert!(!Part::new(&(5..)).is_empty());
    }

    #[test]
    fn ranges_of_answers_are_read() {
        assert_eq!(read_content_range("bytes 5-9/20"), Some((5, Some(20))));
        assert_eq!(read_content_range("bytes 5-9/*"), Some((5, None)));
        assert_eq!(read_content_range("5-9/20"), None);
        assert_eq!(uploaded("0-1023"), Some(1024));
        assert_eq!(uploaded("bytes=0-1023"), Some(1024));
        assert_eq!(uploaded("5-9"), None);
        assert_eq!(uploaded("0-18446744073709551615"), None);
    }
}
