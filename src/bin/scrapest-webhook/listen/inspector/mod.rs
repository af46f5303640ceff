//! `--ui`: a page in the browser that shows every request, live, and can send one again.
//!
//! 1. `guard` decides which requests are admitted: by a token in the path, the `Host`, and the origin;
//! 2. `api` answers the page's requests;
//! 3. `exchanges` keeps the requests, only in memory and limited;
//! 4. `fixture` writes a request as a file and a test;
//! 5. `page.html` is the page, in one file.

mod api;
mod detail;
mod events;
mod exchanges;
mod fixture;
mod guard;

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use tokio::net::{TcpListener, lookup_host};

use self::api::Inspector;
pub(super) use self::api::Service;
pub(super) use self::exchanges::Exchanges;

#[derive(Debug, clap::Args)]
pub(super) struct UiArgs {
    /// Show every request on a page in the browser, live: with its headers, its body, the decoded event and the
    /// likely cause of a refusal
    ///
    /// The URL of the page is printed. It contains a token that changes with every start. With --forward the page
    /// can send a delivery again. The shown requests are kept in memory only.
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "127.0.0.1:4040")]
    ui: Option<String>,

    /// Let --ui listen on an address that other machines can reach; the page is served without TLS
    #[arg(long, requires = "ui")]
    ui_allow_remote: bool,

    /// How many requests the page shows; their bodies take at most 64 MiB
    #[arg(long, value_name = "N", default_value_t = 1_000, requires = "ui")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    ui_keep: u32,
}

/// An inspector that is bound to its port but not started yet.
#[derive(Debug)]
pub(super) struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    token: String,
    pub(super) exchanges: Exchanges,
}

impl UiArgs {
    pub(super) async fn bind(&self) -> Result<Option<Bound>> {
        let Some(text) = &self.ui else { return Ok(None) };
        let flag = || format!("--ui {text}: expected a free host and port, like 127.0.0.1:4040");
        let addresses: Vec<_> = lookup_host(text).await.with_context(flag)?.collect();
        ensure!(
            self.ui_allow_remote || addresses.iter().all(|address| address.ip().is_loopback()),
            "--ui {text}: is not a loopback address, expected one like 127.0.0.1:4040, or --ui-allow-remote"
        );
        let listener = TcpListener::bind(&addresses[..]).await.with_context(flag)?;
        let address = listener.local_addr().with_context(flag)?;
        let token = format!("{:032x}", rand::random::<u128>());
        let exchanges = Exchanges::new(self.ui_keep as usize);
        Ok(Some(Bound { listener, address, token, exchanges }))
    }
}

impl Bound {
    pub(super) fn url(&self) -> String {
        format!("http://{}/{}/", self.address, self.token)
    }

    /// Serves until the process ends, because the process does not wait for pages.
    pub(super) fn start(self, service: Service) {
        let Self { listener, address, token, exchanges } = self;
        let guard = guard::Guard::new(address, token);
        let app = api::router(Inspector::new(exchanges, service), guard);
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "the inspector has stopped");
            }
        });
    }
}
