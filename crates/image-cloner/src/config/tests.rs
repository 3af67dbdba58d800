use super::*;

fn settings(pairs: &[(&str, &str)]) -> Settings {
    let vars = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::from_vars(vars).unwrap()
}

fn config(pairs: &[(&str, &str)]) -> Result<Config, Problems> {
    Config::from_settings(&settings(pairs))
}

#[test]
fn what_is_unset_is_as_the_table_says() {
    let config = config(&[]).unwrap();
    assert_eq!(config.scheme, Scheme::Path);
    assert_eq!(config.auth_dir, PathBuf::from("/auth"));
    assert!(config.referrers);
    assert_eq!(config.scope.kinds.len(), 8);
    assert!(config.scope.namespaces.contains("kube-node-lease"));
    assert_eq!(config.reach.private, Some(BTreeSet::new()));
    assert_eq!(config.max_image_size, None);
    assert_eq!(config.copies_at_once, 8);
    assert_eq!(config.copy_fresh, Duration::from_secs(600));
    assert_eq!(config.own.proof_secret, "image-cloner-proofs");
    assert_eq!(config.own.namespace, None);
    assert_eq!(config.rules.pull_secret, None);
    assert!(config.naming("").is_err() && config.naming("bob").is_ok());
}

#[test]
fn every_example_of_the_table_is_a_value_that_works() {
    for variable in crate::settings::VARIABLES {
        let read = config(&[(variable.name, variable.example)]);
        assert!(read.is_ok(), "{}: {}", variable.name, read.unwrap_err());
        let blank = config(&[(variable.name, variable.default)]);
        let is_value = !variable.default.starts_with('(');
        assert!(!is_value || blank.is_ok(), "{}", variable.name);
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_an_example() {
    let wrong = [
        ("REGISTRY", "https://r.example"),
        ("NAMING", "short"),
        ("AUTH_DIR", "auth"),
        ("PULL_SECRET", "Not_A_Name"),
        ("REFERRERS", "yes"),
        ("MAX_IMAGE_SIZE", "20GB"),
        ("KINDS", "Deployment;Node"),
        ("ON_TIMEOUT", "wait"),
        ("ON_FAILURE", "ignore"),
        ("UNPROVEN", "ask"),
        ("EXEMPT_NAMESPACES", "kube system"),
        ("EXEMPT_OWNERS", "cnpg.io/v1"),
        ("EXEMPT_LABELS", "app"),
        ("ALLOW_REGISTRIES", "docker.io,quay.io"),
        ("DENY_REGISTRIES", "registry.example/team"),
        ("PRIVATE_REGISTRIES", "10.0.0.0/8"),
        ("PLAIN_HTTP_REGISTRIES", "http://registry.example"),
        ("REGISTRY_CA_FILE", "ca.crt"),
        ("COPIES_AT_ONCE", "0"),
        ("ORIGINAL_FRESH", "30"),
        ("COPY_FRESH", "-1s"),
        ("PROOF_LIFETIME", "1s"),
        ("PROOF_SECRET", "a/b"),
        ("CERTIFICATE_SECRET", "A"),
        ("CERTIFICATE_LIFETIME", "5s"),
        ("WEBHOOK_CONFIGURATION", "-a"),
        ("SERVICE_NAME", "a_b"),
        ("POD_NAMESPACE", "a..b"),
        ("LOG_FORMAT", "yaml"),
        ("LOG_LEVEL", "loud"),
    ];
    let problems = config(&wrong).unwrap_err();
    let named: BTreeSet<&str> = problems.0.iter().map(|it| it.variable).collect();
    let expected: BTreeSet<&str> = wrong.iter().map(|(name, _)| *name).collect();
    assert_eq!(named, expected);
    assert_eq!(
        expected.len() + 1,
        crate::settings::VARIABLES.len(),
        "all but KUBECONFIG"
    );
    for problem in &problems.0 {
        let text = problem.to_string();
        let example = format!("; for example {}=", problem.variable);
        assert!(text.contains(&example) && text.contains("=\""), "{text}");
    }
}

#[test]
fn the_image_cloner_is_left_alone_whatever_is_set_and_the_image_puller_by_default() {
    let has = |pairs: &[(&str, &str)], value: &str| {
        let labels = config(pairs).unwrap().scope.labels;
        labels.contains(&("app.kubernetes.io/name".to_owned(), value.to_owned()))
    };
    let own = [("EXEMPT_LABELS", "app=vault")];
    assert!(has(&[], "image-cloner") && has(&own, "image-cloner"));
    assert!(has(&[], "kubernetes-image-puller") && !has(&own, "kubernetes-image-puller"));
}

#[test]
fn private_addresses_may_be_allowed_to_all() {
    let private = config(&[("PRIVATE_REGISTRIES", "*")])
        .unwrap()
        .reach
        .private;
    assert_eq!(private, None);
}

#[test]
fn names_of_a_user_need_one_and_a_path_needs_none() {
    for (registry, needs) in [
        ("r.example", true),
        ("r.example/", true),
        ("r.example/a", false),
    ] {
        let config = config(&[("REGISTRY", registry)]).unwrap();
        assert_eq!(config.naming("").is_err(), needs, "{registry}");
        assert!(config.naming("bob").is_ok());
    }
}

#[test]
fn names_that_collide_are_given_to_nobody_without_a_proof() {
    let both = [("NAMING", "legacy"), ("UNPROVEN", "give")];
    let problems = config(&both).unwrap_err().to_string();
    assert!(
        problems.contains("does not go with NAMING=legacy"),
        "{problems}"
    );
}

#[test]
fn sizes_are_as_kubernetes_writes_them() {
    for (text, bytes) in [
        ("1000", 1000),
        ("2Ki", 2048),
        ("3Gi", 3 << 30),
        ("1Ti", 1 << 40),
    ] {
        let config = config(&[("MAX_IMAGE_SIZE", text)]).unwrap();
        assert_eq!(config.max_image_size, Some(bytes), "{text}");
    }
    for text in ["0", "-1", "1.5Gi", "99999999999999999999", "17000000Ti"] {
        assert!(config(&[("MAX_IMAGE_SIZE", text)]).is_err(), "{text}");
    }
}
