//! The field `auth`: `USER:PASSWORD` in base64.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::error::SecretProblem;

/// Go's `base64.StdEncoding` and `base64.RawStdEncoding`, which let unused bits be anything.
const fn engine(padding: DecodePaddingMode) -> GeneralPurpose {
    GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(padding),
    )
}

const PADDED: GeneralPurpose = engine(DecodePaddingMode::RequireCanonical);
const UNPADDED: GeneralPurpose = engine(DecodePaddingMode::RequireNone);

/// User name and password. The latter is all that follows the first colon.
pub(super) fn decode(field: &str) -> Result<(Box<str>, Box<str>), SecretProblem> {
    let engine = if field.trim().ends_with('=') {
        PADDED
    } else {
        UNPADDED
    };
    // Ends of lines are skipped wherever they stand.
    let text: Vec<u8> = field
        .bytes()
        .filter(|byte| !matches!(byte, b'\r' | b'\n'))
        .collect();
    let decoded = engine
        .decode(text)
        .map_err(|_| SecretProblem::AuthEncoding { at: misfit(field) })?;
    let decoded = String::from_utf8(decoded).map_err(|_| SecretProblem::AuthText)?;
    let (user, password) = decoded.split_once(':').ok_or(SecretProblem::AuthColon)?;
    Ok((user.into(), password.into()))
}

/// Where the first character stands that base64 does not have, if the fault is such a one.
fn misfit(field: &str) -> Option<usize> {
    let is_known =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '\r' | '\n');
    field.chars().position(|c| !is_known(c)).map(|at| at + 1)
}
