//! What operators see of a request, from its first byte to the last thing that came of it.

use std::collections::BTreeSet;

use humanchat_local::free_port;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use reqwest::Method;
use serde_json::json;

use super::{collector::Collector, smtp::MailServer, stage::Stage};
use crate::scene::eventually;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_from_a_request_over_its_job_to_the_mail_server() {
    let (collector, address) = Collector::start().await;
    let mail = MailServer::start(&[]).await;
    let (collector_url, smtp_url) = (format!("http://{address}"), format!("smtp://{}", mail.address));
    let stage = Stage::with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector_url),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("SMTP_URL", &smtp_url),
    ])
    .await;
    let (_program, api) = stage.api(&[]).await;
    let metrics = format!("127.0.0.1:{}", free_port().unwrap());
    let mut worker = stage.worker(&[("METRICS_ADDR", &metrics)]).await;

    let ask = api.http.post(api.url("/api/auth/magic-link")).json(&json!({"email": "traced@example.com"}));
    api.send(ask.header("traceparent", format!("00-{TRACE}-{CALLER}-01"))).await.ok(202);
    let request = collector.span("POST /api/auth/magic-link").await;
    let job = collector.span("send_magic_link").await;
    let call = collector.span("smtp send").await;
    for (span, parent, kind, service) in [
        (&request, CALLER, SpanKind::Server, "humanchat-api"),
        (&job, &request.id, SpanKind::Consumer, "humanchat-worker"),
        (&call, &job.id, SpanKind::Client, "humanchat-worker"),
    ] {
        assert_eq!(
            (span.trace.as_str(), span.parent.as_str(), span.kind, span.service.as_str()),
            (TRACE, parent, kind, service),
            "{span:?}"
        );
    }

    let measured = eventually("the worker's measurements", async || {
        let text = api.http.get(format!("http://{metrics}/metrics")).send().await.ok()?.text().await.ok()?;
        text.contains("send_magic_link").then_some(text)
    });
    let measured = measured.await;
    for series in [
        r#"humanchat_job_duration_seconds_count{kind="send_magic_link",outcome="done"} 1"#,
        r#"humanchat_job_wait_seconds_count{queue="mail"} 1"#,
        r#"humanchat_provider_call_duration_seconds_count{provider="smtp",call="send",outcome="ok"} 1"#,
    ] {
        assert!(measured.contains(series), "{series}\n{measured}");
    }
    let of_the_api = api.anonymous(Method::GET, "/metrics", None).await.text;
    dashboards_name_what_is_measured(&(of_the_api + &measured));

    // What is left when a process ends reaches the collector all the same.
    let before = collector.spans().len();
    api.anonymous(Method::POST, "/api/auth/magic-link", Some(json!({"email": "other@example.com"}))).await.ok(202);
    eventually("the second mail", async || (mail.mails().len() == 2).then_some(())).await;
    worker.terminate();
    assert!(worker.ended().await.success());
    eventually("the last spans", async || (collector.spans().len() >= before + 2).then_some(())).await;
}

/// What operators are given to look at exists: measurements, and what to do when they alarm.
fn dashboards_name_what_is_measured(measured: &str) {
    let dashboard = include_str!("../../../../docs/monitoring/dashboard.json");
    let alerts = include_str!("../../../../docs/monitoring/alerts.yaml");
    let words = |text: &'static str| text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let names = words(dashboard).chain(words(alerts)).filter(|word| word.starts_with("humanchat_"));
    let names: BTreeSet<_> = names.collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(measured.contains(&format!("\n{name}{{")) || measured.contains(&format!("\n{name} ")), "{name}");
    }
    let operations = include_str!("../../../../docs/operations.md");
    for runbook in alerts.lines().filter_map(|line| line.trim_end_matches('}').split_once("runbook: ")) {
        assert!(operations.contains(&format!("\n### {}\n", runbook.1)), "{}", runbook.1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_stops_nothing() {
    let away = format!("http://127.0.0.1:{}", free_port().unwrap());
    let stage = Stage::with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &away), ("OTEL_BSP_SCHEDULE_DELAY", "50")]).await;
    let (mut program, api) = stage.api(&[]).await;
    let ada = api.register("Ada").await;
    ada.get("/api/auth/me").await.ok(200);
    program.terminate();
    assert!(program.ended().await.success());
}
