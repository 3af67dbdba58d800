//! The architectures of nodes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An architecture that our pods run on, on Linux: those that the sleep program is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// 64 bit of AMD and Intel.
    Amd64,
    /// 64 bit of Arm.
    Arm64,
}

impl Architecture {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// Kubernetes' word for it, which is also that of image indexes: the value of the label `kubernetes.io/arch`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

impl Architecture {
    /// What is its own of two things in the order of [`Architecture::ALL`].
    pub const fn own<T>(self, [amd64, arm64]: &[T; Self::ALL.len()]) -> &T {
        match self {
            Self::Amd64 => amd64,
            Self::Arm64 => arm64,
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
