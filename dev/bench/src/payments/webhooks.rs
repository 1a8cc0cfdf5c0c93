//! Webhooks: how many are taken a second, and how soon each while the provider can't be asked.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use hmac::{Hmac, KeyInit as _, Mac as _};
use humanchat_domain::clock::Clock;
use serde_json::json;
use sha2::Sha256;
use tokio::{net::TcpListener, task::JoinSet};

use super::SECRET;
use crate::{
    Plan,
    measure::{Better, Row, Series, Target, count, percentile},
    product::{Api, Worker},
    report::Table,
    say,
    stage::Stage,
};

/// Who delivers at the same time.
const CONNECTIONS: usize = 32;
/// How long each kind of delivery lasts.
const SECONDS: usize = 10;
/// Webhooks a second that are to be taken.
const RATE: f64 = 1_000.0;
/// How long one may take while the provider is away, in milliseconds.
const ACK: f64 = 250.0;
/// How many a second come while the provider is away.
const COME: usize = 200;

pub(super) async fn measure(stage: &Stage, plan: &Plan) -> Result<Table> {
    let (mut rates, mut busy, mut away) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        say(&format!("payments: webhooks, round {}", round + 1));
        let database = "webhooks";
        let url = stage.product_database(database).await?;
        // It takes every connection and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").await?;
        let provider = format!("http://{}", silent.local_addr()?);
        let silence = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((stream, _)) = silent.accept().await {
                held.push(stream);
            }
        });
        let settings = [
            ("STRIPE_SECRET_KEY", "sk_test_of_the_benchmark"),
            ("STRIPE_WEBHOOK_SECRET", SECRET),
            ("STRIPE_API_BASE", &provider),
        ];
        let api = Api::start_with(stage, &url, &settings).await?;
        let events = Arc::new(AtomicUsize::new(0));
        deliver(&api, &events, Duration::from_secs(1), None).await?;
        let lasting = Duration::from_secs(plan.work(SECONDS) as u64);
        let millis = deliver(&api, &events, lasting, None).await?;
        rates.push(count(millis.len()) / lasting.as_secs_f64());
        busy.push(percentile(&millis, 0.99));
        let worker = Worker::start(stage, &url, &settings).await?;
        away.push(percentile(&deliver(&api, &events, lasting, Some(COME)).await?, 0.99));
        worker.program.stop().await?;
        api.program.stop().await?;
        silence.abort();
        stage.drop_database(database).await?;
    }
    let series = |name: &str, unit, rounds| Series { name: name.to_owned(), unit, rounds };
    let row = |what: String, better, ours, target: Option<f64>| Row {
        what,
        better,
        ours,
        peers: Vec::new(),
        targets: target.map(Target::fixed).into_iter().collect(),
    };
    let rows = vec![
        row(format!("taken, from {CONNECTIONS} at once"), Better::Higher, series("ours", "/s", rates), Some(RATE)),
        row("p99 of these".to_owned(), Better::Lower, series("ours", "ms", busy), None),
        row(
            format!("p99 of {COME} a second, with a worker, while the provider doesn't answer"),
            Better::Lower,
            series("ours", "ms", away),
            Some(ACK),
        ),
    ];
    Ok(Table { title: "Webhooks".to_owned(), rows })
}

/// Delivers events, each once, for a while: as fast as they are taken, or so many a second. Milliseconds of each, from when
/// it was due: what comes late because the one before took long waited all the same.
async fn deliver(api: &Api, events: &Arc<AtomicUsize>, lasting: Duration, a_second: Option<usize>) -> Result<Vec<f64>> {
    let begin = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (mut connection, events) = (api.connect().await?, Arc::clone(events));
        running.spawn(async move {
            let mut millis = Vec::new();
            let pause = a_second.map(|a_second| Duration::from_secs_f64(count(CONNECTIONS) / count(a_second)));
            let mut due = begin + pause.unwrap_or_default().mul_f64(rand::random());
            while begin.elapsed() < lasting {
                let request = event(events.fetch_add(1, Ordering::Relaxed))?;
                match pause {
                    Some(_) => tokio::time::sleep_until(due.into()).await,
                    None => due = Instant::now(),
                }
                connection.exchange(&request).await?;
                millis.push(due.elapsed().as_secs_f64() * 1e3);
                due += pause.unwrap_or_default();
            }
            anyhow::Ok(millis)
        });
    }
    let mut all = Vec::new();
    while let Some(ended) = running.join_next().await {
        all.append(&mut ended.context("a connection's task failed")??);
    }
    Ok(all)
}

/// An event about an intent of its own, as large as Stripe's are, signed now.
fn event(number: usize) -> Result<Vec<u8>> {
    let now = Clock::System.now().timestamp();
    let body = json!({
        "id": format!("evt_{number:024}"), "object": "event", "api_version": "2026-09-30.endive", "created": now,
        "type": "payment_intent.succeeded", "livemode": false, "pending_webhooks": 1,
        "data": {"object": {
            "id": format!("pi_{number:024}"), "object": "payment_intent", "amount": 3000, "status": "succeeded",
            "description": "x".repeat(2500),
        }},
    });
    let body = format!("{body:#}");
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
    mac.update(format!("{now}.{body}").as_bytes());
    let mut signature = String::new();
    for byte in mac.finalize().into_bytes() {
        write!(signature, "{byte:02x}")?;
    }
    Ok(format!(
        "POST /api/payments/webhook HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
         stripe-signature: t={now},v1={signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes())
}
