//! Code that the HTTP clients of `listen --forward` and of `send` share.

use anyhow::{Result, anyhow, ensure};
use reqwest::redirect::Policy;
use reqwest::{ClientBuilder, Response, Url};

/// How much of a response's body is read, so that its connection can be reused. The content is dropped.
const DRAINED: usize = 64 * 1024;

/// Parses the URL of a flag. It may contain a password, and is never repeated.
pub(crate) fn url(flag: &str, text: &str) -> Result<Url> {
    let url = Url::parse(text).map_err(|error| anyhow!("{flag}: is not a URL: {error}"))?;
    ensure!(
        matches!(url.scheme(), "http" | "https"),
        "{flag}: expected a URL that begins with http:// or https://"
    );
    Ok(url)
}

/// A client that connects to this URL only.
pub(crate) fn builder(url: &Url) -> ClientBuilder {
    let builder = reqwest::Client::builder()
        .redirect(Policy::none())
        // Proxy variables are meant for other programs.
        .no_proxy();
    match url.scheme() {
        // Without TLS no certificates are needed, so it works on a machine that has none.
        "http" => builder.tls_certs_only([]),
        _ => builder,
    }
}

pub(crate) fn build(flag: &str, builder: ClientBuilder) -> Result<reqwest::Client> {
    builder.build().map_err(|error| {
        anyhow!(
            "{flag}: https needs trusted certificates, expected those of the system (ca-certificates), or a file \
             in SSL_CERT_FILE: {:#}",
            anyhow::Error::from(error)
        )
    })
}

/// Reads the rest of the response, until its end, its timeout, or its size limit.
pub(crate) async fn drain(mut response: Response) {
    let mut left = DRAINED;
    while let Ok(Some(chunk)) = response.chunk().await {
        let Some(rest) = left.checked_sub(chunk.len()) else { return };
        left = rest;
    }
}
