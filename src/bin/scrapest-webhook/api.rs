//! The flags of all commands that call the sender's API.

use std::path::PathBuf;

use anyhow::{Result, bail};
use scrapest_webhook::sender_api::{Api, ApiKey, Client};

use crate::flag;

#[derive(Debug, clap::Args)]
pub(crate) struct ApiArgs {
    /// The environment variable that contains the API key
    #[arg(long, value_name = "NAME", conflicts_with = "api_key_file")]
    api_key_env: Option<String>,

    /// A file that contains the API key; one final line feed is removed
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,

    /// The URL of the sender's API, if not the published one: a proxy, or a test server
    #[arg(long, value_name = "URL")]
    api_url: Option<String>,

    /// How many requests to the API this command may make, including retries
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    max_calls: u64,
}

impl ApiArgs {
    pub(crate) fn client<S: Api>(&self) -> Result<Client<S>> {
        let key = match (&self.api_key_env, &self.api_key_file) {
            (Some(name), _) => {
                let named = flag::of_variable("--api-key-env", name)?;
                ApiKey::from_env(name).map_err(|error| flag::of(&named, &error))?
            }
            (None, Some(path)) => {
                let named = format!("--api-key-file {}", path.display());
                ApiKey::from_file(path).map_err(|error| flag::of(&named, &error))?
            }
            (None, None) => bail!(
                "--api-key-env, --api-key-file: no API key is given, expected one of these flags"
            ),
        };
        let url = self.api_url.as_deref().unwrap_or(S::URL);
        flag::without_password("--api-url", url)?;
        let client = Client::at(url, key).map_err(|error| flag::of("--api-url", &error))?;
        Ok(client.with_budget(self.max_calls))
    }
}
