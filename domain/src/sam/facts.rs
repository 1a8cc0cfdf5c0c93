//! What the server looked up for one answer: the only people, times and prices it may hold.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use garde::Unvalidated;

use super::{
    actions::{Deed, PricedSlot, Profile, Shown},
    claims::Claims,
    reply::Draft,
};
use crate::{
    id::UserId,
    money::Price,
    text::{self, Timestamp},
    users::{ConversationType, DisplayMode, ProfileChange, User},
};

/// What of their own profile somebody may be offered to change: nothing that has a price.
const PROFILE: [&str; 6] = ["name", "headline", "bio", "skills", "languages", "timezone"];

/// What may be shown and proposed, and to whom.
#[derive(Debug)]
pub(super) struct Facts {
    asker: UserId,
    /// The asker's zone, and UTC.
    zones: Vec<Tz>,
    people: BTreeMap<UserId, User>,
    slots: Vec<Slot>,
    pub claims: Claims,
}

#[derive(Debug)]
struct Slot {
    host: UserId,
    shown: PricedSlot,
}

/// A draft that holds.
#[derive(Debug)]
pub(super) enum Settled {
    Shown(Shown),
    Deed(Deed),
}

impl Facts {
    pub(super) fn new(asker: UserId, zone: Tz) -> Self {
        Self {
            asker,
            zones: vec![Tz::UTC, zone],
            people: BTreeMap::new(),
            slots: Vec::new(),
            claims: Claims::default(),
        }
    }

    /// The asker's zone.
    pub(super) fn zone(&self) -> Tz {
        self.zones[1]
    }

    pub(super) fn add_person(&mut self, user: User) {
        let rates = user.scheduled_rates.iter().flat_map(BTreeMap::values);
        for price in rates.chain(&user.instant_rate_per_minute) {
            self.claims.allow_price(*price);
        }
        self.people.insert(user.id, user);
    }

    pub(super) fn add_slot(&mut self, host: UserId, zone: Option<Tz>, shown: PricedSlot) {
        self.add_moment(shown.start.0, zone);
        self.add_moment(shown.end.0, zone);
        if let Some(price) = shown.price {
            self.claims.allow_price(price);
        }
        // A time that is looked up again has the price that it has now.
        let is_same = |slot: &Slot| slot.host == host && (slot.shown.start, slot.shown.end) == (shown.start, shown.end);
        self.slots.retain(|slot| !is_same(slot));
        self.slots.push(Slot { host, shown });
    }

    pub(super) fn add_moment(&mut self, moment: DateTime<Utc>, zone: Option<Tz>) {
        let zones: Vec<_> = self.zones.iter().copied().chain(zone).collect();
        self.claims.allow_moment(moment, &zones);
    }

    /// All who were looked up.
    pub(super) fn everybody(&self) -> Vec<UserId> {
        self.people.keys().copied().collect()
    }

    pub(super) fn person(&self, id: UserId) -> Option<&User> {
        self.people.get(&id)
    }

    /// What becomes of a draft; `None` where it holds anything that was not looked up.
    pub(super) fn settle(&self, draft: Draft) -> Option<Settled> {
        Some(match draft {
            Draft::ShowProfiles { user_ids } => {
                let profiles: Option<Vec<_>> = user_ids.iter().map(|id| self.person(*id).map(Profile::from)).collect();
                let profiles = profiles.filter(|profiles| (1..=8).contains(&profiles.len()))?;
                Settled::Shown(Shown::ShowProfiles { profiles })
            }
            Draft::ShowSlots { host_user_id } => {
                let mut slots: Vec<_> = self.slots_of(host_user_id).cloned().collect();
                if slots.is_empty() {
                    return None;
                }
                slots.sort_by_key(|slot| (slot.start, slot.end));
                Settled::Shown(Shown::ShowSlots { host_user_id, slots })
            }
            Draft::FollowUpPrompt { prompt } => {
                Settled::Shown(Shown::FollowUpPrompt { prompt: self.words(prompt, 200)? })
            }
            Draft::OfferCall { target_user_id, purpose } => {
                let target = self.person(target_user_id).filter(|target| takes_calls(target))?;
                Settled::Deed(Deed::OfferCall { target_user_id: target.id, purpose: self.words(purpose, 200)? })
            }
            Draft::CreateSession { host_user_id, start_time, duration_minutes, price } => {
                self.booking(host_user_id, start_time, duration_minutes, price)?
            }
            Draft::SendRequest { target_user_id, message } => {
                self.person(target_user_id)?;
                Settled::Deed(Deed::SendRequest { target_user_id, message: self.words(message, 2000)? })
            }
            Draft::UpdateProfile { fields } => {
                let change: ProfileChange = serde_json::from_value(fields.clone().into()).ok()?;
                let is_known = fields.keys().all(|field| PROFILE.contains(&field.as_str()));
                if fields.is_empty() || !is_known || Unvalidated::new(change).validate().is_err() {
                    return None;
                }
                Settled::Deed(Deed::UpdateProfile { fields })
            }
        })
    }

    fn slots_of(&self, host: UserId) -> impl Iterator<Item = &PricedSlot> {
        self.slots.iter().filter(move |slot| slot.host == host).map(|slot| &slot.shown)
    }

    fn booking(&self, host: UserId, start: Timestamp, minutes: i32, price: Option<Price>) -> Option<Settled> {
        let length = TimeDelta::minutes(minutes.into());
        let slot = self.slots_of(host).find(|slot| slot.start == start && slot.end.0 - slot.start.0 == length)?;
        let ours = slot.price?;
        if price.is_some_and(|theirs| theirs != ours) {
            return None;
        }
        Some(Settled::Deed(Deed::CreateSession {
            host_user_id: host,
            start_time: start,
            duration_minutes: minutes,
            price: ours,
            currency: slot.currency.clone(),
        }))
    }

    /// Words that people will read, if they keep to what is known.
    fn words(&self, text: String, most: usize) -> Option<String> {
        let fits = (1..=most).contains(&text.chars().count()) && text::check_text(&text).is_ok();
        (fits && self.claims.hold_in(&text)).then_some(text)
    }

    /// Whether somebody is the asker, whom nobody needs to find.
    pub(super) fn is_asker(&self, id: UserId) -> bool {
        id == self.asker
    }
}

/// Whether somebody can be called, and for how much is known.
fn takes_calls(target: &User) -> bool {
    let is_priced = target.conversation_type == ConversationType::Free || target.instant_rate_per_minute.is_some();
    !target.managed && target.display_mode == DisplayMode::Normal && is_priced
}
