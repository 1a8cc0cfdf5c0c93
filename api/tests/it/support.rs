//! A whole api on a port of its own, people to use it, and sockets that remember what they heard.

use std::{fmt, net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use humanchat_api::{
    App, SocketLimits,
    server::{Caps, Server, Timeouts},
};
use humanchat_domain::{
    Store,
    clock::Clock,
    testing::{SignedIn, TestDatabase, lasting_token, noon},
};
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite};
use tokio_util::sync::CancellationToken;

pub const PASSWORD: &str = "correct horse battery";

/// How long anything that should happen may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// An api: one inside the test, or a process of its own.
pub struct Api {
    pub address: SocketAddr,
    /// Its database, with the clock it goes by.
    pub store: Store,
    /// Its inside, where it is inside the test.
    pub app: Option<App>,
    pub http: reqwest::Client,
}

/// An api with a clock that stands still at noon until a test moves it.
pub async fn api() -> Api {
    api_on(&TestDatabase::create().await, Clock::manual(noon()), &[]).await
}

/// An api on a given database, clock and settings. Several on one database are several processes,
/// as far as they can tell.
pub async fn api_on(database: &TestDatabase, clock: Clock, settings: &[(&str, &str)]) -> Api {
    api_with(database, clock, settings, SocketLimits::default()).await
}

/// The same, with sockets that are held to other limits.
pub async fn api_with(database: &TestDatabase, clock: Clock, settings: &[(&str, &str)], limits: SocketLimits) -> Api {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    api_at(listener, database, clock, settings, Bounds { sockets: limits, ..Bounds::default() }).await
}

/// What an api puts up with.
#[derive(Default)]
pub struct Bounds {
    pub timeouts: Timeouts,
    pub caps: Caps,
    pub sockets: SocketLimits,
}

/// An api that listens where it is told to, and puts up with clients as told.
pub async fn api_at(
    listener: TcpListener,
    database: &TestDatabase,
    clock: Clock,
    settings: &[(&str, &str)],
    bounds: Bounds,
) -> Api {
    rustls::crypto::ring::default_provider().install_default().ok();
    let address = listener.local_addr().unwrap();
    let public_url = format!("http://{address}");
    let mut all = vec![("PUBLIC_URL", public_url.as_str())];
    all.extend_from_slice(settings);
    let store = database.store_with(clock, &all);
    let app = App::start_with(store.clone(), bounds.sockets).unwrap();
    let router = humanchat_api::router(app.clone()).unwrap();
    let server = Server { router, timeouts: bounds.timeouts, caps: bounds.caps };
    tokio::spawn(server.serve(listener, CancellationToken::new()));
    Api { address, store, app: Some(app), http: reqwest::Client::new() }
}

/// An answer, read to its end.
#[derive(Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.text)
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The body, after checking the status.
    #[track_caller]
    pub fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// Checks status, code and envelope; returns the details.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        assert_eq!((self.status.as_u16(), self.code().as_str()), (status, code), "{self:?}");
        let error = &self.json()["error"];
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{self:?}");
        assert!(error["details"].is_object(), "{self:?}");
        error["details"].clone()
    }
}

impl Api {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer, whatever was sent");
        let (status, headers) = (response.status(), response.headers().clone());
        assert!(headers.contains_key("x-request-id"), "every answer has an id");
        Answer { status, headers, text: response.text().await.expect("a whole body") }
    }

    pub async fn anonymous(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = self.http.request(method, self.url(path));
        self.send(if let Some(body) = body { request.json(&body) } else { request }).await
    }

    pub async fn register(&self, name: &str) -> Person<'_> {
        let email = format!("{}-{}@example.com", name.to_lowercase(), uuid::Uuid::now_v7().simple());
        let body = json!({"name": name, "email": email, "password": PASSWORD});
        let auth = self.anonymous(Method::POST, "/api/auth/register", Some(body)).await.ok(201);
        Person::of(self, &auth)
    }
}

/// A signed-in person.
#[derive(Clone)]
pub struct Person<'a> {
    pub api: &'a Api,
    pub id: String,
    pub email: String,
    pub token: String,
    pub refresh_token: String,
}

impl<'a> Person<'a> {
    pub fn of(api: &'a Api, auth: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            api,
            id: text(&auth["user"]["id"]),
            email: text(&auth["user"]["email"]),
            token: text(&auth["token"]),
            refresh_token: text(&auth["refreshToken"]),
        }
    }

    /// Somebody who was signed in behind the curtain.
    pub fn signed_in(api: &'a Api, person: &SignedIn) -> Self {
        let (email, refresh_token) = (String::new(), String::new());
        Self { api, id: person.user_id.to_string(), email, token: person.token.clone(), refresh_token }
    }

    /// The same person, whose token outlasts the days a test lets pass.
    #[must_use]
    pub fn staying(self) -> Self {
        let token = lasting_token(&self.api.store, &self.token);
        Self { token, ..self }
    }

    /// The same person at another api process.
    pub fn at<'b>(&self, api: &'b Api) -> Person<'b> {
        Person {
            api,
            id: self.id.clone(),
            email: self.email.clone(),
            token: self.token.clone(),
            refresh_token: self.refresh_token.clone(),
        }
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.api.http.request(method, self.api.url(path)).bearer_auth(&self.token)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.api.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.api.send(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.api.send(self.request(Method::PATCH, path).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.api.send(self.request(Method::PUT, path).json(&body)).await
    }

    /// Posts with an `Idempotency-Key`.
    pub async fn post_once(&self, path: &str, key: &str, body: Value) -> Answer {
        self.api.send(self.request(Method::POST, path).header("Idempotency-Key", key).json(&body)).await
    }

    pub async fn socket(&self, path: &str) -> Socket {
        let separator = if path.contains('?') { '&' } else { '?' };
        let url = format!("ws://{}{path}{separator}token={}", self.api.address, self.token);
        let mut socket = Socket::open(&url).await.expect("the socket opens");
        let ready = socket.next().await;
        assert_eq!(ready["type"], "ready", "{ready}");
        socket
    }
}

/// A client's socket.
pub struct Socket {
    pub stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    pub async fn open(url: &str) -> Result<Self, tungstenite::Error> {
        let (stream, _) = tokio_tungstenite::connect_async(url).await?;
        Ok(Self { stream })
    }

    pub async fn say(&mut self, frame: Value) {
        self.stream.send(tungstenite::Message::text(frame.to_string())).await.expect("the frame is sent");
    }

    pub async fn say_text(&mut self, text: &str) {
        self.stream.send(tungstenite::Message::text(text)).await.expect("the frame is sent");
    }

    /// The next frame of any kind.
    pub async fn next(&mut self) -> Value {
        match self.next_or_close().await {
            Ok(frame) => frame,
            Err(code) => panic!("the socket was closed with {code:?}"),
        }
    }

    /// The next frame, or the code the server closed with.
    pub async fn next_or_close(&mut self) -> Result<Value, Option<u16>> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("a frame in time");
            match message {
                Some(Ok(tungstenite::Message::Text(text))) => {
                    return Ok(serde_json::from_str(&text).expect("frames are JSON"));
                }
                Some(Ok(tungstenite::Message::Close(frame))) => {
                    // Sends the answer, as browsers do at once.
                    self.stream.flush().await.ok();
                    return Err(frame.map(|frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// The next frame that isn't about a notification.
    pub async fn next_deed(&mut self) -> Value {
        loop {
            let frame = self.next().await;
            if !frame["type"].as_str().unwrap_or_default().starts_with("notification.") {
                return frame;
            }
        }
    }

    /// The next frame of a type; others before it are dropped.
    pub async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// Waits for the close; returns its code.
    pub async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Err(code) = self.next_or_close().await {
                return code;
            }
        }
    }

    /// Asserts that nothing more has been sent: a ping is answered before anything else arrives.
    pub async fn quiet(&mut self) {
        self.say(json!({"type": "ping"})).await;
        let frame = self.next().await;
        assert_eq!(frame["type"], "pong", "unexpected {frame}");
    }

    pub async fn subscribe(&mut self, channel: &str) -> Value {
        self.say(json!({"type": "subscribe", "channel": channel})).await;
        self.next_of("subscribed").await
    }
}
