//! What the HTTP clients of `listen --forward` and of `send` have in common.

use anyhow::{Result, anyhow, ensure};
use reqwest::redirect::Policy;
use reqwest::{ClientBuilder, Response, Url};

/// What is read of an answer's body, so that its connection can be used again. Nobody gets to see it.
const DRAINED: usize = 64 * 1024;

/// The URL that a flag was given; it may have a password in it, and is never repeated.
pub(crate) fn url(flag: &str, text: &str) -> Result<Url> {
    let url = Url::parse(text).map_err(|error| anyhow!("{flag}: is not a URL: {error}"))?;
    ensure!(
        matches!(url.scheme(), "http" | "https"),
        "{flag}: expected a URL that begins with http:// or https://"
    );
    Ok(url)
}

/// Goes to this URL and nowhere else.
pub(crate) fn builder(url: &Url) -> ClientBuilder {
    let builder = reqwest::Client::builder()
        .redirect(Policy::none())
        // The URL says where it goes; a variable that was meant for other programs does not.
        .no_proxy();
    match url.scheme() {
        // Without TLS it needs nobody to trust, and works on a machine that has no certificates.
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

/// Ends with the answer, with the timeout of the request, or with what is too much.
pub(crate) async fn drain(mut response: Response) {
    let mut left = DRAINED;
    while let Ok(Some(chunk)) = response.chunk().await {
        let Some(rest) = left.checked_sub(chunk.len()) else { return };
        left = rest;
    }
}
