//! Settings: the one place that reads the environment (and `.env`).
//!
//! A wrong setting is one clear line before anything starts.

mod env;

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    time::Duration,
};

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

pub use env::SettingError;
pub(crate) use env::unusable;

use env::{Env, check_base, check_file, check_url, wrong};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For a person at a terminal.
    Text,
}

/// Requests a minute; `None` is without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitSettings {
    /// `RATE_LIMIT_ANON`: without a login, by address (default 10, `0` = off).
    pub anonymous: Option<NonZeroU32>,
    /// `RATE_LIMIT_USER`: of a user, by address (default 60, `0` = off).
    pub user: Option<NonZeroU32>,
    /// `RATE_LIMIT_ADMIN`: of staff on their routes (default 30, `0` = off).
    pub staff: Option<NonZeroU32>,
}

/// Proxies whose word on where a request came from is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Whether the peer at this address is one.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address.to_canonical()))
    }
}

impl FromIterator<IpAddr> for TrustedProxies {
    fn from_iter<I: IntoIterator<Item = IpAddr>>(addresses: I) -> Self {
        Self(addresses.into_iter().map(IpNet::from).collect())
    }
}

/// How the language model is reached, and what it costs.
#[derive(Debug, Clone)]
pub struct GeminiSettings {
    /// `GEMINI_API_KEY`.
    pub api_key: SecretString,
    /// `GEMINI_API_BASE`: scheme, host and port (default `https://generativelanguage.googleapis.com`).
    pub api_base: Url,
    /// `GEMINI_MODEL` (default `gemini-flash-latest`).
    pub model: String,
    /// `GEMINI_TIMEOUT_SECS`: for all that a question asks of the model (default 10).
    pub timeout: Duration,
    /// `GEMINI_INPUT_CENTS`: US cents for a million tokens it reads (default 30).
    pub input_cents: u32,
    /// `GEMINI_OUTPUT_CENTS`: US cents for a million tokens it writes (default 250).
    pub output_cents: u32,
}

/// What Sam may take.
#[derive(Debug, Clone, Copy)]
pub struct SamSettings {
    /// `SAM_WAIT_SECS`: how long a request waits for its answer (default 12).
    pub wait: Duration,
    /// `SAM_DAILY_TOKENS`: of the model, for a user and day (default 500,000, `0` = any number).
    pub daily_tokens: Option<NonZeroU32>,
    /// `SAM_DAILY_CENTS`: US cents for the model, for a user and day (default 50, `0` = any).
    pub daily_cents: Option<NonZeroU32>,
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
    /// `MAX_REQUESTS`: worked on at once by an api process (default 32 for each connection to Postgres; 0: any number).
    pub max_requests: u32,
    /// `REDIS_URL`; without it one api process runs with a bus of its own.
    pub redis_url: Option<SecretString>,
    /// `BIND_ADDR` (default `127.0.0.1:4000`).
    pub bind_addr: SocketAddr,
    /// `PUBLIC_URL`: scheme, host and port where people reach this api (default `http://` and the address bound).
    pub public_url: Url,
    /// `JWT_SECRET`: at least 32 bytes; signs access tokens and seals cursors.
    pub jwt_secret: SecretString,
    /// `ALLOWED_ORIGINS`: comma-separated; pages of these may call the api and open sockets, besides `PUBLIC_URL`'s own.
    pub allowed_origins: Vec<String>,
    /// `TRUSTED_PROXIES`: comma-separated addresses and networks (`10.0.0.0/8`) whose `X-Forwarded-For` counts.
    pub trusted_proxies: TrustedProxies,
    /// `RATE_LIMIT_*`.
    pub rate_limits: RateLimitSettings,
    /// `SMTP_URL` (`smtp://` or `smtps://`); without it mail stays in the database.
    pub smtp_url: Option<SecretString>,
    /// `MAIL_FROM` (default `HumanChat <noreply@localhost>`).
    pub mail_from: String,
    /// `STRIPE_SECRET_KEY`; without it nothing can be paid.
    pub stripe_secret_key: Option<SecretString>,
    /// `STRIPE_WEBHOOK_SECRET`: one or, while they are changed, several, comma-separated.
    pub stripe_webhook_secrets: Vec<SecretString>,
    /// `STRIPE_API_BASE`: scheme, host and port (default `https://api.stripe.com`).
    pub stripe_api_base: Url,
    /// `PLATFORM_FEE_PERCENT`: of what paid hosts earn (default 10).
    pub platform_fee_percent: u32,
    /// `PAYOUT_AFTER_DAYS`: how long payers have to dispute before hosts are paid (default 7).
    pub payout_after_days: u32,
    /// `INVITE_TTL_ONLINE_SECS` (default 300).
    pub invite_ttl_online: Duration,
    /// `INVITE_TTL_OFFLINE_SECS` (default 86400).
    pub invite_ttl_offline: Duration,
    /// `GEMINI_*`; without a key Sam answers by simple rules.
    pub gemini: Option<GeminiSettings>,
    /// `SAM_*`.
    pub sam: SamSettings,
    /// `BOOKING_HOLD_SECS`: how long a slot is kept for who has to pay for it (default 900).
    pub booking_hold: Duration,
    /// `LOG_FORMAT`: `json` (default) or `text`.
    pub log_format: LogFormat,
    /// `LOG_LEVEL`: a tracing filter (default `info`).
    pub log_level: String,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: the collector that traces go to, by OTLP over HTTP; `/v1/traces` is added.
    pub otlp_endpoint: Option<Url>,
    /// `METRICS_ADDR`: where a worker shows its measurements to Prometheus; the api does at `/metrics`.
    pub metrics_addr: Option<SocketAddr>,
    /// `DEV_PAGES`: `true` serves `/dev/mailbox`. Never set it where strangers can connect.
    pub dev_pages: bool,
}

impl Settings {
    /// Reads `.env`, then the environment, which wins.
    ///
    /// # Errors
    /// The first setting that is missing or wrong, or a `.env` that can't be read to its end.
    pub fn from_env() -> Result<Self, SettingError> {
        check_file(dotenvy::dotenv())?;
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
            Some(url) => check_base("PUBLIC_URL", &url)?,
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
            max_requests: env.in_range("MAX_REQUESTS", 32 * database_pool, 0, 1_000_000)?,
            redis_url: redis_url.map(Into::into),
            bind_addr,
            public_url,
            jwt_secret: jwt_secret.into(),
            allowed_origins: origins(&env)?,
            trusted_proxies: trusted_proxies(&env)?,
            rate_limits: RateLimitSettings {
                anonymous: env.limit("RATE_LIMIT_ANON", 10)?,
                user: env.limit("RATE_LIMIT_USER", 60)?,
                staff: env.limit("RATE_LIMIT_ADMIN", 30)?,
            },
            smtp_url: smtp_url.map(Into::into),
            mail_from,
            stripe_secret_key: env.optional("STRIPE_SECRET_KEY").map(Into::into),
            stripe_webhook_secrets: env
                .list("STRIPE_WEBHOOK_SECRET", |secret| Ok(SecretString::from(secret.to_owned())))?,
            stripe_api_base: stripe_api_base(&env)?,
            platform_fee_percent: env.in_range("PLATFORM_FEE_PERCENT", 10, 0, 100)?,
            payout_after_days: env.in_range("PAYOUT_AFTER_DAYS", 7, 0, 90)?,
            invite_ttl_online: Duration::from_secs(env.in_range("INVITE_TTL_ONLINE_SECS", 300, 1, 86_400)?.into()),
            invite_ttl_offline: Duration::from_secs(
                env.in_range("INVITE_TTL_OFFLINE_SECS", 86_400, 1, 2_592_000)?.into(),
            ),
            gemini: gemini(&env)?,
            sam: SamSettings {
                wait: Duration::from_secs(env.in_range("SAM_WAIT_SECS", 12, 0, 60)?.into()),
                daily_tokens: env.limit("SAM_DAILY_TOKENS", 500_000)?,
                daily_cents: env.limit("SAM_DAILY_CENTS", 50)?,
            },
            booking_hold: Duration::from_secs(env.in_range("BOOKING_HOLD_SECS", 900, 1, 86_400)?.into()),
            log_format: match env.optional("LOG_FORMAT").as_deref() {
                None | Some("json") => LogFormat::Json,
                Some("text") => LogFormat::Text,
                Some(_) => return Err(wrong("LOG_FORMAT", "must be json or text")),
            },
            log_level: env.optional("LOG_LEVEL").unwrap_or_else(|| "info".to_owned()),
            otlp_endpoint: env.url("OTEL_EXPORTER_OTLP_ENDPOINT", &["http", "https"])?,
            metrics_addr: match env.optional("METRICS_ADDR") {
                Some(_) => Some(env.parsed("METRICS_ADDR", "", "an address and port like 127.0.0.1:9100")?),
                None => None,
            },
            dev_pages: env.parsed("DEV_PAGES", "false", "true or false")?,
        })
    }
}

fn origins(env: &Env<'_>) -> Result<Vec<String>, SettingError> {
    const NAME: &str = "ALLOWED_ORIGINS";
    env.list(NAME, |origin| Ok(check_url(NAME, origin, &["http", "https"])?.origin().ascii_serialization()))
}

fn trusted_proxies(env: &Env<'_>) -> Result<TrustedProxies, SettingError> {
    const NAME: &str = "TRUSTED_PROXIES";
    let networks = env.list(NAME, |text| {
        let network = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse::<IpNet>());
        network.map_err(|_| wrong(NAME, format!("{text:?} is neither an address nor a network like 10.0.0.0/8")))
    })?;
    Ok(TrustedProxies(networks))
}

/// The model's settings are checked even where there is no key.
fn gemini(env: &Env<'_>) -> Result<Option<GeminiSettings>, SettingError> {
    const BASE: &str = "GEMINI_API_BASE";
    let base = env.optional(BASE).unwrap_or_else(|| "https://generativelanguage.googleapis.com".to_owned());
    let api_base = check_base(BASE, &base)?;
    let model = env.optional("GEMINI_MODEL").unwrap_or_else(|| "gemini-flash-latest".to_owned());
    if !model.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        return Err(wrong("GEMINI_MODEL", "must be a model's name such as gemini-flash-latest"));
    }
    let timeout = Duration::from_secs(env.in_range("GEMINI_TIMEOUT_SECS", 10, 1, 25)?.into());
    let input_cents = env.in_range("GEMINI_INPUT_CENTS", 30, 0, 100_000)?;
    let output_cents = env.in_range("GEMINI_OUTPUT_CENTS", 250, 0, 100_000)?;
    let key = env.optional("GEMINI_API_KEY");
    if key.as_ref().is_some_and(|key| !key.bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err(wrong("GEMINI_API_KEY", "must be printable ASCII"));
    }
    let settings =
        |key: String| GeminiSettings { api_key: key.into(), api_base, model, timeout, input_cents, output_cents };
    Ok(key.map(settings))
}

fn stripe_api_base(env: &Env<'_>) -> Result<Url, SettingError> {
    const NAME: &str = "STRIPE_API_BASE";
    check_base(NAME, env.optional(NAME).as_deref().unwrap_or("https://api.stripe.com"))
}

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        collections::{BTreeMap, BTreeSet},
    };

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
        assert_eq!(settings.booking_hold, Duration::from_mins(15));
        assert_eq!((settings.max_connections, settings.max_connections_per_ip), (20_000, 1000));
        assert!(settings.gemini.is_none());
        let gemini = read(&[("GEMINI_API_KEY", "key")]).unwrap().gemini.unwrap();
        assert_eq!(gemini.api_base.as_str(), "https://generativelanguage.googleapis.com/");
        assert_eq!((gemini.model.as_str(), gemini.timeout), ("gemini-flash-latest", Duration::from_secs(10)));
        assert_eq!(settings.sam.wait, Duration::from_secs(12));
        assert_eq!((settings.database_pool, settings.max_requests), (16, 512));
        assert_eq!(settings.stripe_api_base.as_str(), "https://api.stripe.com/");
        assert_eq!((settings.stripe_webhook_secrets.len(), settings.platform_fee_percent), (0, 10));
        let limits = settings.rate_limits;
        assert_eq!(
            [limits.anonymous, limits.user, limits.staff].map(|limit| limit.map(NonZeroU32::get)),
            [Some(10), Some(60), Some(30)]
        );
        assert!(!settings.trusted_proxies.contains([127, 0, 0, 1].into()));
    }

    #[test]
    fn proxies_are_trusted_by_address_or_network() {
        let proxies = read(&[("TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1,2001:db8::/32")]).unwrap().trusted_proxies;
        for (address, trusted) in [
            ("10.9.8.7", true),
            ("::ffff:10.9.8.7", true),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("2001:db8::5", true),
            ("2001:db9::5", false),
        ] {
            assert_eq!(proxies.contains(address.parse().unwrap()), trusted, "{address}");
        }
    }

    #[test]
    fn zero_switches_a_limit_off() {
        assert_eq!(read(&[("RATE_LIMIT_ANON", "0")]).unwrap().rate_limits.anonymous, None);
    }

    #[test]
    fn wrong_settings_are_one_line_that_names_them() {
        for (name, value) in [
            ("DATABASE_URL", ""),
            ("DATABASE_URL", "mysql://x/y"),
            ("REDIS_URL", "localhost"),
            ("BIND_ADDR", "4000"),
            ("PUBLIC_URL", "ftp://x"),
            ("PUBLIC_URL", "https://example.com/chat"),
            ("PUBLIC_URL", "https://example.com/?from=mail"),
            ("PUBLIC_URL", "https://somebody@example.com"),
            ("JWT_SECRET", "short"),
            ("SMTP_URL", "http://x"),
            ("MAIL_FROM", "nobody"),
            ("INVITE_TTL_ONLINE_SECS", "0"),
            ("INVITE_TTL_OFFLINE_SECS", "-1"),
            ("LOG_FORMAT", "xml"),
            ("DEV_PAGES", "maybe"),
            ("ALLOWED_ORIGINS", "https://a.example, nonsense"),
            ("DATABASE_POOL", "1"),
            ("GEMINI_API_BASE", "https://gemini.example/v1beta"),
            ("GEMINI_API_BASE", "gemini.example"),
            ("GEMINI_API_BASE", "https://:secret@gemini.example"),
            ("GEMINI_API_KEY", "a key"),
            ("GEMINI_MODEL", "models/gemini"),
            ("GEMINI_TIMEOUT_SECS", "0"),
            ("SAM_WAIT_SECS", "61"),
            ("SAM_DAILY_CENTS", "-1"),
            ("TRUSTED_PROXIES", "10.0.0.1, proxy.example"),
            ("RATE_LIMIT_ANON", "-1"),
            ("RATE_LIMIT_USER", "many"),
            ("STRIPE_API_BASE", "https://api.stripe.com/v1"),
            ("STRIPE_API_BASE", "api.stripe.com"),
            ("PLATFORM_FEE_PERCENT", "101"),
            ("PAYOUT_AFTER_DAYS", "91"),
            ("MAX_CONNECTIONS", "many"),
            ("MAX_CONNECTIONS_PER_IP", "-1"),
            ("MAX_REQUESTS", "1.5"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
            ("METRICS_ADDR", "9100"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(name) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn the_example_file_is_read_to_its_end_and_has_every_setting() {
        let example = include_str!("../../../.env.example");
        let is_setting = |line: &str| line.split_once('=').is_some_and(|(name, _)| !name.contains(' '));
        let lines = example.lines().map(|line| line.strip_prefix("# ").filter(|rest| is_setting(rest)).unwrap_or(line));
        let file = lines.collect::<Vec<_>>().join("\n");
        let values: Result<BTreeMap<_, _>, _> = dotenvy::from_read_iter(file.as_bytes()).collect();
        let mut values = values.unwrap();
        values.insert("JWT_SECRET".to_owned(), "0123456789abcdef0123456789abcdef".to_owned());
        let asked = RefCell::new(BTreeSet::new());
        let settings = Settings::from_lookup(&|name| {
            asked.borrow_mut().insert(name.to_owned());
            values.get(name).cloned()
        });
        assert_eq!(settings.unwrap().mail_from, "HumanChat <hello@example.com>");
        assert_eq!(values.into_keys().collect::<BTreeSet<_>>(), asked.into_inner());
    }

    #[test]
    fn a_file_that_breaks_off_is_refused_without_a_word_of_it() {
        let broken = "MAIL_FROM=HumanChat <hello@example.com>\nSTRIPE_SECRET_KEY=sk_live_1";
        let error = check_file(dotenvy::from_read(broken.as_bytes())).unwrap_err().to_string();
        assert!(error.starts_with(".env: ") && !error.contains("hello"), "{error}");
        let missing = check_file(dotenvy::from_path("/nowhere/.env"));
        assert!(missing.is_ok(), "{missing:?}");
    }
}
