//! The floor on actix-web. actix-web does not drop a handler whose client has left, so nothing has to move to a
//! task.

use std::future::{Ready, ready};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::StatusCode;
use actix_web::{Error, HttpMessage, HttpResponse};
use futures_util::{FutureExt, StreamExt};

use super::{Floor, Gathering, ID, SIGNATURE, signature};

pub struct FloorMiddleware(pub Arc<Floor>);

pub struct FloorService<S> {
    inner: Rc<S>,
    floor: Arc<Floor>,
}

impl<S, B> Transform<S, ServiceRequest> for FloorMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = FloorService<S>;
    type InitError = ();
    type Future = Ready<Result<FloorService<S>, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(FloorService { inner: Rc::new(inner), floor: Arc::clone(&self.0) }))
    }
}

type Answer<B> = Result<ServiceResponse<EitherBody<B>>, Error>;

impl<S, B> Service<ServiceRequest> for FloorService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Answer<B>>>>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        Box::pin(receive(Arc::clone(&self.floor), Rc::clone(&self.inner), request))
    }
}

async fn receive<S, B>(floor: Arc<Floor>, inner: Rc<S>, mut request: ServiceRequest) -> Answer<B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    let mut payload = request.take_payload();
    let header = |name| request.headers().get(name).map(|value| value.as_bytes());
    let admitted = async {
        let signature = signature(header(SIGNATURE))?;
        let mut gathering = Gathering::new(&floor);
        while let Some(piece) = payload.next().await {
            gathering.add(piece.map_err(|_| 400_u16)?)?;
        }
        let body = gathering.end();
        floor.admit(signature, header(ID), &body).map(|admitted| (admitted, body))
    };
    let ((claimed, delivery), body) = match admitted.await {
        Ok(admitted) => admitted,
        Err(status) => return Ok(request.into_response(answer(status)).map_into_right_body()),
    };
    request.set_payload(Payload::from(body));
    request.extensions_mut().insert(delivery);
    let of_request = request.request().clone();
    let mut handler = Box::pin(AssertUnwindSafe(inner.call(request)).catch_unwind());
    let ended = super::in_time(&mut handler).await;
    let late = |status| ServiceResponse::new(of_request, answer(status)).map_into_right_body();
    let Some(ended) = ended else {
        actix_web::rt::spawn(async move {
            let ended = handler.await.ok().and_then(Result::ok);
            floor.settle(&claimed, ended.map(|response| response.status().as_u16()));
        });
        return Ok(late(503));
    };
    let Ok(ended) = ended else {
        floor.settle(&claimed, None);
        return Ok(late(500));
    };
    let response = ended?;
    floor.settle(&claimed, Some(response.status().as_u16()));
    Ok(response.map_into_left_body())
}

fn answer(status: u16) -> HttpResponse {
    HttpResponse::new(StatusCode::from_u16(status).unwrap())
}
