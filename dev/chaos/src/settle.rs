//! Bringing everything to rest: what was broken is healed, what goes on is ended, and then the system
//! has a while to finish by itself.

use std::{collections::BTreeMap, sync::PoisonError, time::Duration};

use anyhow::Result;
use rand::{SeedableRng as _, rngs::StdRng};
use tokio::time::{Instant, sleep};

use crate::{
    check::Violation,
    database,
    stage::{Program, Stage},
    tables::Channel,
    workload::{World, hear_everything},
};

/// How long everything may take to come to rest. Longer than a lease, and than the provider waits
/// before it tells again.
const LIMIT: Duration = Duration::from_mins(4);
const LOOK: Duration = Duration::from_secs(1);
/// How often in a row nothing must move.
const QUIET_LOOKS: u32 = 3;

/// Ends what goes on, and waits until nothing moves. What doesn't come to rest is a violation.
pub(crate) async fn settle(stage: &Stage, world: &World) -> Result<Vec<Violation>> {
    let mut rng = StdRng::seed_from_u64(0);
    let people = world.people.read().unwrap_or_else(PoisonError::into_inner).clone();
    for person in &people {
        person.round_off(&mut rng).await;
    }
    let mut conn = database::connect(&stage.servers.database_url()).await?;
    let mut violations = Vec::new();
    // Twice: the first comparison of the books asks for work whose results the second sees.
    for _ in 0..2 {
        database::ask_for_reconciliation(&mut conn).await?;
        let deadline = Instant::now() + LIMIT;
        let (mut quiet, mut rest) = (0, Vec::new());
        while quiet < QUIET_LOOKS && Instant::now() < deadline {
            database::hurry(&mut conn).await?;
            rest = database::unrest(&mut conn).await?;
            if rest.is_empty() && database::is_reconciling(&mut conn).await? {
                rest.push("a comparison of the books".to_owned());
            }
            if rest.is_empty() && stage.provider.state().await?["webhooks"]["waiting"] != 0 {
                rest.push("webhooks on their way".to_owned());
            }
            quiet = if rest.is_empty() { quiet + 1 } else { 0 };
            sleep(LOOK).await;
        }
        if quiet < QUIET_LOOKS {
            violations.push(Violation { rule: "everything comes to rest", evidence: rest.join("; ") });
            return Ok(violations);
        }
    }
    Ok(violations)
}

/// Has everybody hear everything that was ever said to them.
pub(crate) async fn listen_once_more(stage: &Stage, world: &World) -> Result<Vec<Violation>> {
    let mut conn = database::connect(&stage.servers.database_url()).await?;
    let channels: Vec<Channel> = database::rows(&mut conn, "event_channels").await?;
    let talks = database::participants(&mut conn).await?;
    let people = world.people.read().unwrap_or_else(PoisonError::into_inner).clone();
    let mut rng = StdRng::seed_from_u64(1);
    let mut violations = Vec::new();
    for person in &people {
        let own: BTreeMap<String, i64> = channels
            .iter()
            .filter(|channel| match channel.channel.split_once(':') {
                Some(("conversation", id)) => talks.contains(&(id.to_owned(), person.id)),
                Some((_, id)) => id == person.name,
                None => false,
            })
            .map(|channel| (channel.channel.clone(), channel.seq))
            .collect();
        if let Err(error) = hear_everything(person, &mut rng, &own).await {
            violations.push(Violation { rule: "everybody can hear everything again", evidence: format!("{error:#}") });
        }
    }
    Ok(violations)
}

/// Ends a process of the product in order, and looks through what it wrote.
pub(crate) async fn farewell(program: &mut Program) -> Result<Vec<Violation>> {
    let stopped = program.stop().await?;
    let stopped = stopped.map(|evidence| Violation { rule: "processes end in order", evidence });
    let log = program.output();
    let panics = log.lines().filter(|line| line.contains("panicked at"));
    let panics = panics.map(|line| Violation { rule: "nothing panics", evidence: line.to_owned() });
    Ok(stopped.into_iter().chain(panics).collect())
}
