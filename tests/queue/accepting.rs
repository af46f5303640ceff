//! A 202 means that the delivery is stored, once.

use super::*;

pub(crate) async fn a_202_means_that_the_job_is_visible_to_other_processes(place: Place) {
    let queue = place.queue().await;
    push(&queue, "one").await;
    // Like another process, it shares only the database.
    let other = place.queue().await;
    let jobs = other.list(None, 0, 10).await.unwrap();
    let [job] = &jobs[..] else { panic!("{jobs:?}") };
    assert_eq!((job.state, job.sender.as_str()), (JobState::Waiting, "scrapest"));
    assert!(job.body_bytes > Some(0));
    assert!(queue.is_ready().await && other.is_ready().await);
    // The readiness check stores nothing.
    assert_eq!(other.list(None, 0, 10).await.unwrap(), jobs);
}

pub(crate) async fn repeated_deliveries_are_one_job(place: Place) {
    let queue = place.queue().await;
    let request = tweet("again");
    let (go_on, may_end) = tokio::sync::watch::channel(false);
    let act = move |_| {
        let mut may_end = may_end.clone();
        async move {
            may_end.wait_for(|may| *may).await?;
            Ok(())
        }
    };
    for _ in 0..2 {
        assert_eq!(send(&queue, &request).await, 202, "pending");
    }
    let mut working = Working::start(&queue, |worker| worker, act);
    assert_eq!(working.next().await, "again");
    assert_eq!(send(&queue, &request).await, 202, "running");
    go_on.send_replace(true);
    until_all_are(&queue, JobState::Done).await;
    assert_eq!(send(&queue, &request).await, 202, "done");
    assert!(working.stop().await);
    let dead = tweet("dead");
    assert_eq!(send(&queue, &dead).await, 202);
    let working = Working::start(&queue, |worker| worker.with_max_attempts(1), fails);
    until(&queue, |jobs| jobs.last().is_some_and(|job| job.state == JobState::Dead)).await;
    assert_eq!(send(&queue, &dead).await, 202, "dead");
    let jobs = queue.list(None, 0, 10).await.unwrap();
    let states: Vec<_> = jobs.iter().map(|job| (job.state, job.failed)).collect();
    assert_eq!(states, [(JobState::Done, 0), (JobState::Dead, 1)]);
    working.stop().await;
}

async fn fails(_: Job) -> Result<(), scrapest_webhook::queue::JobError> {
    Err(scrapest_webhook::queue::JobError::new("no"))
}

pub(crate) async fn many_concurrent_duplicates_are_one_job(place: Place) {
    let queues = [place.queue().await, place.queue().await];
    let request = tweet("crowd");
    let sending = (0..40).map(|number| {
        let (queue, request) = (queues[number % 2].clone(), request.clone());
        tokio::spawn(async move { send(&queue, &request).await })
    });
    for answer in sending.collect::<Vec<_>>() {
        assert_eq!(answer.await.unwrap(), 202);
    }
    assert_eq!(queues[0].list(None, 0, 10).await.unwrap().len(), 1);
}

pub(crate) async fn a_job_has_the_fields_of_its_delivery(place: Place) {
    let queue = place.queue().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let signed = tweet("all of it");
    let mut request = signed.clone().into_http::<Body>("/");
    let headers = request.headers_mut();
    headers.insert("traceparent", trace.parse().unwrap());
    headers.insert("tracestate", "vendor=1".parse().unwrap());
    headers.insert("content-type", "application/json".parse().unwrap());
    let app: Router = Router::new().route("/", post(queue.accept()).route_layer(layer()));
    assert_eq!(app.oneshot(request).await.unwrap().status(), 202);
    let (told, mut jobs) = mpsc::unbounded_channel();
    let working = Working::start(
        &queue,
        |worker| worker,
        move |job| {
            told.send(job).unwrap();
            async { Ok(()) }
        },
    );
    let job = tokio::time::timeout(EVENTUALLY, jobs.recv()).await.unwrap().unwrap();
    assert_eq!((job.sender(), job.kind(), job.attempt()), ("scrapest", Some("tweet.created"), 1));
    assert_eq!(job.timestamp().unwrap().unix_timestamp() as u64 / 100, now() / 100);
    assert_eq!(job.content_type(), Some("application/json"));
    assert_eq!((job.traceparent(), job.tracestate()), (Some(trace), Some("vendor=1")));
    assert_eq!(job.body(), signed.body());
    let event: scrapest_webhook::scrapest::Event = job.event().unwrap();
    assert_eq!(event.tweet().unwrap().text.as_deref(), Some("all of it"));
    assert!(job.fence().get() >= 1);
    assert!(!format!("{job:?}").contains("all of it"), "{job:?}");
    working.stop().await;
}

pub(crate) async fn a_body_of_1_mib_arrives_unchanged(place: Place) {
    let queue = place.queue().await;
    let begin = format!(
        r#"{{"event": "tweet.created", "timestamp": {}, "data": {{"id": "1", "text": ""#,
        now()
    );
    let body = |length: usize| format!("{begin}{}\"}}}}", "x".repeat(length - begin.len() - 3));
    let longest = request(&body(1_048_576));
    assert_eq!(send(&queue, &longest).await, 202);
    assert_eq!(send(&queue, &request(&body(1_048_577))).await, 413);
    let (told, mut jobs) = mpsc::unbounded_channel();
    let working = Working::start(
        &queue,
        |worker| worker,
        move |job| {
            told.send(job.body().clone()).unwrap();
            async { Ok(()) }
        },
    );
    let body = tokio::time::timeout(EVENTUALLY, jobs.recv()).await.unwrap().unwrap();
    assert!(body == longest.body(), "{} bytes", body.len());
    working.stop().await;
}

pub(crate) async fn a_kind_that_contains_nul_is_stored(place: Place) {
    let queue = place.queue().await;
    let body = format!(r#"{{"event": "odd\u0000kind", "timestamp": {}, "data": {{}}}}"#, now());
    assert_eq!(send(&queue, &request(&body)).await, 202);
    let jobs = queue.list(None, 0, 10).await.unwrap();
    assert_eq!(jobs[0].kind.as_deref(), Some("odd\u{fffd}kind"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_for_another_url_scheme_says_what_is_valid() {
    for url in ["hunter2", "redis://:hunter2@localhost", "", "sqlite::memory:", "sqlite:"] {
        let error = Queue::open(url).await.unwrap_err().to_string();
        assert!(error.starts_with("queue: ") && error.contains("expected"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

/// The same handler in actix-web.
#[actix_web::test]
async fn actix_web_also_answers_202() {
    use actix_web::{App, test, web};

    let place = Place::sqlite();
    let queue = place.queue().await;
    let resource = web::resource("/").route(web::post().to(queue.accept())).wrap(layer());
    let app = test::init_service(App::new().service(resource)).await;
    let response = test::call_service(&app, tweet("one").into_actix("/").to_request()).await;
    assert_eq!(response.status(), 202);
    assert_eq!(queue.depth().await.unwrap().waiting, 1);
}
