//! Metrics, in the text format of Prometheus. All labels are from closed sets.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// All metrics; clones share them.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    requests: Family<ResultLabel, Counter>,
    seconds: Histogram,
    images: Family<OutcomeLabel, Counter>,
    left_alone: Family<ReasonLabel, Counter>,
    copies: Family<ResultLabel, Counter>,
    copy_seconds: Histogram,
    copy_bytes: Counter,
    copies_waiting: Gauge,
    certificate_until: Gauge<f64, AtomicU64>,
    proofs: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VersionLabel {
    version: &'static str,
}

/// How a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// With changes.
    Changed,
    /// As it is.
    Unchanged,
    /// It was refused.
    Denied,
    /// It was no review.
    Malformed,
}

/// From a tenth of a millisecond to the longest time that the API server waits.
const REQUEST_BUCKETS: [f64; 10] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0, 30.0,
];
const COPY_BUCKETS: [f64; 9] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];

impl Metrics {
    /// The metrics, and the registry that prints them.
    pub fn new() -> (Self, Registry) {
        let metrics = Self::default();
        let it = &metrics.0;
        let mut registry = Registry::with_prefix("image_cloner");
        let info = Family::<VersionLabel, Gauge>::default();
        let version = env!("CARGO_PKG_VERSION");
        info.get_or_create(&VersionLabel { version }).set(1);
        registry.register("build_info", "The program's version", info);
        registry.register(
            "requests",
            "Requests by how they were answered: changed, unchanged, denied, malformed",
            it.requests.clone(),
        );
        registry.register_with_unit(
            "request",
            "How long requests take",
            Unit::Seconds,
            it.seconds.clone(),
        );
        registry.register(
            "images",
            "Images of requests by what came of them: copy, late, failed, or why they were left alone",
            it.images.clone(),
        );
        registry.register(
            "left_alone",
            "Requests that were left alone as a whole, by reason",
            it.left_alone.clone(),
        );
        registry.register(
            "copies",
            "Copies by result: made, there, failed",
            it.copies.clone(),
        );
        registry.register_with_unit(
            "copy",
            "How long copies take that are made",
            Unit::Seconds,
            it.copy_seconds.clone(),
        );
        registry.register("copy_bytes", "Bytes of blobs copied", it.copy_bytes.clone());
        registry.register(
            "copies_waiting",
            "Copies that are being made or wait for their turn",
            it.copies_waiting.clone(),
        );
        registry.register(
            "certificate_end_timestamp_seconds",
            "When the certificate that is shown ends, in seconds since 1970; 0 where it is from files",
            it.certificate_until.clone(),
        );
        registry.register("proofs", "Proofs that are remembered", it.proofs.clone());
        (metrics, registry)
    }

    /// A request was answered, after so long.
    pub fn answered(&self, how: Answered, after: Duration) {
        let result = match how {
            Answered::Changed => "changed",
            Answered::Unchanged => "unchanged",
            Answered::Denied => "denied",
            Answered::Malformed => "malformed",
        };
        let requests = &self.0.requests;
        requests.get_or_create(&ResultLabel { result }).inc();
        self.0.seconds.observe(after.as_secs_f64());
    }

    /// What came of an image.
    pub fn image(&self, outcome: &'static str) {
        let images = &self.0.images;
        images.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// An object was left alone as a whole.
    pub fn left_alone(&self, reason: &'static str) {
        let left = &self.0.left_alone;
        left.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// So many copies are being made or wait.
    pub fn copies_waiting(&self, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.0.copies_waiting.set(count);
    }

    /// A copy was made.
    pub fn copy_made(&self, after: Duration, bytes: u64) {
        self.copy("made");
        self.0.copy_seconds.observe(after.as_secs_f64());
        self.0.copy_bytes.inc_by(bytes);
    }

    /// A copy was there.
    pub fn copy_there(&self) {
        self.copy("there");
    }

    /// There can be no copy.
    pub fn copy_failed(&self) {
        self.copy("failed");
    }

    fn copy(&self, result: &'static str) {
        let copies = &self.0.copies;
        copies.get_or_create(&ResultLabel { result }).inc();
    }

    /// When the certificate ends, in seconds since 1970.
    #[allow(
        clippy::cast_precision_loss,
        reason = "metrics are floats, and seconds since 1970 have room in one"
    )]
    pub fn certificate_until(&self, seconds: u64) {
        self.0.certificate_until.set(seconds as f64);
    }

    /// So many proofs are remembered.
    pub fn proofs(&self, count: usize) {
        self.0.proofs.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self(Arc::new(Inner {
            requests: Family::default(),
            seconds: Histogram::new(REQUEST_BUCKETS),
            images: Family::default(),
            left_alone: Family::default(),
            copies: Family::default(),
            copy_seconds: Histogram::new(COPY_BUCKETS),
            copy_bytes: Counter::default(),
            copies_waiting: Gauge::default(),
            certificate_until: Gauge::default(),
            proofs: Gauge::default(),
        }))
    }
}

/// What [`text`] is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics as text.
pub fn text(registry: &Registry) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = encode(&mut text, registry);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_printed() {
        let (metrics, registry) = Metrics::new();
        metrics.answered(Answered::Changed, Duration::from_millis(2));
        metrics.image("copy");
        metrics.left_alone("namespace");
        metrics.copy_made(Duration::from_secs(2), 1000);
        metrics.copy_there();
        metrics.copy_failed();
        metrics.copies_waiting(3);
        metrics.certificate_until(1_800_000_000);
        metrics.proofs(7);
        let text = text(&registry);
        for line in [
            "image_cloner_requests_total{result=\"changed\"} 1",
            "image_cloner_request_seconds_bucket{le=\"0.0025\"} 1",
            "image_cloner_images_total{outcome=\"copy\"} 1",
            "image_cloner_left_alone_total{reason=\"namespace\"} 1",
            "image_cloner_copies_total{result=\"made\"} 1",
            "image_cloner_copies_total{result=\"there\"} 1",
            "image_cloner_copies_total{result=\"failed\"} 1",
            "image_cloner_copy_seconds_sum 2.0",
            "image_cloner_copy_bytes_total 1000",
            "image_cloner_copies_waiting 3",
            "image_cloner_certificate_end_timestamp_seconds 1800000000.0",
            "image_cloner_proofs 7",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
