//! `/api/notifications`: what concerns somebody, said once, counted and read.

use std::time::Duration;

use humanchat_domain::event::Channel;
use serde_json::{Value, json};

use crate::{
    scene::{id, strings, text},
    support::{Api, Person, api},
};

impl Person<'_> {
    /// The page of this person's notifications that a query asks for.
    pub async fn notifications(&self, query: &str) -> Value {
        self.get(&format!("/api/notifications{query}")).await.ok(200)
    }

    /// What they are about, newest first.
    pub async fn noticed(&self) -> Vec<String> {
        strings(&self.notifications("").await["notifications"], "type")
    }

    async fn sees(&self, body: Value) -> Value {
        self.post("/api/notifications/read", body).await.ok(200)["digest"].clone()
    }

    /// Everything this person's sockets were told of notifications: which came, and which are unread no more.
    async fn badge(&self) -> (Vec<String>, Vec<String>) {
        let events = self.api.told(Channel::Notifications(id(&self.id))).await;
        let of = |kind: &'static str| events.iter().filter(move |event| event["type"] == kind);
        let came = of("notification.created").map(|event| text(&event["payload"]["notification"]["id"])).collect();
        let read = of("notification.read").flat_map(|event| event["payload"]["ids"].as_array().unwrap());
        (came, read.map(text).collect())
    }
}

async fn two(api: &Api) -> [Person<'_>; 2] {
    [api.register("Ada").await, api.register("Ben").await]
}

fn digest(unread: i64, invites: i64, requests: i64) -> Value {
    json!({"unread": unread, "invites": invites, "requests": requests, "upcomingSessions": 0, "announcements": 0})
}

#[tokio::test]
async fn an_invite_is_said_to_its_host_and_its_outcome_to_who_asked() {
    let api = api().await;
    let [ada, ben] = two(&api).await;
    let mut socket = ben.socket(&format!("/notifications/{}", ben.id)).await;
    let invite = ada.invite(&ben).await;
    let page = ben.notifications("").await;
    assert_eq!(page["digest"], digest(1, 1, 0));
    let notification = &page["notifications"][0];
    let expected = json!({
        "id": notification["id"], "type": "invite", "title": "Ada wants to talk with you now",
        "body": notification["body"], "data": {"invite_id": invite["id"], "conversation_id": invite["conversation_id"]},
        "read_at": null, "created_at": "2026-11-16T12:00:00.000Z",
    });
    assert_eq!(*notification, expected);
    assert!(text(&notification["id"]).starts_with("ntf_"));
    assert_eq!(socket.next_of("notification.created").await["payload"]["notification"], expected);
    assert_eq!(ada.notifications("").await["digest"], digest(0, 0, 0));

    ada.connect(&ben).await.ok(200);
    assert_eq!(ben.noticed().await, ["invite"], "the same invite again");
    ben.answer(&invite, "decline").await.ok(200);
    assert_eq!(socket.next_of("notification.read").await["payload"]["ids"], json!([notification["id"]]));
    let page = ben.notifications("").await;
    assert_eq!(page["digest"], digest(0, 0, 0));
    assert_eq!(page["notifications"][0]["read_at"], "2026-11-16T12:00:00.000Z");
    assert_eq!(strings(&ada.notifications("").await["notifications"], "title"), ["Ben can't talk now"]);

    let second = ada.invite(&ben).await;
    ada.answer(&second, "cancel").await.ok(200);
    assert_eq!(ben.notifications("?unread=true").await["notifications"], json!([]), "it came to nothing");
    assert_eq!(ada.noticed().await, ["invite_answered"], "who cancels knows");
}

#[tokio::test]
async fn an_invite_that_expires_is_no_news_any_more() {
    let api = api().await;
    let [ada, ben] = two(&api).await;
    ben.appear().await;
    ada.invite(&ben).await;
    api.advance(Duration::from_mins(6));
    assert_eq!(ben.notifications("").await["digest"]["invites"], 0, "every read tells the truth");
    let mut done = api.work().await;
    done.sort_unstable();
    assert_eq!(done, ["end_presence", "expire_invite", "mail_notification"]);
    assert_eq!(ben.notifications("").await["digest"], digest(0, 0, 0));
    assert_eq!(strings(&ada.notifications("").await["notifications"], "title"), ["Ben did not answer"]);
}

#[tokio::test]
async fn a_request_is_said_to_its_target_and_its_answer_to_who_asked() {
    let api = api().await;
    let [ada, ben] = two(&api).await;
    ben.appear().await;
    let request = ada.ask(&ben, "May I ask about my divorce?").await.ok(201)["request"].clone();
    let page = ben.notifications("").await;
    assert_eq!(page["digest"], digest(1, 0, 1));
    assert_eq!(page["notifications"][0]["data"], json!({"request_id": request["id"]}));
    assert!(!page.to_string().contains("divorce"), "it goes into mail");
    ben.decide(&request, "approved").await.ok(200);
    assert_eq!(ben.notifications("").await["digest"], digest(0, 0, 0));
    let page = ada.notifications("").await;
    assert_eq!(strings(&page["notifications"], "type"), ["request_decided"]);
    assert!(text(&page["notifications"][0]["data"]["conversation_id"]).starts_with("conv_"));
}

#[tokio::test]
async fn messages_to_somebody_away_are_one_notification_until_they_read() {
    let api = api().await;
    let [ada, ben] = two(&api).await;
    let conversation = ada.conversation_with(&ben).await;
    ben.appear().await;
    ada.say(&conversation, "My secret is safe").await.ok(201);
    assert_eq!(ben.noticed().await, ["message"], "the first, though Ben is there");
    ada.say(&conversation, "Still?").await.ok(201);
    api.advance(Duration::from_mins(1));
    ada.say(&conversation, "Hello?").await.ok(201);
    let page = ben.notifications("").await;
    assert_eq!(strings(&page["notifications"], "title"), ["Ada wrote to you"]);
    assert!(!page.to_string().contains("secret"), "it goes into mail");

    let read = async |number: i64| {
        let body = json!({"messageId": number});
        ben.post(&format!("/api/conversations/{conversation}/read"), body).await.ok(200);
    };
    read(3).await;
    assert_eq!(ben.notifications("").await["digest"]["unread"], 0);
    ada.say(&conversation, "Away again").await.ok(201);
    assert_eq!(ben.notifications("").await["digest"]["unread"], 1);
    ben.appear().await;
    read(4).await;
    ada.say(&conversation, "You are here").await.ok(201);
    assert_eq!(ben.noticed().await, ["message", "message"], "a socket tells of that");
    let (came, read) = ben.badge().await;
    assert_eq!(came, read);
    assert_eq!(ada.noticed().await, Vec::<String>::new());
}

#[tokio::test]
async fn reading_counts_once_and_only_for_oneself() {
    let api = api().await;
    let people = api.arrive(&["host", "a", "b", "c", "d"]).await;
    let (host, guests) = people.split_first().unwrap();
    for guest in guests {
        guest.invite(host).await;
    }
    let ids = strings(&host.notifications("").await["notifications"], "id");
    assert_eq!(guests[0].sees(json!({"ids": ids})).await["unread"], 0);
    assert_eq!(host.notifications("").await["digest"]["unread"], 4, "others read nothing of theirs");
    assert_eq!(host.sees(json!({"ids": [ids[0], ids[0], "ntf_nonsense", "nonsense"]})).await, digest(3, 4, 0));
    assert_eq!(host.sees(json!({"ids": [ids[0], ids[1]]})).await["unread"], 2);
    let unread = host.notifications("?unread=true").await;
    assert_eq!(strings(&unread["notifications"], "id"), ids[2..]);
    assert_eq!(host.sees(json!({"all": true})).await["unread"], 0);
    let (mut came, mut read) = host.badge().await;
    came.sort();
    read.sort();
    assert_eq!(came, read, "each is named once");
    for body in [json!({}), json!({"all": false}), json!({"ids": []}), json!({"ids": vec!["ntf_x"; 101]})] {
        let details = host.post("/api/notifications/read", body).await.refused(422, "validation_failed");
        assert!(details["fields"]["ids"].is_string(), "{details}");
    }
}

#[tokio::test]
async fn the_list_is_walked_without_gap_or_repeat() {
    let api = api().await;
    let people = api.arrive(&["host", "a", "b", "c", "d"]).await;
    let (host, guests) = people.split_first().unwrap();
    for guest in &guests[..3] {
        guest.invite(host).await;
    }
    let ids = strings(&host.notifications("").await["notifications"], "id");
    let rows = host
        .walk("/api/notifications?limit=1", "notifications", async |page| {
            if page == 0 {
                guests[3].invite(host).await;
            }
        })
        .await;
    assert_eq!(strings(&json!(rows), "id"), ids);
    let cursor = text(&host.notifications("?limit=1").await["nextCursor"]);
    for query in [format!("?unread=true&cursor={cursor}"), "?cursor=nonsense".to_owned(), "?unread=perhaps".to_owned()]
    {
        host.get(&format!("/api/notifications{query}")).await.refused(400, "malformed_request");
    }
    guests[0].get(&format!("/api/notifications?cursor={cursor}")).await.refused(400, "malformed_request");
}
