//! When hosts can be booked: rules as they gave them, slots as they follow.

use humanchat_domain::{auth::Role, testing};
use serde_json::{Value, json};

use crate::{
    invites::three,
    scene::{eventually, id, strings, text},
    support::{Answer, Api, Person, api},
};

impl Person<'_> {
    pub async fn offers(&self, rules: Value) -> Value {
        self.put("/api/availability", rules).await.ok(200)
    }

    async fn slots_of(&self, host: &Person<'_>, query: &str) -> Answer {
        self.get(&format!("/api/availability/{}?{query}", host.id)).await
    }

    /// When the slots begin.
    pub async fn starts_of(&self, host: &Person<'_>, query: &str) -> Vec<String> {
        strings(&self.slots_of(host, query).await.ok(200)["slots"], "start")
    }
}

/// A host who is there on weekdays from nine to noon in Berlin, in hours.
async fn berliner(api: &Api) -> [Person<'_>; 3] {
    let people = three(api).await;
    let weekly: Vec<_> = (1..=5).map(|weekday| json!({"weekday": weekday, "start": "09:00", "end": "12:00"})).collect();
    people[1].offers(json!({"timezone": "Europe/Berlin", "weekly": weekly, "slotMinutes": 60})).await;
    people
}

#[tokio::test]
async fn rules_are_kept_as_given_and_replaced_whole() {
    let api = api().await;
    let [_, host, _] = three(&api).await;
    let nothing = json!({
        "timezone": "UTC", "weekly": [], "overrides": [], "bufferMinutes": 0, "minimumNoticeMinutes": 0,
        "horizonDays": 60, "slotMinutes": 30,
    });
    assert_eq!(host.get("/api/availability").await.ok(200), nothing);
    assert_eq!(host.starts_of(&host, "").await, Vec::<String>::new(), "nobody is booked unasked");
    let rules = json!({
        "timezone": "America/New_York",
        "weekly": [{"weekday": 0, "start": "00:00", "end": "24:00"}, {"weekday": 6, "start": "09:30", "end": "10:15"}],
        "overrides": [{"date": "2026-12-24"}, {"date": "2026-12-31", "start": "10:00", "end": "11:00"}, {"date": "2027-01-01", "start": "12:00"}],
        "bufferMinutes": 10, "minimumNoticeMinutes": 120, "horizonDays": 90, "slotMinutes": 15, "dailyCap": 4,
    });
    assert_eq!(host.offers(rules.clone()).await, rules);
    assert_eq!(host.get("/api/availability").await.ok(200), rules);
    let mut expected = nothing.clone();
    expected["timezone"] = json!("Asia/Kathmandu");
    assert_eq!(host.offers(json!({"timezone": "Asia/Kathmandu"})).await, expected);
    assert_eq!(host.get("/api/availability").await.ok(200), expected);
}

#[tokio::test]
async fn wrong_rules_are_refused_with_the_field() {
    let api = api().await;
    let [_, host, _] = three(&api).await;
    let with = |field: &str, value: Value| json!({"timezone": "UTC", field: value});
    for (field, body) in [
        ("timezone", json!({})),
        ("timezone", json!({"timezone": "Mars/Olympus"})),
        ("timezone", json!({"timezone": "+01:00"})),
        ("weekly[0].weekday", with("weekly", json!([{"weekday": 7, "start": "09:00", "end": "10:00"}]))),
        ("weekly[0].end", with("weekly", json!([{"weekday": 1, "start": "10:00", "end": "10:00"}]))),
        ("weekly[0].end", with("weekly", json!([{"weekday": 1, "start": "10:00", "end": "09:00"}]))),
        ("weekly[0].start", with("weekly", json!([{"weekday": 1, "start": "9:00", "end": "10:00"}]))),
        ("weekly[0].end", with("weekly", json!([{"weekday": 1, "start": "09:00", "end": "24:01"}]))),
        (
            "weekly",
            with(
                "weekly",
                json!([{"weekday": 1, "start": "09:00", "end": "11:00"}, {"weekday": 1, "start": "10:59", "end": "12:00"}]),
            ),
        ),
        ("weekly", with("weekly", json!(vec![json!({"weekday": 1, "start": "09:00", "end": "11:00"}); 85]))),
        ("overrides[0].date", with("overrides", json!([{"date": "2026-02-30"}]))),
        ("overrides[0].end", with("overrides", json!([{"date": "2026-02-20", "start": "10:00", "end": "09:00"}]))),
        ("overrides[0].end", with("overrides", json!([{"date": "2026-02-20", "end": "00:00"}]))),
        (
            "overrides",
            with(
                "overrides",
                json!([{"date": "2026-02-20"}, {"date": "2026-02-20", "start": "10:00", "end": "11:00"}]),
            ),
        ),
        ("bufferMinutes", with("bufferMinutes", json!(-1))),
        ("bufferMinutes", with("bufferMinutes", json!(241))),
        ("minimumNoticeMinutes", with("minimumNoticeMinutes", json!(43_201))),
        ("horizonDays", with("horizonDays", json!(0))),
        ("horizonDays", with("horizonDays", json!(366))),
        ("slotMinutes", with("slotMinutes", json!(4))),
        ("slotMinutes", with("slotMinutes", json!(i64::MAX))),
        ("dailyCap", with("dailyCap", json!(0))),
        ("price", with("price", json!(1))),
    ] {
        let details = host.put("/api/availability", body.clone()).await.refused(422, "validation_failed");
        assert!(details["fields"][field].is_string(), "{field}: {body} {details}");
    }
}

#[tokio::test]
async fn slots_are_free_or_busy_in_utc_from_whole_local_dates() {
    let api = api().await;
    let [guest, host, _] = berliner(&api).await;
    // It is Monday noon in UTC.
    let answer = guest.slots_of(&host, "from=2026-11-17&to=2026-11-17").await.ok(200);
    let slot = |start: &str, end: &str| json!({"start": format!("2026-11-17T{start}:00.000Z"), "end": format!("2026-11-17T{end}:00.000Z")});
    let expected = json!({
        "userId": host.id, "timezone": "Europe/Berlin",
        "slots": [slot("08:00", "09:00"), slot("09:00", "10:00"), slot("10:00", "11:00")],
    });
    assert_eq!(answer, expected);
    let half_past = guest.slots_of(&host, "from=2026-11-17T08:30:00Z&to=2026-11-17T11:00:00%2B00:00").await.ok(200);
    assert_eq!(half_past["slots"], json!([slot("09:00", "10:00"), slot("10:00", "11:00")]));
    // Ninety minutes from nine and from ten fit in, from eleven they don't.
    let long = guest.starts_of(&host, "from=2026-11-17&to=2026-11-17&durationMinutes=90").await;
    assert_eq!(long, ["2026-11-17T08:00:00.000Z", "2026-11-17T09:00:00.000Z"]);
    // A date in Tokyo is another day.
    let answer = guest.slots_of(&host, "from=2026-11-18&to=2026-11-18&timezone=Asia/Tokyo").await.ok(200);
    assert_eq!(answer["timezone"], "Asia/Tokyo");
    assert_eq!(
        strings(&answer["slots"], "start"),
        ["2026-11-18T08:00:00.000Z", "2026-11-18T09:00:00.000Z", "2026-11-18T10:00:00.000Z"]
    );
    assert_eq!(guest.starts_of(&host, "").await.len(), 15, "a week from now: today's are over");
    assert_eq!(guest.starts_of(&host, "from=2026-11-21&to=2026-11-22").await, Vec::<String>::new(), "a weekend");
}

#[tokio::test]
async fn nights_on_which_clocks_change_are_as_long_as_they_are() {
    let api = api().await;
    let [guest, host, _] = three(&api).await;
    let weekly: Vec<_> = (0..7).map(|weekday| json!({"weekday": weekday, "start": "00:00", "end": "24:00"})).collect();
    for (zone, date, hours) in [
        ("Europe/Berlin", "2027-03-28", 23),
        ("Europe/Berlin", "2027-10-31", 25),
        ("America/New_York", "2027-03-14", 23),
        ("America/New_York", "2027-11-07", 25),
        ("Asia/Beirut", "2027-03-28", 23),
        ("Asia/Kathmandu", "2027-03-28", 24),
    ] {
        host.offers(json!({"timezone": zone, "weekly": weekly, "slotMinutes": 60, "horizonDays": 365})).await;
        let starts = guest.starts_of(&host, &format!("from={date}&to={date}")).await;
        assert_eq!(starts.len(), hours, "{zone} {date}: {starts:?}");
    }
    // By half an hour: at 2:00 it is 1:30 again, and on the hour there is nothing to begin in the second half.
    host.offers(json!({"timezone": "Australia/Lord_Howe", "weekly": weekly, "slotMinutes": 60, "horizonDays": 365}))
        .await;
    let starts = guest.starts_of(&host, "from=2027-04-04&to=2027-04-04").await;
    assert_eq!(
        starts[..4],
        [
            "2027-04-03T13:00:00.000Z",
            "2027-04-03T14:00:00.000Z",
            "2027-04-03T15:30:00.000Z",
            "2027-04-03T16:30:00.000Z"
        ]
    );
}

#[tokio::test]
async fn a_live_session_takes_half_an_hour_until_it_ends() {
    let api = api().await;
    let [guest, host, third] = three(&api).await;
    let weekly = json!([{"weekday": 1, "start": "00:00", "end": "24:00"}]);
    host.offers(json!({"timezone": "UTC", "weekly": weekly, "slotMinutes": 15})).await;
    let query = "from=2026-11-16T12:00:00Z&to=2026-11-16T13:00:00Z";
    let all: Vec<_> = ["12:00", "12:15", "12:30", "12:45"].map(|time| format!("2026-11-16T{time}:00.000Z")).into();
    assert_eq!(third.starts_of(&host, query).await, all);
    let invite = guest.invite(&host).await;
    let session = host.answer(&invite, "accept").await.ok(200)["session"].clone();
    assert_eq!(third.starts_of(&host, query).await, all[2..]);
    let explained = host.slots_of(&host, &format!("{query}&explain=true")).await.ok(200);
    assert_eq!(explained["missing"], json!([{"start": all[0], "reason": "busy"}, {"start": all[1], "reason": "busy"}]));
    host.patch(&format!("/api/sessions/{}", text(&session["id"])), json!({"status": "complete"})).await.ok(200);
    assert_eq!(third.starts_of(&host, query).await, all);
}

#[tokio::test]
async fn why_a_time_is_missing_is_for_the_host_and_staff() {
    let api = api().await;
    let [guest, host, _] = berliner(&api).await;
    let query = "from=2026-11-16&to=2026-11-16&explain=true";
    guest.slots_of(&host, query).await.refused(403, "forbidden");
    let mut missing =
        ["user_01jd8t6ze5fkxrv8q3w2m9n7ab", "x"].map(|id| format!("/api/availability/{id}?{query}")).to_vec();
    missing.push("/api/users/user_01jd8t6ze5fkxrv8q3w2m9n7ab".to_owned());
    for path in missing {
        let answer = guest.get(&path).await;
        answer.refused(404, "resource_not_found");
        assert_eq!(answer.json()["error"]["message"], "user not found", "{path}");
    }
    let own = host.slots_of(&host, query).await.ok(200);
    assert_eq!(own["slots"], json!([]));
    assert_eq!(strings(&own["missing"], "reason"), ["too_soon"; 3]);
    let mut tx = api.store.begin(None).await.unwrap();
    humanchat_domain::users::set_role(&mut tx, id(&guest.id), Role::Manager).await.unwrap();
    tx.commit().await.unwrap();
    let seen = eventually("the role", async || {
        let answer = guest.slots_of(&host, query).await;
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!(seen.await, own);
    let far = host.slots_of(&host, "from=2027-02-02&to=2027-02-02&explain=true").await.ok(200);
    assert_eq!(strings(&far["missing"], "reason"), ["too_far"; 3]);
}

#[tokio::test]
async fn wrong_questions_are_refused_with_the_field() {
    let api = api().await;
    let [guest, host, _] = berliner(&api).await;
    for (field, query) in [
        ("from", "from=tomorrow"),
        ("from", "from=2026-11-17T08:00:00"),
        ("from", "from=%2B294277-01-01T00:00:00Z"),
        ("from", "from=294277-01-01"),
        ("from", "from=2026-12-31T23:59:60Z"),
        ("from", "from=2026-02-30"),
        ("to", "to=9999-12-31"),
        ("to", "from=2026-11-18&to=2026-11-17"),
        ("to", "from=2026-11-17T08:00:00Z&to=2026-11-17T08:00:00Z"),
        ("to", "from=2026-11-17T00:00:00Z&to=2027-01-18T00:00:01Z"),
        ("durationMinutes", "durationMinutes=4"),
        ("durationMinutes", "durationMinutes=481"),
        ("durationMinutes", "durationMinutes=9223372036854775807"),
        ("timezone", "timezone=Mars/Olympus"),
    ] {
        let details = guest.slots_of(&host, query).await.refused(422, "validation_failed");
        assert!(details["fields"][field].is_string(), "{query}: {details}");
    }
    for query in ["durationMinutes=9223372036854775808", "durationMinutes=x", "explain=perhaps", "day=1", "from=%ff"] {
        guest.slots_of(&host, query).await.refused(400, "malformed_request");
    }
    guest.slots_of(&host, "from=2026-11-17T00:00:00Z&to=2027-01-18T00:00:00Z").await.ok(200);
    // As many dates are an hour more where the clocks go back.
    guest.slots_of(&host, "from=2026-09-01&to=2026-11-01&timezone=Europe/Berlin").await.ok(200);
    let long = guest.slots_of(&host, "from=2026-09-01&to=2026-11-02&timezone=Europe/Berlin").await;
    long.refused(422, "validation_failed");
    testing::set_flags(&api.store, id(&host.id), testing::Flags { suspended: true, ..Default::default() }).await;
    guest.slots_of(&host, "").await.refused(404, "resource_not_found");
}

#[tokio::test]
async fn a_date_of_twenty_five_hours_has_one_cap() {
    let api = api().await;
    let [guest, host, third] = three(&api).await;
    let every_day: Vec<_> =
        (0..7).map(|weekday| json!({"weekday": weekday, "start": "00:00", "end": "24:00"})).collect();
    host.offers(json!({"timezone": "Australia/Sydney", "weekly": every_day, "horizonDays": 180, "dailyCap": 1})).await;
    // Midnight, and half past eleven in the evening.
    guest.booked(&host, "2027-04-03T13:00:00Z").await;
    third.book(&host, "2027-04-04T13:30:00Z", json!(0)).await.refused(409, "slot_unavailable");
    third.booked(&host, "2027-04-04T14:00:00Z").await;
}
