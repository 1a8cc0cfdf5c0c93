//! Invites answered, taken back and expiring at the same moment: one outcome, told once.

use std::{collections::BTreeMap, time::Duration};

use futures_util::FutureExt;
use humanchat_domain::{
    clock::Clock,
    event::Channel,
    testing::{TestDatabase, noon},
};
use serde_json::{Value, json};

use crate::{
    invites::three,
    scene::{at_once, count, id, text},
    support::{Answer, Api, Person, api, api_on},
};

/// The one outcome there was, according to the answers; an expiry answers nobody.
fn outcome(answers: &[(&'static str, Answer)]) -> &'static str {
    let winners: Vec<_> = answers.iter().filter(|(_, answer)| answer.status == 200).collect();
    assert!(winners.len() < 2, "two outcomes: {answers:?}");
    for (how, answer) in answers.iter().filter(|(_, answer)| answer.status != 200) {
        match answer.status.as_u16() {
            409 => drop(answer.refused(409, "invite_resolved")),
            410 => drop(answer.refused(410, "invite_expired")),
            _ => panic!("{how}: {answer:?}"),
        }
    }
    winners.first().map_or("expired", |(how, _)| match *how {
        "accept" => "accepted",
        "decline" => "declined",
        _ => "cancelled",
    })
}

/// Lets the time of an invite run out and its job run, after `steps` moments.
async fn run_out(api: &Api, steps: usize) -> Option<(&'static str, Answer)> {
    for _ in 0..steps {
        api.anonymous(reqwest::Method::GET, "/health/live", None).await.ok(200);
    }
    api.advance(Duration::from_secs(1));
    api.work().await;
    None
}

async fn free_again(host: &Person<'_>, answers: &[(&'static str, Answer)]) {
    let accepted = answers.iter().find(|(how, answer)| *how == "accept" && answer.status == 200);
    let Some((_, answer)) = accepted else { return };
    let path = format!("/api/sessions/{}", text(&answer.json()["session"]["id"]));
    host.patch(&path, json!({"status": "complete"})).await.ok(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_has_one_outcome_whoever_races_whom() {
    let settings = [("INVITE_TTL_OFFLINE_SECS", "1")];
    let api = api_on(&TestDatabase::create().await, Clock::manual(noon()), &settings).await;
    let [guest, host, _] = &three(&api).await;
    let mut outcomes = BTreeMap::new();
    let mut sessions = 0;
    for round in 0..30 {
        let invite = &guest.invite(host).await;
        let answer = |person: &'static str, how: &'static str| {
            let person = if person == "host" { host } else { guest };
            async move { Some((how, person.answer(invite, how).await)) }.boxed()
        };
        let mut deeds = vec![answer("host", "accept"), answer("host", "decline"), answer("guest", "cancel")];
        deeds.rotate_left(round % 3);
        if round % 2 == 0 {
            deeds.push(run_out(&api, round / 2 % 4).boxed());
        }
        let answers: Vec<_> = at_once(deeds).await.into_iter().flatten().collect();
        let outcome = outcome(&answers);
        api.work().await;
        for person in [guest, host] {
            assert_eq!(person.told_about(invite).await, ["pending", outcome], "round {round}: {answers:?}");
            assert_eq!(person.is_busy().await, outcome == "accepted");
        }
        sessions += usize::from(outcome == "accepted");
        assert_eq!(
            api.told(Channel::Sessions(id(&host.id))).await.len(),
            sessions * 2 - usize::from(outcome == "accepted")
        );
        free_again(host, &answers).await;
        *outcomes.entry(outcome).or_insert(0) += 1;
    }
    assert!(outcomes.len() > 1, "no race at all: {outcomes:?}");
    api.work().await;
    api.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_answer_at_the_same_moment_is_one_deed_with_one_body() {
    let api = api().await;
    let [guest, host, _] = &three(&api).await;
    for (person, how) in [(host, "decline"), (guest, "cancel"), (host, "accept")] {
        let invite = &guest.invite(host).await;
        let answers = at_once((0..6).map(|_| person.answer(invite, how).boxed())).await;
        assert_eq!(count(&answers, 200), 6, "{answers:?}");
        assert!(answers.iter().all(|answer| answer.text == answers[0].text), "{answers:?}");
        assert_eq!(host.told_about(invite).await.len(), 2);
    }
    assert_eq!(api.told(Channel::Sessions(id(&host.id))).await.len(), 1);
    api.idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connects_of_both_sides_at_the_same_moment_make_one_invite() {
    let api = api().await;
    let people = api.arrive(&["a1", "a2", "b1", "b2", "c1", "c2", "d1", "d2"]).await;
    for pair in people.chunks(2) {
        let connect = |n: usize| pair[n % 2].connect(&pair[(n + 1) % 2]).boxed();
        let answers = at_once((0..6).map(connect)).await;
        assert_eq!((count(&answers, 201), count(&answers, 200)), (1, 5), "{answers:?}");
        let invites: Vec<_> = answers.iter().map(|answer| answer.json()["invite"].clone()).collect();
        assert!(invites.iter().all(|invite| *invite == invites[0]), "{invites:?}");
        assert_eq!(pair[0].told_about(&invites[0]).await, ["pending"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_in_two_sessions_however_many_accept_at_the_same_moment() {
    let api = api().await;
    let people = api.arrive(&["middle", "p1", "p2", "p3", "p4"]).await;
    let (middle, others) = people.split_first().unwrap();
    for round in 0..5 {
        let mut invites: Vec<(&Person<'_>, Value)> = Vec::new();
        for (n, other) in others.iter().enumerate() {
            // Some asked the one in the middle, some were asked.
            let (from, to) = if (n + round) % 2 == 0 { (other, middle) } else { (middle, other) };
            invites.push((to, from.invite(to).await));
        }
        let answers = at_once(invites.iter().map(|(host, invite)| host.answer(invite, "accept").boxed())).await;
        assert_eq!((count(&answers, 200), count(&answers, 409)), (1, 3), "{answers:?}");
        for ((host, invite), answer) in invites.iter().zip(&answers) {
            if answer.status == 200 {
                let path = format!("/api/sessions/{}", text(&answer.json()["session"]["id"]));
                host.patch(&path, json!({"status": "complete"})).await.ok(200);
            } else {
                answer.refused(409, if host.id == middle.id { "host_busy" } else { "requester_busy" });
                assert_eq!(host.told_about(invite).await, ["pending"], "it still waits");
                host.answer(invite, "decline").await.ok(200);
            }
        }
    }
    api.idle().await;
}
