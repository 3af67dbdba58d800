//! The header `WWW-Authenticate`.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// What a registry wants to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password.
    Basic,
    /// A token of a token server.
    Bearer {
        /// The token server's URL.
        realm: String,
        /// What the registry calls itself there.
        service: Option<String>,
        /// What the token must allow.
        scope: Option<String>,
        /// What was wrong with the token that was sent.
        error: Option<String>,
    },
}

impl Challenge {
    /// The same, without what is about one request only.
    pub(super) fn lasting(self) -> Self {
        match self {
            Self::Basic => Self::Basic,
            Self::Bearer { realm, service, .. } => Self::Bearer {
                realm,
                service,
                scope: None,
                error: None,
            },
        }
    }
}

/// The challenges that we can answer, tokens first.
pub(crate) fn parse(headers: &HeaderMap) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(split)
        .filter_map(read)
        .collect();
    challenges.sort_by_key(|challenge| *challenge == Challenge::Basic);
    challenges
}

/// A scheme and its parameters.
struct Raw<'a> {
    scheme: &'a str,
    parameters: Vec<(&'a str, String)>,
}

fn read(raw: Raw<'_>) -> Option<Challenge> {
    if raw.scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !raw.scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let mut parameters = raw.parameters;
    let mut take = |name: &str| {
        let at = parameters
            .iter()
            .position(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(parameters.swap_remove(at).1).filter(|value| !value.is_empty())
    };
    Some(Challenge::Bearer {
        realm: take("realm")?,
        service: take("service"),
        scope: take("scope"),
        error: take("error"),
    })
}

/// Splits a header into its challenges. A comma stands between parameters and between challenges alike: a word that no
/// `=` follows is a scheme.
fn split(header: &str) -> Vec<Raw<'_>> {
    let mut all: Vec<Raw<'_>> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches(|c: char| c == ',' || c.is_ascii_whitespace());
        let end = rest
            .find(|c: char| c == ',' || c == '=' || c.is_ascii_whitespace())
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            // Its end, or what is no challenge.
            return all;
        }
        let after = after.trim_start();
        match (after.strip_prefix('='), all.last_mut()) {
            (Some(value), Some(challenge)) => {
                let (value, after) = read_value(value.trim_start());
                challenge.parameters.push((word, value));
                rest = after;
            }
            (Some(_), None) => return all,
            (None, _) => {
                all.push(Raw {
                    scheme: word,
                    parameters: Vec::new(),
                });
                rest = after;
            }
        }
    }
}

/// A word or a quoted text, and what follows it.
fn read_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text
            .find(|c: char| c == ',' || c.is_ascii_whitespace())
            .unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(values: &[&str]) -> Vec<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        parse(&headers)
    }

    fn bearer(
        realm: &str,
        service: Option<&str>,
        scope: Option<&str>,
        error: Option<&str>,
    ) -> Challenge {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: owned(service),
            scope: owned(scope),
            error: owned(error),
        }
    }

    #[test]
    fn challenges_of_real_registries_are_read() {
        let cases = [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull,push""#,
                bearer(
                    "https://auth.docker.io/token",
                    Some("registry.docker.io"),
                    Some("repository:library/nginx:pull,push"),
                    None,
                ),
            ),
            (
                r#"bearer Realm = "https://x/t" , error="insufficient_scope""#,
                bearer("https://x/t", None, None, Some("insufficient_scope")),
            ),
            (
                "Bearer realm=https://x/t",
                bearer("https://x/t", None, None, None),
            ),
            (
                r#"Bearer realm="https://x/\"t\"",service="""#,
                bearer("https://x/\"t\"", None, None, None),
            ),
            (r#"BASIC realm="Registry Realm""#, Challenge::Basic),
            ("Basic", Challenge::Basic),
        ];
        for (header, expected) in cases {
            assert_eq!(parsed(&[header]), [expected], "{header}");
        }
    }

    #[test]
    fn a_token_is_preferred_to_a_password_in_whatever_order_they_are_offered() {
        let token = bearer("https://x/t", Some("x"), None, None);
        for headers in [
            &[r#"Basic realm="a, b", Bearer realm="https://x/t",service=x"#][..],
            &[
                r#"Basic realm="a""#,
                r#"Bearer realm="https://x/t",service="x""#,
            ],
            &[r#"Negotiate, Bearer realm="https://x/t", service="x", Basic"#],
        ] {
            let parsed = parsed(headers);
            assert_eq!(parsed[0], token, "{headers:?}");
            assert_eq!(parsed[1], Challenge::Basic, "{headers:?}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_to_its_end(
            header in r#"((Bearer|Basic|x)|[ ,="\\]|realm|scope|https://x/|[ -~]){0,30}"#
        ) {
            let all = parsed(&[&header]);
            prop_assert!(all.len() <= header.len());
        }

        #[test]
        fn what_is_quoted_is_read_as_it_was_written(realm in "[ -~]{1,40}", scope in "[ -~]{1,40}") {
            let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let header = format!("Bearer realm=\"{}\", scope=\"{}\"", quoted(&realm), quoted(&scope));
            prop_assert_eq!(parsed(&[&header]), [bearer(&realm, None, Some(&scope), None)]);
        }
    }

    #[test]
    fn what_is_no_challenge_is_none() {
        for header in [
            "",
            "=",
            "Negotiate",
            "Bearer",
            "Bearer service=\"x\"",
            "realm=\"x\"",
            "Bearer realm=\"",
            ",",
        ] {
            assert_eq!(parsed(&[header]), [], "{header}");
        }
    }
}
