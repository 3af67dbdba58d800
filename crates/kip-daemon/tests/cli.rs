//! The command line: exit status, what is said where, and that a wrong setting is found before anything is done.

#![allow(clippy::panic, reason = "these are tests, and so are their helpers")]

#[path = "support/listener.rs"]
mod listener;
mod support;
#[path = "support/wrong.rs"]
mod wrong;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::process::{Output, Stdio};

use kip_daemon::settings::VARIABLES;

use listener::Listener;
use support::{finish, output, program, text};
use wrong::{WRONG, long};

/// `EX_CONFIG` of sysexits.h.
const EXIT_CONFIG: i32 = 78;
/// `EX_USAGE` of sysexits.h.
const EXIT_USAGE: i32 = 64;
const GOOD: (&str, &str) = ("IMAGES", "nginx");

/// Every setting that the daemon itself reads; `KUBECONFIG` is the client library's.
fn variables() -> impl Iterator<Item = &'static str> {
    VARIABLES
        .iter()
        .map(|variable| variable.name)
        .filter(|name| *name != "KUBECONFIG")
}

/// A valid environment but for one value.
fn with<'a>(variable: &'a str, value: &'a str) -> BTreeMap<&'a str, &'a str> {
    BTreeMap::from([GOOD, (variable, value)])
}

/// Whether one of the lines is about this variable and shows this value.
fn names(said: &str, variable: &str, value: &str) -> bool {
    let beginning = format!("{variable}={value:?}: ");
    said.lines().any(|line| line.starts_with(&beginning))
}

fn assert_refused(output: &Output, context: &str) -> String {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(EXIT_CONFIG), "{context}: {said}");
    assert_eq!(text(&output.stdout), "", "{context}");
    said
}

#[test]
fn the_table_of_wrong_values_covers_every_variable() {
    for variable in variables() {
        let wrong = WRONG.iter().filter(|(name, ..)| *name == variable).count();
        assert!(wrong >= 3, "{variable} has {wrong} wrong values");
    }
    for (variable, ..) in WRONG {
        assert!(variables().any(|name| name == *variable), "{variable}");
    }
}

#[test]
fn check_names_variable_value_and_an_example_for_each_wrong_value() {
    for (variable, value, shown) in WRONG {
        let context = format!("{variable}={value:?}");
        let said = assert_refused(&output(&["check"], with(variable, value)), &context);
        assert!(names(&said, variable, shown), "{context}: {said}");
        let example = format!("; for example {variable}=");
        let line = said.lines().find(|line| line.starts_with(variable));
        assert!(
            line.is_some_and(|line| line.contains(&example)),
            "{context}: {said}"
        );
        let summary = said.lines().last();
        assert_eq!(summary, Some("1 problem(s)"), "{context}: {said}");
    }
}

#[test]
fn check_lists_one_wrong_value_of_every_variable_in_one_run() {
    let mut environment = BTreeMap::new();
    let mut expected = BTreeMap::new();
    for (variable, value, shown) in WRONG {
        environment.insert(*variable, *value);
        expected.insert(*variable, *shown);
    }
    assert_eq!(environment.len(), variables().count());
    let said = assert_refused(&output(&["check"], environment), "all at once");
    for (variable, shown) in expected {
        assert!(
            names(&said, variable, shown),
            "{variable}={shown:?} is not in\n{said}"
        );
    }
}

#[test]
fn check_says_that_the_list_is_missing() {
    for environment in [vec![], vec![("IMAGES", "")], vec![("IMAGES", " \n")]] {
        let said = assert_refused(&output(&["check"], environment), "no IMAGES");
        assert!(
            said.starts_with("IMAGES is required and is not set"),
            "{said}"
        );
    }
}

#[test]
fn check_sums_a_valid_configuration_up() {
    let environment = [
        ("IMAGES", "zulu=nginx:1;alpha=busybox"),
        ("CACHING_INTERVAL_HOURS", "0.5"),
        ("DAEMONSET_NAME", "cache"),
        ("NAMESPACE", "cached"),
    ];
    let output = output(&["check"], environment);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    assert!(said.contains("cached/cache"), "{said}");
    let zulu = said.find("zulu  nginx:1").expect("the first image");
    let alpha = said.find("alpha  busybox").expect("the second image");
    assert!(zulu < alpha, "{said}");
    assert!(said.contains("1800s"), "{said}");
}

#[test]
fn render_refuses_each_wrong_value_and_prints_nothing() {
    for (variable, value, shown) in WRONG {
        let context = format!("{variable}={value:?}");
        let said = assert_refused(&output(&["render"], with(variable, value)), &context);
        assert!(names(&said, variable, shown), "{context}: {said}");
    }
}

#[test]
fn run_refuses_each_wrong_value_before_it_talks_to_a_cluster() {
    let listener = Listener::start();
    let kubeconfig = listener.kubeconfig();
    for (variable, value, shown) in WRONG {
        let context = format!("{variable}={value:?}");
        let mut environment = with(variable, value);
        environment.insert("KUBECONFIG", &kubeconfig);
        if *variable == "CONFIG_MAP_NAME" {
            continue; // With one, right or wrong, there is something to watch: see the test below.
        }
        let said = assert_refused(
            &output(&["run", "--listen", "127.0.0.1:0"], environment),
            &context,
        );
        assert!(names(&said, variable, shown), "{context}: {said}");
    }
    assert_eq!(listener.connections(), 0, "a cluster was asked");
}

#[test]
fn run_refuses_a_wrong_name_of_the_config_map() {
    let listener = Listener::start();
    let kubeconfig = listener.kubeconfig();
    for (variable, value, shown) in WRONG.iter().filter(|(name, ..)| *name == "CONFIG_MAP_NAME") {
        let mut environment = with(variable, value);
        environment.insert("KUBECONFIG", &kubeconfig);
        // Without a namespace of its own the daemon cannot wait for an edit either.
        let said = assert_refused(
            &output(&["run", "--listen", "127.0.0.1:0"], environment),
            value,
        );
        assert!(names(&said, variable, shown), "{value}: {said}");
    }
    assert_eq!(listener.connections(), 0, "a cluster was asked");
}

#[test]
fn run_with_valid_settings_talks_to_the_cluster() {
    let listener = Listener::start();
    let kubeconfig = listener.kubeconfig();
    let mut child = program(
        &["run", "--listen", "127.0.0.1:0"],
        [GOOD, ("KUBECONFIG", kubeconfig.as_str())],
    )
    .stderr(Stdio::null())
    .spawn()
    .expect("the program starts");
    let asked = listener.wait_for_connection();
    child.kill().expect("it runs still");
    child.wait().expect("it ends");
    assert!(
        asked,
        "no connection: the tests above would pass whatever run does"
    );
}

#[test]
fn the_version_is_printed() {
    for argument in ["--version", "-V"] {
        let output = output(&[argument], []);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(
            text(&output.stdout),
            concat!("kip-daemon ", env!("CARGO_PKG_VERSION"), "\n")
        );
    }
}

#[test]
fn help_names_every_variable_with_its_default() {
    for argument in ["--help", "-h"] {
        let output = output(&[argument], []);
        assert_eq!(output.status.code(), Some(0));
        let said = text(&output.stdout);
        assert!(said.starts_with("usage: kip-daemon"), "{said}");
        for variable in VARIABLES {
            let heading = format!("\n  {} (default: {})\n", variable.name, variable.default);
            assert!(said.contains(&heading), "{heading:?} is not in\n{said}");
        }
    }
}

#[test]
fn a_wrong_command_line_is_told_with_the_usage() {
    let wrong: &[&[&str]] = &[
        &["destroy"],
        &["--destroy"],
        &["-x"],
        &["check", "more"],
        &["check", "--output", "json"],
        &["check", "--nodes", "0"],
        &["check", "--nodes", "many"],
        &["check", "--nodes"],
        &["check", "--node-cpu", "0"],
        &["check", "--node-memory", "16GB"],
        &["render", "--nodes", "2"],
        &["--nodes", "2"],
        &["render", "--output", "xml"],
        &["render", "--output"],
        &["render", "--listen", "127.0.0.1:0"],
        &["--output", "json"],
        &["run", "--listen", "8080"],
        &["run", "--listen", "localhost:8080"],
        &["run", "--listen"],
        &[""],
    ];
    for arguments in wrong {
        let output = output(arguments, [GOOD]);
        let said = text(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(EXIT_USAGE),
            "{arguments:?}: {said}"
        );
        assert!(said.contains("usage: kip-daemon"), "{arguments:?}: {said}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
    }
}

fn not_utf8() -> OsString {
    OsString::from_vec(b"ng\xffinx".to_vec())
}

#[test]
fn a_setting_that_is_not_utf8_is_refused_by_name() {
    for variable in variables() {
        for command in ["check", "render", "run"] {
            let output = finish(program(&[command], [GOOD]).env(variable, not_utf8()));
            let said = assert_refused(&output, variable);
            assert!(said.contains(&format!("{variable}=")), "{variable}: {said}");
            assert!(said.contains("is not UTF-8"), "{variable}: {said}");
        }
    }
}

#[test]
fn variables_of_others_need_not_be_utf8() {
    let output = finish(
        program(&["check"], [GOOD])
            .env("PROMPT", not_utf8())
            .env(not_utf8(), "value"),
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn help_and_version_do_not_depend_on_the_settings() {
    for argument in ["--help", "--version"] {
        let output = finish(program(&[argument], []).env("IMAGES", not_utf8()));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
}

/// A path need not be text, and the client library takes it as it is.
#[test]
fn a_kubeconfig_whose_path_is_not_utf8_is_no_problem_of_check() {
    let output = finish(program(&["check"], [GOOD]).env("KUBECONFIG", not_utf8()));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn long_values_are_shortened_wherever_they_appear() {
    for variable in variables() {
        for value in [long('A', ""), long('a', " b"), long('{', ""), long('ä', "")] {
            let said = assert_refused(&output(&["check"], with(variable, &value)), variable);
            assert!(said.contains('…'), "{variable}: {said}");
            let longest = said.lines().map(|line| line.chars().count()).max();
            assert!(
                longest < Some(2000),
                "{variable}: a line of {longest:?} characters"
            );
        }
    }
}

#[test]
fn a_message_is_one_line_without_control_characters() {
    for (variable, value) in [
        ("AFFINITY", "{\"no\\u001b[31mde\\nAffinity\": {}}"),
        ("TOLERATIONS", "[{\"operator\": \"a\\nb\\u001b[0m\"}]"),
        ("NODE_SELECTOR", "{\"a\\nb\": \"c\"}"),
        ("IMAGES", "a=b\u{1b}[31m"),
        ("IMAGES", "a\nb=c"),
        ("KIP_IMAGE", "a\u{7}b"),
        ("LOG_LEVEL", "in\nfo"),
    ] {
        let said = assert_refused(&output(&["check"], with(variable, value)), variable);
        assert_eq!(said.lines().count(), 2, "{variable}: {said:?}");
        let control = said.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "{variable}: {said:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_crash() {
    let many: Vec<String> = (0..3000).map(|n| format!("a{n}=nginx:{n}")).collect();
    let many = many.join(";");
    for command in [&["render"][..], &["check"], &["--help"]] {
        let mut child = program(command, [("IMAGES", many.as_str())])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        drop(child.stdout.take());
        let mut said = String::new();
        let mut stderr = child.stderr.take().expect("it is piped");
        stderr.read_to_string(&mut said).expect("it is UTF-8");
        child.wait().expect("it ends");
        assert!(!said.contains("panicked"), "{command:?}: {said}");
    }
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    for command in ["render", "check"] {
        let full = File::options()
            .write(true)
            .open("/dev/full")
            .expect("Linux has it");
        let output = program(&[command], [GOOD])
            .stdout(full)
            .output()
            .expect("the program starts");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
        assert!(!said.contains("panicked"), "{command}: {said}");
    }
}

#[test]
fn a_kubeconfig_that_cannot_be_read_is_never_shown() {
    let path =
        std::env::temp_dir().join(format!("kip-daemon-cli-{}.kubeconfig", std::process::id()));
    for content in [
        "users:\n- name: a\n  user:\n    token: SUPERSECRET\n   client: [\n",
        "apiVersion: v1\nusers:\n- name: a\n  user: {token: [SUPERSECRET]}\n",
    ] {
        std::fs::write(&path, content).expect("the folder for temporary files takes it");
        let kubeconfig = path.to_str().expect("it is UTF-8");
        let output = output(
            &["run", "--listen", "127.0.0.1:0"],
            [GOOD, ("KUBECONFIG", kubeconfig)],
        );
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("KUBECONFIG") && !said.contains("SUPERSECRET"),
            "{said}"
        );
    }
    std::fs::remove_file(&path).expect("it is there");
}
