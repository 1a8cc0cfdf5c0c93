//! Sam: asked, answering, proposing; with a model, without one, and with one that misbehaves.

mod answers;
mod asking;
mod failures;
pub mod gemini;
mod injection;
mod limits;
mod missing;
mod offers;
mod proposals;

use humanchat_domain::{
    clock::Clock,
    testing::{TestDatabase, noon},
};
use reqwest::Method;
use serde_json::{Value, json};

use self::gemini::{Gemini, Move};
use crate::{
    scene::text,
    support::{Answer, Api, Person, api_on},
};

/// An api without a model.
async fn api_by_rules() -> Api {
    api_on(&TestDatabase::create().await, Clock::manual(noon()), &[]).await
}

/// An api and its model.
async fn api_with_model() -> (Api, Gemini) {
    let gemini = Gemini::start().await;
    (api_on(&TestDatabase::create().await, Clock::manual(noon()), &gemini.settings()).await, gemini)
}

impl Person<'_> {
    pub async fn ask_sam(&self, body: Value) -> Answer {
        let request = self.request(Method::POST, "/api/sam").header("Prefer", "respond-async");
        self.api.send(request.json(&body)).await
    }

    /// What becomes of a question once the jobs are done.
    pub async fn sam(&self, question: &str) -> Value {
        let run = self.ask_sam(json!({"message": question})).await.ok(202);
        assert_eq!(run["status"], "running");
        self.api.work().await;
        let answer = self.run(&run).await;
        assert_eq!(answer["status"], "complete", "{answer}");
        answer
    }

    pub async fn run(&self, run: &Value) -> Value {
        self.get(&format!("/api/sam/runs/{}", text(&run["runId"]))).await.ok(200)
    }

    pub async fn decide_action(&self, action: &Value, decision: &str) -> Answer {
        self.post("/api/sam/actions", json!({"actionId": action["actionId"], "decision": decision})).await
    }

    /// The messages with Sam, oldest first.
    pub async fn said_with_sam(&self) -> Vec<Value> {
        let list = self.get("/api/conversations?type=sam").await.ok(200);
        let [conversation] = &list["conversations"].as_array().unwrap()[..] else { panic!("{list}") };
        let path = format!("/api/conversations/{}/messages?limit=100", text(&conversation["id"]));
        let mut messages = self.get(&path).await.ok(200)["messages"].as_array().unwrap().clone();
        messages.reverse();
        messages
    }

    async fn has_profile(&self, fields: Value) {
        self.patch("/api/users/me", fields).await.ok(200);
    }
}

/// The actions of a kind in an answer.
fn actions<'a>(answer: &'a Value, kind: &str) -> Vec<&'a Value> {
    answer["actions"].as_array().unwrap().iter().filter(|action| action["type"] == kind).collect()
}

/// The asker, and a beekeeper who is online.
async fn asker_and_host(api: &Api) -> [Person<'_>; 2] {
    let mut people = api.arrive(&["asker", "river"]).await;
    let host = people.pop().unwrap();
    host.has_profile(json!({"name": "River Stone", "headline": "Urban bees", "skills": ["beekeeping"]})).await;
    host.appear().await;
    [people.pop().unwrap(), host]
}
