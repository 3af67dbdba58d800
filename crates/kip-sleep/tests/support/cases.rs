//! Durations, and what Go's `time.ParseDuration` makes of them: `tests/differential.rs` asks Go itself.

use kip_sleep::duration::DurationError::{self, Invalid, MissingUnit, UnknownUnit};

const US: i64 = 1_000;
const MS: i64 = 1_000 * US;
const S: i64 = 1_000 * MS;
const M: i64 = 60 * S;
const H: i64 = 60 * M;

/// A text and its nanoseconds, or why it is no duration.
pub(crate) type Case = (&'static [u8], Result<i64, DurationError>);

/// The table.
#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    // Zero, which alone needs no unit.
    (b"0", Ok(0)), (b"+0", Ok(0)), (b"-0", Ok(0)), (b"0s", Ok(0)), (b"-0s", Ok(0)), (b"0.0h", Ok(0)), (b"0.s", Ok(0)),
    (b".0s", Ok(0)), (b"0h0m0s", Ok(0)), (b"00s", Ok(0)), (b"0ns", Ok(0)), (b"+0.0ms", Ok(0)),
    // Each unit.
    (b"1ns", Ok(1)), (b"1us", Ok(US)), (b"1\xc2\xb5s", Ok(US)), (b"1\xce\xbcs", Ok(US)), (b"1ms", Ok(MS)), (b"1s", Ok(S)),
    (b"1m", Ok(M)), (b"1h", Ok(H)), (b"5s", Ok(5 * S)), (b"30s", Ok(30 * S)), (b"1478s", Ok(1478 * S)),
    (b"720h", Ok(720 * H)), (b"007m", Ok(7 * M)), (b"11ns", Ok(11)), (b"14ms", Ok(14 * MS)), (b"13us", Ok(13 * US)),
    // Signs.
    (b"-5s", Ok(-5 * S)), (b"+5s", Ok(5 * S)), (b"-1h", Ok(-H)), (b"-1ns", Ok(-1)), (b"-.5s", Ok(-S / 2)), (b"+.5s", Ok(S / 2)),
    // Fractions.
    (b"5.0s", Ok(5 * S)), (b"5.6s", Ok(5_600 * MS)), (b"5.s", Ok(5 * S)), (b".5s", Ok(S / 2)), (b"1.0s", Ok(S)),
    (b"1.00s", Ok(S)), (b"1.004s", Ok(1_004 * MS)), (b"1.0040s", Ok(1_004 * MS)), (b"100.00100s", Ok(100_001 * MS)),
    (b"1.5h", Ok(90 * M)), (b".1m", Ok(6 * S)), (b"-1.5ms", Ok(-1_500 * US)), (b"0.5us", Ok(500)), (b"0.1ns", Ok(0)),
    (b"0.9ns", Ok(0)), (b"1.9ns", Ok(1)), (b"-1.9ns", Ok(-1)), (b"0.999us", Ok(999)), (b"0.9999us", Ok(999)),
    (b"52763797000ns", Ok(52_763_797_000)), (b"0.3333333333333333333h", Ok(20 * M)), (b"0.100000000000000000000h", Ok(6 * M)),
    (b"0.830103483285477580700h", Ok(49 * M + 48 * S + 372_539_827)), (b"0.9223372036854775808s", Ok(922_337_203)),
    (b"0.9223372036854775807h", Ok(3_320_413_933_267)), (b"0.99999999999999999999999999999s", Ok(S)),
    (b"0.00000000000000000000000001h", Ok(0)), (b"0.000000000000000001h", Ok(0)), (b"0.0000000000002777777777h", Ok(0)),
    (b"0.00000000000027777777778h", Ok(1)), (b"1.1h", Ok(66 * M)), (b"2.3m", Ok(138 * S)), (b"0.7s", Ok(700 * MS)),
    // Several.
    (b"3h30m", Ok(210 * M)), (b"10.5s4m", Ok(4 * M + 10_500 * MS)), (b"-2m3.4s", Ok(-(2 * M + 3_400 * MS))),
    (b"1h2m3s4ms5us6ns", Ok(H + 2 * M + 3 * S + 4 * MS + 5 * US + 6)), (b"39h9m14.425s", Ok(39 * H + 9 * M + 14_425 * MS)),
    (b"1s1s1s", Ok(3 * S)), (b"1ns1h", Ok(H + 1)), (b"1h1h", Ok(2 * H)), (b".5h.5m", Ok(30 * M + 30 * S)),
    (b"1.5h30.5m", Ok(2 * H + 30 * S)), (b"2562047h47m16s854ms775us807ns", Ok(i64::MAX)),
    // The limits of 63 bits.
    (b"9223372036854775807ns", Ok(i64::MAX)), (b"9223372036854775.807us", Ok(i64::MAX)),
    (b"9223372036s854ms775us807ns", Ok(i64::MAX)), (b"-9223372036854775807ns", Ok(-i64::MAX)),
    (b"-9223372036854775808ns", Ok(i64::MIN)), (b"-9223372036854775.808us", Ok(i64::MIN)),
    (b"-9223372036s854ms775us808ns", Ok(i64::MIN)), (b"-2562047h47m16.854775808s", Ok(i64::MIN)),
    (b"9223372036854775808ns", Err(Invalid)), (b"-9223372036854775809ns", Err(Invalid)), (b"9223372036854775.808us", Err(Invalid)),
    (b"9223372036854ms775us808ns", Err(Invalid)), (b"2562047h", Ok(2_562_047 * H)), (b"2562048h", Err(Invalid)),
    (b"-2562048h", Err(Invalid)), (b"153722867m", Ok(153_722_867 * M)), (b"153722868m", Err(Invalid)),
    (b"9223372036s", Ok(9_223_372_036 * S)), (b"9223372037s", Err(Invalid)), (b"9223372036854776us", Err(Invalid)),
    (b"3000000h", Err(Invalid)), (b"99999999999999999999ns", Err(Invalid)), (b"18446744073709551616ns", Err(Invalid)),
    (b"9223372036854775809ns", Err(Invalid)), (b"9223372036854775800ns9ns", Err(Invalid)),
    (b"000000000000000000000000001s", Ok(S)),
    // Go adds up 2^63 twice and does not see the carry.
    (b"9223372036854775808ns9223372036854775808ns", Ok(0)), (b"-9223372036854775808ns9223372036854775808ns1s", Ok(-S)),
    // Not durations.
    (b"", Err(Invalid)), (b"-", Err(Invalid)), (b"+", Err(Invalid)), (b".", Err(Invalid)), (b"-.", Err(Invalid)),
    (b"s", Err(Invalid)), (b".s", Err(Invalid)), (b"+.s", Err(Invalid)), (b"-s", Err(Invalid)), (b"h1", Err(Invalid)),
    (b"--1s", Err(Invalid)), (b"+-1s", Err(Invalid)), (b" 1s", Err(Invalid)), (b"installs", Err(Invalid)), (b"1h-1m", Err(UnknownUnit)),
    (b"1s.s", Err(Invalid)), (b"\x001s", Err(Invalid)), (b"infinity", Err(Invalid)), (b"--help", Err(Invalid)),
    (b"3", Err(MissingUnit)), (b"-3", Err(MissingUnit)), (b"00", Err(MissingUnit)), (b"0.0", Err(MissingUnit)), (b"1.", Err(MissingUnit)),
    (b".5", Err(MissingUnit)), (b"1.2.3s", Err(MissingUnit)), (b"1..5s", Err(MissingUnit)), (b"1h30", Err(MissingUnit)), (b"-0.", Err(MissingUnit)),
    (b"1d", Err(UnknownUnit)), (b"1S", Err(UnknownUnit)), (b"1H", Err(UnknownUnit)), (b"1 s", Err(UnknownUnit)), (b"1s ", Err(UnknownUnit)),
    (b"1hm", Err(UnknownUnit)), (b"1sm", Err(UnknownUnit)), (b"1min", Err(UnknownUnit)), (b"1sec", Err(UnknownUnit)), (b"1e3s", Err(UnknownUnit)),
    (b"1,5s", Err(UnknownUnit)), (b"1_000s", Err(UnknownUnit)), (b"0x1s", Err(UnknownUnit)), (b"1\xb5s", Err(UnknownUnit)), (b"1\xc2s", Err(UnknownUnit)),
    (b"1\xc2\xb5", Err(UnknownUnit)), (b"1\xce\xb5s", Err(UnknownUnit)), (b"1\xc2\xbcs", Err(UnknownUnit)), (b"1nss", Err(UnknownUnit)),
    (b"1\x00s", Err(UnknownUnit)), (b"1s\x00", Err(UnknownUnit)), (b"1\xff\xffns", Err(UnknownUnit)), (b"1\x01\xc2\xb5s", Err(UnknownUnit)),
    (b"1\xff\xff\xff", Err(UnknownUnit)), (b"99999999999999999999d", Err(Invalid)), (b"9223372036854775808d", Err(UnknownUnit)),
];
