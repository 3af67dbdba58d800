//! The client: what all requests share.

use std::sync::Arc;

use crate::settings::{Settings, SettingsError};

/// A client of registries. A clone is cheap, and shares connections and tokens.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
}

impl Client {
    /// A client. Nothing is sent yet.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            shared: Arc::new(Shared { settings }),
        })
    }

    /// What it was made with.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }
}
