//! Errors in the value of a flag, with the name of the flag.

use anyhow::{Result, anyhow, ensure};
use reqwest::Url;
use scrapest_webhook::ConfigError;

/// Converts the error of a setting to an error of its flag.
pub(crate) fn named(error: ConfigError) -> anyhow::Error {
    let flag = match error.setting() {
        "secret" => "--secret-env or --secret-file".to_owned(),
        "body_limit" => "--max-body".to_owned(),
        "answer_deadline" => "--answer-within".to_owned(),
        setting => format!("--{}", setting.replace('_', "-")),
    };
    of(&flag, &error)
}

/// The error in the value of this flag.
pub(crate) fn of(flag: &str, error: &ConfigError) -> anyhow::Error {
    let text = error.to_string();
    let setting = format!("{}: ", error.setting());
    anyhow!("{flag}: {}", text.strip_prefix(&setting).unwrap_or(&text))
}

/// A flag that names an environment variable, as errors show it. If the user gave the value instead of the name,
/// it may be confidential, so it is never repeated.
pub(crate) fn of_variable(flag: &str, name: &str) -> Result<String> {
    let plain = |byte: u8| byte == b'_' || byte.is_ascii_uppercase() || byte.is_ascii_digit();
    ensure!(
        name.bytes().all(plain) || std::env::var_os(name).is_some(),
        "{flag}: no environment variable has this name, expected a name, not a value"
    );
    Ok(format!("{flag} {name}"))
}

/// Returns the value of the environment variable that `flag` names, and the flag as errors show it. The value may
/// be confidential, and is never repeated.
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

/// Names of parameters whose values are confidential.
const CONFIDENTIAL: &[&str] = &[
    "password",
    "passwd",
    "pass",
    "pwd",
    "secret",
    "token",
    "apikey",
    "key",
    "auth",
    "signature",
    "sig",
];

/// Refuses a password on the command line, where `ps` shows it to every user of the machine. A URL may contain
/// confidential data in three places: as the password, as a user without a password before an http host, and in
/// the query.
pub(crate) fn without_password(flag: &str, url: &str) -> Result<()> {
    let Ok(url) = Url::parse(url) else { return Ok(()) };
    let is_web = matches!(url.scheme(), "http" | "https");
    let in_user = url.password().is_some() || (is_web && !url.username().is_empty());
    ensure!(!in_user, "{flag}: has a password, which `ps` would show, expected a URL without one");
    let confidential = url.query_pairs().find(|(name, _)| {
        let name = name.to_ascii_lowercase();
        let mut words = name.split(['-', '_', '.']);
        CONFIDENTIAL.contains(&name.as_str())
            || name.ends_with("password")
            || words.any(|word| CONFIDENTIAL.contains(&word) && word != "key")
            || name.ends_with("api_key")
            || name.ends_with("access_key")
    });
    match confidential {
        // The name of a file is not confidential.
        None => Ok(()),
        Some((name, _)) => Err(anyhow!(
            "{flag}: has a password, which `ps` would show, in its parameter {:?}, expected a URL without one",
            name
        )),
    }
}

/// The layer's default limit for the memory of all bodies together, so one body cannot be larger.
const MOST_BODY: usize = 64 * 1024 * 1024;

/// Parses a size like `65536`, `64KiB` or `1MiB`.
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
