//! Who and what isn't here: whom and what members ask Sam for is noted, once each, for staff to see.

use humanchat_domain::auth::Role;
use serde_json::{Value, json};

use super::{Move, api_by_rules, api_with_model, asker_and_host};
use crate::support::Person;

/// What staff see: kind, name, and how many asked.
async fn wanted(staff: &Person<'_>) -> Vec<(Value, Value, Value)> {
    let list = staff.get("/api/admin/requests").await.ok(200)["requestedPeople"].as_array().unwrap().clone();
    let mut list: Vec<_> =
        list.iter().map(|one| (one["kind"].clone(), one["name"].clone(), one["request_count"].clone())).collect();
    list.sort_by_key(|one| one.1.to_string());
    list
}

#[tokio::test]
async fn whom_and_what_the_rules_do_not_find_is_noted() {
    let api = api_by_rules().await;
    let [asker, host] = asker_and_host(&api).await;
    let staff = api.arrive(&["staff"]).await.remove(0);
    staff.becomes(Role::Manager).await;
    for person in [&asker, &asker, &host] {
        person.sam("I want to talk to Ada Lovelace.").await;
    }
    asker.sam("Who knows about submarines?").await;
    host.sam("who can help me with submarines now").await;
    // They are here.
    asker.sam("Can I talk to River Stone?").await;
    asker.sam("Who knows about beekeeping?").await;
    let expected = [("person", "Ada Lovelace", 2), ("skill", "submarines", 2)];
    assert_eq!(wanted(&staff).await, expected.map(|(kind, name, count)| (json!(kind), json!(name), json!(count))));
}

#[tokio::test]
async fn what_the_model_says_is_missing_is_noted_if_the_user_said_it() {
    let (api, gemini) = api_with_model().await;
    let [asker, host] = asker_and_host(&api).await;
    let staff = api.arrive(&["staff"]).await.remove(0);
    staff.becomes(Role::Manager).await;
    let says = |people: Value, skills: Value| {
        Move::Say(json!({"text": "Nobody.", "actions": [], "missedPeople": people, "missedSkills": skills}).to_string())
    };
    let hostile = ["", " ", "x", "\u{202E}Ada", "a\nb", &"x".repeat(81)];
    gemini.will([says(json!(["ada  lovelace"]), json!(["Falconry", "beekeeping", "a pact with the devil"]))]);
    asker.sam("Is Ada Lovelace here, or somebody for falconry or beekeeping?").await;
    for name in hostile {
        gemini.will([says(json!([name]), json!([name]))]);
        let answer = asker.sam(&format!("{} and more", if name.is_empty() { "x" } else { name })).await;
        assert_eq!(answer.get("fallback"), None, "{answer}");
    }
    let many: Vec<_> = (0..50).map(|number| format!("Person{number}")).collect();
    gemini.will([says(json!(many), json!(many))]);
    host.sam(&many.join(" ")).await;
    let noted = wanted(&staff).await;
    assert!(noted.contains(&(json!("person"), json!("ada lovelace"), json!(1))), "{noted:?}");
    assert!(noted.contains(&(json!("skill"), json!("Falconry"), json!(1))), "{noted:?}");
    let others: Vec<_> = noted.iter().filter(|one| one.1.as_str().unwrap().starts_with("Person")).collect();
    assert_eq!(others.len(), 3, "a few of an answer");
    assert_eq!(noted.len(), 2 + 3, "{noted:?}");
}
