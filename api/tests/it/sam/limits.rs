//! What questions may take: budgets that hold for many at once, drafts that are taken back, answers that are
//! stored once.

use std::time::Duration;

use futures_util::{FutureExt, future::join_all};
use humanchat_domain::{
    clock::Clock,
    id::RunId,
    sam::{self, Thought},
    testing::{self, TestDatabase, noon, tokens_of},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Move, api_by_rules, api_with_model, asker_and_host, gemini::Gemini};
use crate::{
    scene::{at_once, eventually, id, text},
    support::{Api, Person, api_on},
};

async fn asks(person: &Person<'_>) -> RunId {
    id(&text(&person.ask_sam(json!({"message": "Hi"})).await.ok(202)["runId"]))
}

async fn thinks(api: &Api, run: RunId, attempt: i16) -> Thought {
    sam::think(&api.store, run, attempt).await.unwrap().unwrap()
}

async fn stores(api: &Api, thought: Thought) {
    let mut tx = api.store.begin(None).await.unwrap();
    sam::answer(&mut tx, thought).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_at_once_do_not_spend_one_budget_twice() {
    let gemini = Gemini::start().await;
    let settings = [&gemini.settings()[..], &[("SAM_DAILY_TOKENS", "30000")]].concat();
    let api = api_on(&TestDatabase::create().await, Clock::manual(noon()), &settings).await;
    let [asker, _] = asker_and_host(&api).await;
    let runs = join_all((0..6).map(|_| asks(&asker))).await;
    gemini.will(vec![Move::reply("Hello!", &json!([])); 6]);
    let thoughts = at_once(runs.iter().map(|run| thinks(&api, *run, 1).boxed())).await;
    assert_eq!(gemini.turns().len(), 2, "20,000 tokens are set aside for each until it is known what it took");
    assert_eq!(tokens_of(&api.store, id(&asker.id)).await, 40_000);
    for thought in thoughts {
        stores(&api, thought).await;
    }
    assert_eq!(tokens_of(&api.store, id(&asker.id)).await, 2 * 1120);
    // One whose worker dies has its price.
    let lost = asks(&asker).await;
    gemini.will([Move::reply("Hello!", &json!([])), Move::reply("Hello again!", &json!([]))]);
    drop(thinks(&api, lost, 1).await);
    let second = thinks(&api, lost, 2).await;
    stores(&api, second).await;
    assert_eq!(tokens_of(&api.store, id(&asker.id)).await, 20_000 + 3 * 1120);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_two_workers_answer_has_one_answer() {
    let (api, gemini) = api_with_model().await;
    let [asker, _] = asker_and_host(&api).await;
    for _ in 0..4 {
        let before = api.store.clock().now();
        let run = asks(&asker).await;
        gemini.will([Move::reply("One.", &json!([])), Move::reply("Two.", &json!([]))]);
        let thoughts = [thinks(&api, run, 1).await, thinks(&api, run, 2).await];
        at_once(thoughts.map(|thought| stores(&api, thought).boxed())).await;
        assert!(sam::think(&api.store, run, 3).await.unwrap().is_none(), "asked at {before}, answered");
    }
    let said = asker.said_with_sam().await;
    assert_eq!(said.iter().filter(|message| message["origin"] == "sam").count(), 4);
    assert_eq!(said.len(), 8);
}

#[tokio::test]
async fn a_model_that_kills_its_worker_twice_is_not_asked_again() {
    let (api, gemini) = api_with_model().await;
    let [asker, _] = asker_and_host(&api).await;
    let run = asks(&asker).await;
    gemini.will([]);
    stores(&api, thinks(&api, run, 3).await).await;
    let answer = asker.run(&json!({"runId": run.to_string()})).await;
    assert_eq!((&answer["status"], &answer["fallback"]), (&json!("complete"), &json!("down")));
}

/// All that a socket hears up to the next message of Sam's.
async fn drafts(socket: &mut crate::support::Socket) -> (Vec<Value>, Value) {
    let mut deltas = Vec::new();
    loop {
        let frame = socket.next().await;
        match frame["type"].as_str().unwrap() {
            "sam.delta" => deltas.push(frame["payload"].clone()),
            "message.created" if frame["payload"]["origin"] == "sam" => return (deltas, frame["payload"].clone()),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_draft_that_is_not_used_is_taken_back() {
    let (api, gemini) = api_with_model().await;
    let [asker, _] = asker_and_host(&api).await;
    gemini.will([Move::reply("Hello there!", &json!([]))]);
    let conversation = text(&asker.sam("Hi").await["conversationId"]);
    let mut socket = asker.socket("/ws").await;
    socket.subscribe(&format!("conversation:{conversation}")).await;
    let lie =
        Move::reply("River is glad to talk with you about bees and it costs only 3 USD, if you hurry.", &json!([]));
    gemini.will([lie.clone(), lie]);
    asker.sam("Bees?").await;
    let (deltas, message) = drafts(&mut socket).await;
    let told: String = deltas.iter().map(|delta| text(&delta["text"])).collect();
    assert!(told.contains("glad to talk") && !told.contains('3') && !told.contains("USD"), "{told}");
    let taken_back: Vec<_> = deltas.iter().filter(|delta| delta["text"] == "").collect();
    assert_eq!(taken_back.len(), 2, "{deltas:?}");
    assert!(taken_back.iter().all(|delta| delta["offset"] == 0));
    assert_eq!(deltas.last().unwrap()["text"], "", "before the answer by rules");
    assert!(!text(&message["content"]).contains("glad to talk"));
    // One that comes too late too.
    gemini.will([Move::reply("I am glad to help you with that and more.", &json!([])), Move::Hang]);
    asker.sam("Bees?").await;
    let (deltas, message) = drafts(&mut socket).await;
    assert!(deltas.iter().all(|delta| delta["text"] != ""), "{deltas:?}");
    assert_eq!(message["content"], "I am glad to help you with that and more.");
}

#[tokio::test]
async fn odd_look_ups_are_answered_and_the_answer_still_comes() {
    let (api, gemini) = api_with_model().await;
    let [asker, host] = asker_and_host(&api).await;
    let odd = [
        ("search_people", json!({"words": "bees\u{0}"})),
        ("search_people", json!({"words": "x".repeat(300)})),
        ("find_slots", json!({"userId": host.id, "from": "\u{0}"})),
        ("find_slots", json!({"userId": host.id, "durationMinutes": i64::MIN})),
    ];
    gemini.will([Move::Call(odd.to_vec()), Move::reply("Sorry.", &json!([]))]);
    let answer = asker.sam("Bees?").await;
    assert_eq!((&answer["text"], answer.get("fallback")), (&json!("Sorry."), None));
    let results = gemini.turns()[1]["contents"].as_array().unwrap().last().unwrap()["parts"].clone();
    for result in results.as_array().unwrap() {
        assert!(result["functionResponse"]["response"]["error"].is_string(), "{result}");
    }
}

#[tokio::test]
async fn who_hangs_up_finds_the_answer_later() {
    let api = api_by_rules().await;
    let [asker, _] = asker_and_host(&api).await;
    let asking = asker.request(Method::POST, "/api/sam").json(&json!({"message": "Bees?"})).send();
    let stored =
        eventually("a question", async || (!testing::jobs(&api.store, "run_sam").await.is_empty()).then_some(()));
    tokio::select! {
        _ = asking => panic!("nobody has answered yet"),
        () = stored => {}
    }
    assert_eq!(api.work().await, ["run_sam"]);
    let said = asker.said_with_sam().await;
    assert_eq!((said.len(), &said[1]["origin"]), (2, &json!("sam")));
    api.advance(Duration::from_secs(1));
    assert_eq!(api.work().await, Vec::<&str>::new());
}
