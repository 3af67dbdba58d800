//! The laws that are fuzzed, on inputs that a property test makes.

mod entries;

use proptest::prelude::*;

/// Bytes, and texts of pieces that matter to one of the parsers.
fn input(pieces: &'static str) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => proptest::collection::vec(any::<u8>(), 0..64),
        1 => any::<String>().prop_map(String::into_bytes),
        6 => pieces.prop_map(String::into_bytes),
    ]
}

const REFERENCE: &str = "(a|nginx|docker\\.io|[0-9a-f]{64}|sha256|[-./:@_A-Z0-9]){0,9}";
const DIGEST: &str =
    "(sha256|sha384|sha512|SHA256):([0-9a-f]{64}|[0-9a-f]{96}|[0-9a-fA-F]{127,129})";
const POLICY: &str = "(Always|IfNotPresent|Never|always| )?";
const SECRET: &str = "\\{(\"(auths|HttpHeaders|x)\": )?\\{(\"(a|\\*\\.io|https://index\\.docker\\.io/v1/)\": (\\{(\"(auth|username|password|identitytoken)\": (\"[Y-cT-V=:]{0,8}\"|null|1),? ?){0,2}\\}|null),? ?){0,3}\\}\\}?";
const LOOKUP: &str =
    "((a|\\*|docker|index|io|A|1|\\[::1\\]|%25|%c3|localhost|https://|/v1/|[.:/?#@]){0,6}\n?){0,4}";
const PLATFORM: &str = "((linux|windows|macos|Linux\\(1\\+a\\)|windows\\(10\\.0\\.20348\\)|[a-c(+)%])/(arm|arm64|amd64|aarch64|armhf|386|[.a-c])(/(v[0-9]|v[89]\\.[0-9]|[0-9]|[.a-c]))?\n?){0,5}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn references(data in input(REFERENCE)) {
        entries::reference(&data);
    }

    #[test]
    fn digests(data in input(DIGEST)) {
        entries::digest(&data);
    }

    #[test]
    fn policies(data in input(POLICY)) {
        entries::policy(&data);
    }

    #[test]
    fn secrets(data in input(SECRET)) {
        entries::secret(&data);
    }

    #[test]
    fn lookups(data in input(LOOKUP)) {
        entries::lookup(&data);
    }

    #[test]
    fn platforms(data in input(PLATFORM)) {
        entries::platform(&data);
    }
}
