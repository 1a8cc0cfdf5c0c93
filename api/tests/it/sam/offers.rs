//! Times that Sam offers: kept for whom they are offered to, for a while, and from everybody else.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures_util::FutureExt;
use humanchat_domain::{
    sam::{self, Thought},
    testing::kept_offers,
};
use serde_json::{Value, json};

use super::{Move, actions, api_with_model, gemini::Gemini};
use crate::{
    booking::TEN,
    scene::{at_once, id, text},
    support::{Api, Person},
};

const ELEVEN: &str = "2026-11-17T11:00:00.000Z";
const NOON: &str = "2026-11-17T12:00:00.000Z";

/// People who stay, and the last of them is a host who is there all day, for nothing.
async fn people<'a, const N: usize>(api: &'a Api, names: [&str; N]) -> [Person<'a>; N] {
    let people: Vec<_> = api.arrive(&names).await.into_iter().map(Person::staying).collect();
    people[N - 1].keeps_open().await;
    people.try_into().unwrap_or_else(|_| panic!("so many people"))
}

/// What the model says to offer somebody's half hour.
fn offer(host: &Person<'_>, start: &str) -> [Move; 2] {
    let end: DateTime<Utc> = start.parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(30);
    let end = end.to_rfc3339_opts(SecondsFormat::Millis, true);
    let find = json!({"userId": host.id, "from": start, "to": end, "durationMinutes": 30});
    let book = json!([{"type": "create_session", "hostUserId": host.id, "startTime": start, "durationMinutes": 30}]);
    [Move::Call(vec![("find_slots", find)]), Move::reply("Shall I book that?", &book)]
}

/// The proposal of a half hour.
async fn offered(gemini: &Gemini, asker: &Person<'_>, host: &Person<'_>, start: &str) -> Value {
    gemini.will(offer(host, start));
    let answer = asker.sam("When?").await;
    actions(&answer, "create_session")[0].clone()
}

/// An answer that offers a half hour and isn't stored yet, and its question.
async fn thought(gemini: &Gemini, asker: &Person<'_>, host: &Person<'_>, start: &str) -> (Value, Thought) {
    let run = asker.ask_sam(json!({"message": "When?"})).await.ok(202);
    gemini.will(offer(host, start));
    let thought = sam::think(&asker.api.store, id(&text(&run["runId"])), 1).await.unwrap();
    (run, thought.unwrap())
}

async fn stores(api: &Api, thought: Thought) {
    let mut tx = api.store.begin(None).await.unwrap();
    sam::answer(&mut tx, thought).await.unwrap();
    tx.commit().await.unwrap();
}

/// The proposals of an answer that is stored.
async fn proposals(asker: &Person<'_>, run: &Value) -> Vec<Value> {
    actions(&asker.run(run).await, "create_session").into_iter().cloned().collect()
}

impl Person<'_> {
    async fn can_book(&self, host: &Person<'_>, start: &str) -> bool {
        let end = start.parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(30);
        let window = format!("from={start}&to={}&durationMinutes=30", end.to_rfc3339_opts(SecondsFormat::Millis, true));
        !self.starts_of(host, &window).await.is_empty()
    }
}

#[tokio::test]
async fn an_offered_time_is_taken_for_others_and_free_for_whom_it_is_offered_to() {
    let (api, gemini) = api_with_model().await;
    let [asker, third, host] = people(&api, ["asker", "third", "host"]).await;
    let action = offered(&gemini, &asker, &host, TEN).await;
    assert!(asker.can_book(&host, TEN).await && !third.can_book(&host, TEN).await);
    third.book(&host, TEN, json!(0)).await.refused(409, "slot_unavailable");
    assert!(!host.is_busy().await);
    gemini.will(offer(&host, TEN));
    assert_eq!(actions(&third.sam("When?").await, "create_session").len(), 0, "nor is it offered to two");
    let done = asker.decide_action(&action, "confirm").await.ok(200);
    assert_eq!(done["result"]["session"]["start_time"], TEN);
    assert_eq!(kept_offers(&api.store).await, 0);
    third.book(&host, TEN, json!(0)).await.refused(409, "slot_unavailable");

    let action = offered(&gemini, &asker, &host, ELEVEN).await;
    let session = asker.booked(&host, ELEVEN).await;
    assert_eq!((&session["status"], kept_offers(&api.store).await), (&json!("pending"), 0), "by the usual way");
    asker.decide_action(&action, "confirm").await.refused(409, "action_stale");
}

#[tokio::test]
async fn an_offer_ends_with_a_no_a_newer_one_or_its_time() {
    let (api, gemini) = api_with_model().await;
    let [asker, third, host] = people(&api, ["asker", "third", "host"]).await;
    let action = offered(&gemini, &asker, &host, TEN).await;
    asker.decide_action(&action, "decline").await.ok(200);
    assert!(third.can_book(&host, TEN).await, "declined");
    let former = offered(&gemini, &asker, &host, ELEVEN).await;
    let newer = offered(&gemini, &asker, &host, NOON).await;
    assert!(third.can_book(&host, ELEVEN).await && !third.can_book(&host, NOON).await, "one for each");
    asker.decide_action(&former, "confirm").await.ok(200);
    assert_eq!(kept_offers(&api.store).await, 1, "what isn't kept can still be had");
    api.advance(Duration::from_mins(10));
    assert!(third.can_book(&host, NOON).await, "before any job did");
    assert_eq!(api.work_but_mail().await, ["release_offer"]);
    assert_eq!(kept_offers(&api.store).await, 0);
    asker.decide_action(&newer, "confirm").await.refused(410, "action_expired");
    // Whoever books it doesn't wait for the job.
    offered(&gemini, &asker, &host, NOON).await;
    api.advance(Duration::from_mins(10));
    third.booked(&host, NOON).await;
    assert_eq!(kept_offers(&api.store).await, 0);
}

#[tokio::test]
async fn few_of_a_hosts_times_are_kept_for_offers() {
    let (api, gemini) = api_with_model().await;
    let [one, two, three, four, third, host] = people(&api, ["one", "two", "three", "four", "third", "host"]).await;
    let starts = [TEN, ELEVEN, NOON, "2026-11-17T13:00:00.000Z"];
    let mut last = Value::Null;
    for (asker, start) in [&one, &two, &three, &four].into_iter().zip(starts) {
        last = offered(&gemini, asker, &host, start).await;
    }
    let mut free = Vec::new();
    for start in starts {
        free.push(third.can_book(&host, start).await);
    }
    assert_eq!(free, [false, false, false, true]);
    four.decide_action(&last, "confirm").await.ok(200);
}

#[tokio::test]
async fn what_a_host_does_goes_before_what_is_offered() {
    let (api, gemini) = api_with_model().await;
    let [asker, third, host] = people(&api, ["asker", "third", "host"]).await;
    let now = offered(&gemini, &asker, &host, "2026-11-16T12:00:00.000Z").await;
    let invite = third.invite(&host).await;
    host.answer(&invite, "accept").await.ok(200);
    assert_eq!(kept_offers(&api.store).await, 0);
    asker.decide_action(&now, "confirm").await.refused(409, "action_stale");
    third.keeps_open().await;
    let later = offered(&gemini, &asker, &host, TEN).await;
    host.booked(&third, TEN).await;
    asker.decide_action(&later, "confirm").await.refused(409, "action_stale");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_and_a_booking_of_one_time_do_not_both_succeed() {
    let (api, gemini) = api_with_model().await;
    let [asker, third, host] = people(&api, ["asker", "third", "host"]).await;
    for hour in 10..16 {
        let start = format!("2026-11-17T{hour}:00:00.000Z");
        let (run, thought) = thought(&gemini, &asker, &host, &start).await;
        let offer = async {
            stores(&api, thought).await;
            None
        };
        let book = async { Some(third.book(&host, &start, json!(0)).await) };
        let booked = at_once([offer.boxed(), book.boxed()]).await.remove(1).unwrap();
        match &proposals(&asker, &run).await[..] {
            [] => assert_eq!(booked.status, 201, "{booked:?}"),
            [action] => {
                booked.refused(409, "slot_unavailable");
                asker.decide_action(action, "confirm").await.ok(200);
            }
            more => panic!("{more:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_is_offered_to_one_of_many_and_one_person_has_one() {
    let (api, gemini) = api_with_model().await;
    let [one, two, host] = people(&api, ["one", "two", "host"]).await;
    for start in [TEN, ELEVEN, NOON] {
        let (first, of_first) = thought(&gemini, &one, &host, start).await;
        let (second, of_second) = thought(&gemini, &two, &host, start).await;
        at_once([stores(&api, of_first).boxed(), stores(&api, of_second).boxed()]).await;
        let offers = [proposals(&one, &first).await.len(), proposals(&two, &second).await.len()];
        assert!(offers == [1, 0] || offers == [0, 1], "{offers:?}");
        assert_eq!(kept_offers(&api.store).await, 1);
        api.advance(Duration::from_mins(10));
        api.work().await;
    }
    let (_, of_first) = thought(&gemini, &one, &host, TEN).await;
    let (_, of_second) = thought(&gemini, &one, &host, ELEVEN).await;
    at_once([stores(&api, of_first).boxed(), stores(&api, of_second).boxed()]).await;
    assert_eq!(kept_offers(&api.store).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_herd_of_yeses_and_other_bookings_ends_with_one_session() {
    let (api, gemini) = api_with_model().await;
    let [asker, third, host] = people(&api, ["asker", "third", "host"]).await;
    let action = offered(&gemini, &asker, &host, TEN).await;
    let deeds = (0..12).map(|number| {
        let (asker, third, host, action) = (&asker, &third, &host, &action);
        async move {
            match number % 3 {
                0 => third.book(host, TEN, json!(0)).await,
                1 => asker.book(host, TEN, json!(0)).await,
                _ => asker.decide_action(action, "confirm").await,
            }
        }
        .boxed()
    });
    let answers = at_once(deeds).await;
    assert!(answers.iter().step_by(3).all(|answer| answer.code() == "slot_unavailable"), "{answers:?}");
    let sessions = host.get("/api/sessions").await.ok(200)["sessions"].as_array().unwrap().clone();
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    assert_eq!(sessions[0]["guest_user_id"], json!(asker.id));
    assert_eq!(kept_offers(&api.store).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_yes_in_the_chat_does_not_stand_in_the_way_of_an_answer() {
    let (api, gemini) = api_with_model().await;
    let [asker, host] = people(&api, ["asker", "host"]).await;
    for hour in 10..15 {
        let action = offered(&gemini, &asker, &host, &format!("2026-11-17T{hour}:00:00.000Z")).await;
        let (run, thought) = thought(&gemini, &asker, &host, &format!("2026-11-18T{hour}:00:00.000Z")).await;
        let path = format!("/api/conversations/{}/messages", text(&run["conversationId"]));
        let yes = json!({"content": "Yes", "type": "sam_action", "actions": [{"actionId": action["actionId"]}]});
        let say = async { Some(asker.post(&path, yes).await) };
        let answer = async {
            stores(&api, thought).await;
            None
        };
        let said = at_once([answer.boxed(), say.boxed()]).await.remove(1).unwrap();
        said.ok(201);
        assert_eq!(proposals(&asker, &run).await.len(), 1);
    }
}
