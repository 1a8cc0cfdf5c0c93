//! The product's processes: started, watched, started again when they die, stopped in order.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use humanchat_local::launch::{self, Death};
use humanchat_local::processes;
use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use crate::say::{self, Prefix};

/// How long a process may take to end its requests and jobs.
const PATIENCE: Duration = Duration::from_secs(35);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Whoever ran this long didn't die of a wrong start.
const HEALTHY: Duration = Duration::from_mins(1);

/// One process of the product.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// What to set, and with `None` what to unset.
    pub(crate) environment: Vec<(String, Option<String>)>,
    pub(crate) prefix: Prefix,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Run,
    Stop,
    Kill,
}

/// The running processes.
#[derive(Debug)]
pub(crate) struct Apps {
    root: PathBuf,
    notes: PathBuf,
    orders: watch::Sender<Order>,
    keepers: JoinSet<()>,
}

impl Apps {
    /// None yet. They will run in `root`; `notes` is the folder that remembers their process ids. Those
    /// that a killed predecessor left running are stopped.
    pub(crate) fn none(root: PathBuf, notes: PathBuf) -> Result<Self> {
        stop_leftovers(&notes)?;
        fs::create_dir_all(&notes).with_context(|| format!("cannot make {}", notes.display()))?;
        Ok(Self { root, notes, orders: watch::Sender::new(Order::Run), keepers: JoinSet::new() })
    }

    /// Runs `app` until [`Apps::stop`], again and again if it dies.
    pub(crate) fn keep_running(&mut self, app: App) {
        let keeper =
            Keeper { note: self.notes.join(&app.name), root: self.root.clone(), orders: self.orders.subscribe(), app };
        self.keepers.spawn(keeper.keep());
    }

    /// Runs `app` once, to its end, and returns what it printed to stdout.
    pub(crate) async fn run_once(&self, app: &App) -> Result<Vec<String>> {
        let mut child = spawn(app, &self.root)?;
        let errors = pump(child.stderr.take(), app.prefix.clone());
        let mut lines = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            let mut reader = BufReader::new(stdout).lines();
            while let Some(line) = reader.next_line().await? {
                lines.push(line);
            }
        }
        let status = child.wait().await?;
        drain(errors).await;
        if !status.success() {
            for line in lines {
                app.prefix.print(&line);
            }
            bail!("{} {} ended with {status}", app.program.display(), app.arguments.join(" "));
        }
        Ok(lines)
    }

    /// Asks all to end and waits until they have; [`Apps::kill`] may cut this short.
    pub(crate) async fn stop(&mut self) {
        self.orders.send_replace(Order::Stop);
        while self.keepers.join_next().await.is_some() {}
    }

    /// Ends all at once.
    pub(crate) async fn kill(&mut self) {
        self.orders.send_replace(Order::Kill);
        while self.keepers.join_next().await.is_some() {}
    }
}

/// Who looks after one process.
struct Keeper {
    app: App,
    root: PathBuf,
    note: PathBuf,
    orders: watch::Receiver<Order>,
}

impl Keeper {
    async fn keep(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let started = Instant::now();
            let ended = match self.run().await {
                Ok(Some(status)) => format!("ended with {status}"),
                Ok(None) => return,
                Err(error) => format!("doesn't start: {error:#}"),
            };
            if started.elapsed() > HEALTHY {
                pause = FIRST_PAUSE;
            }
            say::line(&format!("{} {ended}; starting it again in {} s", self.app.name, pause.as_secs()));
            tokio::select! {
                () = sleep(pause) => {}
                () = ordered(&mut self.orders, Order::Stop) => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Runs the process to its end: `None` when it was told to end.
    async fn run(&mut self) -> Result<Option<ExitStatus>> {
        let mut child = spawn(&self.app, &self.root)?;
        let output =
            [pump(child.stdout.take(), self.app.prefix.clone()), pump(child.stderr.take(), self.app.prefix.clone())];
        let pid = child.id().unwrap_or_default();
        fs::write(&self.note, format!("{pid}\n{}\n", self.app.program.display()))?;
        let ended = tokio::select! {
            status = child.wait() => Some(status?),
            () = ordered(&mut self.orders, Order::Stop) => None,
        };
        if ended.is_none() {
            self.end(&mut child, pid).await?;
        }
        for lines in output {
            drain(lines).await;
        }
        fs::remove_file(&self.note)?;
        Ok(ended)
    }

    async fn end(&mut self, child: &mut Child, pid: u32) -> Result<()> {
        let at_once = *self.orders.borrow() == Order::Kill;
        if !at_once {
            processes::signal(pid, Signal::SIGTERM)?;
            tokio::select! {
                _ = child.wait() => return Ok(()),
                () = ordered(&mut self.orders, Order::Kill) => {}
                () = sleep(PATIENCE) => {
                    say::line(&format!("{} didn't end within {} s: killed", self.app.name, PATIENCE.as_secs()));
                }
            }
        }
        processes::kill_group(pid)?;
        child.wait().await?;
        Ok(())
    }
}

/// Waits for `order` or a stronger one.
async fn ordered(orders: &mut watch::Receiver<Order>, order: Order) {
    let strong = |given: &Order| *given == order || *given == Order::Kill;
    // The sender lives as long as the keepers: it is dropped with them only.
    let _ = orders.wait_for(strong).await;
}

fn spawn(app: &App, root: &Path) -> Result<Child> {
    let mut command = launch::command(&app.program, None, Death::Terminate);
    command.args(&app.arguments).current_dir(root);
    for (name, value) in &app.environment {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut command = Command::from(command);
    command.kill_on_drop(true).spawn().with_context(|| format!("cannot run {}", app.program.display()))
}

/// Prints what comes out of `pipe`, line by line, whatever bytes it is made of.
fn pump(pipe: Option<impl AsyncRead + Unpin + Send + 'static>, prefix: Prefix) -> JoinHandle<()> {
    tokio::spawn(async move {
        let Some(pipe) = pipe else { return };
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).await.is_ok_and(|length| length > 0) {
            prefix.print(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
    })
}

/// The last lines; a grandchild may hold the pipe for ever.
async fn drain(lines: JoinHandle<()>) {
    let _ = timeout(Duration::from_secs(1), lines).await;
}

/// Stops processes that a killed predecessor couldn't.
pub(crate) fn stop_leftovers(notes: &Path) -> Result<()> {
    for entry in fs::read_dir(notes).into_iter().flatten().flatten() {
        let text = fs::read_to_string(entry.path())?;
        let mut lines = text.lines();
        if let (Some(Ok(pid)), Some(program)) = (lines.next().map(str::parse), lines.next()) {
            let program = Path::new(program);
            if processes::is(pid, program) {
                let signals = [(Signal::SIGTERM, PATIENCE), (Signal::SIGKILL, Duration::from_secs(5))];
                processes::stop_stranger(pid, program, &signals)?;
            }
        }
        fs::remove_file(entry.path())?;
    }
    Ok(())
}
