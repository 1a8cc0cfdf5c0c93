//! A private Postgres server: a cluster in one folder, run as our child.
//!
//! The folder holds `cluster` (Postgres' own data), `log`, `port` and `password`. The server listens on
//! 127.0.0.1 and on a Unix socket. Two roles: `postgres`, the superuser, and `humanchat`, an ordinary
//! role that may create databases, which the product and its tests connect as; so nothing comes to
//! depend on rights that a managed Postgres doesn't give.

mod cluster;
mod find;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;

use crate::account::Account;
use crate::{place, ports, processes, secret};
pub use find::Installation;

/// The ordinary role that [`Postgres::url`] connects as.
pub const ROLE: &str = "humanchat";

const START_LIMIT: Duration = Duration::from_mins(2);
const FAST_STOP_LIMIT: Duration = Duration::from_secs(20);
const IMMEDIATE_STOP_LIMIT: Duration = Duration::from_secs(10);
/// How long a new server may find the remains of one that was killed: its processes, its port.
const REMAINS_LIMIT: Duration = Duration::from_secs(15);

/// Stops the server that a killed process left in `data_dir`, if any.
///
/// # Errors
///
/// When it doesn't stop.
pub fn stop_leftover(data_dir: &Path) -> Result<()> {
    cluster::stop_leftover(&fs::read_link(data_dir).unwrap_or_else(|_| data_dir.to_path_buf()))
}

/// What kind of server to start, and where.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    /// The folder for everything of this server; made when missing. As root it may be a link to a
    /// folder that the unprivileged account can reach.
    pub data_dir: PathBuf,
    /// `true`: keeps committed data through a crash. `false`: for data nobody needs afterwards; several
    /// times faster.
    pub durable: bool,
    /// Whether a missing Postgres may be installed (apt-get, brew, npm).
    pub install: bool,
}

/// A running Postgres server; dropping it stops it.
///
/// All methods block the calling thread.
#[derive(Debug)]
pub struct Postgres {
    durable: bool,
    dir: PathBuf,
    sockets: PathBuf,
    installation: Installation,
    account: Option<Account>,
    password: String,
    port: u16,
    child: Option<Child>,
    _lock: File,
}

impl Postgres {
    /// Starts a server on the cluster in `options.data_dir`, which is made first if need be, on the port
    /// it had before if that is free. A server that a killed process left there is stopped.
    ///
    /// # Errors
    ///
    /// When no fitting Postgres is found, another process uses the folder, or the server doesn't start;
    /// the message ends with the last lines of its log.
    pub fn start(options: PostgresOptions) -> Result<Self> {
        let PostgresOptions { data_dir, durable, install } = options;
        let account = Account::for_data(&data_dir.join("cluster"))?;
        let dir = place::open(&data_dir, account.as_ref())?;
        let Some(lock) = place::lock(&dir)? else {
            bail!("another process runs a Postgres in {}", dir.display());
        };
        cluster::stop_leftover(&dir)?;
        let version = cluster::version(&dir);
        let installation = find::installation(version, account.as_ref(), install)?;
        let password = secret::kept_in::<16>(&dir.join("password"))?;
        if version.is_none() {
            let account = account.as_ref();
            cluster::NewCluster { dir: &dir, installation: &installation, account, password: &password }.create()?;
        }
        cluster::trim_log(&dir)?;
        let mut server = Self {
            durable,
            sockets: cluster::socket_folder(&dir, account.as_ref())?,
            port: ports::remembered_or_free(&dir.join("port"))?,
            dir,
            installation,
            account,
            password,
            child: None,
            _lock: lock,
        };
        server.launch(|server| {
            server.port = ports::free_port()?;
            Ok(())
        })?;
        ports::remember(&server.dir.join("port"), server.port)?;
        Ok(server)
    }

    /// The URL of `database` for the ordinary role.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_as(ROLE, database)
    }

    /// The URL of `database` for the superuser.
    #[must_use]
    pub fn superuser_url(&self, database: &str) -> String {
        self.url_as("postgres", database)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder with `postgres`, `psql` and so on.
    #[must_use]
    pub fn bin_dir(&self) -> &Path {
        &self.installation.bin
    }

    /// The folder of the Unix socket, for `psql -h`.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.sockets
    }

    /// The server's log file.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Whether the server process is alive.
    ///
    /// # Errors
    ///
    /// When the child can't be waited for.
    pub fn is_running(&mut self) -> Result<bool> {
        match &mut self.child {
            Some(child) => Ok(child.try_wait()?.is_none()),
            None => Ok(false),
        }
    }

    /// Stops the server in order (SIGINT): open transactions are rolled back, the cluster is left clean.
    ///
    /// # Errors
    ///
    /// When it can't be signalled or waited for.
    pub fn stop_fast(&mut self) -> Result<()> {
        self.stop(&[(Signal::SIGINT, FAST_STOP_LIMIT), (Signal::SIGQUIT, IMMEDIATE_STOP_LIMIT)])
    }

    /// Stops the server at once (SIGQUIT); the next start replays its log, as after a power cut.
    ///
    /// # Errors
    ///
    /// When it can't be signalled or waited for.
    pub fn stop_immediate(&mut self) -> Result<()> {
        self.stop(&[(Signal::SIGQUIT, IMMEDIATE_STOP_LIMIT)])
    }

    /// Kills the server process (SIGKILL), as a crash would. Its backends notice and end on their own.
    ///
    /// # Errors
    ///
    /// When it can't be signalled or waited for.
    pub fn kill(&mut self) -> Result<()> {
        self.stop(&[])
    }

    /// Starts the server again on the same port and data; stops it in order before if it still runs.
    ///
    /// # Errors
    ///
    /// When it doesn't start, which includes that somebody took its port.
    pub fn restart(&mut self) -> Result<()> {
        self.stop_fast()?;
        self.launch(|_| Ok(()))
    }

    /// Starts the process and waits until it accepts connections. Remains of a killed server go away by
    /// themselves; `on_port_taken` may choose another port.
    fn launch(&mut self, on_port_taken: impl Fn(&mut Self) -> Result<()>) -> Result<()> {
        let deadline = Instant::now() + REMAINS_LIMIT;
        loop {
            let log_before = fs::metadata(self.log_file()).map_or(0, |log| log.len());
            let mut child = self.spawn()?;
            if cluster::wait_ready(&self.dir, &mut child, START_LIMIT)? {
                self.child = Some(child);
                return Ok(());
            }
            let log = cluster::log_since(&self.log_file(), log_before);
            let port_taken = log.contains("Address already in use");
            let remains = log.contains("pre-existing shared memory block");
            if !(port_taken || remains) || Instant::now() > deadline {
                bail!("Postgres doesn't start; {} ends with:\n{log}", self.log_file().display());
            }
            if port_taken {
                on_port_taken(self)?;
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn spawn(&self) -> Result<Child> {
        cluster::Server {
            dir: &self.dir,
            program: &self.installation.bin.join("postgres"),
            account: self.account.as_ref(),
            sockets: &self.sockets,
            port: self.port,
            durable: self.durable,
        }
        .spawn()
    }

    fn stop(&mut self, signals: &[(Signal, Duration)]) -> Result<()> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        for (signal, patience) in signals {
            if child.try_wait()?.is_none() {
                processes::signal(child.id(), *signal)?;
            }
            if processes::wait(&mut child, *patience)?.is_some() {
                return Ok(());
            }
        }
        child.kill().context("cannot kill Postgres")?;
        child.wait().context("cannot wait for Postgres")?;
        Ok(())
    }

    fn url_as(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Nobody is left to tell, and the next start cleans up what is left.
        let _ = if self.durable { self.stop_fast() } else { self.stop_immediate() };
        let _ = fs::remove_dir(&self.sockets);
    }
}
