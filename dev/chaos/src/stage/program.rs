//! A process of the product: killed, frozen, and started again, always the same one to the others.

use std::{
    fs::{self, OpenOptions},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use humanchat_local::{
    launch::{self, Death},
    processes,
};
use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::proxy::Proxy;

const START_LIMIT: Duration = Duration::from_mins(1);
const STOP_LIMIT: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(50);

/// What a program is started with.
#[derive(Debug)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) binary: PathBuf,
    pub(crate) arguments: &'static [&'static str],
    pub(crate) settings: Vec<(&'static str, String)>,
    /// Where it takes requests, if it does.
    pub(crate) address: Option<SocketAddr>,
}

/// A program's ways to the servers.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    pub(crate) name: String,
    pub(crate) to_postgres: Arc<Proxy>,
    pub(crate) to_redis: Arc<Proxy>,
}

/// A program, and its ways to the servers.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) role: Role,
    lines: Lines,
    folder: PathBuf,
    child: Option<Child>,
}

impl Program {
    /// One that doesn't run yet; what it writes goes to `folder`.
    pub(crate) fn new(role: Role, lines: Lines, folder: &Path) -> Self {
        Self { role, lines, folder: folder.to_path_buf(), child: None }
    }

    /// Its ways to the servers.
    pub(crate) fn lines(&self) -> Lines {
        self.lines.clone()
    }

    /// Where it writes to, however often it is started.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.role.name))
    }

    /// Starts the process, without waiting for it.
    pub(crate) fn start(&mut self) -> Result<()> {
        self.child = Some(self.launch(self.role.arguments)?);
        Ok(())
    }

    /// Runs the same executable once, for something else, to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<()> {
        let status = self.launch(arguments)?.wait()?;
        ensure!(status.success(), "{arguments:?} ended with {status}, see {}", self.log_file().display());
        Ok(())
    }

    fn launch(&self, arguments: &[&str]) -> Result<Child> {
        let log = OpenOptions::new().create(true).append(true).open(self.log_file())?;
        let mut command = launch::command(&self.role.binary, None, Death::Terminate);
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Not the workspace: its `.env` is a developer's.
        command.args(arguments).env_clear().env("PATH", path).current_dir(&self.folder);
        command.envs(self.role.settings.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        launch::spawn_from_lasting_thread(command)
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Freezes it, or lets it go on.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        match &self.child {
            Some(child) => processes::signal(child.id(), signal),
            None => Ok(()),
        }
    }

    /// How it ended, where it did so by itself.
    pub(crate) fn ended(&mut self) -> Result<Option<String>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let status = child.try_wait()?;
        if status.is_some() {
            self.child = None;
        }
        Ok(status.map(|status| format!("{} ended by itself: {status}", self.role.name)))
    }

    /// Waits until it takes work: an api answers, a worker says so.
    pub(crate) async fn ready(&mut self, http: &reqwest::Client) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline {
            if let Some(end) = self.ended()? {
                bail!("{end}, see {}", self.log_file().display());
            }
            let is_ready = match self.role.address {
                Some(address) => {
                    let answer = http.get(format!("http://{address}/health/ready")).send().await;
                    answer.is_ok_and(|answer| answer.status().is_success())
                }
                None => self.output().contains("\"working\""),
            };
            if is_ready {
                return Ok(());
            }
            sleep(POLL).await;
        }
        bail!("{} isn't ready after {START_LIMIT:?}, see {}", self.role.name, self.log_file().display())
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn stop(&mut self) -> Result<Option<String>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        processes::signal(child.id(), Signal::SIGTERM)?;
        let deadline = Instant::now() + STOP_LIMIT;
        loop {
            if let Some(status) = child.try_wait()? {
                self.child = None;
                let bad = (!status.success()).then(|| format!("{} stopped with {status}", self.role.name));
                return Ok(bad);
            }
            if Instant::now() > deadline {
                self.kill().context("cannot kill what doesn't stop")?;
                return Ok(Some(format!("{} did not stop in {STOP_LIMIT:?}", self.role.name)));
            }
            sleep(POLL).await;
        }
    }

    /// Everything it wrote.
    pub(crate) fn output(&self) -> String {
        fs::read(self.log_file()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Nobody is left to tell.
        self.kill().ok();
    }
}
