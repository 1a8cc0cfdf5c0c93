//! What staff wait for, and what many people get at once: numbers and searches over 100,000 users and a
//! million messages, an announcement to all of them, a digest for each.

mod announcement;
mod digests;
mod looks;

use anyhow::Result;
use sqlx::{Connection as _, PgConnection};

use crate::{
    Plan,
    measure::{Better, Row, Series, Target},
    product::{Api, Person, Worker},
    report::{Section, Table},
    say,
    stage::Stage,
};

/// The database's name.
const DATABASE: &str = "staff";
/// The admin who asks.
const ADMIN: &str = "admin@bench.test";

/// Measures what staff do.
///
/// # Errors
/// When a server, a worker or a request fails.
pub async fn run(stage: &Stage, plan: &Plan) -> Result<Section> {
    say("staff: storing 100,000 users and a million messages");
    let url = stage.product_database(DATABASE).await?;
    let api = Api::start(stage, &url).await?;
    let admin = seeded(&api, &url).await?;
    stage.as_superuser(DATABASE, "vacuum analyze").await?;
    stage.settle().await?;
    let mut tables = vec![looks::measure(&api, &admin, plan).await?];
    let worker = Worker::start(stage, &url, &[]).await?;
    tables.push(announcement::measure(&api, &admin, plan).await?);
    tables.push(digests::measure(stage, &url, plan).await?);
    worker.program.stop().await?;
    api.program.stop().await?;
    stage.drop_database(DATABASE).await?;
    Ok(Section { tables, notes: Vec::new() })
}

/// Fills the database, and signs an admin in.
async fn seeded(api: &Api, url: &str) -> Result<Person> {
    api.register(ADMIN).await?;
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query("update users set role = 'admin' where email = $1").bind(ADMIN).execute(&mut connection).await?;
    sqlx::raw_sql(include_str!("seed.sql")).execute(&mut connection).await?;
    connection.close().await?;
    api.sign_in(ADMIN).await
}

/// A question that only we are asked.
fn row(what: impl Into<String>, better: Better, unit: &'static str, rounds: Vec<f64>, targets: Vec<Target>) -> Row {
    let ours = Series { name: "ours".to_owned(), unit, rounds };
    Row { what: what.into(), better, ours, peers: Vec::new(), targets }
}

fn table(title: &str, rows: Vec<Row>) -> Table {
    Table { title: title.to_owned(), rows }
}
