//! Quantities against exact arithmetic.

use kip_daemon::config::quantity::Quantity;
use num_bigint::BigInt;
use proptest::prelude::*;
use proptest::sample::select;

const UNITS: [(&str, u32, i32); 16] = [
    ("n", 10, -9),
    ("u", 10, -6),
    ("m", 10, -3),
    ("", 10, 0),
    ("k", 10, 3),
    ("M", 10, 6),
    ("G", 10, 9),
    ("T", 10, 12),
    ("P", 10, 15),
    ("E", 10, 18),
    ("Ki", 2, 10),
    ("Mi", 2, 20),
    ("Gi", 2, 30),
    ("Ti", 2, 40),
    ("Pi", 2, 50),
    ("Ei", 2, 60),
];

/// A unit, its base and its exponent.
fn unit() -> impl Strategy<Value = (String, u32, i32)> {
    prop_oneof![
        select(&UNITS[..]).prop_map(|(unit, base, exponent)| (unit.to_owned(), base, exponent)),
        (select(vec!["e", "E", "e+", "E+"]), 0..20_i32).prop_map(|(e, n)| (
            format!("{e}{n}"),
            10,
            n
        )),
        (select(vec!["e-", "E-"]), 0..20_i32).prop_map(|(e, n)| (format!("{e}{n}"), 10, -n)),
    ]
}

/// What Kubernetes caps quantities at, in billionths.
fn largest() -> BigInt {
    BigInt::from(i64::MAX) * 1_000_000_000
}

/// The size in billionths, rounded up, by fractions of big integers.
fn exact(whole: &str, fraction: &str, base: u32, exponent: i32) -> Option<BigInt> {
    let digits = format!("{whole}{fraction}");
    let mut numerator: BigInt = digits.parse().ok()?;
    numerator *= 1_000_000_000;
    let places = u32::try_from(fraction.len()).expect("few digits");
    let mut denominator = BigInt::from(10).pow(places);
    let scale = BigInt::from(base).pow(exponent.unsigned_abs());
    if exponent < 0 {
        denominator *= scale;
    } else {
        numerator *= scale;
    }
    let rounded_up: BigInt = (numerator + &denominator - 1) / denominator;
    Some(rounded_up)
}

/// Inputs for each law: enough for a change; `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    let asked = std::env::var_os("PROPTEST_CASES");
    asked.map_or(1000, |_| ProptestConfig::default().cases)
}

proptest! {
    // A failure is printed in its smallest form, and belongs into a test of its own then, not into a file of seeds.
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn quantities_are_as_large_as_exact_arithmetic_says(
        sign in select(vec!["", "+"]),
        whole in "[0-9]{0,9}",
        fraction in proptest::option::of("[0-9]{0,9}"),
        (unit, base, exponent) in unit(),
    ) {
        let fraction_text = fraction.as_ref().map_or(String::new(), |digits| format!(".{digits}"));
        let text = format!("{sign}{whole}{fraction_text}{unit}");
        let digits = fraction.unwrap_or_default();
        match (exact(&whole, &digits, base, exponent), Quantity::parse(&text)) {
            (None, parsed) => prop_assert!(parsed.is_err(), "{text} was taken"),
            (Some(nano), parsed) if nano > largest() => {
                prop_assert!(parsed.is_err(), "{text} was taken, it is too large");
            }
            (Some(nano), parsed) => {
                let parsed = parsed.map_err(|wrong| TestCaseError::fail(format!("{text} {wrong}")))?;
                prop_assert_eq!(BigInt::from(parsed.nano()), nano, "{}", text);
                prop_assert_eq!(parsed.as_str(), text);
            }
        }
    }

    /// However many digits: what is taken is right.
    #[test]
    fn long_quantities_are_refused_or_right(
        whole in "[0-9]{0,60}",
        fraction in "[0-9]{0,60}",
        (unit, base, exponent) in unit(),
    ) {
        let text = format!("{whole}.{fraction}{unit}");
        if let Ok(parsed) = Quantity::parse(&text) {
            prop_assert_eq!(Some(BigInt::from(parsed.nano())), exact(&whole, &fraction, base, exponent), "{}", text);
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused(text in "[-+.0-9eEinumkKMGTP ]{0,8}") {
        let grammar = |text: &str| {
            let end = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-')).unwrap_or(text.len());
            let (number, unit) = text.split_at(end);
            let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
            let one_point = digits.matches('.').count() <= 1;
            let is_number = one_point
                && digits.bytes().any(|byte| byte.is_ascii_digit())
                && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            let exponent = unit.strip_prefix(['e', 'E']).is_some_and(|exponent| {
                let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
            });
            is_number && (exponent || UNITS.iter().any(|(name, ..)| *name == unit))
        };
        if !grammar(&text) {
            prop_assert!(Quantity::parse(&text).is_err(), "{text:?} was taken");
        }
    }
}
