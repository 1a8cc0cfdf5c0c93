//! A backup, the end of everything, and a new cluster: what docs/operations.md says of it, line by line.

use std::{collections::HashMap, path::Path, process::Command};

use humanchat_domain::{
    Store,
    clock::Clock,
    config::Settings,
    payments::reconcile,
    testing::{booked, open_calls, redis_url},
};
use humanchat_local::{database, postgres::Postgres};
use reqwest::Method;
use serde_json::json;
use tokio::task::block_in_place;

use super::{
    database::PrivatePostgres,
    payments::talk,
    stage::{SECRET, Stage},
};
use crate::{
    payments::{Till, settings_at, simulator},
    scene::{eventually, id, strings, text},
    support::Person,
};

const OPERATIONS: &str = include_str!("../../../../docs/operations.md");
const DATABASE: &str = "story";
const GUEST: &str = "somebody@example.com";

/// The lines for the shell in the section on backups: how one is made, and how it is restored.
fn documented() -> [&'static str; 2] {
    let (_, rest) = OPERATIONS.split_once("\n## Backup and restore\n").unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let blocks: Vec<_> = section.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    blocks.try_into().unwrap()
}

/// Gives these lines to a shell.
fn run(lines: &str, server: &Postgres, folder: &Path) {
    let lines = format!("PATH=\"$BIN:$PATH\"\n{lines}");
    let mut shell = Command::new("sh");
    shell.args(["-eu", "-c", &lines]).current_dir(folder);
    let output = shell.env("BIN", server.bin_dir()).env("DATABASE_URL", server.url(DATABASE)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The product on a server; a database that is made for it is empty.
async fn stage_on(server: &Postgres, provider: &[(&str, &str)]) -> Stage {
    database::create_if_missing(&server.url("postgres"), DATABASE).await.unwrap();
    let url = server.url(DATABASE);
    let redis = redis_url().expect("TEST_REDIS_URL is not set: run tests with bin/test");
    let settings = [&[("REDIS_URL", redis.as_str())], provider].concat();
    let all: HashMap<_, _> =
        settings.iter().copied().chain([("DATABASE_URL", url.as_str()), ("JWT_SECRET", SECRET)]).collect();
    let own = Settings::from_lookup(&|name| all.get(name).map(|value| (*value).to_owned())).unwrap();
    Stage::on(&url, Store::open(own, Clock::System).unwrap(), &settings)
}

/// A cluster that was used has seen more transactions than a new one.
const USE: &str = r#"
psql --quiet "$DATABASE_URL" <<'SQL'
do $$ begin for i in 1..50000 loop perform pg_current_xact_id(); commit; end loop; end $$;
SQL
"#;

/// What was said in a conversation, newest first.
async fn said(person: &Person<'_>, conversation: &str) -> Vec<String> {
    let page = person.get(&format!("/api/conversations/{conversation}/messages")).await.ok(200);
    let mut words = strings(&page["messages"], "content");
    words.retain(|words| words.starts_with("word "));
    words
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_enough_to_go_on() {
    let [backup, restore] = documented();
    let simulator = simulator().await;
    let base_url = simulator.base_url.clone();
    let provider = settings_at(&base_url);
    let mut lost = block_in_place(PrivatePostgres::start);
    let stage = stage_on(&lost.server, &provider).await;
    block_in_place(|| run(USE, &lost.server, stage.scratch.path()));
    let (status, log) = stage.run(&["migrate"], &[]).await;
    assert!(status.success(), "{log}");
    let (mut api, here) = stage.api(&[]).await;
    let mut worker = stage.worker(&[]).await;
    let till = Till::of(here, simulator).await;
    let (guest, host) = (till.api.register("Guest").await, till.api.register("Host").await);
    let (session, payment) = talk(&till, [&guest, &host]).await;
    let third = till.api.register("Third").await;
    let other = guest.conversation_with(&third).await;
    let conversation = guest.conversation_with(&host).await;
    let channel = format!("conversation:{conversation}");
    let mut ear = host.socket("/ws").await;
    ear.subscribe(&channel).await;
    guest.say(&conversation, "word one").await.ok(201);
    let before = ear.next_of("message.created").await["seq"].as_i64().unwrap();
    worker.terminate();
    worker.ended().await;
    till.api.anonymous(Method::POST, "/api/auth/magic-link", Some(json!({"email": GUEST}))).await.ok(202);

    block_in_place(|| run(backup, &lost.server, stage.scratch.path()));

    // What the backup doesn't know of.
    let mut worker = stage.worker(&[]).await;
    guest.say(&conversation, "word two").await.ok(201);
    let after = ear.next_of("message.created").await["seq"].as_i64().unwrap();
    let late = till.api.register("Late").await;
    host.patch(&session, json!({"status": "complete"})).await.ok(200);
    eventually("the capture", async || (guest.payment(&payment).await["status"] == "captured").then_some(())).await;
    let taken = till.money().await;
    assert_eq!((taken[0][0], taken[0][3]), (0, 1), "{taken:?}");
    eventually("the mail", async || (till.api.mailed_tokens(GUEST).await.len() == 1).then_some(())).await;
    api.kill();
    worker.kill();
    block_in_place(|| lost.server.kill()).unwrap();

    let found = block_in_place(PrivatePostgres::start);
    let again = stage_on(&found.server, &provider).await;
    block_in_place(|| run(restore, &found.server, stage.scratch.path()));
    let (_api, there) = again.api(&[]).await;
    let _worker = again.worker(&[]).await;
    let (guest, host) = (guest.at(&there), host.at(&there));

    late.at(&there).get("/api/auth/me").await.refused(401, "unauthenticated");
    // Whoever turns a page compares transactions.
    let talks = guest.walk("/api/conversations?type=human&limit=1", "conversations", async |_| {}).await;
    assert_eq!(strings(&talks.into(), "id"), [conversation.clone(), other]);
    assert_eq!(said(&host, &conversation).await, ["word one"]);

    let mut ears = Vec::new();
    for heard in [before, after] {
        let mut ear = host.socket("/ws").await;
        ear.say(json!({"type": "subscribe", "channel": channel, "after": heard})).await;
        assert_eq!(ear.next_of("subscribed").await["payload"]["recovered"], false, "what came after {heard}");
        ears.push(ear);
    }
    guest.say(&conversation, "word three").await.ok(201);
    for ear in &mut ears {
        let told = ear.next_of("message.created").await;
        assert_eq!(told["payload"]["content"], "word three");
        assert!(told["seq"].as_i64().unwrap() > after + 1000);
    }

    // The capture is found, and not made again.
    assert_eq!(guest.payment(&payment).await["status"], "authorized");
    reconcile(&again.store).await.unwrap();
    eventually("the capture", async || (guest.payment(&payment).await["status"] == "captured").then_some(())).await;
    host.patch(&session, json!({"status": "complete"})).await.ok(200);
    eventually("nothing to be asked", async || (open_calls(&again.store).await == 0).then_some(())).await;
    assert_eq!(till.money().await, taken);
    let booked = booked(&again.store, id(&text(&payment["id"]))).await;
    assert_eq!((booked[0].clone(), booked.len()), (("provider".to_owned(), taken[0][1]), 3));
    eventually("the mail", async || (there.mailed_tokens(GUEST).await.len() == 1).then_some(())).await;
}
