//! The log, on standard error.

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Logs what the filter lets through: a JSON object a line, or text for people.
///
/// # Panics
/// When it is called twice.
pub fn start(filter: Targets, json: bool) {
    let registry = tracing_subscriber::registry().with(filter);
    let layer = layer().with_writer(std::io::stderr);
    if json {
        registry.with(layer.json().flatten_event(true)).init();
    } else {
        let plain = layer.with_target(false).with_ansi(false);
        registry.with(plain).init();
    }
}
