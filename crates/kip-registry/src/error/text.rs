//! Words of others in our messages: short, printable, without secrets.

/// So much of what a registry says is quoted, in bytes.
const QUOTE_MAX: usize = 300;

/// Shorter secrets are not looked for: they would be found in ordinary words.
const SECRET_MIN: usize = 4;

/// The text for a message: one line, with a bound.
pub(crate) fn quote(text: &str) -> String {
    let mut quote = String::new();
    for c in text.trim().chars() {
        if quote.len() >= QUOTE_MAX {
            quote.push('…');
            break;
        }
        if c.is_control() {
            quote.push(' ');
        } else {
            quote.push(c);
        }
    }
    quote
}

/// The text with each of the secrets taken out, should a server have repeated what it was sent.
pub(crate) fn scrub<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> String {
    secrets
        .into_iter()
        .filter(|secret| secret.len() >= SECRET_MIN)
        .fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
}
