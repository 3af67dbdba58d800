//! Passes the link arguments of the freestanding program; does nothing for the library.
//!
//! Every argument means the same to a compiler driver (`cc`, `aarch64-linux-gnu-gcc`) and to a bare linker
//! (`rust-lld`), so that either can be configured as the target's linker.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=link.ld");
    if env::var_os("CARGO_FEATURE_FREESTANDING").is_none() {
        return;
    }
    let script = format!("{}/link.ld", env!("CARGO_MANIFEST_DIR"));
    // arm64 kernels run with pages of 4, 16 or 64 KiB, and load no segment aligned to less than theirs.
    let page = match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("aarch64") => "max-page-size=65536",
        _ => "max-page-size=4096",
    };
    // Nobody reads section headers at run time. (A linker that does not know the option warns and keeps them.)
    let arguments = [
        "-nostdlib",
        "-static",
        "-no-pie",
        "-z",
        "noexecstack",
        "-z",
        "nosectionheader",
        "-z",
        page,
        "-T",
        &script,
    ];
    for argument in arguments {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
