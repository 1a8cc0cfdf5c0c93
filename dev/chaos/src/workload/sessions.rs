//! Booking, paying, meeting, and giving money back.

use chrono::TimeDelta;
use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Value, json};

use super::{
    RATE,
    person::{Ask, Person, Terms},
    talks::list,
};
use crate::history::{Deed, moment, uuid_of};

const LENGTHS: [i64; 3] = [15, 30, 45];
/// One that pays, one that is declined.
const CARDS: [&str; 4] = ["4242424242424242", "4242424242424242", "5555555555554444", "4000000000000002"];

impl Person {
    pub(super) async fn book(&self, rng: &mut StdRng) {
        let Some(host) = self.world.anybody(rng).filter(|host| host.id != self.id) else { return };
        let minutes = LENGTHS.choose(rng).copied().unwrap_or(15);
        let path = format!("/api/availability/{}?durationMinutes={minutes}", host.name);
        let Some(offered) = self.get(rng, &path).await else { return };
        let slots: Vec<_> = list(&offered, "slots").take(40).collect();
        let Some(slot) = slots.choose(rng) else { return };
        let Some(start) = moment(&slot["start"]) else { return };
        let price = if host.terms == Terms::Free { 0 } else { RATE * minutes };
        let body =
            json!({"hostUserId": host.name, "startTime": slot["start"], "durationMinutes": minutes, "price": price});
        let ask = Ask::post("/api/sessions", body);
        let Some(booked) = self.act(rng, Deed::Book { host: host.id, start }, ask).await else { return };
        if rng.random_bool(0.75) {
            self.pay(rng, &booked["session"]).await;
        }
    }

    /// Pays for a session, if it waits for that.
    pub(super) async fn pay(&self, rng: &mut StdRng, session: &Value) {
        let Some(id) = uuid_of(&session["id"]).filter(|_| session["payment_status"] == "requires_payment") else {
            return;
        };
        let ask = Ask::post("/api/payments/session", json!({"sessionId": session["id"], "action": "create"}));
        let Some(opened) = self.act(rng, Deed::Pay { session: id }, ask).await else { return };
        if let Some(secret) = opened["clientSecret"].as_str() {
            self.show_card(secret, CARDS.choose(rng).copied().unwrap_or(CARDS[0])).await;
        }
    }

    pub(super) async fn look_after_sessions(&self, rng: &mut StdRng) {
        for status in ["in_progress", "pending"] {
            let Some(mine) = self.get(rng, &format!("/api/sessions?status={status}&limit=5")).await else { return };
            for session in list(&mine, "sessions") {
                self.look_after(rng, session).await;
            }
        }
    }

    async fn look_after(&self, rng: &mut StdRng, session: &Value) {
        let is_host = uuid_of(&session["host_user_id"]) == Some(self.id);
        let is_live = session["status"] == "in_progress";
        match rng.random_range(0..100) {
            0..60 if is_live && is_host => self.step(rng, session, "complete").await,
            _ if is_live => {}
            0..40 if !is_host => self.pay(rng, session).await,
            0..45 if is_host => self.step(rng, session, "in_progress").await,
            45..55 => self.step(rng, session, "cancelled").await,
            55..62 if session["type"] == "scheduled" => self.move_on(rng, session).await,
            _ => {}
        }
    }

    pub(super) async fn step(&self, rng: &mut StdRng, session: &Value, status: &'static str) {
        let (Some(id), Some(session)) = (session["id"].as_str(), uuid_of(&session["id"])) else { return };
        let ask = Ask::patch(format!("/api/sessions/{id}"), json!({"status": status}));
        self.act(rng, Deed::Step { session, status }, ask).await;
    }

    async fn move_on(&self, rng: &mut StdRng, session: &Value) {
        let (Some(path), Some(start)) = (session["id"].as_str(), moment(&session["start_time"])) else { return };
        let Some(id) = uuid_of(&session["id"]) else { return };
        let start = start + TimeDelta::minutes(15 * rng.random_range(1..20));
        let ask = Ask::patch(format!("/api/sessions/{path}"), json!({"startTime": start.to_rfc3339()}));
        self.act(rng, Deed::Move { session: id, start }, ask).await;
    }

    /// Gives some of what somebody paid back to them.
    pub(super) async fn give_back(&self, rng: &mut StdRng) {
        let Some(over) = self.get(rng, "/api/sessions?role=host&status=complete&limit=5").await else { return };
        let paid: Vec<_> = list(&over, "sessions").filter(|session| session["payment_status"] == "captured").collect();
        let Some(session) = paid.choose(rng) else { return };
        let Some(payment) = self.payment_of(rng, session).await else { return };
        let (Some(id), Some(path)) = (uuid_of(&payment["id"]), payment["id"].as_str()) else { return };
        let left = payment["amount_captured"].as_i64().unwrap_or(0) - payment["amount_refunded"].as_i64().unwrap_or(0);
        if left < 1 {
            return;
        }
        let amount = if rng.random_bool(0.4) { left } else { rng.random_range(1..=left) };
        let ask = Ask::post(format!("/api/payments/{path}/refund"), json!({"amount": amount}));
        self.act(rng, Deed::Refund { payment: id, amount }, ask).await;
    }

    /// The payment of a session of the host's. The capture that was done already finds it.
    async fn payment_of(&self, rng: &mut StdRng, session: &Value) -> Option<Value> {
        let id = uuid_of(&session["id"])?;
        let ask = Ask::post("/api/payments/session", json!({"sessionId": session["id"], "action": "capture"}));
        Some(self.act(rng, Deed::Pay { session: id }, ask).await?["payment"].clone())
    }

    /// Ends what goes on, so that everything that was paid can be settled.
    pub(crate) async fn round_off(&self, rng: &mut StdRng) {
        let Some(live) = self.get(rng, "/api/sessions?role=host&status=in_progress&limit=100").await else { return };
        for session in list(&live, "sessions") {
            self.step(rng, session, "complete").await;
        }
    }
}
