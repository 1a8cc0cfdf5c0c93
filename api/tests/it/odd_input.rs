//! Odd input at every operation that takes a body, made from the OpenAPI document: whatever is sent,
//! the answer is a documented one.

use futures_util::future::join_all;
use humanchat_domain::auth::Role;
use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};

use crate::{
    openapi::{CODES, Operation, document, operations},
    payments::{Till, till},
    scene::text,
    support::{Answer, Person},
    things::{Makers, Thing},
};

/// Stands for a value in a body until the odd one is put in its place as it is.
const HOLE: &str = "\"@hole@\"";

/// What a field is set to. Raw JSON, as not all of it can be said otherwise.
fn odd_values() -> Vec<String> {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let raw = [
        "null",
        "true",
        "0",
        "-0",
        "-1",
        "1",
        "1.5",
        "1e308",
        "1e309",
        "-1e-400",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775809",
        "[]",
        "[null]",
        "[[]]",
        "{}",
        r#"{"a": {}}"#,
        r#"{"$ne": null}"#,
        r#""""#,
        r#"" ""#,
        r#""\u0000""#,
        r#""a\u0000b""#,
        r#""\ud800""#,
        r#""\u200b\u200b""#,
        r#""abc\u202Edef""#,
        "\"محمد علي\"",
        "\"👩\u{200D}🚀 Zoë\"",
        r#""\u0001\u007f\u0085""#,
        r#""+294277-01-01T00:00:00Z""#,
        r#""2026-06-30T23:59:60Z""#,
        r#""2026-01-01T00:00:00+14:59""#,
        r#""' or 1=1; --""#,
        r#""%00%ff%""#,
        r#""../../etc/passwd""#,
        r#""user_00000000000000000000000000""#,
        r#""https://[::1""#,
    ];
    let mut values: Vec<_> = raw.into_iter().map(ToOwned::to_owned).collect();
    values.extend([format!("\"{}\"", "x".repeat(9000)), nested(100), nested(20_000)]);
    values
}

/// Values whose JSON type alone says whether they fit; the rest is JSON no field can hold.
fn json_type(raw: &str) -> Option<&'static str> {
    Some(match raw.as_bytes()[0] {
        b'n' => "null",
        b't' => "boolean",
        b'[' => "array",
        b'{' => "object",
        b'"' if raw.contains(r"\ud800") => return None,
        b'"' => "string",
        _ if raw == "1e309" => return None,
        _ => "number",
    })
}

/// A body's schema, with references followed.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(target) = schema["$ref"].as_str() {
        return resolve(document, document.pointer(&target[1..]).unwrap());
    }
    match schema["oneOf"].as_array() {
        Some(choices) => resolve(document, &choices[0]),
        None => schema,
    }
}

/// The JSON types a schema takes.
fn types(document: &Value, schema: &Value) -> Vec<String> {
    if let Some(choices) = schema["oneOf"].as_array() {
        return choices.iter().flat_map(|choice| types(document, choice)).collect();
    }
    let names = match &resolve(document, schema)["type"] {
        Value::Array(names) => names.iter().map(text).collect(),
        name => vec![text(name)],
    };
    names.into_iter().map(|name| if name == "integer" { "number".to_owned() } else { name }).collect()
}

/// A valid value of a schema, from its examples and bounds.
fn valid(document: &Value, name: &str, schema: &Value, other: &Person<'_>) -> Value {
    if schema["$ref"] == "#/components/schemas/UserId" {
        return json!(other.id);
    }
    let schema = resolve(document, schema);
    if let Some(first) = schema["enum"].as_array().and_then(|names| names.first()) {
        return first.clone();
    }
    match (name, types(document, schema)[0].as_str()) {
        ("timezone", _) => json!("Europe/Berlin"),
        (_, "object") => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            // A message with a name of its own could be sent only once; the example of a conversation is nobody's.
            let properties =
                properties.filter(|(name, _)| !["clientMessageId", "conversationId"].contains(&name.as_str()));
            let value = properties.map(|(name, schema)| (name.clone(), valid(document, name, schema, other))).collect();
            if schema["example"].is_object() { schema["example"].clone() } else { Value::Object(value) }
        }
        (_, "array") => json!([valid(document, "", &schema["items"], other)]),
        _ if !schema["example"].is_null() => schema["example"].clone(),
        _ if schema["examples"].is_array() => schema["examples"][0].clone(),
        (_, "string") if schema["format"] == "uri" => json!("https://files.example/a.png"),
        (_, "string") => json!("x".repeat(usize::try_from(schema["minLength"].as_u64().unwrap_or(1)).unwrap())),
        _ => schema.get("minimum").cloned().unwrap_or(json!(1)),
    }
}

/// Where odd values go: each field of the body, and each field of objects in its lists.
fn holes(document: &Value, schema: &Value, body: &Value) -> Vec<(String, Vec<String>, Value)> {
    let mut holes = Vec::new();
    for (name, schema) in resolve(document, schema)["properties"].as_object().unwrap() {
        let mut with = body.clone();
        with[name] = json!("@hole@");
        holes.push((name.clone(), types(document, schema), with));
        let items = &resolve(document, schema)["items"];
        if let Some(fields) = resolve(document, items)["properties"].as_object() {
            for (field, schema) in fields {
                let mut with = body.clone();
                with[name][0][field] = json!("@hole@");
                holes.push((format!("{name}[0].{field}"), types(document, schema), with));
            }
        }
    }
    holes
}

/// Whole bodies: media type, encoding, bytes, and the refusals they may meet.
fn odd_bodies(valid: &str) -> Vec<(&'static str, &'static str, Vec<u8>, &'static [u16])> {
    let json = "application/json";
    let with = |field: &str| {
        if valid == "{}" { format!("{{{field}}}") } else { valid.replacen('{', &format!("{{{field}, "), 1) }
    };
    let gzip = vec![31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 171, 174, 5, 0, 67, 191, 166, 163, 2, 0, 0, 0];
    vec![
        (json, "", b"{".to_vec(), &[400]),
        (json, "", b"{} {}".to_vec(), &[400]),
        (json, "", format!("{valid} x").into_bytes(), &[400]),
        (json, "", format!("\u{FEFF}{valid}").into_bytes(), &[400]),
        (json, "", b"\x00".to_vec(), &[400]),
        (json, "", br#"{"unknown":"#.to_vec(), &[400]),
        (json, "", br#"{"unknown": 1"#.to_vec(), &[400]),
        (json, "", b"{\"unknown\": \"\xff\"}".to_vec(), &[400]),
        (json, "", b"[\"\xff\"]".to_vec(), &[400]),
        (json, "", b"{\"\xff\": 1}".to_vec(), &[400]),
        (json, "", br#"{"\ud800": 1}"#.to_vec(), &[400]),
        (json, "", b"null".to_vec(), &[422]),
        (json, "", b"[]".to_vec(), &[422]),
        (json, "", b" [1]".to_vec(), &[422]),
        (json, "", b"1e309".to_vec(), &[400]),
        (json, "", b"9223372036854775808".to_vec(), &[422]),
        (json, "", b"\"{}\"".to_vec(), &[422]),
        (json, "", "[".repeat(60_000).into_bytes(), &[400]),
        (json, "", "{\"a\":".repeat(12_000).into_bytes(), &[400]),
        (json, "", with(r#""unknown": 1"#).into_bytes(), &[422]),
        (json, "", with(r#""__proto__": {"role": "admin"}"#).into_bytes(), &[422]),
        (json, "", with(r#""a\u0000b": 1"#).into_bytes(), &[422]),
        (json, "", format!("{valid}{}", " ".repeat(65 * 1024)).into_bytes(), &[413]),
        (json, "", "[".repeat(100_000).into_bytes(), &[413]),
        (json, "gzip", gzip, &[415]),
        ("text/plain", "", valid.as_bytes().to_vec(), &[415]),
        ("application/x-www-form-urlencoded", "", b"a=b".to_vec(), &[415]),
        ("", "", valid.as_bytes().to_vec(), &[415]),
    ]
}

/// What an operation needs to work on.
fn subject(path: &str) -> Thing {
    let beginnings = [
        ("/api/admin/users/{id}", Thing::Somebody),
        ("/api/admin/requested-people/{id}", Thing::Missed),
        ("/api/admin/queues/{name}", Thing::Queue),
        ("/api/admin/jobs/{id}/retry", Thing::CancelledJob),
        ("/api/admin/jobs/{id}", Thing::Job),
        ("/api/conversations/invites/{id}", Thing::Invite),
        ("/api/conversations/{id}", Thing::Conversation),
        ("/api/sessions/{id}", Thing::Talk),
        ("/api/requests/{id}", Thing::Request),
        ("/api/payments/{id}", Thing::Promise),
    ];
    match beginnings.iter().find(|(beginning, _)| path.starts_with(beginning)) {
        Some((_, thing)) => *thing,
        None if path.contains('{') => panic!("{path} needs something to work on"),
        None => Thing::Nothing,
    }
}

/// An operation at work, and how many requests it got.
struct Probe<'a> {
    operation: Operation,
    path: String,
    caller: Person<'a>,
    requests: usize,
}

impl<'a> Probe<'a> {
    /// Somebody for whom the operation has something to work on.
    async fn prepare(till: &Till, operation: Operation, caller: Person<'a>, other: &Person<'a>) -> Self {
        let path = &operation.path;
        if path.starts_with("/api/admin/") {
            caller.becomes(Role::Admin).await;
        }
        let is_guest = path.ends_with("/cancel") || path.ends_with("/convert");
        let (guest, host) = if is_guest { (&caller, other) } else { (other, &caller) };
        let makers = Makers { till, guest, host, somebody: other, admin: &caller };
        let words = subject(path).make(&makers).await;
        let path = path.replace("{id}", &words["id"]).replace("{name}", &words["id"]);
        Self { operation, path, caller, requests: 0 }
    }

    async fn send(&mut self, media_type: &str, encoding: &str, body: Vec<u8>) -> Answer {
        let method = Method::from_bytes(self.operation.method.to_uppercase().as_bytes()).unwrap();
        let mut request = self.caller.request(method, &self.path).header(CONTENT_TYPE, media_type);
        if !encoding.is_empty() {
            request = request.header("content-encoding", encoding);
        }
        self.requests += 1;
        let shown = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
        let answer = self.caller.api.send(request.body(body)).await;
        self.check(&answer, &shown);
        answer
    }

    /// Whatever was sent: an answer of the document.
    fn check(&self, answer: &Answer, sent: &str) {
        let (status, name) = (answer.status.as_u16(), self.operation.name());
        assert!(self.operation.responses().contains_key(&status.to_string()), "{name} {sent}: {answer:?}");
        if status == 204 {
            return;
        }
        assert_eq!(answer.headers["content-type"], "application/json", "{name} {sent}: {answer:?}");
        assert!(answer.json().is_object(), "{name} {sent}: {answer:?}");
        if status >= 400 {
            let code = answer.code();
            answer.refused(status, &code);
            assert!(CODES.contains(&code.as_str()), "{name} {sent}: {answer:?}");
            assert!(self.operation.may_refuse(status, &code), "{name} {sent}: {answer:?}");
            assert!(status < 500, "{name} {sent}: {answer:?}");
            let login_ended = self.operation.needs_login() && status == 401;
            assert!(!login_ended, "{name} {sent}: {answer:?}");
        }
    }

    async fn run(&mut self, document: &Value, other: &Person<'_>) {
        let name = self.operation.name();
        let schema = &self.operation.body["requestBody"]["content"]["application/json"]["schema"].clone();
        let body = if schema.is_null() { json!({}) } else { valid(document, "", schema, other) };
        for (media_type, encoding, bytes, statuses) in odd_bodies(&body.to_string()) {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
            let answer = self.send(media_type, encoding, bytes).await;
            assert!(statuses.contains(&answer.status.as_u16()), "{name} {shown}: {answer:?}");
        }
        if schema.is_null() {
            let answer = self.send("text/plain", "", Vec::new()).await;
            assert!(answer.status.is_success(), "{name}: {answer:?}");
            return;
        }
        let answer = self.send("application/json", "", Vec::new()).await;
        // Without a word a refund is one of everything, of which nothing was taken yet.
        let refused = if name.ends_with("/refund") { 409 } else { 422 };
        assert_eq!(answer.status, refused, "{name} without a body: {answer:?}");
        for (field, types, with) in holes(document, schema, &body) {
            for odd in odd_values() {
                let bytes = with.to_string().replacen(HOLE, &odd, 1);
                assert!(!bytes.contains("@hole@"));
                let answer = self.send("application/json", "", bytes.into_bytes()).await;
                let fits = json_type(&odd).is_some_and(|odd_type| types.iter().any(|name| name == odd_type));
                if !fits {
                    let status = answer.status.as_u16();
                    assert!(status == 422 || status == 400, "{name} {field} {odd:.80}: {answer:?}");
                }
                if answer.code() == "validation_failed" && json_type(&odd).is_some() && odd.len() < 10_000 {
                    let details = answer.refused(422, "validation_failed");
                    let named = details["fields"].as_object().unwrap().keys().any(|key| key.starts_with(&field));
                    assert!(named, "{name} {field} {odd:.80}: {answer:?}");
                }
            }
            let twice = with.to_string().replacen('{', &format!("{{\"{field}\": null, "), 1).replacen(HOLE, "null", 1);
            let answer = self.send("application/json", "", twice.into_bytes()).await;
            assert!(answer.status == 422, "{name} {field} twice: {answer:?}");
        }
        // Else everything above may have been refused for one and the same reason.
        let answer = self.send("application/json", "", body.to_string().into_bytes()).await;
        assert!(![400, 413, 415, 422].contains(&answer.status.as_u16()), "{name} {body}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_answers_odd_input_as_documented() {
    let document = document();
    // What isn't JSON of ours has a test of its own.
    let is_ours = |operation: &Operation| operation.body["tags"][0] != "Webhooks";
    let changing =
        |operation: &Operation| is_ours(operation) && ["post", "put", "patch"].contains(&operation.method.as_str());
    let changing: Vec<_> = operations(&document).into_iter().filter(changing).collect();
    assert!(changing.len() >= 17, "{}", changing.len());
    let till = till().await;
    let api = &till.api;
    let names: Vec<_> = (0..changing.len() * 2).map(|n| format!("person{n}")).collect();
    let mut people = api.arrive(&names.iter().map(String::as_str).collect::<Vec<_>>()).await.into_iter();
    let mut probes = Vec::new();
    for operation in changing {
        let (caller, other) = (people.next().unwrap(), people.next().unwrap());
        probes.push((Probe::prepare(&till, operation, caller, &other).await, other));
    }
    join_all(probes.iter_mut().map(|(probe, other)| probe.run(&document, other))).await;
    let requests: usize = probes.iter().map(|(probe, _)| probe.requests).sum();
    assert!(requests > 1500, "{requests}");
    api.anonymous(Method::GET, "/health/ready", None).await.ok(200);
}
