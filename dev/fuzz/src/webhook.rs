//! Events of the payment provider: nothing is read that wasn't signed.

use std::fmt::Write;

use humanchat_domain::testing::{noon, read_webhook};
use serde_json::Value;

use crate::{SECRET, hmac_sha256};

/// A signature's header and a body, apart by a line's end. `$` in the header stands for the right signature of now.
///
/// # Panics
/// Where a body is read without a signature, isn't with one, or is read for what it doesn't say.
pub fn webhook(input: &[u8]) {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else { return };
    let (header, body) = (String::from_utf8_lossy(&input[..end]), &input[end + 1..]);
    let now = noon().timestamp();
    let right = signature(now, body);
    let given = header.replace('$', &right);
    if read_webhook(&given, body, SECRET, noon()).is_ok() {
        assert!(given.to_ascii_lowercase().contains(&right), "read without a signature: {given}");
    }
    let event = serde_json::from_slice::<Value>(body).unwrap_or_default();
    match read_webhook(&format!("t={now},v1={right}"), body, SECRET, noon()) {
        Ok((id, kind)) => assert_eq!((event["id"].as_str(), event["type"].as_str()), (Some(&*id), Some(&*kind))),
        Err(_) => assert!(!is_plain(&event), "an event was not read: {event}"),
    }
}

/// Whether this is an event like Stripe's.
fn is_plain(event: &Value) -> bool {
    let word = |name: &str| {
        let is_word =
            |text: &str| text.len() < 100 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        event[name].as_str().is_some_and(is_word)
    };
    event["id"].as_str().is_some_and(|id| id.starts_with("evt_") && id.len() > 4) && word("id") && word("type")
}

/// What stands behind `v1=`.
fn signature(at: i64, body: &[u8]) -> String {
    let message = [format!("{at}.").as_bytes(), body].concat();
    let mut hex = String::new();
    for byte in hmac_sha256(&message).as_ref() {
        // Writing to a string can't fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
