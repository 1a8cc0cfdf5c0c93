//! Settings: the one place that reads the environment (and `.env`).
//!
//! A wrong setting is one clear line before anything starts.

use std::{net::SocketAddr, time::Duration};

use secrecy::SecretString;
use url::Url;

/// A setting that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct SettingError {
    name: &'static str,
    reason: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For a person at a terminal.
    Text,
}

/// Everything that can be set, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `DATABASE_URL`: Postgres 15 or newer.
    pub database_url: SecretString,
    /// `DATABASE_POOL`: connections of a process to Postgres (default 16).
    pub database_pool: u32,
    /// `MAX_CONNECTIONS`: of clients to an api process (default 20,000; 0: as many as there is room for).
    pub max_connections: u32,
    /// `MAX_CONNECTIONS_PER_IP`: of those, from one address (default 1,000; 0: any number).
    pub max_connections_per_ip: u32,
    /// `MAX_REQUESTS`: worked on at once by an api process (default 16 for each connection to Postgres; 0: any number).
    pub max_requests: u32,
    /// `REDIS_URL`; without it one api process runs with a bus of its own.
    pub redis_url: Option<SecretString>,
    /// `BIND_ADDR` (default `127.0.0.1:4000`).
    pub bind_addr: SocketAddr,
    /// `PUBLIC_URL`: where people reach this api (default `http://` and the address bound).
    pub public_url: Url,
    /// `JWT_SECRET`: at least 32 bytes; signs access tokens and seals cursors.
    pub jwt_secret: SecretString,
    /// `ALLOWED_ORIGINS`: comma-separated; browsers on these may open sockets, besides `PUBLIC_URL`'s own.
    pub allowed_origins: Vec<String>,
    /// `SMTP_URL` (`smtp://` or `smtps://`); without it mail stays in the database.
    pub smtp_url: Option<SecretString>,
    /// `MAIL_FROM` (default `HumanChat <noreply@localhost>`).
    pub mail_from: String,
    /// `INVITE_TTL_ONLINE_SECS` (default 300).
    pub invite_ttl_online: Duration,
    /// `INVITE_TTL_OFFLINE_SECS` (default 86400).
    pub invite_ttl_offline: Duration,
    /// `LOG_FORMAT`: `json` (default) or `text`.
    pub log_format: LogFormat,
    /// `LOG_LEVEL`: a tracing filter (default `info`).
    pub log_level: String,
    /// `DEV_PAGES`: `true` serves `/dev/mailbox`. Never set it where strangers can connect.
    pub dev_pages: bool,
}

impl Settings {
    /// Reads `.env`, then the environment, which wins.
    ///
    /// # Errors
    /// The first setting that is missing or wrong.
    pub fn from_env() -> Result<Self, SettingError> {
        dotenvy::dotenv().ok();
        #[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
        Self::from_lookup(&|name| std::env::var(name).ok())
    }

    /// Reads settings from anything that answers to their names.
    ///
    /// # Errors
    /// The first setting that is missing or wrong.
    pub fn from_lookup(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, SettingError> {
        let env = Env(lookup);
        let database_url = env.required("DATABASE_URL")?;
        check_url("DATABASE_URL", &database_url, &["postgres", "postgresql"])?;
        let redis_url = env.optional("REDIS_URL");
        if let Some(url) = &redis_url {
            check_url(
                "REDIS_URL",
                url,
                &["redis", "rediss", "redis-cluster", "rediss-cluster", "redis-sentinel", "unix", "redis+unix"],
            )?;
        }
        let smtp_url = env.optional("SMTP_URL");
        if let Some(url) = &smtp_url {
            check_url("SMTP_URL", url, &["smtp", "smtps"])?;
        }
        let jwt_secret = env.required("JWT_SECRET")?;
        if jwt_secret.len() < 32 {
            return Err(wrong("JWT_SECRET", "must have at least 32 bytes"));
        }
        let bind_addr: SocketAddr =
            env.parsed("BIND_ADDR", "127.0.0.1:4000", "an address and port like 127.0.0.1:4000")?;
        let public_url = match env.optional("PUBLIC_URL") {
            Some(url) => check_url("PUBLIC_URL", &url, &["http", "https"])?,
            None => Url::parse(&format!("http://{bind_addr}")).map_err(|error| wrong("PUBLIC_URL", error))?,
        };
        let mail_from = env.optional("MAIL_FROM").unwrap_or_else(|| "HumanChat <noreply@localhost>".to_owned());
        mail_from.parse::<lettre::message::Mailbox>().map_err(|error| wrong("MAIL_FROM", error))?;
        let database_pool = env.in_range("DATABASE_POOL", 16, 2, 1000)?;
        Ok(Self {
            database_url: database_url.into(),
            database_pool,
            max_connections: env.in_range("MAX_CONNECTIONS", 20_000, 0, 10_000_000)?,
            max_connections_per_ip: env.in_range("MAX_CONNECTIONS_PER_IP", 1000, 0, 10_000_000)?,
            max_requests: env.in_range("MAX_REQUESTS", 16 * database_pool, 0, 1_000_000)?,
            redis_url: redis_url.map(Into::into),
            bind_addr,
            public_url,
            jwt_secret: jwt_secret.into(),
            allowed_origins: origins(&env)?,
            smtp_url: smtp_url.map(Into::into),
            mail_from,
            invite_ttl_online: Duration::from_secs(env.in_range("INVITE_TTL_ONLINE_SECS", 300, 1, 86_400)?.into()),
            invite_ttl_offline: Duration::from_secs(
                env.in_range("INVITE_TTL_OFFLINE_SECS", 86_400, 1, 2_592_000)?.into(),
            ),
            log_format: match env.optional("LOG_FORMAT").as_deref() {
                None | Some("json") => LogFormat::Json,
                Some("text") => LogFormat::Text,
                Some(_) => return Err(wrong("LOG_FORMAT", "must be json or text")),
            },
            log_level: env.optional("LOG_LEVEL").unwrap_or_else(|| "info".to_owned()),
            dev_pages: env.parsed("DEV_PAGES", "false", "true or false")?,
        })
    }
}

fn wrong(name: &'static str, reason: impl std::fmt::Display) -> SettingError {
    SettingError { name, reason: format!("{reason}") }
}

/// A setting that looked right but can't be used.
pub(crate) fn unusable(name: &'static str, error: impl std::fmt::Display) -> SettingError {
    wrong(name, format!("can't be used: {error}"))
}

fn check_url(name: &'static str, text: &str, schemes: &[&str]) -> Result<Url, SettingError> {
    let url = Url::parse(text).map_err(|error| wrong(name, format!("is not a URL: {error}")))?;
    if schemes.contains(&url.scheme()) {
        Ok(url)
    } else {
        Err(wrong(name, format!("must begin with {}", schemes.join(":// or ") + "://")))
    }
}

fn origins(env: &Env<'_>) -> Result<Vec<String>, SettingError> {
    const NAME: &str = "ALLOWED_ORIGINS";
    let Some(list) = env.optional(NAME) else { return Ok(Vec::new()) };
    list.split(',')
        .map(str::trim)
        .filter(|origin| !origin.is_empty())
        .map(|origin| Ok(check_url(NAME, origin, &["http", "https"])?.origin().ascii_serialization()))
        .collect()
}

struct Env<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Env<'_> {
    /// Empty counts as unset: that is how people switch a setting off in a `.env`.
    fn optional(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn required(&self, name: &'static str) -> Result<String, SettingError> {
        self.optional(name).ok_or_else(|| wrong(name, "must be set"))
    }

    fn parsed<T: std::str::FromStr>(&self, name: &'static str, default: &str, what: &str) -> Result<T, SettingError> {
        let value = self.optional(name).unwrap_or_else(|| default.to_owned());
        value.parse().map_err(|_| wrong(name, format!("must be {what}, not {value:?}")))
    }

    fn in_range(&self, name: &'static str, default: u32, min: u32, max: u32) -> Result<u32, SettingError> {
        let what = format!("a whole number from {min} to {max}");
        let value: u32 = self.parsed(name, &default.to_string(), &what)?;
        if (min..=max).contains(&value) { Ok(value) } else { Err(wrong(name, format!("must be {what}, not {value}"))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, SettingError> {
        let mut all =
            vec![("DATABASE_URL", "postgres://localhost/x"), ("JWT_SECRET", "0123456789abcdef0123456789abcdef")];
        all.extend_from_slice(pairs);
        Settings::from_lookup(&|name| {
            all.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.bind_addr.to_string(), "127.0.0.1:4000");
        assert_eq!(settings.public_url.as_str(), "http://127.0.0.1:4000/");
        assert_eq!(settings.invite_ttl_online, Duration::from_mins(5));
        assert_eq!(settings.invite_ttl_offline, Duration::from_hours(24));
        assert_eq!((settings.max_connections, settings.max_connections_per_ip), (20_000, 1000));
        assert_eq!((settings.database_pool, settings.max_requests), (16, 256));
    }

    #[test]
    fn wrong_settings_are_one_line_that_names_them() {
        for (name, value) in [
            ("DATABASE_URL", ""),
            ("DATABASE_URL", "mysql://x/y"),
            ("REDIS_URL", "localhost"),
            ("BIND_ADDR", "4000"),
            ("PUBLIC_URL", "ftp://x"),
            ("JWT_SECRET", "short"),
            ("SMTP_URL", "http://x"),
            ("MAIL_FROM", "nobody"),
            ("INVITE_TTL_ONLINE_SECS", "0"),
            ("INVITE_TTL_OFFLINE_SECS", "-1"),
            ("LOG_FORMAT", "xml"),
            ("DEV_PAGES", "maybe"),
            ("ALLOWED_ORIGINS", "https://a.example, nonsense"),
            ("DATABASE_POOL", "1"),
            ("MAX_CONNECTIONS", "many"),
            ("MAX_CONNECTIONS_PER_IP", "-1"),
            ("MAX_REQUESTS", "1.5"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(name) && !error.contains('\n'), "{error}");
        }
    }
}
