//! The agents, by architecture.

use std::borrow::Cow;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/agents.rs"));
}

/// A folder with other agents than those of this program, as `KIP_AGENTS` has it when it is built.
const OVERRIDE: &str = "KUBECTL_PULL_IMAGE_AGENTS";

/// The most bytes that a ConfigMap has.
const MAX: usize = 1 << 20;

/// The agent for nodes of this architecture, by Go's `GOARCH`.
///
/// # Errors
/// When there is none.
pub fn agent(architecture: &str) -> Result<Cow<'static, [u8]>> {
    let agent = match std::env::var_os(OVERRIDE) {
        Some(folder) => {
            let path = Path::new(&folder).join(architecture).join("kip-agent");
            let read = std::fs::read(&path);
            Cow::Owned(read.with_context(|| format!("{OVERRIDE}: {}", path.display()))?)
        }
        None => Cow::Borrowed(of(embedded::EMBEDDED, architecture)?),
    };
    let size = agent.len();
    ensure!(
        size < MAX,
        "the agent for {architecture} has {size} bytes, and a ConfigMap takes {MAX} at most"
    );
    Ok(agent)
}

fn of<'a>(agents: &[(&str, &'a [u8])], architecture: &str) -> Result<&'a [u8]> {
    if let Some((_, agent)) = agents.iter().find(|(known, _)| *known == architecture) {
        return Ok(agent);
    }
    if agents.is_empty() {
        bail!(
            "this program was built without agents; `make pull-build` builds it with them, and {OVERRIDE} names a folder of others"
        );
    }
    let known: Vec<_> = agents.iter().map(|(known, _)| *known).collect();
    bail!(
        "the node's architecture is {architecture}; there are agents for {}",
        known.join(" and ")
    )
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn what_there_is_no_agent_for_is_named() {
        let agents: &[(&str, &[u8])] = &[("amd64", b"a"), ("arm64", b"b")];
        assert_eq!(of(agents, "arm64").unwrap(), b"b");
        let error = of(agents, "riscv64").unwrap_err().to_string();
        assert!(
            error.contains("riscv64") && error.contains("amd64 and arm64"),
            "{error}"
        );
        assert!(
            of(&[], "amd64")
                .unwrap_err()
                .to_string()
                .contains("make pull-build")
        );
    }
}
