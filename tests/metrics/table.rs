//! The table in the documentation, the descriptions, and the emitted metrics agree.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::StatusCode;
use axum::routing::post;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use crate::store::push_out;
use crate::{app, forged, genuine, layer, recorded, send};

/// The rows of the documentation: name, type, unit, labels.
fn table() -> BTreeSet<[String; 4]> {
    let rows = include_str!("../../src/metrics.rs").lines();
    let rows = rows.filter_map(|line| line.strip_prefix("//! | `"));
    rows.map(|row| {
        let mut cells = row.split('|').map(|cell| cell.replace(['`', ' '], ""));
        std::array::from_fn(|_| cells.next().unwrap())
    })
    .collect()
}

#[test]
fn the_documented_the_described_and_the_emitted_metrics_are_the_same() {
    let snapshotter = recorded(async |_| {
        push_out().await;
        let accepting = app(layer(), async |_| StatusCode::NO_CONTENT);
        send(&accepting, &genuine()).await;
        let observing = layer().with_insecure_observe_only();
        let observing = axum::Router::new().route("/", post(|| async {}).route_layer(observing));
        send(&observing, &forged()).await;
    });
    let all = snapshotter.snapshot().into_vec();
    let emitted = all.iter().map(|(key, unit, description, _)| {
        let (kind, key) = (format!("{:?}", key.kind()).to_lowercase(), key.key());
        assert!(
            description.as_ref().is_some_and(|text| !text.is_empty()),
            "{key} is not described"
        );
        let unit = format!("{:?}", unit.unwrap()).to_lowercase();
        let labels: Vec<_> = key.labels().map(metrics::Label::key).collect();
        [key.name().to_owned(), kind, unit, labels.join(",")]
    });
    assert_eq!(emitted.collect::<BTreeSet<_>>(), table());

    let recorder = Asked::default();
    metrics::with_local_recorder(&recorder, scrapest_webhook::metrics::describe);
    let described = recorder.described.into_inner().unwrap();
    assert_eq!(described, table().into_iter().map(|[name, ..]| name).collect());
}

#[test]
fn a_metric_handle_is_registered_only_once_for_many_requests() {
    let recorder = Asked::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let app = app(layer(), async |_| StatusCode::NO_CONTENT);
            let mut asked = Vec::new();
            for _ in 0..3 {
                let request = genuine();
                for request in [&request, &request, &forged()] {
                    send(&app, request).await;
                }
                asked.push(recorder.registered.load(Ordering::Relaxed));
            }
            assert!(asked[0] > 0 && asked[1..] == [asked[0]; 2], "{asked:?}");
        });
    });
}

/// Counts the metrics that are registered.
#[derive(Default)]
struct Asked {
    described: Mutex<BTreeSet<String>>,
    registered: AtomicUsize,
}

impl Asked {
    fn note(&self, name: &KeyName) {
        self.described.lock().unwrap().insert(name.as_str().to_owned());
    }

    fn count(&self) {
        self.registered.fetch_add(1, Ordering::Relaxed);
    }
}

impl Recorder for Asked {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.note(&name);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.note(&name);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.note(&name);
    }

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        self.count();
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        self.count();
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        self.count();
        Histogram::noop()
    }
}
