//! What people write, and what proves who they are, is nowhere but where it belongs: not in logs,
//! jobs, measurements, traces or Redis, even when much goes wrong.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex},
};

use humanchat_domain::testing::queue_in_words;
use humanchat_local::free_port;
use reqwest::Method;
use serde_json::json;

use super::{collector::Collector, smtp::MailServer, stage::Stage};
use crate::{
    attendance::settled,
    payments::{Till, settings_of, simulator},
    redis::PrivateRedis,
    sam::gemini::{Gemini, KEY, Move},
    scene::{eventually, text},
    support::{PASSWORD, Person},
};

/// Stands in everything that a person writes.
const WORDS: &str = "canary-words";
const WRONG_PASSWORD: &str = "canary-wrong-password";
const CARD: &str = "4242424242424242";

impl PrivateRedis {
    /// Keeps every command that Redis is given from now on.
    fn watch(&self) -> Arc<Mutex<Vec<u8>>> {
        let url = url::Url::parse(&self.server.url()).unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", self.server.port())).unwrap();
        write!(stream, "AUTH {}\r\nMONITOR\r\n", url.password().unwrap()).unwrap();
        let seen = Arc::<Mutex<Vec<u8>>>::default();
        let kept = seen.clone();
        std::thread::spawn(move || {
            let mut piece = vec![0; 65_536];
            while let Ok(length @ 1..) = stream.read(&mut piece) {
                kept.lock().unwrap().extend_from_slice(&piece[..length]);
            }
        });
        seen
    }

    /// Everything that is kept in it, keys and values.
    fn kept(&self) -> String {
        let keys = self.tell("KEYS *");
        let names: Vec<_> = keys.lines().filter(|line| !line.starts_with(['+', '*', '$'])).collect();
        let dumps: Vec<_> = names.iter().map(|name| self.tell(&format!("TYPE {name}\r\nZRANGE {name} 0 -1"))).collect();
        keys + &dumps.concat()
    }
}

/// Fails when any of these is in there. `sign` is what has to be, or it would prove nothing.
#[track_caller]
fn free_of(place: &str, content: &str, sign: &str, secrets: &[&str]) {
    assert!(content.contains(sign), "{sign} is not in {place}");
    for secret in secrets {
        let found = content.lines().find(|line| line.contains(secret));
        assert!(found.is_none(), "{secret} is in {place}: {found:?}");
    }
}

/// Says a lot, some of it at the wrong place.
async fn write_everywhere(till: &Till, [ada, bob]: [&Person<'_>; 2], gemini: &Gemini) -> Vec<String> {
    let api = &till.api;
    let _sockets = (ada.socket("/ws").await, bob.socket("/ws").await);
    settled(api, 2).await;
    let me = json!({"name": format!("Ada {WORDS}"), "bio": WORDS, "headline": WORDS});
    ada.patch("/api/users/me", me).await.ok(200);
    let conversation = ada.conversation_with(bob).await;
    ada.say(&conversation, WORDS).await.ok(201);
    ada.post("/api/requests", json!({"targetUserId": bob.id, "message": WORDS})).await.ok(201);
    bob.get(&format!("/api/users?search={WORDS}")).await.ok(200);

    // What is wrong is told to who sent it, and to nobody else.
    let login = json!({"email": ada.email, "password": WRONG_PASSWORD});
    api.anonymous(Method::POST, "/api/auth/login", Some(login)).await.refused(401, "invalid_credentials");
    let odd = json!({"email": ada.email, "password": [WRONG_PASSWORD], WORDS: 1});
    api.anonymous(Method::POST, "/api/auth/login", Some(odd)).await;
    ada.post("/api/payments/donation", json!({"amount": WORDS})).await;
    ada.get(&format!("/api/sessions?cursor={WORDS}")).await;
    let forged = api.http.get(api.url("/api/auth/me")).bearer_auth(format!("{}x", ada.token));
    api.send(forged).await.refused(401, "unauthenticated");

    let link = json!({"email": ada.email});
    api.anonymous(Method::POST, "/api/auth/magic-link", Some(link)).await.ok(202);
    let ticket = ada.post("/api/ws/ticket", json!({})).await.ok(201);

    gemini.will([Move::reply(WORDS, &json!([])), Move::Status(500)]);
    for _ in 0..2 {
        ada.post("/api/sam", json!({"message": WORDS})).await;
    }

    let donation = json!({"amount": 500, "message": WORDS});
    let donation = ada.post("/api/payments/donation", donation).await.ok(201);
    till.pay_checkout(&donation).await;
    let session = till.agreed(ada, bob).await;
    let opened = ada.pay_session(&session, "create").await.ok(201);
    till.authorise(&opened).await;
    eventually("the authorisation", async || {
        (ada.payment(&opened["payment"]).await["status"] == "authorized").then_some(())
    })
    .await;
    vec![text(&ticket["ticket"]), text(&opened["clientSecret"])]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_private_is_in_no_log_job_measurement_trace_or_redis() {
    let (collector, address) = Collector::start().await;
    // Mail fails at first: errors talk the most.
    let mail = MailServer::start(&["451 4.2.1"; 2]).await;
    let gemini = Gemini::start().await;
    let simulator = simulator().await;
    let redis = tokio::task::block_in_place(PrivateRedis::start);
    let (redis_url, collector_url) = (redis.server.url(), format!("http://{address}"));
    let smtp_url = format!("smtp://{}", mail.address);
    let own = [
        ("REDIS_URL", redis_url.as_str()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector_url),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("SMTP_URL", &smtp_url),
        ("LOG_LEVEL", "info,humanchat_api=trace,humanchat_domain=trace,humanchat_worker=trace"),
        ("RATE_LIMIT_ANON", "1000"),
        ("RATE_LIMIT_USER", "1000"),
    ];
    let stage = Stage::with(&[&settings_of(&simulator)[..], &gemini.settings(), &own].concat()).await;
    let (program, api) = stage.api(&[]).await;
    api.has_redis().await;
    let seen_by_redis = redis.watch();
    let till = Till::of(api, simulator).await;
    let api = &till.api;
    let address = format!("127.0.0.1:{}", free_port().unwrap());
    let mut worker = stage.worker(&[("METRICS_ADDR", &address)]).await;

    let (ada, bob) = (api.register("Ada").await, api.register("Bob").await);
    let secrets = write_everywhere(&till, [&ada, &bob], &gemini).await;
    eventually("the link", async || mail.mails().iter().any(|mail| mail.body().contains("#token=")).then_some(()))
        .await;
    let link =
        mail.mails().iter().find_map(|mail| Some(mail.body().split_once("#token=")?.1.trim().to_owned())).unwrap();

    let mut private: Vec<&str> = secrets.iter().map(String::as_str).collect();
    let own = [ada.token.as_str(), &ada.refresh_token, &ada.email, &bob.email, &link];
    private.extend(own);
    private.extend([PASSWORD, WRONG_PASSWORD, KEY, CARD, "sk_test_of_the_tests", super::stage::SECRET]);
    let commands = String::from_utf8_lossy(&seen_by_redis.lock().unwrap()).into_owned();
    free_of("what Redis was told", &commands, WORDS, &private);

    // Events pass through Redis, with what is to be shown; nothing of it stays there.
    private.push(WORDS);
    free_of("Redis", &redis.kept(), "hc:limit", &private);
    free_of("the queue", &queue_in_words(&till.api.store).await, "run_sam", &private);
    let measured = api.anonymous(Method::GET, "/metrics", None).await.text;
    free_of("the api's measurements", &measured, "/api/sam", &private);
    let measured = api.http.get(format!("http://{address}/metrics")).send().await.unwrap().text().await.unwrap();
    free_of("the worker's measurements", &measured, "run_sam", &private);
    worker.terminate();
    worker.ended().await;
    free_of("the api's log", &program.log(), "/api/sam", &private);
    free_of("the worker's log", &worker.log(), "run_sam", &private);
    free_of("traces", &String::from_utf8_lossy(&collector.bytes()), "POST /api/sam", &private);
}
