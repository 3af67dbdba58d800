//! The programs of each platform, and the image index that `make docker PLATFORMS=linux/amd64,linux/arm64` makes of
//! them, in a real registry.
//!
//! `hack/test.sh arm64` runs this. It needs `bin/linux/amd64` and `bin/linux/arm64` (`make build PLATFORMS=…`),
//! `docker-registry` and `skopeo`.

#![allow(
    clippy::panic,
    reason = "a test fails by a panic, in its helper functions as well"
)]

#[path = "support/registry.rs"]
mod registry_process;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Output};

use flate2::read::GzDecoder;
use object::LittleEndian;
use object::elf::{EM_AARCH64, EM_X86_64, FileHeader64, PT_INTERP, PT_LOAD};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use registry_process::RegistryProcess;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A platform of the image.
struct Platform {
    /// The processor as Go, and so every image, calls it.
    architecture: &'static str,
    /// The processor in a program's header.
    machine: u16,
    /// The largest page that a kernel may have there.
    page: u64,
}

const PLATFORMS: [Platform; 2] = [
    Platform {
        architecture: "amd64",
        machine: EM_X86_64,
        page: 4_096,
    },
    Platform {
        architecture: "arm64",
        machine: EM_AARCH64,
        page: 65_536,
    },
];
const PROGRAMS: [&str; 2] = ["kip-daemon", "kip-sleep"];

fn repository() -> &'static Path {
    let member = Path::new(env!("CARGO_MANIFEST_DIR"));
    member.parent().expect("a member of the workspace")
}

// === the programs ===

/// The bytes of a program that `make build` made.
fn built(architecture: &str, program: &str) -> Vec<u8> {
    let path = repository().join(format!("bin/linux/{architecture}/{program}"));
    fs::read(&path).unwrap_or_else(|error| {
        let path = path.display();
        panic!("{path}: {error} (make build PLATFORMS=linux/{architecture})")
    })
}

fn header(program: &[u8]) -> &FileHeader64<LittleEndian> {
    FileHeader64::parse(program).expect("an ELF header")
}

fn machine(program: &[u8]) -> u16 {
    header(program).e_machine(LittleEndian)
}

/// What keeps a kernel with such pages from starting the program: nothing, or the first reason.
fn not_loadable(program: &[u8], page: u64) -> Option<String> {
    let segments = header(program).program_headers(LittleEndian, program);
    let mut free = 0;
    for segment in segments.expect("program headers") {
        let [address, offset, size, alignment] = [
            segment.p_vaddr(LittleEndian),
            segment.p_offset(LittleEndian),
            segment.p_memsz(LittleEndian),
            segment.p_align(LittleEndian),
        ];
        match segment.p_type(LittleEndian) {
            PT_INTERP => return Some("it is linked at run time".to_owned()),
            PT_LOAD if alignment < page => {
                return Some(format!("{address:#x} is aligned to {alignment} only"));
            }
            PT_LOAD if address % page != offset % page => {
                return Some(format!("{address:#x} is at {offset:#x} of the file"));
            }
            // Its pages would have two kinds of rights.
            PT_LOAD if address / page < free => {
                return Some(format!("{address:#x} shares a page"));
            }
            PT_LOAD => free = (address + size).div_ceil(page),
            _ => {}
        }
    }
    (free == 0).then(|| "nothing is loaded".to_owned())
}

#[test]
fn every_program_is_static_and_loads_with_the_largest_pages_of_its_processor() {
    for platform in PLATFORMS {
        for name in PROGRAMS {
            let program = built(platform.architecture, name);
            let context = format!("{} of {}", name, platform.architecture);
            assert_eq!(machine(&program), platform.machine, "{context}");
            assert_eq!(not_loadable(&program, platform.page), None, "{context}");
        }
    }
}

#[test]
fn a_program_for_small_pages_would_be_noticed() {
    // Two segments, as always for amd64, whose pages have 4 KiB.
    let program = built("amd64", "kip-daemon");
    assert_eq!(not_loadable(&program, 4_096), None);
    assert!(not_loadable(&program, 65_536).is_some());
}

#[test]
fn the_sleeper_is_no_larger_than_a_small_page_on_any_processor() {
    for platform in PLATFORMS {
        let bytes = built(platform.architecture, "kip-sleep").len();
        assert!(bytes <= 4_096, "{}: {bytes} bytes", platform.architecture);
    }
}

// === the index ===

/// Runs the `hack/image.sh` of a checkout.
fn image(checkout: &Path, arguments: &[&str]) -> Output {
    Command::new(checkout.join("hack/image.sh"))
        .args(arguments)
        .env("DOCKERIMAGE_NAME", "kip-test/platforms")
        .env("DOCKERIMAGE_TAG", "1")
        .output()
        .expect("hack/image.sh starts")
}

/// The files of an image's layers.
fn files(folder: &Path, manifest: &Value) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for layer in manifest["layers"].as_array().expect("layers") {
        let digest = layer["digest"].as_str().expect("a digest");
        let blob = folder.join(digest.trim_start_matches("sha256:"));
        let blob = fs::File::open(blob).expect("the layer was pulled");
        let mut archive = tar::Archive::new(GzDecoder::new(blob));
        for entry in archive.entries().expect("a tar archive") {
            let mut entry = entry.expect("an entry");
            let path = entry.path().expect("a path").display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("readable");
            files.insert(path, content);
        }
    }
    files
}

#[test]
fn each_platform_of_the_index_has_the_programs_of_its_own_processor() {
    let registry = RegistryProcess::start();
    let address = registry.client.address();
    let output = image(
        repository(),
        &["--platforms", "linux/amd64,linux/arm64", "--push", address],
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");

    let index = registry.inspect("kip-test/platforms:1", &["--raw"]);
    // Docker adds what it says of a build, which is no image.
    let images = index["manifests"].as_array().expect("an index").iter();
    let images: Vec<_> = images
        .filter(|image| image["annotations"]["vnd.docker.reference.type"] != "attestation-manifest")
        .collect();
    assert_eq!(images.len(), PLATFORMS.len(), "{index}");
    for platform in PLATFORMS {
        let architecture = platform.architecture;
        let named = images.iter().find(|image| {
            image["platform"]["os"] == "linux" && image["platform"]["architecture"] == architecture
        });
        let named = named.unwrap_or_else(|| panic!("no {architecture}: {index}"));
        let digest = named["digest"].as_str().expect("a digest");

        let folder = TempDir::new().expect("a temporary folder");
        let pulled = Command::new("skopeo")
            .args(["copy", "--src-tls-verify=false"])
            .arg(format!("docker://{address}/kip-test/platforms@{digest}"))
            .arg(format!("dir:{}", folder.path().display()))
            .output()
            .expect("skopeo in PATH (Debian: apt-get install skopeo)");
        let said = String::from_utf8_lossy(&pulled.stderr);
        assert!(pulled.status.success(), "{architecture}: {said}");
        let json = |name: &str| -> Value {
            let text = fs::read(folder.path().join(name)).expect("it was pulled");
            serde_json::from_slice(&text).expect("JSON")
        };
        let manifest = json("manifest.json");
        let config = manifest["config"]["digest"].as_str().expect("a config");
        let config = json(config.trim_start_matches("sha256:"));
        assert_eq!(config["os"], "linux");
        assert_eq!(config["architecture"], architecture);
        assert_eq!(config["config"]["Entrypoint"], json!(["/kip-daemon"]));

        let files = files(folder.path(), &manifest);
        let paths: Vec<_> = files.keys().map(String::as_str).collect();
        assert_eq!(paths, PROGRAMS);
        for (name, content) in files {
            assert_eq!(
                machine(&content),
                platform.machine,
                "{architecture}: {name}"
            );
            let same = content == built(architecture, &name);
            assert!(same, "{architecture}: {name} is not the one in bin/");
        }
    }
}

#[test]
fn a_program_of_another_processor_is_refused() {
    let checkout = TempDir::new().expect("a temporary folder");
    for file in ["hack/image.sh", "docker/Dockerfile", "Cargo.toml"] {
        let target = checkout.path().join(file);
        fs::create_dir_all(target.parent().expect("a folder")).expect("made");
        fs::copy(repository().join(file), target).expect("copied");
    }
    let programs = checkout.path().join("bin/linux/arm64");
    fs::create_dir_all(&programs).expect("made");
    for name in PROGRAMS {
        let wrong = repository().join("bin/linux/amd64").join(name);
        fs::copy(wrong, programs.join(name)).expect("make build made it");
    }
    let output = image(checkout.path(), &["--platforms", "linux/arm64"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "image: bin/linux/arm64/kip-daemon is not for linux/arm64; make it with: make build PLATFORMS=linux/arm64\n"
    );
}
