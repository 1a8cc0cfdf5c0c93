//! What HumanChat means and stores: rules, SQL, events, providers' clients.
//!
//! One module a feature, the same names as in the other crates. An operation that changes
//! something takes a [`tx::Tx`]; one that only reads takes the [`Store`]. Who may do a thing is
//! decided in the SQL that does it.

use std::{ops::Deref, sync::Arc};

use secrecy::ExposeSecret;
use sqlx::{Connection as _, PgConnection, migrate::Migrate as _, postgres::PgConnectOptions};

pub use humanchat_jobs::id;

pub mod admin;
pub mod announcements;
pub mod audit;
pub mod auth;
pub mod availability;
pub mod bus;
mod calendar;
pub mod clock;
pub mod config;
pub mod conversations;
pub mod cursor;
pub mod erasure;
pub mod error;
pub mod event;
pub mod export;
pub mod idempotency;
pub mod invites;
pub mod logging;
pub mod mail;
pub mod maintenance;
pub mod measurements;
pub mod money;
pub mod notifications;
pub mod nudge;
pub mod payments;
pub mod pool;
mod providers;
mod queries;
pub mod queue;
pub mod rate_limits;
pub mod realtime;
pub mod requests;
pub mod sam;
pub mod sessions;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;
pub mod traces;
pub mod tx;
pub mod users;

/// What every operation works in: connections, clock, bell, keys, settings. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store(Arc<Parts>);

impl Deref for Store {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What a [`Store`] consists of.
#[derive(Debug)]
pub struct Parts {
    pub(crate) pool: pool::Pool,
    pub(crate) clock: clock::Clock,
    pub(crate) bus: bus::Bus,
    pub(crate) nudger: nudge::Nudger,
    pub(crate) keys: auth::Keys,
    pub(crate) mailer: mail::Mailer,
    pub(crate) gemini: Option<sam::Gemini>,
    stripe: Option<payments::Stripe>,
    rate_limits: rate_limits::RateLimits,
    settings: config::Settings,
}

/// A process' connections to Postgres.
#[derive(Debug, Clone, Copy)]
pub struct Connections {
    /// Open and free.
    pub idle: usize,
    /// At work.
    pub used: usize,
}

impl Store {
    /// Puts the parts together. Connections are made when they are first needed.
    ///
    /// # Errors
    /// When a URL in the settings can't be used.
    pub fn open(settings: config::Settings, clock: clock::Clock) -> Result<Self, config::SettingError> {
        let pool = pool(&settings)?;
        let bus = match &settings.redis_url {
            Some(url) => bus::Bus::redis(url.expose_secret()).map_err(|error| config::unusable("REDIS_URL", error))?,
            None => bus::Bus::local(),
        };
        let nudger = nudge::Nudger::spawn(pool.connect_options());
        let keys = auth::Keys::derive(&settings.jwt_secret);
        let mailer = mail::Mailer::new(&settings)?;
        let gemini = settings.gemini.as_ref().map(sam::Gemini::new).transpose()?;
        let stripe = payments::Stripe::new(&settings)?;
        let rate_limits = rate_limits::RateLimits::new(&settings.rate_limits, &bus);
        Ok(Self(Arc::new(Parts { pool, clock, bus, nudger, keys, mailer, gemini, stripe, rate_limits, settings })))
    }

    /// The settings.
    pub fn settings(&self) -> &config::Settings {
        &self.settings
    }

    /// The clock.
    pub fn clock(&self) -> &clock::Clock {
        &self.clock
    }

    /// The bell.
    pub fn bus(&self) -> &bus::Bus {
        &self.bus
    }

    /// How many requests are let through.
    pub fn rate_limits(&self) -> &rate_limits::RateLimits {
        &self.rate_limits
    }

    /// The connections, for the worker's queue.
    pub fn pool(&self) -> &pool::Pool {
        &self.pool
    }

    /// How many connections this process has to Postgres.
    pub fn connections(&self) -> Connections {
        self.pool.connections()
    }

    /// Brings the database's schema up to this program's.
    ///
    /// # Errors
    /// When a migration fails, or the database has ones this program doesn't know.
    pub async fn migrate(&self) -> Result<(), sqlx::migrate::MigrateError> {
        // A connection of its own: building an index may take its time, and so may another program that migrates now.
        let options = self.pool.connect_options().clone();
        let options = options.options([("statement_timeout", "0"), ("lock_timeout", "0")]);
        let mut conn = PgConnection::connect_with(&options).await?;
        conn.lock().await?;
        queries::give_up_at_locks(&mut conn).await?;
        let mut migrator = sqlx::migrate!("../migrations");
        migrator.set_locking(false).run(&mut conn).await?;
        Ok(conn.close().await?)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Why it doesn't.
    pub async fn ping(&self) -> error::Result<()> {
        queries::ping(&self.pool).await?;
        Ok(())
    }
}

fn pool(settings: &config::Settings) -> Result<pool::Pool, config::SettingError> {
    let options: PgConnectOptions =
        settings.database_url.expose_secret().parse().map_err(|error| config::unusable("DATABASE_URL", error))?;
    let options = options.application_name("humanchat").options([
        ("statement_timeout", "30s"),
        ("lock_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "60s"),
        ("timezone", "UTC"),
        // Notices quote what was searched for, and would be logged.
        ("client_min_messages", "warning"),
    ]);
    Ok(pool::Pool::new(options, settings.database_pool))
}
