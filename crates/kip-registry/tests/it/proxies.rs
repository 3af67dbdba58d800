//! The way through a proxy.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex};

use kip_registry::{Client, Credential, Kind, Proxies, Unreachable};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::support::fake::{Fake, Seen, challenge, status};
use crate::support::image::{image, serve};
use crate::support::tls::Authority;
use crate::support::{all_words, reference, settings};

#[tokio::test]
async fn plain_http_goes_through_the_proxy_but_not_to_hosts_that_are_excepted() {
    let there = image(&[b"x"], "").manifest;
    let content = there.clone();
    let proxy = Fake::start(|_| move |seen: &Seen| serve(seen, &content)).await;
    let direct = Fake::start(|_| move |seen: &Seen| serve(seen, &there)).await;
    let mut through = settings(["registry.test", &*direct.host()]);
    through.proxies = Proxies {
        http: Some(format!("http://us%65r:s3cret@{}", proxy.host())),
        https: None,
        except: Some("127.0.0.0/8".into()),
    };
    assert!(!format!("{through:?}").contains("s3cret"));
    let client = Client::new(through).unwrap();
    client
        .resolve(&reference("registry.test/a:1"), &[])
        .await
        .unwrap();
    let seen = proxy.seen();
    assert_eq!(seen[0].uri, "http://registry.test/v2/a/manifests/1");
    // user:s3cret
    assert_eq!(
        seen[0].header("proxy-authorization"),
        Some("Basic dXNlcjpzM2NyZXQ=")
    );

    let name = reference(&format!("{}/a:1", direct.host()));
    client.resolve(&name, &[]).await.unwrap();
    assert_eq!(direct.seen()[0].header("proxy-authorization"), None);
    assert_eq!(proxy.seen().len(), 1);
}

#[tokio::test]
async fn tls_goes_through_a_tunnel_of_the_proxy() {
    let authority = Authority::new();
    let there = image(&[b"x"], "").manifest;
    let registry = Fake::start_tls(authority.sign(&["registry.test"]).acceptor(), |_| {
        move |seen: &Seen| serve(seen, &there)
    })
    .await;
    let (proxy, asked) = tunnel(Some(registry.host())).await;
    let mut through = settings([]);
    through.extra_ca = vec![authority.pem()];
    through.proxies.https = Some(format!("http://user:s3cret@{proxy}"));
    let client = Client::new(through).unwrap();
    client
        .resolve(&reference("registry.test/a:1"), &[])
        .await
        .unwrap();
    let head = asked.lock().unwrap().concat();
    assert!(
        head.starts_with("CONNECT registry.test:443 HTTP/1.1"),
        "{head}"
    );
    assert!(
        head.to_ascii_lowercase()
            .contains("proxy-authorization: basic dxnlcjpzm2nyzxq="),
        "{head}"
    );
    assert_eq!(registry.seen()[0].header("proxy-authorization"), None);
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told_without_its_password() {
    let (proxy, _) = tunnel(None).await;
    let mut through = settings([]);
    through.retries.count = 0;
    through.proxies.https = Some(format!("http://user:s3cret@{proxy}"));
    let error = Client::new(through)
        .unwrap()
        .resolve(&reference("registry.test/a:1"), &[])
        .await
        .unwrap_err();
    assert_eq!(
        *error.kind(),
        Kind::Unreachable(Unreachable::Proxy),
        "{error:?}"
    );
    assert!(!all_words(&error).contains("s3cret"));
}

#[tokio::test]
async fn a_public_registry_sends_us_to_no_private_address() {
    let inside = Fake::start(|_| |_: &Seen| status(200).body(r#"{"token":"t"}"#)).await;
    let target = inside.host();
    // Behind a proxy a registry counts as public, whatever its name is.
    let proxy = Fake::start(|_| {
        move |seen: &Seen| match seen.uri.as_str() {
            "http://registry.test/v2/storage/manifests/1" => status(302)
                .header("location", &format!("http://{target}/x"))
                .empty(),
            _ => challenge(&format!("http://{target}/token")),
        }
    })
    .await;
    let mut through = settings(["registry.test", &*inside.host()]);
    through.proxies.http = Some(format!("http://{}", proxy.host()));
    let client = Client::new(through).unwrap();
    for repository in ["storage", "token"] {
        let name = reference(&format!("registry.test/{repository}:1"));
        let error = client
            .resolve(&name, &[Credential::basic("bob", "right")])
            .await
            .unwrap_err();
        assert_eq!(*error.kind(), Kind::Refused, "{repository}: {error}");
        assert!(
            error.to_string().contains("127.0.0.1 is a private address"),
            "{error}"
        );
    }
    assert_eq!(inside.lines(), [""; 0]);
}

/// A name of this machine that is not private by its very looks, such as the one that `/etc/hosts` gives it.
fn name_with_private_address() -> Option<String> {
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let is_private = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    [own.trim(), "ip6-loopback", "ip6-localhost"]
        .into_iter()
        .filter(|name| !name.is_empty() && !name.starts_with("localhost"))
        .find(|&name| {
            let found = (name, 0).to_socket_addrs();
            found.is_ok_and(|mut addresses| addresses.any(is_private))
        })
        .map(str::to_lowercase)
}

#[tokio::test]
async fn a_public_registry_sends_us_to_no_name_with_a_private_address() {
    let Some(name) = name_with_private_address() else {
        eprintln!("skipped: this machine's name has no private address");
        return;
    };
    let inside = Fake::start(|_| |_: &Seen| status(200).body(r#"{"token":"t"}"#)).await;
    let target = inside.host().replace("127.0.0.1", &name);
    let location = target.clone();
    // At once, by way of another host of the internet, and from its token server.
    let proxy = Fake::start(|_| {
        move |seen: &Seen| match seen.uri.as_str() {
            "http://registry.test/v2/storage/manifests/1" | "http://other.test/x" => status(302)
                .header("location", &format!("http://{location}/x"))
                .empty(),
            "http://registry.test/v2/other/manifests/1" => status(302)
                .header("location", "http://other.test/x")
                .empty(),
            uri if uri.starts_with("http://tokens.test/") => status(307)
                .header("location", &format!("http://{location}/token"))
                .empty(),
            _ => challenge("http://tokens.test/"),
        }
    })
    .await;
    let mut through = settings(["registry.test", "other.test", "tokens.test", &*target]);
    through.retries.count = 0;
    through.proxies.http = Some(format!("http://{}", proxy.host()));
    through.proxies.except = Some(name.clone());
    let client = Client::new(through).unwrap();
    for repository in ["storage", "other", "token"] {
        let asked = reference(&format!("registry.test/{repository}:1"));
        let error = client
            .resolve(&asked, &[Credential::basic("bob", "right")])
            .await
            .unwrap_err();
        assert_eq!(*error.kind(), Kind::Refused, "{repository}: {error}");
        assert!(
            error
                .to_string()
                .contains(&format!("{name} is a private address")),
            "{error}"
        );
    }
    assert_eq!(inside.lines(), [""; 0]);
}

#[test]
fn the_environment_names_proxies_in_either_case() {
    let proxies = |variables: &[(&str, &str)]| {
        Proxies::from_variables(|name| {
            let (_, value) = variables.iter().find(|(key, _)| *key == name)?;
            Some((*value).to_owned())
        })
    };
    let all = proxies(&[
        ("HTTP_PROXY", "http://upper"),
        ("http_proxy", "http://lower"),
        ("ALL_PROXY", "http://all"),
        ("no_proxy", ".svc,10.0.0.0/8"),
    ]);
    assert_eq!(all.http.as_deref(), Some("http://lower"));
    assert_eq!(all.https.as_deref(), Some("http://all"));
    let except = all.except.unwrap();
    assert_eq!(except, ".svc,10.0.0.0/8,localhost,127.0.0.0/8,::1");
    assert_eq!(proxies(&[("HTTPS_PROXY", " ")]).https, None);
}

/// A proxy of tunnels, all of which lead to the one address, or to nowhere. Keeps the lines that it was sent.
async fn tunnel(to: Option<String>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&lines);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                if line.trim().is_empty() {
                    break;
                }
                keep.lock().unwrap().push(line);
            }
            let Some(to) = &to else {
                stream
                    .write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                    .await
                    .unwrap();
                continue;
            };
            let mut target = TcpStream::connect(to).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut stream, &mut target).await });
        }
    });
    (address, lines)
}
