//! Finding members: every sign means itself.

use humanchat_domain::auth::Role;
use serde_json::{Value, json};

use super::place;
use crate::{
    scene::{strings, text},
    support::{Person, api},
};

fn asking(query: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    format!("/api/admin/users?{query}")
}

impl Person<'_> {
    async fn finds(&self, query: &[(&str, &str)]) -> Vec<String> {
        strings(&self.get(&asking(query)).await.ok(200)["users"], "name")
    }
}

#[tokio::test]
async fn members_are_found_by_name_address_words_and_id() {
    let api = api().await;
    let people = place(&api, &["one", "two", "three", "four"]).await;
    let admin = &people[0];
    let profiles = [
        json!({"name": "100% Real_Name", "headline": "Bees"}),
        json!({"name": "100 Reals", "bio": "I keep bees and sourdough"}),
        json!({"name": "Back\\slash Ödön", "skills": ["tax law"]}),
        json!({"name": "Real"}),
    ];
    for (person, profile) in people[2..].iter().zip(profiles) {
        person.patch("/api/users/me", profile).await.ok(200);
    }
    for (search, names) in [
        ("100%", &["100% Real_Name"][..]),
        ("100% r", &["100% Real_Name"]),
        ("100", &["100 Reals", "100% Real_Name"]),
        ("%", &[]),
        ("_", &[]),
        ("\\", &[]),
        ("back\\s", &["Back\\slash Ödön"]),
        ("ödön", &["Back\\slash Ödön"]),
        ("BEES", &["100 Reals", "100% Real_Name"]),
        ("bees sour", &["100 Reals"]),
        ("tax", &["Back\\slash Ödön"]),
        ("two@example.com", &["100 Reals"]),
        ("TWO@ex", &["100 Reals"]),
        ("two_example", &[]),
        ("' or 1=1; --", &[]),
        ("nobody", &[]),
    ] {
        assert_eq!(admin.finds(&[("search", search)]).await, names, "{search}");
    }
    assert_eq!(admin.finds(&[("search", &people[3].id)]).await, ["100 Reals"]);
    assert_eq!(admin.finds(&[("search", "  ")]).await.len(), 6, "nothing is looked for");
    admin.get(&format!("/api/admin/users?search={}", "x".repeat(201))).await.refused(400, "malformed_request");
}

#[tokio::test]
async fn members_are_filtered_and_walked_through_newest_first() {
    let api = api().await;
    let people = place(&api, &["a1", "a2", "a3", "a4", "a5"]).await;
    let admin = &people[0];
    people[3].becomes(Role::Manager).await;
    admin.decides_about(&people[4], json!({"managed": true})).await.ok(200);
    let emails = async |query: &[(&str, &str)]| strings(&admin.get(&asking(query)).await.ok(200)["users"], "email");
    assert_eq!(emails(&[("role", "admin")]).await, ["boss@example.com"]);
    assert_eq!(emails(&[("role", "manager")]).await, ["a2@example.com", "keeper@example.com"]);
    assert_eq!(emails(&[("role", "manager"), ("search", "a")]).await, ["a2@example.com"]);
    assert_eq!(emails(&[("managed", "true")]).await, ["a3@example.com"]);
    assert_eq!(emails(&[("managed", "false")]).await.len(), 6);
    for query in ["?role=root", "?managed=perhaps", "?limit=0", "?cursor=x"] {
        admin.get(&format!("/api/admin/users{query}")).await.refused(400, "malformed_request");
    }
    let ids: Vec<_> = people[2..].iter().rev().map(|person| person.id.clone()).collect();
    let walked = admin
        .walk("/api/admin/users?limit=1&search=a", "users", async |page| {
            if page == 1 {
                api.arrive(&["a9"]).await;
            }
        })
        .await;
    let walked: Vec<_> = walked.iter().map(|user: &Value| text(&user["id"])).collect();
    assert_eq!(walked, ids, "who came meanwhile is not in it");
}
