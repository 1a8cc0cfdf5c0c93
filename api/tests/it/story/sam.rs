//! Questions to Sam whose processes die: each gets one answer.

use std::time::{Duration, Instant};

use humanchat_domain::testing::{age_leases, jobs};
use reqwest::Method;
use serde_json::{Value, json};

use super::stage::{Stage, in_time};
use crate::{
    redis::PrivateRedis,
    sam::gemini::{Gemini, Move},
    scene::{eventually, percentile, text},
    support::{Api, Person},
};

/// More than a lease lasts.
const LEASE: Duration = Duration::from_secs(40);

async fn ask(person: &Person<'_>, words: &str) -> Value {
    let request = person.request(Method::POST, "/api/sam").header("Prefer", "respond-async");
    person.api.send(request.json(&json!({"message": words}))).await.ok(202)
}

async fn answer_of(person: &Person<'_>, run: &Value) -> Value {
    let path = format!("/api/sam/runs/{}", text(&run["runId"]));
    let answer = async {
        loop {
            let run = person.get(&path).await.ok(200);
            if run["status"] == "complete" {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    in_time(Duration::from_secs(30), "an answer", answer).await
}

async fn messages(person: &Person<'_>, run: &Value) -> Vec<Value> {
    let path = format!("/api/conversations/{}/messages", text(&run["conversationId"]));
    person.get(&path).await.ok(200)["messages"].as_array().unwrap().clone()
}

async fn model_is_asked(gemini: &Gemini) {
    eventually("the model to be asked", async || (!gemini.turns().is_empty()).then_some(())).await;
}

async fn question_is_taken(api: &Api) {
    eventually("a worker to take the question", async || {
        jobs(&api.store, "run_sam").await.first().is_some_and(|job| job.state == "running").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_whose_worker_is_killed_over_it_is_answered_once_by_another() {
    let gemini = Gemini::start().await;
    let redis = tokio::task::block_in_place(PrivateRedis::start);
    let url = redis.server.url();
    let more = [("REDIS_URL", url.as_str()), ("GEMINI_TIMEOUT_SECS", "20")];
    let stage = Stage::with(&[&gemini.settings()[..2], &more].concat()).await;
    let (_one, api) = stage.api(&[]).await;
    let mut worker = stage.worker(&[]).await;
    api.has_redis().await;
    let ada = api.register("Ada").await;
    gemini.will([Move::Hang, Move::reply("Here I am again.", &json!([]))]);
    let run = ask(&ada, "Hi").await;
    model_is_asked(&gemini).await;
    question_is_taken(&api).await;
    worker.kill();
    let _next = stage.worker(&[]).await;
    age_leases(&api.store, LEASE).await;
    let answer = answer_of(&ada, &run).await;
    assert_eq!((&answer["messageId"], &answer["text"]), (&json!(2), &json!("Here I am again.")));
    assert_eq!(messages(&ada, &run).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waited_at_a_killed_api_finds_the_answer_at_another() {
    let redis = tokio::task::block_in_place(PrivateRedis::start);
    let stage = Stage::with(&[("REDIS_URL", &redis.server.url())]).await;
    let ((mut dying, here), (_two, there)) = tokio::join!(stage.api(&[]), stage.api(&[]));
    tokio::join!(here.has_redis(), there.has_redis());
    let ada = here.register("Ada").await;
    let body = json!({"message": "Who is here?"});
    let waiting = ada.request(Method::POST, "/api/sam").header("Idempotency-Key", "one").json(&body).send();
    let killing = async {
        eventually("a question", async || (!jobs(&there.store, "run_sam").await.is_empty()).then_some(())).await;
        dying.kill();
    };
    let (lost, ()) = tokio::join!(waiting, killing);
    assert!(lost.is_err());
    let _worker = stage.worker(&[]).await;
    let answer = ada.at(&there).post_once("/api/sam", "one", body).await;
    assert_eq!(answer.headers["idempotency-replayed"], "true");
    let answer = answer.ok(200);
    assert_eq!((&answer["status"], &answer["messageId"]), (&json!("complete"), &json!(2)));
    assert_eq!(messages(&ada.at(&there), &answer).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_takes_little_time_beside_the_models() {
    const TURNS: usize = 40;
    let gemini = Gemini::start().await;
    let redis = tokio::task::block_in_place(PrivateRedis::start);
    let url = redis.server.url();
    let stage = Stage::with(&[&gemini.settings()[..], &[("REDIS_URL", url.as_str())]].concat()).await;
    let (_one, api) = stage.api(&[]).await;
    let _worker = stage.worker(&[]).await;
    api.has_redis().await;
    let ada = api.register("Ada").await;
    gemini.will(vec![Move::reply("Hello, here I am.", &json!([])); TURNS]);
    let mut took = Vec::new();
    for _ in 0..TURNS {
        let began = Instant::now();
        let answer = ada.post("/api/sam", json!({"message": "Hi"})).await.ok(200);
        took.push(began.elapsed());
        assert_eq!(answer.get("fallback"), None);
    }
    let [half, most] = [50, 95].map(|percent| percentile(&took, percent));
    println!("a turn took {half:?} at the median, {most:?} at the 95th percentile");
    assert!(half < Duration::from_secs(1), "{half:?}");
}
