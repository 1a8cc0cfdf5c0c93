//! The Stripe simulator that the product pays with when the developer named no key of Stripe's.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Result;
use humanchat_local::{ports, secret};

use super::config::Config;

/// Its executable.
pub(crate) const PROGRAM: &str = "humanchat-stripe";

/// Where the simulator listens, and how it signs what it tells.
#[derive(Debug)]
pub(crate) struct Simulator {
    address: SocketAddr,
    webhook_secret: String,
}

impl Simulator {
    /// One with a port and a secret of its own, which it keeps; none for a developer who uses Stripe itself.
    pub(crate) fn unless_named(config: &Config, data: &Path) -> Result<Option<Self>> {
        if config.get("STRIPE_SECRET_KEY").is_some() {
            return Ok(None);
        }
        let noted = data.join("stripe_port");
        let port = ports::remembered_or_free(&noted)?;
        ports::remember(&noted, port)?;
        let webhook_secret = format!("whsec_{}", secret::kept_in::<16>(&data.join("stripe_webhook_secret"))?);
        Ok(Some(Self { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), webhook_secret }))
    }

    /// Where people pay.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What the product must know to use it.
    pub(crate) fn settings(&self) -> [(String, Option<String>); 3] {
        [
            ("STRIPE_API_BASE", self.url()),
            ("STRIPE_SECRET_KEY", "sk_test_simulator".to_owned()),
            ("STRIPE_WEBHOOK_SECRET", self.webhook_secret.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), Some(value)))
    }

    /// How it is started, to tell `api` what happened.
    pub(crate) fn arguments(&self, api: SocketAddr) -> Vec<String> {
        let webhook = format!("http://{api}/api/payments/webhook");
        let arguments =
            ["--bind", &self.address.to_string(), "--webhook", &webhook, "--webhook-secret", &self.webhook_secret];
        arguments.map(str::to_owned).to_vec()
    }
}
