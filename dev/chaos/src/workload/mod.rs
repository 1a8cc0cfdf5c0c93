//! People who use the product, each at their own pace, whatever happens to it.

mod listener;
mod person;
mod sessions;
mod talks;

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

pub(crate) use listener::{Ear, hear_everything};
use person::{Ask, Terms};
pub(crate) use person::{Person, Routes, World};

use crate::history::Deed;

/// How long it takes people to come, for each of them.
const ARRIVAL: Duration = Duration::from_millis(200);
const ARRIVAL_LIMIT: Duration = Duration::from_mins(5);
/// The rate of hosts who cost something, in major units a minute.
const RATE: i64 = 2;

/// Lets so many people live until they are told to stop.
pub(crate) fn begin(world: &Arc<World>, seed: u64, users: usize, each_rests: Duration) -> JoinSet<()> {
    let mut lives = JoinSet::new();
    for number in 0..users {
        let rng = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
        lives.spawn(live(Arc::clone(world), rng, number, users, each_rests));
    }
    lives
}

/// Some come while things break already.
fn is_late(number: usize) -> bool {
    number % 5 == 4
}

/// Waits until everybody has come who comes while all is well.
pub(crate) async fn settled(world: &World, users: usize) -> Result<()> {
    let wanted = (0..users).filter(|number| !is_late(*number)).count();
    let all_here = async {
        while world.people.read().unwrap_or_else(PoisonError::into_inner).len() < wanted {
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(ARRIVAL_LIMIT, all_here).await.context("people can't register, though nothing is broken")
}

#[expect(clippy::cast_precision_loss, reason = "thousands of people at most")]
async fn live(world: Arc<World>, mut rng: StdRng, number: usize, users: usize, each_rests: Duration) {
    if is_late(number) {
        tokio::select! {
            () = world.troubled.cancelled() => {}
            () = world.stop.cancelled() => return,
        }
    }
    // Not all at once: passwords cost a processor's time.
    tokio::select! {
        () = sleep(ARRIVAL.mul_f64(rng.random_range(0.0..1.0) * users as f64)) => {}
        () = world.stop.cancelled() => return,
    }
    let terms = match number % 4 {
        0 | 1 => Terms::Free,
        2 => Terms::Paid,
        _ => Terms::Charity,
    };
    let Some(person) = Person::arrive(&world, &mut rng, number, terms).await else { return };
    let person = Arc::new(person);
    person.settle_in(&mut rng).await;
    world.people.write().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&person));
    let ear = Ear::open(Arc::clone(&person), StdRng::from_rng(&mut rng));
    while !world.stop.is_cancelled() {
        person.do_something(&mut rng).await;
        tokio::select! {
            () = sleep(each_rests.mul_f64(rng.random_range(0.1..1.9))) => {}
            () = world.stop.cancelled() => {}
        }
    }
    ear.close().await;
}

impl Person {
    /// Says on what terms they talk, and when.
    async fn settle_in(&self, rng: &mut StdRng) {
        let kind = match self.terms {
            Terms::Free => "free",
            Terms::Paid => "paid",
            Terms::Charity => "charity",
        };
        let mut profile = json!({"conversationType": kind, "headline": "Knows about bees", "skills": ["bees", kind]});
        if self.terms != Terms::Free {
            profile["instantRatePerMinute"] = json!(RATE);
        }
        if self.terms == Terms::Charity {
            profile["charityName"] = json!("The bees");
        }
        self.act(rng, Deed::Profile, Ask::patch("/api/users/me", profile)).await;
        let weekly: Vec<_> =
            (0..7).map(|weekday| json!({"weekday": weekday, "start": "00:00", "end": "24:00"})).collect();
        let rules = json!({"timezone": "UTC", "weekly": weekly, "slotMinutes": 15, "horizonDays": 30});
        self.act(rng, Deed::Availability, Ask::put("/api/availability", rules)).await;
    }

    async fn do_something(&self, rng: &mut StdRng) {
        // Invites don't wait long.
        if rng.random_bool(0.5) {
            self.look_after_invites(rng).await;
        }
        match rng.random_range(0..100) {
            0..26 => self.say_something(rng).await,
            26..40 => self.connect(rng).await,
            40..45 => self.ask_to_talk(rng).await,
            45..51 => self.look_after_requests(rng).await,
            51..62 => self.book(rng).await,
            62..88 => self.look_after_sessions(rng).await,
            88..93 => self.give_back(rng).await,
            93..96 => self.ask_sam(rng).await,
            96..98 => {
                self.sign_in(rng).await;
            }
            _ => {
                let state = if rng.random_bool(0.3) { "idle" } else { "active" };
                self.act(rng, Deed::Presence, Ask::put("/api/users/me/presence", json!({"state": state}))).await;
            }
        }
    }
}
