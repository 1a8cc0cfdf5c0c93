//! What operations are about: made by a guest and a host, as they would come to it.

use std::collections::BTreeMap;

use chrono::SecondsFormat;
use humanchat_domain::{
    admin::requested_people::{self, RequestedKind},
    auth::Role,
    testing::propose,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    payments::Till,
    scene::{id, text},
    support::{PASSWORD, Person},
};

/// Something that an operation can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// It is about nothing, or its caller.
    Nothing,
    /// Somebody with a password.
    Account,
    /// The host.
    Host,
    /// Somebody else, who is there and has time.
    Somebody,
    /// Somebody else, who is of the staff.
    Colleague,
    /// A mailed link.
    Link,
    /// What guest and host say to each other.
    Conversation,
    /// The guest asks the host to talk now.
    Invite,
    /// The guest asks the host.
    Request,
    /// The guest has booked a free half hour.
    Booking,
    /// Guest and host talk.
    Talk,
    /// The guest has yet to pay for a session.
    Unpaid,
    /// The guest's money is held for a session.
    Authorised,
    /// The guest's money for a session was taken.
    Talked,
    /// The guest gave, and has yet to pay.
    Promise,
    /// The guest gave to the host.
    Gift,
    /// The guest asked Sam.
    Question,
    /// Sam proposed something to the guest.
    Proposal,
    /// The guest asked for somebody who isn't here.
    Missed,
    /// Something is to be done later.
    Job,
    /// It was, and was called off.
    CancelledJob,
    /// Where it waits.
    Queue,
}

/// Who makes things, and what with.
pub struct Makers<'a> {
    pub till: &'a Till,
    pub guest: &'a Person<'a>,
    pub host: &'a Person<'a>,
    pub somebody: &'a Person<'a>,
    pub admin: &'a Person<'a>,
}

/// The words that name a thing: `id`, and what else a body may need.
pub type Words = BTreeMap<&'static str, String>;

impl Thing {
    /// Makes it.
    pub async fn make(self, makers: &Makers<'_>) -> Words {
        let Makers { till, guest, host, somebody, admin } = makers;
        let api = &till.api;
        let name = match self {
            Self::Nothing => String::new(),
            Self::Account => return account(till).await,
            Self::Link => return link(till).await,
            Self::Host => host.id.clone(),
            Self::Somebody => {
                somebody.keeps_open().await;
                somebody.appear().await;
                somebody.id.clone()
            }
            Self::Colleague => {
                somebody.becomes(Role::Manager).await;
                somebody.id.clone()
            }
            Self::Conversation => {
                let conversation = guest.conversation_with(host).await;
                guest.say(&conversation, "Hello").await.ok(201);
                conversation
            }
            Self::Invite => text(&guest.invite(host).await["id"]),
            Self::Request => {
                host.appear().await;
                text(&guest.ask(host, "Hello").await.ok(201)["request"]["id"])
            }
            Self::Booking => {
                host.keeps_open().await;
                let start = till.slot(24).to_rfc3339_opts(SecondsFormat::Secs, true);
                let session = guest.booked(host, &start).await;
                // So that the host can begin it.
                guest.say(&text(&session["conversation_id"]), "I am here").await.ok(201);
                text(&session["id"])
            }
            Self::Talk => {
                let invite = guest.invite(host).await;
                text(&host.answer(&invite, "accept").await.ok(200)["session"]["id"])
            }
            Self::Unpaid => till.agreed(guest, host).await,
            Self::Authorised => till.authorised(guest, host).await.0,
            Self::Talked => {
                let (session, _) = till.authorised(guest, host).await;
                for status in ["in_progress", "complete"] {
                    host.patch(&format!("/api/sessions/{session}"), json!({"status": status})).await.ok(200);
                }
                till.settle().await;
                session
            }
            Self::Promise => text(&promise(guest, host).await["payment"]["id"]),
            Self::Gift => {
                let promise = promise(guest, host).await;
                till.pay_checkout(&promise).await;
                till.settle().await;
                text(&promise["payment"]["id"])
            }
            Self::Question => question(guest).await,
            Self::Proposal => propose(&api.store, id(&guest.id), id(&question(guest).await)).await.to_string(),
            Self::Missed => {
                let mut tx = api.store.begin(None).await.unwrap();
                let name = format!("Jane {}", guest.id);
                let missed = requested_people::record(&mut tx, id(&guest.id), RequestedKind::Person, &name).await;
                tx.commit().await.unwrap();
                missed.unwrap().unwrap().id.to_string()
            }
            Self::Job | Self::CancelledJob => {
                guest.appear().await;
                let jobs = admin.get("/api/admin/jobs?kind=end_presence&limit=1").await.ok(200);
                let job = text(&jobs["jobs"][0]["id"]);
                if self == Self::CancelledJob {
                    admin.post(&format!("/api/admin/jobs/{job}/cancel"), json!({})).await.ok(200);
                }
                job
            }
            Self::Queue => "mail".to_owned(),
        };
        Words::from([("id", name)])
    }
}

async fn account(till: &Till) -> Words {
    let person = till.api.register("Account").await;
    let password = PASSWORD.to_owned();
    Words::from([("id", person.id), ("email", person.email), ("token", person.refresh_token), ("password", password)])
}

async fn link(till: &Till) -> Words {
    let email = format!("{}@example.com", uuid::Uuid::now_v7().simple());
    till.api.anonymous(Method::POST, "/api/auth/magic-link", Some(json!({"email": email}))).await.ok(202);
    till.settle().await;
    Words::from([("token", till.api.mailed_tokens(&email).await.remove(0))])
}

async fn promise(guest: &Person<'_>, host: &Person<'_>) -> Value {
    guest.post("/api/payments/donation", json!({"amount": 500, "recipientUserId": host.id})).await.ok(201)
}

async fn question(guest: &Person<'_>) -> String {
    text(&guest.ask_sam(json!({"message": "Hello"})).await.ok(202)["runId"])
}
