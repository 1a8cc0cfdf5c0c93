//! `/api/auth/register`, `login`, `me`, `logout`: accounts, passwords, and who may still do anything.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use humanchat_domain::{
    clock::Clock,
    testing::{TestDatabase, noon},
};
use reqwest::{Method, header::AUTHORIZATION};
use serde_json::{Value, json};

use crate::{
    openapi::{document, operations},
    scene::{at_once, count, eventually, percentile, text},
    support::{Answer, Api, PASSWORD, Person, api, api_on},
};

/// What was revoked ends within this time.
pub const REVOKED_WITHIN: Duration = Duration::from_secs(5);

impl Api {
    pub async fn register_as(&self, body: Value) -> Answer {
        self.anonymous(Method::POST, "/api/auth/register", Some(body)).await
    }

    pub async fn login(&self, email: &str, password: &str) -> Answer {
        let body = json!({"email": email, "password": password});
        self.anonymous(Method::POST, "/api/auth/login", Some(body)).await
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        self.anonymous(Method::POST, "/api/auth/refresh", Some(json!({"refreshToken": token}))).await
    }
}

impl Person<'_> {
    pub async fn me(&self) -> Answer {
        self.get("/api/auth/me").await
    }

    /// Waits until the access token is refused, which may take as long as [`REVOKED_WITHIN`].
    pub async fn is_shut_out(&self) {
        let began = Instant::now();
        let refused = async || Some(self.me().await).filter(|answer| answer.status != 200);
        eventually("the token to be refused", refused).await.refused(401, "unauthenticated");
        assert!(began.elapsed() < REVOKED_WITHIN, "it took {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn registering_makes_an_account_and_signs_in() {
    let api = api().await;
    let email = "  Casey.Moreno@Example.COM ";
    let body = json!({"name": " Casey ", "email": email, "password": PASSWORD, "timezone": "Europe/Berlin"});
    let auth = api.register_as(body).await.ok(201);
    assert_eq!(auth["tokenType"], "Bearer");
    assert_eq!(auth["expiresAt"], "2026-11-16T12:15:00.000Z");
    let user = &auth["user"];
    for (field, value) in [
        ("name", json!("Casey")),
        ("email", json!("casey.moreno@example.com")),
        ("email_verified", json!(false)),
        ("role", json!("user")),
        ("timezone", json!("Europe/Berlin")),
        ("conversation_type", json!("free")),
        ("instant_rate_per_minute", Value::Null),
        ("scheduled_rates", json!({})),
        ("currency", json!("usd")),
        ("skills", json!([])),
        ("avatar_url", Value::Null),
        ("is_online", json!(false)),
        ("has_active_session", json!(false)),
        ("display_mode", json!("normal")),
        ("created_at", json!("2026-11-16T12:00:00.000Z")),
    ] {
        assert_eq!(user[field], value, "{field}");
    }
    assert!(text(&user["id"]).starts_with("user_"));
    let me = Person::of(&api, &auth).me().await.ok(200);
    assert_eq!(me["user"], *user);
    assert!(!auth.to_string().contains(PASSWORD) && !auth.to_string().contains("argon2"));
}

#[tokio::test]
async fn a_registration_names_each_field_that_is_wrong() {
    let api = api().await;
    let good = json!({"name": "Casey", "email": "casey@example.com", "password": PASSWORD});
    let long = |length: usize| json!("x".repeat(length));
    for (field, value) in [
        ("name", json!("C")),
        ("name", json!(" C ")),
        ("name", long(81)),
        ("name", json!("Ca\u{202E}sey")),
        ("name", json!("\u{200B}\u{200B}\u{200B}")),
        ("name", json!("Ca\0sey")),
        ("name", Value::Null),
        ("email", json!("casey")),
        ("email", json!("casey@")),
        ("email", json!("casey@example.com\r\nBcc: all@example.com")),
        ("email", json!("ca\0sey@example.com")),
        ("email", json!(format!("{}@example.com", "x".repeat(250)))),
        ("email", json!(["casey@example.com"])),
        ("password", json!("1234567")),
        ("password", long(129)),
        ("password", json!("12345678\0")),
        ("timezone", json!("Berlin")),
        ("timezone", json!("")),
        ("role", json!("admin")),
        ("email_verified", json!(true)),
    ] {
        let mut body = good.clone();
        body[field] = value.clone();
        let details = api.register_as(body).await.refused(422, "validation_failed");
        let fields: Vec<_> = details["fields"].as_object().unwrap().keys().collect();
        assert_eq!(fields, [field], "{value}");
    }
    let details = api.register_as(json!({"name": "C", "email": "c", "password": "c"})).await;
    let details = details.refused(422, "validation_failed");
    assert_eq!(details["fields"].as_object().unwrap().len(), 3, "all of them at once: {details}");
    api.register_as(good).await.ok(201);
}

#[tokio::test]
async fn an_address_belongs_to_one_account_however_it_is_written() {
    let api = api().await;
    let casey = api.register("Casey").await;
    for email in [casey.email.clone(), casey.email.to_uppercase(), format!(" {} ", casey.email)] {
        let body = json!({"name": "Other", "email": email, "password": PASSWORD});
        api.register_as(body).await.refused(409, "email_taken");
    }
    casey.me().await.ok(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_registrations_at_the_same_moment_one_wins() {
    let api = api().await;
    let body = |n: usize| json!({"name": format!("Casey {n}"), "email": "casey@example.com", "password": PASSWORD});
    let answers = at_once((0..8).map(|n| api.register_as(body(n)).boxed())).await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (1, 7), "{answers:?}");
    for loser in answers.iter().filter(|answer| answer.status == 409) {
        loser.refused(409, "email_taken");
    }
    let winner = answers.iter().find(|answer| answer.status == 201).unwrap().json();
    let login = api.login("casey@example.com", PASSWORD).await.ok(200);
    assert_eq!(login["user"]["id"], winner["user"]["id"]);
}

#[tokio::test]
async fn a_password_signs_in_beside_other_logins() {
    let api = api().await;
    let casey = api.register("Casey").await;
    let auth = api.login(&casey.email.to_uppercase(), PASSWORD).await.ok(200);
    let elsewhere = Person::of(&api, &auth);
    assert_eq!(elsewhere.id, casey.id);
    assert!(elsewhere.token != casey.token && elsewhere.refresh_token != casey.refresh_token);
    casey.me().await.ok(200);
    elsewhere.me().await.ok(200);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_get_the_same_answer() {
    let api = api().await;
    let casey = api.register("Casey").await;
    let linked = api.arrive(&["linked"]).await.remove(0);
    let mut answers = Vec::new();
    for (email, password) in [
        (casey.email.as_str(), "wrong password"),
        ("nobody@example.com", PASSWORD),
        // Has no password.
        (linked.email.as_str(), PASSWORD),
        (linked.email.as_str(), ""),
        ("", ""),
        ("nul\0@example.com", PASSWORD),
    ] {
        let mut answer = api.login(email, password).await;
        answer.refused(401, "invalid_credentials");
        answer.headers.remove("x-request-id");
        answer.headers.remove("date");
        answers.push((answer.status, answer.headers, answer.text));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
}

/// How long an answer takes.
async fn timed(answer: impl Future<Output = Answer>) -> Duration {
    let began = Instant::now();
    let answer = answer.await;
    assert_eq!(answer.status, 401, "{answer:?}");
    began.elapsed()
}

#[tokio::test]
async fn whether_an_address_is_known_does_not_show_in_the_time() {
    let api = api().await;
    let (casey, linked) = (api.register("Casey").await, api.arrive(&["linked"]).await.remove(0));
    // The first unknown one may still wait for its dummy.
    api.login("nobody@example.com", PASSWORD).await.refused(401, "invalid_credentials");
    let [mut wrong, mut without, mut unknown, mut unhashed] = [const { Vec::new() }; 4];
    // In turns, so that whatever else the machine does is shared by all.
    for n in 0..15 {
        wrong.push(timed(api.login(&casey.email, "wrong password")).await);
        without.push(timed(api.login(&linked.email, "wrong password")).await);
        unknown.push(timed(api.login(&format!("nobody{n}@example.com"), "wrong password")).await);
        unhashed.push(timed(api.refresh("not a token")).await);
    }
    let [wrong, without, unknown, unhashed] = [wrong, without, unknown, unhashed].map(|times| percentile(&times, 50));
    for other in [without, unknown] {
        assert!(other < wrong * 2 && wrong < other * 2, "{wrong:?} {without:?} {unknown:?}");
    }
    assert!(unhashed * 4 < wrong, "a hash that is left out would show: {unhashed:?} {wrong:?}");
}

#[tokio::test]
async fn credentials_that_are_not_valid_are_refused_before_any_is_checked() {
    let api = api().await;
    for (body, field) in [
        (json!({"email": "a@b.example"}), "password"),
        (json!({"email": "x".repeat(255), "password": "p"}), "email"),
        (json!({"email": "a@b.example", "password": "x".repeat(129)}), "password"),
        (json!({"email": "a@b.example", "password": 1}), "password"),
    ] {
        let answer = api.anonymous(Method::POST, "/api/auth/login", Some(body)).await;
        let details = answer.refused(422, "validation_failed");
        assert!(details["fields"][field].is_string(), "{details}");
    }
}

#[tokio::test]
async fn an_access_token_ends_after_fifteen_minutes() {
    let api = api().await;
    let casey = api.register("Casey").await;
    api.advance(Duration::from_millis(15 * 60_000 - 1));
    casey.me().await.ok(200);
    api.advance(Duration::from_millis(1));
    casey.me().await.refused(401, "token_expired");
    casey.post("/api/conversations", json!({})).await.refused(401, "token_expired");
    let fresh = Person::of(&api, &api.refresh(&casey.refresh_token).await.ok(200));
    fresh.me().await.ok(200);
}

#[tokio::test]
async fn only_a_bearer_token_of_this_service_signs_in() {
    let database = TestDatabase::create().await;
    let api = api_on(&database, Clock::manual(noon()), &[]).await;
    let stranger =
        api_on(&database, Clock::manual(noon()), &[("JWT_SECRET", "another secret, also of 32 bytes")]).await;
    let casey = api.register("Casey").await;
    api.anonymous(Method::GET, "/api/auth/me", None).await.refused(401, "unauthenticated");
    let forged = stranger.login(&casey.email, PASSWORD).await.ok(200);
    let forged = text(&forged["token"]);
    let token = &casey.token;
    for header in [
        token.clone(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Basic {token}"),
        format!("Bearer {token}x"),
        format!("Bearer {}", casey.refresh_token),
        format!("Bearer {forged}"),
        format!("Bearer {}", &token[..token.len() - 2]),
    ] {
        let request = api.http.get(api.url("/api/auth/me")).header(AUTHORIZATION, &header);
        api.send(request).await.refused(401, "unauthenticated");
    }
    let request = api.http.get(api.url("/api/auth/me")).header(AUTHORIZATION, format!("bearer {token}"));
    api.send(request).await.ok(200);
}

#[tokio::test]
async fn logging_out_ends_that_login_alone_at_every_process() {
    let database = TestDatabase::create().await;
    let clock = Clock::manual(noon());
    let (api, other) = (api_on(&database, clock.clone(), &[]).await, api_on(&database, clock, &[]).await);
    let casey = api.register("Casey").await;
    let elsewhere = Person::of(&api, &api.login(&casey.email, PASSWORD).await.ok(200));
    // The other process has it fresh in mind.
    casey.at(&other).me().await.ok(200);
    let answer = casey.post("/api/auth/logout", json!({})).await;
    assert_eq!((answer.ok(204), answer.text.as_str()), (Value::Null, ""));
    casey.me().await.refused(401, "unauthenticated");
    casey.post("/api/auth/logout", json!({})).await.refused(401, "unauthenticated");
    api.refresh(&casey.refresh_token).await.refused(401, "unauthenticated");
    casey.at(&other).is_shut_out().await;
    elsewhere.me().await.ok(200);
    elsewhere.at(&other).me().await.ok(200);
    api.refresh(&elsewhere.refresh_token).await.ok(200);
}

#[tokio::test]
async fn logging_out_needs_a_login_and_takes_no_fields() {
    let api = api().await;
    let casey = api.register("Casey").await;
    api.anonymous(Method::POST, "/api/auth/logout", None).await.refused(401, "unauthenticated");
    casey.post("/api/auth/logout", json!({"everywhere": true})).await.refused(422, "validation_failed");
    casey.me().await.ok(200);
    // Without a body, and so without a Content-Type.
    api.send(casey.request(Method::POST, "/api/auth/logout")).await.ok(204);
    casey.me().await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn without_a_token_every_route_asks_to_sign_in_whatever_its_path_says() {
    let api = api().await;
    for operation in operations(&document()).iter().filter(|operation| operation.needs_login()) {
        let method: Method = operation.method.to_uppercase().parse().unwrap();
        for id in ["nonsense", "user_01h455vb4pex5vsknk084sn02q"] {
            let path = operation.path.replace("{userId}", id).replace("{id}", id);
            let answer = api.anonymous(method.clone(), &path, None).await;
            assert_eq!(answer.code(), "unauthenticated", "{} with {id}: {answer:?}", operation.name());
        }
    }
}
