//! Both frameworks on the thread of the test, without a socket, for tests with paused time and for tests of log
//! lines.

use std::rc::Rc;

use actix_web::dev::Service;
use actix_web::http::StatusCode;
use actix_web::{App, HttpResponse, test, web};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use scrapest_webhook::testing::SignedRequest;
use scrapest_webhook::{Delivery, Provider, WebhookLayer};

use crate::{Handler, in_process};

#[derive(Clone, Copy, Debug)]
pub enum Here {
    Axum,
    Actix,
}

type Send = dyn Fn(SignedRequest) -> LocalBoxFuture<'static, u16>;

/// A handler behind a layer.
pub struct Receiver(Box<Send>);

impl Receiver {
    pub async fn status(&self, request: &SignedRequest) -> u16 {
        (self.0)(request.clone()).await
    }
}

impl Here {
    pub const BOTH: [Self; 2] = [Self::Axum, Self::Actix];

    pub async fn serve<P: Provider>(self, layer: WebhookLayer<P>, handler: &Handler) -> Receiver {
        Receiver(match self {
            Self::Axum => {
                let app = in_process::app(layer, handler);
                Box::new(move |request| {
                    let app = app.clone();
                    async move { in_process::status(&app, &request).await }.boxed_local()
                })
            }
            Self::Actix => {
                let handler = handler.clone();
                let run = web::post().to(move |delivery: Delivery| {
                    let handler = handler.clone();
                    async move {
                        let status = handler.run(delivery).await;
                        HttpResponse::new(StatusCode::from_u16(status).unwrap())
                    }
                });
                let app = App::new().service(web::resource("/").route(run).wrap(layer));
                let app = Rc::new(test::init_service(app).await);
                Box::new(move |request| {
                    let app = Rc::clone(&app);
                    async move {
                        match app.call(request.into_actix("/").to_request()).await {
                            Ok(response) => response.status().as_u16(),
                            Err(error) => error.as_response_error().status_code().as_u16(),
                        }
                    }
                    .boxed_local()
                })
            }
        })
    }
}
