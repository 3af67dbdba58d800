//! What is fuzzed: each function takes any bytes, and panics where a law does not hold. The fuzz targets run them, and
//! so do the tests of the crate.

#![allow(dead_code, reason = "each fuzz target runs one of them")]

use kip_image::{
    AnyReference, Digest, Keyring, Match, Platform, PlatformMatcher, PullPolicy, PullSecret,
    Reference, SecretType,
};

/// So long may a message be, whatever the input was.
const MESSAGE_MAX: usize = 8 * 1024;

fn check_message(error: &impl std::fmt::Display) {
    assert!(error.to_string().len() <= MESSAGE_MAX);
}

/// References: what is printed is read back as the same.
pub(crate) fn reference(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    if let Err(error) = AnyReference::parse(text) {
        check_message(&error);
    }
    match Reference::parse(text) {
        Err(error) => {
            check_message(&error);
            assert!(error.position() <= text.len());
        }
        Ok(reference) => {
            for printed in [reference.to_string(), reference.familiar().to_string()] {
                assert_eq!(Reference::parse(&printed).as_ref(), Ok(&reference));
            }
            PullPolicy::default_for(&reference);
        }
    }
}

/// Digests: what is accepted is what is printed.
pub(crate) fn digest(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    match Digest::parse(text) {
        Err(error) => check_message(&error),
        Ok(digest) => assert_eq!(digest.to_string(), text),
    }
}

/// Pull policies: what is accepted is what is printed.
pub(crate) fn policy(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    match text.parse::<PullPolicy>() {
        Err(error) => check_message(&error),
        Ok(policy) => assert_eq!(policy.as_str(), text),
    }
}

/// Pull secrets: any bytes are read or refused, and what is read can be looked up.
pub(crate) fn secret(data: &[u8]) {
    for kind in SecretType::ALL {
        match PullSecret::parse(kind, data) {
            Err(error) => check_message(&error),
            Ok(secret) => {
                assert!(secret.unusable().count() <= secret.len());
                let most = secret.len();
                let keyring = Keyring::new([secret]);
                assert!(keyring.lookup_name("docker.io/library/nginx").count() <= most);
            }
        }
    }
}

/// Keys and the name of an image: its first line, and the lines after it. Each key is found once at most, and a
/// reference finds what its name finds.
pub(crate) fn lookup(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let mut lines = text.split('\n');
    let image = lines.next().unwrap_or_default();
    let secrets: Vec<_> = lines
        .map(|key| {
            let data = serde_json::json!({ key: { "username": key } }).to_string();
            PullSecret::parse(SecretType::DockerCfg, data.as_bytes()).expect("it was just made")
        })
        .collect();
    let most = secrets.len();
    let keyring = Keyring::new(secrets);
    let mut found: Vec<_> = keyring.lookup_name(image).map(Match::secret).collect();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), keyring.lookup_name(image).count());
    assert!(found.len() <= most);
    if let Ok(reference) = Reference::parse(image) {
        let by_reference = keyring.lookup(&reference).map(Match::secret);
        assert!(by_reference.eq(keyring.lookup_name(reference.name()).map(Match::secret)));
    }
}

/// Platforms, one a line: what is printed is read back as the same, and a node that the first one is takes the first of
/// its candidates.
pub(crate) fn platform(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let index: Vec<Option<Platform>> = text
        .split('\n')
        .map(|line| match line.parse::<Platform>() {
            Err(error) => {
                check_message(&error);
                None
            }
            Ok(platform) => {
                if let Ok(again) = platform.to_string().parse::<Platform>() {
                    assert_eq!(again.normalized(), platform.normalized());
                }
                assert_eq!(platform.normalized().normalized(), platform.normalized());
                Some(platform)
            }
        })
        .collect();
    let Some(Some(node)) = index.first() else {
        return;
    };
    let matcher = PlatformMatcher::new(node);
    let candidates = matcher.candidates(&index);
    assert_eq!(matcher.choose(&index), candidates.first().copied());
    for (at, platform) in index.iter().enumerate() {
        let is_candidate = platform
            .as_ref()
            .is_none_or(|platform| matcher.matches(platform));
        assert_eq!(candidates.contains(&at), is_candidate);
    }
}
