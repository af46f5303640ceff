//! A receiver on a real socket, once for each web framework.
//!
//! Tests are written once against [`Framework`]. [`for_each_framework!`](crate::for_each_framework) runs
//! them for each.

mod on_actix;
mod on_axum;

use std::net::SocketAddr;
use std::pin::Pin;

use scrapest_webhook::testing::SignedRequest;
use scrapest_webhook::{Provider, WebhookLayer};

pub use self::on_actix::Actix;
pub use self::on_axum::Axum;
use crate::{Answer, Handler, PATH, Plain, Raw, client};

/// A web framework that can serve a handler behind a layer, on a free port of the loopback interface.
pub trait Framework {
    /// Whether it answers `Expect: 100-continue` by itself, before any middleware sees the request.
    const CONTINUES_BY_ITSELF: bool;

    fn serve<P: Provider>(
        layer: WebhookLayer<P>,
        handler: Handler,
    ) -> impl Future<Output = Server> + Send {
        Self::serve_on(PATH, layer, handler)
    }

    /// On a path of one's own, which may have parameters, like `/{id}`.
    fn serve_on<P: Provider>(
        path: &'static str,
        layer: WebhookLayer<P>,
        handler: Handler,
    ) -> impl Future<Output = Server> + Send;

    /// The same for a handler that takes the body for itself, as before there was a layer.
    fn serve_plain<P: Provider>(
        layer: WebhookLayer<P>,
        handler: Plain,
    ) -> impl Future<Output = Server> + Send;
}

/// A running server. It stops at once when this is dropped.
pub struct Server {
    pub address: SocketAddr,
    pub stop: Box<dyn Stop>,
}

/// How a framework is told to stop accepting and to finish what has begun. Dropped: to end at once.
pub trait Stop: Send + Sync {
    fn gracefully(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

impl Server {
    /// Sends the request on a connection of its own and gives the whole answer.
    pub async fn send(&self, request: &SignedRequest) -> Answer {
        client::send(self.address, &client::text(request)).await
    }

    /// Stops accepting, and waits until every connection is over.
    pub async fn shut_down(&self) {
        self.stop.gracefully().await;
    }

    /// Sends these bytes on a connection of their own, and reads until the server closes it.
    pub async fn send_raw(&self, bytes: &[u8]) -> Answer {
        client::send(self.address, bytes).await
    }

    /// The same for a request that was written by hand.
    pub async fn raw(&self, request: &Raw) -> Answer {
        self.send_raw(&request.text()).await
    }
}

/// One test of each name for each framework.
#[macro_export]
macro_rules! for_each_framework {
    ($($(#[$attribute:meta])* $test:ident,)*) => {
        mod on_axum {
            $(
                $(#[$attribute])*
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test::<$crate::Axum>().await;
                }
            )*
        }

        mod on_actix {
            $(
                $(#[$attribute])*
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test::<$crate::Actix>().await;
                }
            )*
        }
    };
}
