//! What its people are told of a booking: mails, calendar files, reminders.

use humanchat_domain::mail;
use serde_json::json;

use crate::{
    booking::{TEN, staying},
    booking_time::{HOUR, MINUTE, booked},
    scene::{strings, text},
    support::{Api, Person, api},
};

/// Mails to somebody, oldest first: subject, body, calendar file without folded lines.
async fn mails(api: &Api, person: &Person<'_>) -> Vec<(String, String, String)> {
    api.work().await;
    let mut mails = mail::kept(&api.store, Some(&person.email)).await.unwrap();
    mails.retain(|mail| !mail.body.contains("#token="));
    mails.reverse();
    let unfolded = |file: Option<String>| file.unwrap_or_default().replace("\r\n ", "");
    mails.into_iter().map(|mail| (mail.subject, mail.body, unfolded(mail.calendar))).collect()
}

#[tokio::test]
async fn both_get_it_by_mail_in_their_own_time() {
    let api = api().await;
    let [guest, host, _] = staying(&api).await;
    host.keeps_open().await;
    host.change(json!({"name": "Hana", "timezone": "Asia/Tokyo"})).await;
    guest.change(json!({"name": "Gil", "timezone": "America/New_York"})).await;
    let session = guest.booked(&host, TEN).await;
    let uid = format!("UID:{}@localhost", text(&session["id"]));
    for (person, other, when) in [
        (&guest, "Hana", "Tuesday, 17 November 2026 at 05:00 (America/New_York)"),
        (&host, "Gil", "Tuesday, 17 November 2026 at 19:00 (Asia/Tokyo)"),
    ] {
        let mails = mails(&api, person).await;
        let [(subject, body, file)] = &mails[..] else { panic!("{mails:?}") };
        assert_eq!(subject, &format!("{other} and you will talk"));
        assert!(body.contains(when), "{body}");
        for line in ["METHOD:REQUEST", &uid, "DTSTART:20261117T100000Z", "DTEND:20261117T103000Z", "SEQUENCE:1"] {
            assert!(file.contains(line), "{line} is not in {file}");
        }
        assert!(file.contains(&person.email));
    }
    assert!(!mails(&api, &guest).await[0].2.contains(&host.email), "nobody's address is told");
    host.steps(&session, json!({"startTime": "2026-11-18T10:00:00Z"})).await.ok(200);
    guest.moves(&session, "cancelled").await.ok(200);
    let all = mails(&api, &host).await;
    let subjects: Vec<_> = all.iter().map(|(subject, ..)| subject.as_str()).collect();
    // What was moved and then called off before the mail went out was called off.
    assert_eq!(subjects, ["Gil and you will talk", "Your talk with Gil was called off"]);
    for line in ["METHOD:CANCEL", &uid, "STATUS:CANCELLED", "SEQUENCE:3"] {
        assert!(all[1].2.contains(line), "{line} is not in {}", all[1].2);
    }
    let unread = guest.get("/api/notifications?unread=true").await.ok(200);
    assert_eq!(strings(&unread["notifications"], "type"), ["session_cancelled"], "the rest is no news any more");
}

#[tokio::test]
async fn a_session_is_a_calendar_file_for_its_people() {
    let api = api().await;
    let ([guest, host, third], session) = booked(&api).await;
    let path = format!("/api/sessions/{}/calendar.ics", text(&session["id"]));
    let answer = guest.get(&path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "text/calendar; charset=utf-8");
    for line in ["BEGIN:VCALENDAR\r\n", "METHOD:PUBLISH\r\n", "DTSTART:20261117T100000Z\r\n", "STATUS:CONFIRMED\r\n"] {
        assert!(answer.text.contains(line), "{line} is not in {}", answer.text);
    }
    assert!(answer.text.lines().all(|line| line.len() <= 75), "{}", answer.text);
    third.get(&path).await.refused(404, "resource_not_found");
    api.anonymous(reqwest::Method::GET, &path, None).await.refused(401, "unauthenticated");
    host.moves(&session, "cancelled").await.ok(200);
    assert!(guest.get(&path).await.text.contains("STATUS:CANCELLED\r\n"));
}

#[tokio::test]
async fn reminders_reach_both_by_notification_and_mail() {
    let api = api().await;
    let ([guest, host, _], session) = booked(&api).await;
    for (pause, title) in [(21 * HOUR, "in an hour"), (50 * MINUTE, "in 10 minutes")] {
        api.advance(pause);
        for (person, other) in [(&guest, "host"), (&host, "guest")] {
            let subject = mails(&api, person).await.pop().unwrap().0;
            assert_eq!(subject, format!("You talk with {other} {title}"));
            let newest = person.get("/api/notifications").await.ok(200)["notifications"][0].clone();
            assert_eq!((&newest["type"], &newest["title"]), (&json!("session_reminder"), &json!(subject)));
            assert_eq!(newest["data"]["session_id"], session["id"]);
        }
    }
}
