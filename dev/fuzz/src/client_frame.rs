//! What clients say over a socket, and the channels they name.

use humanchat_api::is_client_frame;
use humanchat_domain::event::Channel;
use serde_json::Value;

/// The fields of each frame, besides `type`.
const FRAMES: [(&str, &[&str]); 5] = [
    ("subscribe", &["channel", "after"]),
    ("unsubscribe", &["channel"]),
    ("typing", &["payload"]),
    ("ack", &["channel", "seq"]),
    ("ping", &[]),
];

/// A frame's text.
///
/// # Panics
/// Where something is taken for a frame that has another type or other fields, or a channel has two names.
pub fn client_frame(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(channel) = text.parse::<Channel>() {
        assert_eq!(channel.to_string(), text, "a channel has one name");
    }
    if !is_client_frame(text) {
        return;
    }
    let frame: Value = serde_json::from_str(text).unwrap_or_default();
    let Value::Object(fields) = &frame else { panic!("a frame is an object: {text}") };
    let known = FRAMES.iter().find(|(name, _)| fields.get("type").is_some_and(|kind| kind == name));
    let Some((_, known)) = known else { panic!("no such frame: {text}") };
    assert!(fields.keys().all(|field| field == "type" || known.contains(&field.as_str())), "{text}");
    if let Some(Ok(channel)) = fields.get("channel").and_then(Value::as_str).map(str::parse::<Channel>) {
        assert_eq!(fields["channel"], channel.to_string(), "a channel has one name");
    }
}
