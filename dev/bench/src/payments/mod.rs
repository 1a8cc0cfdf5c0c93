//! Payments: what a capture costs besides the provider, how many webhooks are taken, and what adding
//! up a million payments costs.

mod captures;
mod ledger;
mod webhooks;

use std::env;

use anyhow::{Context as _, Result, ensure};

use crate::{
    Plan,
    program::{self, Program},
    report::Section,
    stage::Stage,
};

/// What the provider signs with.
const SECRET: &str = "whsec_of_the_benchmark";

/// Measures payments.
///
/// # Errors
/// When a server or a request fails.
pub async fn run(stage: &Stage, plan: &Plan) -> Result<Section> {
    let tables = vec![
        captures::measure(stage, plan).await?,
        webhooks::measure(stage, plan).await?,
        ledger::measure(stage, plan).await?,
    ];
    Ok(Section { tables, notes: Vec::new() })
}

/// A payment provider's simulator, as a process.
struct Provider {
    program: Program,
    /// `http://127.0.0.1:PORT`
    url: String,
}

impl Provider {
    async fn start(stage: &Stage) -> Result<Self> {
        let binary = env::current_exe()?.with_file_name("humanchat-stripe");
        ensure!(binary.exists(), "{} is not built: run bin/bench", binary.display());
        let log = stage.folder().join("stripe.log");
        let program = Program::start(program::command(binary), &log, "Stripe simulator on ").await?;
        let said = program.output();
        let url = said.trim().strip_prefix("Stripe simulator on ").context("no address was told")?.to_owned();
        Ok(Self { program, url })
    }
}
