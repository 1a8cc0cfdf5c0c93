//! Bodies: which are read, which are JSON, and which hold more than can be kept.

use reqwest::{Method, header::CONTENT_TYPE};

use crate::{edge::somebody, support::api};

#[tokio::test]
async fn only_json_that_is_not_compressed_is_taken() {
    let api = api().await;
    let casey = somebody(&api).await;
    let send = async |media_type: Option<&[u8]>, encoding: Option<&str>, body: Vec<u8>| {
        let mut request = casey.request(Method::PATCH, "/api/users/me");
        if let Some(media_type) = media_type {
            request = request.header(CONTENT_TYPE, media_type);
        }
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        api.send(request.body(body)).await
    };
    let body = || br#"{"bio": "x"}"#.to_vec();
    let json = b"application/json";
    for media_type in
        ["text/plain", "", "application/x-www-form-urlencoded", "multipart/form-data", "text/json", "json", "\u{ff}"]
    {
        send(Some(media_type.as_bytes()), None, body()).await.refused(415, "unsupported_media_type");
    }
    send(None, None, body()).await.refused(415, "unsupported_media_type");
    // {} compressed by gzip.
    let gzip = vec![31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 171, 174, 5, 0, 67, 191, 166, 163, 2, 0, 0, 0];
    for encoding in ["gzip", "br", "deflate", "gzip, identity", "x"] {
        send(Some(json), Some(encoding), gzip.clone()).await.refused(415, "unsupported_media_type");
    }
    // Without saying so.
    send(Some(json), None, gzip).await.refused(400, "malformed_request");
    for media_type in ["application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json"] {
        send(Some(media_type.as_bytes()), None, body()).await.ok(200);
    }
    send(Some(json), Some("identity"), body()).await.ok(200);
    // Of what isn't there, the kind doesn't matter.
    let missing = send(Some(b"text/plain"), None, Vec::new()).await.refused(422, "validation_failed");
    assert_eq!(missing["fields"]["body"], "is missing");
}

#[tokio::test]
async fn what_is_not_json_is_malformed_and_what_does_not_fit_is_invalid() {
    let api = api().await;
    let casey = somebody(&api).await;
    let deep = |open: &str, close: &str| format!(r#"{{"bio": {}{}}}"#, open.repeat(8000), close.repeat(8000));
    for body in [
        "{",
        "}",
        "x",
        "\u{FEFF}{}",
        "{}{}",
        "{} x",
        r#"{"bio": "x",}"#,
        r"{'bio': 'x'}",
        r#"{bio: "x"}"#,
        r#"{"bio": "x"} //"#,
        r#"{"bio": NaN}"#,
        r#"{"bio": "\ud800"}"#,
        r#"{"bio": "\udc00\ud800"}"#,
        r#"{"bio": "\x00"}"#,
        "{\"bio\": \"line\nbreak\"}",
        r#"{"instantRatePerMinute": 1e309}"#,
        r#"{"instantRatePerMinute": 01}"#,
        r#"{"instantRatePerMinute": .5}"#,
        "[1",
        r#"{"broken":"#,
        r#"{"broken": 1"#,
        r#"{"bio": 5"#,
        r#"{"bio": 5} {}"#,
    ] {
        casey.profile(body).await.refused(400, "malformed_request");
    }
    for bytes in [
        &b"{\"bio\": \"\xff\"}"[..],
        b"{\"bio\": \"\xed\xa0\x80\"}",
        b"\xff\xfe{\x00}\x00",
        b"\x00",
        b"{\"bio\xff\": 1}",
        b"{\"nope\": \"\xff\"}",
        b"[\"\xff\"]",
    ] {
        let answer = casey.send_bytes(Method::PATCH, "/api/users/me", bytes.to_vec()).await;
        answer.refused(400, "malformed_request");
    }
    for (body, field) in [
        ("[]", "body"),
        (" [1]", "body"),
        ("\n\t[\"name\"]", "body"),
        ("null", "body"),
        ("1", "body"),
        ("-0", "body"),
        ("\"bio\"", "body"),
        (r#"{"bio": 1}"#, "bio"),
        (r#"{"bio": "\u0000"}"#, "bio"),
        (r#"{"bio": "x", "bio": "y"}"#, "bio"),
        (r#"{"skills": {}}"#, "skills"),
        (r#"{"conversationType": 1}"#, "conversationType"),
        (r#"{"conversationType": ["free"]}"#, "conversationType"),
        (r#"{"Bio": "x"}"#, "Bio"),
        (r#"{"__proto__": {}}"#, "__proto__"),
        (r#"{"": 1}"#, ""),
        (r#"{"a\u0000b": 1}"#, "a\0b"),
        (r#"{"instantRatePerMinute": 9223372036854775807}"#, "instantRatePerMinute"),
        (r#"{"instantRatePerMinute": -0}"#, "instantRatePerMinute"),
        (&deep("[", "]").replacen(':', ": 1, \"x\":", 1), "bio"),
    ] {
        let details = casey.profile(body).await.refused(422, "validation_failed");
        assert!(details["fields"][field].is_string(), "{body}: {details}");
    }
    casey.profile(&deep("[", "]")).await.refused(422, "validation_failed");
    for nested in [
        deep("{\"a\":", "}"),
        deep("{\"a\":", "1}"),
        "[".repeat(60_000),
        format!("{{\"skills\": {}", "[".repeat(60_000)),
    ] {
        casey.profile(&nested).await.refused(400, "malformed_request");
    }
    assert_eq!(casey.bio().await, "");
}

#[tokio::test]
async fn depth_is_bounded_where_anything_may_be_nested() {
    let api = api().await;
    let people = api.arrive(&["casey", "river"]).await;
    let conversation = people[0].conversation_with(&people[1]).await;
    let path = format!("/api/conversations/{conversation}/messages");
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"content": "x", "type": "user_text", "actions": [{{"a": {open}{close}}}]}}"#)
    };
    people[0].send_bytes(Method::POST, &path, nested(100)).await.ok(201);
    for depth in [130, 10_000, 32_000] {
        let answer = people[0].send_bytes(Method::POST, &path, nested(depth)).await;
        answer.refused(400, "malformed_request");
    }
    let page = people[1].get(&path).await.ok(200);
    assert_eq!(page["messages"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn numbers_at_the_edge_of_what_can_be_stored_are_stored_or_refused() {
    let api = api().await;
    let people = api.arrive(&["casey", "river"]).await;
    let conversation = people[0].conversation_with(&people[1]).await;
    let path = format!("/api/conversations/{conversation}/messages");
    for number in [
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "18446744073709551616",
        "1e308",
        "-1e308",
        "5e-324",
        "1e-400",
        "-0",
        "-0.0",
        "0.1",
        "1.7976931348623157e308",
        "123456789012345678901234567890",
    ] {
        let body = format!(r#"{{"content": "x", "type": "user_text", "actions": [{{"n": {number}}}]}}"#);
        people[0].send_bytes(Method::POST, &path, body).await.ok(201);
        let page = people[1].get(&format!("{path}?limit=1")).await.ok(200);
        let shown = page["messages"][0]["actions"][0]["n"].as_f64().unwrap();
        assert_eq!(shown.abs().to_bits(), number.parse::<f64>().unwrap().abs().to_bits(), "{number} became {shown}");
        people[1].get("/api/conversations").await.ok(200);
    }
    let body = r#"{"content": "x", "type": "user_text", "actions": [{"n": 1e309}]}"#;
    people[0].send_bytes(Method::POST, &path, body).await.refused(400, "malformed_request");
}
