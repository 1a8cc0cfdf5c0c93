//! Requests: asked of who is there, decided once, and told to both.

use std::time::Duration;

use humanchat_domain::{auth::Role, testing, users};
use serde_json::{Value, json};

use crate::{
    invites::three,
    scene::{at_once, count, eventually, id, strings, text},
    support::{Answer, Api, Person, api},
};

impl Person<'_> {
    pub async fn ask(&self, target: &Person<'_>, message: &str) -> Answer {
        self.post("/api/requests", json!({"targetUserId": target.id, "message": message})).await
    }

    pub async fn decide(&self, request: &Value, status: &str) -> Answer {
        self.patch(&format!("/api/requests/{}/status", text(&request["id"])), json!({"status": status})).await
    }

    /// The ids of a list of requests.
    async fn requests(&self, query: &str) -> Vec<String> {
        strings(&self.get(&format!("/api/requests{query}")).await.ok(200)["requests"], "id")
    }

    /// Decides as soon as the api knows of a new role.
    async fn decides_in_time(&self, request: &Value, status: &str) -> Value {
        eventually("a new role", async || {
            let answer = self.decide(request, status).await;
            (answer.status == 200).then(|| answer.json())
        })
        .await
    }

    pub async fn becomes(&self, role: Role) {
        let mut tx = self.api.store.begin(None).await.unwrap();
        users::set_role(&mut tx, id(&self.id), role).await.unwrap();
        tx.commit().await.unwrap();
    }
}

async fn asked(api: &Api) -> ([Person<'_>; 3], Value) {
    let people = three(api).await;
    people[1].appear().await;
    let request = people[0].ask(&people[1], "May I ask about bees?").await.ok(201)["request"].clone();
    (people, request)
}

#[tokio::test]
async fn a_request_waits_for_its_target_and_is_told_to_them() {
    let api = api().await;
    let [guest, host, third] = three(&api).await;
    host.appear().await;
    let body = json!({"targetUserId": host.id, "message": "Bees?", "preferredTime": "weekday evenings", "budgetRange": "50-100"});
    let request = guest.post("/api/requests", body).await.ok(201)["request"].clone();
    let expected = json!({
        "id": request["id"], "requester_user_id": guest.id, "target_user_id": host.id, "message": "Bees?",
        "preferred_time": "weekday evenings", "budget_range": "50-100", "status": "pending", "decided_at": null,
        "created_at": "2026-11-16T12:00:00.000Z", "updated_at": "2026-11-16T12:00:00.000Z",
    });
    assert_eq!(request, expected);
    assert!(text(&request["id"]).starts_with("req_"));
    assert_eq!(host.requests("").await, [text(&request["id"])]);
    assert_eq!(guest.requests("?role=requester").await, [text(&request["id"])]);
    assert_eq!(guest.requests("").await, host.requests("?role=requester").await, "both are empty");
    assert_eq!(third.requests("").await, Vec::<String>::new());
    let events = api.told_to(&host).await;
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0]["type"], &events[0]["payload"]["request"]), (&json!("request.created"), &expected));
    api.advance(Duration::from_mins(1));
    assert_eq!(api.work().await, ["end_presence"], "asking leaves no job behind");
}

#[tokio::test]
async fn who_is_away_busy_or_oneself_is_not_asked() {
    let api = api().await;
    let [guest, host, third] = three(&api).await;
    guest.ask(&host, "Hello?").await.refused(409, "host_offline");
    host.appear().await;
    let invite = third.invite(&host).await;
    host.answer(&invite, "accept").await.ok(200);
    guest.ask(&host, "Hello?").await.refused(409, "host_busy");
    let details = guest.ask(&guest, "Hello?").await.refused(422, "validation_failed");
    assert_eq!(details["fields"]["targetUserId"], "must be somebody else");
    for nobody in ["user_01h455vb4pex5vsknk084sn02q", "nonsense", ""] {
        let body = json!({"targetUserId": nobody, "message": "Hello?"});
        guest.post("/api/requests", body).await.refused(404, "resource_not_found");
    }
    testing::set_flags(&api.store, id(&host.id), testing::Flags { suspended: true, ..Default::default() }).await;
    guest.ask(&host, "Hello?").await.refused(404, "resource_not_found");
    for (field, body) in [
        ("message", json!({"targetUserId": third.id, "message": ""})),
        ("message", json!({"targetUserId": third.id, "message": "x".repeat(2001)})),
        ("message", json!({"targetUserId": third.id})),
        ("preferredTime", json!({"targetUserId": third.id, "message": "x", "preferredTime": "x".repeat(201)})),
        ("budgetRange", json!({"targetUserId": third.id, "message": "x", "budgetRange": ""})),
        ("price", json!({"targetUserId": third.id, "message": "x", "price": 1})),
    ] {
        let details = guest.post("/api/requests", body).await.refused(422, "validation_failed");
        assert!(details["fields"][field].is_string(), "{field}: {details}");
    }
}

#[tokio::test]
async fn asking_again_while_one_waits_finds_the_one() {
    let api = api().await;
    let ([guest, host, _], request) = asked(&api).await;
    assert_eq!(guest.ask(&host, "Hello? Hello?").await.ok(200)["request"], request);
    host.decide(&request, "declined").await.ok(200);
    let second = guest.ask(&host, "And now?").await.ok(201)["request"].clone();
    assert_ne!(second["id"], request["id"]);
    let deeds = (0..8).map(|_| Box::pin(host.decide(&second, "declined")) as _);
    assert_eq!(count(&at_once(deeds).await, 200), 8);
    let deeds = (0..8).map(|_| Box::pin(guest.ask(&host, "All at once")) as _);
    let answers = at_once(deeds).await;
    assert_eq!((count(&answers, 201), count(&answers, 200)), (1, 7), "{answers:?}");
}

#[tokio::test]
async fn an_approval_brings_the_conversation_and_both_are_told() {
    let api = api().await;
    let ([guest, host, _], request) = asked(&api).await;
    let decided = host.decide(&request, "approved").await.ok(200);
    assert_eq!(decided["request"]["status"], "approved");
    assert_eq!(decided["request"]["decided_at"], "2026-11-16T12:00:00.000Z");
    let conversation = &decided["conversation"];
    let mut people = [guest.id.clone(), host.id.clone()];
    people.sort();
    assert_eq!((&conversation["type"], &conversation["participants"]), (&json!("human"), &json!(people)));
    assert_eq!(conversation["participant_display_map"].as_object().unwrap().len(), 2);
    assert_eq!(guest.conversation_with(&host).await, text(&conversation["id"]), "it is the pair's one");
    assert_eq!(host.decide(&request, "approved").await.ok(200), decided, "the same answer again");
    let details = host.decide(&request, "declined").await.refused(409, "request_resolved");
    assert_eq!(details["status"], "approved");
    for (person, expected) in [(&guest, &["request.updated"][..]), (&host, &["request.created", "request.updated"])] {
        let events = api.told_to(person).await;
        assert_eq!(strings(&json!(events), "type"), expected);
        let last = &events.last().unwrap()["payload"];
        assert_eq!(last["request"], decided["request"]);
        assert_eq!(last["conversation"]["id"], conversation["id"]);
        assert!(last["conversation"].get("unread_count").is_none(), "it differs between the two");
    }
}

#[tokio::test]
async fn a_request_is_answered_by_its_target_their_manager_or_an_admin_and_by_nobody_else() {
    let api = api().await;
    let ([guest, host, third], request) = asked(&api).await;
    guest.decide(&request, "approved").await.refused(403, "forbidden");
    third.decide(&request, "approved").await.refused(404, "resource_not_found");
    testing::set_manager(&api.store, id(&host.id), Some(id(&third.id))).await;
    third.decide(&request, "approved").await.refused(404, "resource_not_found");
    third.becomes(Role::Manager).await;
    let declined = third.decides_in_time(&request, "declined").await;
    assert!(declined.get("conversation").is_none());

    let request = guest.ask(&host, "Once more?").await.ok(201)["request"].clone();
    testing::set_manager(&api.store, id(&host.id), None).await;
    third.decide(&request, "approved").await.refused(404, "resource_not_found");
    third.becomes(Role::Admin).await;
    let approved = third.decides_in_time(&request, "approved").await;
    assert!(approved["conversation"].get("unread_count").is_none(), "an admin takes no part in it");
    for (id, status) in [("nonsense", 404), ("req_01h455vb4pex5vsknk084sn02q", 404)] {
        let answer = host.patch(&format!("/api/requests/{id}/status"), json!({"status": "approved"})).await;
        assert_eq!(answer.status, status);
    }
    for body in [json!({"status": "pending"}), json!({"status": "perhaps"}), json!({})] {
        let details = host
            .patch(&format!("/api/requests/{}/status", text(&request["id"])), body)
            .await
            .refused(422, "validation_failed");
        assert!(details["fields"]["status"].is_string(), "{details}");
    }
}

#[tokio::test]
async fn of_opposite_answers_at_once_one_counts() {
    let api = api().await;
    let ([_, host, _], request) = asked(&api).await;
    let deeds = (0..16).map(|number| {
        let status = if number % 2 == 0 { "approved" } else { "declined" };
        Box::pin(host.decide(&request, status)) as _
    });
    let answers = at_once(deeds).await;
    assert_eq!((count(&answers, 200), count(&answers, 409)), (8, 8), "{answers:?}");
    let told = api.told_to(&host).await;
    assert_eq!(strings(&json!(told), "type"), ["request.created", "request.updated"]);
}

#[tokio::test]
async fn the_inbox_shows_what_waits_first_and_forgets_after_thirty_days() {
    let api = api().await;
    let names = ["host", "a", "b", "c", "d"];
    let people = api.arrive(&names).await;
    let (host, guests) = people.split_first().unwrap();
    host.appear().await;
    let mut requests = Vec::new();
    for guest in guests {
        requests.push(guest.ask(host, "Hello?").await.ok(201)["request"].clone());
    }
    let id_of = |number: usize| text(&requests[number]["id"]);
    host.decide(&requests[3], "declined").await.ok(200);
    host.decide(&requests[1], "approved").await.ok(200);
    let inbox = [id_of(2), id_of(0), id_of(3), id_of(1)];
    assert_eq!(host.requests("").await, inbox);
    // A decision in the middle of a walk moves nothing in it.
    let rows = host
        .walk("/api/requests?limit=1", "requests", async |page| {
            if page == 0 {
                host.decide(&requests[0], "declined").await.ok(200);
            }
        })
        .await;
    assert_eq!(strings(&json!(rows), "id"), inbox);
    let mut late = [host, &guests[2], &guests[1]].map(Clone::clone);
    for days in [20, 11] {
        api.advance(Duration::from_hours(24 * days));
        for person in &mut late {
            *person = Person::of(&api, &api.refresh(&person.refresh_token).await.ok(200));
        }
    }
    assert_eq!(late[0].requests("").await, [id_of(2)], "what waits stays");
    assert_eq!(late[1].requests("?role=requester").await, [id_of(2)]);
    assert_eq!(late[2].requests("?role=requester").await, Vec::<String>::new());
    late[0].get("/api/requests?role=boss").await.refused(400, "malformed_request");
}
