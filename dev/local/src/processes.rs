//! Signalling and recognising processes by their id.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

const POLL: Duration = Duration::from_millis(10);

/// Sends `signal` to the process `pid`; one that is gone already is fine.
///
/// # Errors
///
/// When the system refuses, say for want of rights.
pub fn signal(pid: u32, signal: Signal) -> Result<()> {
    match kill(Pid::from_raw(i32::try_from(pid)?), signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(errno).with_context(|| format!("cannot send {signal} to process {pid}")),
    }
}

/// Kills the process group that process `pid` leads: itself and what it started.
///
/// # Errors
///
/// When the system refuses, say for want of rights.
pub fn kill_group(pid: u32) -> Result<()> {
    match killpg(Pid::from_raw(i32::try_from(pid)?), Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(errno).with_context(|| format!("cannot kill process group {pid}")),
    }
}

/// Waits until `child` ends, at most `limit`; `None` when it still runs then.
///
/// # Errors
///
/// When the child can't be waited for.
pub fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// Whether process `pid` runs now and its command line contains `part`. A process id alone proves
/// nothing: it may have gone to another program since it was noted.
#[must_use]
pub fn is(pid: u32, part: &Path) -> bool {
    command_line(pid).is_some_and(|line| line.contains(&*part.to_string_lossy()))
}

/// Stops a process that isn't our child, by `signals` in turn, each with its time to work.
///
/// # Errors
///
/// When it survives them all.
pub fn stop_stranger(pid: u32, part: &Path, signals: &[(Signal, Duration)]) -> Result<()> {
    for (next, patience) in signals {
        signal(pid, *next)?;
        let deadline = Instant::now() + *patience;
        while is(pid, part) && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        if !is(pid, part) {
            return Ok(());
        }
    }
    bail!("process {pid} ({}) doesn't stop", part.display())
}

fn command_line(pid: u32) -> Option<String> {
    if cfg!(target_os = "linux") {
        let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        return Some(String::from_utf8_lossy(&words).replace('\0', " "));
    }
    let ps = Command::new("ps").args(["-ww", "-o", "command=", "-p", &pid.to_string()]).output().ok()?;
    Some(String::from_utf8_lossy(&ps.stdout).into_owned())
}
