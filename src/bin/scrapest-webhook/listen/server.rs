//! Serves until a signal, then until the running deliveries have ended.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use hyper_util::rt::TokioTimer;
use scrapest_webhook::{Provider, WebhookLayer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::lines::Lines;
use super::settings::{AFTER_FORWARD, Limits};

/// The time limit for the headers of a request, and between two requests, so that a slow client cannot hold a
/// connection.
const HEADERS: Duration = Duration::from_secs(10);

/// The layer's deadline for a body.
const BODY: Duration = Duration::from_secs(5);

/// How long a run and its settlement may take beyond --run-limit.
const MARGIN: Duration = Duration::from_secs(5 + AFTER_FORWARD.as_secs());

/// SIGTERM, Ctrl-C, and the closing of the terminal (SIGHUP).
#[derive(Debug)]
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Installs the handlers. From then on the signals no longer end the process.
    pub(crate) fn take() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let take = |kind| signal(kind).context("signals cannot be handled");
        Ok(Self {
            interrupt: take(SignalKind::interrupt())?,
            hangup: take(SignalKind::hangup())?,
            terminate: take(SignalKind::terminate())?,
        })
    }

    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.hangup.recv() => "SIGHUP",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn take() -> Result<Self> {
        Ok(Self {})
    }

    pub(crate) async fn next(&mut self) -> &'static str {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}

/// Waits for a signal, and then for the runs of `layer`. Also ends if `needed` is given and closed, because no
/// delivery can be accepted then.
pub(super) async fn serve<P: Provider>(
    mut serving: Serving,
    mut signals: Signals,
    layer: &WebhookLayer<P>,
    limits: Limits,
    needed: Option<&Lines>,
) -> Result<ExitCode> {
    let closed = async {
        match needed {
            Some(lines) => lines.closed().await,
            None => std::future::pending().await,
        }
    };
    let is_broken = tokio::select! {
        signal = signals.next() => {
            tracing::info!(signal, "stopping");
            false
        }
        () = closed => {
            tracing::error!("stopping, because standard output was closed and no delivery can be accepted");
            true
        }
        ended = &mut serving.task => {
            ended.context("the server failed")?.context("the server failed")?;
            false
        }
    };
    tokio::select! {
        is_drained = serving.stop(layer, limits) => match is_drained && !is_broken {
            true => Ok(ExitCode::SUCCESS),
            false => Ok(ExitCode::FAILURE),
        },
        signal = signals.next() => {
            tracing::warn!(
                signal,
                "stopped at once: deliveries that were still running run again when the sender retries"
            );
            // Returning would wait for the blocked runs.
            std::process::exit(1)
        }
    }
}

/// A running server.
#[derive(Debug)]
pub(super) struct Serving {
    handle: Handle<SocketAddr>,
    task: JoinHandle<io::Result<()>>,
}

impl Serving {
    pub(super) fn start(listener: TcpListener, tls: Option<RustlsConfig>, app: Router) -> Self {
        let handle = Handle::new();
        let server = Server::<SocketAddr>::from_listener(listener);
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let task = match tls {
            Some(config) => {
                let server = server.acceptor(RustlsAcceptor::new(config));
                tokio::spawn(bounded(server, &handle).serve(app))
            }
            None => tokio::spawn(bounded(server, &handle).serve(app)),
        };
        Self { handle, task }
    }

    /// Stops the connections first, then waits for the detached runs. Returns whether all have ended.
    async fn stop<P: Provider>(&mut self, layer: &WebhookLayer<P>, limits: Limits) -> bool {
        let answers = limits.answer_within.max(BODY) + Duration::from_secs(1);
        let runs = limits.run_limit + MARGIN;
        tracing::info!(
            "waiting for answers (at most {answers:?}) and for runs (at most {runs:?} more); \
             a second signal stops it at once"
        );
        self.handle.graceful_shutdown(Some(answers));
        if !self.task.is_finished() {
            _ = (&mut self.task).await;
        }
        let is_drained = layer.drain(runs).await;
        match is_drained {
            true => tracing::info!("stopped: every run has ended"),
            false => {
                tracing::error!(
                    "stopped before every run had ended: those deliveries run again at the sender's retry"
                )
            }
        }
        is_drained
    }
}

fn bounded<A>(server: Server<SocketAddr, A>, handle: &Handle<SocketAddr>) -> Server<SocketAddr, A> {
    let mut server = server.handle(handle.clone()).http1_only();
    server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(HEADERS);
    server
}
