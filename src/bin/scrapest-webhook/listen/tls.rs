//! The certificate and the key, read and checked to match before the first connection.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub(super) fn config(cert: &Path, key: &Path) -> Result<RustlsConfig> {
    let chain = || format!("--tls-cert {}", cert.display());
    let pem = std::fs::read(cert).with_context(chain)?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| anyhow::anyhow!("is not PEM: {error}"))
        .with_context(chain)?;
    ensure!(!certificates.is_empty(), "{}: has no certificate in PEM", chain());

    let private = || format!("--tls-key {}", key.display());
    let pem = std::fs::read(key).with_context(private)?;
    let key = PrivateKeyDer::from_pem_slice(&pem)
        // Without the cause, which might quote the file.
        .map_err(|_| anyhow::anyhow!("has no private key in PEM"))
        .with_context(private)?;

    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .with_context(|| format!("{} and {} do not belong together", chain(), private()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(config)))
}
