//! Which credentials are for an image, on cases with known results.

use kip_image::{Keyring, PullSecret, Reference, SecretType};

/// Keys, each in a secret of its own or in one together; the name of an image; and the keys that match, in order.
const CASES: &str = "
https://index.docker.io/v1/                     docker.io/library/nginx                    https://index.docker.io/v1/
docker.io                                       docker.io/library/nginx                    docker.io
docker.io                                       nginx                                      -
registry-1.docker.io                            docker.io/library/nginx                    -
https://index.docker.io/v1/,docker.io           docker.io/library/nginx                    docker.io
index.docker.io/library                         docker.io/library/nginx                    -
quay.io,quay.io/coreos,quay.io/coreos/etcd      quay.io/coreos/etcd                        quay.io/coreos/etcd,quay.io/coreos,quay.io
quay.io/foo                                     quay.io/foobar/x                           quay.io/foo
*.dkr.ecr.*.amazonaws.com                       123.dkr.ecr.us-east-1.amazonaws.com/x      *.dkr.ecr.*.amazonaws.com
*.kubernetes.io                                 kubernetes.io/x                            -
*                                               quay.io/x                                  -
*.*                                             quay.io/x                                  *.*
gcr.io                                          gcr.io:443/x                               -
gcr.io:443                                      gcr.io/x                                   -
http://reg.example:5000/v2/                     reg.example:5000/a/b                       http://reg.example:5000/v2/
https://reg.example/v2                          reg.example/a/b                            -
reg.example/                                    reg.example/a/b                            reg.example/
reg.example,*.example,reg.*                     reg.example/a                              reg.example,reg.*,*.example
REG.example                                     reg.example/a                              -
[::1]:5000                                      [::1]:5000/x                               [::1]:5000
https://index.docker.io/v1/                     quay.io/x                                  -
*-good.kubernetes.io                            prefix-good.kubernetes.io/x                *-good.kubernetes.io
*.*.kubernetes.io                               abc.kubernetes.io/x                        -
*.*.kubernetes.io                               abc.def.kubernetes.io/x                    *.*.kubernetes.io
prefix.*.io/foo                                 prefix.kubernetes.io/foo/bar               prefix.*.io/foo
prefix.*.io/foo                                 prefix.kubernetes.io:1111/foo/bar          -
prefix.*.io:1111/foo                            prefix.kubernetes.io:1111/foo/bar          prefix.*.io:1111/foo
prefix.*.io:1111/foo                            prefix.kubernetes.io/foo/bar               -
my-registry.io/images,*.my-registry.io/images   sub.my-registry.io/images/my-image         *.my-registry.io/images
my-registry.io/images,*.my-registry.io/images   a.sub.my-registry.io/images/my-image       -
my-registry.io/images,*.my-registry.io/images   my-registry.io/images                      my-registry.io/images
my-registry.io/images,*.my-registry.io/images   my-registry.io/images/another-image        my-registry.io/images
my-registry.io/images,*.my-registry.io/images   a.b.sub.my-registry.io/images/my-image     -
my-registry.io/images,my-registry.io/images/subpath  my-registry.io/images/subpath/my-image  my-registry.io/images/subpath,my-registry.io/images
index.docker.io                                 docker.io/library/nginx                    index.docker.io
index.docker.io                                 nginx                                      index.docker.io
index.docker.io                                 localhost/x                                index.docker.io
index.docker.io                                 localhost:5000/x                           -
";

fn secret(keys: &[&str]) -> PullSecret {
    let entries: serde_json::Map<_, _> = keys
        .iter()
        .map(|key| {
            let entry = serde_json::json!({ "username": key, "password": "x" });
            ((*key).to_owned(), entry)
        })
        .collect();
    let data = serde_json::json!({ "auths": entries }).to_string();
    PullSecret::parse(SecretType::DockerConfigJson, data.as_bytes()).expect("valid")
}

fn users<'k>(matches: impl Iterator<Item = kip_image::Match<'k>>) -> Vec<&'k str> {
    matches.map(|found| found.credential().username()).collect()
}

#[test]
fn the_credentials_that_kubelet_tries_are_found_in_its_order() {
    let cases: Vec<_> = CASES.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(cases.len(), 38);
    for case in cases {
        let [keys, image, expected] = case
            .split_whitespace()
            .collect::<Vec<_>>()
            .try_into()
            .expect("three columns");
        let keys: Vec<_> = keys.split(',').collect();
        let expected: Vec<_> = expected.split(',').filter(|key| *key != "-").collect();
        let together = Keyring::new([secret(&keys)]);
        let apart = Keyring::new(keys.iter().map(|key| secret(&[key])));
        for keyring in [&together, &apart] {
            assert_eq!(users(keyring.lookup_name(image)), expected, "{case}");
            let reference = Reference::parse(image).expect(image);
            if reference.name() == image {
                assert_eq!(users(keyring.lookup(&reference)), expected, "{case}");
            }
        }
    }
}

#[test]
fn tag_and_digest_are_no_part_of_what_is_matched() {
    let keyring = Keyring::new([secret(&["docker.io/library/nginx"])]);
    let image = Reference::parse("nginx:1.27").expect("valid");
    assert_eq!(users(keyring.lookup(&image)).len(), 1);
}

#[test]
fn under_one_key_the_order_of_the_secrets_counts() {
    let named = |user: &str, key: &str| {
        let data = format!(r#"{{"{key}": {{"username": "{user}", "password": "x"}}}}"#);
        PullSecret::parse(SecretType::DockerCfg, data.as_bytes()).expect("valid")
    };
    let keyring = Keyring::new([
        named("first", "https://quay.io/v1/"),
        named("other", "gcr.io"),
        named("second", "quay.io"),
        named("exact", "quay.io/a"),
    ]);
    let found: Vec<_> = keyring.lookup_name("quay.io/a/b").collect();
    assert_eq!(users(found.iter().copied()), ["exact", "first", "second"]);
    let sources: Vec<_> = found
        .iter()
        .map(|found| (found.key().into_owned(), found.secret()))
        .collect();
    assert_eq!(
        sources,
        [("quay.io/a", 3), ("quay.io", 0), ("quay.io", 2)].map(|(key, at)| (key.to_owned(), at))
    );
}

#[test]
fn a_keyring_of_nothing_finds_nothing() {
    let keyring = Keyring::new([]);
    assert!(keyring.is_empty());
    assert_eq!(keyring.lookup_name("nginx").count(), 0);
}
