//! How fast everybody gets an announcement, from the request to the last notification.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::{row, table};
use crate::{
    Plan,
    http::request,
    measure::{Better, Target},
    product::{Api, Person},
    report::Table,
    say,
};

/// Users a second.
const TARGET: f64 = 5_000.0;
/// How often it is asked whether everybody has it.
const LOOK: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_mins(5);

/// One announcement a round.
pub(super) async fn measure(api: &Api, admin: &Person, plan: &Plan) -> Result<Table> {
    let mut rates = Vec::new();
    for round in 0..plan.rounds {
        say(&format!("staff: an announcement, round {}", round + 1));
        rates.push(announce(api, admin).await?);
    }
    let row = row("users a second, from the request on", Better::Higher, "/s", rates, vec![Target::fixed(TARGET)]);
    Ok(table("An announcement to 100,000 users, one worker process", vec![row]))
}

async fn announce(api: &Api, admin: &Person) -> Result<f64> {
    let mut connection = api.connect().await?;
    let body = json!({"title": "A word to everybody", "body": "We have news for all of you."});
    let began = Instant::now();
    connection.exchange(&request("POST", "/api/admin/announcements", Some(&admin.token), Some(&body))).await?;
    let list = request("GET", "/api/admin/announcements?limit=1", Some(&admin.token), None);
    loop {
        let newest = connection.json(&list).await?["announcements"][0].clone();
        if newest["status"] == "sent" {
            let sent = newest["progress"]["sent"].as_f64().context("no such number")?;
            ensure!(sent > 100_000.0, "only {sent} have it");
            return Ok(sent / began.elapsed().as_secs_f64());
        }
        ensure!(began.elapsed() < PATIENCE, "not everybody got it: {newest}");
        tokio::time::sleep(LOOK).await;
    }
}
