//! What staff wait for, and what many people get at once: numbers and searches over 100,000 users and a
//! million messages, an announcement to all of them, a digest for each.

mod announcement;
mod digests;
mod looks;

use std::env;

use anyhow::{Result, ensure};
use sqlx::{Connection as _, PgConnection};

use crate::{
    Plan,
    measure::{Better, Row, Series, Target},
    product::{Api, Person},
    program::{self, Program},
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
    let worker = worker(stage, &url).await?;
    tables.push(announcement::measure(&api, &admin, plan).await?);
    tables.push(digests::measure(stage, &url, plan).await?);
    worker.stop().await?;
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

/// One worker process, as production runs it.
async fn worker(stage: &Stage, url: &str) -> Result<Program> {
    let binary = env::current_exe()?.with_file_name("humanchat-worker");
    ensure!(binary.exists(), "{} is not built: run bin/bench", binary.display());
    let mut command = program::command(binary);
    let path = env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).current_dir(stage.folder());
    command.env("DATABASE_URL", url).env("REDIS_URL", stage.redis_url());
    command.env("JWT_SECRET", "a secret of the benchmark, 32 bytes or more");
    Program::start(command, &stage.folder().join("worker.log"), "working").await
}

/// A question that only we are asked.
fn row(what: impl Into<String>, better: Better, unit: &'static str, rounds: Vec<f64>, targets: Vec<Target>) -> Row {
    let ours = Series { name: "ours".to_owned(), unit, rounds };
    Row { what: what.into(), better, ours, peers: Vec::new(), targets }
}

fn table(title: &str, rows: Vec<Row>) -> Table {
    Table { title: title.to_owned(), rows }
}
