//! What browsers are told: CORS, and headers that keep pages safe.

use humanchat_domain::{clock::Clock, testing::TestDatabase};
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, Api, api, api_on};

const FRIEND: &str = "https://app.example.com";

async fn api_with_friend() -> Api {
    let settings = [("ALLOWED_ORIGINS", "https://app.example.com, https://other.example.com:8443")];
    api_on(&TestDatabase::create().await, Clock::System, &settings).await
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().unwrap())
}

async fn preflight(api: &Api, origin: &str, method: &str, headers: &str) -> Answer {
    let request = api.http.request(Method::OPTIONS, api.url("/api/conversations")).header("origin", origin);
    let request = request.header("access-control-request-method", method);
    api.send(request.header("access-control-request-headers", headers)).await
}

#[tokio::test]
async fn pages_of_allowed_origins_may_send_what_the_api_takes_and_read_what_it_says() {
    let api = api_with_friend().await;
    for origin in [FRIEND, "https://other.example.com:8443"] {
        let answer = preflight(&api, origin, "POST", "authorization,content-type,idempotency-key,x-request-id").await;
        assert_eq!((answer.status.as_u16(), header(&answer, "access-control-allow-origin")), (200, Some(origin)));
        let methods = header(&answer, "access-control-allow-methods").unwrap();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            assert!(methods.split(',').any(|allowed| allowed == method), "{methods}");
        }
        let headers = header(&answer, "access-control-allow-headers").unwrap();
        for name in ["authorization", "content-type", "idempotency-key", "x-request-id", "prefer"] {
            assert!(headers.split(',').any(|allowed| allowed == name), "{headers}");
        }
        assert!(header(&answer, "access-control-allow-credentials").is_none(), "no cookies");
    }
    // A refusal can be read too, or the page would not learn why.
    let answer = api.send(api.http.get(api.url("/api/auth/me")).header("origin", FRIEND)).await;
    answer.refused(401, "unauthenticated");
    assert_eq!(header(&answer, "access-control-allow-origin"), Some(FRIEND));
    let exposed = header(&answer, "access-control-expose-headers").unwrap();
    for name in ["x-request-id", "retry-after", "idempotency-replayed"] {
        assert!(exposed.split(',').any(|allowed| allowed == name), "{exposed}");
    }
}

#[tokio::test]
async fn pages_from_elsewhere_are_told_nothing() {
    let (friendly, lonely) = (api_with_friend().await, api().await);
    for (api, origin) in [
        (&friendly, "https://evil.example.com"),
        (&friendly, "http://app.example.com"),
        (&friendly, "https://app.example.com.evil.example"),
        (&friendly, "null"),
        (&lonely, FRIEND),
    ] {
        let answer = preflight(api, origin, "POST", "authorization").await;
        assert_eq!(header(&answer, "access-control-allow-origin"), None, "{origin}");
        let answer = api.send(api.http.get(api.url("/health/live")).header("origin", origin)).await;
        assert_eq!((answer.status.as_u16(), header(&answer, "access-control-allow-origin")), (200, None), "{origin}");
    }
}

#[tokio::test]
async fn every_answer_tells_browsers_to_be_careful() {
    let api = api().await;
    let person = api.register("Careful").await;
    let mut answers = vec![person.post("/api/conversations/connect", json!({})).await];
    for path in [
        "/",
        "/health/live",
        "/metrics",
        "/api/auth/me",
        "/nowhere",
        "/docs/",
        "/docs/nowhere",
        "/magic-link",
        "/console",
        "/console/queues",
        "/assets/pages.css",
    ] {
        answers.push(person.get(path).await);
    }
    for answer in answers {
        assert_eq!(header(&answer, "x-content-type-options"), Some("nosniff"));
        assert_eq!(header(&answer, "referrer-policy"), Some("no-referrer"));
        assert_eq!(header(&answer, "x-frame-options"), Some("DENY"));
        assert!(header(&answer, "content-security-policy").unwrap().contains("frame-ancestors 'none'"));
        assert_eq!(header(&answer, "strict-transport-security"), None, "people reach it by http");
    }
    assert_eq!(header(&person.get("/api/auth/me").await, "cache-control"), Some("no-store"));

    let settings = [("PUBLIC_URL", "https://api.example.com")];
    let api = api_on(&TestDatabase::create().await, Clock::System, &settings).await;
    let answer = api.anonymous(Method::GET, "/health/live", None).await;
    assert_eq!(header(&answer, "strict-transport-security"), Some("max-age=31536000"));
}
