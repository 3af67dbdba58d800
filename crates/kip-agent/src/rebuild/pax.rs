//! PAX records: what does not fit into a header's fields.

/// One record, `LENGTH KEY=VALUE\n`, where the length counts itself.
pub(super) fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + digits(length) {
        length = rest + digits(length);
    }
    let mut bytes = format!("{length} ").into_bytes();
    bytes.extend_from_slice(key);
    bytes.push(b'=');
    bytes.extend_from_slice(value);
    bytes.push(b'\n');
    bytes
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

/// Seconds, with as many decimals as are needed. The same in Go and in GNU tar.
pub(super) fn time(seconds: i64, nanos: u32) -> Vec<u8> {
    if nanos == 0 {
        return seconds.to_string().into_bytes();
    }
    let (sign, seconds, nanos) = if seconds < 0 {
        ("-", -(seconds + 1), 1_000_000_000 - nanos)
    } else {
        ("", seconds, nanos)
    };
    let text = format!("{sign}{seconds}.{nanos:09}");
    text.trim_end_matches('0').as_bytes().to_vec()
}

/// As Python prints its floating-point times.
#[allow(
    clippy::cast_precision_loss,
    reason = "what Python loses is to be lost here too"
)]
pub(super) fn python_time(seconds: i64, nanos: u32) -> (f64, Vec<u8>) {
    let time = seconds as f64 + 1e-9 * f64::from(nanos);
    (time, format!("{time:?}").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_records_length_counts_itself() {
        assert_eq!(record(b"mtime", b"-5"), b"12 mtime=-5\n");
        assert_eq!(record(b"path", "ü".as_bytes()), "11 path=ü\n".as_bytes());
        // From 98 bytes on, the length itself needs a digit more.
        for size in 0..1100 {
            let bytes = record(b"k", &vec![b'v'; size]);
            let text = String::from_utf8(bytes.clone()).unwrap();
            let said: usize = text.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(said, bytes.len());
        }
    }

    #[test]
    fn times_have_no_needless_decimals() {
        assert_eq!(time(1_700_000_000, 123_456_789), b"1700000000.123456789");
        assert_eq!(time(1_795_920_992, 990_576_450), b"1795920992.99057645");
        assert_eq!(time(-5, 0), b"-5");
        assert_eq!(time(-2, 500_000_000), b"-1.5");
        assert_eq!(time(-1, 750_000_000), b"-0.25");
        assert_eq!(
            python_time(1_700_000_000, 123_456_789).1,
            b"1700000000.1234567"
        );
        assert_eq!(python_time(-5, 0).1, b"-5.0");
    }
}
