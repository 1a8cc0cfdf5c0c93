//! Rate limits: exact across processes, bound to who asks, and still there without Redis.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use humanchat_domain::{
    clock::Clock,
    testing::{TableLock, TestDatabase},
};
use reqwest::Method;
use serde_json::json;
use tokio::{sync::Barrier, task::block_in_place};

use crate::{
    openapi::{document, operations},
    redis::PrivateRedis,
    scene::text,
    support::{Answer, Api, PASSWORD, PATIENCE, Person, Socket, api_on},
};

/// How many of these answers are 429, each with what a client needs to know.
fn refused(answers: &[Answer]) -> usize {
    let refusals = answers.iter().filter(|answer| answer.status == 429);
    refusals
        .inspect(|answer| {
            answer.refused(429, "rate_limited");
            let wait: u32 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
        })
        .count()
}

impl Api {
    async fn refresh_in_vain(&self, from: &str) -> u16 {
        let body = json!({"refreshToken": "used up"});
        let request = self.http.post(self.url("/api/auth/refresh")).header("x-forwarded-for", from).json(&body);
        self.send(request).await.status.as_u16()
    }

    async fn sign_in_wrongly(&self, from: Option<&str>) -> Answer {
        let body = json!({"email": "nobody@example.com", "password": "wrong horse"});
        let request = self.http.post(self.url("/api/auth/login")).json(&body);
        self.send(if let Some(from) = from { request.header("x-forwarded-for", from) } else { request }).await
    }
}

impl Person<'_> {
    async fn ask_from(&self, address: &str) -> u16 {
        let request = self.request(Method::GET, "/api/auth/me").header("x-forwarded-for", address);
        self.api.send(request).await.status.as_u16()
    }
}

/// Two api processes that count together.
async fn two(redis: &PrivateRedis, settings: &[(&str, &str)]) -> [Api; 2] {
    let database = TestDatabase::create().await;
    let url = redis.server.url();
    let mut all = vec![("REDIS_URL", url.as_str())];
    all.extend_from_slice(settings);
    let apis = [api_on(&database, Clock::System, &all).await, api_on(&database, Clock::System, &all).await];
    for api in &apis {
        api.until_redis_is("up").await;
    }
    apis
}

impl Api {
    async fn until_redis_is(&self, state: &str) {
        let begun = Instant::now();
        while self.anonymous(Method::GET, "/health/ready", None).await.json()["redis"] != state {
            assert!(begun.elapsed() < PATIENCE, "Redis is not {state}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_herd_over_two_processes_exactly_as_many_pass_as_may() {
    let redis = block_in_place(PrivateRedis::start);
    let apis = two(&redis, &[("RATE_LIMIT_USER", "25")]).await;
    let person = apis[0].register("Herd").await;
    let start = Barrier::new(80);
    let answers = join_all((0..80).map(|number| {
        let (start, api) = (&start, &apis[number % 2]);
        let request = api.http.get(api.url("/api/auth/me")).bearer_auth(&person.token);
        async move {
            start.wait().await;
            api.send(request).await
        }
    }));
    let answers = answers.await;
    assert_eq!(refused(&answers), 55);
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 25);
    // What was refused doesn't count, and the limit is forgotten a minute after the last that passed.
    let keys = redis.tell("KEYS hc:limit:*");
    let key = keys.lines().find(|line| line.starts_with("hc:limit:user:127.0.0.1:")).unwrap();
    assert!(redis.tell(&format!("LLEN {key}")).contains(":25"));
    let ttl = redis.tell(&format!("PTTL {key}"));
    let ttl: u32 = ttl.lines().find_map(|line| line.strip_prefix(':')).unwrap().parse().unwrap();
    assert!((50_000..=60_000).contains(&ttl), "{ttl}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_after_the_first_another_may_come() {
    let redis = block_in_place(PrivateRedis::start);
    let [api, _] = two(&redis, &[("RATE_LIMIT_ANON", "2")]).await;
    for _ in 0..2 {
        api.sign_in_wrongly(None).await.refused(401, "invalid_credentials");
    }
    assert_eq!(refused(&[api.sign_in_wrongly(None).await]), 1);
    // As if the first of the two had come 60 seconds ago, and the second 58.
    let now = redis.tell("TIME");
    let now: u64 = now.lines().find(|line| line.len() == 10).unwrap().parse().unwrap();
    let key = "hc:limit:anonymous:127.0.0.1";
    redis.tell(&format!("LSET {key} 0 {}", (now - 60) * 1000));
    redis.tell(&format!("LSET {key} 1 {}", (now - 58) * 1000));
    api.sign_in_wrongly(None).await.refused(401, "invalid_credentials");
    let early = api.sign_in_wrongly(None).await;
    assert_eq!(refused(std::slice::from_ref(&early)), 1);
    let wait: u32 = early.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(wait <= 2, "the second of them is about to leave the minute: {wait}");
}

#[tokio::test]
async fn nobody_uses_up_anybody_elses_limit() {
    let database = TestDatabase::create().await;
    let settings = [("RATE_LIMIT_ANON", "4"), ("RATE_LIMIT_USER", "3"), ("TRUSTED_PROXIES", "127.0.0.1")];
    let api = api_on(&database, Clock::System, &settings).await;
    let (casey, river) = (api.register("Casey").await, api.register("River").await);
    for expected in [200, 200, 200, 429, 429] {
        assert_eq!(casey.ask_from("198.51.100.1").await, expected);
    }
    assert_eq!(casey.ask_from("198.51.100.2").await, 200, "from another address");
    assert_eq!(river.ask_from("198.51.100.1").await, 200, "another user from the same");
    assert_eq!(casey.ask_from("1.1.1.1, 198.51.100.1").await, 429, "what a client writes doesn't count");
    assert_eq!(casey.ask_from("2001:db8:0:1::1").await, 200);
    assert_eq!(casey.ask_from("2001:db8:0:1::2").await, 200);
    assert_eq!(casey.ask_from("2001:db8:0:1:ffff::").await, 200);
    assert_eq!(casey.ask_from("2001:db8:0:1::3").await, 429, "a customer has a whole /64");

    // Those without a token, or with a bad one, share their address' limit, and nobody else's.
    let stranger = Person { token: "not.a.token".to_owned(), ..casey.clone() };
    for expected in [401, 401, 401, 429] {
        assert_eq!(stranger.ask_from("198.51.100.3").await, expected);
    }
    assert_eq!(casey.ask_from("198.51.100.3").await, 200);

    for expected in [401, 401, 401, 401, 429] {
        assert_eq!(api.sign_in_wrongly(Some("198.51.100.4")).await.status, expected);
    }
    assert_eq!(api.sign_in_wrongly(Some("198.51.100.5")).await.status, 401);
    let body = json!({"email": casey.email, "password": PASSWORD});
    let request = api.http.post(api.url("/api/auth/login")).header("x-forwarded-for", "198.51.100.4");
    let request = request.bearer_auth(&casey.token).json(&body);
    assert_eq!(api.send(request).await.status, 429, "a token doesn't help to guess passwords");

    // Neither who guesses passwords nor pages that ask with old tokens keep those of an address from refreshing theirs.
    for (from, expected) in [("198.51.100.4", [401, 401, 401, 429]), ("198.51.100.3", [401, 401, 401, 429])] {
        for expected in expected {
            assert_eq!(api.refresh_in_vain(from).await, expected, "from {from}");
        }
    }
}

#[tokio::test]
async fn addresses_that_clients_claim_count_only_through_a_trusted_proxy() {
    let api = api_on(&TestDatabase::create().await, Clock::System, &[("RATE_LIMIT_ANON", "2")]).await;
    for (number, expected) in [401, 401, 429].into_iter().enumerate() {
        assert_eq!(api.sign_in_wrongly(Some(&format!("198.51.100.{number}"))).await.status, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_each_process_goes_on_counting() {
    let mut redis = block_in_place(PrivateRedis::start);
    let apis = two(&redis, &[("RATE_LIMIT_ANON", "3"), ("TRUSTED_PROXIES", "127.0.0.1")]).await;
    assert_eq!(apis[0].sign_in_wrongly(None).await.status, 401);
    block_in_place(|| redis.server.stop()).unwrap();
    for api in &apis {
        let mut slowest = Duration::ZERO;
        for expected in [401, 401, 401, 429, 429] {
            let begun = Instant::now();
            assert_eq!(api.sign_in_wrongly(None).await.status, expected);
            slowest = slowest.max(begun.elapsed());
        }
        assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    }
    block_in_place(|| redis.server.restart()).unwrap();
    for (number, api) in apis.iter().enumerate() {
        let begun = Instant::now();
        let probe = format!("203.0.113.{number}");
        while !redis.tell("KEYS hc:limit:*").contains(&probe) {
            assert!(begun.elapsed() < PATIENCE, "Redis was not found again");
            api.sign_in_wrongly(Some(&probe)).await;
        }
    }
    // Together again, from nothing: Redis forgot with its process.
    let mut answers = Vec::new();
    for number in 0..5 {
        answers.push(apis[number % 2].sign_in_wrongly(None).await);
    }
    assert_eq!(refused(&answers), 2);
}

#[tokio::test]
async fn every_route_is_limited_but_those_for_operators() {
    let settings = [("RATE_LIMIT_ANON", "1"), ("RATE_LIMIT_USER", "1")];
    let api = api_on(&TestDatabase::create().await, Clock::System, &settings).await;
    let person = api.register("Only").await;
    assert_eq!(person.get("/api/auth/me").await.status, 200);
    api.refresh("used up").await.refused(401, "unauthenticated");
    for operation in operations(&document()) {
        let method: Method = operation.method.to_uppercase().parse().unwrap();
        let path = operation.path.replace("{userId}", &person.id).replace("{id}", &person.id);
        let mut request = person.request(method, &path).header("content-type", "application/json").body("{}");
        let is_socket = operation.responses().contains_key("101");
        if is_socket {
            request = request.header("upgrade", "websocket").header("connection", "upgrade");
        }
        let answer = api.send(request).await;
        if operation.body["tags"][0] == "Webhooks" {
            assert_ne!(answer.code(), "rate_limited", "{}", operation.name());
            assert!(!operation.responses().contains_key("429"), "{}", operation.name());
        } else if operation.body["tags"][0] == "Operation" {
            assert_eq!(answer.status, 200, "{}", operation.name());
            assert!(!operation.responses().contains_key("429"), "{}", operation.name());
        } else {
            assert_eq!(answer.code(), "rate_limited", "{}: {answer:?}", operation.name());
            assert!(operation.may_refuse(429, "rate_limited"), "{}", operation.name());
        }
    }
    for path in ["/", "/docs/", "/openapi.json", "/openapi.yaml", "/magic-link"] {
        assert_eq!(person.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn tickets_are_counted_before_the_database_is_asked() {
    let settings = [("RATE_LIMIT_USER", "3"), ("TRUSTED_PROXIES", "127.0.0.1")];
    let api = api_on(&TestDatabase::create().await, Clock::System, &settings).await;
    let person = api.register("Often").await;
    let ticket = text(&person.post("/api/ws/ticket", json!({})).await.ok(201)["ticket"]);
    let made_up = format!("{}{}", &ticket[..ticket.len() - 4], "AAAA");
    let door = async |ticket: &str, from: &str| {
        let request = api.http.get(api.url(&format!("/ws?token={ticket}"))).header("x-forwarded-for", from);
        let request = request.header("connection", "upgrade").header("upgrade", "websocket");
        let request =
            request.header("sec-websocket-version", "13").header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        request.send().await.unwrap().status().as_u16()
    };
    // One that was used counts for whom it was issued to, however often it comes.
    for expected in [101, 401, 401, 429] {
        assert_eq!(door(&ticket, "198.51.100.1").await, expected);
    }
    let lock = TableLock::take(&api.store, "socket_tickets").await;
    for (ticket, expected) in [(made_up.as_str(), 401), ("x", 401), ("", 401), ("x", 429)] {
        assert_eq!(door(ticket, "198.51.100.2").await, expected, "{ticket}");
    }
    lock.release().await;
}

#[tokio::test]
async fn opening_sockets_counts_and_what_they_say_does_not() {
    let settings = [("RATE_LIMIT_USER", "2")];
    let api = api_on(&TestDatabase::create().await, Clock::System, &settings).await;
    let person = api.register("Often").await;
    let mut socket = person.socket("/ws").await;
    for _ in 0..10 {
        socket.quiet().await;
    }
    drop(person.socket("/ws").await);
    let url = format!("ws://{}/ws?token={}", api.address, person.token);
    let Err(tokio_tungstenite::tungstenite::Error::Http(refusal)) = Socket::open(&url).await else {
        panic!("a third socket was opened")
    };
    assert_eq!(refusal.status(), 429);
    assert!(refusal.headers().contains_key("retry-after"));
}
