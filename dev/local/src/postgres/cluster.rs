//! One cluster on disk: making it, running a server on it, reading its log and its process file.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;

use super::{Installation, ROLE};
use crate::account::Account;
use crate::launch::{self, Death};
use crate::{place, processes};

/// A socket's path has at most 103 bytes (macOS; Linux 107), of which its name takes up to 15.
const LONGEST_SOCKET_FOLDER: usize = 88;
const LOG_TO_KEEP: u64 = 5_000_000;
const LOG_TO_SHOW: u64 = 2_000;

/// What a server process is started with.
pub(super) struct Server<'a> {
    pub(super) dir: &'a Path,
    pub(super) program: &'a Path,
    pub(super) account: Option<&'a Account>,
    pub(super) sockets: &'a Path,
    pub(super) port: u16,
    pub(super) durable: bool,
}

impl Server<'_> {
    /// Starts `postgres` itself, not `pg_ctl`: a direct child can be waited for and dies with us.
    pub(super) fn spawn(&self) -> Result<Child> {
        let log = OpenOptions::new().create(true).append(true).open(self.dir.join("log"))?;
        let death = if self.durable { Death::Interrupt } else { Death::Quit };
        let mut command = launch::command(self.program, self.account, death);
        command.arg("-D").arg(self.dir.join("cluster")).args(["-p", &self.port.to_string()]);
        // The setting is a list; quoted, a comma in the path doesn't split it.
        let sockets = self.sockets.to_string_lossy().replace('"', "\"\"");
        command.args(["-c", &format!("unix_socket_directories=\"{sockets}\"")]);
        for pair in COMMON {
            command.args(["-c", pair]);
        }
        if !self.durable {
            for pair in THROW_AWAY {
                command.args(["-c", pair]);
            }
        }
        command.current_dir(self.dir).env("LC_ALL", "C");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        launch::spawn_from_lasting_thread(command).context("cannot start Postgres")
    }
}

const COMMON: &[&str] =
    &["listen_addresses=127.0.0.1", "max_connections=400", "timezone=UTC", "log_timezone=UTC", "logging_collector=off"];

/// Nobody needs the data after a crash, so nothing waits for a disk, and no vacuum disturbs a test.
const THROW_AWAY: &[&str] = &[
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "wal_level=minimal",
    "max_wal_senders=0",
];

/// The major version that made the cluster in `dir`; `None` when there is no cluster yet.
pub(super) fn version(dir: &Path) -> Option<u32> {
    fs::read_to_string(dir.join("cluster/PG_VERSION")).ok()?.trim().parse().ok()
}

/// A cluster to be made.
pub(super) struct NewCluster<'a> {
    pub(super) dir: &'a Path,
    pub(super) installation: &'a Installation,
    pub(super) account: Option<&'a Account>,
    pub(super) password: &'a str,
}

impl NewCluster<'_> {
    /// Makes the cluster and its roles, under another name until it is complete, so that an interrupted
    /// attempt is never taken for a cluster.
    pub(super) fn create(&self) -> Result<()> {
        let unfinished = self.dir.join("cluster.unfinished");
        if let Some(account) = self.account {
            account.own(&self.dir.join("password"))?;
        }
        // Case folding must know more than ASCII; which name such a locale has depends on the system.
        let mut problem = String::new();
        let made = ["C.UTF-8", "en_US.UTF-8", "C"].iter().any(|locale| {
            let _ = fs::remove_dir_all(&unfinished);
            self.initdb(&unfinished, locale).inspect_err(|error| problem = format!("{error:#}")).is_ok()
        });
        if !made {
            bail!("{problem}");
        }
        self.create_role(&unfinished)?;
        fs::rename(&unfinished, self.dir.join("cluster")).context("cannot put the new cluster in place")
    }

    fn initdb(&self, cluster: &Path, locale: &str) -> Result<()> {
        let mut initdb = launch::command(self.installation.bin.join("initdb"), self.account, Death::Terminate);
        initdb.arg("-D").arg(cluster).args(["-U", "postgres", "-E", "UTF8", "--no-sync"]);
        // Plain passwords on loopback: the challenge protocols cost a debug build 10 ms and more per
        // connection, and nobody listens there.
        initdb.args(["--auth=password", &format!("--locale={locale}"), "--lc-messages=C"]);
        initdb.arg("--pwfile").arg(self.dir.join("password")).current_dir(self.dir).stdin(Stdio::null());
        let output = initdb.output().context("cannot run initdb")?;
        if !output.status.success() {
            bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// The single-user mode needs no client, no port and no second process.
    fn create_role(&self, cluster: &Path) -> Result<()> {
        let mut single = launch::command(self.installation.bin.join("postgres"), self.account, Death::Terminate);
        single.arg("--single").arg("-D").arg(cluster).args(["-c", "exit_on_error=on", "-c", "fsync=off"]);
        single.arg("postgres").current_dir(cluster);
        single.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = launch::spawn_from_lasting_thread(single).context("cannot start Postgres")?;
        if let Some(mut stdin) = child.stdin.take() {
            writeln!(stdin, "create role {ROLE} login createdb password '{}'", self.password)?;
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("cannot create the role {ROLE}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}

/// Waits until the server says it is ready, in the file where `pg_ctl` looks too; `false` when it ended
/// instead.
pub(super) fn wait_ready(dir: &Path, child: &mut Child, limit: Duration) -> Result<bool> {
    let deadline = Instant::now() + limit;
    while child.try_wait()?.is_none() {
        let noted = fs::read_to_string(dir.join("cluster/postmaster.pid")).unwrap_or_default();
        let mut lines = noted.lines();
        // A killed server's file may still be there: the first line tells whose it is.
        if lines.next() == Some(child.id().to_string().as_str())
            && lines.nth(6).is_some_and(|state| state.trim() == "ready")
        {
            return Ok(true);
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            bail!("Postgres isn't ready after {} s, see {}", limit.as_secs(), dir.join("log").display());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(false)
}

/// Stops the server that a killed process left on this cluster, and removes a process file whose number
/// has gone to another program, at which Postgres would refuse to start.
pub(super) fn stop_leftover(dir: &Path) -> Result<()> {
    let cluster = dir.join("cluster");
    let noted_in = cluster.join("postmaster.pid");
    let Ok(noted) = fs::read_to_string(&noted_in) else {
        return Ok(());
    };
    if let Some(pid) = noted.lines().next().and_then(|line| line.trim().parse().ok())
        && processes::is(pid, &cluster)
    {
        let seconds = Duration::from_secs;
        let signals = [(Signal::SIGINT, seconds(20)), (Signal::SIGQUIT, seconds(10)), (Signal::SIGKILL, seconds(5))];
        processes::stop_stranger(pid, &cluster, &signals)?;
    }
    match fs::remove_file(&noted_in) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", noted_in.display()))
        }
        _ => Ok(()),
    }
}

/// The folder for the Unix socket: in `dir`, or, where that makes too long a path, a link's length away.
pub(super) fn socket_folder(dir: &Path, account: Option<&Account>) -> Result<PathBuf> {
    let near = dir.join("socket");
    if near.as_os_str().len() <= LONGEST_SOCKET_FOLDER {
        return place::open(&near, account);
    }
    let name = format!("hc-{}", place::short_name(dir));
    place::open(&Path::new("/tmp").join(name), account)
}

/// Empties a log that grew over many days.
pub(super) fn trim_log(dir: &Path) -> Result<()> {
    let log = dir.join("log");
    if fs::metadata(&log).is_ok_and(|meta| meta.len() > LOG_TO_KEEP) {
        File::create(&log).with_context(|| format!("cannot empty {}", log.display()))?;
    }
    Ok(())
}

/// The end of what was written to `log` behind `start`.
pub(super) fn log_since(log: &Path, start: u64) -> String {
    let mut bytes = Vec::new();
    let read = File::open(log).and_then(|mut file| {
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(start.max(end.saturating_sub(LOG_TO_SHOW))))?;
        file.read_to_end(&mut bytes)
    });
    read.map_or_else(|error| error.to_string(), |_| String::from_utf8_lossy(&bytes).trim().to_owned())
}
