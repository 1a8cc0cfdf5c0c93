//! Access tokens: whatever was signed, only what we would have signed is taken.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use humanchat_domain::testing::{noon, read_access_token};
use serde_json::Value;

use crate::{SECRET, hmac_sha256};

/// A header and claims, apart by a line's end, are signed as they are and read. As they stand, they are a token that
/// nobody signed.
///
/// # Panics
/// Where a token is taken that isn't one of ours, or that isn't good now.
pub fn access_token(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    assert!(read_access_token(text, SECRET, noon()).is_err(), "nobody signed it");
    let Some((header, claims)) = text.split_once('\n') else { return };
    let [head, body] = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(hmac_sha256(format!("{head}.{body}").as_bytes()));
    let Ok(token) = read_access_token(&format!("{head}.{body}.{signature}"), SECRET, noon()) else { return };
    let (header, claims): (Value, Value) = (json(header), json(claims));
    assert_eq!((&header["alg"], &header["typ"]), (&"HS256".into(), &"at+jwt".into()));
    let is_or_has = |claim: &Value, name: &str| {
        claim == name || claim.as_array().is_some_and(|names| names.iter().any(|claim| claim == name))
    };
    assert!(is_or_has(&claims["iss"], "humanchat") && is_or_has(&claims["aud"], "humanchat-api"), "{claims}");
    assert!(claims["exp"].as_i64().is_some_and(|end| end > noon().timestamp()), "{claims}");
    assert_eq!(claims["sub"], token.user_id.to_string());
    assert_eq!(claims["sid"], token.login_id.to_string());
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text} was read, and is no JSON: {error}"))
}
