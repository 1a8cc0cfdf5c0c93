//! Where the api spends its time: `perf` listens while requests are made, and the functions that most of it was spent in,
//! or below, are named.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use humanchat_local::processes;
use nix::sys::signal::Signal;

use crate::program;

/// Samples a second; not a round number, so that it falls in step with nobody's clock.
const SAMPLES: &str = "--freq=499";
/// Of each sample's stack, for binaries without frame pointers: enough for a request.
const STACKS: &str = "--call-graph=dwarf,32768";
/// What less than this share of the time was spent in isn't told, in percent.
const LEAST: &str = "--percent-limit=0.5";

/// A process that is listened to.
pub struct Recording {
    perf: Child,
    folder: PathBuf,
    name: String,
}

impl Recording {
    /// Begins to listen. What is heard is kept in `folder` under `name`.
    ///
    /// # Errors
    /// When there is no `perf`, or it may not.
    pub fn start(pid: u32, folder: PathBuf, name: &str) -> Result<Self> {
        fs::create_dir_all(&folder)?;
        let mut perf = program::command("perf");
        perf.args(["record", "--quiet", SAMPLES, STACKS, "--pid"]).arg(pid.to_string());
        perf.arg("--output").arg(folder.join(name).with_extension("data"));
        perf.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(folder.join(name).with_extension("log"))?);
        let perf = perf.spawn().context("cannot run perf: is it installed (linux-perf)?")?;
        Ok(Self { perf, folder, name: name.to_owned() })
    }

    /// Stops listening. Returns the functions with the most time in and below them, and says in `NAME.txt` beside the
    /// recording what there is to say about all.
    ///
    /// # Errors
    /// When nothing was heard.
    pub fn finish(mut self) -> Result<Vec<Cost>> {
        processes::signal(self.perf.id(), Signal::SIGINT)?;
        self.perf.wait()?;
        let data = self.folder.join(&self.name).with_extension("data");
        let heard = data.metadata().is_ok_and(|data| data.len() > 0);
        ensure!(heard, "perf heard nothing: {}", fs::read_to_string(data.with_extension("log")).unwrap_or_default());
        let output = Command::new("perf")
            .args([
                "report",
                "--stdio",
                "--children",
                "--no-inline",
                "--call-graph=none",
                "--sort=symbol",
                LEAST,
                "--input",
            ])
            .arg(&data)
            .stdin(Stdio::null())
            .output()?;
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "perf can't report: {}", String::from_utf8_lossy(&output.stderr));
        fs::write(data.with_extension("txt"), &report)?;
        Ok(report.lines().filter_map(Cost::read).collect())
    }
}

/// What a function takes of the process' time, in percent.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// With all that it calls.
    pub inclusive: f64,
    /// By itself.
    pub own: f64,
    /// Its name.
    pub function: String,
    /// It is the kernel's.
    pub in_kernel: bool,
}

impl Cost {
    /// Reads `12.34%  1.20%  [.] name`.
    fn read(line: &str) -> Option<Self> {
        let (inclusive, rest) = line.trim().split_once('%')?;
        let (own, rest) = rest.trim().split_once('%')?;
        let (place, rest) = rest.trim().split_once("] ")?;
        // Columns of other measurements follow.
        let function = rest.split("  ").next()?.trim();
        // An address that nobody has a name for.
        if function.starts_with("0x") {
            return None;
        }
        Some(Self {
            inclusive: inclusive.parse().ok()?,
            own: own.trim().parse().ok()?,
            function: function.to_owned(),
            in_kernel: place == "[k",
        })
    }

    /// Whether it is what carries every request: threads, the runtime, futures around futures.
    fn carries(&self) -> bool {
        const ROOTS: [&str; 8] = ["std::", "<std::", "core::", "<core::", "__libc", "clone", "start_thread", "main"];
        const AROUND: [&str; 10] = [
            "Future>::poll",
            "::poll_next",
            "as hyper::service",
            "axum::handler",
            "axum::middleware",
            "axum::routing",
            "futures_util::",
            "hyper::proto",
            "tokio::runtime",
            "tokio::task",
        ];
        ROOTS.iter().any(|root| self.function.starts_with(root))
            || AROUND.iter().any(|name| self.function.contains(name))
    }
}

/// The functions that take the most with what they call, those left out that carry every request, and those that take
/// the most by themselves.
pub fn markdown(title: &str, costs: &[Cost]) -> String {
    const MOST: usize = 30;
    let mut own: Vec<_> = costs.iter().collect();
    own.sort_by(|one, other| other.own.total_cmp(&one.own));
    let inclusive = costs.iter().filter(|cost| !cost.in_kernel && !cost.carries()).take(MOST);
    let kernel: f64 = costs.iter().filter(|cost| cost.in_kernel).map(|cost| cost.own).sum();
    format!(
        "#### {title}\n\n{}\n{}\nThe kernel: {kernel:.0} %.\n",
        table("with what it calls", inclusive, |cost| cost.inclusive),
        table("by itself", own.into_iter().take(MOST / 2), |cost| cost.own),
    )
}

fn table<'a>(what: &str, costs: impl Iterator<Item = &'a Cost>, share: fn(&Cost) -> f64) -> String {
    let place = |cost: &Cost| if cost.in_kernel { ", in the kernel" } else { "" };
    let rows = costs.map(|cost| format!("| {:.1} % | `{}`{} |\n", share(cost), cost.function, place(cost)));
    format!("| {what} | function |\n|---:|---|\n{}", rows.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_read_from_perfs_report() {
        let cost = Cost::read("    45.10%     0.25%  [.] sqlx_postgres::connection::run      -      -     ").unwrap();
        assert_eq!(cost.function, "sqlx_postgres::connection::run");
        assert_eq!((cost.inclusive, cost.own, cost.in_kernel), (45.1, 0.25, false));
        assert!(Cost::read("  1.00%  1.00%  [k] tcp_sendmsg").unwrap().in_kernel);
        for other in ["# Children      Self  Symbol", "", "  3.00%  0.00%  [.] 0x0000560ad2f88fa5   -   -"] {
            assert_eq!(Cost::read(other), None, "{other}");
        }
    }
}
