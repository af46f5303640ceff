//! A shared token that a request carries in plain text, for a sender that does not sign.

use std::borrow::Cow;

use zeroize::Zeroizing;

use crate::config_error::ConfigError;
use crate::provider::{Headers, Query, is_header_name};

/// The place where a request carries a shared token. See
/// [`WebhookLayer::insecure_with_token`](crate::WebhookLayer::insecure_with_token).
#[derive(Clone, Debug)]
pub struct TokenIn(Place);

#[derive(Clone, Debug)]
enum Place {
    Header(Cow<'static, str>),
    Query(Cow<'static, str>),
}

/// The token of a request. It has no `Debug`.
pub(crate) type Token = Zeroizing<Vec<u8>>;

impl TokenIn {
    /// The whole value of the header `name` (any case), like `x-webhook-token`.
    #[must_use]
    pub fn header(name: impl Into<Cow<'static, str>>) -> Self {
        Self(Place::Header(name.into()))
    }

    /// The percent-decoded value of the query parameter `name`, like `token` in `/webhooks/scrapest?token=…`.
    ///
    /// Proxies and servers write the whole URL into their logs. Use a header if the sender can send one.
    #[must_use]
    pub fn query(name: impl Into<Cow<'static, str>>) -> Self {
        Self(Place::Query(name.into()))
    }

    /// Calls `found` with every token that the request carries.
    pub(crate) fn each(&self, headers: Headers<'_>, query: &str, mut found: impl FnMut(Token)) {
        match &self.0 {
            Place::Header(name) => headers.each(name, |value| found(value.to_vec().into())),
            Place::Query(name) => {
                Query::new(query).all(name).for_each(|value| found(value.into_owned().into()));
            }
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match &self.0 {
            Place::Header(name) if !is_header_name(name) => Err(ConfigError::new(
                "token",
                format!("is in header {name:?}, expected the name of a header"),
            )),
            Place::Query(name) if name.is_empty() => Err(ConfigError::new(
                "token",
                "is in query parameter \"\", expected the name of a query parameter",
            )),
            _ => Ok(()),
        }
    }
}
