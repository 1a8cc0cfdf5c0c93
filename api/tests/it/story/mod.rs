//! The whole story with real processes: two people find each other, talk, and part; and what
//! crashes, restarts and outages on the way don't change.

mod announcements;
mod collector;
mod crashes;
mod database;
mod kills;
mod mail;
mod once;
mod outages;
mod payments;
mod privacy;
mod restore;
mod sam;
mod smtp;
pub mod stage;
mod stops;
mod storm;
mod traces;

use humanchat_domain::{id::InviteId, testing};
use serde_json::{Value, json};
use stage::{Stage, in_time, millis_since};

use crate::{
    redis::PrivateRedis,
    scene::{id, text},
    support::{Api, PATIENCE, Person, Socket},
};

/// Invites end quickly here.
const SHORT: (&str, &str) = ("INVITE_TTL_ONLINE_SECS", "2");

impl Socket {
    /// The next word about an invite.
    async fn invite_event(&mut self, event: &str, invite: &Value) -> Value {
        let frame = self.next_of("instant_invite").await;
        let payload = &frame["payload"];
        assert_eq!((&payload["event"], &payload["invite"]["id"]), (&json!(event), &invite["id"]), "{frame}");
        frame
    }
}

/// When an invite ends by itself.
fn ends_at(invite: &Value) -> chrono::DateTime<chrono::Utc> {
    text(&invite["expires_at"]).parse().unwrap()
}

/// Both sides hear once that nobody answered, and everything says so.
async fn expires_once(invite: &Value, people: [(&Person<'_>, &mut Socket); 2]) {
    for (person, socket) in people {
        let frame = in_time(PATIENCE, "an expiry", socket.invite_event("expired", invite)).await;
        assert_eq!(frame["payload"]["invite"]["status"], "expired");
        socket.quiet().await;
        assert_eq!(person.told_about(invite).await, ["pending", "expired"]);
        let pending = person.get("/api/conversations/invites/pending").await.ok(200);
        assert_eq!(pending["invites"], json!([]));
    }
}

/// From the first meeting to an accepted invite: returns the session and the conversation's id.
async fn meet(ada: (&Person<'_>, &mut Socket), ben: (&Person<'_>, &mut Socket)) -> (Value, String) {
    let invite = ada.0.invite(ben.0).await;
    for socket in [&mut *ada.1, &mut *ben.1] {
        let told = socket.invite_event("pending", &invite).await;
        assert_eq!(told["payload"]["invite"]["status"], "pending");
        assert_eq!(told["payload"]["conversation"]["id"], invite["conversation_id"]);
    }
    let accepted = ben.0.answer(&invite, "accept").await.ok(200);
    for socket in [&mut *ada.1, &mut *ben.1] {
        // Two channels: each keeps its own order.
        let mut frames = [socket.next_deed().await, socket.next_deed().await];
        frames.sort_by_key(|frame| text(&frame["type"]));
        assert_eq!((&frames[0]["type"], &frames[1]["type"]), (&json!("instant_invite"), &json!("session.created")));
        let told = &frames[0]["payload"];
        assert_eq!(told["event"], "accepted");
        assert_eq!(told["session"], accepted["session"]);
        assert_eq!(told["conversation"]["id"], accepted["conversation"]["id"]);
        assert_eq!(frames[1]["payload"]["session"], accepted["session"]);
    }
    (accepted["session"].clone(), text(&accepted["conversation"]["id"]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_people_meet_talk_and_part() {
    let redis = tokio::task::block_in_place(PrivateRedis::start);
    let stage = Stage::with(&[("REDIS_URL", &redis.server.url()), SHORT]).await;
    let ((_one, here), (_two, there)) = tokio::join!(stage.api(&[]), stage.api(&[]));
    let _workers = tokio::join!(stage.worker(&[]), stage.worker(&[]));
    tokio::join!(here.has_redis(), there.has_redis());
    let (ada, ben) = tokio::join!(here.register("Ada"), there.register("Ben"));
    let (mut ada_hears, mut ben_hears) = (ada.listen().await, ben.listen().await);

    let found = ada.get("/api/users?q=ben&online=true").await.ok(200);
    assert_eq!(found["users"][0]["id"], json!(ben.id));
    let (session, conversation) = meet((&ada, &mut ada_hears), (&ben, &mut ben_hears)).await;
    assert_eq!(session["status"], "in_progress");
    let busy = ada.get(&format!("/api/users/{}", ben.id)).await.ok(200);
    assert_eq!(busy["user"]["has_active_session"], true);

    let channel = format!("conversation:{conversation}");
    for socket in [&mut ada_hears, &mut ben_hears] {
        socket.say(json!({"type": "subscribe", "channel": channel, "after": 0})).await;
        assert_eq!(socket.next_of("subscribed").await["payload"]["recovered"], true);
        assert_eq!(socket.next_deed().await["type"], "conversation.updated");
    }
    for (number, (speaker, words)) in [(&ada, "Hi!"), (&ben, "Hello."), (&ada, "How are you?")].into_iter().enumerate()
    {
        speaker.say(&conversation, words).await.ok(201);
        for socket in [&mut ada_hears, &mut ben_hears] {
            let frame = socket.next_deed().await;
            assert_eq!(frame["seq"], json!(number + 2));
            assert_eq!(
                (&frame["payload"]["content"], &frame["payload"]["senderId"]),
                (&json!(words), &json!(speaker.id))
            );
        }
    }

    let complete = json!({"status": "complete"});
    let path = format!("/api/sessions/{}", text(&session["id"]));
    ada.patch(&path, complete.clone()).await.refused(403, "forbidden");
    ben.patch(&path, complete).await.ok(200);
    for socket in [&mut ada_hears, &mut ben_hears] {
        assert_eq!(socket.next_deed().await["payload"]["session"]["status"], "complete");
    }

    let invite = ada.invite(&ben).await;
    for socket in [&mut ada_hears, &mut ben_hears] {
        socket.invite_event("pending", &invite).await;
    }
    expires_once(&invite, [(&ada, &mut ada_hears), (&ben, &mut ben_hears)]).await;
    ben.answer(&invite, "accept").await.refused(410, "invite_expired");
    report(&here).await;
}

/// Prints how quickly jobs began.
async fn report(api: &Api) {
    const ASKS: usize = 20;
    for number in 0..ASKS {
        let ask = json!({"email": format!("guest{number}@example.com")});
        api.anonymous(reqwest::Method::POST, "/api/auth/magic-link", Some(ask)).await.ok(202);
    }
    for kind in ["send_magic_link", "expire_invite"] {
        let mut late = crate::scene::eventually("all jobs to be done", async || {
            let jobs = testing::jobs(&api.store, kind).await;
            let open = jobs.iter().any(|job| !["done", "cancelled"].contains(&job.state.as_str()));
            let begun = jobs.iter().filter_map(|job| Some(millis_since(job.run_at, job.started_at?)));
            (!open).then(|| begun.collect::<Vec<_>>())
        })
        .await;
        late.sort_unstable();
        println!(
            "{kind}: {} jobs began late by {:?} ms at the median, {:?} ms at most",
            late.len(),
            late.get(late.len() / 2),
            late.last()
        );
        assert!(late.iter().all(|late| *late < 5000), "{kind}: {late:?}");
    }
}

/// The id that the domain knows an invite by.
fn invite_id(invite: &Value) -> InviteId {
    id(&text(&invite["id"]))
}
