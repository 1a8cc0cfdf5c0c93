//! Processes that are measured: starting and stopping them, their CPU time and memory.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use humanchat_local::{
    launch::{self, Death},
    processes,
};
use nix::{
    sys::signal::Signal,
    unistd::{SysconfVar, sysconf},
};

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// A running process, killed when it is dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts `command` with its output in the file `log`, and waits until that contains
    /// `ready`.
    ///
    /// # Errors
    /// When it can't be started, or ends or isn't ready in time; with the end of its log.
    pub async fn start(mut command: Command, log: &Path, ready: &str) -> Result<Self> {
        let output = File::create(log).with_context(|| log.display().to_string())?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let name = command.get_program().display().to_string();
        let child = launch::spawn_from_lasting_thread(command).with_context(|| format!("cannot start {name}"))?;
        let mut program = Self { child, log: log.to_path_buf() };
        let deadline = Instant::now() + START_LIMIT;
        while !program.output().contains(ready) {
            if let Some(status) = program.child.try_wait()? {
                bail!("it ended with {status}:\n{}", program.output());
            }
            if Instant::now() > deadline {
                bail!("not ready after {START_LIMIT:?}:\n{}", program.output());
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(program)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote until now.
    pub fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its CPU time until now.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cpu(&self) -> Result<Duration> {
        cpu_of(self.pid())
    }

    /// Its resident memory, in bytes.
    ///
    /// # Errors
    /// When it has ended.
    pub fn memory(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("it has ended")?;
        Ok(kib.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }

    /// Waits until it ends by itself. Returns what it wrote.
    ///
    /// # Errors
    /// When it fails, with what it wrote.
    pub async fn ends(mut self) -> Result<String> {
        let status = self.wait().await?;
        if status.success() { Ok(self.output()) } else { bail!("{status}:\n{}", self.output()) }
    }

    /// Tells it to stop (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// When it doesn't stop in time, with what it wrote.
    pub async fn stop(mut self) -> Result<ExitStatus> {
        processes::signal(self.pid(), Signal::SIGTERM)?;
        match tokio::time::timeout(STOP_LIMIT, self.wait()).await {
            Ok(ended) => ended,
            Err(_) => bail!("still running {STOP_LIMIT:?} after SIGTERM:\n{}", self.output()),
        }
    }

    async fn wait(&mut self) -> Result<ExitStatus> {
        loop {
            match self.child.try_wait()? {
                Some(status) => return Ok(status),
                None => tokio::time::sleep(POLL).await,
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

/// A command that dies with us.
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    launch::command(program, None, Death::Terminate)
}

/// CPU time of a process until now, without its children.
///
/// # Errors
/// When there is no such process.
pub fn cpu_of(pid: u32) -> Result<Duration> {
    let stat = Stat::of(pid)?;
    ticks(stat.own)
}

/// CPU time of a process, of its children that it has waited for, and of those that still run.
///
/// # Errors
/// When there is no such process.
pub fn cpu_of_family(pid: u32) -> Result<Duration> {
    let head = Stat::of(pid)?;
    let mut sum = head.own + head.reaped;
    for entry in fs::read_dir("/proc")?.flatten() {
        let child = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(stat) = child.and_then(|child| Stat::of(child).ok()).filter(|stat| stat.parent == pid) {
            sum += stat.own + stat.reaped;
        }
    }
    ticks(sum)
}

/// What `/proc/<pid>/stat` tells, in clock ticks.
struct Stat {
    parent: u32,
    own: u64,
    reaped: u64,
}

impl Stat {
    fn of(pid: u32) -> Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name, in parentheses, may contain anything.
        let (_, rest) = text.rsplit_once(") ").context("no such line")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let field =
            |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).context("no such field");
        Ok(Self { parent: u32::try_from(field(1)?)?, own: field(11)? + field(12)?, reaped: field(13)? + field(14)? })
    }
}

fn ticks(ticks: u64) -> Result<Duration> {
    let a_second = sysconf(SysconfVar::CLK_TCK)?.context("clock ticks have no length here")?;
    Ok(Duration::from_millis(ticks * 1000 / u64::try_from(a_second)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_counted() {
        let before = cpu_of(std::process::id()).unwrap();
        let begin = Instant::now();
        let mut sum = 0u64;
        while cpu_of(std::process::id()).unwrap() < before + Duration::from_millis(30) {
            sum = std::hint::black_box(sum.wrapping_add(1));
            assert!(begin.elapsed() < Duration::from_secs(20), "no CPU time after {:?}", begin.elapsed());
        }
        assert!(cpu_of_family(std::process::id()).unwrap() >= before + Duration::from_millis(30));
    }
}
