//! Log lines about faults that only occur in actix-web: in its extractors, its middleware, and its runtime.

use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, Error, HttpResponse, test, web};
use futures_util::FutureExt;
use scrapest_webhook::testing::{self, SignedRequest};
use scrapest_webhook::{Delivery, ScrapestWebhookLayer};
use support::logged::{Line, Logged};
use tokio::time::sleep;

const SECRET: &str = "whsec_canary_7b1d5f0c93aa4e21";

fn layer() -> ScrapestWebhookLayer {
    ScrapestWebhookLayer::new(SECRET)
}

fn signed() -> SignedRequest {
    testing::scrapest(SECRET).sign()
}

async fn status<S, B>(app: &S, signed: &SignedRequest) -> u16
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
{
    match app.call(signed.clone().into_actix("/").to_request()).await {
        Ok(response) => response.status().as_u16(),
        Err(error) => error.as_response_error().status_code().as_u16(),
    }
}

/// Returns the only warning.
fn warning(logged: &Logged) -> Line {
    let lines = logged.warnings();
    let [line] = &lines[..] else { panic!("{lines:?}") };
    line.clone()
}

#[actix_web::test]
async fn a_refusal_by_an_extractor_is_logged() {
    let (logged, _guard) = Logged::begin();
    let run = web::post().to(async |_: web::Json<Vec<u8>>| HttpResponse::Ok());
    let app = App::new().service(web::resource("/").route(run).wrap(layer()));
    let app = test::init_service(app).await;
    let request = signed().with_header("content-type", "application/json");
    assert_eq!(status(&app, &request).await, 400);
    let line = warning(&logged);
    assert!(line.message().contains("one of its extractors"), "{line:?}");
    assert_eq!((&*line.fields["status"], &*line.fields["attempt"]), ("400", "1"));
}

async fn reads_the_body(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    drop(request.extract::<web::Bytes>().await?);
    request.set_payload(Payload::None);
    next.call(request).await
}

#[actix_web::test]
async fn a_body_read_by_a_middleware_in_front_is_logged() {
    let (logged, _guard) = Logged::begin();
    let run = web::post().to(async |_: Delivery| HttpResponse::Ok());
    // The middleware that is wrapped last runs first.
    let resource = web::resource("/").route(run).wrap(layer()).wrap(from_fn(reads_the_body));
    let app = test::init_service(App::new().service(resource)).await;
    let request = signed();
    let length = request.body().len().to_string();
    let request = request.with_header("content-length", length.clone());
    for _ in 0..20 {
        assert_eq!(status(&app, &request).await, 401);
    }
    let line = warning(&logged);
    assert!(
        line.message().contains("in front of the webhook layer has read or changed the body"),
        "{line:?}"
    );
    assert_eq!((&*line.fields["content_length"], &*line.fields["body_bytes"]), (&*length, "0"));
}

/// A handler that never ends and sends its delivery to the test.
fn hanging(begun: Sender<Delivery>) -> actix_web::Route {
    let begun = Mutex::new(begun);
    let begun = std::sync::Arc::new(begun);
    web::post().to(move |delivery: Delivery| {
        begun.lock().unwrap().send(delivery).unwrap();
        std::future::pending::<HttpResponse>()
    })
}

/// `#[tokio::test]` cannot spawn a task that is not `Send`.
#[tokio::test(start_paused = true)]
async fn a_run_ended_with_the_actix_runtime_is_logged_and_its_lease_is_lost() {
    for is_dropped in [false, true] {
        let (logged, _guard) = Logged::begin();
        let (begun, runs) = mpsc::channel();
        let resource = web::resource("/").route(hanging(begun)).wrap(layer());
        let app = test::init_service(App::new().service(resource)).await;
        let request = signed();
        if is_dropped {
            let mut answer = Box::pin(status(&app, &request));
            assert!((&mut answer).now_or_never().is_none());
            drop(answer);
        } else {
            assert_eq!(status(&app, &request).await, 503, "late");
        }
        let lines = logged.warnings();
        let said = lines.iter().filter(|line| line.message().contains("no runtime")).count();
        assert_eq!(said, 1, "{lines:?}");
        assert!(runs.recv().unwrap().is_lease_lost());
        // The lease expires.
        sleep(Duration::from_secs(16)).await;
        let mut retry = Box::pin(status(&app, &request));
        assert!((&mut retry).now_or_never().is_none());
        assert_eq!(runs.try_recv().unwrap().attempt(), 2);
    }
}

#[actix_web::test]
async fn a_run_whose_client_leaves_continues_in_the_actix_runtime() {
    let (logged, _guard) = Logged::begin();
    let (begun, runs) = mpsc::channel();
    let layer = layer();
    let resource = web::resource("/").route(hanging(begun)).wrap(layer.clone());
    let app = test::init_service(App::new().service(resource)).await;
    let request = signed();
    let mut answer = Box::pin(status(&app, &request));
    assert!((&mut answer).now_or_never().is_none());
    drop(answer);
    assert!(!runs.recv().unwrap().is_lease_lost());
    assert!(!layer.drain(Duration::from_millis(50)).await, "it runs");
    assert!(logged.warnings().is_empty());
}
