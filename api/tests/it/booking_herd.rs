//! Five hundred bookings at the same moment: as many as fit are accepted, no two of them overlap.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use humanchat_domain::{
    clock::Clock,
    testing::{TestDatabase, noon, sign_in_many},
};
use serde_json::json;

use crate::{
    booking::TEN,
    scene::{at_once, count, percentile, text},
    support::{Answer, Person, api_on},
};

#[tokio::test(flavor = "multi_thread")]
async fn of_a_herd_as_many_as_fit_are_booked() {
    let settings = [("DATABASE_POOL", "16")];
    let api = api_on(&TestDatabase::create().await, Clock::manual(noon()), &settings).await;
    let people = sign_in_many(&api.store, 501).await;
    let people: Vec<_> = people.iter().map(|person| Person::signed_in(&api, person)).collect();
    let (host, guests) = people.split_last().unwrap();
    let weekly = json!([{"weekday": 2, "start": "10:00", "end": "15:00"}]);
    host.offers(json!({"timezone": "UTC", "weekly": weekly, "slotMinutes": 15})).await;
    // The same, offset by a quarter and by half, and adjacent: ten half hours fit into these five hours.
    let first: DateTime<Utc> = TEN.parse().unwrap();
    let body = |n: usize| {
        let start = first + TimeDelta::minutes(15) * i32::try_from(n % 19).unwrap();
        json!({"hostUserId": host.id, "startTime": start.to_rfc3339(), "durationMinutes": 30, "price": 0})
    };
    let deeds = guests.iter().enumerate().map(|(n, guest)| {
        let body = body(n);
        async move {
            let asked = Instant::now();
            let answer = guest.post("/api/sessions", body).await;
            (answer, asked.elapsed())
        }
        .boxed()
    });
    let outcomes = at_once(deeds).await;
    let (answers, times): (Vec<Answer>, Vec<_>) = outcomes.into_iter().unzip();
    let booked = count(&answers, 201);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.refused(409, "slot_unavailable");
    }
    let mut spans: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 201)
        .map(|answer| (text(&answer.json()["session"]["start_time"]), text(&answer.json()["session"]["end_time"])))
        .collect();
    spans.sort();
    assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{spans:?}");
    // Nothing more fits: no half hour is left on the grid.
    let left = guests[0].starts_of(host, "from=2026-11-17&to=2026-11-17&durationMinutes=30").await;
    assert_eq!(left, Vec::<String>::new(), "of {booked}: {spans:?}");
    assert!((7..=10).contains(&booked), "{booked}");
    println!(
        "{booked} of {} booked; p50 {:?}, p99 {:?}",
        answers.len(),
        percentile(&times, 50),
        percentile(&times, 99)
    );
}
