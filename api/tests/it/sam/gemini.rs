//! A local server that speaks Gemini's protocol: it says what a test wrote down for it, one move a turn.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub const KEY: &str = "a-key-of-the-tests";

/// What the model does in a turn.
#[derive(Debug, Clone)]
pub enum Move {
    /// Says a text, in chunks that end anywhere.
    Say(String),
    /// Calls functions, with a signature that has to come back.
    Call(Vec<(&'static str, Value)>),
    /// Ends for a reason, after a part of an answer.
    Finish(&'static str),
    /// Won't read the prompt.
    Block,
    /// Answers with a status.
    Status(u16),
    /// Sends bytes as they are.
    Raw(&'static str),
    /// Sends five megabytes.
    Flood,
    /// Never answers.
    Hang,
    /// Sends a byte now and then.
    Drip,
    /// Breaks off in the middle.
    Break,
}

impl Move {
    /// An answer as it should be.
    pub fn reply(text: &str, actions: &Value) -> Self {
        // The text comes first, whatever order a map has.
        Self::Say(format!("{{\"text\": {}, \"actions\": {actions}}}", json!(text)))
    }

    pub fn search(words: &str) -> Self {
        Self::Call(vec![("search_people", json!({"words": words}))])
    }
}

#[derive(Default)]
struct Play {
    moves: Mutex<VecDeque<Move>>,
    turns: Mutex<Vec<Value>>,
}

/// The server.
#[derive(Clone)]
pub struct Gemini {
    pub url: String,
    play: Arc<Play>,
}

impl Gemini {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let play = Arc::<Play>::default();
        let routes = Router::new().fallback(post(turn)).with_state(play.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, play }
    }

    pub fn settings(&self) -> [(&str, &str); 3] {
        [("GEMINI_API_KEY", KEY), ("GEMINI_API_BASE", &self.url), ("GEMINI_TIMEOUT_SECS", "2")]
    }

    /// What comes next.
    pub fn will(&self, moves: impl IntoIterator<Item = Move>) {
        *self.play.moves.lock().unwrap() = moves.into_iter().collect();
        self.play.turns.lock().unwrap().clear();
    }

    /// The bodies it was sent since it was last told what to do.
    pub fn turns(&self) -> Vec<Value> {
        self.play.turns.lock().unwrap().clone()
    }
}

async fn turn(State(play): State<Arc<Play>>, uri: Uri, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    assert_eq!(uri.to_string(), "/v1beta/models/gemini-flash-latest:streamGenerateContent?alt=sse");
    assert_eq!(headers["x-goog-api-key"], KEY);
    play.turns.lock().unwrap().push(body);
    let next = play.moves.lock().unwrap().pop_front().expect("the script goes on");
    match next {
        Move::Status(status) => {
            let error = json!({"error": {"code": status, "message": "no", "status": "X"}});
            (StatusCode::from_u16(status).unwrap(), Json(error)).into_response()
        }
        Move::Hang => std::future::pending().await,
        Move::Raw(text) => events(vec![text.to_owned()]),
        Move::Flood => events(vec![event(&json!([{"text": "x".repeat(50_000)}]), None); 100]),
        Move::Drip => {
            let bytes = stream::unfold(0, |at| async move {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Some((Ok::<_, Infallible>(Bytes::from_static(b":")), at + 1))
            });
            sse(Body::from_stream(bytes))
        }
        Move::Block => events(vec![format!("data: {}\n\n", json!({"promptFeedback": {"blockReason": "SAFETY"}}))]),
        Move::Finish(reason) => {
            let parts = json!([{"text": "{\"text\": \"Half an ans"}]);
            events(vec![event(&parts, None), event(&json!([]), Some(reason))])
        }
        Move::Break => events(vec![event(&json!([{"text": "{\"text\": \"Half"}]), None)]),
        Move::Call(calls) => {
            let part = |(name, args): (&str, Value)| json!({"functionCall": {"name": name, "args": args}, "thoughtSignature": format!("signature of {name}")});
            events(vec![event(&calls.into_iter().map(part).collect(), Some("STOP"))])
        }
        Move::Say(text) => {
            let letters: Vec<_> = text.chars().collect();
            let parts = letters.chunks(7).map(|chunk| json!([{"text": chunk.iter().collect::<String>()}]));
            let mut chunks: Vec<_> = parts.map(|parts| event(&parts, None)).collect();
            chunks.push(event(&json!([]), Some("STOP")));
            events(chunks)
        }
    }
}

fn event(parts: &Value, finish: Option<&str>) -> String {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
    if let Some(reason) = finish {
        candidate["finishReason"] = json!(reason);
    }
    let usage = json!({"promptTokenCount": 1000, "candidatesTokenCount": 100, "thoughtsTokenCount": 20, "totalTokenCount": 1120});
    format!("data: {}\r\n\r\n", json!({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "test"}))
}

fn events(events: Vec<String>) -> Response {
    sse(Body::from_stream(stream::iter(events).map(Ok::<_, Infallible>)))
}

fn sse(body: Body) -> Response {
    ([(CONTENT_TYPE, "text/event-stream")], body).into_response()
}
