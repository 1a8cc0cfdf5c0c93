//! The real program: arguments, settings, the database's absence, signals.

use std::{path::Path, process::Command};

use humanchat_worker::schedule::Schedule;

use crate::harness::{Queue, Worker, until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_humanchat-worker");

/// Runs it without a database. Says how it ends and what it says.
fn refusal(arguments: &[&str], settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = Command::new(PROGRAM)
        .args(arguments)
        .env_clear()
        .envs(settings.iter().copied())
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap();
    assert!(output.stdout.is_empty());
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn what_it_can_not_begin_with_is_one_line() {
    let (code, line) = refusal(&["--queues", "mail,post"], &[]);
    assert_eq!(code, Some(2));
    assert!(line.contains("post") && line.contains("default, mail, maintenance, bulk, model"), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");

    let (code, line) = refusal(&[], &[]);
    assert_eq!((code, line.as_str()), (Some(2), "humanchat-worker: DATABASE_URL: must be set\n"));

    let good = [("DATABASE_URL", "postgres://localhost/x"), ("JWT_SECRET", "0123456789abcdef0123456789abcdef")];
    let (code, line) = refusal(&[], &[&good[..], &[("LOG_LEVEL", "a=b=c")]].concat());
    assert_eq!(code, Some(2));
    assert!(line.starts_with("humanchat-worker: LOG_LEVEL") && line.lines().count() == 1, "{line}");
}

#[tokio::test]
async fn it_works_on_its_schedule_and_stops() {
    let queue = Queue::new().await;
    let mut worker = Worker::start(&queue.url, Path::new(PROGRAM), &[]).await;
    until("the chores of the latest ticks are done", async || {
        let jobs = queue.jobs().await;
        if jobs.len() >= 4 && jobs.iter().all(|job| job.state == "done") { Ok(()) } else { Err(format!("{jobs:?}")) }
    })
    .await;
    worker.stop().await;
    assert_eq!(queue.count("running").await, 0);
}

#[tokio::test]
async fn it_serves_the_queues_it_is_told() {
    let queue = Queue::new().await;
    let mut worker = Worker::start(&queue.url, Path::new(PROGRAM), &["--queues", "mail,default"]).await;
    // It ticks for all queues all the same.
    let ticks = i64::try_from(Schedule::all().kinds().count()).unwrap();
    queue.counts("available", ticks).await;
    worker.stop().await;
    queue.counts("available", ticks).await;
}

#[tokio::test]
async fn it_waits_for_a_database_and_can_be_stopped_meanwhile() {
    let mut worker = Worker::launch("postgres://postgres@127.0.0.1:1/nothing", Path::new(PROGRAM), &[]);
    until("it waits", async || {
        let log = worker.log();
        if log.contains("waiting for the database") { Ok(()) } else { Err(log) }
    })
    .await;
    worker.stop().await;
}
