//! A model that is away, slow, unwilling or talks nonsense: every question still gets one honest answer.

use std::time::{Duration, Instant};

use humanchat_domain::{
    clock::Clock,
    testing::{TestDatabase, noon, tokens_of},
};
use serde_json::{Value, json};

use super::{Move, actions, api_with_model, asker_and_host, gemini::Gemini};
use crate::{
    scene::{id, text},
    support::{Person, api_on},
};

/// The answer is one by rules, for this reason, and finds the host all the same.
async fn falls_back(gemini: &Gemini, asker: &Person<'_>, host: &Person<'_>, moves: Vec<Move>, reason: &str) -> Value {
    let shown = format!("{moves:?}");
    gemini.will(moves);
    let answer = asker.sam("Who knows about bees?").await;
    assert_eq!(answer["fallback"], reason, "{shown}: {answer}");
    assert_eq!(actions(&answer, "show_profiles")[0]["profiles"][0]["user_id"], json!(host.id), "{shown}");
    assert!(!text(&answer["text"]).contains("Half"), "{shown}");
    let notices = actions(&answer, "system_notice");
    assert_eq!(notices.len(), 1, "{shown}: {answer}");
    assert_eq!(text(&notices[0]["notice"]).contains("until tomorrow"), reason == "over_budget", "{shown}: {answer}");
    answer
}

#[tokio::test]
async fn whatever_the_model_does_there_is_an_answer() {
    let (api, gemini) = api_with_model().await;
    let [asker, host] = asker_and_host(&api).await;
    let nonsense = Move::Say("I think you should ask River.".to_owned());
    let twice = |next: Move| vec![next.clone(), next];
    for (moves, reason) in [
        (vec![Move::Status(429)], "over_quota"),
        (vec![Move::Status(503)], "down"),
        (vec![Move::Status(500)], "down"),
        (vec![Move::Status(400)], "down"),
        (vec![Move::Status(403)], "down"),
        (vec![Move::Status(302)], "down"),
        (vec![Move::Break], "down"),
        (vec![Move::Block], "refused"),
        (vec![Move::Finish("SAFETY")], "refused"),
        (vec![Move::Finish("PROHIBITED_CONTENT")], "refused"),
        (vec![Move::Finish("MAX_TOKENS")], "incoherent"),
        (vec![Move::Finish("MALFORMED_FUNCTION_CALL")], "incoherent"),
        (vec![Move::Finish("A_REASON_OF_TOMORROW")], "incoherent"),
        (vec![Move::Raw("data: {\"candidates\": [{\n\n")], "incoherent"),
        (vec![Move::Raw("data: \u{0}\u{1}\n\n")], "incoherent"),
        (vec![Move::Raw("<html>Bad gateway</html>")], "down"),
        (vec![Move::Raw("data: {\"error\": {\"code\": 429, \"message\": \"no\"}}\n\n")], "over_quota"),
        (vec![Move::Flood], "incoherent"),
        (twice(nonsense.clone()), "incoherent"),
        (twice(Move::Say("{\"text\": \"\", \"actions\": []}".to_owned())), "incoherent"),
        (twice(Move::Say("{\"text\": 1}".to_owned())), "incoherent"),
        (twice(Move::Say("[]".to_owned())), "incoherent"),
        (twice(Move::Say("{\"text\": \"Hi\", \"actions\": [], \"sql\": \"drop\"}".to_owned())), "incoherent"),
        (twice(Move::Say(format!("{{\"text\": \"{}\"}}", "x".repeat(5000)))), "incoherent"),
        (vec![Move::search("bees"), Move::Status(429)], "over_quota"),
        (vec![Move::search("bees"); 4], "incoherent"),
    ] {
        falls_back(&gemini, &asker, &host, moves, reason).await;
    }
    let said = asker.said_with_sam().await;
    let answers = said.iter().filter(|message| message["origin"] == "sam").count();
    assert_eq!(answers * 2, said.len(), "one answer for each question");
}

#[tokio::test]
async fn a_model_that_takes_its_time_is_not_waited_for() {
    let (api, gemini) = api_with_model().await;
    let [asker, host] = asker_and_host(&api).await;
    for (moves, count) in [(vec![Move::Hang], 1), (vec![Move::Drip], 2), (vec![Move::search("bees"), Move::Hang], 3)] {
        let began = Instant::now();
        falls_back(&gemini, &asker, &host, moves, "slow").await;
        assert!((2..6).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
        assert_eq!(tokens_of(&api.store, id(&asker.id)).await, count * 20_000, "nobody knows what it took");
    }
}

#[tokio::test]
async fn what_is_not_in_the_right_shape_is_asked_for_once_more() {
    let (api, gemini) = api_with_model().await;
    let [asker, _] = asker_and_host(&api).await;
    gemini.will([Move::Say("Sure! Here you are.".to_owned()), Move::reply("Here you are.", &json!([]))]);
    let answer = asker.sam("Hi").await;
    assert_eq!((&answer["text"], answer.get("fallback")), (&json!("Here you are."), None));
    let turns = gemini.turns();
    assert_eq!(turns[0]["generationConfig"].get("responseSchema"), None);
    assert_eq!(turns[1]["generationConfig"]["responseMimeType"], "application/json");
    assert_eq!(turns[1].get("tools"), None);
    gemini.will([Move::Say("```json\n{\"text\": \"In a fence.\", \"actions\": []}\n```".to_owned())]);
    assert_eq!(asker.sam("Hi").await["text"], "In a fence.");
}

#[tokio::test]
async fn nobody_is_there_to_answer() {
    // A port that nobody listens on.
    let mut gemini = Gemini::start().await;
    "http://127.0.0.1:9".clone_into(&mut gemini.url);
    let api = api_on(&TestDatabase::create().await, Clock::manual(noon()), &gemini.settings()).await;
    let [asker, host] = asker_and_host(&api).await;
    falls_back(&gemini, &asker, &host, Vec::new(), "down").await;
}

#[tokio::test]
async fn who_has_used_up_the_day_gets_answers_by_rules_until_tomorrow() {
    let gemini = Gemini::start().await;
    let settings = [&gemini.settings()[..], &[("SAM_DAILY_TOKENS", "2000")]].concat();
    let api = api_on(&TestDatabase::create().await, Clock::manual(noon()), &settings).await;
    let [asker, host] = asker_and_host(&api).await;
    let reply = Move::reply("Hello!", &json!([]));
    // 1,120 tokens each.
    gemini.will([reply.clone(), reply.clone()]);
    for _ in 0..2 {
        assert_eq!(asker.sam("Hi").await.get("fallback"), None);
    }
    falls_back(&gemini, &asker, &host, Vec::new(), "over_budget").await;
    gemini.will([reply.clone()]);
    assert_eq!(host.sam("Hi").await.get("fallback"), None, "everybody has a budget of their own");
    api.advance(Duration::from_hours(13));
    gemini.will([reply]);
    let auth =
        api.anonymous(reqwest::Method::POST, "/api/auth/refresh", Some(json!({"refreshToken": asker.refresh_token})));
    let asker = Person::of(&api, &auth.await.ok(200));
    assert_eq!(asker.sam("Hi").await.get("fallback"), None);
}
