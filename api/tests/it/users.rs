//! `/api/users/:id`, `/api/users/me`, presence: who people are and whether they are there.

use std::time::Duration;

use humanchat_domain::{
    event::Channel,
    testing::{Flags, set_flags},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    scene::id,
    support::{Api, Person, api},
};

const PRIVATE: [&str; 3] = ["email", "role", "email_verified"];

impl Person<'_> {
    pub async fn change(&self, change: Value) -> Value {
        self.patch("/api/users/me", change).await.ok(200)["user"].clone()
    }

    /// Expects a change of the profile to be refused because of one field.
    pub async fn cannot_change(&self, change: Value, field: &str) {
        let details = self.patch("/api/users/me", change.clone()).await.refused(422, "validation_failed");
        let fields: Vec<_> = details["fields"].as_object().unwrap().keys().collect();
        assert_eq!(fields, [field], "{change}");
    }

    pub async fn see(&self, other: &Person<'_>) -> Value {
        self.get(&format!("/api/users/{}", other.id)).await.ok(200)["user"].clone()
    }

    pub async fn set_flags(&self, flags: Flags) {
        set_flags(&self.api.store, id(&self.id), flags).await;
    }
}

#[tokio::test]
async fn others_see_a_profile_without_its_private_fields() {
    let api = api().await;
    let (casey, river) = (api.register("Casey").await, api.register("River").await);
    let own = river.get("/api/auth/me").await.ok(200)["user"].clone();
    let mut public = own.clone();
    for field in PRIVATE {
        assert!(public.as_object_mut().unwrap().remove(field).is_some(), "{field}");
    }
    assert_eq!(casey.see(&river).await, public);
    assert_eq!(river.see(&river).await, public);
    let conversation = casey.conversation_with(&river).await;
    let people = casey.get(&format!("/api/conversations/{conversation}")).await.ok(200)["participants"].clone();
    let found = casey.get("/api/users").await.ok(200)["users"].clone();
    for users in [people, found] {
        assert_eq!(users.as_array().unwrap().len(), 2);
        assert!(users.as_array().unwrap().contains(&public), "{users}");
        assert!(!users.to_string().contains("@example.com"), "{users}");
    }
}

#[tokio::test]
async fn users_who_are_not_there_look_like_ids_that_are_none() {
    let api = api().await;
    let casey = api.register("Casey").await;
    let missing = "user_01jd8t6ze5fkxrv8q3w2m9n7ab";
    let conversation = format!("conv{}", casey.id.strip_prefix("user").unwrap());
    let upper = casey.id.to_uppercase();
    let ids = [missing, "user_", "%FF", "%00", "' or 1=1 --", &conversation, &upper, &"x".repeat(5000)];
    for id in ids {
        let answer = casey.get(&format!("/api/users/{id}")).await;
        answer.refused(404, "resource_not_found");
        assert_eq!(answer.text, casey.get(&format!("/api/users/{missing}")).await.text, "{id}");
    }
    let answer = api.anonymous(Method::GET, &format!("/api/users/{}", casey.id), None).await;
    answer.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_profile_changes_field_by_field() {
    let api = api().await;
    let casey = api.register("Casey").await;
    api.advance(Duration::from_secs(1));
    let everything = json!({
        "name": "  Zoë 👩‍🚀 ", "avatarUrl": "https://example.com/zoë.png", "headline": "Botanist",
        "bio": "Moss.\nAnd ferns.", "skills": ["moss", "ferns"], "languages": ["en", "日本語"], "timezone": "Asia/Kolkata",
    });
    let user = casey.change(everything).await;
    assert_eq!(user["updated_at"], "2026-11-16T12:00:01.000Z");
    assert_eq!(user["created_at"], "2026-11-16T12:00:00.000Z");
    let expected = json!({
        "name": "Zoë 👩‍🚀", "avatar_url": "https://example.com/zoë.png", "headline": "Botanist",
        "bio": "Moss.\nAnd ferns.", "skills": ["moss", "ferns"], "languages": ["en", "日本語"], "timezone": "Asia/Kolkata",
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(user[field], *value, "{field}");
    }
    // Absent stays, null empties what may be empty, and an empty list is a list.
    let user = casey.change(json!({"avatarUrl": null, "skills": [], "headline": "", "bio": ""})).await;
    for (field, value) in [
        ("avatar_url", Value::Null),
        ("skills", json!([])),
        ("headline", json!("")),
        ("bio", json!("")),
        ("name", json!("Zoë 👩‍🚀")),
        ("languages", json!(["en", "日本語"])),
    ] {
        assert_eq!(user[field], value, "{field}");
    }
    assert_eq!(casey.change(json!({})).await["name"], "Zoë 👩‍🚀");
    assert_eq!(casey.get("/api/auth/me").await.ok(200)["user"]["timezone"], "Asia/Kolkata");
}

#[tokio::test]
async fn a_profile_refuses_what_would_not_be_one() {
    let api = api().await;
    let casey = api.register("Casey").await;
    let before = casey.get("/api/auth/me").await.text;
    let many = |count: usize| json!(vec!["x"; count]);
    for (change, field) in [
        (json!({"name": "C"}), "name"),
        (json!({"name": "\u{2066}Casey"}), "name"),
        (json!({"name": "Casey", "headline": "x".repeat(161)}), "headline"),
        (json!({"headline": "two\nlines"}), "headline"),
        (json!({"bio": "x".repeat(4001)}), "bio"),
        (json!({"bio": "nul\0"}), "bio"),
        (json!({"skills": many(31)}), "skills"),
        (json!({"skills": ["good", ""]}), "skills[1]"),
        (json!({"skills": ["x".repeat(61)]}), "skills[0]"),
        (json!({"skills": [null]}), "skills[0]"),
        (json!({"languages": many(21)}), "languages"),
        (json!({"timezone": "Mars/Olympus"}), "timezone"),
        (json!({"avatarUrl": "http://example.com/a.png"}), "avatarUrl"),
        (json!({"avatarUrl": "javascript:alert(1)"}), "avatarUrl"),
        (json!({"avatarUrl": "https://"}), "avatarUrl"),
        (json!({"avatarUrl": "https://example.com/\0"}), "avatarUrl"),
        (json!({"avatarUrl": "https://example.com/\r\nSet-Cookie: a=b"}), "avatarUrl"),
        (json!({"avatarUrl": format!("https://example.com/{}", "x".repeat(2000))}), "avatarUrl"),
        (json!({"conversationType": "gratis"}), "conversationType"),
        (json!({"email": "other@example.com"}), "email"),
        (json!({"role": "admin"}), "role"),
        (json!({"managed": true}), "managed"),
        (json!({"display_mode": "by_request"}), "display_mode"),
        (json!({"confidentialRate": true}), "confidentialRate"),
        (json!({"id": "user_01jd8t6ze5fkxrv8q3w2m9n7ab"}), "id"),
    ] {
        casey.cannot_change(change, field).await;
    }
    assert_eq!(casey.get("/api/auth/me").await.text, before);
    let anonymous = api.anonymous(Method::PATCH, "/api/users/me", Some(json!({"name": "Nobody"}))).await;
    anonymous.refused(401, "unauthenticated");
}

#[tokio::test]
async fn whoever_says_so_is_there_for_forty_five_seconds() {
    let api = api().await;
    let (casey, river) = (api.register("Casey").await, api.register("River").await);
    let put = async |state: &str| river.put("/api/users/me/presence", json!({"state": state})).await.ok(200);
    assert_eq!(put("active").await["user"]["is_online"], true);
    api.advance(Duration::from_millis(44_999));
    assert_eq!(casey.see(&river).await["is_online"], true);
    api.advance(Duration::from_millis(1));
    assert_eq!(casey.see(&river).await["is_online"], false, "before any job ran");
    assert_eq!(api.work().await, ["end_presence"]);
    assert_eq!(put("idle").await["user"]["is_online"], true);
    assert_eq!(casey.see(&river).await["presence_state"], "idle");
    api.advance(Duration::from_secs(30));
    assert_eq!(put("active").await["user"]["presence_state"], "active");
    api.advance(Duration::from_secs(44));
    assert_eq!(api.work().await, Vec::<&str>::new(), "the job moved with the promise");
    assert_eq!(casey.see(&river).await["is_online"], true);
    let hidden = put("offline").await;
    assert_eq!((&hidden["user"]["is_online"], &hidden["user"]["presence_state"]), (&json!(false), &json!("offline")));
    assert_eq!(casey.see(&river).await["is_online"], false);
    api.advance(Duration::from_secs(1));
    api.work().await;
    api.idle().await;
    // It isn't stored: it concerns the moment.
    assert_eq!(api.told(Channel::Status(id(&river.id))).await, Vec::<Value>::new());
}

#[tokio::test]
async fn presence_takes_the_three_states_of_the_caller_and_nothing_else() {
    let api = api().await;
    let river = api.register("River").await;
    for body in
        [json!({}), json!({"state": "away"}), json!({"state": null}), json!({"state": 1}), json!({"state": ["active"]})]
    {
        river.put("/api/users/me/presence", body).await.refused(422, "validation_failed");
    }
    let more = json!({"state": "active", "userId": river.id});
    river.put("/api/users/me/presence", more).await.refused(422, "validation_failed");
    let anonymous = api.anonymous(Method::PUT, "/api/users/me/presence", Some(json!({"state": "active"}))).await;
    anonymous.refused(401, "unauthenticated");
    assert_eq!(river.see(&river).await["is_online"], false);
    api.idle().await;
}

#[tokio::test]
async fn who_says_again_to_be_here_was_here_all_the_while() {
    let api = api().await;
    let river = api.register("River").await;
    for pause in [20, 45, 46] {
        river.appear().await;
        api.advance(Duration::from_secs(pause));
    }
    river.put("/api/users/me/presence", json!({"state": "offline"})).await.ok(200);
    river.appear().await;
    let stretches = river.get("/api/users/me/export").await.ok(200)["presences"].clone();
    let expected = json!([
        {"since": "2026-11-16T12:01:51.000Z", "until": "2026-11-16T12:02:36.000Z"},
        {"since": "2026-11-16T12:00:00.000Z", "until": "2026-11-16T12:01:50.000Z"},
    ]);
    assert_eq!(stretches, expected);
}

#[tokio::test]
async fn a_suspended_user_can_do_nothing_any_more() {
    let api: Api = api().await;
    let (casey, river) = (api.register("Casey").await, api.register("River").await);
    river.get("/api/auth/me").await.ok(200);
    river.set_flags(Flags { suspended: true, ..Flags::default() }).await;
    river.is_shut_out().await;
    api.login(&river.email, crate::support::PASSWORD).await.refused(401, "invalid_credentials");
    api.refresh(&river.refresh_token).await.refused(401, "unauthenticated");
    casey.connect(&river).await.refused(404, "resource_not_found");
    let start = casey.post("/api/conversations", json!({"participantId": river.id})).await;
    start.refused(404, "resource_not_found");
    let found = casey.get("/api/users").await.ok(200);
    assert_eq!(found["users"].as_array().unwrap().len(), 1, "{found}");
}
