//! The metrics match the documentation, and report what happened.

use std::collections::BTreeSet;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use super::*;

/// The table of the documentation: name, type, labels.
fn table() -> BTreeSet<[String; 3]> {
    let rows = include_str!("../../src/queue/metrics.md").lines();
    let rows = rows.filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let mut cells = row.split('|').map(|cell| cell.replace(['`', ' '], ""));
        std::array::from_fn(|_| cells.next().unwrap())
    })
    .collect()
}

#[test]
fn the_documented_metrics_are_emitted_with_the_right_values() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    ::metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let place = Place::sqlite();
            let queue = place.queue().await;
            let request = tweet("fine");
            for _ in 0..2 {
                assert_eq!(send(&queue, &request).await, 202);
            }
            push(&queue, "dies").await;
            let act = |job: Job| async move {
                match text_of(&job).as_str() {
                    "dies" => Err(scrapest_webhook::queue::JobError::dead("of no use")),
                    _ => Ok(()),
                }
            };
            let working = Working::start(&queue, |worker| worker, act);
            until(&queue, |jobs| jobs.iter().all(|job| job.settled_at.is_some())).await;
            assert!(working.stop().await);
        });
    });
    let all = snapshotter.snapshot().into_vec();
    let all: Vec<_> = all.iter().filter(|(key, ..)| key.key().name().contains("_queue_")).collect();
    let emitted = all.iter().map(|(key, unit, description, _)| {
        assert!(unit.is_some() && description.is_some(), "{key:?} is not described");
        let (kind, key) = (format!("{:?}", key.kind()).to_lowercase(), key.key());
        let labels: Vec<_> = key.labels().map(::metrics::Label::key).collect();
        [key.name().to_owned(), kind, labels.join(",")]
    });
    assert_eq!(emitted.collect::<BTreeSet<_>>(), table());

    let counted = |name: &str, label: &str| {
        let found = all.iter().find(|(key, ..)| {
            let has_label = key.key().labels().any(|found| found.value() == label);
            key.key().name().ends_with(name) && has_label
        });
        match found {
            Some((.., DebugValue::Counter(count))) => *count,
            _ => 0,
        }
    };
    assert_eq!((counted("pushes_total", "stored"), counted("pushes_total", "known")), (2, 1));
    assert_eq!((counted("runs_total", "done"), counted("runs_total", "dead")), (1, 1));
    let started = all.iter().find(|(key, ..)| key.key().name().ends_with("start_seconds"));
    assert!(matches!(started, Some((.., DebugValue::Histogram(times))) if times.len() == 2));
}
