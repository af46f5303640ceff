//! The metrics, through the [`metrics`](https://docs.rs/metrics) facade (feature `metrics`), for any of its
//! exporters. `examples/prometheus.rs` serves `/metrics` on axum; `examples/` also has a Grafana dashboard and alert
//! rules.
//!
//! | metric | type | unit | labels | meaning |
//! |---|---|---|---|---|
//! | `scrapest_webhook_deliveries_total` | counter | count | `sender`, `kind`, `outcome` | authentic, fresh requests, each counted once with its outcome; includes answered challenges |
//! | `scrapest_webhook_verified_total` | counter | count | `sender`, `signed_with` | requests with a valid signature, by the matching secret: shows when an old one can be removed |
//! | `scrapest_webhook_refusals_total` | counter | count | `sender`, `reason` | requests that were refused in the handler's place |
//! | `scrapest_webhook_would_refuse_total` | counter | count | `sender`, `reason` | requests that observe-only mode passed on, by the reason for which they would not have reached the handler or got its answer |
//! | `scrapest_webhook_duration_seconds` | histogram | seconds | `sender`, `outcome` | from a request's headers to its end, including its record |
//! | `scrapest_webhook_body_duration_seconds` | histogram | seconds | `sender` | from a request's headers to the end of its body |
//! | `scrapest_webhook_body_bytes` | histogram | bytes | `sender` | the length of a complete body |
//! | `scrapest_webhook_handler_duration_seconds` | histogram | seconds | `sender` | how long a handler ran, including late and failed ones |
//! | `scrapest_webhook_running_handlers` | gauge | count | `sender` | running handlers |
//! | `scrapest_webhook_waiters` | gauge | count | `sender` | duplicates that wait for a running attempt |
//! | `scrapest_webhook_bytes_in_flight` | gauge | bytes | `sender` | bodies in memory, complete or incomplete |
//! | `scrapest_webhook_pending_settlements` | gauge | count | `sender`, `verb` | settlements that wait in the background for a store that is down |
//! | `scrapest_webhook_last_accepted_timestamp_seconds` | gauge | seconds | `sender` | when a handler last succeeded, in Unix time; absent before the first time |
//! | `scrapest_webhook_late_successes_total` | counter | count | `sender` | handlers that succeeded after their lease was lost: each may have run twice |
//! | `scrapest_webhook_refreshed_total` | counter | count | `sender` | requests whose delivery id was handled before with other bytes: answered 200 as duplicates; check whether the sender uses one id for several events |
//! | `scrapest_webhook_takeovers_total` | counter | count | | records that were claimed again after their lease ended without a result: two per delivery |
//! | `scrapest_webhook_store_duration_seconds` | histogram | seconds | `verb` | how long the store took to answer |
//! | `scrapest_webhook_store_errors_total` | counter | count | `verb` | operations that the store did not answer, or not in time |
//! | `scrapest_webhook_records` | gauge | count | `sender` | records in the memory store: two per delivery |
//! | `scrapest_webhook_oldest_record_timestamp_seconds` | gauge | seconds | `sender` | when the oldest record of the memory store was claimed, in Unix time; the current time if there is none |
//! | `scrapest_webhook_evictions_total` | counter | count | | records that were evicted from a full memory store before they expired |
//!
//! The metrics of a queue are in the table of the module `queue`.
//!
//! Labels come from fixed sets:
//!
//! * `sender` is the [`name`](crate::Provider::name) of the provider;
//! * `kind` is one of its [`kinds`](crate::Provider::kinds), else `other`, or `unknown` if the request names none;
//! * `outcome` is `completed` (2xx), `handler_refused` (any other status), `handler_failed` (no answer),
//!   `would_refuse`, or a reason;
//! * `reason` is the [`as_str`](crate::RejectionKind::as_str) of a [`RejectionKind`](crate::RejectionKind). `stale`
//!   (authentic, but late: check your clock) is separate from `wrong_signature`. The counters of all refusals exist
//!   from the first request, with 0;
//! * `signed_with` is the [label](crate::Secret::with_label) of a configured secret;
//! * `verb` is `claim`, `renew`, `complete` or `release`.
//!
//! A handler that exceeds the answer deadline counts as a refusal at that time, `answer_deadline`, and as a delivery
//! when it ends, with its outcome. So refusals are the answers that the sender got, and deliveries are the final
//! results.
//!
//! Exporters that need buckets for histograms, such as `metrics-exporter-prometheus`, take [`SECONDS_BUCKETS`] and
//! [`BYTES_BUCKETS`]; see the manual's page [observability](crate::guide::observability#prometheus).
//!
//! Install the recorder before the first request. A layer registers and describes its metrics at its first request,
//! and keeps that recorder from then on.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

pub(crate) const DELIVERIES: &str = "scrapest_webhook_deliveries_total";
pub(crate) const VERIFIED: &str = "scrapest_webhook_verified_total";
pub(crate) const REFUSALS: &str = "scrapest_webhook_refusals_total";
pub(crate) const WOULD_REFUSE: &str = "scrapest_webhook_would_refuse_total";
pub(crate) const DURATION: &str = "scrapest_webhook_duration_seconds";
pub(crate) const BODY_DURATION: &str = "scrapest_webhook_body_duration_seconds";
pub(crate) const BODY_BYTES: &str = "scrapest_webhook_body_bytes";
pub(crate) const HANDLER_DURATION: &str = "scrapest_webhook_handler_duration_seconds";
pub(crate) const RUNNING: &str = "scrapest_webhook_running_handlers";
pub(crate) const WAITERS: &str = "scrapest_webhook_waiters";
pub(crate) const BYTES_IN_FLIGHT: &str = "scrapest_webhook_bytes_in_flight";
pub(crate) const PENDING: &str = "scrapest_webhook_pending_settlements";
pub(crate) const LAST_ACCEPTED: &str = "scrapest_webhook_last_accepted_timestamp_seconds";
pub(crate) const LATE_SUCCESSES: &str = "scrapest_webhook_late_successes_total";
pub(crate) const REFRESHED: &str = "scrapest_webhook_refreshed_total";
pub(crate) const TAKEOVERS: &str = "scrapest_webhook_takeovers_total";
pub(crate) const STORE_DURATION: &str = "scrapest_webhook_store_duration_seconds";
pub(crate) const STORE_ERRORS: &str = "scrapest_webhook_store_errors_total";
pub(crate) const RECORDS: &str = "scrapest_webhook_records";
pub(crate) const OLDEST_RECORD: &str = "scrapest_webhook_oldest_record_timestamp_seconds";
pub(crate) const EVICTIONS: &str = "scrapest_webhook_evictions_total";

/// Buckets for the histograms in seconds, whose names end in `_seconds`: from a fast store to a run that is dropped
/// at its default limit.
///
/// The dashboard and the alert rules in `examples/` need buckets. Without them `metrics-exporter-prometheus` renders
/// histograms as summaries, and the panels stay empty.
pub const SECONDS_BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0,
];

/// Buckets for the histogram in bytes, whose name ends in `_bytes`: up to the default body limit.
pub const BYTES_BUCKETS: &[f64] =
    &[256.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0];

/// Describes every metric to the installed recorder. A layer does this itself at its first request; call it if the
/// recorder needs the descriptions earlier.
///
/// ```
/// # let recorder = metrics_util::debugging::DebuggingRecorder::new();
/// # metrics::with_local_recorder(&recorder, || {
/// scrapest_webhook::metrics::describe();
/// # });
/// ```
pub fn describe() {
    use Unit::{Bytes, Count, Seconds};

    describe_counter!(DELIVERIES, Count, "Authentic, fresh requests, by outcome");
    describe_counter!(VERIFIED, Count, "Requests with a valid signature, by secret");
    describe_counter!(REFUSALS, Count, "Requests that the layer refused, by reason");
    describe_counter!(WOULD_REFUSE, Count, "Requests that observe-only mode passed on, by reason");
    describe_histogram!(DURATION, Seconds, "From a request's headers to its end");
    describe_histogram!(BODY_DURATION, Seconds, "From a request's headers to the end of its body");
    describe_histogram!(BODY_BYTES, Bytes, "Length of a complete body");
    describe_histogram!(HANDLER_DURATION, Seconds, "How long a handler ran");
    describe_gauge!(RUNNING, Count, "Running handlers");
    describe_gauge!(WAITERS, Count, "Duplicates that wait for a running attempt");
    describe_gauge!(BYTES_IN_FLIGHT, Bytes, "Bodies in memory, complete or incomplete");
    describe_gauge!(PENDING, Count, "Settlements that wait for a store that is down");
    describe_gauge!(LAST_ACCEPTED, Seconds, "When a handler last succeeded, in Unix time");
    describe_counter!(LATE_SUCCESSES, Count, "Handlers that succeeded after losing their lease");
    describe_counter!(REFRESHED, Count, "Duplicates by id whose bytes differed");
    describe_counter!(TAKEOVERS, Count, "Records claimed again after their lease ended");
    describe_histogram!(STORE_DURATION, Seconds, "How long the store took to answer");
    describe_counter!(STORE_ERRORS, Count, "Operations that the store did not answer in time");
    describe_gauge!(RECORDS, Count, "Records in the memory store");
    describe_gauge!(OLDEST_RECORD, Seconds, "When the oldest record was claimed, in Unix time");
    describe_counter!(EVICTIONS, Count, "Records evicted before they expired");
}
