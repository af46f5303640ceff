//! The contenders, one module per framework. Each follows its own documentation.

mod actix;
mod axum;
mod hmac;
mod webhooksmith;

use std::convert::Infallible;
use std::fmt::Debug;
use std::rc::Rc;

pub use self::axum::{contender as router, refused};
pub use self::hmac::hmac_in_cache;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use std::cell::Cell;
use tower::{Service, ServiceExt};

use crate::Contender;

/// All contenders. A floor comes before the contenders that are compared with it.
pub fn all() -> Vec<Contender> {
    let mut all = vec![hmac::hmac()];
    all.extend(axum::all());
    all.push(webhooksmith::webhooksmith());
    all.extend(actix::all());
    all
}

/// The capacity of a store, in deliveries.
pub const FEW: usize = 400;
const MANY: usize = 250_000;

/// The same contender with a store that is filled before the first turn.
fn full(contender: Contender, deliveries: usize) -> Contender {
    let is_full = Cell::new(false);
    Contender::new(contender.name, move |count, bytes| {
        if !is_full.replace(true) {
            (0..deliveries.div_ceil(1_000))
                .for_each(|_| contender.prepare(1_000, crate::SHORTEST)());
        }
        contender.prepare(count, bytes)
    })
}

/// Any tower service, measured from the request to the last byte of the response.
fn tower<S, B, R>(
    name: &'static str,
    status: StatusCode,
    service: S,
    request: impl Fn(usize) -> Request<B> + 'static,
) -> Contender
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible> + Clone + 'static,
    B: From<Bytes> + 'static,
    R: Body<Error: Debug>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let runtime = Rc::new(runtime);
    Contender::new(name, move |deliveries, bytes| {
        let requests = Vec::from_iter((0..deliveries).map(|_| request(bytes)));
        let (runtime, mut service) = (Rc::clone(&runtime), service.clone());
        Box::new(move || {
            runtime.block_on(async move {
                for request in requests {
                    let response = service.ready().await.unwrap().call(request).await.unwrap();
                    assert_eq!(response.status(), status, "{name}");
                    response.into_body().collect().await.unwrap();
                }
            });
        })
    })
}
