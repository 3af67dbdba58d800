//! References and credentials a second, beside the Go modules that kubelet uses, on the same inputs in the same run.
//!
//! ```sh
//! hack/bench/image.sh
//! ```
//!
//! The Go toolchain is needed. Both sides are measured in turn, five times each for a second; printed are the medians,
//! the least and the most.

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kip_image::{Keyring, PullSecret, Reference, SecretType};

const ROUNDS: usize = 5;
const LEAST: Duration = Duration::from_secs(1);

/// How often an operation was done, and how many of the inputs it succeeded for.
struct Measured {
    a_second: f64,
    succeeded: usize,
}

fn main() {
    // `cargo test --benches` runs this too, to see that it runs.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let go = build();
    println!("What | ours | Go | ratio");

    let references = references();
    let lines: Vec<_> = references.iter().map(hex).collect();
    report("references parsed a second", 1, || {
        let ours = measure(&references, |text| {
            Reference::parse(black_box(text)).is_ok()
        });
        (ours, ask(&go, "reference", &lines))
    });

    let (secrets, images) = (secrets(), images());
    let keys: usize = secrets.iter().map(|data| parse(data).len()).sum();
    let keyring = Keyring::new(secrets.iter().map(|data| parse(data)));
    let field = |data: &String| format!("{}:{}", SecretType::DockerConfigJson, hex(data));
    let fields: Vec<_> = secrets.iter().map(field).collect();
    let mut lines = vec![fields.join(",")];
    lines.extend(images.iter().map(|image| hex(image.name())));
    let what = format!(
        "credentials × images matched a second ({keys} × {})",
        images.len()
    );
    report(&what, keys, || {
        let ours = measure(&images, |image| {
            keyring.lookup(black_box(image)).map(black_box).count() > 0
        });
        (ours, ask(&go, "credentials", &lines))
    });
}

/// Runs the rounds and prints a row; `each` is what an operation counts for.
fn report(what: &str, each: usize, mut round: impl FnMut() -> (Measured, Measured)) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (our, their) = round();
        assert_eq!(our.succeeded, their.succeeded, "both do the same");
        ours.push(our.a_second);
        theirs.push(their.a_second);
    }
    let each = f64::from(u32::try_from(each).expect("a few"));
    let show = |rates: &mut Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        let millions = |rate: f64| rate * each / 1e6;
        let (least, median, most) = (rates[0], rates[ROUNDS / 2], rates[ROUNDS - 1]);
        let text = format!(
            "{:.2} M ({:.2} to {:.2})",
            millions(median),
            millions(least),
            millions(most)
        );
        (median, text)
    };
    let ((our, ours), (their, theirs)) = (show(&mut ours), show(&mut theirs));
    println!("{what} | {ours} | {theirs} | {:.1}", our / their);
}

fn measure<T>(inputs: &[T], operation: impl Fn(&T) -> bool) -> Measured {
    let (mut rounds, mut succeeded) = (0_u32, 0);
    let began = Instant::now();
    while began.elapsed() < LEAST {
        succeeded = inputs.iter().filter(|input| operation(input)).count();
        rounds += 1;
    }
    let inputs = f64::from(u32::try_from(inputs.len()).expect("a few"));
    Measured {
        a_second: f64::from(rounds) * inputs / began.elapsed().as_secs_f64(),
        succeeded,
    }
}

fn parse(data: &str) -> PullSecret {
    PullSecret::parse(SecretType::DockerConfigJson, data.as_bytes()).expect("it was just made")
}

/// References as they stand in clusters: short and long, by tag, digest and both, and some that are none.
fn references() -> Vec<String> {
    let digest = format!("sha256:{}", "45b23dee08af5e43".repeat(4));
    let forms = [
        "nginx",
        "nginx:1.27",
        "library/redis:7-alpine",
        "docker.io/bitnami/postgresql:16.2.0-debian-12-r8",
        "quay.io/org/app:v1.4.2",
        "quay.io/org/app@DIGEST",
        "registry.k8s.io/kube-apiserver:v1.33.4@DIGEST",
        "localhost:5000/team/service:dev",
        "ghcr.io/owner/a-rather-long-project-name/component:sha-0a1b2c3",
        "123456789012.dkr.ecr.eu-central-1.amazonaws.com/team/service:2024.11.05",
        "gcr.io/distroless/static-debian12",
        "[2001:db8::1]:5000/repo:tag",
        "quay.io/Org/app",
        "nginx:",
        "",
    ];
    (0..50)
        .flat_map(|at| {
            forms.map(|form| {
                form.replace("DIGEST", &digest)
                    .replace("app", &format!("app{at}"))
            })
        })
        .collect()
}

/// Twenty secrets of five entries each, as several teams have them: hosts, paths, globs and Docker Hub.
fn secrets() -> Vec<String> {
    let entry = |user: &str| format!(r#"{{"username": "{user}", "password": "secret"}}"#);
    (0..20)
        .map(|team| {
            let keys = [
                "https://index.docker.io/v1/".to_owned(),
                format!("quay.io/team-{team}"),
                format!("registry-{team}.example.com:5000"),
                format!("*.dkr.ecr.*.amazonaws.com/team-{team}"),
                format!("https://*.team-{team}.example.com/v2/"),
            ];
            let entries = keys
                .iter()
                .enumerate()
                .map(|(at, key)| format!("\"{key}\": {}", entry(&format!("u{at}"))));
            format!(
                r#"{{"auths": {{{}}}}}"#,
                entries.collect::<Vec<_>>().join(", ")
            )
        })
        .collect()
}

/// The images of those teams, and some that nobody has credentials for.
fn images() -> Vec<Reference> {
    (0..20)
        .flat_map(|team| {
            [
                "nginx:1.27".to_owned(),
                format!("quay.io/team-{team}/app:v1"),
                format!("registry-{team}.example.com:5000/app"),
                format!("123456789012.dkr.ecr.eu-central-1.amazonaws.com/team-{team}/service"),
                format!("registry.team-{team}.example.com/app"),
                "registry.k8s.io/pause:3.10".to_owned(),
                "quay.io/other/app".to_owned(),
            ]
        })
        .map(|text| Reference::parse(&text).expect("valid"))
        .collect()
}

/// Builds the Go program of `tests/go/bench`.
fn build() -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kip-image-bench");
    let status = Command::new("go")
        .args(["build", "-mod=readonly", "-o"])
        .arg(&program)
        .arg("./bench")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go"))
        .status()
        .expect("the command `go` must be in PATH");
    assert!(status.success(), "go build failed: {status}");
    program
}

/// Has the Go program measure.
fn ask(program: &Path, what: &str, lines: &[String]) -> Measured {
    let mut program = Command::new(program)
        .arg(what)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program that was just built starts");
    let mut stdin = program.stdin.take().expect("a pipe");
    writeln!(stdin, "{}", lines.join("\n")).expect("the program reads");
    drop(stdin);
    let output = program.wait_with_output().expect("the program ends");
    assert!(
        output.status.success(),
        "the Go program failed: {}",
        output.status
    );
    let printed = String::from_utf8(output.stdout).expect("text");
    let numbers: Vec<u64> = printed
        .split_whitespace()
        .map(|number| number.parse().expect("a number"))
        .collect();
    let [done, nanoseconds, succeeded] = numbers.try_into().expect("three numbers");
    let done = f64::from(u32::try_from(done).expect("less in a second"));
    Measured {
        a_second: done / Duration::from_nanos(nanoseconds).as_secs_f64(),
        succeeded: usize::try_from(succeeded).expect("a few"),
    }
}

fn hex(text: impl AsRef<[u8]>) -> String {
    let text = text.as_ref();
    text.iter()
        .fold(String::with_capacity(2 * text.len()), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a String takes any text");
            hex
        })
}
