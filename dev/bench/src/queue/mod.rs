//! The job queue: how fast it drains, how fast jobs go in, how long they wait.

pub mod contender;
mod drain;
mod enqueue;
mod latency;
mod queries;
pub mod raw;
pub mod scaling;
pub mod sender;
pub mod stamp;
pub mod work;

use anyhow::{Context as _, Result};

use contender::{
    Contender::{Graphile, GraphileBest, Ours, Raw, RawWide, River},
    Ring,
};

use crate::{Plan, report::Section, say, stage::Stage};

/// Measures the queue.
///
/// # Errors
/// When the product can't be measured. A peer that can't is left out, with a note.
pub async fn run(stage: &Stage, plan: &Plan) -> Result<Section> {
    let ring = Ring::new(stage, plan)?;
    let mut section = Section::default();
    let mut contenders = Vec::new();
    for contender in [Ours, Raw, RawWide, Graphile, GraphileBest, River] {
        match contender.install(&ring).await {
            Ok(()) => contenders.push(contender),
            Err(error) => {
                say(&format!("without {}: {error:#}", contender.name()));
                section.notes.push(format!("Skipped: {}. {error:#}", contender.name()));
            }
        }
    }
    section.tables.extend(drain::measure(&ring, &contenders).await.context("draining")?);
    // How many connections take batches is nothing to those who take one job at a time, or none.
    contenders.retain(|who| *who != RawWide);
    section.tables.push(enqueue::measure(&ring, &contenders).await.context("enqueueing")?);
    section.tables.push(latency::measure(&ring, &contenders).await.context("latency")?);
    Ok(section)
}
