//! What the init container `copy-sleep` tells about its node in its termination message: see `kip-sleep install`.

use crate::architecture::Architecture;

/// A node, as a container on it sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeReport {
    /// The processor's architecture.
    pub architecture: Architecture,
    /// The size in bytes of the disk on which kubelet keeps volumes, where it is known.
    pub disk: Option<u64>,
}

impl NodeReport {
    /// Reads e.g. `amd64 107374182400` or `amd64`. Nothing else is a report: the message may come from a program that is
    /// not ours, or from kubelet.
    pub fn parse(message: &str) -> Option<Self> {
        let (word, disk) = match message.split_once(' ') {
            Some((word, bytes)) => (word, Some(number(bytes)?)),
            None => (message, None),
        };
        let architecture = Architecture::ALL.into_iter().find(|a| a.as_str() == word)?;
        Some(Self {
            architecture,
            // A file system that has no size of its own has none that is known.
            disk: disk.filter(|bytes| *bytes > 0),
        })
    }
}

/// Digits alone, for Rust's numbers may have a sign, and as few as our program writes.
fn number(digits: &str) -> Option<u64> {
    let is_plain = digits == "0" || !digits.starts_with('0');
    let is_number = is_plain && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(architecture: Architecture, disk: Option<u64>) -> NodeReport {
        NodeReport { architecture, disk }
    }

    #[test]
    fn architecture_and_disk_are_read() {
        let parse = NodeReport::parse;
        let amd64 = |disk| Some(report(Architecture::Amd64, disk));
        assert_eq!(parse("amd64 107374182400"), amd64(Some(107_374_182_400)));
        assert_eq!(parse("amd64 18446744073709551615"), amd64(Some(u64::MAX)));
        assert_eq!(parse("amd64"), amd64(None));
        let arm64 = report(Architecture::Arm64, Some(1));
        assert_eq!(parse("arm64 1"), Some(arm64));
    }

    #[test]
    fn a_disk_without_a_size_is_not_known() {
        let expected = report(Architecture::Arm64, None);
        assert_eq!(NodeReport::parse("arm64 0"), Some(expected));
    }

    #[test]
    fn what_the_sleep_program_writes_is_read() {
        for architecture in Architecture::ALL {
            for disk in [None, Some(1), Some(64 << 30), Some(u64::MAX)] {
                let mut text = String::new();
                kip_sleep::node::describe(architecture.as_str(), disk, &mut text).unwrap();
                let expected = report(architecture, disk);
                assert_eq!(NodeReport::parse(&text), Some(expected));
            }
        }
    }

    #[test]
    fn any_other_text_is_no_report() {
        let long = [
            format!("amd64 {}", "9".repeat(4096)),
            format!("amd64 {}1", "0".repeat(4096)),
            "amd64".repeat(1000),
            " ".repeat(4096),
        ];
        let short = [
            "",
            " ",
            "\0",
            "AMD64",
            "Amd64 1",
            "riscv64 1",
            "x86_64",
            "amd641",
            "amd6",
            "amd64 ",
            " amd64",
            "amd64 1 ",
            "amd64  1",
            "amd64 1 1",
            "amd64\t1",
            "amd64\n",
            "amd64 1\n",
            "amd64\u{a0}1",
            "amd64 +1",
            "amd64 -1",
            "amd64 0x10",
            "amd64 1e9",
            "amd64 1.5",
            "amd64 1_000",
            "amd64 01",
            "amd64 00",
            "amd64 \u{661}",
            "amd64 1\0",
            "amd64 18446744073709551616",
            "arm64 amd64",
            "amd64,arm64",
            "ａmd64 1",
            "\u{feff}amd64",
            "The container could not be located when the pod was terminated",
        ];
        for message in short.into_iter().chain(long.iter().map(String::as_str)) {
            assert_eq!(NodeReport::parse(message), None, "{message:?}");
        }
    }
}
