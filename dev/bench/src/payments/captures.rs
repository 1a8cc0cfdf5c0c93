//! The capture job, from its first statement to its commit, beside the provider's part of it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use humanchat_domain::{
    Store,
    clock::Clock,
    config::Settings,
    id::{PaymentCallId, PaymentId},
    payments,
};
use sqlx::{Connection as _, PgConnection};

use super::{Provider, SECRET};
use crate::{
    Plan,
    http::Connection,
    measure::{Better, Row, Series, Target, median, percentile},
    product::Api,
    report::Table,
    say,
    stage::Stage,
};

/// How many captures a round has.
const CAPTURES: usize = 300;
/// What the median may cost besides the provider, in milliseconds.
const TARGET: f64 = 10.0;

/// Milliseconds of one round.
struct Round {
    /// The job, with the provider.
    job: Vec<f64>,
    /// The same request, asked by itself of the same provider.
    request: Vec<f64>,
}

pub(super) async fn measure(stage: &Stage, plan: &Plan) -> Result<Table> {
    let database = "payments";
    let url = stage.product_database(database).await?;
    let provider = Provider::start(stage).await?;
    // It registers two people.
    let api = Api::start(stage, &url).await?;
    for name in ["guest", "host"] {
        api.register(&format!("{name}@bench.test")).await?;
    }
    api.program.stop().await?;
    let store = store(&url, &provider.url)?;
    let mut rounds = Vec::new();
    for round in 0..plan.rounds {
        say(&format!("payments: captures, round {}", round + 1));
        rounds.push(capture(&store, &provider, &url, plan.work(CAPTURES)).await?);
    }
    provider.program.stop().await?;
    drop(store);
    stage.drop_database(database).await?;
    let row = |what: &str, figure: &dyn Fn(&Round) -> f64, targets| Row {
        what: what.to_owned(),
        better: Better::Lower,
        ours: Series { name: "ours".to_owned(), unit: "ms", rounds: rounds.iter().map(figure).collect() },
        peers: Vec::new(),
        targets,
    };
    let job = |share: f64| move |round: &Round| percentile(&round.job, share);
    let request = |round: &Round| median(&round.request);
    let target = vec![Target::fixed(TARGET)];
    let rows = vec![
        row("the job, p50", &job(0.5), Vec::new()),
        row("the job, p99", &job(0.99), Vec::new()),
        row("the request alone, p50", &request, Vec::new()),
        row("the job's p50 less the request's", &|round| job(0.5)(round) - request(round), target),
    ];
    Ok(Table { title: "The capture job".to_owned(), rows })
}

fn store(database_url: &str, provider_url: &str) -> Result<Store> {
    let settings = HashMap::from([
        ("DATABASE_URL", database_url),
        ("JWT_SECRET", "a secret of the benchmark, 32 bytes or more"),
        ("STRIPE_SECRET_KEY", "sk_test_of_the_benchmark"),
        ("STRIPE_WEBHOOK_SECRET", SECRET),
        ("STRIPE_API_BASE", provider_url),
    ]);
    let settings = Settings::from_lookup(&|name| settings.get(name).map(|value| (*value).to_owned()));
    Store::open(settings.map_err(|error| anyhow!("{error}"))?, Clock::System).map_err(|error| anyhow!("{error}"))
}

/// Jobs and bare requests in turn, each of another payment.
async fn capture(store: &Store, provider: &Provider, database_url: &str, captures: usize) -> Result<Round> {
    let address: SocketAddr = provider.url.trim_start_matches("http://").parse()?;
    let mut connection = Connection::open(address).await?;
    let mut database = PgConnection::connect(database_url).await?;
    let mut round = Round { job: Vec::new(), request: Vec::new() };
    let (mut prepared, mut payments) = (Vec::new(), Vec::new());
    for _ in 0..captures {
        let payment = PaymentId::new();
        payments.push(payment.0);
        let intent = authorise(&mut connection, payment).await?;
        prepared
            .push((owed(&mut database, payment, &intent).await?, authorise(&mut connection, PaymentId::new()).await?));
    }
    let millis = |since: Instant| since.elapsed().as_secs_f64() * 1e3;
    for (call, other) in prepared {
        let begin = Instant::now();
        payments::make_call(store, None, call).await.map_err(|error| anyhow!("{error}"))?;
        round.job.push(millis(begin));
        let request =
            post(&format!("/v1/payment_intents/{other}/capture"), "amount_to_capture=200&expand[0]=latest_charge");
        let begin = Instant::now();
        connection.exchange(&request).await?;
        round.request.push(millis(begin));
        // As jobs that are some way apart.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let taken: i64 = sqlx::query_scalar(
        "select count(*) from payments where id = any($1) and status = 'captured' and captured_minor = 200",
    )
    .bind(&payments)
    .fetch_one(&mut database)
    .await?;
    ensure!(usize::try_from(taken)? == captures, "{taken} of {captures} were captured");
    database.close().await?;
    Ok(round)
}

fn post(path: &str, form: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer sk_test_of_the_benchmark\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    )
    .into_bytes()
}

/// An intent that holds thirty dollars.
async fn authorise(connection: &mut Connection, payment: PaymentId) -> Result<String> {
    let form = format!(
        "amount=3000&currency=usd&capture_method=manual&confirm=true&payment_method=pm_card_visa&metadata[payment_id]={payment}"
    );
    let intent = connection.json(&post("/v1/payment_intents", &form)).await?;
    Ok(intent["id"].as_str().context("an intent has an id")?.to_owned())
}

/// A session that is over and owes two dollars of what its payment holds, and the call that takes them.
async fn owed(database: &mut PgConnection, payment: PaymentId, intent: &str) -> Result<PaymentCallId> {
    let call = PaymentCallId::new();
    sqlx::query(
        "with people as (
           select (select id from users where email = 'host@bench.test') as host,
                  (select id from users where email = 'guest@bench.test') as guest
         ), talk as (
           insert into conversations (id, type, first_user_id, second_user_id, last_activity, created_at)
           select gen_random_uuid(), 'human', least(host, guest), greatest(host, guest), now(), now() from people
           on conflict do nothing returning id
         ), conversation as (
           select id from talk union all select id from conversations where type = 'human' limit 1
         ), over as (
           insert into sessions (id, host_user_id, guest_user_id, conversation_id, type, status, start_time, end_time,
                                 duration_minutes, booked_minutes, currency, payment_mode, cancellation_policy, confirmed_at,
                                 agreed_price_minor, payment_status, started_at, ended_at, ended_by, owed_minor, created_at,
                                 updated_at)
           select gen_random_uuid(), host, guest, conversation.id, 'instant', 'complete', now() - interval '1 hour',
                  now() - interval '30 minutes', 30, 30, 'usd', 'paid',
                  '{\"full_refund_hours\": 24, \"half_refund_hours\": 1}', now(), 3000, 'capturing',
                  now() - interval '1 hour', now(), 'host', 200, now(), now()
           from people, conversation
           returning id, host_user_id, guest_user_id
         ), held as (
           insert into payments (id, kind, session_id, payer_user_id, payee_user_id, status, amount_minor, currency, fee_percent,
                                 intent_id, checked_at, created_at, updated_at)
           select $1, 'session', id, guest_user_id, host_user_id, 'capturing', 3000, 'usd', 10, $2, now(), now(), now() from over
           returning id
         )
         insert into payment_calls (id, payment_id, kind, key, amount_minor, created_at)
         select $3, id, 'capture', $4, 200, now() from held",
    )
    .bind(payment.0)
    .bind(intent)
    .bind(call.0)
    .bind(call.to_string())
    .execute(database)
    .await
    .context("a payment could not be stored")?;
    Ok(call)
}
