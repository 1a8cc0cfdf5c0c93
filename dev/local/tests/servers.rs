//! Real servers: what survives a restart, what doesn't, and who cleans up.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use humanchat_local::account::Account;
use humanchat_local::database;
use humanchat_local::postgres::{Postgres, PostgresOptions};
use humanchat_local::redis::{Redis, RedisOptions};
use humanchat_local::scratch::Scratch;
use sqlx::{Connection as _, PgConnection};

const TOOL: &str = env!("CARGO_BIN_EXE_humanchat-local");

fn durable(scratch: &Scratch) -> PostgresOptions {
    PostgresOptions { data_dir: scratch.postgres(), durable: true, install: false }
}

async fn notes(url: &str) -> Result<i64> {
    let mut connection = PgConnection::connect(url).await?;
    Ok(sqlx::query_scalar("select count(*) from notes").fetch_one(&mut connection).await?)
}

#[tokio::test]
async fn postgres_keeps_port_and_data_through_restart_kill_and_a_new_start() -> Result<()> {
    let scratch = Scratch::create()?;
    let mut server = Postgres::start(durable(&scratch))?;
    let (port, url) = (server.port(), server.url("app"));
    assert!(database::create_if_missing(&server.url("postgres"), "app").await?);
    assert!(!database::create_if_missing(&server.url("postgres"), "app").await?);
    let mut connection = PgConnection::connect(&url).await?;
    sqlx::raw_sql("create table notes (note text); insert into notes values ('kept')").execute(&mut connection).await?;

    server.restart()?;
    assert_eq!((server.port(), notes(&url).await?), (port, 1));
    server.kill()?;
    assert!(!server.is_running()?);
    server.restart()?;
    assert_eq!((server.port(), notes(&url).await?), (port, 1));
    drop(server);
    let server = Postgres::start(durable(&scratch))?;
    assert_eq!((server.port(), notes(&url).await?), (port, 1));
    Ok(())
}

#[tokio::test]
async fn data_stays_with_the_account_that_made_it() -> Result<()> {
    // As root alone: who isn't root has but one account.
    if Account::for_servers()?.is_none() {
        eprintln!("SKIPPED: only root hands servers to another account");
        return Ok(());
    }
    let scratch = Scratch::create()?;
    let server = Postgres::start(durable(&scratch))?;
    let mut connection = PgConnection::connect(&server.superuser_url("postgres")).await?;
    sqlx::raw_sql("create table notes (note text); insert into notes values ('kept')").execute(&mut connection).await?;
    drop(server);

    // As if it had been made before there was an account `postgres`. A try that failed left the folder to the new one.
    let cluster = scratch.postgres().join("cluster");
    ensure!(Command::new("chown").args(["-R", "nobody"]).arg(&cluster).status()?.success());
    let server = Postgres::start(durable(&scratch))?;
    assert_eq!(notes(&server.superuser_url("postgres")).await?, 1);
    let owner = Account::for_data(&cluster)?.context("we are root")?;
    assert_eq!(owner.name, "nobody");
    Ok(())
}

#[tokio::test]
async fn postgres_role_is_ordinary_and_password_protected() -> Result<()> {
    let scratch = Scratch::create()?;
    let server = Postgres::start(PostgresOptions { durable: false, ..durable(&scratch) })?;
    let mut connection = PgConnection::connect(&server.url("postgres")).await?;
    let (superuser, letters): (bool, String) =
        sqlx::query_as("select usesuper, lower('ÀЖ') from pg_user where usename = current_user")
            .fetch_one(&mut connection)
            .await?;
    assert_eq!((superuser, letters.as_str()), (false, "àж"));
    let without_password = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port());
    assert!(PgConnection::connect(&without_password).await.is_err());
    Ok(())
}

#[test]
fn one_folder_serves_one_process() -> Result<()> {
    let scratch = Scratch::create()?;
    let _server = Postgres::start(durable(&scratch))?;
    let refused = Postgres::start(durable(&scratch)).err().context("started twice")?;
    assert!(refused.to_string().contains("another process runs a Postgres"), "{refused}");
    Ok(())
}

#[test]
fn redis_restarts_empty_on_the_same_port() -> Result<()> {
    let scratch = Scratch::create()?;
    let mut server = Redis::start(RedisOptions { dir: scratch.redis(), install: false })?;
    let url = server.url();
    server.restart()?;
    assert_eq!(server.url(), url);
    server.kill()?;
    assert!(!server.is_running()?);
    server.restart()?;
    assert!(server.is_running()?);
    assert_eq!(server.url(), url);
    Ok(())
}

#[tokio::test]
async fn run_passes_on_the_exit_status_and_leaves_nothing_behind() -> Result<()> {
    let migrations = Scratch::create()?;
    fs::write(migrations.path().join("20260101000000_notes.sql"), "create table notes (note text);")?;
    let script = r#"
        for url in "$DATABASE_URL" "${TEST_DATABASE_URL%/*}/humanchat_template"; do
            "$HC_PG_BIN/psql" "$url" -qc "select note from notes" >/dev/null || exit 1
        done
        echo "$TEST_DATABASE_URL $REDIS_URL $TEST_REDIS_URL"
        exit 7"#;
    let output = run(&["sh", "-c", script], migrations.path()).stderr(Stdio::inherit()).output()?;
    assert_eq!(output.status.code(), Some(7));
    let text = String::from_utf8(output.stdout)?;
    let mut urls = text.split_whitespace();
    let postgres = urls.next().context("no TEST_DATABASE_URL")?;
    assert!(postgres.ends_with("/postgres"), "{postgres}");
    assert_eq!(urls.next(), urls.next());
    assert!(is_gone(postgres).await);
    Ok(())
}

#[tokio::test]
async fn run_ends_in_order_when_told_to() -> Result<()> {
    let migrations = Scratch::create()?;
    let (mut tool, url) = run_forever(migrations.path())?;
    ensure!(Command::new("kill").args(["-TERM", &tool.id().to_string()]).status()?.success());
    let started = Instant::now();
    assert_eq!(tool.wait()?.code(), Some(128 + 15));
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(is_gone(&url).await);
    Ok(())
}

#[tokio::test]
async fn what_a_killed_run_left_is_swept_by_the_next() -> Result<()> {
    let migrations = Scratch::create()?;
    let (mut tool, url) = run_forever(migrations.path())?;
    let left = std::env::temp_dir().join(format!("humanchat-scratch-{}-0", tool.id()));
    tool.kill()?;
    tool.wait()?;
    assert!(left.exists(), "{}", left.display());
    ensure!(run(&["true"], migrations.path()).status()?.success());
    assert!(is_gone(&url).await);
    assert!(!left.exists(), "{}", left.display());
    Ok(())
}

#[test]
fn run_leaves_given_servers_alone() -> Result<()> {
    let migrations = Scratch::create()?;
    let output = run(&["sh", "-c", "echo $TEST_DATABASE_URL"], migrations.path())
        .env("TEST_DATABASE_URL", "postgres://elsewhere/db")
        .output()?;
    assert_eq!(String::from_utf8(output.stdout)?.trim(), "postgres://elsewhere/db");
    Ok(())
}

/// Starts the tool with a command that doesn't end; returns its `DATABASE_URL` when that can be used.
fn run_forever(migrations: &Path) -> Result<(Child, String)> {
    let mut tool =
        run(&["sh", "-c", r#"echo "$DATABASE_URL"; exec sleep 600"#], migrations).stdout(Stdio::piped()).spawn()?;
    let mut url = String::new();
    BufReader::new(tool.stdout.take().context("no stdout")?).read_line(&mut url)?;
    Ok((tool, url.trim().to_owned()))
}

fn run(command: &[&str], migrations: &Path) -> Command {
    let mut tool = Command::new(TOOL);
    tool.arg("run").arg("--migrations").arg(migrations).arg("--").args(command);
    // The tests themselves may run under the tool.
    tool.env_remove("TEST_DATABASE_URL").stdin(Stdio::null());
    tool
}

/// Another server may have got the port by now, but not the password.
async fn is_gone(url: &str) -> bool {
    PgConnection::connect(url).await.is_err()
}
