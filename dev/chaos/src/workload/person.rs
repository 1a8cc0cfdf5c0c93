//! Somebody who uses the product: signed in, asking, and asking again where no answer came.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::history::{Deed, History, Outcome, Try, uuid_of};

const PASSWORD: &str = "correct horse battery";
/// How often somebody asks at most.
const MOST_TRIES: u32 = 4;
const MOST_INSISTING_TRIES: u32 = 10;

/// The apis that requests go to, as a load balancer knows them.
#[derive(Debug)]
pub(crate) struct Routes(RwLock<Vec<SocketAddr>>);

impl Routes {
    pub(crate) fn to(apis: Vec<SocketAddr>) -> Self {
        Self(RwLock::new(apis))
    }

    /// Requests go there, too.
    pub(crate) fn add(&self, api: SocketAddr) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(api);
    }

    /// New requests go there no more.
    pub(crate) fn remove(&self, api: SocketAddr) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).retain(|known| *known != api);
    }

    fn choose(&self, rng: &mut StdRng) -> SocketAddr {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.choose(rng).copied().unwrap_or_else(|| unreachable!("there is an api at all times"))
    }
}

/// Where everybody is.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) history: Arc<History>,
    pub(crate) http: reqwest::Client,
    pub(crate) routes: Routes,
    /// Whether who gets no answer asks until there is one, instead of leaving it now and then.
    pub(crate) is_insisting: bool,
    /// Where people pay.
    pub(crate) till: String,
    /// Who is signed in, so that others can find them.
    pub(crate) people: RwLock<Vec<Arc<Person>>>,
    /// Things begin to break.
    pub(crate) troubled: CancellationToken,
    /// People stop doing things.
    pub(crate) stop: CancellationToken,
}

impl World {
    /// Somebody.
    pub(crate) fn anybody(&self, rng: &mut StdRng) -> Option<Arc<Person>> {
        self.people.read().unwrap_or_else(PoisonError::into_inner).choose(rng).cloned()
    }

    /// One of the apis, as a load balancer would choose.
    pub(crate) fn api(&self, rng: &mut StdRng) -> SocketAddr {
        self.routes.choose(rng)
    }
}

/// What a host takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terms {
    Free,
    Paid,
    Charity,
}

/// Somebody who is signed in.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) world: Arc<World>,
    pub(crate) id: Uuid,
    /// The id as the product shows it.
    pub(crate) name: String,
    pub(crate) terms: Terms,
    email: String,
    token: Mutex<String>,
}

/// A request about to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Value,
}

impl Ask {
    pub(crate) fn post(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::POST, path: path.into(), body }
    }

    pub(crate) fn put(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::PUT, path: path.into(), body }
    }

    pub(crate) fn patch(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::PATCH, path: path.into(), body }
    }
}

/// Sends a request once.
async fn send(world: &World, rng: &mut StdRng, ask: &Ask, token: Option<&str>, key: Option<&str>) -> Try {
    let url = format!("http://{}{}", world.api(rng), ask.path);
    let mut request = world.http.request(ask.method.clone(), url);
    if ask.method != Method::GET {
        request = request.json(&ask.body);
    }
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    let began = world.history.now();
    let mut is_replay = false;
    let (outcome, status, answer) = match request.send().await {
        Ok(response) => {
            let status = response.status().as_u16();
            is_replay = response.headers().contains_key("idempotency-replayed");
            match response.text().await {
                Ok(text) => (outcome_of(status), status, text),
                Err(error) => (Outcome::Unknown, status, error.to_string()),
            }
        }
        Err(error) if error.is_connect() => (Outcome::Failed, 0, reasons(error)),
        Err(error) => (Outcome::Unknown, 0, reasons(error)),
    };
    Try { began, ended: world.history.now(), outcome, status, answer, is_replay }
}

/// An error with what caused it, and where that came from.
fn reasons(error: reqwest::Error) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

/// What a status says of the deed. A 5xx promises nothing: its transaction may have been committed.
fn outcome_of(status: u16) -> Outcome {
    match status {
        200..300 => Outcome::Ok,
        400..500 => Outcome::Refused,
        _ => Outcome::Unknown,
    }
}

impl Person {
    /// Registers, and signs in where it isn't known whether that worked. Gives up when people stop.
    pub(crate) async fn arrive(world: &Arc<World>, rng: &mut StdRng, number: usize, terms: Terms) -> Option<Self> {
        let email = format!("person{number}@chaos.test");
        let register = json!({"name": format!("Person {number}"), "email": email, "password": PASSWORD});
        let register = Ask::post("/api/auth/register", register);
        let op = world.history.invoked(Uuid::nil(), Deed::Register { email: email.clone() }, None);
        let sign_in = Ask::post("/api/auth/login", json!({"email": email, "password": PASSWORD}));
        while !world.stop.is_cancelled() {
            let mut one = send(world, rng, &register, None, None).await;
            world.history.tried(op, one.clone());
            if one.code() == "email_taken" {
                one = send(world, rng, &sign_in, None, None).await;
            }
            let auth = one.json();
            if let (Outcome::Ok, Some(id), Some(token)) =
                (one.outcome, uuid_of(&auth["user"]["id"]), auth["token"].as_str())
            {
                let name = auth["user"]["id"].as_str().unwrap_or_default().to_owned();
                let token = Mutex::new(token.to_owned());
                return Some(Self { world: Arc::clone(world), id, name, terms, email, token });
            }
            sleep(Duration::from_millis(rng.random_range(1000..5000))).await;
        }
        None
    }

    pub(crate) fn token(&self) -> String {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Signs in again: tokens don't last as long as people.
    pub(crate) async fn sign_in(&self, rng: &mut StdRng) -> bool {
        let ask = Ask::post("/api/auth/login", json!({"email": self.email, "password": PASSWORD}));
        let op = self.world.history.invoked(self.id, Deed::SignIn, None);
        for _ in 0..if self.world.is_insisting { MOST_INSISTING_TRIES } else { 1 } {
            let one = send(&self.world, rng, &ask, None, None).await;
            let token = one.json()["token"].as_str().map(ToOwned::to_owned);
            let is_answered = matches!(one.outcome, Outcome::Ok | Outcome::Refused);
            self.world.history.tried(op, one);
            if let Some(token) = token {
                *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
                return true;
            }
            if is_answered {
                return false;
            }
            sleep(Duration::from_millis(rng.random_range(200..1000))).await;
        }
        false
    }

    /// Reads something; none where that isn't possible now.
    pub(crate) async fn get(&self, rng: &mut StdRng, path: &str) -> Option<Value> {
        let ask = Ask { method: Method::GET, path: path.to_owned(), body: Value::Null };
        self.act(rng, Deed::Read { path: path.to_owned() }, ask).await
    }

    /// Does something, under a key of its own where the route takes one. Where no answer comes, asks
    /// again more often than not; where one came, asks again now and then, to hear the same. Returns
    /// what was done.
    pub(crate) async fn act(&self, rng: &mut StdRng, deed: Deed, ask: Ask) -> Option<Value> {
        let key = (ask.method == Method::POST).then(|| Uuid::from_u128(rng.random()).to_string());
        let reads = matches!(deed, Deed::Read { .. });
        let op = self.world.history.invoked(self.id, deed, key.clone());
        let insists = self.world.is_insisting;
        let mut done = None;
        for _ in 0..if insists { MOST_INSISTING_TRIES } else { MOST_TRIES } {
            let one = send(&self.world, rng, &ask, Some(&self.token()), key.as_deref()).await;
            let said = if reads && one.outcome == Outcome::Ok { String::new() } else { one.answer.clone() };
            self.world.history.tried(op, Try { answer: said, ..one.clone() });
            let (outcome, again) = match (one.status, one.outcome) {
                (401, _) => (Outcome::Refused, self.sign_in(rng).await),
                (_, Outcome::Ok) => (Outcome::Ok, key.is_some() && rng.random_bool(0.05)),
                (_, Outcome::Refused) if one.code() == "idempotency_in_flight" => (Outcome::Unknown, true),
                (_, Outcome::Refused) => (Outcome::Refused, key.is_some() && rng.random_bool(0.02)),
                (_, other) => (other, insists || (!reads && rng.random_bool(0.7))),
            };
            if outcome == Outcome::Ok && done.is_none() {
                done = Some(one.json());
            }
            if !again {
                break;
            }
            if outcome != Outcome::Ok {
                sleep(Duration::from_millis(rng.random_range(200..2500))).await;
            }
        }
        done
    }

    /// Does what a payer does in the card form, at the provider's page. The product isn't asked.
    pub(crate) async fn show_card(&self, client_secret: &str, card: &str) {
        let url = format!("{}/pay/{client_secret}", self.world.till);
        let form = format!("action=pay&card={card}");
        let request = self.world.http.post(url).header("content-type", "application/x-www-form-urlencoded").body(form);
        // Whoever isn't sure whether they paid sees it in the session.
        let _ = request.send().await;
    }
}
