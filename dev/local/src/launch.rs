//! Starting programs that must not outlive us.
//!
//! Linux can signal a child when its parent dies, however it dies. Asking for it from Rust needs unsafe
//! code between fork and exec, so the child goes through util-linux' `setpriv`, which asks and then
//! becomes the program (same process id). Without `setpriv`, on macOS say, a killed parent leaves its
//! children behind, and the next start stops them.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::thread;

use anyhow::{Context as _, Result, anyhow};

use crate::account::Account;

/// What a child is sent when its parent dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// Nothing: it ends by itself.
    Alone,
    /// SIGTERM: a program that shuts down in order.
    Terminate,
    /// SIGINT: Postgres' fast shutdown, which leaves a clean cluster.
    Interrupt,
    /// SIGQUIT: Postgres' immediate shutdown, for data nobody needs any more.
    Quit,
}

/// A command that runs `program`, under `account` if given, in a process group of its own (a terminal's
/// Ctrl-C reaches us alone and we stop things in order), and gets `death` when its parent thread dies.
#[must_use]
pub fn command(program: impl AsRef<OsStr>, account: Option<&Account>, death: Death) -> Command {
    let signal = match death {
        Death::Alone => None,
        Death::Terminate => Some("TERM"),
        Death::Interrupt => Some("INT"),
        Death::Quit => Some("QUIT"),
    };
    let mut command = match signal {
        Some(signal) if setpriv_works() => {
            let mut command = Command::new("setpriv");
            if let Some(account) = account {
                // The kernel forgets the death signal when the user changes, so both are setpriv's work.
                command.arg(format!("--reuid={}", account.uid));
                command.arg(format!("--regid={}", account.gid)).arg("--clear-groups");
            }
            command.arg(format!("--pdeathsig={signal}")).arg("--").arg(program);
            command
        }
        _ => {
            let mut command = Command::new(program);
            if let Some(account) = account {
                command.uid(account.uid).gid(account.gid);
            }
            command
        }
    };
    command.process_group(0);
    command
}

/// Starts `command` from a thread that lives as long as this process. The death signal follows the
/// *thread* that started the child, and a test's or a runtime's thread may end long before the process.
///
/// # Errors
///
/// When the program can't be started.
pub fn spawn_from_lasting_thread(command: Command) -> Result<Child> {
    static STARTER: OnceLock<Mutex<Sender<Request>>> = OnceLock::new();
    let (answer, answered) = channel();
    STARTER
        .get_or_init(|| Mutex::new(lasting_thread()))
        .lock()
        .map_err(|_| anyhow!("the thread that starts programs is gone"))?
        .send((command, answer))
        .context("the thread that starts programs is gone")?;
    let child = answered.recv().context("the thread that starts programs is gone")?;
    Ok(child?)
}

type Request = (Command, Sender<io::Result<Child>>);

fn lasting_thread() -> Sender<Request> {
    let (requests, inbox) = channel::<Request>();
    thread::spawn(move || {
        for (mut command, answer) in inbox {
            // Nobody listens any more only if the asking thread panicked.
            let _ = answer.send(command.spawn());
        }
    });
    requests
}

fn setpriv_works() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    *WORKS.get_or_init(|| {
        cfg!(target_os = "linux")
            && Command::new("setpriv")
                .args(["--pdeathsig=TERM", "--", "true"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
    })
}
