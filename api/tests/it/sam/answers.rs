//! What answers are made of: look-ups, what the model is told and what it isn't, and the rules.

use humanchat_domain::testing::{Flags, set_flags, sign_in_many};
use humanchat_domain::users::DisplayMode;
use serde_json::{Value, json};

use super::{Move, actions, api_by_rules, api_with_model, asker_and_host};
use crate::{
    scene::{id, text},
    support::Person,
};

/// Open every day, an hour at a time.
async fn opens(host: &Person<'_>) {
    let weekly: Vec<_> = (0..7).map(|weekday| json!({"weekday": weekday, "start": "09:00", "end": "12:00"})).collect();
    let rules = json!({"timezone": "Europe/Berlin", "weekly": weekly, "overrides": [], "bufferMinutes": 0,
        "minimumNoticeMinutes": 60, "horizonDays": 30, "slotMinutes": 60});
    host.put("/api/availability", rules).await.ok(200);
}

#[tokio::test]
async fn the_model_looks_things_up_and_proposes() {
    let (api, gemini) = api_with_model().await;
    let [asker, host] = asker_and_host(&api).await;
    opens(&host).await;
    host.has_profile(json!({"conversationType": "paid", "instantRatePerMinute": 2.5, "scheduledRates": {"60": 120}}))
        .await;
    gemini.will([
        Move::Call(vec![
            ("search_people", json!({"words": "bees", "maxRatePerMinute": 3})),
            ("list_my_sessions", json!({})),
        ]),
        Move::Call(vec![
            ("find_slots", json!({"userId": host.id, "from": "2026-11-18", "to": "2026-11-18"})),
            ("find_slots", json!({"userId": host.id, "from": "2026-11-17", "to": "2026-11-18"})),
        ]),
        Move::reply(
            "River has time, at $120 for an hour: 9:00 would do.",
            &json!([
                {"type": "show_profiles", "userIds": [host.id]},
                {"type": "show_slots", "hostUserId": host.id},
                {"type": "follow_up_prompt", "prompt": "And in the afternoon?"},
            ]),
        ),
    ]);
    let answer = asker.sam("Who knows about bees?").await;
    assert_eq!(answer.get("fallback"), None, "{answer}");
    assert_eq!(actions(&answer, "show_profiles")[0]["profiles"][0]["rate_per_minute"], 2.5);
    let slots = actions(&answer, "show_slots")[0]["slots"].as_array().unwrap();
    let starts: Vec<_> = slots.iter().map(|slot| text(&slot["start"])).collect();
    assert_eq!(
        (starts.len(), starts.is_sorted_by(|one, next| one < next)),
        (6, true),
        "each once, in order: {starts:?}"
    );
    let first = json!({"start": "2026-11-17T08:00:00.000Z", "end": "2026-11-17T09:00:00.000Z", "price": 120, "currency": "usd"});
    assert_eq!(slots[0], first);
    assert_eq!(actions(&answer, "follow_up_prompt")[0]["prompt"], "And in the afternoon?");
    let turns = gemini.turns();
    let contents = turns[2]["contents"].as_array().unwrap();
    // Context, question, calls, results, call, result.
    assert_eq!(contents.len(), 6);
    assert_eq!(contents[2]["parts"][0]["thoughtSignature"], "signature of search_people");
    assert_eq!(contents[4]["parts"][0]["thoughtSignature"], "signature of find_slots");
    let results = &contents[3]["parts"];
    assert_eq!(results[0]["functionResponse"]["response"]["people"][0]["name"], "River Stone");
    assert_eq!(results[1]["functionResponse"]["response"], json!({"sessions": []}));
    assert!(turns[0]["contents"][0]["parts"][0]["text"].as_str().unwrap().contains("2026-11-16T12:00:00"));
}

#[tokio::test]
async fn what_was_said_before_is_told_and_what_the_client_says_only_at_first() {
    let (api, gemini) = api_with_model().await;
    let [asker, host] = asker_and_host(&api).await;
    let history = json!([{"role": "user", "content": "Said elsewhere"}]);
    gemini
        .will([Move::search("bees"), Move::reply("River!", &json!([{"type": "show_profiles", "userIds": [host.id]}]))]);
    asker.ask_sam(json!({"message": "Bees?", "conversationHistory": history})).await.ok(202);
    api.work().await;
    assert_eq!(gemini.turns()[0]["contents"][1]["parts"][0]["text"], "Said elsewhere");
    gemini.will([Move::reply("Yes.", &json!([]))]);
    asker.ask_sam(json!({"message": "Really?", "conversationHistory": history})).await.ok(202);
    api.work().await;
    let said: Vec<_> = gemini.turns()[0]["contents"].as_array().unwrap()[1..]
        .iter()
        .map(|turn| (text(&turn["role"]), text(&turn["parts"][0]["text"])))
        .collect();
    assert_eq!((said[0].1.as_str(), said[2].1.as_str(), said.len()), ("Bees?", "Really?", 3));
    let sams: Value = serde_json::from_str(&said[1].1).unwrap();
    assert_eq!((said[1].0.as_str(), &sams["text"]), ("model", &json!("River!")));
    assert_eq!(sams["actions"][0]["userIds"][0], json!(host.id));
}

#[tokio::test]
async fn a_confidential_rate_is_told_to_nobody() {
    let (api, gemini) = api_with_model().await;
    let [asker, host] = asker_and_host(&api).await;
    opens(&host).await;
    let rates = json!({"conversationType": "paid", "instantRatePerMinute": 77.77, "scheduledRates": {"60": 777.77}});
    host.has_profile(rates).await;
    let secret = [
        Flags { confidential_rate: true, ..Flags::default() },
        Flags { display_mode: DisplayMode::Confidential, ..Flags::default() },
    ];
    for flags in secret {
        set_flags(&api.store, id(&host.id), flags).await;
        gemini.will([
            Move::search("bees"),
            Move::Call(vec![("find_slots", json!({"userId": host.id}))]),
            Move::reply("River.", &json!([{"type": "show_profiles", "userIds": [host.id]}, {"type": "show_slots", "hostUserId": host.id},
                {"type": "create_session", "hostUserId": host.id, "startTime": "2026-11-17T08:00:00Z", "durationMinutes": 60}])),
        ]);
        let answer = asker.sam("What does River take?").await;
        assert_eq!(answer.get("fallback"), None, "{answer}");
        assert!(!gemini.turns().iter().any(|turn| turn.to_string().contains("77.77")));
        assert!(!answer.to_string().contains("77.77"));
        assert_eq!(actions(&answer, "show_slots")[0]["slots"][0]["price"], Value::Null);
        assert_eq!(actions(&answer, "create_session").len(), 0, "nobody knows for how much");
    }
}

#[tokio::test]
async fn rules_find_people_by_words_presence_and_rate() {
    let api = api_by_rules().await;
    let people = api.arrive(&["asker", "cheap", "dear", "away"]).await;
    let [asker, cheap, dear, away] = &people[..] else { panic!() };
    for (person, rate) in [(cheap, 1), (dear, 9), (away, 1)] {
        let profile = json!({"skills": ["sourdough baking"], "conversationType": "paid", "instantRatePerMinute": rate});
        person.has_profile(profile).await;
    }
    cheap.appear().await;
    dear.appear().await;
    let found = async |question: &str| {
        let answer = asker.sam(question).await;
        let shown = actions(&answer, "show_profiles");
        shown
            .iter()
            .flat_map(|action| action["profiles"].as_array().unwrap())
            .map(|one| text(&one["user_id"]))
            .collect::<Vec<_>>()
    };
    let ids = |people: &[&Person<'_>]| people.iter().map(|person| person.id.clone()).collect::<Vec<_>>();
    assert_eq!(found("Who can help me with sourdough?").await, ids(&[cheap, dear, away]));
    assert_eq!(found("Who can help with sourdough now?").await, ids(&[cheap, dear]));
    assert_eq!(found("Sourdough under $2 a minute").await, ids(&[cheap, away]));
    assert_eq!(found("sourdough croissants").await, ids(&[cheap, dear, away]), "those who match most");
    assert_eq!(found("submarines").await, ids(&[]));
    assert_eq!(found("Hello!").await, ids(&[]));
    // Cheap, and behind more people than fit on a page.
    for dear in sign_in_many(&api.store, 101).await {
        let profile = json!({"skills": ["sourdough baking"], "conversationType": "paid", "instantRatePerMinute": 9});
        Person::signed_in(&api, &dear).has_profile(profile).await;
    }
    assert_eq!(found("Sourdough for up to $2 a minute").await, ids(&[cheap, away]));
    assert!(text(&asker.sam("What are my sessions?").await["text"]).contains("no sessions"));
}
