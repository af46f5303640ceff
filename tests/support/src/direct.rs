//! The layer without a socket, for tests with paused time. A request is a future that can be dropped.

use std::convert::Infallible;

use axum::http::{Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use scrapest_webhook::service::{ResponseBody, VerifiedBody};
use scrapest_webhook::testing::SignedRequest;
use scrapest_webhook::{Delivery, Provider, Rejection, RejectionKind, WebhookLayer};
use tower::util::BoxCloneService;
use tower::{Layer, ServiceExt};

use crate::{Answer, Handler, PATH};

/// A handler behind a layer. Clones share the layer and the handler.
#[derive(Clone)]
pub struct InProcess(BoxCloneService<Request<Full<Bytes>>, Response<Body>, Infallible>);

type Body = ResponseBody<Full<Bytes>>;

impl InProcess {
    pub fn new<P: Provider>(layer: &WebhookLayer<P>, handler: Handler) -> Self {
        let service = tower::service_fn(move |request: Request<VerifiedBody>| {
            let handler = handler.clone();
            async move {
                let delivery = request.extensions().get::<Delivery>().unwrap().clone();
                let status = handler.run(delivery).await;
                Ok(Response::builder().status(status).body(Full::default()).unwrap())
            }
        });
        Self(BoxCloneService::new(layer.layer(service)))
    }

    /// Returns the answer, with the reason if the layer answered instead of the handler.
    pub fn ask(
        &self,
        request: &SignedRequest,
    ) -> impl Future<Output = (Answer, Option<RejectionKind>)> + Send + use<> {
        let answer = self.0.clone().oneshot(request.clone().into_http(PATH));
        async {
            let (parts, body) = answer.await.unwrap().into_parts();
            let reason = parts.extensions.get::<Rejection>().map(Rejection::kind);
            let headers = parts.headers.iter();
            let headers = headers
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                .collect();
            let body = body.collect().await.unwrap().to_bytes().to_vec();
            (Answer { status: parts.status.as_u16(), headers, body }, reason)
        }
    }

    pub async fn send(&self, request: &SignedRequest) -> Answer {
        self.ask(request).await.0
    }

    /// Returns only the status.
    pub async fn status(&self, request: &SignedRequest) -> u16 {
        self.send(request).await.status
    }
}
