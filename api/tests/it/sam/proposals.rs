//! Proposals: confirmed or declined, once, with everything checked anew.

use std::time::Duration;

use humanchat_domain::testing::{Flags, set_flags};
use serde_json::{Value, json};

use super::{Move, actions, api_with_model, asker_and_host, gemini::Gemini};
use crate::{
    booking::TEN,
    scene::{at_once, count, id, text},
    support::Person,
};

/// An answer that proposes all that can be proposed of a host who is free.
async fn proposals(gemini: &Gemini, asker: &Person<'_>, host: &Person<'_>) -> Value {
    gemini.will([
        Move::search("bees"),
        Move::reply(
            "What about River?",
            &json!([
                {"type": "offer_call", "targetUserId": host.id, "purpose": "To talk about bees"},
                {"type": "send_request", "targetUserId": host.id, "message": "May I ask about bees?"},
                {"type": "update_profile", "fields": {"headline": "Learns about bees", "skills": ["asking"]}},
            ]),
        ),
    ]);
    let answer = asker.sam("Who knows about bees?").await;
    assert_eq!(answer["actions"].as_array().unwrap().len(), 3, "{answer}");
    answer
}

/// One of them.
async fn proposed(gemini: &Gemini, asker: &Person<'_>, host: &Person<'_>, kind: &str) -> Value {
    actions(&proposals(gemini, asker, host).await, kind)[0].clone()
}

#[tokio::test]
async fn nothing_happens_before_a_yes_and_then_it_happens_once() {
    let (api, gemini) = api_with_model().await;
    let [asker, host] = asker_and_host(&api).await;
    let call = proposed(&gemini, &asker, &host, "offer_call").await;
    assert!(text(&call["actionId"]).starts_with("act_"));
    assert_eq!(call["expiresAt"], "2026-11-16T12:10:00.000Z");
    assert_eq!(host.get("/api/conversations/invites/pending").await.ok(200)["invites"], json!([]));
    let done = asker.decide_action(&call, "confirm").await.ok(200);
    assert_eq!((&done["action"]["status"], &done["action"]["type"]), (&json!("confirmed"), &json!("offer_call")));
    assert_eq!((&done["action"]["targetUserId"], &done["action"]["actionId"]), (&json!(host.id), &call["actionId"]));
    assert_eq!(
        (&done["result"]["flow"], &done["result"]["invite"]["target_user_id"]),
        (&json!("invite"), &json!(host.id))
    );
    let pending = host.get("/api/conversations/invites/pending").await.ok(200);
    assert_eq!(pending["invites"][0]["id"], done["result"]["invite"]["id"]);
    host.answer(&pending["invites"][0], "decline").await.ok(200);
    let again = asker.post("/api/sam/actions", json!({"actionId": call["actionId"]})).await.ok(200);
    assert_eq!(again, done, "a repetition replays");
    assert_eq!(host.get("/api/conversations/invites/pending").await.ok(200)["invites"], json!([]));
    asker.decide_action(&call, "decline").await.refused(409, "action_resolved");
}

#[tokio::test]
async fn each_deed_is_what_its_route_does() {
    let (api, gemini) = api_with_model().await;
    let [asker, host] = asker_and_host(&api).await;
    let answer = proposals(&gemini, &asker, &host).await;
    let request = asker.decide_action(actions(&answer, "send_request")[0], "confirm").await.ok(200);
    assert_eq!(request["result"]["request"]["message"], "May I ask about bees?");
    assert_eq!(host.get("/api/requests").await.ok(200)["requests"][0], request["result"]["request"]);
    let profile = asker.decide_action(actions(&answer, "update_profile")[0], "confirm").await.ok(200);
    assert_eq!(profile["result"]["user"]["headline"], "Learns about bees");
    assert_eq!(asker.get("/api/auth/me").await.ok(200)["user"], profile["result"]["user"]);
    let call = asker.decide_action(actions(&answer, "offer_call")[0], "decline").await.ok(200);
    assert_eq!((&call["action"]["status"], &call["result"]), (&json!("declined"), &Value::Null));
    let resolved =
        asker.decide_action(actions(&answer, "offer_call")[0], "confirm").await.refused(409, "action_resolved");
    assert_eq!(resolved["status"], "declined");
}

#[tokio::test]
async fn only_the_one_it_was_proposed_to_decides_and_in_time() {
    let (api, gemini) = api_with_model().await;
    let [asker, host] = asker_and_host(&api).await;
    let call = proposed(&gemini, &asker, &host, "offer_call").await;
    let body = json!({"actionId": call["actionId"]});
    api.anonymous(reqwest::Method::POST, "/api/sam/actions", Some(body)).await.refused(401, "unauthenticated");
    host.decide_action(&call, "confirm").await.refused(404, "resource_not_found");
    let missing = json!({"actionId": "act_00000000000000000000000000"});
    asker.decide_action(&missing, "confirm").await.refused(404, "resource_not_found");
    asker.decide_action(&json!({"actionId": "nonsense"}), "confirm").await.refused(404, "resource_not_found");
    asker.decide_action(&call, "perhaps").await.refused(422, "validation_failed");
    let with_arguments = json!({"actionId": call["actionId"], "targetUserId": asker.id});
    asker.post("/api/sam/actions", with_arguments).await.refused(422, "validation_failed");
    api.advance(Duration::from_mins(10));
    asker.decide_action(&call, "confirm").await.refused(410, "action_expired");
    assert_eq!(host.get("/api/conversations/invites/pending").await.ok(200)["invites"], json!([]));
}

#[tokio::test]
async fn what_changed_meanwhile_does_not_happen() {
    let (api, gemini) = api_with_model().await;
    let [asker, host] = asker_and_host(&api).await;
    let call = proposed(&gemini, &asker, &host, "offer_call").await;
    host.has_profile(json!({"conversationType": "paid", "instantRatePerMinute": 3})).await;
    let details = asker.decide_action(&call, "confirm").await.refused(409, "action_stale");
    let changes = json!({"conversation_type": {"proposed": "free", "now": "paid"}, "rate_per_minute": {"proposed": null, "now": 3}});
    assert_eq!(details["changes"], changes);
    assert_eq!(host.get("/api/conversations/invites/pending").await.ok(200)["invites"], json!([]));
    host.has_profile(json!({"conversationType": "free", "instantRatePerMinute": null})).await;
    asker.decide_action(&call, "confirm").await.ok(200);
}

#[tokio::test]
async fn a_refusal_of_the_route_is_a_refusal_here_and_leaves_the_proposal_open() {
    let (api, gemini) = api_with_model().await;
    let [asker, host] = asker_and_host(&api).await;
    let request = proposed(&gemini, &asker, &host, "send_request").await;
    api.advance(Duration::from_mins(1));
    asker.decide_action(&request, "confirm").await.refused(409, "host_offline");
    set_flags(&api.store, id(&host.id), Flags { suspended: true, ..Flags::default() }).await;
    asker.decide_action(&request, "confirm").await.refused(404, "resource_not_found");
    set_flags(&api.store, id(&host.id), Flags::default()).await;
    host.appear().await;
    asker.decide_action(&request, "confirm").await.ok(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_herd_of_yeses_and_noes_has_one_outcome() {
    let (api, gemini) = api_with_model().await;
    let [asker, host] = asker_and_host(&api).await;
    let call = proposed(&gemini, &asker, &host, "offer_call").await;
    let (asker, call) = (&asker, &call);
    let deeds = (0..12).map(|number| -> futures_util::future::BoxFuture<'_, _> {
        Box::pin(async move { asker.decide_action(call, if number % 2 == 0 { "confirm" } else { "decline" }).await })
    });
    let answers = at_once(deeds).await;
    assert_eq!((count(&answers, 200), count(&answers, 409)), (6, 6));
    let invites = host.get("/api/conversations/invites/pending").await.ok(200)["invites"].as_array().unwrap().len();
    let confirmed =
        answers.iter().any(|answer| answer.status == 200 && answer.json()["action"]["status"] == "confirmed");
    assert_eq!(invites, usize::from(confirmed));
}

#[tokio::test]
async fn a_profile_that_changed_meanwhile_is_not_overwritten() {
    let (api, gemini) = api_with_model().await;
    let [asker, host] = asker_and_host(&api).await;
    let change = proposed(&gemini, &asker, &host, "update_profile").await;
    asker.has_profile(json!({"headline": "My own words"})).await;
    let details = asker.decide_action(&change, "confirm").await.refused(409, "action_stale");
    assert_eq!(details["changes"], json!({"headline": {"proposed": "", "now": "My own words"}}));
    assert_eq!(asker.get("/api/auth/me").await.ok(200)["user"]["headline"], "My own words");
    asker.decide_action(&change, "decline").await.ok(200);
}

#[tokio::test]
async fn a_call_is_offered_only_where_its_price_is_known() {
    let (api, gemini) = api_with_model().await;
    let [asker, host] = asker_and_host(&api).await;
    host.has_profile(json!({"conversationType": "paid", "instantRatePerMinute": 7})).await;
    set_flags(&api.store, id(&host.id), Flags { confidential_rate: true, ..Flags::default() }).await;
    let call = json!([{"type": "offer_call", "targetUserId": host.id, "purpose": "Bees"}]);
    gemini.will([Move::search("bees"), Move::reply("River.", &call)]);
    assert_eq!(asker.sam("Bees?").await["actions"], json!([]));
}

/// A booking of tomorrow at ten, proposed for this price.
async fn booking(gemini: &Gemini, asker: &Person<'_>, host: &Person<'_>, price: u32) -> Value {
    let find = json!({"userId": host.id, "from": TEN, "to": "2026-11-17T11:00:00Z", "durationMinutes": 30});
    let book = json!([{"type": "create_session", "hostUserId": host.id, "startTime": TEN, "durationMinutes": 30, "price": price}]);
    gemini.will([Move::Call(vec![("find_slots", find)]), Move::reply("Shall I book that?", &book)]);
    let answer = asker.sam("River, tomorrow at ten?").await;
    let action = actions(&answer, "create_session")[0].clone();
    assert_eq!(
        (&action["startTime"], &action["price"], &action["currency"]),
        (&json!(TEN), &json!(price), &json!("usd"))
    );
    action
}

#[tokio::test]
async fn a_booking_is_made_at_the_price_and_time_that_were_proposed() {
    let (api, gemini) = api_with_model().await;
    let [asker, host] = asker_and_host(&api).await;
    host.keeps_open().await;
    host.has_profile(json!({"conversationType": "paid", "instantRatePerMinute": 2})).await;
    let action = booking(&gemini, &asker, &host, 60).await;
    assert_eq!(asker.get("/api/sessions").await.ok(200)["sessions"], json!([]), "proposing books nothing");
    let done = asker.decide_action(&action, "confirm").await.ok(200);
    let session = &done["result"]["session"];
    assert_eq!(
        (&session["start_time"], &session["agreed_price"], &session["status"]),
        (&json!(TEN), &json!(60), &json!("pending"))
    );
    assert_eq!(asker.decide_action(&action, "confirm").await.ok(200), done);
    let sessions = asker.get("/api/sessions").await.ok(200)["sessions"].as_array().unwrap().clone();
    assert_eq!(sessions.len(), 1);
}

#[tokio::test]
async fn a_booking_whose_terms_have_changed_is_not_made() {
    let (api, gemini) = api_with_model().await;
    let [asker, host] = asker_and_host(&api).await;
    host.keeps_open().await;
    let free = booking(&gemini, &asker, &host, 0).await;
    host.has_profile(json!({"conversationType": "paid", "instantRatePerMinute": 2})).await;
    let changes = asker.decide_action(&free, "confirm").await.refused(409, "action_stale");
    assert_eq!(changes["changes"], json!({"conversation_type": {"proposed": "free", "now": "paid"}}));
    let paid = booking(&gemini, &asker, &host, 60).await;
    host.has_profile(json!({"instantRatePerMinute": 3})).await;
    let changes = asker.decide_action(&paid, "confirm").await.refused(409, "action_stale");
    assert_eq!(changes["changes"], json!({"price": {"proposed": 60, "now": 90}}));
    host.has_profile(json!({"conversationType": "charity", "charityName": "Bees", "instantRatePerMinute": 2})).await;
    let changes = asker.decide_action(&paid, "confirm").await.refused(409, "action_stale");
    assert_eq!(
        changes["changes"],
        json!({"conversation_type": {"proposed": "paid", "now": "charity"}}),
        "at one price"
    );
    host.has_profile(json!({"conversationType": "free", "instantRatePerMinute": null})).await;
    host.has_profile(json!({"cancellationPolicy": {"fullRefundHours": 48, "halfRefundHours": 2}})).await;
    let changes = asker.decide_action(&free, "confirm").await.refused(409, "action_stale");
    let policy = &changes["changes"]["cancellation_policy"];
    assert_eq!(policy["now"], json!({"full_refund_hours": 48, "half_refund_hours": 2}));
    assert_ne!(policy["proposed"], policy["now"]);
    let action = booking(&gemini, &asker, &host, 0).await;
    host.offers(json!({"timezone": "UTC"})).await;
    let changes = asker.decide_action(&action, "confirm").await.refused(409, "action_stale");
    assert_eq!(changes["changes"], json!({"start_time": {"proposed": TEN, "now": null}}));
    assert_eq!(asker.get("/api/sessions").await.ok(200)["sessions"], json!([]));
}

#[tokio::test]
async fn a_proposal_is_confirmed_from_the_chat() {
    let (api, gemini) = api_with_model().await;
    let [asker, host] = asker_and_host(&api).await;
    let call = proposed(&gemini, &asker, &host, "offer_call").await;
    let list = asker.get("/api/conversations?type=sam").await.ok(200);
    let path = format!("/api/conversations/{}/messages", text(&list["conversations"][0]["id"]));
    let message = |actions: Value| json!({"content": "Yes, please", "type": "sam_action", "actions": actions});
    for actions in
        [json!([]), json!([{}]), json!([call]), json!([{"actionId": call["actionId"]}, {"actionId": call["actionId"]}])]
    {
        let details = asker.post(&path, message(actions)).await.refused(422, "validation_failed");
        assert!(details["fields"]["actions"].is_string());
    }
    let missing = json!([{"actionId": "act_00000000000000000000000000"}]);
    asker.post(&path, message(missing)).await.refused(404, "resource_not_found");
    let before = asker.said_with_sam().await.len();
    asker.post(&path, message(json!([{"actionId": call["actionId"]}]))).await.ok(201);
    let said = asker.said_with_sam().await;
    assert_eq!(
        (said.len(), &said[before]["type"]),
        (before + 1, &json!("sam_action")),
        "what was refused was not said"
    );
    assert_eq!(host.get("/api/conversations/invites/pending").await.ok(200)["invites"].as_array().unwrap().len(), 1);
    let no = json!([{"actionId": call["actionId"], "decision": "decline"}]);
    asker.post(&path, message(no)).await.refused(409, "action_resolved");
    // Said once more under its name, it is said once; too late, it isn't said.
    let request = proposed(&gemini, &asker, &host, "send_request").await;
    let mut yes = message(json!([{"actionId": request["actionId"]}]));
    yes["clientMessageId"] = json!("yes");
    let first = asker.post(&path, yes.clone()).await.ok(201);
    assert_eq!(asker.post(&path, yes).await.ok(201), first);
    let change = proposed(&gemini, &asker, &host, "update_profile").await;
    let before = asker.said_with_sam().await.len();
    api.advance(Duration::from_mins(10));
    let late = message(json!([{"actionId": change["actionId"]}]));
    asker.post(&path, late).await.refused(410, "action_expired");
    assert_eq!(asker.said_with_sam().await.len(), before);
}

#[tokio::test]
async fn by_a_key_a_yes_is_answered_the_same() {
    let (api, gemini) = api_with_model().await;
    let [asker, host] = asker_and_host(&api).await;
    let call = proposed(&gemini, &asker, &host, "offer_call").await;
    let body = json!({"actionId": call["actionId"]});
    let first = asker.post_once("/api/sam/actions", "yes", body.clone()).await;
    let again = asker.post_once("/api/sam/actions", "yes", body).await;
    assert_eq!((first.ok(200), &again.headers["idempotency-replayed"]), (again.ok(200), &"true".parse().unwrap()));
}
