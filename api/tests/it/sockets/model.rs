//! A client as its user sees it: it fetched everything once, and has only listened since.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    scene::text,
    support::{Person, Socket},
};

/// What a client knows of a conversation.
struct Talk {
    entry: Value,
    messages: BTreeMap<i64, Value>,
    /// Its user has read up to here.
    read: i64,
}

/// What a client shows.
#[derive(Debug, PartialEq)]
pub(super) struct View {
    /// Most recently active first.
    conversations: Vec<Value>,
    messages: BTreeMap<String, Vec<Value>>,
    invites: BTreeMap<String, Value>,
    sessions: BTreeMap<String, Value>,
    statuses: BTreeMap<String, Value>,
    unread: BTreeSet<String>,
}

pub(super) struct Client {
    user_id: String,
    /// Channels, and the newest number of each that was told.
    pub told: BTreeMap<String, i64>,
    pub socket: Option<Socket>,
    talks: BTreeMap<String, Talk>,
    invites: BTreeMap<String, Value>,
    sessions: BTreeMap<String, Value>,
    statuses: BTreeMap<String, Value>,
    unread: BTreeSet<String>,
}

fn status_of(value: &Value) -> Value {
    json!([value["is_online"], value["presence_state"], value["has_active_session"]])
}

fn without(mut value: Value, field: &str) -> Value {
    value.as_object_mut().unwrap().remove(field);
    value
}

fn by_id(values: impl IntoIterator<Item = Value>) -> BTreeMap<String, Value> {
    values.into_iter().map(|value| (text(&value["id"]), value)).collect()
}

/// As a list shows them: by activity, newest first.
fn in_order(mut entries: Vec<Value>) -> Vec<Value> {
    let key = |entry: &Value| (text(&entry["last_activity"]), text(&entry["id"]));
    entries.sort_by_key(|entry| std::cmp::Reverse(key(entry)));
    entries
}

/// Everything as it is fetched, but for the sessions, which are fetched one by one.
async fn fetch(person: &Person<'_>, others: &[String], sessions: &[String]) -> View {
    let conversations = person.walk("/api/conversations?limit=100", "conversations", async |_| {}).await;
    let mut messages = BTreeMap::new();
    for conversation in &conversations {
        let id = text(&conversation["id"]);
        let path = format!("/api/conversations/{id}/messages?limit=100");
        let mut all = person.walk(&path, "messages", async |_| {}).await;
        all.reverse();
        messages.insert(id, all);
    }
    let pending = person.get("/api/conversations/invites/pending").await.ok(200)["invites"].clone();
    let invites = by_id(pending.as_array().unwrap().iter().map(|invite| without(invite.clone(), "server_now")));
    let mut fetched = BTreeMap::new();
    for id in sessions {
        fetched.insert(id.clone(), person.get(&format!("/api/sessions/{id}")).await.ok(200)["session"].clone());
    }
    let mut statuses = BTreeMap::new();
    for id in others {
        let user = person.get(&format!("/api/users/{id}")).await.ok(200)["user"].clone();
        statuses.insert(id.clone(), status_of(&user));
    }
    let unread = person.walk("/api/notifications?unread=true&limit=100", "notifications", async |_| {}).await;
    let unread = unread.iter().map(|notification| text(&notification["id"])).collect();
    View { conversations, messages, invites, sessions: fetched, statuses, unread }
}

impl Client {
    /// Listens to everything, then fetches what there is.
    pub(super) async fn begin(person: &Person<'_>, others: &[String], conversations: &[String]) -> Self {
        let mine = ["sessions", "notifications"].map(|family| format!("{family}:{}", person.id));
        let talks = conversations.iter().map(|id| format!("conversation:{id}"));
        let statuses = others.iter().map(|id| format!("status:{id}"));
        let told = mine.into_iter().chain(talks).chain(statuses).map(|channel| (channel, 0)).collect();
        let mut client = Self {
            user_id: person.id.clone(),
            told,
            socket: None,
            talks: BTreeMap::new(),
            invites: BTreeMap::new(),
            sessions: BTreeMap::new(),
            statuses: BTreeMap::new(),
            unread: BTreeSet::new(),
        };
        client.open(person).await;
        let view = fetch(person, others, &[]).await;
        for entry in view.conversations {
            let id = text(&entry["id"]);
            let messages: BTreeMap<_, _> =
                view.messages[&id].iter().map(|one| (one["messageId"].as_i64().unwrap(), one.clone())).collect();
            // They are new to each other: nothing was read yet.
            client.talks.insert(id, Talk { entry: without(entry, "unread_count"), messages, read: 0 });
        }
        client.invites = view.invites;
        client
    }

    /// Opens a socket and goes on where the last one ended.
    pub(super) async fn open(&mut self, person: &Person<'_>) {
        let mut socket = person.socket("/ws").await;
        for (channel, after) in &self.told {
            socket.say(json!({"type": "subscribe", "channel": channel, "after": after})).await;
        }
        self.socket = Some(socket);
    }

    /// Hears what has come; false where the socket was closed.
    pub(super) async fn listen(&mut self) -> bool {
        let Some(mut socket) = self.socket.take() else { return false };
        if futures_util::SinkExt::send(&mut socket.stream, r#"{"type":"ping"}"#.into()).await.is_err() {
            return false;
        }
        loop {
            match socket.next_or_close().await {
                Ok(frame) if frame["type"] == "pong" => {
                    self.socket = Some(socket);
                    return true;
                }
                Ok(frame) => self.hear(&frame),
                Err(_) => return false,
            }
        }
    }

    fn hear(&mut self, frame: &Value) {
        let (kind, payload) = (frame["type"].as_str().unwrap(), &frame["payload"]);
        if let Some(seq) = frame["seq"].as_i64() {
            let told = self.told.get_mut(frame["channel"].as_str().unwrap()).unwrap();
            assert_eq!(seq, *told + 1, "each number once and in order: {frame}");
            *told = seq;
        }
        match kind {
            "subscribed" => assert_eq!(payload["recovered"], true, "{frame}"),
            "message.created" => {
                let talk = self.talks.get_mut(payload["conversationId"].as_str().unwrap()).unwrap();
                talk.messages.insert(payload["messageId"].as_i64().unwrap(), payload.clone());
            }
            "conversation.updated" => {
                let entry = &payload["conversation"];
                self.talks.get_mut(entry["id"].as_str().unwrap()).unwrap().entry = entry.clone();
            }
            "conversation.read" if payload["userId"] == json!(self.user_id) => {
                let talk = self.talks.get_mut(payload["conversationId"].as_str().unwrap()).unwrap();
                talk.read = talk.read.max(payload["messageId"].as_i64().unwrap());
            }
            "instant_invite" => {
                let invite = without(payload["invite"].clone(), "server_now");
                self.invites.insert(text(&invite["id"]), invite);
            }
            "session.created" | "session.updated" => {
                self.sessions.insert(text(&payload["session"]["id"]), payload["session"].clone());
            }
            "status.changed" => {
                self.statuses.insert(text(&payload["user_id"]), status_of(payload));
            }
            "notification.created" => {
                assert!(self.unread.insert(text(&payload["notification"]["id"])), "new: {frame}");
            }
            "notification.read" => {
                for id in payload["ids"].as_array().unwrap() {
                    assert!(self.unread.remove(&text(id)), "unread until then: {frame}");
                }
            }
            "conversation.read" => {}
            other => panic!("unexpected {other}: {frame}"),
        }
    }

    /// What the client shows, having only listened.
    pub(super) fn view(&self) -> View {
        let entries = self.talks.values().map(|talk| {
            let mut entry = talk.entry.clone();
            let unread = talk.messages.range(talk.read + 1..);
            let unread = unread.filter(|(_, message)| message["senderId"] != json!(self.user_id)).count();
            entry["unread_count"] = json!(unread);
            if let Some((_, last)) = talk.messages.last_key_value() {
                let at = chrono::DateTime::from_timestamp_millis(last["timestamp"].as_i64().unwrap()).unwrap();
                entry["last_activity"] = json!(at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
                entry["last_message"] = last.clone();
            }
            entry
        });
        let pending = self.invites.iter().filter(|(_, invite)| invite["status"] == "pending");
        View {
            conversations: in_order(entries.collect()),
            messages: self
                .talks
                .iter()
                .map(|(id, talk)| (id.clone(), talk.messages.values().cloned().collect()))
                .collect(),
            invites: pending.map(|(id, invite)| (id.clone(), invite.clone())).collect(),
            sessions: self.sessions.clone(),
            statuses: self.statuses.clone(),
            unread: self.unread.clone(),
        }
    }

    /// What it would show if it fetched everything anew.
    pub(super) async fn refetched(&self, person: &Person<'_>, others: &[String], sessions: &[String]) -> View {
        let mut view = fetch(person, others, sessions).await;
        view.conversations = in_order(view.conversations);
        view
    }
}
