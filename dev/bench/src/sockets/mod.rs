//! Sockets beside Socket.IO with its Redis adapter, with the same listeners.

mod crowd;
pub(crate) mod frames;
mod measures;
mod server;
mod swarm;

use std::time::Duration;

use anyhow::Result;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use self::server::Contender;
use crate::{
    Plan,
    measure::{Better, Row, Series, Target, order, percentile},
    report::{Section, Table},
    say,
    stage::Stage,
};

const SOCKET_IO: &str = "Socket.IO";
const SOCKET_IO_STORED: &str = "Socket.IO, stored";
const FEW: usize = 100;
const MANY: usize = 1_000;
const CROWD: usize = 10_000;

/// Measures sockets.
///
/// # Errors
/// When a server fails, or a listener is refused or not told.
pub async fn run(stage: &Stage, plan: &Plan) -> Result<Section> {
    // A socket is a file, in this process and in the servers, which inherit the limit.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let absent = Contender::SocketIo.absent(plan);
    let contenders = if absent.is_some() { vec![Contender::Ours] } else { vec![Contender::Ours, Contender::SocketIo] };
    let (mut outcomes, mut crowds) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 0..plan.rounds {
        for index in order(round, contenders.len()) {
            let contender = contenders[index];
            say(&format!("sockets: round {}, {contender:?}", round + 1));
            outcomes[index].push(one(contender, stage, plan).await?);
            crowds[index].push(crowd::measure(contender, stage, plan).await?);
        }
    }
    let ([ours, socket_io], [our_crowds, their_crowds]) = (outcomes, crowds);
    let mut tables = tables(&ours, &socket_io);
    tables.extend(crowd::tables(&our_crowds, &their_crowds));
    Ok(Section { tables, notes: absent.into_iter().collect() })
}

/// What one run of one contender came to.
struct Outcome {
    /// From the request to both of two listeners, unloaded, in milliseconds.
    told: Vec<f64>,
    /// The same with the message stored before, where `told` doesn't store it.
    stored_and_told: Vec<f64>,
    /// Until the last listener has a message, in milliseconds.
    last_of_few: f64,
    last_of_many: f64,
    last_of_crowd: f64,
    /// Deliveries a second, and the server's CPU time for each in microseconds.
    rate: f64,
    cpu: f64,
}

async fn one(contender: Contender, stage: &Stage, plan: &Plan) -> Result<Outcome> {
    let every = Duration::from_millis(50);
    let mut server = contender.start(stage, plan).await?;
    server.swarm.grow_to(2).await?;
    // The first ones meet statements nobody has prepared and code nobody has compiled.
    server.times_to_last(&server.tell, 50, Duration::ZERO).await?;
    let told = server.times_to_last(&server.tell, plan.work(200), every).await?;
    let mut stored_and_told = Vec::new();
    if let Some(store) = &server.store {
        server.times_to_last(store, 50, Duration::ZERO).await?;
        stored_and_told = server.times_to_last(store, plan.work(200), every).await?;
    }
    let last_of_few = server.time_to_last_of(FEW, plan.work(30)).await?;
    let last_of_many = server.time_to_last_of(MANY, plan.work(30)).await?;
    let (rate, cpu) = server.throughput(Duration::from_secs(if plan.quick { 1 } else { 5 })).await?;
    let last_of_crowd = server.time_to_last_of(CROWD, plan.work(10)).await?;
    drop(server.swarm);
    server.program.stop().await?;
    Ok(Outcome { told, stored_and_told, last_of_few, last_of_many, last_of_crowd, rate, cpu })
}

fn tables(ours: &[Outcome], socket_io: &[Outcome]) -> Vec<Table> {
    let series = |name: &str, unit, outcomes: &[Outcome], figure: fn(&Outcome) -> f64| Series {
        name: name.to_owned(),
        unit,
        rounds: outcomes.iter().map(figure).collect(),
    };
    let row = |what: &str, unit, better, figure: fn(&Outcome) -> f64| Row {
        what: what.to_owned(),
        better,
        ours: series("ours", unit, ours, figure),
        peers: vec![series(SOCKET_IO, unit, socket_io, figure)],
        targets: Vec::new(),
    };
    let with = |mut row: Row, target: Target| {
        row.targets.push(target);
        row
    };
    let also_stored = |mut row: Row, figure: fn(&Outcome) -> f64| {
        row.peers.push(series(SOCKET_IO_STORED, "ms", socket_io, figure));
        row
    };
    let latency = vec![
        also_stored(row("p50", "ms", Better::Lower, |outcome| percentile(&outcome.told, 0.5)), |outcome| {
            percentile(&outcome.stored_and_told, 0.5)
        }),
        also_stored(
            with(row("p99", "ms", Better::Lower, |outcome| percentile(&outcome.told, 0.99)), Target::fixed(15.0)),
            |outcome| percentile(&outcome.stored_and_told, 0.99),
        ),
    ];
    let fan_out = vec![
        row("to the last of 100", "ms", Better::Lower, |outcome| outcome.last_of_few),
        row("to the last of 1,000", "ms", Better::Lower, |outcome| outcome.last_of_many),
        row("to the last of 10,000", "ms", Better::Lower, |outcome| outcome.last_of_crowd),
        with(row("deliveries to 1,000", "/s", Better::Higher, |outcome| outcome.rate), Target::ratio(SOCKET_IO, 5.0)),
        row("the server's CPU time a delivery", "µs", Better::Lower, |outcome| outcome.cpu),
    ];
    [("From a request to two sockets, one message every 50 ms", latency), ("One message to many sockets", fan_out)]
        .map(|(title, rows)| Table { title: title.to_owned(), rows })
        .into()
}
