//! What is wrong with what a flag was given, by the name of the flag.

use anyhow::{Result, anyhow, ensure};
use reqwest::Url;
use scrapest_webhook::ConfigError;

/// The error of a setting whose flag is called like it, or is known here.
pub(crate) fn named(error: ConfigError) -> anyhow::Error {
    let flag = match error.setting() {
        "secret" => "--secret-env or --secret-file".to_owned(),
        "body_limit" => "--max-body".to_owned(),
        "answer_deadline" => "--answer-within".to_owned(),
        setting => format!("--{}", setting.replace('_', "-")),
    };
    of(&flag, &error)
}

/// The error of what this flag gave.
pub(crate) fn of(flag: &str, error: &ConfigError) -> anyhow::Error {
    let text = error.to_string();
    let setting = format!("{}: ", error.setting());
    anyhow!("{flag}: {}", text.strip_prefix(&setting).unwrap_or(&text))
}

/// A flag that names an environment variable, as it stands in an error. Not with something that looks like the
/// value in the name's place: that may be confidential, and is never repeated.
pub(crate) fn of_variable(flag: &str, name: &str) -> Result<String> {
    let plain = |byte: u8| byte == b'_' || byte.is_ascii_uppercase() || byte.is_ascii_digit();
    ensure!(
        name.bytes().all(plain) || std::env::var_os(name).is_some(),
        "{flag}: no environment variable is called so, expected the name of one and not its value"
    );
    Ok(format!("{flag} {name}"))
}

/// The value of an environment variable that `flag` names, and the flag as it stands in an error. The value may be
/// confidential, and is never repeated.
pub(crate) fn variable(flag: &str, name: &str, what: &str) -> Result<(String, String)> {
    let flag = of_variable(flag, name)?;
    match std::env::var(name) {
        Ok(value) => Ok((flag, value)),
        Err(std::env::VarError::NotPresent) => Err(anyhow!("{flag}: is not set, expected {what}")),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(anyhow!("{flag}: is not Unicode, expected {what}"))
        }
    }
}

/// On the command line a password would stand in `ps`.
pub(crate) fn without_password(flag: &str, url: &str) -> Result<()> {
    let has_one = Url::parse(url).is_ok_and(|url| url.password().is_some());
    ensure!(!has_one, "{flag}: has a password, which `ps` would show, expected a URL without");
    Ok(())
}

/// What all bodies together may take of memory: the layer's default, so one body cannot have more.
const MOST_BODY: usize = 64 * 1024 * 1024;

/// `65536`, `64KiB` or `1MiB`.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let (number, unit) = match text.find(|char: char| !char.is_ascii_digit()) {
        Some(end) => text.split_at(end),
        None => (text, ""),
    };
    let factor = match unit {
        "" => Some(1_usize),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        _ => None,
    };
    let bytes = factor.zip(number.parse().ok()).and_then(|(f, n): (usize, usize)| f.checked_mul(n));
    bytes.filter(|bytes| *bytes <= MOST_BODY).ok_or_else(|| {
        "expected a number of bytes, or one with KiB or MiB like 512KiB, of at most 64MiB"
            .to_owned()
    })
}
