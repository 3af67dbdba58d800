use super::*;
use crate::settings::Settings;

fn sized<T>(vars: &[(&str, &str)], look: impl FnOnce(Sizing<'_>) -> T) -> T {
    let vars = vars
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let settings = Settings::from_vars(vars).unwrap();
    let (identity, config) = preview::checked(&settings, None).unwrap();
    look(Sizing::of(&identity, &config).unwrap())
}

/// Requests and limits, CPU before memory; `!` where not every container says something.
fn figures(demand: &Demand) -> String {
    let figures = [&demand.requests, &demand.limits];
    let all = figures.into_iter().flat_map(|kind| {
        RESOURCES.map(|resource| {
            let Figure { amount, is_whole } = kind[resource];
            format!("{amount}{}", if is_whole { "" } else { "!" })
        })
    });
    all.collect::<Vec<_>>().join(" ")
}

fn quota(sizing: &Sizing<'_>, nodes: usize) -> String {
    let quota = sizing.quota(nodes);
    let figures = quota
        .figures
        .into_iter()
        .map(|(_, amount)| amount.map_or("none".to_owned(), |amount| amount.to_string()));
    let all: Vec<String> = std::iter::once(quota.pods.to_string())
        .chain(figures)
        .collect();
    all.join(" ")
}

#[test]
fn the_init_container_counts_only_where_it_is_larger_than_all_others_together() {
    for (images, expected) in [
        ("a", "50m 10Mi 200m 20Mi"),
        ("a;b", "100m 20Mi 400m 40Mi"),
        ("a;b;c;d;e;f;g;h;i;j", "500m 100Mi 2 200Mi"),
    ] {
        let got = sized(&[("IMAGES", images)], |sizing| figures(&sizing.holder));
        assert_eq!(got, expected, "{images}");
    }
    let large_init = r#"{"spec": {"initContainers": [{"name": "copy-sleep",
        "resources": {"requests": {"cpu": "120m"}, "limits": {"cpu": "1"}}}]}}"#;
    let got = sized(
        &[("IMAGES", "a;b"), ("POD_TEMPLATE", large_init)],
        |sizing| figures(&sizing.holder),
    );
    assert_eq!(got, "120m 20Mi 1 40Mi");
}

#[test]
fn a_fetcher_requests_nothing_and_has_the_same_limits() {
    let got = sized(&[("IMAGES", "a;b")], |sizing| figures(&sizing.fetcher));
    assert_eq!(got, "0 0 400m 40Mi");
}

#[test]
fn a_request_that_is_left_out_becomes_the_limit() {
    let got = sized(
        &[("IMAGES", "a;b"), ("CACHING_CPU_REQUEST", "none")],
        |sizing| (figures(&sizing.holder), figures(&sizing.fetcher)),
    );
    assert_eq!(
        got,
        ("400m 20Mi 400m 40Mi".to_owned(), "0 0 400m 40Mi".to_owned())
    );
}

#[test]
fn what_is_left_out_altogether_is_no_figure_of_a_quota() {
    let vars = [
        ("IMAGES", "a;b"),
        ("CACHING_CPU_REQUEST", "none"),
        ("CACHING_CPU_LIMIT", "none"),
        ("CACHING_MEMORY_LIMIT", "none"),
    ];
    let got = sized(&vars, |sizing| {
        (
            figures(&sizing.holder),
            quota(&sizing, 2),
            sizing.original_formula(2),
        )
    });
    assert_eq!(got.0, "0! 20Mi 0! 0!");
    assert_eq!(got.1, "4 none 104Mi none none");
    assert_eq!(got.2, None);
}

#[test]
fn one_container_without_a_limit_makes_the_quota_impossible() {
    let overlay =
        r#"{"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": null}}}]}}"#;
    let got = sized(&[("IMAGES", "a;b"), ("POD_TEMPLATE", overlay)], |sizing| {
        (figures(&sizing.holder), quota(&sizing, 1))
    });
    assert_eq!(got.0, "100m 20Mi 200m! 40Mi");
    assert_eq!(got.1, "3 150m 84Mi none 336Mi");
}

#[test]
fn what_the_pod_says_of_itself_counts_instead() {
    for (resources, expected) in [
        (r#"{"requests": {"cpu": "7m"}}"#, "7m 20Mi 400m 40Mi"),
        (r#"{"limits": {"cpu": "3"}}"#, "100m 20Mi 3 40Mi"),
    ] {
        let overlay = format!(r#"{{"spec": {{"resources": {resources}}}}}"#);
        let got = sized(&[("IMAGES", "a;b"), ("POD_TEMPLATE", &overlay)], |sizing| {
            figures(&sizing.holder)
        });
        assert_eq!(got, expected, "{resources}");
    }
}

#[test]
fn the_quota_has_room_for_each_node_its_fetchers_and_the_daemon() {
    let ten = "a;b;c;d;e;f;g;h;i;j";
    for (at_once, nodes, expected) in [
        // 10 % of the nodes, rounded up: 1, 1, 2 and 50.
        ("10%", 1, "3 550m 164Mi 4200m 656Mi"),
        ("10%", 10, "12 5050m 1064Mi 22200m 2456Mi"),
        ("10%", 20, "23 10050m 2064Mi 44200m 4656Mi"),
        ("10%", 500, "551 250050m 50064Mi 1100200m 110256Mi"),
        // No node has two fetchers.
        ("100", 2, "5 1050m 264Mi 8200m 1056Mi"),
    ] {
        let vars = [("IMAGES", ten), ("MAX_NODES_AT_ONCE", at_once)];
        let got = sized(&vars, |sizing| quota(&sizing, nodes));
        assert_eq!(got, expected, "{nodes} nodes, {at_once} at once");
    }
}

#[test]
fn the_formula_of_the_original_is_memory_limit_by_images_by_nodes() {
    let vars = [("IMAGES", "a;b;c;d;e")];
    let got = sized(&vars, |sizing| {
        sizing.original_formula(20).unwrap().to_string()
    });
    assert_eq!(got, "2000Mi");
}

#[test]
fn more_than_a_twentieth_of_a_node_is_warned_of_with_a_request_that_is_not() {
    let size = NodeSize::default();
    // 5 % of 4 CPUs is 200m: four images at the default reach it, the fifth goes beyond.
    let of = |images: &str| sized(&[("IMAGES", images)], |sizing| warnings(&sizing, &size));
    assert_eq!(of("a;b;c;d"), [""; 0]);
    let got = of("a;b;c;d;e");
    assert_eq!(got.len(), 1, "{got:?}");
    assert!(
        got[0].contains("250m of cpu, 6.3 % of a node with 4 "),
        "{got:?}"
    );
    let (_, advice) = got[0].rsplit_once(", for example, ").unwrap();
    let (name, value) = advice.split_once('=').unwrap();
    assert_eq!((name, value), ("CACHING_CPU_REQUEST", "40m"));
    let mended = [("IMAGES", "a;b;c;d;e"), (name, value)];
    assert_eq!(sized(&mended, |sizing| warnings(&sizing, &size)), [""; 0]);
}

#[test]
fn memory_is_warned_of_by_its_own_setting() {
    let size = NodeSize {
        memory: Amount::bytes(1 << 30),
        ..NodeSize::default()
    };
    // 5 % of 1Gi is 51.2Mi.
    let vars = [("IMAGES", "a;b;c"), ("CACHING_MEMORY_REQUEST", "20Mi")];
    let got = sized(&vars, |sizing| warnings(&sizing, &size));
    assert_eq!(got.len(), 1, "{got:?}");
    assert!(got[0].ends_with("CACHING_MEMORY_REQUEST=17Mi"), "{got:?}");
}

#[test]
fn a_quantity_of_the_overlay_that_is_none_is_named() {
    let overlay =
        r#"{"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": "lots"}}}]}}"#;
    let vars = [("IMAGES", "a"), ("POD_TEMPLATE", overlay)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = Settings::from_vars(vars).unwrap();
    let (identity, config) = preview::checked(&settings, None).unwrap();
    let wrong = Sizing::of(&identity, &config).unwrap_err();
    assert!(
        wrong.starts_with(r#"container a: resources.limits.cpu="lots": "#),
        "{wrong}"
    );
}
