//! The file in which a receiver follows its secrets: one per line, readable by its owner only.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use data_encoding::BASE64URL_NOPAD;
use rand::Rng;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

pub(super) type Text = Zeroizing<String>;

/// Generates a new secret: 256 random bits, well under the sender's limit of 128 characters.
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

/// Replaces the content atomically: a reader sees either the old or the new content.
pub(super) fn write(path: &Path, secrets: &[Text]) -> Result<()> {
    let mut content = Zeroizing::new(String::with_capacity(1_024));
    for secret in secrets {
        content.push_str(secret);
        content.push('\n');
    }
    replace(path, content.as_bytes())
        .with_context(|| format!("--secret-file {}: cannot be written", path.display()))
}

/// The new file has mode 0600 from the start, and is synced to the disk before it replaces the old one.
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
