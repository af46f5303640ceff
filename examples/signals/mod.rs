/// Waits for Ctrl-C, or for SIGTERM, which systemd, Docker and Kubernetes send.
pub(crate) async fn terminated() {
    let interrupted = async { _ = tokio::signal::ctrl_c().await };
    #[cfg(unix)]
    let told = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut told) => _ = told.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let told = std::future::pending();
    tokio::select! {
        () = interrupted => {}
        () = told => {}
    }
}
