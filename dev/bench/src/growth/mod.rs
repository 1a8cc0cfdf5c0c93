//! The same requests with more and more stored: whether what one asks for costs by what it returns, or by
//! what is there.

mod looks;
mod resume;
mod scans;
mod seed;

use anyhow::{Context as _, Result};

use self::{looks::Look, seed::Place};
use crate::{
    Plan,
    measure::{Better, Row, Series, Target, count, median, order, percentile},
    report::{Section, Table, thousands},
    say,
    stage::Stage,
};

/// How many messages are stored.
const SIZES: [usize; 3] = [10_000, 1_000_000, 10_000_000];
/// In a hurry.
const QUICK_SIZES: [usize; 2] = [10_000, 100_000];
/// A small table may well be read whole.
const LARGE: usize = 1_000_000;
/// How often each is asked in a round.
const TIMES: usize = 300;
/// The most that a larger database may cost, through the smallest.
const TARGET: f64 = 1.5;

/// Measures databases of several sizes.
///
/// # Errors
/// When a server or a request fails.
pub async fn run(stage: &Stage, plan: &Plan) -> Result<Section> {
    let sizes = if plan.quick { QUICK_SIZES.as_slice() } else { SIZES.as_slice() };
    let mut places = Vec::new();
    for size in sizes {
        say(&format!("growth: storing {size} messages"));
        places.push(Place::store(stage, *size).await?);
    }
    stage.settle().await?;
    for place in &mut places {
        place.open().await?;
        scans::forget(stage, &place.database).await?;
    }
    let (mut middle, mut worst) = (Vec::new(), Vec::new());
    for look in Look::ALL {
        let mut waits = places.iter().map(|_| Waits::default()).collect::<Vec<_>>();
        for round in 0..plan.rounds {
            say(&format!("growth: {}, round {}", look.title(), round + 1));
            for index in order(round, places.len()) {
                let millis = look.take(&places[index], plan.work(TIMES)).await.with_context(|| look.title())?;
                waits[index].p50.push(median(&millis));
                waits[index].p99.push(percentile(&millis, 0.99));
            }
        }
        middle.extend(rows(look, sizes, &waits, |waits| waits.p50.clone(), Some(TARGET)));
        worst.extend(rows(look, sizes, &waits, |waits| waits.p99.clone(), None));
    }
    let mut reads = Vec::new();
    for (place, size) in places.into_iter().zip(sizes) {
        // A process that ends leaves its part of the statistics behind.
        place.api.program.stop().await?;
        let read = scans::of_growing_tables(stage, &place.database).await?;
        for (table, rows) in &read {
            say(&format!(
                "growth: of {} messages, {rows} rows of {table} were read without an index",
                thousands(*size)
            ));
        }
        if *size >= LARGE {
            reads.push(rows_without_index(*size, &read));
        }
        stage.drop_database(&place.database).await?;
    }
    let table = |title: &str, rows| Table { title: title.to_owned(), rows };
    let mut tables = vec![table("One request after the other, p50", middle), table("The same, p99", worst)];
    if !reads.is_empty() {
        tables.push(table("Read without an index, of tables that grow, by all these requests", reads));
    }
    Ok(Section { tables, notes: Vec::new() })
}

fn rows_without_index(size: usize, read: &[(String, i64)]) -> Row {
    let rows: i64 = read.iter().map(|(_, rows)| rows).sum();
    Row {
        what: format!("{} stored", thousands(size)),
        better: Better::Lower,
        ours: Series {
            name: "ours".to_owned(),
            unit: "rows",
            rounds: vec![count(usize::try_from(rows).unwrap_or_default())],
        },
        peers: Vec::new(),
        targets: vec![Target::fixed(0.0)],
    }
}

/// How long a look took in one place, a figure a round, in milliseconds.
#[derive(Default)]
struct Waits {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

/// The larger places beside the smallest.
fn rows(look: Look, sizes: &[usize], waits: &[Waits], figure: fn(&Waits) -> Vec<f64>, target: Option<f64>) -> Vec<Row> {
    let series = |name: &str, waits: &Waits| Series { name: name.to_owned(), unit: "ms", rounds: figure(waits) };
    let smallest = thousands(sizes[0]);
    let larger = sizes.iter().zip(waits).skip(1);
    let row = |(size, here): (&usize, &Waits)| Row {
        what: format!("{}, {} stored", look.title(), thousands(*size)),
        better: Better::Lower,
        ours: series("ours", here),
        peers: vec![series(&smallest, &waits[0])],
        targets: target.map(|ratio| Target::ratio(smallest.clone(), ratio)).into_iter().collect(),
    };
    larger.map(row).collect()
}
