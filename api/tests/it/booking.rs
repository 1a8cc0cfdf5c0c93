//! Booking a slot: for the price and at the times that the server names, and for nobody else's.

use std::time::Duration;

use humanchat_domain::{
    event::Channel,
    testing::{self, Flags, set_flags},
    users::DisplayMode,
};
use serde_json::{Value, json};

use crate::{
    invites::three,
    scene::{id, strings, text},
    support::{Answer, Api, Person, api},
};

/// The slot that most tests book: tomorrow at ten, of somebody who is there all day, every day.
pub const TEN: &str = "2026-11-17T10:00:00.000Z";

impl Person<'_> {
    /// Is there all day, every day, in half hours.
    pub async fn keeps_open(&self) {
        let weekly: Vec<_> =
            (0..7).map(|weekday| json!({"weekday": weekday, "start": "00:00", "end": "24:00"})).collect();
        self.offers(json!({"timezone": "UTC", "weekly": weekly})).await;
    }

    pub async fn book(&self, host: &Person<'_>, start: &str, price: Value) -> Answer {
        let body = json!({"hostUserId": host.id, "startTime": start, "durationMinutes": 30, "price": price});
        self.post("/api/sessions", body).await
    }

    /// A free half hour.
    pub async fn booked(&self, host: &Person<'_>, start: &str) -> Value {
        self.book(host, start, json!(0)).await.ok(201)["session"].clone()
    }

    pub async fn steps(&self, session: &Value, change: Value) -> Answer {
        self.patch(&format!("/api/sessions/{}", text(&session["id"])), change).await
    }

    /// Moves on to a status.
    pub async fn moves(&self, session: &Value, status: &str) -> Answer {
        self.steps(session, json!({"status": status})).await
    }

    pub async fn session(&self, session: &Value) -> Value {
        self.get(&format!("/api/sessions/{}", text(&session["id"]))).await.ok(200)["session"].clone()
    }

    /// What the person was told about a session, in order.
    pub async fn told_of(&self, session: &Value) -> Vec<String> {
        let events = self.api.told(Channel::Sessions(id(&self.id))).await;
        let about = events.iter().filter(|event| event["payload"]["session"]["id"] == session["id"]);
        about.map(|event| text(&event["type"])).collect()
    }
}

impl Api {
    /// The guest's money is held.
    pub async fn pays(&self, session: &Value) -> bool {
        testing::pay(&self.store, id(&text(&session["id"]))).await
    }
}

/// Three people who stay for days.
pub async fn staying(api: &Api) -> [Person<'_>; 3] {
    three(api).await.map(Person::staying)
}

/// A guest, a host who is there all day for two dollars a minute, and a third.
async fn paid(api: &Api) -> [Person<'_>; 3] {
    let people = staying(api).await;
    people[1].keeps_open().await;
    let rates = json!({"conversationType": "paid", "instantRatePerMinute": 2, "scheduledRates": {"30": 50}});
    people[1].change(rates).await;
    people
}

#[tokio::test]
async fn a_free_slot_is_agreed_at_once() {
    let api = api().await;
    let [guest, host, third] = staying(&api).await;
    host.keeps_open().await;
    let session = guest.booked(&host, TEN).await;
    let conversation = guest.get("/api/conversations").await.ok(200)["conversations"][0].clone();
    let expected = json!({
        "id": session["id"], "host_user_id": host.id, "guest_user_id": guest.id, "conversation_id": conversation["id"],
        "type": "scheduled", "status": "pending", "start_time": TEN, "end_time": "2026-11-17T10:30:00.000Z",
        "duration_minutes": 30, "agreed_price": 0, "currency": "usd", "payment_mode": "free",
        "payment_status": "not_required", "cancellation_policy": {"full_refund_hours": 24, "half_refund_hours": 1},
        "hold_expires_at": null, "started_at": null, "ended_at": null, "ended_by": null, "version": 1,
        "created_at": "2026-11-16T12:00:00.000Z", "updated_at": "2026-11-16T12:00:00.000Z",
    });
    assert_eq!(session, expected);
    assert_eq!(conversation["linked_session_id"], session["id"]);
    for person in [&guest, &host] {
        assert_eq!(person.session(&session).await, session);
        assert_eq!(person.told_of(&session).await, ["session.created"]);
    }
    third.get(&format!("/api/sessions/{}", text(&session["id"]))).await.refused(404, "resource_not_found");
    third.book(&host, TEN, json!(0)).await.refused(409, "slot_unavailable");
    let open = third.starts_of(&host, "from=2026-11-17T09:30:00Z&to=2026-11-17T11:00:00Z").await;
    assert_eq!(open, ["2026-11-17T09:30:00.000Z", "2026-11-17T10:30:00.000Z"]);
    // The conversation may be named, if it is the pair's.
    let body = |conversation: &Value, start: &str| json!({"hostUserId": host.id, "startTime": start, "durationMinutes": 30, "price": 0, "conversationId": conversation});
    let named = guest.post("/api/sessions", body(&conversation["id"], "2026-11-17T11:00:00Z")).await.ok(201);
    assert_eq!(named["session"]["conversation_id"], conversation["id"]);
    let foreign = json!(third.conversation_with(&host).await);
    for conversation in [foreign, json!("conv_01jd8t6ze5fkxrv8q3w2m9n7ab"), json!("x")] {
        let refused = guest.post("/api/sessions", body(&conversation, "2026-11-17T12:00:00Z")).await;
        let details = refused.refused(422, "validation_failed");
        assert!(details["fields"]["conversationId"].is_string(), "{details}");
    }
}

#[tokio::test]
async fn only_what_the_host_offers_can_be_booked() {
    let api = api().await;
    let [guest, host, third] = staying(&api).await;
    guest.book(&host, TEN, json!(0)).await.refused(409, "slot_unavailable");
    host.offers(json!({
        "timezone": "UTC", "weekly": [{"weekday": 2, "start": "09:00", "end": "12:00"}], "slotMinutes": 30,
        "bufferMinutes": 15, "minimumNoticeMinutes": 60, "horizonDays": 14, "dailyCap": 2,
    }))
    .await;
    for start in [
        "2026-11-17T08:30:00Z",
        "2026-11-17T09:10:00Z",
        "2026-11-17T12:00:00Z",
        "2026-11-18T09:00:00Z",
        "2026-11-10T09:00:00Z",
        "2026-12-15T09:00:00Z",
    ] {
        guest.book(&host, start, json!(0)).await.refused(409, "slot_unavailable");
    }
    let long = json!({"hostUserId": host.id, "startTime": "2026-11-17T11:30:00Z", "durationMinutes": 31, "price": 0});
    guest.post("/api/sessions", long).await.refused(409, "slot_unavailable");
    // In another zone's words, it is the same slot.
    let session = guest.booked(&host, "2026-11-17T11:00:00+01:00").await;
    assert_eq!(session["start_time"], TEN);
    // A quarter of an hour is kept free on both sides of a booking.
    for start in ["2026-11-17T09:30:00Z", "2026-11-17T10:30:00Z"] {
        third.book(&host, start, json!(0)).await.refused(409, "slot_unavailable");
    }
    third.booked(&host, "2026-11-17T09:00:00Z").await;
    third.book(&host, "2026-11-17T11:00:00Z", json!(0)).await.refused(409, "slot_unavailable");
    let why = host.get(&format!("/api/availability/{}?from=2026-11-17&to=2026-11-17&explain=true", host.id)).await;
    assert_eq!(strings(&why.ok(200)["missing"], "reason"), ["busy", "busy", "busy", "busy", "daily_cap", "daily_cap"]);
}

#[tokio::test]
async fn wrong_bookings_are_refused_with_the_field() {
    let api = api().await;
    let [guest, host, _] = paid(&api).await;
    let right = json!({"hostUserId": host.id, "startTime": TEN, "durationMinutes": 30, "price": 50});
    for (field, value) in [
        ("hostUserId", json!(guest.id)),
        ("startTime", json!("tomorrow")),
        ("startTime", json!("2026-11-17T10:00:00")),
        ("startTime", json!("+294277-01-01T00:00:00Z")),
        ("startTime", json!("2026-12-31T23:59:60Z")),
        ("startTime", json!(1_794_830_400)),
        ("startTime", Value::Null),
        ("durationMinutes", json!(4)),
        ("durationMinutes", json!(481)),
        ("durationMinutes", json!(i64::MAX)),
        ("durationMinutes", json!(30.5)),
        ("price", json!(-1)),
        ("price", json!(49.999)),
        ("price", json!("50")),
        ("agreedPrice", json!(1)),
    ] {
        let mut body = right.clone();
        body[field] = value;
        let details = guest.post("/api/sessions", body.clone()).await.refused(422, "validation_failed");
        assert!(details["fields"][field].is_string(), "{field}: {body} {details}");
    }
    for field in ["hostUserId", "startTime", "durationMinutes", "price"] {
        let mut body = right.clone();
        body.as_object_mut().unwrap().remove(field);
        let details = guest.post("/api/sessions", body).await.refused(422, "validation_failed");
        assert!(details["fields"][field].is_string(), "{field}: {details}");
    }
    for host in ["user_01jd8t6ze5fkxrv8q3w2m9n7ab", "x"] {
        let mut body = right.clone();
        body["hostUserId"] = json!(host);
        guest.post("/api/sessions", body).await.refused(404, "resource_not_found");
    }
    let suspended = Flags { suspended: true, ..Flags::default() };
    set_flags(&api.store, id(&host.id), suspended).await;
    guest.post("/api/sessions", right).await.refused(404, "resource_not_found");
    assert_eq!(guest.get("/api/sessions").await.ok(200)["sessions"], json!([]));
    api.idle().await;
}

#[tokio::test]
async fn the_server_names_the_price() {
    let api = api().await;
    let [guest, host, third] = paid(&api).await;
    for price in [json!(0), json!(49), json!(60)] {
        let details = guest.book(&host, TEN, price).await.refused(409, "price_changed");
        assert_eq!(details, json!({"price": 50, "currency": "usd"}));
    }
    let session = guest.book(&host, TEN, json!(50)).await.ok(201)["session"].clone();
    assert_eq!((&session["agreed_price"], &session["payment_status"]), (&json!(50), &json!("requires_payment")));
    assert_eq!((&session["payment_mode"], &session["currency"]), (&json!("paid"), &json!("usd")));
    // A length without a price of its own costs its minutes.
    let body = json!({"hostUserId": host.id, "startTime": "2026-11-17T12:00:00Z", "durationMinutes": 45, "price": 90});
    guest.post("/api/sessions", body.clone()).await.ok(201);
    host.change(json!({"instantRatePerMinute": null})).await;
    let mut later = body;
    later["startTime"] = json!("2026-11-17T13:00:00Z");
    let details = third.post("/api/sessions", later).await.refused(422, "validation_failed");
    assert!(text(&details["fields"]["durationMinutes"]).contains("30"), "{details}");
    // What was agreed stays, whatever the host asks for later.
    host.change(
        json!({"scheduledRates": {"30": 70}, "cancellationPolicy": {"fullRefundHours": 48, "halfRefundHours": 0}}),
    )
    .await;
    assert_eq!(guest.session(&session).await, session);
    let later = third.book(&host, "2026-11-18T12:00:00Z", json!(70)).await.ok(201)["session"].clone();
    assert_eq!(later["cancellation_policy"], json!({"full_refund_hours": 48, "half_refund_hours": 0}));
    // A cause without a price is free.
    host.change(json!({"conversationType": "charity", "charityName": "Ocean", "scheduledRates": {}})).await;
    let free = third.book(&host, "2026-11-18T14:00:00Z", json!(0)).await.ok(201)["session"].clone();
    assert_eq!((&free["payment_mode"], &free["payment_status"]), (&json!("charity"), &json!("not_required")));
}

#[tokio::test]
async fn an_unpaid_slot_is_held_for_a_while_and_then_free_again() {
    let api = api().await;
    let [guest, host, third] = paid(&api).await;
    let session = guest.book(&host, TEN, json!(50)).await.ok(201)["session"].clone();
    assert_eq!(session["hold_expires_at"], "2026-11-16T12:15:00.000Z");
    third.book(&host, TEN, json!(50)).await.refused(409, "slot_unavailable");
    host.moves(&session, "in_progress").await.refused(409, "payment_required");
    api.advance(Duration::from_secs(15 * 60 - 1));
    assert_eq!(api.work_but_mail().await, Vec::<&str>::new());
    api.advance(Duration::from_secs(1));
    // Before the job has run, the slot is free again.
    assert!(third.starts_of(&host, "from=2026-11-17&to=2026-11-17").await.contains(&TEN.to_owned()));
    assert_eq!(api.work_but_mail().await, ["release_hold"]);
    let over = guest.session(&session).await;
    assert_eq!((&over["status"], &over["ended_by"]), (&json!("cancelled"), &json!("system")));
    for person in [&guest, &host] {
        assert_eq!(person.told_of(&session).await, ["session.created", "session.updated"]);
    }
    assert!(!api.pays(&session).await, "too late");
    let second = third.book(&host, TEN, json!(50)).await.ok(201)["session"].clone();
    // Whoever books after the hold ran out, and before the job, frees it.
    api.advance(Duration::from_mins(15));
    let third_one = guest.book(&host, TEN, json!(50)).await.ok(201)["session"].clone();
    assert_eq!(third.session(&second).await["status"], "cancelled");
    assert_eq!(api.work_but_mail().await, Vec::<&str>::new());
    // The payment makes it sure.
    assert!(api.pays(&third_one).await);
    assert!(!api.pays(&third_one).await, "only once");
    let sure = guest.session(&third_one).await;
    assert_eq!((&sure["payment_status"], &sure["hold_expires_at"]), (&json!("authorized"), &Value::Null));
    api.advance(Duration::from_mins(20));
    assert_eq!(api.work_but_mail().await, Vec::<&str>::new());
    assert_eq!(guest.session(&third_one).await["status"], "pending");
}

#[tokio::test]
async fn a_slot_is_held_no_longer_than_its_session_can_be_begun() {
    let api = api().await;
    let [guest, host, _] = staying(&api).await;
    let today = json!([{"weekday": 1, "start": "00:00", "end": "24:00"}]);
    host.offers(json!({"timezone": "UTC", "weekly": today, "slotMinutes": 5})).await;
    host.change(json!({"conversationType": "paid", "scheduledRates": {"5": 50}})).await;
    api.advance(Duration::from_mins(4));
    let body = json!({"hostUserId": host.id, "startTime": "2026-11-16T12:05:00Z", "durationMinutes": 5, "price": 50});
    let session = guest.post("/api/sessions", body).await.ok(201)["session"].clone();
    assert_eq!(session["hold_expires_at"], "2026-11-16T12:10:00.000Z");
    host.appear().await;
    api.advance(Duration::from_mins(6));
    // The money comes before the job that frees the slot.
    assert!(!api.pays(&session).await, "for a talk that can't be any more");
    api.work().await;
    let over = guest.session(&session).await;
    assert_eq!((&over["status"], &over["ended_by"]), (&json!("cancelled"), &json!("system")));
    assert_eq!(api.owed(&session).await, 0);
    api.idle().await;
}

#[tokio::test]
async fn nobody_learns_a_confidential_price_by_booking() {
    let api = api().await;
    let [guest, host, third] = paid(&api).await;
    host.appear().await;
    set_flags(&api.store, id(&host.id), Flags { confidential_rate: true, ..Flags::default() }).await;
    guest.book(&host, TEN, json!(0)).await.refused(409, "request_required");
    guest.connect(&host).await.refused(409, "request_required");
    let ask = json!({"targetUserId": host.id, "message": "May I?"});
    let request = guest.post("/api/requests", ask).await.ok(201)["request"].clone();
    let status = format!("/api/requests/{}/status", text(&request["id"]));
    host.patch(&status, json!({"status": "approved"})).await.ok(200);
    // Whom the host said yes to has to know.
    assert_eq!(guest.book(&host, TEN, json!(0)).await.refused(409, "price_changed")["price"], 50);
    third.book(&host, TEN, json!(0)).await.refused(409, "request_required");
}

#[tokio::test]
async fn nobody_holds_many_slots_without_paying() {
    let api = api().await;
    let [guest, host, third] = paid(&api).await;
    for hour in 0..10 {
        guest.book(&host, &format!("2026-11-18T{hour:02}:00:00Z"), json!(50)).await.ok(201);
    }
    guest.book(&host, TEN, json!(50)).await.refused(409, "payment_required");
    third.change(json!({"conversationType": "free"})).await;
    third.keeps_open().await;
    guest.booked(&third, TEN).await;
    api.advance(Duration::from_mins(15));
    guest.book(&host, "2026-11-18T09:00:00Z", json!(50)).await.ok(201);
}

#[tokio::test]
async fn a_guest_is_in_one_place_at_a_time() {
    let api = api().await;
    let [guest, host, third] = staying(&api).await;
    for person in [&guest, &host, &third] {
        person.keeps_open().await;
    }
    guest.booked(&host, TEN).await;
    let details = guest.book(&third, TEN, json!(0)).await;
    details.refused(409, "slot_unavailable");
    // Whoever is a guest somewhere is no host then.
    third.book(&guest, TEN, json!(0)).await.refused(409, "slot_unavailable");
    guest.booked(&third, "2026-11-17T10:30:00Z").await;
    // What goes on now and what was agreed are one timeline.
    api.advance(Duration::from_mins(22 * 60 - 10));
    let invite = third.invite(&host).await;
    host.answer(&invite, "accept").await.ok(200);
    api.advance(Duration::from_mins(5));
    let busy = guest.get("/api/sessions?status=pending").await.ok(200)["sessions"][1].clone();
    host.moves(&busy, "in_progress").await.refused(409, "host_busy");
}

#[tokio::test]
async fn hosts_by_request_are_booked_once_they_said_yes() {
    let api = api().await;
    let [guest, host, third] = staying(&api).await;
    host.keeps_open().await;
    host.appear().await;
    for flags in [
        Flags { display_mode: DisplayMode::ByRequest, ..Flags::default() },
        Flags { display_mode: DisplayMode::Confidential, ..Flags::default() },
        Flags { confidential_rate: true, ..Flags::default() },
        Flags { managed: true, ..Flags::default() },
    ] {
        set_flags(&api.store, id(&host.id), flags).await;
        guest.book(&host, TEN, json!(0)).await.refused(409, "request_required");
    }
    let ask = json!({"targetUserId": host.id, "message": "May I?"});
    let request = guest.post("/api/requests", ask).await.ok(201)["request"].clone();
    guest.book(&host, TEN, json!(0)).await.refused(409, "request_required");
    let status = format!("/api/requests/{}/status", text(&request["id"]));
    host.patch(&status, json!({"status": "approved"})).await.ok(200);
    guest.booked(&host, TEN).await;
    third.book(&host, "2026-11-17T12:00:00Z", json!(0)).await.refused(409, "request_required");
}

#[tokio::test]
async fn a_repeated_booking_is_one() {
    let api = api().await;
    let [guest, host, _] = staying(&api).await;
    host.keeps_open().await;
    let body = json!({"hostUserId": host.id, "startTime": TEN, "durationMinutes": 30, "price": 0});
    let first = guest.post_once("/api/sessions", "k", body.clone()).await;
    let again = guest.post_once("/api/sessions", "k", body.clone()).await;
    assert_eq!((first.status, &first.text), (again.status, &again.text));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    first.ok(201);
    guest.post("/api/sessions", body).await.refused(409, "slot_unavailable");
    assert_eq!(guest.get("/api/sessions").await.ok(200)["sessions"].as_array().unwrap().len(), 1);
}
