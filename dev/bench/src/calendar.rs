//! What a host's slots cost: CPU time of the api and of Postgres for one look at 62 days.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::{
    Plan,
    http::request,
    measure::{Better, Row, Series, Target, count, order},
    product::{Api, Person},
    report::{Section, Table},
    say,
    stage::Stage,
};

/// How many bookings there are in the 62 days.
const BOOKINGS: [usize; 4] = [250, 500, 1_000, 2_000];
/// For this many there is a target: CPU time of the api and of Postgres, in milliseconds.
const TARGET: (usize, f64) = (1_000, 10.0);

const GUEST: &str = "guest@bench.test";

fn host_of(bookings: usize) -> String {
    format!("host-{bookings}@bench.test")
}

/// Measures slots.
///
/// # Errors
/// When a server or a request fails.
pub async fn run(stage: &Stage, plan: &Plan) -> Result<Section> {
    let database = "calendar";
    let url = stage.product_database(database).await?;
    let api = Api::start(stage, &url).await?;
    let guest = api.register(GUEST).await?;
    let mut hosts = Vec::new();
    for bookings in BOOKINGS {
        let host = api.register(&host_of(bookings)).await?;
        open(&api, &host).await?;
        book(&url, bookings).await?;
        hosts.push(host);
    }
    stage.as_superuser(database, "vacuum analyze").await?;
    let requests = if plan.quick { 20 } else { 400 };
    let mut outcomes = vec![Vec::new(); hosts.len()];
    for round in 0..plan.rounds {
        for contender in order(round, hosts.len()) {
            say(&format!("calendar: {} bookings, round {}", BOOKINGS[contender], round + 1));
            outcomes[contender].push(look(stage, &api, &hosts[contender], &guest, requests).await?);
        }
    }
    api.program.stop().await?;
    stage.drop_database(database).await?;
    let rows = BOOKINGS.iter().zip(&outcomes).flat_map(|(bookings, outcomes)| rows(*bookings, outcomes)).collect();
    Ok(Section { tables: vec![Table { title: "CPU time for 62 days of slots".to_owned(), rows }], notes: Vec::new() })
}

/// The host is there around the clock, in half hours.
async fn open(api: &Api, host: &Person) -> Result<()> {
    let weekly: Vec<_> = (0..7).map(|weekday| json!({"weekday": weekday, "start": "00:00", "end": "24:00"})).collect();
    let rules = json!({"timezone": "Europe/Berlin", "weekly": weekly, "bufferMinutes": 5, "horizonDays": 90});
    let request = request("PUT", "/api/availability", Some(&host.token), Some(&rules));
    api.connect().await?.exchange(&request).await?;
    Ok(())
}

/// Stores the guest's bookings of half an hour with such a host, evenly over 62 days from tomorrow on.
async fn book(database_url: &str, bookings: usize) -> Result<()> {
    let mut connection = PgConnection::connect(database_url).await?;
    sqlx::query(
        "with people as (
           select (select id from users where email = $1) as host, (select id from users where email = $2) as guest
         ), talk as (
           insert into conversations (id, type, first_user_id, second_user_id, last_activity, created_at)
           select gen_random_uuid(), 'human', least(host, guest), greatest(host, guest), now(), now() from people
           returning id
         ), booked as (
           insert into sessions (id, host_user_id, guest_user_id, conversation_id, type, status, start_time, end_time,
                                 duration_minutes, booked_minutes, currency, payment_mode, cancellation_policy, confirmed_at,
                                 created_at, updated_at)
           select gen_random_uuid(), host, guest, talk.id, 'scheduled', 'pending', at, at + interval '30 minutes', 30, 30, 'usd',
                  'free', '{\"full_refund_hours\": 24, \"half_refund_hours\": 1}', now(), now(), now()
           from people, talk, generate_series(1, $3) as n,
                lateral (select date_trunc('day', now()) + interval '1 day' + (n - 1) * interval '62 days' / $3 as at) as slot
           returning id, host_user_id, start_time
         )
         insert into engagements (session_id, user_id, during)
         select id, host_user_id, tstzrange(start_time, start_time + interval '35 minutes') from booked",
    )
    .bind(host_of(bookings))
    .bind(GUEST)
    .bind(i32::try_from(bookings)?)
    .execute(&mut connection)
    .await
    .context("the bookings could not be stored")?;
    Ok(connection.close().await?)
}

/// CPU time of (the api, Postgres) for one look, in milliseconds.
async fn look(stage: &Stage, api: &Api, host: &Person, guest: &Person, requests: usize) -> Result<(f64, f64)> {
    let (from, to) = days();
    let path = format!("/api/availability/{}?from={from}&to={to}", host.id);
    let request = request("GET", &path, Some(&guest.token), None);
    let mut connection = api.connect().await?;
    for _ in 0..10 {
        connection.exchange(&request).await?;
    }
    let before = (api.program.cpu()?, stage.postgres_cpu()?);
    for _ in 0..requests {
        connection.exchange(&request).await?;
    }
    let each = |before: Duration, now: Duration| now.saturating_sub(before).as_secs_f64() * 1e3 / count(requests);
    Ok((each(before.0, api.program.cpu()?), each(before.1, stage.postgres_cpu()?)))
}

/// 62 days from tomorrow on, as dates.
fn days() -> (String, String) {
    let first = humanchat_domain::clock::Clock::System.now().date_naive() + chrono::Days::new(1);
    (first.to_string(), (first + chrono::Days::new(61)).to_string())
}

fn rows(bookings: usize, outcomes: &[(f64, f64)]) -> [Row; 2] {
    let row = |whose: &str, figure: fn(&(f64, f64)) -> f64, targets| Row {
        what: format!("{bookings} bookings, {whose}"),
        better: Better::Lower,
        ours: Series { name: "ours".to_owned(), unit: "ms", rounds: outcomes.iter().map(figure).collect() },
        peers: Vec::new(),
        targets,
    };
    let target = (bookings == TARGET.0).then(|| Target::fixed(TARGET.1));
    [
        row("the api and Postgres", |(api, postgres)| api + postgres, target.into_iter().collect()),
        row("the api alone", |(api, _)| *api, Vec::new()),
    ]
}
