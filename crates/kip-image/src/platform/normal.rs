//! Canonical names of systems and architectures.

use std::borrow::Cow;

/// Lower case as Go makes it, one character from one.
fn lower(text: &str) -> Cow<'_, str> {
    let changes = |c: char| {
        if c.is_ascii() {
            c.is_ascii_uppercase()
        } else {
            c.to_lowercase().ne([c])
        }
    };
    if !text.contains(changes) {
        return text.into();
    }
    // One letter has two in lower case, the second a dot that Go leaves out.
    let first = |c: char| c.to_lowercase().next();
    text.chars().filter_map(first).collect()
}

pub(super) fn os(os: &str) -> Cow<'_, str> {
    match lower(os) {
        os if os == "macos" => "darwin".into(),
        os => os,
    }
}

/// Architecture and variant. The variant that everybody means, v8 of arm64 and v1 of amd64, is left out; that of arm,
/// v7, is written.
pub(super) fn architecture<'t>(
    architecture: &'t str,
    variant: &'t str,
) -> (Cow<'t, str>, Cow<'t, str>) {
    let (architecture, variant) = (lower(architecture), lower(variant));
    match &*architecture {
        "i386" => ("386".into(), "".into()),
        "x86_64" | "x86-64" | "amd64" => {
            let variant = match &*variant {
                "v1" => "".into(),
                _ => variant,
            };
            ("amd64".into(), variant)
        }
        "aarch64" | "arm64" => {
            let variant = match &*variant {
                "8" | "v8" | "v8.0" => "".into(),
                "9" | "9.0" | "v9.0" => "v9".into(),
                _ => variant,
            };
            ("arm64".into(), variant)
        }
        "armhf" => ("arm".into(), "v7".into()),
        "armel" => ("arm".into(), "v6".into()),
        "arm" => {
            let variant = match &*variant {
                "" | "7" => "v7".into(),
                "5" => "v5".into(),
                "6" => "v6".into(),
                "8" => "v8".into(),
                _ => variant,
            };
            ("arm".into(), variant)
        }
        _ => (architecture, variant),
    }
}

/// Whether Go knows an operating system of this name.
pub(super) fn is_known_os(os: &str) -> bool {
    const KNOWN: [&str; 17] = [
        "aix",
        "android",
        "darwin",
        "dragonfly",
        "freebsd",
        "hurd",
        "illumos",
        "ios",
        "js",
        "linux",
        "nacl",
        "netbsd",
        "openbsd",
        "plan9",
        "solaris",
        "windows",
        "zos",
    ];
    KNOWN.contains(&os)
}

/// Whether Go knows an architecture of this name.
pub(super) fn is_known_architecture(architecture: &str) -> bool {
    const KNOWN: [&str; 24] = [
        "386",
        "amd64",
        "amd64p32",
        "arm",
        "armbe",
        "arm64",
        "arm64be",
        "ppc64",
        "ppc64le",
        "loong64",
        "mips",
        "mipsle",
        "mips64",
        "mips64le",
        "mips64p32",
        "mips64p32le",
        "ppc",
        "riscv",
        "riscv64",
        "s390",
        "s390x",
        "sparc",
        "sparc64",
        "wasm",
    ];
    KNOWN.contains(&architecture)
}
