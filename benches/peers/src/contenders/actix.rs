//! actix-web contenders. Their handlers take the body as bytes.

use std::rc::Rc;

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::error::ErrorUnauthorized;
use actix_web::rt::Runtime;
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, Error, HttpRequest, HttpResponse, web};
use actix_web_lab::extract::{RequestSignature, RequestSignatureScheme};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use std::sync::Arc;

use scrapest_webhook::ScrapeBadgerWebhookLayer;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::MANY;
use crate::floor::Floor;
use crate::floor::actix::FloorMiddleware;
use crate::{Contender, sample};

const BYTES: &str = "actix: `Bytes`";
const WAITS: &str = "actix: `Bytes`, waits once";

pub(super) fn all() -> Vec<Contender> {
    let runtime = Rc::new(Runtime::new().unwrap());
    // Raises actix' own limit to the body limit of the layer.
    let limit = || web::PayloadConfig::new(1 << 20);
    let floor = web::resource("/").app_data(limit()).route(web::post().to(bytes));
    let floor = runtime.block_on(init_service(App::new().service(floor)));
    let layer = ScrapeBadgerWebhookLayer::new(sample::SECRET);
    let ours = web::resource("/").app_data(limit()).route(web::post().to(bytes)).wrap(layer);
    let ours = runtime.block_on(init_service(App::new().service(ours)));
    let by_hand = || FloorMiddleware(Arc::new(Floor::new(sample::SECRET.as_bytes(), MANY)));
    let hand = web::resource("/").app_data(limit()).route(web::post().to(bytes)).wrap(by_hand());
    let hand = runtime.block_on(init_service(App::new().service(hand)));
    let waits = web::resource("/").app_data(limit()).route(web::post().to(waiting));
    let waits = runtime.block_on(init_service(App::new().service(waits)));
    let hand_waits =
        web::resource("/").app_data(limit()).route(web::post().to(waiting)).wrap(by_hand());
    let hand_waits = runtime.block_on(init_service(App::new().service(hand_waits)));
    let layer = ScrapeBadgerWebhookLayer::new(sample::SECRET);
    let ours_waits =
        web::resource("/").app_data(limit()).route(web::post().to(waiting)).wrap(layer);
    let ours_waits = runtime.block_on(init_service(App::new().service(ours_waits)));
    let signature = web::resource("/").app_data(limit()).route(web::post().to(signature));
    let signature = runtime.block_on(init_service(App::new().service(signature)));
    vec![
        contender(BYTES, &runtime, floor),
        contender("actix: the floor", &runtime, hand).over(BYTES),
        contender("actix: ours", &runtime, ours).over(BYTES),
        contender(WAITS, &runtime, waits),
        contender("actix: the floor, waits once", &runtime, hand_waits).over(WAITS),
        contender("actix: ours, waits once", &runtime, ours_waits).over(WAITS),
        contender("actix-web-lab, `RequestSignature`", &runtime, signature).over(BYTES),
    ]
}

fn contender<S, B>(name: &'static str, runtime: &Rc<Runtime>, service: S) -> Contender
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody,
{
    let (runtime, service) = (Rc::clone(runtime), Rc::new(service));
    Contender::new(name, move |deliveries, bytes| {
        let requests = Vec::from_iter((0..deliveries).map(|_| {
            let signed = sample::signed(bytes);
            let mut request = TestRequest::post().uri("/").set_payload(signed.body().clone());
            for header in signed.headers() {
                request = request.insert_header(header);
            }
            request.to_request()
        }));
        let (runtime, service) = (Rc::clone(&runtime), Rc::clone(&service));
        Box::new(move || {
            runtime.block_on(async move {
                for request in requests {
                    let response = service.call(request).await.unwrap();
                    assert_eq!(response.status(), 200, "{name}");
                    actix_web::body::to_bytes(response.into_body()).await.ok().unwrap();
                }
            });
        })
    })
}

async fn bytes(body: Bytes) -> HttpResponse {
    match body.len() {
        0 => HttpResponse::BadRequest().finish(),
        _ => HttpResponse::Ok().finish(),
    }
}

async fn waiting(body: Bytes) -> HttpResponse {
    tokio::task::yield_now().await;
    bytes(body).await
}

async fn signature(body: RequestSignature<Bytes, OverTheBody>) -> HttpResponse {
    bytes(body.into_parts().0).await
}

/// The scheme from the documentation of [`RequestSignatureScheme`], with a constant-time comparison.
struct OverTheBody(Hmac<Sha256>);

impl RequestSignatureScheme for OverTheBody {
    type Signature = [u8; 32];
    type Error = Error;

    async fn init(_: &HttpRequest) -> Result<Self, Error> {
        Ok(Self(Hmac::new_from_slice(sample::SECRET.as_bytes()).unwrap()))
    }

    async fn consume_chunk(&mut self, _: &HttpRequest, chunk: Bytes) -> Result<(), Error> {
        self.0.update(&chunk);
        Ok(())
    }

    async fn finalize(self, _: &HttpRequest) -> Result<[u8; 32], Error> {
        Ok(self.0.finalize().into_bytes().into())
    }

    fn verify(computed: [u8; 32], request: &HttpRequest) -> Result<[u8; 32], Error> {
        let signature = request.headers().get("x-scrapebadger-signature");
        let signature = signature.and_then(|value| value.as_bytes().strip_prefix(b"sha256="));
        let signature = signature.and_then(|value| hex::decode(value).ok());
        match signature.is_some_and(|signature| computed.ct_eq(&signature).into()) {
            true => Ok(computed),
            false => Err(ErrorUnauthorized("signature does not match")),
        }
    }
}
