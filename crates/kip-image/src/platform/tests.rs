//! Platforms on cases with known results.

use super::*;

fn platform(text: &str) -> Platform {
    text.parse().expect(text)
}

/// A node, what it runs from the best to the worst, and what it does not run.
#[rustfmt::skip] // A line is a case.
const NODES: &[(&str, &str, &str)] = &[
    ("linux/amd64", "linux/x86_64 linux/i386", "linux/amd64/v2 linux/arm/v7 linux/arm64 windows/amd64"),
    ("linux/amd64/v3", "linux/amd64/v3 linux/amd64/v2 linux/amd64/v1 linux/386", "linux/amd64/v4 windows/amd64/v3"),
    ("linux/386", "linux/386", "linux/amd64 linux/arm/v7"),
    ("linux/arm", "linux/armhf linux/armel linux/arm/v5", "linux/arm/v8 linux/arm/v4 linux/arm64"),
    ("linux/arm/v8", "linux/arm/8 linux/arm/v7 linux/arm/v6 linux/arm/v5", "linux/arm/v4 linux/arm64"),
    ("linux/arm/v6", "linux/arm/v6 linux/arm/v5", "linux/arm linux/arm/v7"),
    ("linux/arm/v4", "linux/arm/v4", "linux/arm/v5 linux/arm/v3"),
    ("linux/arm64", "linux/arm64/v8 linux/arm/v8 linux/arm/v7 linux/arm/v6 linux/arm/v5", "linux/arm64/v8.1 linux/arm64/v9 linux/arm/v4"),
    ("linux/arm64/v8.2", "linux/arm64/v8.2 linux/arm64/v8.1 linux/arm64 linux/arm/v8", "linux/arm64/v8.3 linux/arm64/v9"),
    ("linux/arm64/v9.1", "linux/arm64/v9.1 linux/arm64/9 linux/arm64/v8.6 linux/arm64/v8.0 linux/arm/v8 linux/arm", "linux/arm64/v9.2 linux/arm64/v8.7"),
    ("linux/arm64/v9.7", "linux/arm64/v9.7 linux/arm64/v8.9", "linux/arm64/v9.8 linux/arm64/v08.1"),
    ("linux/arm64/v7", "", "linux/arm64/v7 linux/arm64 linux/arm/v7"),
    ("linux/riscv64", "linux/RISCV64", "linux/riscv64/x freebsd/riscv64"),
    ("macos/arm64", "darwin/aarch64", "linux/arm64 macos/arm64/v9"),
];

#[test]
fn a_node_runs_its_own_architecture_and_those_below_it_best_first() {
    for (node, runs, not) in NODES {
        let matcher = PlatformMatcher::new(&platform(node));
        let mut index: Vec<_> = not
            .split_whitespace()
            .map(|text| Some(platform(text)))
            .collect();
        let others = index.len();
        // The worst first, so that the order is the matcher's.
        index.extend(
            runs.split_whitespace()
                .rev()
                .map(|text| Some(platform(text))),
        );
        let expected: Vec<_> = (others..index.len()).rev().collect();
        assert_eq!(matcher.candidates(&index), expected, "{node}");
        assert_eq!(matcher.choose(&index), expected.first().copied(), "{node}");
    }
}

/// Builds of host and image, and whether it runs.
const WINDOWS: &[(u16, u16, bool)] = &[
    (17763, 17763, true),
    (17763, 20348, false),
    (20348, 17763, false),
    (20348, 20348, true),
    (20348, 22621, false),
    (20348, 26100, false),
    (22621, 17763, false),
    (22621, 20348, true),
    (25398, 20348, true),
    (25398, 25398, true),
    (26100, 20348, true),
    (26100, 22621, true),
    (26200, 17763, false),
    (26200, 20348, true),
    (26200, 26100, true),
];

#[test]
fn windows_runs_the_builds_that_it_is_compatible_with() {
    let windows = |version: String| Platform::new("windows", "amd64").with_os_version(version);
    for (host, image, runs) in WINDOWS {
        let matcher = PlatformMatcher::new(&windows(format!("10.0.{host}.1")));
        let image = windows(format!("10.0.{image}"));
        assert_eq!(matcher.matches(&image), *runs, "{host} {image}");
    }
    let host = PlatformMatcher::new(&windows("10.0.26100.2894".to_owned()));
    for (version, runs) in [
        ("", true),
        ("10.1.26100", false),
        ("10.0", false),
        ("10.0.+26100", false),
    ] {
        assert_eq!(
            host.matches(&windows(version.to_owned())),
            runs,
            "{version:?}"
        );
    }
    assert!(!host.matches(&platform("linux/amd64")));
    assert!(!host.matches(&platform("windows/386")));
}

#[test]
fn windows_takes_the_last_version_that_it_is_compatible_with() {
    let index = [
        "windows(10.0.20348.3091)/amd64",
        "windows(10.0.26100.2894+win32k)/amd64",
        "windows(10.0.26100.3000)/amd64",
    ];
    let index: Vec<_> = index.into_iter().map(|text| Some(platform(text))).collect();
    for (host, chosen) in [
        ("20348.1", Some(0)),
        ("26100.2894", Some(2)),
        ("17763.1", None),
    ] {
        let host = platform(&format!("windows(10.0.{host})/amd64"));
        assert_eq!(PlatformMatcher::new(&host).choose(&index), chosen, "{host}");
    }
}

#[test]
fn an_image_that_needs_a_feature_is_for_nodes_that_have_it() {
    let index =
        ["linux/amd64", "linux(+b+a)/amd64", "linux(+c)/amd64"].map(|text| Some(platform(text)));
    for (node, expected) in [
        ("linux/amd64", vec![0]),
        ("linux(+a)/amd64", vec![0]),
        ("linux(+a+b)/amd64", vec![1, 0]),
        ("linux(+c)/amd64", vec![2, 0]),
        ("linux(+c+b+a)/amd64", vec![1, 2, 0]),
    ] {
        assert_eq!(
            PlatformMatcher::new(&platform(node)).candidates(&index),
            expected,
            "{node}"
        );
    }
}

#[test]
fn what_has_no_platform_comes_last_and_the_nodes_system_is_meant_by_none() {
    let index = [
        None,
        Some(platform("linux/386")),
        None,
        Some(Platform::new("", "amd64")),
    ];
    let node = PlatformMatcher::new(&platform("linux/amd64"));
    assert_eq!(node.candidates(&index), [3, 1, 0, 2]);
    assert_eq!(node.choose(&[None]), Some(0));
    assert_eq!(node.choose(&[]), None);
}

#[test]
fn platforms_are_read_normalised_and_printed() {
    for (text, printed, normalised) in [
        ("linux/amd64", "linux/amd64", "linux/amd64"),
        ("Linux/X86-64", "linux/amd64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64", "linux/amd64"),
        ("linux/i386/x", "linux/386", "linux/386"),
        ("linux/arm", "linux/arm", "linux/arm/v7"),
        ("linux/arm/v7", "linux/arm/v7", "linux/arm/v7"),
        ("linux/armhf", "linux/arm", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6", "linux/arm/v6"),
        ("linux/arm/5", "linux/arm/v5", "linux/arm/v5"),
        ("linux/aarch64", "linux/arm64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/9.0", "linux/arm64/v9", "linux/arm64/v9"),
        (
            "macos/ppc64le/Power9",
            "darwin/ppc64le/power9",
            "darwin/ppc64le/power9",
        ),
        (
            "windows(10.0.17763)/amd64",
            "windows(10.0.17763)/amd64",
            "windows(10.0.17763)/amd64",
        ),
        ("windows()/amd64", "windows/amd64", "windows/amd64"),
        (
            "linux(+b+a+b)/amd64",
            "linux(+a+b)/amd64",
            "linux(+a+b)/amd64",
        ),
        (
            "linux(1%2B1+%28%2f%25%29)/amd64",
            "linux(1%2B1+%28%2F%25%29)/amd64",
            "linux(1%2B1+%28%2F%25%29)/amd64",
        ),
    ] {
        let parsed = platform(text);
        assert_eq!(parsed.to_string(), printed, "{text}");
        assert_eq!(parsed.normalized().to_string(), normalised, "{text}");
        assert_eq!(
            platform(normalised).normalized(),
            parsed.normalized(),
            "{text}"
        );
    }
    assert_eq!(Platform::default().to_string(), "unknown");
}

#[test]
fn a_part_that_is_missing_is_the_hosts() {
    let amd64 = platform("linux/amd64");
    let armel = platform("linux/armel");
    for (text, host, expected) in [
        ("windows", &amd64, "windows/amd64"),
        ("darwin(1.2+x)", &amd64, "darwin(1.2+x)/amd64"),
        ("armhf", &amd64, "linux/arm"),
        ("aarch64", &amd64, "linux/arm64"),
        ("linux", &armel, "linux/arm/v6"),
        ("linux/s390x", &armel, "linux/s390x"),
    ] {
        let parsed = Platform::parse_on(text, host).map(|platform| platform.to_string());
        assert_eq!(parsed.as_deref(), Ok(expected), "{text}");
    }
    assert_eq!(
        "linux".parse::<Platform>().map_err(|error| error.problem()),
        Err(PlatformProblem::NoArchitecture)
    );
    assert_eq!(
        "arm64".parse::<Platform>().map_err(|error| error.problem()),
        Err(PlatformProblem::NoOs)
    );
}

#[test]
fn what_is_no_platform_is_refused() {
    use PlatformProblem::{Os, OsOptions, Part, TooMany, Unknown};
    for (text, problem) in [
        ("", Os),
        ("*/amd64", Os),
        ("/amd64", Os),
        ("lin ux/amd64", Os),
        ("li.nux/amd64", Os),
        ("linux(/amd64", OsOptions),
        ("linux(1)x/amd64", OsOptions),
        ("linux(a b)/amd64", OsOptions),
        ("linux(1+)/amd64", OsOptions),
        ("linux(%4)/amd64", OsOptions),
        ("linux(%zz)/amd64", OsOptions),
        ("linux(%ff)/amd64", OsOptions),
        ("linux/", Part),
        ("linux/amd64/", Part),
        ("linux/amd64/v(1)", Part),
        ("linux/amd64/v1/x", TooMany),
        ("toaster", Unknown),
        ("amd64(1)", Unknown),
    ] {
        let error = text.parse::<Platform>().expect_err(text);
        assert_eq!(error.problem(), problem, "{text}");
        assert!(
            error.to_string().starts_with("invalid platform \""),
            "{error}"
        );
    }
    let long = "é".repeat(10_000).parse::<Platform>().expect_err("long");
    assert!(long.to_string().len() < 600);
}
