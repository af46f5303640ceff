//! Parses the URL of a server.

use std::str::FromStr;

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

/// The parameters that `PgConnectOptions::from_str` knows.
const PARAMETERS: &[&str] = &[
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// Returns the options for connecting. A pooler accepts them too: unless the URL has `options`, the start of a
/// connection contains only parameters of the protocol.
///
/// # Errors
///
/// If the URL is invalid. The text contains no part of the URL's password.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, String> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err("is not a postgres URL, expected postgres://user@host/database".into());
    }
    // sqlx would log the parameter with its value, which may be the password under a misspelt name.
    if has_unknown_parameter(url) {
        let known = PARAMETERS.join(", ");
        return Err(format!("unknown parameter in the postgres URL, expected: {known}"));
    }
    let options = PgConnectOptions::from_str(url)
        // Without the driver's text, which repeats the value: it may be a password in the wrong place.
        .map_err(|_| {
            "is not a postgres URL, expected postgres://user@host:port/database, with sslmode one of: disable, \
             allow, prefer, require, verify-ca, verify-full"
        })?
        .extra_float_digits(None)
        // The caller of a failed statement logs it, because it knows the context.
        .disable_statement_logging();
    Ok(match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("scrapest-webhook"),
    })
}

fn has_unknown_parameter(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let mut names = query.split('&').filter_map(|pair| pair.split('=').next());
    names.any(|name| {
        !name.is_empty() && !PARAMETERS.contains(&name) && !name.starts_with("options[")
    })
}
