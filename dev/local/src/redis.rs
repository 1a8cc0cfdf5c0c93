//! A private Redis (or Valkey) server that keeps nothing on disk, run as our child.
//!
//! Its folder holds the configuration, `log`, `port` and `password`. Redis only carries what Postgres
//! knows better, so its data is gone after every stop.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;

use crate::account::Account;
use crate::launch::{self, Death};
use crate::{install, place, ports, processes, secret};

const START_LIMIT: Duration = Duration::from_secs(15);
const STOP_LIMIT: Duration = Duration::from_secs(5);
const PORT_TRIES: usize = 20;

/// Where to start a server.
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    /// The folder for everything of this server; made when missing.
    pub dir: PathBuf,
    /// Whether a missing Redis may be installed (apt-get, brew).
    pub install: bool,
}

/// A running Redis server; dropping it stops it.
///
/// All methods block the calling thread.
#[derive(Debug)]
pub struct Redis {
    dir: PathBuf,
    program: PathBuf,
    account: Option<Account>,
    password: String,
    port: u16,
    child: Option<Child>,
    _lock: File,
}

impl Redis {
    /// The server's program on this machine: `redis-server`, else `valkey-server`.
    #[must_use]
    pub fn find() -> Option<PathBuf> {
        ["redis-server", "valkey-server"].iter().find_map(|name| install::in_path(name))
    }

    /// Starts a server on the port it had before if that is free. One that a killed process left there is
    /// stopped.
    ///
    /// # Errors
    ///
    /// When there is no Redis, another process uses the folder, or the server doesn't start.
    pub fn start(options: RedisOptions) -> Result<Self> {
        let RedisOptions { dir, install: may_install } = options;
        let found = Self::find().or_else(|| {
            let installed = may_install && install::system_packages(&["redis-server"], &["redis"]);
            installed.then(Self::find).flatten()
        });
        let program = found.context(
            "no Redis server found: install it (apt-get install redis-server; brew install redis) or set \
             REDIS_URL to a running one",
        )?;
        let account = Account::for_servers()?;
        let dir = place::open(&dir, account.as_ref())?;
        let Some(lock) = place::lock(&dir)? else {
            bail!("another process runs a Redis in {}", dir.display());
        };
        let password = secret::kept_in::<16>(&dir.join("password"))?;
        stop_leftover(&dir);
        let port = ports::remembered_or_free(&dir.join("port"))?;
        let mut server = Self { dir, program, account, password, port, child: None, _lock: lock };
        server.launch(ports::free_port)?;
        ports::remember(&server.dir.join("port"), server.port)?;
        Ok(server)
    }

    /// The server's URL, password included.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://default:{}@127.0.0.1:{}", self.password, self.port)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
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

    /// Stops the server in order.
    ///
    /// # Errors
    ///
    /// When it can't be signalled or waited for.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(child) = &mut self.child {
            if child.try_wait()?.is_none() {
                processes::signal(child.id(), Signal::SIGTERM)?;
            }
            processes::wait(child, STOP_LIMIT)?;
        }
        self.kill()
    }

    /// Kills the server process (SIGKILL), as a crash would.
    ///
    /// # Errors
    ///
    /// When it can't be signalled or waited for.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().context("cannot kill Redis")?;
            child.wait().context("cannot wait for Redis")?;
        }
        Ok(())
    }

    /// Starts the server again, empty, on the same port; stops it before if it still runs.
    ///
    /// # Errors
    ///
    /// When it doesn't start, which includes that somebody took its port.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        let port = self.port;
        self.launch(|| Ok(port))
    }

    fn launch(&mut self, other_port: impl Fn() -> Result<u16>) -> Result<()> {
        for _ in 0..PORT_TRIES {
            let mut child = self.spawn()?;
            let deadline = Instant::now() + START_LIMIT;
            while child.try_wait()?.is_none() && Instant::now() < deadline {
                if is_ours(self.port, &self.password) {
                    self.child = Some(child);
                    return Ok(());
                }
                thread::sleep(Duration::from_millis(10));
            }
            let _ = child.kill();
            child.wait()?;
            if ports::is_free(self.port) {
                break;
            }
            thread::sleep(Duration::from_millis(100));
            self.port = other_port()?;
        }
        bail!("Redis doesn't start, see {}", self.dir.join("log").display())
    }

    fn spawn(&self) -> Result<Child> {
        // A file, since the list of processes shows everybody a command line.
        let settings = self.dir.join("redis.conf");
        let text = format!(
            "bind 127.0.0.1\nport {}\nrequirepass {}\nsave \"\"\nappendonly no\ndaemonize no\n",
            self.port, self.password
        );
        write_private(&settings, &text)?;
        if let Some(account) = &self.account {
            account.own(&settings)?;
        }
        let log = File::create(self.dir.join("log"))?;
        let mut command = launch::command(&self.program, self.account.as_ref(), Death::Terminate);
        // A relative path: Redis reads a configuration's name as words.
        command.arg("redis.conf").current_dir(&self.dir);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        launch::spawn_from_lasting_thread(command).context("cannot start Redis")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Nobody is left to tell, and the next start cleans up what is left.
        let _ = self.stop();
    }
}

/// Stops the server that a killed process left in `dir`, if any.
pub fn stop_leftover(dir: &Path) {
    let (Some(port), Ok(password)) = (ports::remembered(&dir.join("port")), fs::read_to_string(dir.join("password")))
    else {
        return;
    };
    let password = password.trim();
    if is_ours(port, password) {
        let _ = ask(port, password, "SHUTDOWN NOSAVE");
        let deadline = Instant::now() + STOP_LIMIT;
        while !ports::is_free(port) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Whether a server on `port` takes our password.
fn is_ours(port: u16, password: &str) -> bool {
    ask(port, password, "PING").is_some_and(|answer| answer.contains("PONG"))
}

/// What the server on `port` answers to our password and `command`; `None` when nothing listens.
fn ask(port: u16, password: &str, command: &str) -> Option<String> {
    let patience = Duration::from_millis(500);
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), patience).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    write!(stream, "AUTH {password}\r\n{command}\r\nQUIT\r\n").ok()?;
    let mut answer = Vec::new();
    // Closed or timed out: what came until then counts.
    let _ = stream.read_to_end(&mut answer);
    Some(String::from_utf8_lossy(&answer).into_owned())
}

fn write_private(file: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let write = || {
        // A new file each time: the old one may belong to the unprivileged account.
        let _ = fs::remove_file(file);
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?.write_all(text.as_bytes())
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}
