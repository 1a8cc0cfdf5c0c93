//! What becomes of a booking as time goes by: begun, moved, called off, reminded of, missed, forgotten.

use std::time::Duration;

use humanchat_domain::{event::Channel, testing};
use serde_json::{Value, json};

use crate::{
    booking::{TEN, staying},
    scene::{id, strings, text},
    support::{Api, Person, api},
};

pub const HOUR: Duration = Duration::from_hours(1);
pub const MINUTE: Duration = Duration::from_mins(1);

fn just_before(time: Duration) -> Duration {
    time.saturating_sub(Duration::from_millis(1))
}

/// A guest, a host who is there all day, and a third, with a free booking for tomorrow at ten, which
/// is in 22 hours.
pub async fn booked(api: &Api) -> ([Person<'_>; 3], Value) {
    let people = staying(api).await;
    people[1].keeps_open().await;
    let session = people[0].booked(&people[1], TEN).await;
    (people, session)
}

/// The same for fifty dollars, paid.
async fn paid<'a>(api: &'a Api, start: &str) -> ([Person<'a>; 3], Value) {
    let people = staying(api).await;
    people[1].keeps_open().await;
    people[1].change(json!({"conversationType": "paid", "scheduledRates": {"30": 50}})).await;
    let session = people[0].book(&people[1], start, json!(50)).await.ok(201)["session"].clone();
    assert!(api.pays(&session).await);
    (people, session)
}

impl Api {
    /// What a guest owes of a session that is over, in cents.
    pub async fn owed(&self, session: &Value) -> i64 {
        testing::owed(&self.store, id(&text(&session["id"]))).await
    }
}

#[tokio::test]
async fn the_host_begins_and_completes() {
    let api = api().await;
    let ([guest, host, third], session) = booked(&api).await;
    api.advance(22 * HOUR);
    guest.moves(&session, "in_progress").await.refused(403, "forbidden");
    third.moves(&session, "in_progress").await.refused(404, "resource_not_found");
    let begun = host.moves(&session, "in_progress").await.ok(200)["session"].clone();
    assert_eq!((&begun["status"], &begun["started_at"]), (&json!("in_progress"), &json!(TEN)));
    assert_eq!(host.moves(&session, "in_progress").await.ok(200)["session"], begun, "again");
    assert!(host.is_busy().await && guest.is_busy().await);
    for person in [&guest, &host] {
        person.moves(&session, "cancelled").await.refused(409, "invalid_transition");
        person.steps(&session, json!({"startTime": "2026-11-18T10:00:00Z"})).await.refused(409, "invalid_transition");
    }
    api.advance(20 * MINUTE);
    guest.moves(&session, "complete").await.refused(403, "forbidden");
    let done = host.moves(&session, "complete").await.ok(200)["session"].clone();
    assert_eq!(done["ended_at"], "2026-11-17T10:20:00.000Z");
    // What was agreed still stands there.
    for field in ["start_time", "end_time", "duration_minutes", "agreed_price", "version"] {
        assert_eq!(done[field], session[field], "{field}");
    }
    assert_eq!((&done["status"], &done["ended_by"]), (&json!("complete"), &json!("host")));
    assert_eq!(guest.told_of(&session).await, ["session.created", "session.updated", "session.updated"]);
    // The rest of the time is free again.
    third.booked(&host, "2026-11-17T10:30:00Z").await;
}

#[tokio::test]
async fn a_session_that_begins_early_takes_that_time_instead() {
    let api = api().await;
    let ([guest, host, third], session) = booked(&api).await;
    guest.say(&text(&session["conversation_id"]), "Could it be now?").await.ok(201);
    let early = host.moves(&session, "in_progress").await.ok(200)["session"].clone();
    assert_eq!((&early["started_at"], &early["start_time"]), (&json!("2026-11-16T12:00:00.000Z"), &json!(TEN)));
    third.booked(&host, TEN).await;
    third.book(&host, "2026-11-16T12:00:00Z", json!(0)).await.refused(409, "slot_unavailable");
    host.moves(&session, "complete").await.ok(200);
    assert!(!guest.is_busy().await);
}

#[tokio::test]
async fn a_session_begins_early_only_where_its_guest_is_ready() {
    let api = api().await;
    let ([guest, host, _], session) = booked(&api).await;
    let begin = async || host.moves(&session, "in_progress").await;
    let conversation = text(&session["conversation_id"]);
    // Who is online, in whatever tab, is not ready.
    guest.appear().await;
    host.say(&conversation, "Now?").await.ok(201);
    begin().await.refused(409, "invalid_transition");
    guest.say(&conversation, "Till tomorrow!").await.ok(201);
    let ago = 15 * MINUTE + Duration::from_millis(1);
    api.advance(ago);
    begin().await.refused(409, "invalid_transition");
    api.advance(just_before((21 * HOUR + 45 * MINUTE).saturating_sub(ago)));
    begin().await.refused(409, "invalid_transition");
    api.advance(Duration::from_millis(1));
    begin().await.ok(200);
}

#[tokio::test]
async fn a_session_is_not_begun_too_late_even_where_nobody_works() {
    let api = api().await;
    let ([guest, host, _], session) = booked(&api).await;
    let short = async |start: &str| {
        let body = json!({"hostUserId": host.id, "startTime": start, "durationMinutes": 10, "price": 0});
        guest.post("/api/sessions", body).await.ok(201)["session"].clone()
    };
    let (first, second) = (short("2026-11-17T10:30:00Z").await, short("2026-11-17T11:00:00Z").await);
    api.advance(22 * HOUR + 15 * MINUTE);
    host.moves(&session, "in_progress").await.refused(409, "invalid_transition");
    api.advance(just_before(25 * MINUTE));
    host.moves(&first, "in_progress").await.ok(200);
    host.moves(&first, "complete").await.ok(200);
    api.advance(30 * MINUTE + Duration::from_millis(1));
    host.moves(&second, "in_progress").await.refused(409, "invalid_transition");
}

#[tokio::test]
async fn who_gives_up_on_a_late_host_owes_nothing() {
    for (host_came, owed) in [(false, 0), (true, 5000)] {
        let api = api().await;
        let ([guest, host, _], session) = paid(&api, TEN).await;
        api.advance(21 * HOUR + 56 * MINUTE);
        if host_came {
            host.appear().await;
        }
        api.advance(14 * MINUTE);
        guest.appear().await;
        guest.moves(&session, "cancelled").await.ok(200);
        assert_eq!(api.owed(&session).await, owed);
    }
}

#[tokio::test]
async fn a_booking_whose_hold_has_run_out_is_not_moved() {
    let api = api().await;
    let [guest, host, third] = staying(&api).await;
    host.keeps_open().await;
    host.change(json!({"conversationType": "paid", "scheduledRates": {"30": 50}})).await;
    let session = guest.book(&host, TEN, json!(50)).await.ok(201)["session"].clone();
    api.advance(15 * MINUTE);
    let later = "2026-11-18T10:00:00Z";
    guest.steps(&session, json!({"startTime": later})).await.refused(409, "invalid_transition");
    third.book(&host, later, json!(50)).await.ok(201);
    assert_eq!(guest.session(&session).await["status"], "cancelled");
}

#[tokio::test]
async fn a_booking_that_was_moved_before_it_was_paid_is_news_and_not_moved() {
    let api = api().await;
    let [guest, host, _] = staying(&api).await;
    host.keeps_open().await;
    host.change(json!({"conversationType": "paid", "scheduledRates": {"30": 50}})).await;
    let session = guest.book(&host, TEN, json!(50)).await.ok(201)["session"].clone();
    guest.steps(&session, json!({"startTime": "2026-11-18T10:00:00Z"})).await.ok(200);
    assert!(api.pays(&session).await);
    for person in [&guest, &host] {
        let notices = person.get("/api/notifications").await.ok(200);
        assert_eq!(strings(&notices["notifications"], "type"), ["session_booked"]);
    }
}

#[tokio::test]
async fn nothing_leaves_its_end() {
    let api = api().await;
    let ([guest, host, _], session) = booked(&api).await;
    for status in ["pending", "complete", "no_show"] {
        host.moves(&session, status).await.refused(409, "invalid_transition");
    }
    let over = guest.moves(&session, "cancelled").await.ok(200)["session"].clone();
    assert_eq!((&over["status"], &over["ended_by"]), (&json!("cancelled"), &json!("guest")));
    assert_eq!(guest.moves(&session, "cancelled").await.ok(200)["session"], over, "again");
    for status in ["pending", "in_progress", "complete", "cancelled", "no_show"] {
        host.moves(&session, status).await.refused(409, "invalid_transition");
    }
    let to = json!({"startTime": "2026-11-18T10:00:00Z"});
    guest.steps(&session, to).await.refused(409, "invalid_transition");
    guest.booked(&host, TEN).await;
    for body in [
        json!({}),
        json!({"status": "complete", "startTime": TEN}),
        json!({"startTime": "soon"}),
        json!({"version": 1}),
        json!({"status": "cancelled", "version": 0}),
        json!({"status": "cancelled", "owedMinor": 0}),
    ] {
        guest.steps(&session, body).await.refused(422, "validation_failed");
    }
}

#[tokio::test]
async fn both_are_reminded_three_times_and_then_it_is_missed() {
    let api = api().await;
    let [guest, host, third] = staying(&api).await;
    host.keeps_open().await;
    let session = guest.booked(&host, "2026-11-18T10:00:00Z").await;
    let mut socket = guest.socket("/ws").await;
    socket.subscribe(&format!("sessions:{}", guest.id)).await;
    for (pause, minutes) in [(22 * HOUR, 24 * 60), (23 * HOUR, 60), (50 * MINUTE, 10)] {
        api.advance(just_before(pause));
        assert_eq!(api.work_but_mail().await, Vec::<&str>::new());
        api.advance(Duration::from_millis(1));
        assert_eq!(api.work_but_mail().await, ["remind_of_session"]);
        let frame = socket.next().await;
        assert_eq!((&frame["type"], &frame["payload"]["minutesBefore"]), (&json!("session.reminder"), &json!(minutes)));
        assert_eq!(frame["payload"]["session"], session);
    }
    for person in [&guest, &host] {
        let told = person.told_of(&session).await;
        assert_eq!(told, ["session.created", "session.reminder", "session.reminder", "session.reminder"]);
    }
    assert_eq!(api.told(Channel::Sessions(id(&third.id))).await.len(), 0);
    drop(socket);
}

#[tokio::test]
async fn a_reminder_that_ran_before_says_nothing_again() {
    let api = api().await;
    let ([guest, ..], session) = booked(&api).await;
    let remind = async |version, minutes| {
        let mut tx = api.store.begin(None).await.unwrap();
        let id = id(&text(&session["id"]));
        humanchat_domain::sessions::remind(&mut tx, id, version, minutes).await.unwrap();
        tx.commit().await.unwrap();
        guest.told_of(&session).await.len()
    };
    api.advance(21 * HOUR);
    assert_eq!(remind(1, 60).await, 2);
    assert_eq!(remind(1, 60).await, 2, "the worker died before it could say that the job is done");
    assert_eq!(remind(1, 24 * 60).await, 2, "too late for that one");
    assert_eq!(remind(2, 60).await, 2, "of another time");
    api.advance(HOUR);
    assert_eq!(remind(1, 10).await, 2, "it has begun");
}

#[tokio::test]
async fn a_moved_session_is_reminded_of_at_its_new_time_alone() {
    let api = api().await;
    let ([guest, host, third], session) = booked(&api).await;
    third.booked(&host, "2026-11-17T12:00:00Z").await;
    let to = |time: &str| json!({"startTime": time});
    for time in ["2026-11-17T12:00:00Z", "2026-11-17T12:10:00Z", "2026-11-16T11:30:00Z"] {
        guest.steps(&session, to(time)).await.refused(409, "slot_unavailable");
    }
    third.steps(&session, to("2026-11-18T10:00:00Z")).await.refused(404, "resource_not_found");
    assert_eq!(guest.steps(&session, to(TEN)).await.ok(200)["session"], session, "it is there already");
    let mut stale = to("2026-11-18T10:00:00Z");
    stale["version"] = json!(2);
    guest.steps(&session, stale.clone()).await.refused(409, "invalid_transition");
    stale["version"] = json!(1);
    let moved = guest.steps(&session, stale.clone()).await.ok(200)["session"].clone();
    assert_eq!((&moved["version"], &moved["start_time"]), (&json!(2), &json!("2026-11-18T10:00:00.000Z")));
    assert_eq!(moved["end_time"], "2026-11-18T10:30:00.000Z");
    guest.steps(&session, stale).await.refused(409, "invalid_transition");
    assert_eq!(host.told_of(&session).await, ["session.created", "session.updated"]);
    // By half an hour, over its own old time.
    host.steps(&session, to("2026-11-18T10:15:00Z")).await.refused(409, "slot_unavailable");
    host.steps(&session, to("2026-11-18T09:30:00Z")).await.ok(200);
    third.booked(&host, TEN).await;
    third.moves(&third.get("/api/sessions").await.ok(200)["sessions"][0], "cancelled").await.ok(200);
    third.moves(&third.get("/api/sessions").await.ok(200)["sessions"][1], "cancelled").await.ok(200);
    api.advance(21 * HOUR);
    assert_eq!(api.work_but_mail().await, Vec::<&str>::new(), "nothing of the old time");
    api.advance(30 * MINUTE);
    assert_eq!(api.work_but_mail().await, ["remind_of_session"]);
    api.advance(23 * HOUR);
    assert_eq!(api.work_but_mail().await, ["remind_of_session"]);
    guest.moves(&session, "cancelled").await.ok(200);
    api.idle().await;
}

#[tokio::test]
async fn calling_off_costs_what_the_policy_says() {
    for (pause, by, owed) in [
        (Duration::ZERO, "guest", 0),
        (23 * HOUR, "guest", 2500),
        (just_before(46 * HOUR), "guest", 5000),
        (just_before(46 * HOUR), "host", 0),
        (45 * HOUR, "guest", 2500),
    ] {
        let api = api().await;
        let ([guest, host, _], session) = paid(&api, "2026-11-18T10:00:00Z").await;
        api.advance(pause);
        let caller = if by == "guest" { &guest } else { &host };
        let over = caller.moves(&session, "cancelled").await.ok(200)["session"].clone();
        assert_eq!(over["ended_by"], by);
        assert_eq!(api.owed(&session).await, owed, "{by} after {pause:?}");
    }
}

#[tokio::test]
async fn a_guest_cannot_move_away_from_what_calling_off_costs() {
    let api = api().await;
    let ([guest, host, _], session) = paid(&api, "2026-11-18T10:00:00Z").await;
    api.advance(23 * HOUR);
    let to = |time: &str| json!({"startTime": time});
    guest.steps(&session, to("2026-11-25T10:00:00Z")).await.refused(409, "invalid_transition");
    // Once the host has moved it, calling it off is free.
    let moved = host.steps(&session, to("2026-11-18T11:00:00Z")).await.ok(200)["session"].clone();
    assert_eq!(moved["cancellation_policy"], json!({"full_refund_hours": 0, "half_refund_hours": 0}));
    assert_eq!(moved["payment_status"], "authorized");
    guest.moves(&session, "cancelled").await.ok(200);
    assert_eq!(api.owed(&session).await, 0);
    api.idle().await;
}

#[tokio::test]
async fn an_unpaid_booking_costs_nothing_to_call_off() {
    let api = api().await;
    let [guest, host, _] = staying(&api).await;
    host.keeps_open().await;
    host.change(json!({"conversationType": "paid", "instantRatePerMinute": 1})).await;
    let session = guest.book(&host, "2026-11-16T12:30:00Z", json!(30)).await.ok(201)["session"].clone();
    guest.moves(&session, "cancelled").await.ok(200);
    assert_eq!(api.owed(&session).await, 0);
    api.idle().await;
}

#[tokio::test]
async fn a_missed_start_is_settled_by_who_came() {
    for (host_came, guest_came, status, by, owed) in [
        (true, false, "no_show", "guest", 5000),
        (false, true, "no_show", "host", 0),
        (false, false, "cancelled", "system", 0),
        (true, true, "cancelled", "system", 0),
    ] {
        let api = api().await;
        let ([guest, host, _], session) = paid(&api, TEN).await;
        api.advance(22 * HOUR);
        api.work().await;
        if host_came {
            host.appear().await;
        }
        if guest_came {
            guest.say(&text(&session["conversation_id"]), "Are you there?").await.ok(201);
        }
        api.advance(just_before(15 * MINUTE));
        api.work().await;
        assert_eq!(guest.session(&session).await["status"], "pending");
        api.advance(Duration::from_millis(1));
        assert_eq!(api.work_but_mail().await, ["end_unstarted_session"]);
        let over = guest.session(&session).await;
        assert_eq!((text(&over["status"]), text(&over["ended_by"])), (status.to_owned(), by.to_owned()));
        assert_eq!(api.owed(&session).await, owed, "{over}");
        host.moves(&session, "in_progress").await.refused(409, "invalid_transition");
        assert_eq!(guest.told_of(&session).await.last().unwrap(), "session.updated");
    }
}

#[tokio::test]
async fn a_forgotten_session_ends_when_one_has_left() {
    let api = api().await;
    let ([guest, host, third], session) = booked(&api).await;
    api.advance(22 * HOUR);
    api.work().await;
    host.moves(&session, "in_progress").await.ok(200);
    let mut there = guest.socket("/ws").await;
    let mut here = host.socket("/ws").await;
    there.quiet().await;
    here.quiet().await;
    crate::attendance::settled(&api, 2).await;
    // They talk on past the end.
    api.advance(45 * MINUTE);
    drain_snoozed(&api).await;
    assert_eq!(guest.session(&session).await["status"], "in_progress");
    drop(there);
    crate::attendance::settled(&api, 1).await;
    api.advance(just_before(10 * MINUTE));
    drain_snoozed(&api).await;
    assert_eq!(guest.session(&session).await["status"], "in_progress");
    api.advance(6 * MINUTE);
    drain_snoozed(&api).await;
    let over = guest.session(&session).await;
    assert_eq!((&over["status"], &over["ended_by"]), (&json!("complete"), &json!("system")));
    assert_eq!(over["ended_at"], "2026-11-17T10:45:00.000Z", "as long as both were there");
    assert!(!host.is_busy().await);
    third.booked(&host, "2026-11-17T13:00:00Z").await;
    drop(here);
}

#[tokio::test]
async fn a_forgotten_instant_session_ends_too() {
    let api = api().await;
    let [guest, host, _] = staying(&api).await;
    let invite = guest.invite(&host).await;
    let session = host.answer(&invite, "accept").await.ok(200)["session"].clone();
    api.advance(40 * MINUTE);
    drain_snoozed(&api).await;
    let over = guest.session(&session).await;
    assert_eq!((&over["status"], &over["duration_minutes"]), (&json!("complete"), &json!(1)));
    api.idle().await;
}

/// Does what is due, be it to look again later.
async fn drain_snoozed(api: &Api) {
    for (kind, outcome) in humanchat_worker::testing::drain(&api.store).await {
        use humanchat_worker::testing::Outcome::{Done, Snoozed};
        assert!(matches!(outcome, Done | Snoozed), "{kind}: {outcome:?}");
    }
}
