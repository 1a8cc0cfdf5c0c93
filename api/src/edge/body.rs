//! JSON bodies: closed, checked, and refused with the field named.

use std::{collections::BTreeMap, error::Error};

use axum::{
    body::{Bytes, HttpBody},
    extract::{FromRequest, Request},
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_ENCODING, CONTENT_TYPE},
    },
};
use garde::{Unvalidated, Valid, Validate};
use humanchat_domain::rate_limits::Subject;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;

use super::{admission::Admission, error::ApiError};
use crate::{App, MAX_BODY, server::BodyTimedOut};

/// A valid body of a request that needs no caller. The request counts as an anonymous one.
pub(crate) struct Body<T>(pub Valid<T>);

/// The same with a refresh token, which can't be guessed: pages whose tokens have run out don't share the limit of those
/// who guess passwords.
pub(crate) struct ReturningBody<T>(pub Valid<T>);

impl<T> FromRequest<App> for Body<T>
where
    T: DeserializeOwned + Validate<Context = ()>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        count_and_read(request, app, Subject::Anonymous).await.map(Self)
    }
}

impl<T> FromRequest<App> for ReturningBody<T>
where
    T: DeserializeOwned + Validate<Context = ()>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        count_and_read(request, app, Subject::Returning).await.map(Self)
    }
}

async fn count_and_read<T>(request: Request, app: &App, subject: Subject) -> Result<Valid<T>, ApiError>
where
    T: DeserializeOwned + Validate<Context = ()>,
{
    let (parts, stream) = request.into_parts();
    app.count(&parts, subject).await?;
    let headers = parts.headers.clone();
    let bytes = read(Request::from_parts(parts, stream), app).await?;
    parse(&headers, &bytes)
}

/// Reads a body of at most 64 KiB. One that is announced to be larger isn't waited for. While it is on its way the
/// request doesn't count as being worked on.
pub(crate) async fn read(request: Request, app: &App) -> Result<Bytes, ApiError> {
    read_up_to(request, app, MAX_BODY).await
}

/// Reads a body of at most so many bytes, on a route whose `DefaultBodyLimit` says the same.
pub(crate) async fn read_up_to(request: Request, app: &App, max: usize) -> Result<Bytes, ApiError> {
    let too_large = || {
        let message = format!("the body is larger than {} KiB", max / 1024);
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", message)
    };
    if request.body().size_hint().lower() > max as u64 {
        return Err(too_large());
    }
    let admission = request.extensions().get::<Admission>().cloned();
    let admission = admission.filter(|_| !request.body().is_end_stream());
    if let Some(admission) = &admission {
        admission.leave();
    }
    let bytes = Bytes::from_request(request, app).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        _ if is_late(&rejection) => ApiError::timed_out("the body did not come in time"),
        _ => ApiError::malformed("the body could not be read to its end"),
    })?;
    if let Some(admission) = admission {
        admission.enter()?;
    }
    Ok(bytes)
}

/// Whether a body could not be read because it did not come in time.
fn is_late(error: &(dyn Error + 'static)) -> bool {
    error.is::<BodyTimedOut>() || error.source().is_some_and(is_late)
}

/// Reads and checks a body. An empty one counts as `{}`, so that what is missing gets named.
pub(crate) fn parse<T>(headers: &HeaderMap, bytes: &[u8]) -> Result<Valid<T>, ApiError>
where
    T: DeserializeOwned + Validate<Context = ()>,
{
    let bytes = if bytes.is_empty() {
        b"{}"
    } else {
        check_media_type(headers)?;
        bytes
    };
    std::str::from_utf8(bytes).map_err(|error| ApiError::malformed(format!("the body is not UTF-8: {error}")))?;
    if bytes.trim_ascii_start().starts_with(b"[") {
        // serde would take an array for a struct, field by field.
        return Err(match check_json(bytes) {
            Ok(()) => one("body", "must be an object".to_owned()),
            Err(error) => not_json(&error),
        });
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value: T = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        match error.classify() {
            // A field that doesn't fit counts only in what is JSON to its end.
            Category::Data => {
                if let Err(error) = check_json(bytes) {
                    return not_json(&error);
                }
                let (field, reason) = place(&path, &without_position(&error));
                one(&field, reason)
            }
            // That is how serde_json says that something else stands where one of an enum's names should.
            Category::Syntax if error.to_string().starts_with("expected value") && check_json(bytes).is_ok() => {
                one(&path, "must be one of its names".to_owned())
            }
            Category::Syntax | Category::Eof | Category::Io => not_json(&error),
        }
    })?;
    deserializer.end().map_err(|error| not_json(&error))?;
    Unvalidated::new(value).validate().map_err(|report| {
        let fields = report.iter().map(|(path, error)| (camel_case(&path.to_string()), error.to_string()));
        ApiError::invalid(fields.collect())
    })
}

/// There is no body where something has to be said, though no field of it has to.
pub(crate) fn missing() -> ApiError {
    one("body", "is missing".to_owned())
}

/// Whether the bytes are JSON at all, whatever it says.
fn check_json(bytes: &[u8]) -> serde_json::Result<()> {
    serde_json::from_slice::<IgnoredAny>(bytes).map(drop)
}

fn not_json(error: &serde_json::Error) -> ApiError {
    ApiError::malformed(format!("the body is not JSON: {error}"))
}

fn one(field: &str, reason: String) -> ApiError {
    ApiError::invalid(BTreeMap::from([(field.to_owned(), reason)]))
}

fn check_media_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let refused =
        |message: &str| Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    if !is_json {
        return refused("send Content-Type: application/json");
    }
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if encoding.as_bytes() != b"identity" => refused("send the body without Content-Encoding"),
        _ => Ok(()),
    }
}

/// The field an error is about, and the reason. serde says "missing field `x`" of what x is missing in.
fn place(path: &str, reason: &str) -> (String, String) {
    let named = |beginning: &str| reason.strip_prefix(beginning)?.strip_suffix('`');
    let inside = |name: &str| if path == "." { name.to_owned() } else { format!("{path}.{name}") };
    if let Some(name) = named("missing field `") {
        (inside(name), "is missing".to_owned())
    } else if let Some(name) = named("duplicate field `") {
        (inside(name), "is there twice".to_owned())
    } else {
        (if path == "." { "body" } else { path }.to_owned(), reason.to_owned())
    }
}

/// serde_json ends its messages with "at line 1 column 9", which helps nobody here.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

/// Field names as clients know them: `attachments[0].mime_type` becomes `attachments[0].mimeType`,
/// and `r#type` becomes `type`.
fn camel_case(path: &str) -> String {
    let mut result = String::with_capacity(path.len());
    let mut upper = false;
    for c in path.replace("r#", "").chars() {
        if c == '_' {
            upper = true;
        } else if upper {
            result.extend(c.to_uppercase());
            upper = false;
        } else {
            result.push(c);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, Validate)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Thing {
        #[garde(range(max = 5))]
        first_number: i64,
        #[garde(dive)]
        #[serde(default)]
        inner_things: Vec<Inner>,
        #[garde(custom(|text: &Option<String>, (): &()| match text {
            Some(_) => Err(garde::Error::new("must be absent")),
            None => Ok(()),
        }))]
        r#type: Option<String>,
        #[garde(skip)]
        colour: Option<Colour>,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Colour {
        Red,
    }

    #[derive(Debug, Deserialize, Validate)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Inner {
        #[garde(length(max = 3))]
        short_text: String,
    }

    fn read(body: &str) -> Result<Valid<Thing>, (u16, String)> {
        read_bytes(body.as_bytes())
    }

    fn read_bytes(body: &[u8]) -> Result<Valid<Thing>, (u16, String)> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        parse(&headers, body).map_err(|error: ApiError| {
            let fields = error.body().error.details.get("fields").and_then(|fields| fields.as_object()).cloned();
            (error.status().as_u16(), fields.unwrap_or_default().keys().cloned().collect::<Vec<_>>().join(","))
        })
    }

    #[test]
    fn the_wrong_field_is_named() {
        let good = read(r#"{"firstNumber": 5, "innerThings": [{"shortText": "abc"}], "colour": "red"}"#).unwrap();
        assert_eq!((good.first_number, good.colour), (5, Some(Colour::Red)));
        for (body, status, fields) in [
            ("", 422, "firstNumber"),
            ("{}", 422, "firstNumber"),
            (r#"{"firstNumber": 1, "innerThings": [{}]}"#, 422, "innerThings[0].shortText"),
            (r#"{"firstNumber": 6}"#, 422, "firstNumber"),
            (r#"{"firstNumber": "1"}"#, 422, "firstNumber"),
            (r#"{"firstNumber": 1, "secret": 1}"#, 422, "secret"),
            (r#"{"firstNumber": 1, "firstNumber": 2}"#, 422, "firstNumber"),
            (r#"{"firstNumber": 9223372036854775808}"#, 422, "firstNumber"),
            (r#"{"firstNumber": -0}"#, 422, "firstNumber"),
            (
                r#"{"firstNumber": 9, "innerThings": [{"shortText": "abcd"}]}"#,
                422,
                "firstNumber,innerThings[0].shortText",
            ),
            (r#"{"firstNumber": 1, "innerThings": [{"short_text": "a"}]}"#, 422, "innerThings[0].short_text"),
            (r#"{"firstNumber": 1, "type": "x"}"#, 422, "type"),
            (r#"{"firstNumber": 1, "colour": 1}"#, 422, "colour"),
            (r#"{"firstNumber": 1, "colour": ["red"]}"#, 422, "colour"),
            (r#"{"firstNumber": 1, "colour": "blue"}"#, 422, "colour"),
            (r#"{"firstNumber": 1, "colour": }"#, 400, ""),
            (r#"{"firstNumber": 1, "colour": 1"#, 400, ""),
            ("[1]", 422, "body"),
            (" \n[1]", 422, "body"),
            ("[1", 400, ""),
            (r#"["x"] ["y"]"#, 400, ""),
            ("null", 422, "body"),
            (r#"{"firstNumber": 1e309}"#, 400, ""),
            (r#"{"firstNumber": 1"#, 400, ""),
            (r#"{"firstNumber": 1} x"#, 400, ""),
            (r#"{"innerThings": [{"shortText": "\ud800"}]}"#, 400, ""),
            (r#"{"secret":"#, 400, ""),
            (r#"{"secret": 1"#, 400, ""),
            (r#"{"firstNumber": "1""#, 400, ""),
            (r#"{"firstNumber": "1"} x"#, 400, ""),
            (r#"{"firstNumber": 1, "firstNumber": 2"#, 400, ""),
            ("{} {}", 400, ""),
        ] {
            assert_eq!(read(body).unwrap_err(), (status, fields.to_owned()), "{body}");
        }
        for body in [&b"{\"secret\": \"\xff\"}"[..], b"[\"\xff\"]", b"{\"firstNumber\": \"\xed\xa0\x80\"}"] {
            assert_eq!(read_bytes(body).unwrap_err(), (400, String::new()), "{}", body.escape_ascii());
        }
    }
}
