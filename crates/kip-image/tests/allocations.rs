//! What is done for each image and each key takes no memory.

use kip_image::{Keyring, PullSecret, Reference, SecretType};

#[test]
fn a_lookup_allocates_nothing() {
    let data = br#"{"auths": {
        "https://index.docker.io/v1/": {}, "quay.io": {}, "quay.io/org": {}, "*.ecr.*.aws": {}, "*-good.io:443": {},
        "[::1]:5000": {}, "a%25b.io/%61": {}
    }}"#;
    let secret = PullSecret::parse(SecretType::DockerConfigJson, data).expect("valid");
    let keyring = Keyring::new([secret]);
    for (image, expected) in [
        ("nginx", 1),
        (
            "quay.io/org/app@sha256:45b23dee08af5e43a7fea6c4cf9c25ccf269ee113168c19722f87876677c5cb2",
            2,
        ),
        ("1.ecr.eu.aws/app", 1),
        ("very-good.io:443/app", 1),
        ("[::1]:5000/app", 1),
        ("gcr.io/app", 0),
    ] {
        let image = Reference::parse(image).expect(image);
        let mut found = 0;
        let allocated = allocation_counter::measure(|| found = keyring.lookup(&image).count());
        assert_eq!((found, allocated.count_total), (expected, 0), "{image}");
    }
    // So that a measure that sees nothing is noticed.
    let parsed = allocation_counter::measure(|| drop(Reference::parse("nginx")));
    assert!(parsed.count_total > 0);
}
