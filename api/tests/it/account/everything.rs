//! Of every table that knows people: what an export shows of it, and what is left of it when they have gone.

use std::{collections::BTreeSet, time::Duration};

use humanchat_domain::{
    admin::requested_people::{self, RequestedKind},
    auth::Role,
    clock::Clock,
    id::UserId,
    testing::{TestDatabase, rows_that_say, tables_of_people},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    payments::{Till, settings_of, simulator},
    sam::gemini::{Gemini, Move},
    scene::{eventually, id, text},
    support::{Person, api, api_on},
};

/// What an export shows of a table.
enum Export {
    /// A part of the document that has something in it.
    In(&'static str),
    /// Nothing, and why.
    No(&'static str),
}
use Export::{In, No};

/// What is left of a table when somebody has gone.
enum Rest {
    /// Nothing that is theirs or about them.
    Nothing,
    /// Their id and no name, and why.
    Id(&'static str),
}
use Rest::{Id, Nothing};

const TABLES: &[(&str, Export, Rest)] = &[
    ("announcements", No("the service's words; that they wrote them is in staffDeeds"), Id("the service's words")),
    ("attendance", In("attendance"), Id("what was paid goes by it")),
    ("audit_log", In("staffDeeds"), Id("a log that can be changed is none")),
    ("availability", In("availability"), Nothing),
    ("conversation_participants", No("as participants of conversations"), Id("the other one's correspondence")),
    ("conversations", In("conversations"), Id("the other one's correspondence")),
    ("engagements", No("the time of sessions"), Nothing),
    ("event_channels", No("how many events there were"), Id("numbers never begin anew")),
    ("events", No("what the rest was told as"), Id("others' channels, for seven days")),
    ("idempotency_keys", No("answers that were shown before"), Id("others' answers, for a day")),
    ("invites", In("invites"), Id("how the other one's invite ended")),
    ("ledger_entries", No("what payments say, in our books"), Id("books are kept")),
    ("ledger_transactions", No("what payments say, in our books"), Id("books are kept")),
    ("logins", In("logins"), Nothing),
    ("magic_links", No("a secret"), Nothing),
    ("mails", No("what notifications say"), Nothing),
    ("messages", In("conversations"), Id("the other one's correspondence")),
    ("notification_preferences", In("notificationPreferences"), Nothing),
    ("notifications", In("notifications"), Nothing),
    ("payment_parties", No("who they are to the payment provider"), Id("books are kept there as well")),
    ("payments", In("payments"), Id("books are kept")),
    (
        "payout_accounts",
        No("how their account at the provider stands, which it tells itself"),
        Id("what was passed on"),
    ),
    ("presences", In("presences"), Nothing),
    ("refresh_tokens", No("a secret"), Nothing),
    ("requested_people_askers", In("requestedPeople"), Nothing),
    ("requests", In("requests"), Id("how the other one's request ended")),
    ("sam_actions", In("samRuns"), Id("what the other one confirmed")),
    ("sam_mentions", No("which answers to others may name them"), Nothing),
    ("sam_runs", In("samRuns"), Nothing),
    ("sessions", In("sessions"), Id("the other one's session")),
    ("socket_tickets", No("a secret"), Nothing),
    ("user_sockets", No("which process has a socket of theirs"), Nothing),
    ("users", In("user"), Id("somebody for all these to point at")),
];

/// Where a name may still stand for a while: what was said to others.
const NAMED: [&str; 3] = ["events", "idempotency_keys", "mails"];

const NAME: &str = "Hannah Quillfeather";

#[tokio::test]
async fn every_table_that_knows_people_is_accounted_for() {
    let known = tables_of_people(&api().await.store).await;
    let named: BTreeSet<_> = TABLES.iter().map(|(table, ..)| (*table).to_owned()).collect();
    assert_eq!(known, named, "say in TABLES what exporting and closing an account do with it");
    for (table, export, rest) in TABLES {
        let reasons = [if let No(why) = export { why } else { "shown" }, if let Id(why) = rest { why } else { "gone" }];
        assert!(reasons.iter().all(|why| !why.is_empty()), "{table}");
    }
}

/// An api with all that it stands on, and a host who has done everything that can be done.
async fn lived<'a>(till: &'a Till, gemini: &Gemini) -> [Person<'a>; 3] {
    let [guest, host, third] = till.people().await.map(Person::staying);
    host.patch("/api/users/me", json!({"name": NAME, "bio": "Quillfeather's bees"})).await.ok(200);
    let (session, _) = till.authorised(&guest, &host).await;
    till.talk(&session, [&guest, &host], 3).await.ok(200);
    till.settle().await;
    host.patch("/api/users/me", json!({"conversationType": "free"})).await.ok(200);
    let gift = json!({"amount": 500, "recipientUserId": third.id, "message": "From Hannah Quillfeather"});
    till.pay_checkout(&host.post("/api/payments/donation", gift).await.ok(201)).await;
    till.settle().await;
    host.post("/api/payments/account", json!({})).await.ok(200);
    let conversation = guest.conversation_with(&host).await;
    guest.post_once("/api/conversations", "again", json!({"participantId": host.id})).await.ok(200);
    host.say(&conversation, "What they still need").await.ok(201);
    guest.say(&conversation, "What is mine").await.ok(201);
    host.keeps_open().await;
    let tomorrow = (till.api.store.clock().now() + Duration::from_hours(24)).date_naive();
    guest.booked(&host, &format!("{tomorrow}T10:00:00Z")).await;
    let declined = guest.invite(&host).await;
    host.answer(&declined, "decline").await.ok(200);
    host.invite(&third).await;
    for person in [&host, &third] {
        person.appear().await;
    }
    guest.ask(&host, "Hello?").await.ok(201);
    host.ask(&third, "Hello?").await.ok(201);
    asks_about(till, gemini, &guest, &host).await;
    let live = guest.invite(&host).await;
    host.answer(&live, "accept").await.ok(200);
    gemini.will([Move::reply(
        "Like this?",
        &json!([{"type": "update_profile", "fields": {"headline": "Quillfeather"}}]),
    )]);
    host.post("/api/sam", json!({"message": "Make me a headline"})).await.ok(202);
    till.settle().await;
    let mut tx = till.api.store.begin(None).await.unwrap();
    requested_people::record(&mut tx, id(&host.id), RequestedKind::Person, "Jane Goodall").await.unwrap();
    tx.commit().await.unwrap();
    host.put("/api/notifications/preferences", json!({"mail": {"message": false}})).await.ok(200);
    host.post("/api/ws/ticket", json!({})).await.ok(201);
    let link = json!({"email": host.email});
    till.api.anonymous(Method::POST, "/api/auth/magic-link", Some(link)).await.ok(202);
    host.becomes(Role::Manager).await;
    let change = json!({"managed": true, "managerId": host.id});
    eventually("the new role", async || (host.decides_about(&guest, change.clone()).await.status == 200).then_some(()))
        .await;
    let news = json!({"title": "News", "body": "For all.", "startsAt": "2100-01-01T09:00:00Z"});
    host.post_once("/api/admin/announcements", "news", news).await.ok(202);
    [guest, host, third]
}

/// Sam shows the host to the guest with and without a card, and says the name once more without looking anybody up.
async fn asks_about(till: &Till, gemini: &Gemini, guest: &Person<'_>, host: &Person<'_>) {
    let actions = json!([
        {"type": "show_profiles", "userIds": [host.id]},
        {"type": "offer_call", "targetUserId": host.id, "purpose": "To hear Hannah Quillfeather on bees"},
        {"type": "send_request", "targetUserId": host.id, "message": "Dear Hannah Quillfeather"},
        {"type": "follow_up_prompt", "prompt": "What does Quillfeather charge?"},
    ]);
    for answer in [
        vec![Move::search("bees"), Move::reply("Hannah Quillfeather keeps bees.", &actions)],
        vec![Move::search("bees"), Move::reply("It is Quillfeather again.", &json!([]))],
        vec![Move::reply("As I said: QUILLFEATHER, Hannah Quillfeather.", &json!([]))],
    ] {
        gemini.will(answer);
        let run = guest.ask_sam(json!({"message": "Who keeps bees?"})).await.ok(202);
        till.settle().await;
        assert_eq!(guest.run(&run).await.get("fallback"), None);
    }
    let said = guest.said_with_sam().await;
    let call =
        said.iter().flat_map(|message| message["actions"].as_array().unwrap()).find(|it| it["type"] == "offer_call");
    let done = guest.decide_action(call.unwrap(), "confirm").await.ok(200);
    assert!(done.to_string().contains(NAME), "{done}");
    host.answer(&done["result"]["invite"], "decline").await.ok(200);
}

fn is_empty(part: &Value) -> bool {
    part.is_null() || part.as_array().is_some_and(Vec::is_empty)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_is_known_of_somebody_is_shown_to_them_and_gone_with_them() {
    let (simulator, gemini) = (simulator().await, Gemini::start().await);
    let settings = [&settings_of(&simulator)[..], &gemini.settings()[..]].concat();
    let clock = Clock::manual(Clock::System.now());
    let api = api_on(&TestDatabase::create().await, clock, &settings).await;
    let till = Till::of(api, simulator).await;
    let store = &till.api.store;
    let [guest, host, _] = lived(&till, &gemini).await;
    let socket = host.socket("/ws").await;

    let user: UserId = id(&host.id);
    let ids = [host.id.clone(), user.0.to_string()];
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let words = [NAME, "Quillfeather", host.email.as_str()];
    let before = rows_that_say(store, &[&ids[..], &words[..]].concat()).await;
    let export = host.get("/api/users/me/export").await.ok(200);
    // What names them by a login alone is of no other's.
    let known = |table: &str| before.contains_key(table) || ["refresh_tokens", "socket_tickets"].contains(&table);
    for (table, how, _) in TABLES {
        assert!(known(table), "{table}: nothing was done that leaves a trace there");
        if let In(part) = how {
            assert!(!is_empty(&export[part]), "{table}: {part} is empty: {export}");
        }
    }
    drop(socket);

    assert_eq!(host.leaves().await.status, 204);
    till.settle().await;
    till.advance(Duration::from_mins(5)).await;
    till.settle().await;
    let left = eventually("the last socket is counted out", async || {
        let left = rows_that_say(store, &ids).await;
        (!left.contains_key("user_sockets")).then_some(left)
    })
    .await;
    for (table, _, rest) in TABLES {
        let is_left = left.contains_key(*table);
        match rest {
            Nothing => assert!(!is_left, "{table} still knows them"),
            Id(_) => assert!(is_left, "{table}: others need it"),
        }
    }
    let said: Vec<_> = left.keys().filter(|table| TABLES.iter().all(|(name, ..)| name != table)).collect();
    assert_eq!(said, ["jobs"], "and jobs that are over, for three days");
    let mut named = rows_that_say(store, &words).await;
    named.retain(|table, _| !NAMED.contains(&table.as_str()));
    // Their word to somebody, with a gift of theirs, is the other one's now.
    assert_eq!(named.remove("payments"), Some(1));
    assert_eq!(named.into_keys().collect::<Vec<_>>(), Vec::<String>::new(), "a name is left");
    let said = guest.said_with_sam().await;
    let answers: Vec<_> = said.iter().filter(|message| message["origin"] == "sam").collect();
    assert!(answers.iter().all(|answer| answer["content"] == "This was about somebody who has left."), "{answers:?}");
    let actions = answers[0]["actions"].as_array().unwrap();
    let shown = json!([{"user_id": host.id, "name": "Deleted user", "headline": "", "expertise": [], "rate_per_minute": null,
        "currency": "usd", "status": "offline"}]);
    assert_eq!((&actions[0]["profiles"], actions.len()), (&shown, 3), "{actions:?}");
    let again = guest.decide_action(&actions[1], "confirm").await.ok(200);
    assert_eq!((&again["action"]["status"], &again["result"]), (&json!("confirmed"), &Value::Null));
    assert_eq!(again["action"]["targetUserId"], json!(host.id));
    let told = guest.get("/api/notifications?limit=100").await.ok(200);
    let titles: Vec<_> = told["notifications"].as_array().unwrap().iter().map(|one| text(&one["title"])).collect();
    assert!(titles.contains(&"About somebody who has left".to_owned()), "{titles:?}");
}
