//! Random deeds while everything goes wrong that can: in the end all books say the same.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use humanchat_domain::{
    auth::Role,
    clock::Clock,
    payments::{open_differences, reconcile},
    testing::{TestDatabase, booked, done_calls, env, heard, open_calls},
};
use humanchat_worker::testing::{Outcome, drain};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Till, settings_of, simulator};
use crate::{
    attendance::settled,
    scene::{at_once, id, text},
    story::stage::in_time,
    support::{Answer, PATIENCE, Person, api_on},
};

const GOOD: &str = "4242424242424242";
const DECLINED: &str = "4000000000000002";
const ASKS: &str = "4000002760003184";
/// What may be answered to a deed whose time may not be right, or whose answer was lost on its way here.
const EXPECTED: [u16; 8] = [200, 201, 202, 403, 409, 422, 502, 504];

/// A guest and a host, and what is between them.
struct Pair<'a> {
    guest: Person<'a>,
    host: Person<'a>,
    /// The latest session.
    session: Option<String>,
    /// What the guest can authorise a card for.
    opened: Option<Value>,
    /// Donations that can be paid.
    gifts: Vec<Value>,
    /// Every payment there was.
    payments: Vec<Value>,
}

struct Walk<'a> {
    till: &'a Till,
    random: StdRng,
    pairs: Vec<Pair<'a>>,
    /// Until when our clock has followed the provider's, which goes by itself.
    at: Instant,
    /// How often each deed was done, by its answer.
    deeds: BTreeMap<String, usize>,
}

/// An api and a provider; hosts have ten minutes to begin, as a thousand deeds take their time.
async fn place() -> Till {
    let simulator = simulator().await;
    let settings = settings_of(&simulator).map(|(name, value)| {
        let value = if name == "INVITE_TTL_ONLINE_SECS" { "600" } else { value };
        (name, value.to_owned())
    });
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let clock = Clock::manual(Clock::System.now());
    let api = api_on(&TestDatabase::create().await, clock, &settings).await;
    Till::of(api, simulator).await
}

/// `name` of the environment, or this.
fn setting(name: &str, default: u64) -> u64 {
    env(name).map_or(default, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_deeds_with_faults_add_up() {
    let (seed, count) = (setting("PAYMENTS_SEED", rand::random()), setting("PAYMENTS_DEEDS", 300));
    println!("PAYMENTS_SEED={seed} PAYMENTS_DEEDS={count}");
    let till = place().await;
    let names: Vec<_> = (0..5).flat_map(|pair| [format!("guest{pair}"), format!("host{pair}")]).collect();
    let names: Vec<_> = names.iter().map(String::as_str).chain(["staff"]).collect();
    let mut people: Vec<_> = till.api.arrive(&names).await.into_iter().map(Person::staying).collect();
    let staff = people.pop().unwrap();
    staff.becomes(Role::Admin).await;
    let mut sockets = Vec::new();
    for person in &people {
        sockets.push(person.socket("/ws").await);
    }
    settled(&till.api, 10).await;
    let mut pairs = Vec::new();
    while let (Some(host), Some(guest)) = (people.pop(), people.pop()) {
        let kind = if pairs.len() % 2 == 0 { "paid" } else { "charity" };
        let rate = json!({"conversationType": kind, "charityName": "Bees", "instantRatePerMinute": 1});
        host.patch("/api/users/me", rate).await.ok(200);
        pairs.push(Pair { guest, host, session: None, opened: None, gifts: Vec::new(), payments: Vec::new() });
    }
    let (random, deeds) = (StdRng::seed_from_u64(seed), BTreeMap::new());
    let mut walk = Walk { till: &till, random, pairs, at: Instant::now(), deeds };
    walk.break_things().await;
    for _ in 0..count {
        walk.deed().await;
    }
    walk.come_to_rest().await;
    println!("{:#?}", walk.deeds);
    walk.compare(&staff, count).await;
}

impl Walk<'_> {
    /// From now on a quarter of what the provider is asked goes wrong.
    async fn break_things(&mut self) {
        for effect in ["error_before", "error_after", "rate_limit", "reset_before", "reset_after", "truncate", "delay"]
        {
            let seed: u32 = self.random.random();
            let rule = json!({"effect": effect, "probability": 0.04, "seed": seed, "delay_ms": 40});
            self.till.fault(rule).await;
        }
    }

    fn keep_time(&mut self) {
        self.till.api.advance(self.at.elapsed());
        self.at = Instant::now();
    }

    async fn deed(&mut self) {
        self.keep_time();
        let pair = self.random.random_range(0..self.pairs.len());
        let dice = self.random.random_range(0..100);
        match dice {
            0..48 => self.pursue(pair).await,
            48..60 => self.give(pair).await,
            60..72 => self.refund(pair).await,
            72..78 => self.call_off(pair).await,
            78..82 => self.rush(pair).await,
            82..92 => self.work().await,
            92..95 => self.till.advance(Duration::from_secs(self.random.random_range(1..15))).await,
            95..97 => drop(reconcile(&self.till.api.store).await),
            _ => self.worsen_webhooks().await,
        }
    }

    fn note(&mut self, deed: &str, answer: &Answer) {
        assert!(EXPECTED.contains(&answer.status.as_u16()), "{deed}: {answer:?}");
        *self.deeds.entry(format!("{deed} {}", answer.status.as_u16())).or_default() += 1;
    }

    fn count(&mut self, deed: &str) {
        *self.deeds.entry(deed.to_owned()).or_default() += 1;
    }

    /// Does what comes next between two people.
    async fn pursue(&mut self, number: usize) {
        let pair = &self.pairs[number];
        let Some(session) = pair.session.clone() else {
            let answer = pair.guest.connect(&pair.host).await;
            if answer.status.is_success() {
                self.pairs[number].session = Some(text(&answer.json()["session"]["id"]));
            }
            return self.note("connect", &answer);
        };
        let path = format!("/api/sessions/{session}");
        let now = pair.guest.get(&path).await.ok(200)["session"].clone();
        match (text(&now["status"]).as_str(), text(&now["payment_status"]).as_str()) {
            ("pending", "authorized") => {
                let answer = pair.host.patch(&path, json!({"status": "in_progress"})).await;
                self.note("begin", &answer);
            }
            ("pending", _) if pair.opened.is_none() => {
                let body = json!({"sessionId": session, "action": "create"});
                let answer = pair.guest.post_once("/api/payments/session", &session, body).await;
                if answer.status == 201 {
                    self.pairs[number].payments.push(answer.json()["payment"].clone());
                    self.pairs[number].opened = Some(answer.json());
                } else if answer.status == 502 {
                    // That payment came to nothing; under another key there is another.
                    self.pairs[number].session = None;
                }
                self.note("create", &answer);
            }
            ("pending", _) => {
                let opened = pair.opened.clone().unwrap();
                if opened["clientSecret"].is_string() {
                    self.pay(&self.till.card_page(&opened)).await;
                }
            }
            ("in_progress", _) => {
                let answer = pair.host.patch(&path, json!({"status": "complete"})).await;
                self.note("complete", &answer);
            }
            _ => (self.pairs[number].session, self.pairs[number].opened) = (None, None),
        }
    }

    /// Pays on a page, with a good card or another.
    async fn pay(&mut self, url: &str) {
        let (card, then) = match self.random.random_range(0..10) {
            0..6 => (GOOD, None),
            6..8 => (DECLINED, None),
            8 => (ASKS, Some("authenticate")),
            _ => (ASKS, Some("refuse")),
        };
        self.till.on_page(url, &[("action", "pay"), ("card", card)]).await;
        if let Some(action) = then {
            self.till.on_page(url, &[("action", action)]).await;
        }
        self.count(&format!("card {card} {}", then.unwrap_or_default()));
    }

    /// Makes a donation, or pays one.
    async fn give(&mut self, number: usize) {
        if let Some(gift) = self.pairs[number].gifts.pop() {
            return self.pay(&text(&gift["checkoutUrl"])).await;
        }
        let mut body = json!({"amount": self.random.random_range(50..5000)});
        let pair = &self.pairs[number];
        if self.random.random_bool(0.8) {
            body["recipientUserId"] = json!(pair.host.id);
        }
        let key = format!("gift{}", self.random.random::<u64>());
        let mut answer = pair.guest.post_once("/api/payments/donation", &key, body.clone()).await;
        if answer.status == 504 {
            answer = pair.guest.post_once("/api/payments/donation", &key, body).await;
        }
        if answer.status == 201 {
            let opened = answer.json();
            self.pairs[number].payments.push(opened["payment"].clone());
            if opened["checkoutUrl"].is_string() {
                self.pairs[number].gifts.push(opened);
            }
        }
        self.note("give", &answer);
    }

    /// Gives some or all of a payment back.
    async fn refund(&mut self, number: usize) {
        let payments = self.pairs[number].payments.len();
        if payments == 0 {
            return;
        }
        let mut chosen = self.random.random_range(0..payments);
        let pair = &self.pairs[number];
        if self.random.random() {
            // One that can be given back, if there is one.
            for next in 0..payments {
                let at = (chosen + next) % payments;
                if pair.guest.payment(&pair.payments[at]).await["status"] == "captured" {
                    chosen = at;
                    break;
                }
            }
        }
        let is_part = self.random.random_bool(0.3);
        let body = if is_part { json!({"amount": self.random.random_range(1..200)}) } else { json!({}) };
        let payment = &pair.payments[chosen];
        let answer = pair.host.refund(payment, body).await;
        if answer.status == 404 {
            // The platform's: it is not the host's to give back.
            return self.count("refund of another's");
        }
        self.note("refund", &answer);
    }

    /// Calls the session or its payment off, or captures.
    async fn call_off(&mut self, number: usize) {
        let pair = &self.pairs[number];
        let Some(session) = &pair.session else { return };
        let (what, answer) = match self.random.random_range(0..4) {
            0 => ("waive", pair.host.pay_session(session, "cancel").await),
            1 => {
                ("cancel", pair.guest.patch(&format!("/api/sessions/{session}"), json!({"status": "cancelled"})).await)
            }
            _ => ("capture", pair.host.pay_session(session, "capture").await),
        };
        if what == "waive" {
            self.pairs[number].opened = None;
        }
        self.note(what, &answer);
    }

    /// Everything at the same moment.
    async fn rush(&mut self, number: usize) {
        let pair = &self.pairs[number];
        let (Some(session), Some(payment)) = (&pair.session, pair.payments.last()) else { return };
        let work = async || {
            drain(&self.till.api.store).await;
            None
        };
        let answers = at_once([
            async { Some(pair.host.pay_session(session, "capture").await) }.boxed(),
            work().boxed(),
            async { Some(pair.host.pay_session(session, "cancel").await) }.boxed(),
            work().boxed(),
            async { Some(pair.host.refund(payment, json!({"amount": 7})).await) }.boxed(),
        ])
        .await;
        for answer in answers.into_iter().flatten().filter(|answer| answer.status != 404) {
            self.note("rush", &answer);
        }
    }

    async fn work(&mut self) {
        for (name, outcome) in drain(&self.till.api.store).await {
            assert!(!matches!(outcome, Outcome::Parked(_) | Outcome::Cancelled(_)), "{name}: {outcome:?}");
            let is_done = outcome == Outcome::Done;
            self.count(&format!("job {name} {}", if is_done { "done" } else { "again" }));
        }
    }

    async fn worsen_webhooks(&mut self) {
        let knobs = json!({
            "paused": self.random.random_bool(0.2), "duplicate": self.random.random_range(0..3),
            "shuffle_ms": self.random.random_range(0..200), "drop": self.random.random_range(0..3), "seed": 1,
        });
        self.till.steer(Method::PUT, "/_sim/webhooks", knobs).await;
    }

    /// Nothing goes wrong any more, sessions end, and everything is seen to.
    async fn come_to_rest(&mut self) {
        self.till.steer(Method::DELETE, "/_sim/faults", json!({})).await;
        self.till.steer(Method::PUT, "/_sim/webhooks", json!({})).await;
        for pair in &self.pairs {
            if let Some(session) = &pair.session {
                pair.host.patch(&format!("/api/sessions/{session}"), json!({"status": "complete"})).await;
            }
        }
        // A checkout that nobody pays at ends after a day.
        for pause in [Duration::from_mins(11); 12].into_iter().chain([Duration::from_hours(24); 2]) {
            self.keep_time();
            self.hear().await;
            self.work().await;
            self.till.advance(pause).await;
            reconcile(&self.till.api.store).await.unwrap();
            self.work().await;
        }
        assert_eq!(open_calls(&self.till.api.store).await, 0, "a call is stuck");
    }

    /// Waits until what the provider tells has come: a lot may have been held back.
    async fn hear(&self) {
        in_time(PATIENCE * 4, "webhooks", async {
            while self.till.state().await["webhooks"]["waiting"] != 0 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
        .await;
    }

    /// Our rows, the ledger, the totals and the provider's own say the same.
    async fn compare(&self, staff: &Person<'_>, count: u64) {
        let store = &self.till.api.store;
        let state = self.till.state().await;
        let mut theirs: BTreeMap<String, [i64; 4]> = BTreeMap::new();
        for intent in state["intents"].as_array().unwrap() {
            let sums = theirs.entry(text(&intent["metadata"]["payment_id"])).or_default();
            for (sum, name) in sums.iter_mut().zip(["held", "captured", "refunded", "captures"]) {
                *sum += intent[name].as_i64().unwrap();
            }
        }
        let payments = staff.walk("/api/admin/payments?limit=100", "payments", async |_| {}).await;
        let (mut taken, mut given, mut kinds) = (0, 0, BTreeMap::new());
        for payment in &payments {
            let amount = |name: &str| payment[name].as_i64().unwrap();
            let (captured, refunded) = (amount("amount_captured"), amount("amount_refunded"));
            let [held, taken_there, given_there, times] = theirs.remove(&text(&payment["id"])).unwrap_or_default();
            assert_eq!([0, captured, refunded], [held, taken_there, given_there], "{payment}");
            assert!(times <= 1, "{payment}");
            let payment_id = id(&text(&payment["id"]));
            assert_eq!(
                refunded,
                done_calls(store, payment_id, "refund").await,
                "once for each that was asked for: {payment}"
            );
            if payment["kind"] == "session" {
                assert_eq!(captured, done_calls(store, payment_id, "capture").await, "{payment}");
            }
            let ledger = booked(store, payment_id).await;
            let provider: i64 = ledger.iter().filter(|(name, _)| name == "provider").map(|(_, amount)| amount).sum();
            assert_eq!(provider, captured - refunded, "{payment}");
            assert_eq!(ledger.iter().map(|(_, amount)| amount).sum::<i64>(), 0, "{payment}");
            let status = match (captured, refunded) {
                (0, _) => vec!["voided", "failed"],
                (captured, refunded) if captured == refunded => vec!["refunded"],
                _ => vec!["captured"],
            };
            assert!(status.contains(&text(&payment["status"]).as_str()), "{payment}");
            taken += captured - refunded;
            given += if payment["kind"] == "donation" { captured - refunded } else { 0 };
            *kinds.entry((text(&payment["kind"]), text(&payment["status"]))).or_insert(0) += 1;
        }
        println!("{kinds:?}, {taken} taken, {given} given");
        assert_eq!(theirs, BTreeMap::new(), "the provider has what we don't know of");
        let revenue = staff.get("/api/admin/metrics").await.ok(200)["revenue"]["last30Days"].clone();
        assert_eq!(format!("{:.0}", revenue.as_f64().unwrap() * 100.0), taken.to_string());
        let donated = staff.get("/api/payments/donation/total").await.ok(200)["totals"][0]["amount"].clone();
        assert_eq!(donated.as_i64().unwrap_or_default(), given);
        assert!(open_differences(store).await.unwrap().is_empty(), "{:?}", open_differences(store).await);
        assert!(heard(store).await.iter().all(|(_, state)| state == "done"));
        if count >= 1000 {
            for status in ["captured", "refunded"] {
                for kind in ["session", "donation"] {
                    assert!(
                        kinds.get(&(kind.to_owned(), status.to_owned())).is_some_and(|many| *many >= 3),
                        "{kinds:?}"
                    );
                }
            }
        }
    }
}
