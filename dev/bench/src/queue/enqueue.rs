//! How fast jobs go in.

use anyhow::{Context as _, Result};

use super::contender::{Contender, Ring};
use crate::{
    measure::{Better, Row, Series, Target, order},
    report::Table,
    say,
};

const MILLIS: usize = 1_500;

/// The table of all rounds.
///
/// # Errors
/// When a contender fails.
pub async fn measure(ring: &Ring<'_>, contenders: &[Contender]) -> Result<Table> {
    // How a worker is set up is nothing to those who enqueue.
    let contenders: Vec<_> = contenders.iter().filter(|who| **who != Contender::GraphileBest).copied().collect();
    let mut rows = Vec::new();
    for with_row in [false, true] {
        for callers in [1, 8, 32] {
            let what = if with_row { "with a row of the caller's" } else { "alone" };
            let what = format!("{what}, {callers} at once");
            let mut rates: Vec<_> = contenders.iter().map(|who| Series::new(name(*who), "jobs/s")).collect();
            for round in 0..ring.plan.rounds {
                for index in order(round, contenders.len()) {
                    let rate = rush(ring, contenders[index], callers, with_row).await?;
                    say(&format!("enqueue {what}, round {}: {} {rate:.0} jobs/s", round + 1, rates[index].name));
                    rates[index].rounds.push(rate);
                }
            }
            rows.push(Row::of(what, Better::Higher, rates, vec![Target::ratio(name(Contender::Raw), 0.9)]));
        }
    }
    Ok(Table { title: "Enqueue".to_owned(), rows })
}

fn name(contender: Contender) -> &'static str {
    match contender {
        Contender::Raw => "raw insert",
        Contender::Graphile => "graphile-worker's add_job",
        other => other.name(),
    }
}

async fn rush(ring: &Ring<'_>, contender: Contender, callers: usize, with_row: bool) -> Result<f64> {
    let url = contender.database(ring, "enqueue").await?;
    ring.stage.settle().await?;
    let millis = ring.plan.work(MILLIS);
    let mut arguments = vec!["rush".to_owned(), format!("--callers={callers}"), format!("--millis={millis}")];
    arguments.extend(with_row.then(|| "--with-row".to_owned()));
    let said = contender.send(ring, &url, &arguments).await?;
    let rate = said.lines().rev().find_map(|line| line.strip_prefix("rate: ")).context("no rate was told")?;
    Ok(rate.parse()?)
}
