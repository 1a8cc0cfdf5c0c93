//! The limit: pgbench, running the product's statements on the same database.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use humanchat_local::postgres::Postgres;

use super::{
    load::{LEAD_IN, Load},
    scripts::Operation,
};

/// pgbench's own processes need this many threads at most: the machine is shared with the server.
const THREADS: usize = 2;

/// One run of pgbench.
pub struct Run<'a> {
    /// The server.
    pub postgres: &'a Postgres,
    /// The database on it.
    pub database: &'a str,
    /// A folder for its log of transactions.
    pub folder: &'a Path,
    /// What it runs.
    pub operation: Operation,
    /// How many conversations it may choose from.
    pub targets: usize,
    /// How many connections it has.
    pub clients: usize,
    /// How long it runs.
    pub lasting: Duration,
}

impl Run<'_> {
    /// Runs it to its end.
    ///
    /// # Errors
    /// When pgbench isn't there, or a statement fails.
    pub fn run(&self) -> Result<Load> {
        let log = self.folder.join("pgbench");
        fs::create_dir_all(&log)?;
        let script = log.join("script.sql");
        fs::write(&script, self.operation.script())?;
        let mut command = Command::new(self.postgres.bin_dir().join("pgbench"));
        command.args(["--no-vacuum", "--protocol=prepared", "--log", &format!("--log-prefix={}/log", log.display())]);
        command.arg(format!("--client={}", self.clients)).arg(format!("--jobs={}", THREADS.min(self.clients)));
        command.arg(format!("--time={}", (LEAD_IN + self.lasting).as_secs())).arg("--file").arg(&script);
        for variable in self.operation.variables(self.targets) {
            command.arg("--define").arg(variable);
        }
        command.arg(self.postgres.url(self.database)).stdin(Stdio::null());
        let output = command.output().context("cannot run pgbench")?;
        let said = String::from_utf8_lossy(&output.stderr);
        // It goes on without a client whose statement failed.
        if !output.status.success() || said.contains("aborted") {
            bail!("pgbench failed: {}", said.lines().next().unwrap_or_default());
        }
        let mut transactions = Vec::new();
        for entry in fs::read_dir(&log)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("log.")) {
                for line in fs::read_to_string(&path)?.lines() {
                    transactions
                        .push(Transaction::read(line).with_context(|| format!("not of pgbench's log: {line}"))?);
                }
            }
        }
        fs::remove_dir_all(&log)?;
        Ok(self.load(&transactions))
    }

    fn load(&self, transactions: &[Transaction]) -> Load {
        let began = |transaction: &Transaction| transaction.ended.saturating_sub(transaction.lasted);
        let counted_from = transactions.iter().map(began).min().unwrap_or_default() + LEAD_IN;
        let counted = transactions.iter().filter(|transaction| transaction.ended >= counted_from);
        let millis = counted.map(|transaction| transaction.lasted.as_secs_f64() * 1000.0).collect();
        Load { elapsed: self.lasting, millis, requests: transactions.len() }
    }
}

/// A line of pgbench's log.
#[derive(Debug, PartialEq, Eq)]
struct Transaction {
    lasted: Duration,
    /// Since the epoch.
    ended: Duration,
}

impl Transaction {
    /// Reads `client number microseconds script seconds microseconds`.
    fn read(line: &str) -> Option<Self> {
        let mut fields = line.split(' ').skip(2).map(|field| field.parse::<u64>().ok());
        let lasted = Duration::from_micros(fields.next()??);
        let (seconds, micros) = (fields.nth(1)??, fields.next()??);
        Some(Self { lasted, ended: Duration::from_secs(seconds) + Duration::from_micros(micros) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transactions_line_tells_how_long_it_took_and_when_it_ended() {
        let transaction = Transaction::read("0 199 2241 0 1175850568 995598").unwrap();
        assert_eq!(transaction.lasted, Duration::from_micros(2241));
        assert_eq!(transaction.ended, Duration::from_micros(1_175_850_568_995_598));
        assert_eq!(Transaction::read("0 199"), None);
        assert_eq!(Transaction::read("0 199 x 0 1 2"), None);
    }
}
