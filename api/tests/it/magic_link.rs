//! `/api/auth/magic-link`: signing in by mail.

use std::time::Duration;

use futures_util::FutureExt;
use humanchat_domain::{
    clock::Clock,
    mail,
    testing::{TestDatabase, noon},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    scene::{at_once, count, text},
    support::{Answer, Api, PASSWORD, Person, api, api_on},
};

const LIFETIME: Duration = Duration::from_mins(15);

impl Api {
    async fn ask_link(&self, email: &str) -> Answer {
        self.anonymous(Method::POST, "/api/auth/magic-link", Some(json!({"email": email}))).await
    }

    /// Asks for a link and has it mailed; returns its token.
    async fn mailed_link(&self, email: &str) -> String {
        self.ask_link(email).await.ok(202);
        assert_eq!(self.work().await, ["send_magic_link"]);
        self.mailed_tokens(email).await.remove(0)
    }

    async fn use_link(&self, body: Value) -> Answer {
        self.anonymous(Method::POST, "/api/auth/magic-link/verify", Some(body)).await
    }
}

#[tokio::test]
async fn a_mailed_link_signs_in_once() {
    let api = api().await;
    let casey = api.register("Casey").await;
    let token = api.mailed_link(&casey.email.to_uppercase().to_lowercase()).await;
    let auth = api.use_link(json!({"token": token})).await.ok(200);
    let linked = Person::of(&api, &auth);
    assert_eq!((linked.id.as_str(), &auth["user"]["email_verified"]), (casey.id.as_str(), &json!(true)));
    linked.me().await.ok(200);
    api.use_link(json!({"token": token})).await.refused(410, "link_expired");
    linked.me().await.ok(200);
    api.idle().await;
}

#[tokio::test]
async fn whether_an_address_is_known_shows_neither_in_the_answer_nor_in_the_mail() {
    let api = api().await;
    let casey = api.register("Casey").await;
    let (known, unknown) = (api.ask_link(&casey.email).await, api.ask_link("new@example.com").await);
    assert_eq!(known.ok(202), json!({"status": "sent"}));
    assert_eq!((known.status, known.text), (unknown.status, unknown.text));
    assert_eq!(api.work().await, ["send_magic_link", "send_magic_link"]);
    let mails = mail::kept(&api.store, None).await.unwrap();
    let links = api.url("/magic-link#token=");
    let words = |body: &str| body.split(&links).map(|part| part[part.len().min(43)..].to_owned()).collect::<Vec<_>>();
    assert_eq!(mails.len(), 2);
    assert_eq!((&mails[0].subject, words(&mails[0].body)), (&mails[1].subject, words(&mails[1].body)));
    assert!(mails[0].body.contains(&links), "{}", mails[0].body);
}

#[tokio::test]
async fn an_unknown_address_becomes_a_user_when_it_is_proven() {
    let api = api().await;
    let token = api.mailed_link("River.Song@Example.com".to_lowercase().as_str()).await;
    api.login("river.song@example.com", PASSWORD).await.refused(401, "invalid_credentials");
    let auth = api.use_link(json!({"token": token})).await.ok(200);
    assert_eq!(auth["user"]["email"], "river.song@example.com");
    assert_eq!(auth["user"]["name"], "river.song");
    assert_eq!(auth["user"]["email_verified"], true);
    let token = api.mailed_link("river.song@example.com").await;
    let again = api.use_link(json!({"token": token})).await.ok(200);
    assert_eq!(again["user"]["id"], auth["user"]["id"]);
    let token = api.mailed_link("r@example.com").await;
    assert_eq!(api.use_link(json!({"token": token})).await.ok(200)["user"]["name"], "New member");
}

#[tokio::test]
async fn a_link_ends_after_fifteen_minutes() {
    let api = api().await;
    let (early, late) = (api.mailed_link("early@example.com").await, api.mailed_link("late@example.com").await);
    api.advance(LIFETIME.saturating_sub(Duration::from_millis(1)));
    api.use_link(json!({"token": early})).await.ok(200);
    api.advance(Duration::from_millis(1));
    api.use_link(json!({"token": late})).await.refused(410, "link_expired");
}

#[tokio::test]
async fn a_link_that_is_too_old_is_not_mailed() {
    let api = api().await;
    api.ask_link("slow@example.com").await.ok(202);
    api.advance(LIFETIME);
    assert_eq!(api.work().await, ["send_magic_link"]);
    assert_eq!(api.mailed_tokens("slow@example.com").await, Vec::<String>::new());
}

#[tokio::test]
async fn only_the_newest_link_of_an_address_works() {
    let api = api().await;
    let (former, other) = (api.mailed_link("casey@example.com").await, api.mailed_link("other@example.com").await);
    // Asked for is enough.
    api.ask_link("casey@example.com").await.ok(202);
    api.use_link(json!({"token": former})).await.refused(410, "link_expired");
    api.ask_link("casey@example.com").await.ok(202);
    assert_eq!(api.work().await.len(), 2);
    let tokens = api.mailed_tokens("casey@example.com").await;
    assert_eq!(tokens.len(), 2, "of the two that waited only the newest was mailed");
    api.use_link(json!({"token": tokens[0]})).await.ok(200);
    api.use_link(json!({"token": other})).await.ok(200);
}

#[tokio::test]
async fn the_first_proof_of_an_address_voids_what_an_impostor_set_and_opened() {
    let api = api().await;
    let impostor = api.register("Impostor").await;
    impostor.me().await.ok(200);
    let token = api.mailed_link(&impostor.email).await;
    let owner = Person::of(&api, &api.use_link(json!({"token": token})).await.ok(200));
    assert_eq!(owner.id, impostor.id);
    api.login(&impostor.email, PASSWORD).await.refused(401, "invalid_credentials");
    api.refresh(&impostor.refresh_token).await.refused(401, "unauthenticated");
    impostor.is_shut_out().await;
    owner.me().await.ok(200);
    api.refresh(&owner.refresh_token).await.ok(200);
}

#[tokio::test]
async fn a_link_sets_a_new_password_and_a_later_one_leaves_it_alone() {
    let api = api().await;
    let casey = api.register("Casey").await;
    let token = api.mailed_link(&casey.email).await;
    let new = "another horse, another battery";
    api.use_link(json!({"token": token, "password": "short"})).await.refused(422, "validation_failed");
    let owner = Person::of(&api, &api.use_link(json!({"token": token, "password": new})).await.ok(200));
    api.login(&casey.email, PASSWORD).await.refused(401, "invalid_credentials");
    api.login(&casey.email, new).await.ok(200);
    let token = api.mailed_link(&casey.email).await;
    api.use_link(json!({"token": token})).await.ok(200);
    api.login(&casey.email, new).await.ok(200);
    owner.me().await.ok(200);
}

#[tokio::test]
async fn a_new_password_ends_the_logins_of_whoever_knew_the_former() {
    let api = api().await;
    let casey = api.register("Casey").await;
    let token = api.mailed_link(&casey.email).await;
    let linked = Person::of(&api, &api.use_link(json!({"token": token, "password": PASSWORD})).await.ok(200));
    let thief = Person::of(&api, &api.login(&casey.email, PASSWORD).await.ok(200));
    let token = api.mailed_link(&casey.email).await;
    let new = json!({"token": token, "password": "another horse, another battery"});
    let owner = Person::of(&api, &api.use_link(new).await.ok(200));
    for former in [&linked, &thief] {
        api.refresh(&former.refresh_token).await.refused(401, "unauthenticated");
        former.is_shut_out().await;
    }
    api.refresh(&owner.refresh_token).await.ok(200);
    owner.me().await.ok(200);
}

#[tokio::test]
async fn an_address_that_got_five_links_gets_no_sixth_and_the_fifth_stays_good() {
    let api = api().await;
    let email = "wanted@example.com";
    for _ in 0..4 {
        api.mailed_link(email).await;
    }
    api.advance(Duration::from_mins(1));
    let fifth = api.mailed_link(email).await;
    let sixth = api.ask_link(email).await;
    assert_eq!((sixth.ok(202), api.work().await), (json!({"status": "sent"}), vec![]));
    api.mailed_link("other@example.com").await;
    api.use_link(json!({"token": fifth})).await.ok(200);
    // Used or not, four have expired by now.
    api.advance(Duration::from_mins(14));
    for _ in 0..4 {
        api.mailed_link(email).await;
    }
    api.ask_link(email).await.ok(202);
    assert_eq!(api.work().await, Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_ask_for_links_to_an_address_at_the_same_moment_five_do() {
    let api = api().await;
    let answers = at_once((0..12).map(|_| api.ask_link("wanted@example.com").boxed())).await;
    assert_eq!(count(&answers, 202), 12, "{answers:?}");
    assert_eq!(api.work().await, ["send_magic_link"; 5]);
}

#[tokio::test]
async fn what_is_no_link_is_refused() {
    let api = api().await;
    for token in ["", "x", "\0", "👩"] {
        api.use_link(json!({"token": token})).await.refused(410, "link_expired");
    }
    api.use_link(json!({"token": "x".repeat(129)})).await.refused(422, "validation_failed");
    api.use_link(json!({})).await.refused(422, "validation_failed");
    for email in ["", "casey", "casey@example.com\nBcc: all@example.com", "\0@example.com"] {
        let details = api.ask_link(email).await.refused(422, "validation_failed");
        assert!(details["fields"]["email"].is_string(), "{details}");
    }
    assert_eq!(api.work().await, Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_uses_of_a_link_at_the_same_moment_one_wins() {
    let api = api().await;
    let token = api.mailed_link("casey@example.com").await;
    let answers = at_once((0..8).map(|_| api.use_link(json!({"token": token})).boxed())).await;
    assert_eq!((count(&answers, 200), count(&answers, 410)), (1, 7), "{answers:?}");
}

#[tokio::test]
async fn opening_the_page_of_a_link_does_not_use_it_up() {
    let api = api().await;
    let token = api.mailed_link("casey@example.com").await;
    let page = api.anonymous(Method::GET, "/magic-link", None).await;
    assert_eq!((page.status.as_u16(), page.headers["referrer-policy"].to_str().unwrap()), (200, "no-referrer"));
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(!page.text.contains("<script>") && page.text.contains("<button"), "{}", page.text);
    api.use_link(json!({"token": token})).await.ok(200);
}

#[tokio::test]
async fn kept_mail_is_shown_in_development_only() {
    let (database, clock) = (TestDatabase::create().await, Clock::manual(noon()));
    let api = api_on(&database, clock.clone(), &[("DEV_PAGES", "true")]).await;
    api.mailed_link("casey@example.com").await;
    api.mailed_link("other@example.com").await;
    let all = api.anonymous(Method::GET, "/dev/mailbox.json", None).await.ok(200);
    assert_eq!(all.as_array().unwrap().len(), 2);
    let mails = api.anonymous(Method::GET, "/dev/mailbox.json?to=casey@example.com", None).await.ok(200);
    assert_eq!(mails.as_array().unwrap().len(), 1);
    assert!(text(&mails[0]["body"]).contains(&api.mailed_tokens("casey@example.com").await[0]));
    api.anonymous(Method::GET, "/dev/mailbox", None).await;
    let public = api_on(&database, clock, &[]).await;
    for path in ["/dev/mailbox.json", "/dev/mailbox", "/assets/mailbox.js"] {
        public.anonymous(Method::GET, path, None).await.refused(404, "resource_not_found");
    }
}
