//! A service inside the layer that is not ready: the layer polls it after the claim, and no longer than the
//! sender waits.

use std::cell::Cell;
use std::future::{Ready, ready};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::{Error, HttpMessage, HttpResponse};
use scrapest_webhook::testing::{self, SignedRequest};
use scrapest_webhook::{Delivery, Rejection, RejectionKind, ScrapestWebhookLayer};
use tokio::time::Instant;

const SECRET: &str = "whsec_canary_7b1d5f0c93aa4e21";

/// Not ready until it is opened. Records the attempts.
#[derive(Clone, Default)]
struct Gate {
    is_open: Rc<Cell<bool>>,
    attempt: Rc<Cell<u32>>,
}

impl Service<ServiceRequest> for Gate {
    type Response = ServiceResponse;
    type Error = Error;
    type Future = Ready<Result<ServiceResponse, Error>>;

    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.is_open.get() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        assert!(self.is_open.get(), "called without being ready");
        self.attempt.set(request.extensions().get::<Delivery>().unwrap().attempt());
        ready(Ok(request.into_response(HttpResponse::Ok())))
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_ready_in_time_is_a_503_and_its_delivery_is_released() {
    let gate = Gate::default();
    let receiver = ScrapestWebhookLayer::new(SECRET).new_transform(gate.clone()).await.unwrap();
    let send = |signed: &SignedRequest| {
        let answer = receiver.call(signed.clone().into_actix("/").to_srv_request());
        async { answer.await.map(|answer| answer.status().as_u16()) }
    };
    let began = Instant::now();
    // A forged request does not wait for readiness.
    let forged = testing::scrapest("another secret, or none").sign();
    assert_eq!(send(&forged).await.unwrap(), 401);
    assert_eq!(began.elapsed(), Duration::ZERO);
    let genuine = testing::scrapest(SECRET).sign();
    let answer = send(&genuine).await.unwrap_err().error_response();
    let reason = answer.extensions().get::<Rejection>().map(Rejection::kind);
    assert_eq!((answer.status().as_u16(), reason), (503, Some(RejectionKind::NotReady)));
    assert_eq!(began.elapsed(), Duration::from_secs(4), "the answer deadline");
    gate.is_open.set(true);
    assert_eq!(send(&genuine).await.unwrap(), 200);
    assert_eq!((gate.attempt.get(), began.elapsed()), (2, Duration::from_secs(4)), "at once");
}
