//! Who may open a socket, where and with what.

use std::time::{Duration, Instant};

use futures_util::{
    FutureExt,
    future::{join_all, select_all},
};
use humanchat_api::SocketLimits;
use humanchat_domain::{
    auth::Role,
    clock::Clock,
    testing::{Flags, TestDatabase, noon, set_flags},
    users,
};
use reqwest::{Method, header::HeaderValue};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, handshake::client::Request};

use super::{CATCH_UP, apis_with_redis, apis_without_redis, open, opening, refusal, within};
use crate::{
    scene::{at_once, id, text},
    support::{Api, Person, Socket, api, api_on, api_with},
};

fn with_header(mut request: Request, name: &'static str, value: &str) -> Request {
    request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
    request
}

fn doors(person: &Person<'_>) -> [String; 3] {
    ["/".to_owned(), "/ws".to_owned(), format!("/notifications/{}", person.id)]
}

async fn ticket(person: &Person<'_>) -> String {
    text(&person.post("/api/ws/ticket", json!({})).await.ok(201)["ticket"])
}

#[tokio::test]
async fn each_door_leads_to_a_socket() {
    let api = api().await;
    let ada = api.register("Ada").await;
    for door in doors(&ada) {
        let mut socket = Socket::open(&format!("ws://{}{door}?token={}", api.address, ada.token)).await.unwrap();
        let ready = socket.next().await;
        assert_eq!((&ready["type"], &ready["payload"]["userId"]), (&json!("ready"), &json!(ada.id)));
        assert_eq!(ready["timestamp"], noon().timestamp_millis());
        if door.starts_with("/notifications") {
            let subscribed = socket.next().await;
            let payload = json!({"channel": format!("notifications:{}", ada.id), "seq": 0, "recovered": true});
            assert_eq!((&subscribed["type"], &subscribed["payload"]), (&json!("subscribed"), &payload));
        }
        socket.quiet().await;
    }
}

#[tokio::test]
async fn without_an_upgrade_there_is_a_welcome_or_a_plain_refusal() {
    let api = api().await;
    let ada = api.register("Ada").await;
    assert_eq!(api.anonymous(Method::GET, "/", None).await.ok(200)["name"], "HumanChat");
    ada.get("/ws").await.refused(400, "malformed_request");
    api.anonymous(Method::GET, "/ws", None).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn bad_tokens_are_refused_before_the_upgrade() {
    let api = api().await;
    let ada = api.register("Ada").await;
    let forged = format!("{}x", ada.token);
    for door in doors(&ada) {
        for query in
            [String::new(), "?token=".into(), "?token=x".into(), "?token=a.b.c".into(), format!("?token={forged}")]
        {
            let refused = refusal(opening(&api, &format!("{door}{query}"))).await;
            assert_eq!(refused, (401, "unauthenticated".into()), "{door}{query}");
        }
    }
    api.advance(Duration::from_mins(15));
    for door in doors(&ada) {
        let refused = refusal(opening(&api, &format!("{door}?token={}", ada.token))).await;
        assert_eq!(refused, (401, "token_expired".into()), "{door}");
    }
}

#[tokio::test]
async fn a_token_may_come_as_a_header() {
    let api = api().await;
    let ada = api.register("Ada").await;
    for door in doors(&ada) {
        let header = format!("bearer {}", ada.token);
        let mut socket = open(with_header(opening(&api, &door), "authorization", &header)).await.unwrap();
        assert_eq!(socket.next().await["type"], "ready");
        for bad in ["Bearer x.y.z", "Basic YTpi", "Bearer"] {
            let refused = refusal(with_header(opening(&api, &door), "authorization", bad)).await;
            assert_eq!(refused, (401, "unauthenticated".into()), "{door} {bad}");
        }
    }
}

#[tokio::test]
async fn pages_of_foreign_origins_open_no_sockets() {
    let settings =
        [("PUBLIC_URL", "https://talk.example"), ("ALLOWED_ORIGINS", "https://app.example, http://a.test:81")];
    let api = api_on(&TestDatabase::create().await, Clock::manual(noon()), &settings).await;
    let ada = api.register("Ada").await;
    let path = format!("/ws?token={}", ada.token);
    let own = format!("http://{}", api.address);
    for origin in ["https://app.example", "http://a.test:81", "https://talk.example", "https://talk.example:443", &own]
    {
        let opened = open(with_header(opening(&api, &path), "origin", origin)).await;
        assert_eq!(opened.unwrap().next().await["type"], "ready", "{origin}");
    }
    let foreign = [
        "https://evil.example",
        "http://app.example",
        "https://app.example:444",
        "http://a.test",
        "https://app.example.evil.example",
        "null",
        "",
        "app.example",
        "file://",
    ];
    for origin in foreign {
        let refused = refusal(with_header(opening(&api, &path), "origin", origin)).await;
        assert_eq!(refused, (403, "forbidden".into()), "{origin:?}");
    }
}

#[tokio::test]
async fn nobody_opens_the_notifications_of_others() {
    let api = api().await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    for whose in [ben.id.as_str(), "user_01jd8t6ze5fkxrv8q3w2m9n7ab", "somebody"] {
        let path = format!("/notifications/{whose}?token={}", ada.token);
        assert_eq!(refusal(opening(&api, &path)).await, (404, "resource_not_found".into()), "{whose}");
    }
}

#[tokio::test]
async fn a_ticket_opens_one_socket_within_a_minute() {
    let api = api().await;
    let ada = api.register("Ada").await;
    let path = |ticket: &str| format!("/notifications/{}?token={ticket}", ada.id);
    let (used, late) = (ticket(&ada).await, ticket(&ada).await);
    api.advance(Duration::from_secs(59));
    assert_eq!(open(opening(&api, &path(&used))).await.unwrap().next().await["type"], "ready");
    assert_eq!(refusal(opening(&api, &path(&used))).await, (401, "unauthenticated".into()));
    api.advance(Duration::from_secs(1));
    assert_eq!(refusal(opening(&api, &path(&late))).await, (401, "unauthenticated".into()));
}

#[tokio::test]
async fn of_many_who_use_a_ticket_at_once_one_gets_in() {
    let apis = apis_without_redis(2).await;
    let ada = apis[0].register("Ada").await;
    for _ in 0..5 {
        let path = format!("/ws?token={}", ticket(&ada).await);
        let tries = (0..6).map(|n| open(opening(&apis[n % 2], &path)).boxed());
        let opened = at_once(tries).await.into_iter().flatten().count();
        assert_eq!(opened, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_would_wait_too_long_is_told_before_the_upgrade_when_to_come_back() {
    let database = TestDatabase::create().await;
    let limits = SocketLimits { opening: 1, line: 1, longest_wait: Duration::from_secs(1), ..SocketLimits::default() };
    let api = api_with(&database, Clock::manual(noon()), &[], limits).await;
    let ada = api.register("Ada").await;
    let path = format!("/ws?token={}", ada.token);
    // Whoever comes isn't present, and so not open, before this lets go of her row.
    let mut tx = api.store.begin(None).await.unwrap();
    users::set_role(&mut tx, id(&ada.id), Role::User).await.unwrap();
    let mut admitted = open(opening(&api, &path)).await.unwrap();
    let mut waited = join_all((0..2).map(async |_| {
        let began = Instant::now();
        let Err(tungstenite::Error::Http(refused)) = open(opening(&api, &path)).await else { panic!("admitted") };
        assert_eq!(refused.status(), 503);
        let secs: u32 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((2..=12).contains(&secs), "{secs}");
        let body: Value = serde_json::from_slice(refused.body().as_deref().unwrap()).unwrap();
        assert_eq!(body["error"]["code"], "service_unavailable");
        began.elapsed()
    }))
    .await;
    waited.sort();
    // One waited in line; the other found no place in it.
    assert!(waited[0] < limits.longest_wait && waited[1] >= limits.longest_wait, "{waited:?}");
    tx.commit().await.unwrap();
    assert_eq!(admitted.next().await["type"], "ready");
    ada.socket("/ws").await;
}

#[tokio::test]
async fn a_ticket_ends_with_its_login() {
    let api = api().await;
    let ada = api.register("Ada").await;
    let ticket = ticket(&ada).await;
    ada.post("/api/auth/logout", json!({})).await.ok(204);
    assert_eq!(refusal(opening(&api, &format!("/ws?token={ticket}"))).await, (401, "unauthenticated".into()));
}

#[tokio::test]
async fn a_second_socket_of_a_tab_closes_the_first() {
    let api = api().await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let mut first = ada.socket("/ws?tab=one").await;
    let mut others = [ada.socket("/ws?tab=two").await, ada.socket("/ws").await, ben.socket("/ws?tab=one").await];
    let mut second = ada.socket(&format!("/notifications/{}?tab=one", ada.id)).await;
    assert_eq!(first.closed().await, Some(4001));
    assert_eq!(second.next().await["type"], "subscribed");
    second.quiet().await;
    for other in &mut others {
        other.quiet().await;
    }
    let path = format!("/ws?tab={}&token={}", "x".repeat(129), ada.token);
    assert_eq!(refusal(opening(&api, &path)).await, (400, "malformed_request".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sockets_that_one_tab_opens_at_once_one_stays() {
    let apis = apis_with_redis(2).await;
    let ada = apis[0].register("Ada").await;
    let people = [ada.clone(), ada.at(&apis[1])];
    for round in 0..8 {
        let sockets = at_once((0..4).map(|n| people[n % 2].socket_or_close(round).boxed())).await;
        let mut sockets: Vec<_> = sockets.into_iter().flatten().collect();
        // The news from the other process may still be on its way.
        while sockets.len() > 1 {
            let closings = sockets.iter_mut().map(|socket| socket.next_or_close().boxed());
            let (closed, index, _) = select_all(closings).await;
            assert_eq!(closed, Err(Some(4001)), "in round {round}");
            sockets.remove(index);
        }
        sockets.pop().expect("one stays").quiet().await;
    }
}

#[tokio::test]
async fn a_second_socket_of_a_tab_closes_the_first_in_another_process() {
    let apis = apis_with_redis(2).await;
    let ada = apis[0].register("Ada").await;
    let mut first = ada.socket("/ws?tab=one").await;
    let mut other = ada.socket("/ws?tab=two").await;
    let mut second = ada.at(&apis[1]).socket("/ws?tab=one").await;
    assert_eq!(first.closed().await, Some(4001));
    let mut third = ada.socket("/ws?tab=one").await;
    assert_eq!(second.closed().await, Some(4001));
    for socket in [&mut other, &mut third] {
        socket.quiet().await;
    }
}

impl Person<'_> {
    /// A socket of a tab that others fight for; `None` where it lost before it was ready.
    pub(super) async fn socket_or_close(&self, tab: usize) -> Option<Socket> {
        let path = format!("/ws?tab={tab}&token={}", self.token);
        let mut socket = open(opening(self.api, &path)).await.unwrap();
        socket.next_or_close().await.is_ok().then_some(socket)
    }
}

async fn two_logins(api: &Api) -> (Person<'_>, Person<'_>) {
    let one = api.register("Ada").await;
    let body = json!({"email": one.email, "password": crate::support::PASSWORD});
    let auth = api.anonymous(Method::POST, "/api/auth/login", Some(body)).await.ok(200);
    let other = Person::of(api, &auth);
    (one, other)
}

#[tokio::test]
async fn a_logout_ends_the_sockets_of_that_login_everywhere() {
    let apis = apis_without_redis(2).await;
    let (leaving, staying) = two_logins(&apis[0]).await;
    let mut here = leaving.socket("/ws").await;
    let mut there = leaving.at(&apis[1]).socket("/ws").await;
    let mut other = staying.socket("/ws").await;
    leaving.post("/api/auth/logout", json!({})).await.ok(204);
    within(CATCH_UP, async {
        assert_eq!(here.closed().await, Some(4003));
        assert_eq!(there.closed().await, Some(4003));
    })
    .await;
    other.quiet().await;
    assert_eq!(refusal(opening(&apis[0], &format!("/ws?token={}", leaving.token))).await.0, 401);
}

#[tokio::test]
async fn a_suspension_ends_the_sockets_of_the_suspended() {
    let api = api().await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let (mut suspended, mut other) = (ada.socket("/ws").await, ben.socket("/ws").await);
    set_flags(&api.store, id(&ada.id), Flags { suspended: true, ..Flags::default() }).await;
    within(CATCH_UP, async { assert_eq!(suspended.closed().await, Some(4003)) }).await;
    other.quiet().await;
}
