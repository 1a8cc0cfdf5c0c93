//! How long staff wait for numbers and for members.

use std::time::Instant;

use anyhow::{Context as _, Result};

use super::{row, table};
use crate::{
    Plan,
    http::request,
    measure::{Better, Target, median},
    product::{Api, Person},
    report::Table,
    say,
};

/// What is asked for, by what it is.
const LOOKS: [(&str, &str); 10] = [
    ("metrics, 10 days", "/api/admin/metrics?days=10"),
    ("metrics, 90 days", "/api/admin/metrics?days=90"),
    ("all members", "/api/admin/users"),
    ("a word that all have", "/api/admin/users?search=explain"),
    ("a word that ten have", "/api/admin/users?search=celestial+navigation"),
    ("the beginning of a word", "/api/admin/users?search=tana"),
    ("the beginning of an address", "/api/admin/users?search=person-47"),
    ("a word that nobody has", "/api/admin/users?search=zzzzzz"),
    ("the managed, by a word that all have", "/api/admin/users?managed=true&search=explain"),
    ("the only admin, by a word that all have", "/api/admin/users?role=admin&search=explain"),
];
/// What is walked through to its last page.
const WALK: (&str, &str) = ("the last page of a word that a quarter have", "/api/admin/users?limit=100&search=tanaka");
/// p50, in milliseconds.
const TARGET: f64 = 50.0;

/// Each look's median, one request after the other on one connection.
pub(super) async fn measure(api: &Api, admin: &Person, plan: &Plan) -> Result<Table> {
    let last_page = last_page(api, admin).await?;
    let looks: Vec<_> = LOOKS.into_iter().chain([(WALK.0, last_page.as_str())]).collect();
    let mut medians = vec![Vec::new(); looks.len()];
    for round in 0..plan.rounds {
        say(&format!("staff: looks, round {}", round + 1));
        for ((_, path), medians) in looks.iter().zip(&mut medians) {
            medians.push(p50(api, admin, path, plan.work(100)).await?);
        }
    }
    let rows = looks.iter().zip(medians).map(|((what, _), medians)| {
        row(format!("{what}, p50"), Better::Lower, "ms", medians, vec![Target::fixed(TARGET)])
    });
    Ok(table("What staff wait for, 100,000 users and 1 million messages", rows.collect()))
}

async fn p50(api: &Api, admin: &Person, path: &str, requests: usize) -> Result<f64> {
    let request = request("GET", path, Some(&admin.token), None);
    let mut connection = api.connect().await?;
    for _ in 0..5 {
        connection.exchange(&request).await?;
    }
    let mut millis = Vec::with_capacity(requests);
    for _ in 0..requests {
        let asked = Instant::now();
        connection.exchange(&request).await?;
        millis.push(asked.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(&millis))
}

/// The path of the walk's last page.
async fn last_page(api: &Api, admin: &Person) -> Result<String> {
    let mut connection = api.connect().await?;
    let mut path = WALK.1.to_owned();
    loop {
        let page = connection.json(&request("GET", &path, Some(&admin.token), None)).await.context("the walk")?;
        match page["nextCursor"].as_str() {
            Some(cursor) => path = format!("{}&cursor={cursor}", WALK.1),
            None => return Ok(path),
        }
    }
}
