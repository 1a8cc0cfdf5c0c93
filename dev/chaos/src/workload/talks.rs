//! What people say to each other and to Sam, and how they come together.

use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Value, json};
use uuid::Uuid;

use super::person::{Ask, Person};
use crate::history::{Deed, uuid_of};

/// A list in an answer.
pub(super) fn list<'a>(answer: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    answer[name].as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

/// Words that nobody said before.
fn words(rng: &mut StdRng) -> String {
    format!("about bees {}", Uuid::from_u128(rng.random()).simple())
}

impl Person {
    pub(super) async fn say_something(&self, rng: &mut StdRng) {
        let Some(talks) = self.get(rng, "/api/conversations?type=human&limit=10").await else { return };
        let talks: Vec<_> = list(&talks, "conversations").cloned().collect();
        let chosen = talks.choose(rng).cloned();
        let talk = if chosen.is_none() || rng.random_bool(0.15) { self.open(rng).await } else { chosen };
        let Some(talk) = talk else { return };
        let (Some(conversation), Some(id)) = (uuid_of(&talk["id"]), talk["id"].as_str()) else { return };
        for _ in 0..rng.random_range(1..4) {
            let content = words(rng);
            let mut body = json!({"content": content, "type": "user_text"});
            if rng.random_bool(0.5) {
                body["clientMessageId"] = json!(Uuid::from_u128(rng.random()).to_string());
            }
            let ask = Ask::post(format!("/api/conversations/{id}/messages"), body);
            self.act(rng, Deed::Say { conversation, content }, ask).await;
        }
    }

    async fn open(&self, rng: &mut StdRng) -> Option<Value> {
        let other = self.world.anybody(rng).filter(|other| other.id != self.id)?;
        let ask = Ask::post("/api/conversations", json!({"participantId": other.name}));
        Some(self.act(rng, Deed::Open { with: other.id }, ask).await?["conversation"].clone())
    }

    pub(super) async fn connect(&self, rng: &mut StdRng) {
        let Some(host) = self.world.anybody(rng).filter(|host| host.id != self.id) else { return };
        let ask = Ask::post("/api/conversations/connect", json!({"targetUserId": host.name}));
        let Some(connected) = self.act(rng, Deed::Connect { host: host.id }, ask).await else { return };
        if connected["flow"] == "session" && rng.random_bool(0.8) {
            self.pay(rng, &connected["session"]).await;
        }
    }

    pub(super) async fn look_after_invites(&self, rng: &mut StdRng) {
        let Some(waiting) = self.get(rng, "/api/conversations/invites/pending").await else { return };
        for invite in list(&waiting, "invites") {
            let is_host = uuid_of(&invite["target_user_id"]) == Some(self.id);
            let how = match rng.random_range(0..10) {
                0..5 if is_host => "accept",
                5..8 if is_host => "decline",
                0..2 => "cancel",
                _ => continue,
            };
            self.answer(rng, invite, how).await;
        }
    }

    async fn answer(&self, rng: &mut StdRng, invite: &Value, how: &'static str) {
        let (Some(id), Some(invite)) = (invite["id"].as_str(), uuid_of(&invite["id"])) else { return };
        let ask = Ask::post(format!("/api/conversations/invites/{id}/{how}"), json!({}));
        self.act(rng, Deed::Answer { invite, how }, ask).await;
    }

    pub(super) async fn ask_to_talk(&self, rng: &mut StdRng) {
        let Some(target) = self.world.anybody(rng).filter(|target| target.id != self.id) else { return };
        let message = words(rng);
        let ask = Ask::post("/api/requests", json!({"targetUserId": target.name, "message": message}));
        self.act(rng, Deed::Ask { target: target.id, message }, ask).await;
    }

    pub(super) async fn look_after_requests(&self, rng: &mut StdRng) {
        let Some(inbox) = self.get(rng, "/api/requests?limit=5").await else { return };
        for request in list(&inbox, "requests").filter(|request| request["status"] == "pending") {
            let (Some(id), Some(request)) = (request["id"].as_str(), uuid_of(&request["id"])) else { continue };
            let status = if rng.random_bool(0.6) { "approved" } else { "declined" };
            let ask = Ask::patch(format!("/api/requests/{id}/status"), json!({"status": status}));
            self.act(rng, Deed::Decide { request, status }, ask).await;
        }
    }

    pub(super) async fn ask_sam(&self, rng: &mut StdRng) {
        let message = format!("Who knows {} and has time now?", words(rng));
        let ask = Ask::post("/api/sam", json!({"message": message}));
        let Some(answer) = self.act(rng, Deed::Consult { message }, ask).await else { return };
        for proposal in list(&answer, "actions") {
            let (Some(id), Some(action)) = (proposal["actionId"].as_str(), uuid_of(&proposal["actionId"])) else {
                continue;
            };
            let decision = if rng.random_bool(0.6) { "confirm" } else { "decline" };
            let ask = Ask::post("/api/sam/actions", json!({"actionId": id, "decision": decision}));
            self.act(rng, Deed::Settle { action, decision }, ask).await;
        }
    }
}
