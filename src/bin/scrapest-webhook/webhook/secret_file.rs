//! The file that a receiver follows for its secrets: one in each line, readable by its owner only.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use data_encoding::BASE64URL_NOPAD;
use rand::Rng;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

pub(super) type Text = Zeroizing<String>;

/// A new secret: 256 random bits, well under the 128 characters that the sender allows.
pub(super) fn generate() -> Text {
    let mut bytes = Zeroizing::new([0; 32]);
    rand::rng().fill_bytes(&mut *bytes);
    let mut text = Zeroizing::new(String::with_capacity(64));
    text.push_str("whsec_");
    BASE64URL_NOPAD.encode_append(&*bytes, &mut text);
    text
}

/// The secrets in the file, in their order.
pub(super) fn read(path: &Path) -> Result<Vec<Text>> {
    let content = std::fs::read_to_string(path).map(Zeroizing::new).with_context(|| {
        format!("--secret-file {}: expected a file with the secret", path.display())
    })?;
    let secrets: Vec<_> = content.lines().map(|line| Zeroizing::new(line.to_owned())).collect();
    ensure!(
        !secrets.is_empty() && secrets.iter().all(|secret| !secret.trim().is_empty()),
        "--secret-file {}: has an empty line, expected one secret in each line",
        path.display()
    );
    Ok(secrets)
}

/// Exchanges the content in one step: a reader sees what was there, or all that is new.
pub(super) fn write(path: &Path, secrets: &[Text]) -> Result<()> {
    let mut content = Zeroizing::new(String::with_capacity(1_024));
    for secret in secrets {
        content.push_str(secret);
        content.push('\n');
    }
    replace(path, content.as_bytes())
        .with_context(|| format!("--secret-file {}: cannot be written", path.display()))
}

/// Mode 0600 from its first byte on, and on the disk before it takes its place.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let folder = folder(path);
    let mut file = NamedTempFile::new_in(&folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    std::fs::File::open(folder)?.sync_all()?;
    Ok(())
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
