//! What the parts of a reference may look like. Each function reports the first byte that does not fit.

use super::Reference;
use crate::error::{Fault, Problem};

/// Checks `host[:port]`; `rest` is what follows the slash after it.
pub(super) fn registry(text: &str, rest: &str) -> Result<(), Fault> {
    let host = if text.starts_with('[') {
        ipv6_end(text)?
    } else {
        host_end(text)?
    };
    let Some(port) = text[host..].strip_prefix(':') else {
        return Ok(());
    };
    let at = host + 1;
    match port.bytes().position(|byte| !byte.is_ascii_digit()) {
        Some(bad) => Err(Problem::Port.at(at + bad)),
        // The slash that ended the registry is the first of two.
        None if port.is_empty() && rest.starts_with('/') => Err(Problem::Scheme.at(0)),
        None if port.is_empty() => Err(Problem::Port.at(at)),
        None => Ok(()),
    }
}

/// Checks a host name up to a `:` or the end, and tells where that is.
fn host_end(text: &str) -> Result<usize, Fault> {
    let end = text.find(':').unwrap_or(text.len());
    let mut at = 0;
    for part in text[..end].split('.') {
        let bytes = part.as_bytes();
        let Some(last) = bytes.len().checked_sub(1) else {
            return Err(Problem::HostEdge.at(at));
        };
        for (i, byte) in bytes.iter().enumerate() {
            match byte {
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {}
                b'-' if i != 0 && i != last => {}
                b'-' => return Err(Problem::HostEdge.at(at + i)),
                _ => return Err(Problem::HostCharacter.at(at + i)),
            }
        }
        at += bytes.len() + 1;
    }
    Ok(end)
}

/// Checks an address in brackets, and tells where it ends. Whether the address makes sense is not looked at: nor
/// does anybody else before the connection is made.
fn ipv6_end(text: &str) -> Result<usize, Fault> {
    let inner = &text[1..];
    let length = inner
        .bytes()
        .position(|byte| !byte.is_ascii_hexdigit() && byte != b':')
        .unwrap_or(inner.len());
    let close = 1 + length;
    if length == 0 || text.as_bytes().get(close) != Some(&b']') {
        return Err(Problem::Ipv6Address.at(close));
    }
    let end = close + 1;
    match text.as_bytes().get(end) {
        None | Some(b':') => Ok(end),
        Some(_) => Err(Problem::Ipv6End.at(end)),
    }
}

/// Checks a repository without its namespace; `implied` is the length of the namespace that is put before it.
pub(super) fn path(text: &str, implied: usize) -> Result<(), Fault> {
    let mut at = 0;
    for part in text.split('/') {
        path_part(part).map_err(|fault| fault.shifted(at))?;
        at += part.len() + 1;
    }
    let length = implied + text.len();
    if length > Reference::REPOSITORY_MAX {
        return Err(Problem::RepositoryLength { length }.at(Reference::REPOSITORY_MAX - implied));
    }
    Ok(())
}

/// Checks runs of letters and digits with single separators between them.
fn path_part(text: &str) -> Result<(), Fault> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let run = count(
            &bytes[at..],
            |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z'),
        );
        if run == 0 {
            return Err(misfit(bytes.get(at)).at(at));
        }
        at += run;
        if at == bytes.len() {
            return Ok(());
        }
        at += match &bytes[at..] {
            [b'_', b'_', ..] => 2,
            [b'_' | b'.', ..] => 1,
            dashes @ [b'-', ..] => count(dashes, |byte| byte == b'-'),
            _ => return Err(misfit(bytes.get(at)).at(at)),
        };
    }
}

fn count(bytes: &[u8], is: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| is(**byte)).count()
}

/// Why a byte, or the end, cannot stand where a letter or a digit is expected.
fn misfit(byte: Option<&u8>) -> Problem {
    match byte {
        Some(b'A'..=b'Z') => Problem::UpperCase,
        None | Some(b'.' | b'_' | b'-') => Problem::RepositoryEdge,
        Some(_) => Problem::RepositoryCharacter,
    }
}

/// Checks a tag.
pub(super) fn tag(text: &str) -> Result<(), Fault> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if matches!(text.bytes().next(), None | Some(b'.' | b'-')) {
        return Err(Problem::TagStart.at(0));
    }
    if let Some(bad) = text
        .bytes()
        .position(|byte| !is_word(byte) && !matches!(byte, b'.' | b'-'))
    {
        return Err(Problem::TagCharacter.at(bad));
    }
    if text.len() > Reference::TAG_MAX {
        return Err(Problem::TagLength { length: text.len() }.at(Reference::TAG_MAX));
    }
    Ok(())
}
