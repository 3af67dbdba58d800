//! Takes the agents into the program, where they have been built: `KIP_AGENTS` names the folder that has `amd64/kip-agent` and
//! `arm64/kip-agent`.

use std::fmt::Write as _;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-env-changed=KIP_AGENTS");
    let folder = std::env::var("KIP_AGENTS").unwrap_or_default();
    let mut table = String::from("pub(super) const EMBEDDED: &[(&str, &[u8])] = &[\n");
    for architecture in ["amd64", "arm64"] {
        let path = Path::new(&folder).join(architecture).join("kip-agent");
        if folder.is_empty() {
            continue;
        }
        println!("cargo::rerun-if-changed={}", path.display());
        assert!(
            path.is_file(),
            "KIP_AGENTS={folder}: there is no {}",
            path.display()
        );
        let _ = writeln!(
            table,
            "    ({architecture:?}, include_bytes!({:?})),",
            path.display().to_string()
        );
    }
    table.push_str("];\n");
    let out = std::env::var("OUT_DIR").expect("cargo sets it");
    std::fs::write(Path::new(&out).join("agents.rs"), table)
        .expect("cargo's folder can be written to");
}
