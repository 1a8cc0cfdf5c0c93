//! Gemini's REST interface, as much of it as Sam needs: one streamed turn of a conversation.
//!
//! Shapes: <https://ai.google.dev/api/generate-content>. What a failure says of the request is never
//! kept: it may hold what people wrote.

use std::time::Duration;

use eventsource_stream::Eventsource;
use futures_util::{Stream, StreamExt};
use reqwest::{StatusCode, header::HeaderValue, redirect};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::Failure;
use crate::{
    config::{self, GeminiSettings, SettingError},
    providers,
};

/// The most that one turn may send, framing included.
const MAX_BYTES: usize = 1 << 20;
const CONNECTING: Duration = Duration::from_secs(3);

/// The model's end of the line.
#[derive(Debug, Clone)]
pub(crate) struct Gemini {
    http: reqwest::Client,
    url: Url,
    key: HeaderValue,
    input_cents: u32,
    output_cents: u32,
}

/// What turns have cost.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Usage {
    pub calls: i32,
    /// Those that said what they took.
    counted: i32,
    pub input_tokens: i64,
    pub output_tokens: i64,
    /// Millionths of a US dollar.
    pub cost_micros: i64,
}

impl Usage {
    /// Whether every turn said what it took.
    pub(super) fn is_counted(&self) -> bool {
        self.counted == self.calls
    }

    /// This, or the other where that is more.
    pub(super) fn at_least(self, other: &Self) -> Self {
        Self {
            input_tokens: self.input_tokens.max(other.input_tokens),
            output_tokens: self.output_tokens.max(other.output_tokens),
            cost_micros: self.cost_micros.max(other.cost_micros),
            ..self
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk {
    #[serde(default)]
    candidates: Vec<Candidate>,
    prompt_feedback: Option<PromptFeedback>,
    usage_metadata: Option<UsageMetadata>,
    error: Option<ChunkError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    content: Option<Content>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    parts: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    block_reason: Option<String>,
}

/// Counts so far: each replaces the one before.
#[derive(Deserialize, Default)]
#[serde(default)]
struct UsageMetadata {
    #[serde(rename = "promptTokenCount")]
    prompt: u32,
    #[serde(rename = "candidatesTokenCount")]
    answer: u32,
    #[serde(rename = "thoughtsTokenCount")]
    thoughts: u32,
}

#[derive(Deserialize)]
struct ChunkError {
    code: u16,
}

impl Gemini {
    /// # Errors
    /// When the settings can't be used.
    pub(crate) fn new(settings: &GeminiSettings) -> Result<Self, SettingError> {
        let http = reqwest::Client::builder().connect_timeout(CONNECTING).redirect(redirect::Policy::none()).build();
        let http = http.map_err(|error| config::unusable("GEMINI_API_BASE", error))?;
        let path = format!("v1beta/models/{}:streamGenerateContent?alt=sse", settings.model);
        let url = settings.api_base.join(&path).map_err(|error| config::unusable("GEMINI_MODEL", error))?;
        let key = HeaderValue::from_str(settings.api_key.expose_secret());
        let mut key = key.map_err(|error| config::unusable("GEMINI_API_KEY", error))?;
        key.set_sensitive(true);
        let (input_cents, output_cents) = (settings.input_cents, settings.output_cents);
        Ok(Self { http, url, key, input_cents, output_cents })
    }

    /// Takes one turn: returns the parts of the model's content, as they have to be sent back with the
    /// next turn (`thoughtSignature` and all). `hear` is given text as it comes.
    ///
    /// # Errors
    /// Every failure but slowness, which is the caller's clock's to notice.
    pub(super) async fn turn(
        &self,
        body: &Value,
        usage: &mut Usage,
        mut hear: impl FnMut(&str) + Send,
    ) -> Result<Vec<Value>, Failure> {
        usage.calls += 1;
        let turn = self.ask(body, usage, &mut hear);
        providers::call("gemini", "turn", |failure| outcome(*failure), turn).await
    }

    async fn ask(&self, body: &Value, usage: &mut Usage, hear: &mut impl FnMut(&str)) -> Result<Vec<Value>, Failure> {
        let request = self.http.post(self.url.clone()).header("x-goog-api-key", self.key.clone()).json(body);
        let response = request.send().await.map_err(|error| down(&error))?;
        if response.status() != StatusCode::OK {
            return Err(refused_by_status(response.status()));
        }
        // Counted as they come: who is interrupted has used them too.
        let before = *usage;
        let count = |counts: &UsageMetadata| *usage = self.charged(before, counts);
        read(bounded(response.bytes_stream()), count, hear).await
    }

    fn charged(&self, usage: Usage, counts: &UsageMetadata) -> Usage {
        let usage = self.add(usage, counts.prompt.into(), i64::from(counts.answer) + i64::from(counts.thoughts));
        Usage { counted: usage.counted + 1, ..usage }
    }

    /// More than most questions take: what is counted for one while it is not known.
    pub(super) fn estimate(&self) -> Usage {
        self.add(Usage::default(), 16_000, 4_000)
    }

    fn add(&self, mut usage: Usage, input: i64, output: i64) -> Usage {
        usage.input_tokens += input;
        usage.output_tokens += output;
        // A cent for a million tokens is a hundredth of a micro-dollar for each.
        let hundredths = input * i64::from(self.input_cents) + output * i64::from(self.output_cents);
        usage.cost_micros += (hundredths + 99) / 100;
        usage
    }
}

/// How operators call a failure.
fn outcome(failure: Failure) -> &'static str {
    match failure {
        Failure::OverQuota => "over_quota",
        Failure::Refused => "refused",
        Failure::Incoherent => "incoherent",
        Failure::NotConfigured | Failure::OverBudget | Failure::Slow | Failure::Down => "down",
    }
}

/// Reads a turn to its end.
async fn read(
    bytes: impl Stream<Item = Result<bytes::Bytes, Failure>>,
    mut count: impl FnMut(&UsageMetadata),
    hear: &mut impl FnMut(&str),
) -> Result<Vec<Value>, Failure> {
    let mut events = Box::pin(bytes.eventsource());
    let (mut parts, mut ended) = (Vec::new(), false);
    while let Some(event) = events.next().await {
        let event = event.map_err(|error| match error {
            eventsource_stream::EventStreamError::Transport(failure) => failure,
            _ => Failure::Incoherent,
        })?;
        let chunk: Chunk = serde_json::from_str(&event.data).map_err(|_| Failure::Incoherent)?;
        if let Some(error) = chunk.error {
            return Err(StatusCode::from_u16(error.code).map_or(Failure::Down, refused_by_status));
        }
        if let Some(usage) = chunk.usage_metadata {
            count(&usage);
        }
        if chunk.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_some()) {
            return Err(Failure::Refused);
        }
        let Some(candidate) = chunk.candidates.into_iter().next() else { continue };
        for part in candidate.content.map(|content| content.parts).unwrap_or_default() {
            if let Some(text) = said(&part) {
                hear(text);
            }
            parts.push(part);
        }
        ended |= has_finished(candidate.finish_reason.as_deref())?;
    }
    // A connection that broke looks like an end.
    if ended { Ok(parts) } else { Err(Failure::Down) }
}

/// The text of a part that is for people: not a thought.
pub(super) fn said(part: &Value) -> Option<&str> {
    if part["thought"] == true { None } else { part["text"].as_str() }
}

/// <https://ai.google.dev/api/generate-content#FinishReason>
fn has_finished(reason: Option<&str>) -> Result<bool, Failure> {
    match reason {
        None | Some("FINISH_REASON_UNSPECIFIED") => Ok(false),
        Some("STOP") => Ok(true),
        Some("SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "LANGUAGE") => {
            Err(Failure::Refused)
        }
        // MAX_TOKENS, MALFORMED_FUNCTION_CALL, OTHER and what is yet to come.
        Some(_) => Err(Failure::Incoherent),
    }
}

fn refused_by_status(status: StatusCode) -> Failure {
    match status {
        StatusCode::TOO_MANY_REQUESTS => Failure::OverQuota,
        status => {
            if status.is_client_error() {
                tracing::error!(status = status.as_u16(), "the model refuses requests: check the GEMINI_ settings");
            }
            Failure::Down
        }
    }
}

fn down(error: &reqwest::Error) -> Failure {
    // Its text may name the URL, which holds no secret, but nothing of the body.
    tracing::warn!(%error, "the model can't be reached");
    Failure::Down
}

fn bounded(
    bytes: impl Stream<Item = reqwest::Result<bytes::Bytes>>,
) -> impl Stream<Item = Result<bytes::Bytes, Failure>> {
    let mut left = MAX_BYTES;
    bytes.map(move |chunk| {
        let chunk = chunk.map_err(|error| down(&error))?;
        left = left.checked_sub(chunk.len()).ok_or(Failure::Incoherent)?;
        Ok(chunk)
    })
}
