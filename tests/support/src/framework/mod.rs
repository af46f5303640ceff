//! A receiver on a real socket, for each web framework.
//!
//! Tests are written once against [`Framework`], and [`for_each_framework!`](crate::for_each_framework) runs
//! them on each.

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
    /// Whether the framework answers `Expect: 100-continue` itself, before any middleware sees the request.
    const CONTINUES_BY_ITSELF: bool;

    fn serve<P: Provider>(
        layer: WebhookLayer<P>,
        handler: Handler,
    ) -> impl Future<Output = Server> + Send {
        Self::serve_on(PATH, layer, handler)
    }

    /// Serves on another path, which may have parameters, like `/{id}`.
    fn serve_on<P: Provider>(
        path: &'static str,
        layer: WebhookLayer<P>,
        handler: Handler,
    ) -> impl Future<Output = Server> + Send;

    /// Serves a handler that takes the body itself and does not know the layer.
    fn serve_plain<P: Provider>(
        layer: WebhookLayer<P>,
        handler: Plain,
    ) -> impl Future<Output = Server> + Send;
}

/// A running server. It stops at once on drop.
pub struct Server {
    pub address: SocketAddr,
    pub stop: Box<dyn Stop>,
}

/// Makes a framework stop accepting connections and finish the open ones. Dropping it ends the server at once.
pub trait Stop: Send + Sync {
    fn gracefully(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

impl Server {
    /// Sends the request on a new connection and returns the whole answer.
    pub async fn send(&self, request: &SignedRequest) -> Answer {
        client::send(self.address, &client::text(request)).await
    }

    /// Stops accepting connections, and waits until every connection has ended.
    pub async fn shut_down(&self) {
        self.stop.gracefully().await;
    }

    /// Sends these bytes on a new connection, and reads until the server closes it.
    pub async fn send_raw(&self, bytes: &[u8]) -> Answer {
        client::send(self.address, bytes).await
    }

    /// Sends a hand-written request on a new connection, and reads until the server closes it.
    pub async fn raw(&self, request: &Raw) -> Answer {
        self.send_raw(&request.text()).await
    }
}

/// Defines one test per name and framework.
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
