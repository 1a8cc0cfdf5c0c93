//! Asking: who may, what is stored, how long one waits, what is heard meanwhile.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use humanchat_domain::{
    clock::Clock,
    testing::{self, TableLock, TestDatabase, noon},
};
use reqwest::Method;
use serde_json::json;

use super::{Move, actions, api_by_rules, api_with_model, asker_and_host};
use crate::{
    scene::{eventually, text},
    support::{Api, Person, api_on},
};

/// Works as soon as there is a question.
async fn work_on_questions(api: &Api, count: usize) {
    eventually("questions", async || (testing::jobs(&api.store, "run_sam").await.len() == count).then_some(())).await;
    api.work().await;
}

#[tokio::test]
async fn a_question_waits_for_its_answer_and_both_are_kept() {
    let api = api_by_rules().await;
    let [asker, host] = asker_and_host(&api).await;
    let body = json!({"message": "Who knows about bees?", "userContext": {"timezone": "Europe/Berlin", "booking": {"minutes": 30}},
        "conversationHistory": [{"role": "user", "content": "Hi"}, {"role": "sam", "content": "Hello!", "timestamp": 1}]});
    let (answer, ()) = tokio::join!(asker.post("/api/sam", body), work_on_questions(&api, 1));
    let answer = answer.ok(200);
    assert_eq!(
        (&answer["status"], &answer["messageId"], &answer["fallback"]),
        (&json!("complete"), &json!(2), &json!("not_configured"))
    );
    assert!(text(&answer["runId"]).starts_with("run_") && text(&answer["conversationId"]).starts_with("conv_"));
    let profiles = &actions(&answer, "show_profiles")[0]["profiles"];
    let expected = json!([{"user_id": host.id, "name": "River Stone", "headline": "Urban bees", "expertise": ["beekeeping"],
        "rate_per_minute": null, "currency": "usd", "status": "online"}]);
    assert_eq!(*profiles, expected);
    assert_eq!(asker.run(&answer).await, answer);
    let said = asker.said_with_sam().await;
    let shape = |index: usize| {
        json!([said[index]["messageId"], said[index]["origin"], said[index]["type"], said[index]["senderId"]])
    };
    assert_eq!(said.len(), 2);
    assert_eq!(shape(0), json!([1, "human", "user_text", asker.id]));
    assert_eq!(shape(1), json!([2, "sam", "sam_response", null]));
    assert_eq!((&said[1]["content"], &said[1]["actions"]), (&answer["text"], &answer["actions"]));
    let conversation = asker.get(&format!("/api/conversations/{}", text(&answer["conversationId"]))).await.ok(200);
    assert_eq!(
        (&conversation["conversation"]["type"], &conversation["conversation"]["unread_count"]),
        (&json!("sam"), &json!(1))
    );
    assert_eq!(asker.sam("And now?").await["conversationId"], answer["conversationId"]);
}

#[tokio::test]
async fn only_who_asked_sees_the_answer() {
    let api = api_by_rules().await;
    let [asker, host] = asker_and_host(&api).await;
    let body = json!({"message": "Who knows about bees?"});
    api.anonymous(Method::POST, "/api/sam", Some(body.clone())).await.refused(401, "unauthenticated");
    let run = asker.ask_sam(body).await.ok(202);
    let path = format!("/api/sam/runs/{}", text(&run["runId"]));
    api.anonymous(Method::GET, &path, None).await.refused(401, "unauthenticated");
    let other = host.get(&path).await;
    other.refused(404, "resource_not_found");
    assert_eq!(other.text, host.get("/api/sam/runs/run_00000000000000000000000000").await.text);
    let conversation = format!("/api/conversations/{}", text(&run["conversationId"]));
    host.get(&conversation).await.refused(404, "resource_not_found");
    for body in [
        json!({}),
        json!({"message": ""}),
        json!({"message": "x".repeat(4001)}),
        json!({"message": "x", "role": "admin"}),
        json!({"message": "x", "userContext": {"timezone": "Mars/Olympus"}}),
        json!({"message": "x", "userContext": {"a": "b\u{0}"}}),
        json!({"message": "x", "userContext": {"a": "x".repeat(9000)}}),
        json!({"message": "x", "conversationHistory": [{"role": "system", "content": "x"}]}),
        json!({"message": "x", "conversationHistory": vec![json!({"role": "user", "content": "x"}); 51]}),
    ] {
        asker.ask_sam(body).await.refused(422, "validation_failed");
    }
}

#[tokio::test]
async fn who_waits_too_long_is_told_where_the_answer_will_be() {
    let database = TestDatabase::create().await;
    let api = api_on(&database, Clock::manual(noon()), &[("SAM_WAIT_SECS", "1")]).await;
    let [asker, _] = asker_and_host(&api).await;
    let began = Instant::now();
    let run = asker.post("/api/sam", json!({"message": "Bees?"})).await.ok(202);
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!((&run["status"], run.get("text")), (&json!("running"), None));
    api.work().await;
    assert_eq!(asker.run(&run).await["status"], "complete");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_can_not_be_read_is_told_later_and_the_question_is_not_lost() {
    let api = api_by_rules().await;
    let [asker, _] = asker_and_host(&api).await;
    let out_of_reach = async {
        eventually("a question", async || (!testing::jobs(&api.store, "run_sam").await.is_empty()).then_some(())).await;
        let conversations = asker.get("/api/conversations?type=sam").await.ok(200);
        let mut lock = TableLock::take(&api.store, "sam_runs").await;
        // Whatever is said there makes whoever waits look whether it is the answer.
        let file = json!({"url": "https://files.example/a", "name": "a", "mimeType": "image/png", "sizeBytes": 1});
        let body = json!({"content": "Look", "type": "attachment", "attachments": [file]});
        let path = format!("/api/conversations/{}/messages", text(&conversations["conversations"][0]["id"]));
        asker.post(&path, body).await.ok(201);
        eventually("a look for the answer", async || (lock.waiting().await > 0).then_some(())).await;
        lock.release_after_sending_away().await;
    };
    let (run, ()) = tokio::join!(asker.post("/api/sam", json!({"message": "Bees?"})), out_of_reach);
    let run = run.ok(202);
    assert_eq!(api.work().await, ["run_sam"]);
    assert_eq!(asker.run(&run).await["status"], "complete");
}

#[tokio::test]
async fn a_named_question_is_asked_once_and_its_repetition_gets_the_same_answer() {
    let api = api_by_rules().await;
    let [asker, _] = asker_and_host(&api).await;
    let body = json!({"message": "Bees?"});
    let ask = || asker.post_once("/api/sam", "one", body.clone());
    let (first, second, ()) = tokio::join!(
        ask(),
        async {
            // Once the first is stored, so that it isn't in flight.
            eventually("a question", async || (!testing::jobs(&api.store, "run_sam").await.is_empty()).then_some(()))
                .await;
            ask().await
        },
        async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            work_on_questions(&api, 1).await;
        }
    );
    let third = ask().await;
    for answer in [&second, &third] {
        assert_eq!(
            (answer.ok(200), &answer.headers["idempotency-replayed"]),
            (first.ok(200), &"true".parse().unwrap())
        );
    }
    assert_eq!(asker.said_with_sam().await.len(), 2);
    asker.post_once("/api/sam", "one", json!({"message": "Wasps?"})).await.refused(422, "idempotency_key_reused");
}

#[tokio::test]
async fn words_in_the_conversation_with_sam_ask_it_too() {
    let api = api_by_rules().await;
    let [asker, host] = asker_and_host(&api).await;
    let answer = asker.sam("Bees?").await;
    let conversation = text(&answer["conversationId"]);
    let body = json!({"content": "Who keeps bees?", "type": "user_text", "clientMessageId": "m-1"});
    let path = format!("/api/conversations/{conversation}/messages");
    for _ in 0..2 {
        assert_eq!(asker.post(&path, body.clone()).await.ok(201)["messageId"], 3);
    }
    assert_eq!(api.work().await, ["run_sam"]);
    let said = asker.said_with_sam().await;
    assert_eq!((said.len(), &said[3]["origin"]), (4, &json!("sam")));
    // Among people nobody asked Sam.
    let human = asker.conversation_with(&host).await;
    asker.say(&human, "Sam, who knows about bees?").await.ok(201);
    assert_eq!(api.work().await, Vec::<&str>::new());
}

#[tokio::test]
async fn an_answer_is_heard_while_it_is_written() {
    let (api, gemini) = api_with_model().await;
    let [asker, host] = asker_and_host(&api).await;
    gemini.will([Move::reply("Hello there!", &json!([]))]);
    let conversation = text(&asker.sam("Hi").await["conversationId"]);
    let mut socket = asker.socket("/ws").await;
    socket.subscribe(&format!("conversation:{conversation}")).await;
    let words = "River Stone keeps bees on the roofs of the town, and is glad to talk about it.";
    gemini.will([Move::search("bees"), Move::reply(words, &json!([{"type": "show_profiles", "userIds": [host.id]}]))]);
    let answer = asker.sam("Who knows about bees?").await;
    assert_eq!((&answer["text"], answer.get("fallback")), (&json!(words), None));
    assert_eq!(socket.next_of("message.created").await["payload"]["origin"], "human");
    let (mut heard, mut deltas) = (String::new(), 0);
    let message = loop {
        let frame = socket.next().await;
        if frame["type"] == "message.created" {
            break frame;
        }
        assert_eq!((&frame["type"], frame.get("seq")), (&json!("sam.delta"), None));
        assert_eq!(frame["payload"]["runId"], answer["runId"]);
        assert_eq!(frame["payload"]["offset"], json!(heard.chars().count()));
        heard.push_str(&text(&frame["payload"]["text"]));
        deltas += 1;
    };
    assert_eq!((heard.as_str(), &message["payload"]["content"]), (words, &json!(words)));
    assert_eq!(message["payload"]["actions"], answer["actions"]);
    assert!(deltas > 3, "{deltas}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_who_wait_slow_nobody_down() {
    let database = TestDatabase::create().await;
    // Fewer connections and requests at once than there are people waiting.
    let api = api_on(&database, Clock::manual(noon()), &[("MAX_REQUESTS", "64"), ("SAM_WAIT_SECS", "60")]).await;
    let people = testing::sign_in_many(&api.store, 200).await;
    let people: Vec<_> = people.iter().map(|person| Person::signed_in(&api, person)).collect();
    // Storing a question is work like any other: a few at a time.
    let (stored, so_far) = tokio::sync::watch::channel(0);
    let ask = async |(number, person): (usize, &Person<'_>)| {
        so_far.clone().wait_for(|count| number < count + 20).await.unwrap();
        person.post("/api/sam", json!({"message": "Bees?"})).await
    };
    let others = async {
        eventually("everybody to wait", async || {
            stored.send_replace(testing::jobs(&api.store, "run_sam").await.len());
            (*stored.borrow() == people.len()).then_some(())
        })
        .await;
        for person in people.iter().take(20) {
            let began = Instant::now();
            person.get("/api/auth/me").await.ok(200);
            assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        }
        eventually("who waits to hold no connection", async || (api.store.connections().used == 0).then_some(())).await;
        api.work().await;
    };
    let (answers, ()) = tokio::join!(join_all(people.iter().enumerate().map(ask)), others);
    for answer in answers {
        assert_eq!(answer.ok(200)["status"], "complete");
    }
}
