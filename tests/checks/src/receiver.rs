//! A layer and a handler, both observed.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use scrapest_webhook::service::VerifiedBody;
use scrapest_webhook::{Delivery, Provider, WebhookLayer, scrapebadger, scrapest};
use tower::util::BoxCloneService;
use tower::{Layer, ServiceExt};

use crate::oracle::{SECRET, Sender};

/// The clock of every receiver: one second after the senders' samples.
pub const NOW: u64 = 1_772_625_602;

pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

type AnyBody = http_body_util::combinators::UnsyncBoxBody<Bytes, io::Error>;
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A receiver with its own store, which its clones share.
#[derive(Clone)]
pub struct Receiver {
    sender: Sender,
    service: BoxCloneService<Request<AnyBody>, Response<Bytes>, Infallible>,
    runs: Arc<Mutex<Vec<Run>>>,
}

/// The input and the result of one run.
#[derive(Clone, Debug)]
pub struct Run {
    pub body: Bytes,
    pub kind: Option<String>,
    pub success: bool,
    signature: Option<String>,
}

impl Receiver {
    pub fn new(sender: Sender) -> Self {
        let runs = Arc::default();
        let service = match sender {
            Sender::Scrapest => behind(WebhookLayer::<scrapest::Scrapest>::new(SECRET), &runs),
            Sender::ScrapeBadger => {
                behind(WebhookLayer::<scrapebadger::ScrapeBadger>::new(SECRET), &runs)
            }
        };
        Self { sender, service, runs }
    }

    pub fn runs(&self) -> Vec<Run> {
        lock(&self.runs).clone()
    }

    /// Answers a request and checks the answer: without a genuine signature there is no success and no run, and
    /// after a success there is no other run.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        let read = Arc::new(Mutex::new(Vec::new()));
        let body = body.map_frame({
            let read = Arc::clone(&read);
            move |frame| {
                frame.data_ref().into_iter().for_each(|data| lock(&read).extend_from_slice(data));
                frame
            }
        });
        let headers = parts.headers.clone();
        let before = lock(&self.runs).len();
        let request = Request::from_parts(parts, body.map_err(io::Error::other).boxed_unsync());
        let answer = self.service.clone().oneshot(request).await;
        let answer = answer.unwrap_or_else(|never| match never {});

        let body = lock(&read).clone();
        let signature = self.sender.true_signature(&headers, &body);
        let mut runs = lock(&self.runs);
        let (past, new) = runs.split_at_mut(before);
        if !new.is_empty() || answer.status().is_success() {
            assert!(signature.is_some(), "not signed, and yet {answer:?} to {headers:?}");
        }
        assert!(new.len() <= 1, "one request ran more than once");
        for run in new {
            assert_eq!(run.body, body, "the handler was given other bytes");
            run.signature = signature.clone();
            // A test event is deduplicated by its id, which is not signed.
            let again = past.iter().any(|run| run.success && run.signature == signature);
            assert!(!again || run.kind.as_deref() == Some("test"), "a run after a success");
        }
        answer.map(Full::new)
    }
}

fn behind<P: Provider>(
    layer: WebhookLayer<P>,
    runs: &Arc<Mutex<Vec<Run>>>,
) -> BoxCloneService<Request<AnyBody>, Response<Bytes>, Infallible> {
    let runs = Arc::clone(runs);
    let handler = tower::service_fn(move |request: Request<VerifiedBody>| {
        let (parts, body) = request.into_parts();
        let delivery = parts.extensions.get::<Delivery>().cloned();
        let runs = Arc::clone(&runs);
        async move {
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let success = delivery.as_ref().is_some_and(decodes);
            let kind = delivery.as_ref().and_then(|delivery| delivery.kind().map(str::to_owned));
            lock(&runs).push(Run { body, kind, success, signature: None });
            let mut answer = Response::new(Full::<Bytes>::default());
            *answer.status_mut() = if success { 204 } else { 422 }.try_into().unwrap_or_default();
            Ok::<_, Infallible>(answer)
        }
    });
    let guarded = layer.with_clock(now).layer(handler);
    BoxCloneService::new(tower::service_fn(move |request: Request<AnyBody>| {
        let answer = guarded.clone().oneshot(request);
        async {
            let Ok(answer) = answer.await;
            let (parts, body) = answer.into_parts();
            let Ok(body) = body.collect().await;
            Ok(Response::from_parts(parts, body.to_bytes()))
        }
    }))
}

/// Decodes the event like the extractors. A decoding error must be one short line that is safe to log.
fn decodes(delivery: &Delivery) -> bool {
    let said = match delivery.sender() {
        "scrapest" => scrapest::Event::try_from(delivery).map(|event| format!("{event:?}")),
        _ => scrapebadger::Event::try_from(delivery).map(|event| format!("{event:?}")),
    };
    if said.is_ok() {
        super::reader::agrees(delivery);
    }
    if let Err(error) = &said {
        let text = error.to_string();
        let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        // The layer would catch a failure here and give an answer that no check expects.
        assert!(plain && text.len() <= 512, "{text:?}");
    }
    said.is_ok()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
