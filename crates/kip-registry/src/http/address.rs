//! Addresses that a registry of the internet has no business to send us to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// A host that is not in the internet.
#[derive(Debug, thiserror::Error)]
#[error("{0} is a private address")]
pub(crate) struct Private(String);

/// Finds the addresses of names, and those of the internet only.
#[derive(Debug)]
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // One is enough: which of them would be used is not ours to say.
            if addresses.iter().any(|address| !is_public(address.ip())) {
                return Err(Private(name.as_str().to_owned()).into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Refuses what is private by its very name.
pub(super) fn refuse_private_name(url: &Url) -> Result<(), Private> {
    let Some(host) = url.host_str() else {
        return Ok(());
    };
    let private = match literal(host) {
        Some(ip) => !is_public(ip),
        None => is_localhost(host),
    };
    if private {
        Err(Private(host.to_owned()))
    } else {
        Ok(())
    }
}

/// Whether the URL's host is in the internet. A name that cannot be found is taken to be: the request will tell.
pub(super) async fn is_public_host(url: &Url) -> bool {
    if refuse_private_name(url).is_err() {
        return false;
    }
    let (Some(host), None) = (url.host_str(), url.host_str().and_then(literal)) else {
        return true;
    };
    match tokio::net::lookup_host((host, 0)).await {
        Ok(mut addresses) => addresses.all(|address| is_public(address.ip())),
        Err(_) => true,
    }
}

fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()
}

fn is_localhost(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host == "localhost" || host.ends_with(".localhost")
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// What the [registry of special addresses][iana] does not take out.
///
/// [iana]: https://www.iana.org/assignments/iana-ipv4-special-registry
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = a == 0
        || address.is_private()
        || (a == 100 && b & 0xc0 == 64)
        || address.is_loopback()
        || address.is_link_local()
        || (a, b, c) == (192, 0, 0)
        || (a == 198 && b & 0xfe == 18)
        || address.is_documentation()
        || a >= 224;
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let segments = address.segments();
    // A translator's prefix before an address of IPv4.
    if segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        let [.., a, b, c, d] = address.octets();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    // 2000::/3 is all of the internet; 2001:db8::/32 is for examples.
    segments[0] & 0xe000 == 0x2000 && segments[..2] != [0x2001, 0xdb8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_told_from_those_of_the_internet() {
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "fc00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in [
            "1.1.1.1",
            "100.63.255.255",
            "172.32.0.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn a_private_name_or_address_in_a_url_is_refused() {
        for private in [
            "https://127.0.0.1:5000/x",
            "https://[::1]/x",
            "https://localhost/x",
            "https://a.localhost./x",
            // The URL's parser writes it as an address.
            "https://0x7f000001/x",
        ] {
            assert!(
                refuse_private_name(&Url::parse(private).unwrap()).is_err(),
                "{private}"
            );
        }
        assert!(refuse_private_name(&Url::parse("https://quay.io/x").unwrap()).is_ok());
    }

    #[tokio::test]
    async fn a_name_with_a_private_address_is_not_resolved() {
        let error = PublicOnly
            .resolve("localhost".parse().unwrap())
            .await
            .err()
            .unwrap();
        assert!(error.is::<Private>(), "{error}");
        assert!(!is_public_host(&Url::parse("https://localhost/").unwrap()).await);
    }
}
