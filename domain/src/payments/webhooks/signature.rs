//! Stripe's signatures: HMAC-SHA256 over the time and the raw body
//! (docs.stripe.com/webhooks/signature).

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// How far the time in a signature may be from ours.
const TOLERANCE: TimeDelta = TimeDelta::seconds(300);

/// Whether one of the signatures in the header is of one of the secrets, and of now.
pub(super) fn is_valid(header: &str, body: &[u8], secrets: &[SecretString], now: DateTime<Utc>) -> bool {
    let mut at = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", seconds)) => at = Some(seconds),
            Some(("v1", signature)) => signatures.extend(unhex(signature)),
            _ => {}
        }
    }
    let Some(at) = at else { return false };
    let time = at.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let is_of_now = time.is_some_and(|time| (now - time).abs() <= TOLERANCE);
    is_of_now
        && secrets.iter().any(|secret| {
            let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else { return false };
            mac.update(at.as_bytes());
            mac.update(b".");
            mac.update(body);
            // Compared in constant time.
            signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
        })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    // printf '1492774577.{"a":1}' | openssl dgst -sha256 -hmac whsec_test
    const SIGNATURE: &str = "2a55874e33dedb30da6fac02873208f53a243141599a71c0d52a1d5b89656823";
    const OTHER: &str = "0000000000000000000000000000000000000000000000000000000000000000";

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_492_774_577 + seconds, 0).unwrap()
    }

    fn secrets(all: &[&str]) -> Vec<SecretString> {
        all.iter().map(|secret| (*secret).into()).collect()
    }

    #[test]
    fn only_what_is_signed_with_a_secret_of_ours_and_now_is_valid() {
        let (body, ours) = (br#"{"a":1}"#, ["whsec_test"]);
        let header = format!("t=1492774577,v1={SIGNATURE}");
        let valid =
            |header: &str, body: &[u8], all: &[&str], seconds| is_valid(header, body, &secrets(all), at(seconds));
        for seconds in [0, 300, -300] {
            assert!(valid(&header, body, &ours, seconds), "{seconds}");
        }
        assert!(valid(&header, body, &["whsec_new", "whsec_test"], 0), "while secrets are changed");
        let several = format!("t=1492774577, v1={OTHER}, v1={SIGNATURE}, v0=x");
        assert!(valid(&several, body, &ours, 0));
        for seconds in [301, -301] {
            assert!(!valid(&header, body, &ours, seconds), "{seconds}");
        }
        assert!(!valid(&header, br#"{"a":2}"#, &ours, 0));
        assert!(!valid(&header, body, &["whsec_other"], 0));
        assert!(!valid(&header, body, &[], 0));
        for header in [
            "",
            "t=1492774577",
            &format!("v1={SIGNATURE}"),
            &format!("t=,v1={SIGNATURE}"),
            &format!("t=1492774577,v0={SIGNATURE}"),
            &format!("t=1492774577,v1={OTHER}"),
            &format!("t=1492774578,v1={SIGNATURE}"),
            &format!("t=99999999999999999999,v1={SIGNATURE}"),
            &format!("t=1492774577,v1={}", &SIGNATURE[1..]),
            &format!("t=1492774577,v1=é{}", &SIGNATURE[2..]),
            "=,=,=",
        ] {
            assert!(!valid(header, body, &ours, 0), "{header}");
        }
    }
}
