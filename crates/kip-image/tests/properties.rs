//! Laws of references.

use kip_image::{AnyReference, Reference};
use proptest::prelude::*;

/// Text near the grammar: its own characters, and some that it has not.
fn near_text() -> impl Strategy<Value = String> {
    "([a-cA-C0-2._:/@\\[\\]é \\n-]|docker\\.io/|library/|localhost|sha256:|[0-9a-f]{64}){0,12}"
}

/// References that are valid.
fn valid_text() -> impl Strategy<Value = String> {
    let registry = prop_oneof![
        Just(String::new()),
        "docker\\.io/|index\\.docker\\.io/|localhost/",
        "[A-Z]{1,3}/",
        "[a-z0-9]{1,4}(-{1,2}[a-z0-9])?\\.io(:[0-9]{1,5})?/",
        "\\[[0-9a-f:]{2,9}:\\](:[0-9]{1,5})?/",
    ];
    let path = "[a-z0-9]{1,5}((/|\\.|_|__|-{1,3})[a-z0-9]{1,5}){0,4}";
    let tag = "(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?";
    let digest = "(@sha256:[0-9a-f]{64}|@sha384:[0-9a-f]{96}|@sha512:[0-9a-f]{128})?";
    (registry, path, tag, digest)
        .prop_map(|(registry, path, tag, digest)| format!("{registry}{path}{tag}{digest}"))
        .prop_filter(
            "its first part would be read as a host name, which has no '_'",
            |text| {
                !text
                    .split_once('/')
                    .is_some_and(|(first, _)| first.contains('.') && first.contains('_'))
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn any_text_is_parsed_without_a_panic(text in any::<String>()) {
        let _ = AnyReference::parse(&text).map_err(|error| error.to_string());
    }

    #[test]
    fn an_error_points_into_the_text_past_nothing_but_ascii(text in near_text()) {
        if let Err(error) = Reference::parse(&text) {
            prop_assert!(error.position() <= text.len());
            prop_assert!(text[..error.position()].is_ascii());
            let character = format!(" at character {} (", error.position() + 1);
            prop_assert!(error.to_string().contains(&character));
        }
    }

    #[test]
    fn valid_references_are_accepted(text in valid_text()) {
        prop_assert!(Reference::parse(&text).is_ok(), "{:?}", Reference::parse(&text));
    }

    #[test]
    fn what_is_printed_is_read_back_as_the_same(text in prop_oneof![near_text(), valid_text()]) {
        if let Ok(reference) = Reference::parse(&text) {
            for printed in [reference.to_string(), reference.familiar().to_string()] {
                let again = Reference::parse(&printed);
                prop_assert_eq!(again.as_ref(), Ok(&reference), "{}", printed);
            }
            let full = format!("{}/{}", reference.registry(), reference.repository());
            prop_assert_eq!(reference.name(), full);
        }
    }

    #[test]
    fn what_is_pulled_has_a_tag_or_a_digest_and_not_both(text in valid_text()) {
        let reference = Reference::parse(&text).expect("valid");
        let pulled = reference.clone().as_pulled();
        prop_assert!(pulled.tag().is_some() != pulled.digest().is_some());
        prop_assert_eq!(pulled.name(), reference.name());
        prop_assert_eq!(pulled.digest(), reference.digest());
        prop_assert_eq!(pulled.clone().as_pulled(), pulled);
    }
}
