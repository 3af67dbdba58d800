//! Host and path of a URL, as Go's [`url.Parse`] finds them: kubelet reads with it both the keys of credentials and
//! the names of images.
//!
//! That of the Go release which Kubernetes 1.36 is built with: brackets are for IPv6 addresses alone, and a host
//! has one colon at most. Escapes may make any bytes, so that nothing here is text.
//!
//! [`url.Parse`]: https://pkg.go.dev/net/url#Parse

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// Host, with its port, and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url<'t> {
    pub(super) host: Cow<'t, [u8]>,
    pub(super) path: Cow<'t, [u8]>,
}

impl<'t> Url<'t> {
    /// Reads what follows `https://`; `None` if Go would refuse it. User, query and fragment are dropped.
    pub(super) fn parse(text: &'t [u8]) -> Option<Self> {
        let (text, fragment) = split(text, b'#');
        if text.iter().any(u8::is_ascii_control) {
            return None;
        }
        unescape(fragment, Part::Other)?;
        let (text, _query) = split(text, b'?');
        let slash = position(text, b'/').unwrap_or(text.len());
        let (authority, path) = text.split_at(slash);
        let host = match authority.iter().rposition(|byte| *byte == b'@') {
            Some(at) => {
                check_user(&authority[..at])?;
                &authority[at + 1..]
            }
            None => authority,
        };
        Some(Self {
            host: parse_host(host)?,
            path: unescape(path, Part::Other)?,
        })
    }

    /// The host without port, and the port, empty if there is none: as Go's `net.SplitHostPort`, and the host as it
    /// is where that fails. The brackets of an IPv6 address are taken off only before a port.
    pub(super) fn host_and_port(&self) -> (&[u8], &[u8]) {
        let host = &*self.host;
        let Some(colon) = host.iter().rposition(|byte| *byte == b':') else {
            return (host, b"");
        };
        let (name, port) = (&host[..colon], &host[colon + 1..]);
        let plain = match name.strip_prefix(b"[") {
            Some(inner) => inner
                .strip_suffix(b"]")
                .filter(|inner| !inner.contains(&b']')),
            None => Some(name).filter(|name| !name.contains(&b':') && !name.contains(&b']')),
        };
        plain.map_or((host, b""), |name| (name, port))
    }
}

fn position(text: &[u8], byte: u8) -> Option<usize> {
    text.iter().position(|found| *found == byte)
}

/// What stands before the first `byte`, and what follows it.
fn split(text: &[u8], byte: u8) -> (&[u8], &[u8]) {
    position(text, byte).map_or((text, b""), |at| (&text[..at], &text[at + 1..]))
}

/// Checks what stands before the `@`.
fn check_user(user: &[u8]) -> Option<()> {
    let may_stand =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(byte);
    user.iter().all(may_stand).then_some(())?;
    unescape(user, Part::Other).map(drop)
}

fn parse_host(host: &[u8]) -> Option<Cow<'_, [u8]>> {
    match host.iter().rposition(|byte| *byte == b'[') {
        Some(0) => parse_address(host),
        Some(_) => None,
        None => {
            if let Some(colon) = position(host, b':') {
                check_port(&host[colon..])?;
            }
            unescape(host, Part::Host)
        }
    }
}

/// Reads an IPv6 address in brackets, perhaps with a zone after `%25`, and a port.
fn parse_address(host: &[u8]) -> Option<Cow<'_, [u8]>> {
    let close = host.iter().rposition(|byte| *byte == b']')?;
    let port = &host[close + 1..];
    check_port(port)?;
    let inner = &host[1..close];
    let zone_at = inner
        .windows(3)
        .position(|window| window == b"%25")
        .unwrap_or(inner.len());
    let (address, zone) = inner.split_at(zone_at);
    let (address, zone) = (unescape(address, Part::Host)?, unescape(zone, Part::Zone)?);
    // Go unescapes first, and looks for the zone then.
    let whole = if zone.is_empty() {
        address
    } else {
        [&*address, &*zone].concat().into()
    };
    let digits = match position(&whole, b'%') {
        Some(percent) if percent + 1 == whole.len() => return None,
        Some(percent) => &whole[..percent],
        None => &whole,
    };
    str::from_utf8(digits).ok()?.parse::<Ipv6Addr>().ok()?;
    Some(if *whole == *inner {
        Cow::Borrowed(host)
    } else {
        [b"[", &*whole, b"]", port].concat().into()
    })
}

/// Checks a colon and digits, or nothing; digits may be missing.
fn check_port(port: &[u8]) -> Option<()> {
    let digits = match port {
        [] => port,
        [b':', digits @ ..] => digits,
        _ => return None,
    };
    digits.iter().all(u8::is_ascii_digit).then_some(())
}

/// Where an escape stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Of ASCII only what hosts may have, and no escape for it but `%25`.
    Host,
    /// The same, and escapes for it and for a space.
    Zone,
    /// Anything.
    Other,
}

/// Replaces the escapes; `None` if one is malformed or something stands where it may not.
fn unescape(text: &[u8], part: Part) -> Option<Cow<'_, [u8]>> {
    let is_limited = part != Part::Other;
    let mut plain = Vec::new();
    let mut rest = text;
    let mut done = 0;
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            if is_limited && first.is_ascii() && !may_stand_in_host(first) {
                return None;
            }
            rest = after;
            continue;
        }
        let &[high, low, ref after @ ..] = after else {
            return None;
        };
        let byte = hex(high)? << 4 | hex(low)?;
        let fits = match part {
            Part::Host => byte == b'%' || !byte.is_ascii(),
            Part::Zone => byte == b'%' || byte == b' ' || may_stand_in_host(byte),
            Part::Other => true,
        };
        if !fits {
            return None;
        }
        plain.extend_from_slice(&text[done..text.len() - rest.len()]);
        plain.push(byte);
        done = text.len() - after.len();
        rest = after;
    }
    if done == 0 {
        return Some(Cow::Borrowed(text));
    }
    plain.extend_from_slice(&text[done..]);
    Some(plain.into())
}

fn may_stand_in_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~!\"$&'()*+,:;<=>[]".contains(&byte)
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<(String, String, String)> {
        let url = Url::parse(text.as_bytes())?;
        let (host, port) = url.host_and_port();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some((text(host), text(port), text(&url.path)))
    }

    #[test]
    fn host_port_and_path_are_found() {
        for (text, host, port, path) in [
            ("quay.io", "quay.io", "", ""),
            ("quay.io/a/b", "quay.io", "", "/a/b"),
            ("quay.io:/", "quay.io", "", "/"),
            ("user:p@ss@quay.io:443/v2/?q#f", "quay.io", "443", "/v2/"),
            ("a%25b.io/%2e%3F", "a%b.io", "", "/.?"),
            ("[::1]:5000/x", "::1", "5000", "/x"),
            ("[::1]/x", "[::1]", "", "/x"),
            ("[fe80::1%25eth0]:1", "fe80::1%eth0", "1", ""),
            ("reg?stry.io/a", "reg", "", ""),
            ("", "", "", ""),
        ] {
            let expected = (host.to_owned(), port.to_owned(), path.to_owned());
            assert_eq!(parts(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for text in [
            "a b",
            "a\nb",
            "a\\b",
            "a%41",
            "a%4",
            "a/%zz",
            "a#%",
            "a:b",
            "a:1:2",
            "a[b]c",
            "[ab].io",
            "[1.2.3.4]",
            "[::1",
            "[::1]x",
            "[::1%25]",
            "[::1%eth0]",
            "é@a",
            "%@a",
            "^a",
        ] {
            assert_eq!(parts(text), None, "{text}");
        }
    }
}
