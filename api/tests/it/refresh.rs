//! `/api/auth/refresh`: each token once, and what happens to a login whose token was stolen.

use std::time::Duration;

use futures_util::FutureExt;
use reqwest::Method;
use serde_json::json;

use crate::{
    scene::{at_once, count, text},
    support::{PASSWORD, Person, api},
};

#[tokio::test]
async fn refreshing_replaces_both_tokens_and_keeps_the_login() {
    let api = api().await;
    let casey = api.register("Casey").await;
    let mut token = casey.refresh_token.clone();
    for _ in 0..3 {
        api.advance(Duration::from_mins(14));
        let auth = api.refresh(&token).await.ok(200);
        assert_eq!(auth["user"]["id"], casey.id);
        assert_ne!(text(&auth["refreshToken"]), token);
        let fresh = Person::of(&api, &auth);
        fresh.me().await.ok(200);
        token = fresh.refresh_token;
    }
}

#[tokio::test]
async fn using_a_refresh_token_again_ends_its_login_alone() {
    let api = api().await;
    let casey = api.register("Casey").await;
    let elsewhere = Person::of(&api, &api.login(&casey.email, PASSWORD).await.ok(200));
    let fresh = Person::of(&api, &api.refresh(&casey.refresh_token).await.ok(200));
    // The authority is fresh in mind.
    fresh.me().await.ok(200);
    api.refresh(&casey.refresh_token).await.refused(401, "unauthenticated");
    api.refresh(&fresh.refresh_token).await.refused(401, "unauthenticated");
    fresh.is_shut_out().await;
    casey.is_shut_out().await;
    elsewhere.me().await.ok(200);
    api.refresh(&elsewhere.refresh_token).await.ok(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_refreshes_with_the_same_token_at_the_same_moment_one_wins() {
    let api = api().await;
    let casey = api.register("Casey").await;
    let answers = at_once((0..8).map(|_| api.refresh(&casey.refresh_token).boxed())).await;
    assert_eq!((count(&answers, 200), count(&answers, 401)), (1, 7), "{answers:?}");
    // The others used it a second time, so nobody keeps the login.
    let winner = answers.iter().find(|answer| answer.status == 200).unwrap().json();
    api.refresh(&text(&winner["refreshToken"])).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_refresh_token_ends_after_thirty_days() {
    let api = api().await;
    let casey = api.register("Casey").await;
    let other = api.register("Other").await;
    api.advance(Duration::from_hours(30 * 24) - Duration::from_millis(1));
    api.refresh(&casey.refresh_token).await.ok(200);
    api.advance(Duration::from_millis(1));
    api.refresh(&other.refresh_token).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn what_is_no_refresh_token_is_refused() {
    let api = api().await;
    let casey = api.register("Casey").await;
    let short = &casey.refresh_token[1..];
    for token in ["", "x", "\0", "👩", short] {
        api.refresh(token).await.refused(401, "unauthenticated");
    }
    let details = api.refresh(&"x".repeat(129)).await.refused(422, "validation_failed");
    assert!(details["fields"]["refreshToken"].is_string(), "{details}");
    let answer = api.anonymous(Method::POST, "/api/auth/refresh", Some(json!({}))).await;
    answer.refused(422, "validation_failed");
    api.refresh(&casey.refresh_token).await.ok(200);
}
