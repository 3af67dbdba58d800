use super::*;

fn settings(pairs: &[(&str, &str)]) -> Settings {
    let required = [("IMAGES", "a=nginx")];
    let vars = required
        .iter()
        .filter(|(name, _)| !pairs.iter().any(|(other, _)| other == name))
        .chain(pairs)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::from_vars(vars).unwrap()
}

fn problems(pairs: &[(&str, &str)]) -> Vec<String> {
    match Config::from_settings(&settings(pairs)) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_defaults_are_those_of_the_table() {
    let config = Config::from_settings(&settings(&[])).unwrap();
    let spelled_out: Vec<(&str, &str)> = crate::settings::VARIABLES
        .iter()
        .filter(|variable| variable.live && !variable.default.starts_with('('))
        .map(|variable| (variable.name, variable.default))
        .collect();
    assert!(spelled_out.len() > 8);
    assert_eq!(Config::from_settings(&settings(&spelled_out)), Ok(config));
}

#[test]
fn the_examples_of_the_table_are_valid() {
    for variable in crate::settings::VARIABLES
        .iter()
        .filter(|variable| variable.live)
    {
        assert_eq!(
            problems(&[(variable.name, variable.example)]),
            [""; 0],
            "{}",
            variable.name
        );
    }
}

#[test]
fn all_problems_are_found_at_once_and_name_variable_value_and_an_example() {
    let found = problems(&[
        ("IMAGES", "A=nginx;b=Nginx"),
        ("CACHING_INTERVAL_HOURS", "one"),
        ("REFRESH", "hourly"),
        ("MAX_NODES_AT_ONCE", "0"),
        ("SETTLE_DEADLINE", "1ms"),
        ("PAUSED", "yes"),
        ("CACHING_MEMORY_REQUEST", "30Mi"),
        ("CACHING_CPU_LIMIT", "two"),
        ("NODE_SELECTOR", "["),
        ("IMAGE_PULL_SECRETS", "a;a;B"),
        ("AFFINITY", "{x: 1}"),
        ("TOLERATIONS", "{}"),
        (
            "DAEMONSET_ANNOTATIONS",
            r#"{"kubernetes-image-puller/x": "y"}"#,
        ),
        ("POD_LABELS", r#"{"app.kubernetes.io/name": "a b"}"#),
        ("POD_ANNOTATIONS", r#"{"kubernetes-image-puller/x": "y"}"#),
        ("POD_PRIORITY_CLASS", "High"),
        ("POD_RUNTIME_CLASS", "gVisor"),
        (
            "POD_TEMPLATE",
            "{spec: {hostPID: true, nodeName: a, containers: [{name: other, image: nginx}]}}",
        ),
        ("KIP_IMAGE", "quay.io/eclipse/kubernetes-image-puller:next"),
        ("CLEANUP_ON_SHUTDOWN", "yes"),
    ]);
    assert_eq!(found.len(), 25, "{found:#?}");
    for problem in &found {
        let (variable, rest) = problem.split_once('=').unwrap();
        assert!(
            rest.contains(&format!("; for example {variable}=")),
            "{problem}"
        );
    }
}

#[test]
fn a_missing_list_is_a_problem() {
    let found = Config::from_settings(&Settings::default()).unwrap_err();
    assert_eq!(found.0.len(), 1);
    assert!(
        found.to_string().starts_with("IMAGES is required"),
        "{found}"
    );
}

#[test]
fn resources_can_be_left_out_and_a_request_must_fit_its_limit() {
    let none = settings(&[
        ("CACHING_MEMORY_LIMIT", "none"),
        ("CACHING_MEMORY_REQUEST", "1Gi"),
    ]);
    let config = Config::from_settings(&none).unwrap();
    assert_eq!(config.groups[0].resources.memory_limit, None);
    assert_eq!(problems(&[("CACHING_CPU_REQUEST", "201m")]).len(), 1);
    assert_eq!(
        problems(&[
            ("CACHING_MEMORY_LIMIT", "20m"),
            ("CACHING_MEMORY_REQUEST", "0")
        ])
        .len(),
        1
    );
}

#[test]
fn the_identity_is_checked_as_a_whole() {
    let named = |pairs: &[(&str, &str)]| startup::Identity::from_settings(&settings(pairs), None);
    let identity = named(&[]).unwrap();
    assert_eq!(
        (identity.daemonset.as_str(), identity.namespace.as_str()),
        ("kubernetes-image-puller", "k8s-image-puller")
    );
    let own = named(&[("POD_NAMESPACE", "mine"), ("DEPLOYMENT_NAME", "d")]).unwrap();
    assert_eq!((own.namespace.as_str(), own.is_owned()), ("mine", true));
    assert!(named(&[("POD_NAMESPACE", "mine"), ("NAMESPACE", "other")]).is_err());
    let other = named(&[
        ("POD_NAMESPACE", "mine"),
        ("NAMESPACE", "other"),
        ("ALLOW_OTHER_NAMESPACE", "true"),
        ("DEPLOYMENT_NAME", "d"),
    ])
    .unwrap();
    assert!(!other.is_owned());
    let wrong = named(&[
        ("DAEMONSET_NAME", "A_b"),
        ("NAMESPACE", "a.b"),
        ("DEPLOYMENT_NAME", "-"),
        ("CONFIG_MAP_NAME", ".."),
    ]);
    assert_eq!(wrong.unwrap_err().0.len(), 4);
    assert!(
        named(&[("DAEMONSET_NAME", &"a".repeat(64))]).is_err(),
        "it is a label's value"
    );
}
