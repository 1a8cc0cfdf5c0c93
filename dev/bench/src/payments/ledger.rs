//! What came in of a million payments, added up.

use std::time::Instant;

use anyhow::{Result, ensure};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::{
    Plan,
    http::request,
    measure::{Better, Row, Series, median},
    product::Api,
    report::Table,
    say,
    stage::Stage,
};

const PAYMENTS: usize = 1_000_000;
/// Who asks for numbers.
const STAFF: &str = "staff@bench.test";
/// How often each is asked in a round.
const TIMES: usize = 15;

/// What `GET /api/admin/metrics` reads of the ledger.
const BY_DAY: &str = "select day, is_gift, sum(amount_minor)::bigint from ledger_days
    where currency = 'usd' and day >= '2000-01-01' group by day, is_gift";
/// The same from the entries.
const FROM_ENTRIES: &str = "select (t.created_at at time zone 'UTC')::date, t.is_gift, sum(e.amount_minor)::bigint
    from ledger_transactions t join ledger_entries e on e.transaction_id = t.id and e.account = 'provider'
    where t.currency = 'usd' and t.created_at >= '2000-01-01' group by 1, 2";

pub(super) async fn measure(stage: &Stage, plan: &Plan) -> Result<Table> {
    let (database, payments) = ("ledger", plan.work(PAYMENTS));
    let url = stage.product_database(database).await?;
    let api = Api::start(stage, &url).await?;
    api.register(STAFF).await?;
    say(&format!("payments: storing {payments}"));
    stage.as_superuser(database, &seed(payments)).await?;
    stage.as_superuser(database, "vacuum analyze").await?;
    let mut connection = PgConnection::connect(&url).await?;
    let sums = "select sum(amount_minor)::bigint from";
    let days: i64 = sqlx::query_scalar(AssertSqlSafe(format!("{sums} ledger_days"))).fetch_one(&mut connection).await?;
    let booked: i64 =
        sqlx::query_scalar(AssertSqlSafe(format!("{sums} ledger_transactions"))).fetch_one(&mut connection).await?;
    ensure!(days == booked && booked > 0, "the days say {days}, and {booked} was booked");
    // Storing takes longer than some tokens last.
    let staff = api.sign_in(STAFF).await?;
    let metrics = request("GET", "/api/admin/metrics", Some(&staff.token), None);
    let mut figures = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..plan.rounds {
        say(&format!("payments: totals, round {}", round + 1));
        figures[0].push(statement(&mut connection, BY_DAY).await?);
        figures[1].push(statement(&mut connection, FROM_ENTRIES).await?);
        let (mut api, mut millis) = (api.connect().await?, Vec::new());
        for _ in 0..TIMES {
            let begin = Instant::now();
            api.exchange(&metrics).await?;
            millis.push(begin.elapsed().as_secs_f64() * 1e3);
        }
        figures[2].push(median(&millis));
    }
    connection.close().await?;
    api.program.stop().await?;
    stage.drop_database(database).await?;
    let [by_day, entries, request] = figures;
    let row = |what: &str, rounds| Row {
        what: what.to_owned(),
        better: Better::Lower,
        ours: Series { name: "ours".to_owned(), unit: "ms", rounds },
        peers: Vec::new(),
        targets: Vec::new(),
    };
    let rows = vec![
        row("sums by day, as they are kept", by_day),
        row("the same from the entries", entries),
        row("GET /api/admin/metrics", request),
    ];
    Ok(Table { title: format!("What came in of {payments} captures"), rows })
}

async fn statement(connection: &mut PgConnection, sql: &'static str) -> Result<f64> {
    let mut millis = Vec::new();
    for _ in 0..TIMES {
        let begin = Instant::now();
        let rows = sqlx::query(sql).fetch_all(&mut *connection).await?;
        millis.push(begin.elapsed().as_secs_f64() * 1e3);
        ensure!(!rows.is_empty(), "nothing came in");
    }
    Ok(median(&millis))
}

/// Payments of the last thirty days with what they booked. Nobody checks constraints, nor adds the days up as
/// it is booked: that takes many times as long.
fn seed(payments: usize) -> String {
    format!(
        "set session_replication_role = replica;
         update users set role = 'admin';
         create temp table made as
           select gen_random_uuid() as payment, gen_random_uuid() as booking, n, now() - n * interval '30 days' / {payments} as at,
                  100 + n % 900 as amount
           from generate_series(0, {payments} - 1) as n;
         insert into payments (id, kind, payer_user_id, status, amount_minor, captured_minor, currency, fee_percent, checked_at,
                               created_at, updated_at)
         select payment, 'donation', (select id from users), 'captured', amount, amount, 'usd', 0, at, at, at from made;
         insert into ledger_transactions (id, payment_id, kind, currency, created_at, amount_minor, is_gift)
         select booking, payment, 'capture', 'usd', at, amount, n % 10 = 0 from made;
         insert into ledger_days (currency, day, is_gift, is_platforms, shard, amount_minor)
         select 'usd', (at at time zone 'UTC')::date, n % 10 = 0, true, n % 8, sum(amount) from made group by 2, 3, 5;
         insert into ledger_entries (transaction_id, account, amount_minor)
         select booking, account, case account when 'provider' then amount else -amount end
         from made, (values ('provider'), ('platform')) as accounts (account);"
    )
}
