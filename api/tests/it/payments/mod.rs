//! Payments, against a simulator that speaks Stripe's protocol.

mod books;
mod donations;
mod faults;
mod gaps;
mod holds;
mod payouts;
mod random;
mod saved_cards;
mod sessions;
mod webhooks;

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use humanchat_domain::{clock::Clock, event::Channel, testing::TestDatabase};
use humanchat_stripe::{Options, Running};
use humanchat_worker::testing::{Outcome, drain};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    attendance::settled,
    scene::{eventually, id, text},
    support::{Answer, Api, Person, api_on},
};

pub const SECRET: &str = "whsec_of_the_tests";

/// An api with a payment provider.
pub struct Till {
    pub api: Api,
    /// Where the provider is.
    pub base_url: String,
    /// Runs for as long as this is kept, where it is the test's own.
    _simulator: Option<Running>,
}

/// What makes an api and its workers use a provider. Hosts have a minute to begin.
pub fn settings_of(simulator: &Running) -> [(&str, &str); 5] {
    settings_at(&simulator.base_url)
}

/// The same, for a provider at this address.
pub fn settings_at(base_url: &str) -> [(&str, &str); 5] {
    [
        ("STRIPE_SECRET_KEY", "sk_test_of_the_tests"),
        ("STRIPE_WEBHOOK_SECRET", SECRET),
        ("STRIPE_API_BASE", base_url),
        ("INVITE_TTL_ONLINE_SECS", "60"),
        // Nobody works here: whoever asks Sam need not wait.
        ("SAM_WAIT_SECS", "0"),
    ]
}

/// A provider of the test's own.
pub async fn simulator() -> Running {
    rustls::crypto::ring::default_provider().install_default().ok();
    humanchat_stripe::spawn(Options::default()).await.unwrap()
}

/// An api whose clock stands still, and a provider that tells it what happens.
pub async fn till() -> Till {
    let simulator = simulator().await;
    // The provider goes by the real time.
    let clock = Clock::manual(Clock::System.now());
    let api = api_on(&TestDatabase::create().await, clock, &settings_of(&simulator)).await;
    Till::of(api, simulator).await
}

impl Till {
    /// An api and the provider that tells it what happens.
    pub async fn of(api: Api, simulator: Running) -> Self {
        let base_url = simulator.base_url.clone();
        Self::open(Self { api, base_url, _simulator: Some(simulator) }).await
    }

    /// An api, and a provider of another process that tells it what happens.
    pub async fn at(api: Api, base_url: &str) -> Self {
        Self::open(Self { api, base_url: base_url.to_owned(), _simulator: None }).await
    }

    async fn open(till: Self) -> Self {
        let endpoint = json!({"url": till.api.url("/api/payments/webhook"), "secrets": [SECRET]});
        till.steer(Method::POST, "/_sim/webhooks/endpoints", endpoint).await;
        till
    }

    /// Steers the provider.
    pub async fn steer(&self, method: Method, path: &str, body: Value) {
        let url = format!("{}{path}", self.base_url);
        let answer = self.api.http.request(method, url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    }

    /// Everything the provider knows.
    pub async fn state(&self) -> Value {
        let url = format!("{}/_sim/state", self.base_url);
        self.api.http.get(url).send().await.unwrap().json().await.unwrap()
    }

    /// The money of all intents at the provider: held, captured, refunded, and how often captured.
    pub async fn money(&self) -> Vec<[i64; 4]> {
        let state = self.state().await;
        let intents = state["intents"].as_array().unwrap();
        let money =
            |intent: &Value| ["held", "captured", "refunded", "captures"].map(|name| intent[name].as_i64().unwrap());
        intents.iter().map(money).collect()
    }

    /// Requests that the provider saw: method and path.
    pub async fn seen(&self, method: &str, path: &str) -> Vec<Value> {
        let state = self.state().await;
        let requests = state["requests"].as_array().unwrap().iter();
        let ours = requests.filter(|seen| seen["method"] == method && text(&seen["path"]).contains(path));
        ours.cloned().collect()
    }

    /// Lets something go wrong at the provider.
    pub async fn fault(&self, rule: Value) {
        self.steer(Method::POST, "/_sim/faults", rule).await;
    }

    /// Does what a payer does on the provider's page.
    pub async fn on_page(&self, url: &str, form: &[(&str, &str)]) {
        let body = form.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let request = client.post(url).header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer = request.send().await.unwrap();
        assert!(answer.status().as_u16() < 500, "{}", answer.text().await.unwrap());
    }

    /// Pays at a checkout.
    pub async fn pay_checkout(&self, opened: &Value) {
        self.on_page(&text(&opened["checkoutUrl"]), &[("action", "pay"), ("card", "4242424242424242")]).await;
    }

    /// Authorises a card, or saves one.
    pub async fn authorise(&self, opened: &Value) {
        self.pay_with("4242424242424242", opened).await;
    }

    /// Authorises a test card, or saves it: <https://docs.stripe.com/testing>.
    pub async fn pay_with(&self, card: &str, opened: &Value) {
        self.answer_card(opened, &[("action", "pay"), ("card", card)]).await;
    }

    /// Shows the bank who one is.
    pub async fn authenticate(&self, opened: &Value) {
        self.answer_card(opened, &[("action", "authenticate")]).await;
    }

    async fn answer_card(&self, opened: &Value, form: &[(&str, &str)]) {
        self.on_page(&self.card_page(opened), form).await;
    }

    /// Where a card is authorised.
    pub fn card_page(&self, opened: &Value) -> String {
        format!("{}/pay/{}", self.base_url, text(&opened["clientSecret"]))
    }

    /// Sees that the provider is asked for something behind the api's back.
    pub async fn by_hand(&self, method: Method, path: &str, form: &[(&str, &str)]) -> Value {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.api.http.request(method, format!("{}{path}", self.base_url)).bearer_auth("sk_test_by_hand");
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }

    /// Waits until what the provider tells has come.
    pub async fn hear(&self) {
        eventually("all webhooks to come", async || (self.state().await["webhooks"]["waiting"] == 0).then_some(()))
            .await;
    }

    /// Hears and works until nothing more happens, however often it takes.
    pub async fn settle(&self) {
        for _ in 0..15 {
            self.hear().await;
            let outcomes = drain(&self.api.store).await;
            let parked =
                outcomes.iter().find(|(_, outcome)| matches!(outcome, Outcome::Parked(_) | Outcome::Cancelled(_)));
            assert!(parked.is_none(), "{parked:?}");
            if outcomes.is_empty() {
                return;
            }
            if outcomes.iter().any(|(_, outcome)| *outcome != Outcome::Done) {
                self.advance(Duration::from_secs(16)).await;
            }
        }
        panic!("it does not settle");
    }

    /// Three people: a guest, a host, and somebody else.
    pub async fn people(&self) -> [Person<'_>; 3] {
        let people = self.api.arrive(&["guest", "host", "third"]).await;
        people.try_into().unwrap_or_else(|_| panic!("three arrived"))
    }

    /// Moves both clocks: ours, and the provider's.
    pub async fn advance(&self, by: Duration) {
        self.api.advance(by);
        self.steer(Method::POST, "/_sim/clock", json!({"advance_secs": by.as_secs(), "everywhere": true})).await;
    }

    /// A session of 30 minutes for 30 dollars that waits to be paid for, and for its host.
    pub async fn agreed(&self, guest: &Person<'_>, host: &Person<'_>) -> String {
        let rate = json!({"conversationType": "paid", "instantRatePerMinute": 1});
        host.patch("/api/users/me", rate).await.ok(200);
        let connected = guest.connect(host).await.ok(201);
        assert_eq!((&connected["flow"], &connected["payment"]["amount"]), (&json!("session"), &json!(3000)));
        text(&connected["session"]["id"])
    }

    /// A session whose payment is authorised: its id, and the payment.
    pub async fn authorised(&self, guest: &Person<'_>, host: &Person<'_>) -> (String, Value) {
        let session = self.agreed(guest, host).await;
        let opened = guest.pay_session(&session, "create").await.ok(201);
        self.authorise(&opened).await;
        self.settle().await;
        let payment = guest.payment(&opened["payment"]).await;
        assert_eq!(payment["status"], "authorized", "{payment}");
        (session, payment)
    }

    /// A guest and a host who stay for weeks, and who is open at all hours for a dollar a minute.
    pub async fn open_host(&self) -> [Person<'_>; 2] {
        let [guest, host, _] = self.people().await;
        let [guest, host] = [guest, host].map(Person::staying);
        let all_day: Vec<_> = (0..7).map(|day| json!({"weekday": day, "start": "00:00", "end": "24:00"})).collect();
        let rules = json!({"timezone": "UTC", "weekly": all_day, "overrides": [], "bufferMinutes": 0,
            "minimumNoticeMinutes": 0, "horizonDays": 60, "slotMinutes": 30});
        host.put("/api/availability", rules).await.ok(200);
        host.patch("/api/users/me", json!({"conversationType": "paid", "instantRatePerMinute": 1})).await.ok(200);
        [guest, host]
    }

    /// The first start of a slot so many hours from now.
    pub fn slot(&self, hours: i64) -> DateTime<Utc> {
        let at = (self.api.store.clock().now() + TimeDelta::hours(hours)).timestamp();
        DateTime::from_timestamp(at - at.rem_euclid(1800) + 1800, 0).unwrap()
    }

    /// Books half an hour at a slot, for thirty dollars.
    pub async fn book(&self, guest: &Person<'_>, host: &Person<'_>, start: DateTime<Utc>) -> Value {
        let start = start.to_rfc3339_opts(SecondsFormat::Secs, true);
        let body = json!({"hostUserId": host.id, "startTime": start, "durationMinutes": 30, "price": 30});
        guest.post("/api/sessions", body).await.ok(201)
    }

    /// Lets time pass until then, and what is due be done.
    pub async fn come_to(&self, time: DateTime<Utc>) {
        let left = time - self.api.store.clock().now();
        self.advance(left.to_std().unwrap_or_default()).await;
        self.settle().await;
    }

    /// The host begins it, both are there for so many minutes, and the host completes it.
    pub async fn talk(&self, session: &str, people: [&Person<'_>; 2], minutes: u64) -> Answer {
        let [guest, host] = people;
        let _sockets = (guest.socket("/ws").await, host.socket("/ws").await);
        settled(&self.api, 2).await;
        let path = format!("/api/sessions/{session}");
        host.patch(&path, json!({"status": "in_progress"})).await.ok(200);
        self.advance(Duration::from_mins(minutes)).await;
        host.patch(&path, json!({"status": "complete"})).await
    }
}

impl Person<'_> {
    pub async fn pay_session(&self, session: &str, action: &str) -> Answer {
        self.post("/api/payments/session", json!({"sessionId": session, "action": action})).await
    }

    /// A payment as it is now.
    pub async fn payment(&self, payment: &Value) -> Value {
        self.get(&format!("/api/payments/{}", text(&payment["id"]))).await.ok(200)["payment"].clone()
    }

    /// A session as it is now.
    pub async fn session_now(&self, id: &str) -> Value {
        self.get(&format!("/api/sessions/{id}")).await.ok(200)["session"].clone()
    }

    /// The titles of this person's notifications of a type, oldest first.
    pub async fn notified(&self, kind: &str) -> Vec<String> {
        self.titles("/api/notifications?limit=100", kind).await
    }

    /// The same of those that are unread.
    pub async fn unread(&self, kind: &str) -> Vec<String> {
        self.titles("/api/notifications?limit=100&unread=true", kind).await
    }

    async fn titles(&self, path: &str, kind: &str) -> Vec<String> {
        let all = self.get(path).await.ok(200)["notifications"].clone();
        let ours = all.as_array().unwrap().iter().rev().filter(|notification| notification["type"] == kind);
        ours.map(|notification| text(&notification["title"])).collect()
    }

    pub async fn refund(&self, payment: &Value, body: Value) -> Answer {
        self.post(&format!("/api/payments/{}/refund", text(&payment["id"])), body).await
    }

    /// The states of payments this person was told of, in order.
    pub async fn told_of_payments(&self) -> Vec<String> {
        let told = self.api.told(Channel::Sessions(id(&self.id))).await;
        let payments = told.iter().filter(|event| event["type"] == "payment.updated");
        payments.map(|event| text(&event["payload"]["payment"]["status"])).collect()
    }
}
