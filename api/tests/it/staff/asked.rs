//! What waits for staff: requests to managed members, and people who aren't here.

use humanchat_domain::admin::requested_people::{self, RequestedKind};
use serde_json::{Value, json};

use super::place;
use crate::{
    scene::{id, strings, text},
    support::{Person, api},
};

async fn asks_for(person: &Person<'_>, name: &str) -> String {
    let mut tx = person.api.store.begin(None).await.unwrap();
    let asked = requested_people::record(&mut tx, id(&person.id), RequestedKind::Person, name).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    asked.id.to_string()
}

#[tokio::test]
async fn requests_to_managed_members_and_missing_people_are_walked_through_together() {
    let api = api().await;
    let people = place(&api, &["ward", "host", "g1", "g2", "g3"]).await;
    let [admin, manager, ward, host, guests @ ..] = &people[..] else { panic!("people") };
    manager.decides_about(ward, json!({"managed": true})).await.ok(200);
    ward.appear().await;
    host.appear().await;
    let mut requests = Vec::new();
    for guest in guests {
        requests.push(text(&guest.ask(ward, "Hello?").await.ok(201)["request"]["id"]));
        guest.ask(host, "Hello?").await.ok(201);
    }
    let jane = asks_for(&guests[0], "Jane Goodall").await;
    assert_eq!(asks_for(&guests[1], "jane goodall").await, jane);
    let all = manager.get("/api/admin/requests").await.ok(200);
    requests.reverse();
    assert_eq!(strings(&all["requests"], "id"), requests);
    let expected = json!([{
        "id": jane, "kind": "person", "name": "Jane Goodall", "request_count": 2, "status": "pending",
        "last_requested_at": "2026-11-16T12:00:00.000Z", "created_at": "2026-11-16T12:00:00.000Z",
        "updated_at": "2026-11-16T12:00:00.000Z",
    }]);
    assert_eq!(all["requestedPeople"], expected);
    assert_eq!(all["nextCursor"], Value::Null);
    let walked = admin.walk("/api/admin/requests?limit=1", "requests", async |_| {}).await;
    assert_eq!(strings(&json!(walked), "id"), requests);
    let walked = admin.walk("/api/admin/requests?limit=1", "requestedPeople", async |_| {}).await;
    assert_eq!(strings(&json!(walked), "id"), std::slice::from_ref(&jane));
    assert_eq!(
        admin.get("/api/admin/metrics").await.ok(200)["requests"],
        json!({"pending": 6, "requestedPeoplePending": 1})
    );

    let path = format!("/api/admin/requested-people/{jane}");
    let person = manager.patch(&path, json!({"status": "contacted"})).await.ok(200)["requestedPerson"].clone();
    assert_eq!(person["status"], "contacted");
    manager.patch(&path, json!({"status": "contacted"})).await.ok(200);
    let log = admin.audit("").await;
    assert_eq!((&log[0]["before"], &log[0]["after"]), (&json!({"status": "pending"}), &json!({"status": "contacted"})));
    assert_eq!(log.len(), 2, "and the ward's management");
    manager.patch(&path, json!({"status": "lost"})).await.refused(422, "validation_failed");
}
