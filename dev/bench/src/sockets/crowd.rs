//! Many sockets that nobody says anything to: what they weigh, and how soon the few of another room hear
//! a message beside them.

use std::time::Duration;

use anyhow::Result;

use super::{SOCKET_IO, SOCKET_IO_STORED, server::Contender};
use crate::{
    Plan,
    measure::{Better, Row, Series, Target, count, percentile},
    report::Table,
    stage::Stage,
};

/// How many bystanders, and how that is written.
const SIZES: [(usize, &str); 3] = [(100, "100"), (1_000, "1,000"), (10_000, "10,000")];
/// What was only needed to let them in is given back meanwhile.
const REST: Duration = Duration::from_secs(2);
/// Longer than threads that have nothing more to do stay, with what memory they had.
const QUIET: Duration = Duration::from_secs(12);

/// What a crowd came to.
#[derive(Debug)]
pub struct Crowd {
    /// The server's memory, in MiB.
    memory: f64,
    /// What one socket added to it, in KiB.
    each: f64,
    /// Sockets let in a second, those of the smaller crowd not counted.
    let_in: f64,
    /// From a request, which stores the message, to both of two listeners of another room, in milliseconds.
    told: Vec<f64>,
}

/// Measures a server of its own: what others did to it would weigh, too.
///
/// # Errors
/// When it fails, or a listener is refused or not told.
pub async fn measure(contender: Contender, stage: &Stage, plan: &Plan) -> Result<Vec<Crowd>> {
    let mut server = contender.start(stage, plan).await?;
    server.swarm.grow_to(2).await?;
    let tell = server.store.as_ref().unwrap_or(&server.tell).clone();
    server.times_to_last(&tell, plan.work(200), Duration::ZERO).await?;
    tokio::time::sleep(QUIET).await;
    let empty = server.program.memory()?;
    let mut crowds = Vec::new();
    for (size, _) in SIZES {
        let let_in = server.let_in(size).await?;
        tokio::time::sleep(REST).await;
        let memory = server.program.memory()?;
        crowds.push(Crowd {
            memory: kib(memory)? / 1024.0,
            each: kib(memory.saturating_sub(empty))? / count(size),
            let_in,
            told: server.times_to_last(&tell, plan.work(200), Duration::from_millis(50)).await?,
        });
    }
    drop((server.swarm, server.bystanders));
    server.program.stop().await?;
    Ok(crowds)
}

fn kib(bytes: u64) -> Result<f64> {
    Ok(count(usize::try_from(bytes)?) / 1024.0)
}

/// What crowds of each size came to, round by round.
pub fn tables(ours: &[Vec<Crowd>], socket_io: &[Vec<Crowd>]) -> Vec<Table> {
    let row = |peer, what: String, unit, better, index: usize, figure: fn(&Crowd) -> f64, target: Option<f64>| {
        let series = |name: &str, rounds: &[Vec<Crowd>]| Series {
            name: name.to_owned(),
            unit,
            rounds: rounds.iter().map(|crowds| figure(&crowds[index])).collect(),
        };
        let peers = vec![series(peer, socket_io)];
        Row {
            what,
            better,
            ours: series("ours", ours),
            peers,
            targets: target.map(Target::fixed).into_iter().collect(),
        }
    };
    let (mut weights, mut waits) = (Vec::new(), Vec::new());
    for (index, (size, name)) in SIZES.into_iter().enumerate() {
        let total = (size == 10_000).then_some(400.0);
        let weight = |what, unit, better, figure, target| row(SOCKET_IO, what, unit, better, index, figure, target);
        weights.push(weight(format!("memory with {name} idle"), "MiB", Better::Lower, |crowd| crowd.memory, total));
        weights.push(weight(format!("one of {name}"), "KiB", Better::Lower, |crowd| crowd.each, None));
        weights.push(weight(format!("let in up to {name}"), "/s", Better::Higher, |crowd| crowd.let_in, None));
        let wait = |what, figure, target| row(SOCKET_IO_STORED, what, "ms", Better::Lower, index, figure, target);
        waits.push(wait(format!("beside {name}, p50"), |crowd| percentile(&crowd.told, 0.5), None));
        waits.push(wait(format!("beside {name}, p99"), |crowd| percentile(&crowd.told, 0.99), Some(15.0)));
    }
    [("A crowd", weights), ("From a request to two sockets beside a crowd that listens elsewhere", waits)]
        .map(|(title, rows)| Table { title: title.to_owned(), rows })
        .into()
}
