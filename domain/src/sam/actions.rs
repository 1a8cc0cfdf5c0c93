//! What comes with an answer: things to look at, and deeds that wait for a yes.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    availability::Span,
    id::{ActionId, UserId},
    money::Price,
    text::{Timestamp, text_enum},
    users::User,
};

text_enum! {
    /// Whether somebody can be talked with now.
    ProfileStatus {
        /// They are here.
        Online,
        /// They are in a session.
        Busy,
        /// They are not here.
        Offline,
    }
}

/// Somebody Sam found, as everybody may see them.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Profile {
    /// Who.
    pub user_id: UserId,
    /// Shown name.
    pub name: String,
    /// One line about them.
    pub headline: String,
    /// What they know.
    pub expertise: Vec<String>,
    /// Price of a minute; null where there is none, or it is confidential.
    #[schema(required)]
    pub rate_per_minute: Option<Price>,
    /// ISO 4217, lower case.
    pub currency: String,
    /// Whether they can be talked with now.
    pub status: ProfileStatus,
}

impl From<&User> for Profile {
    fn from(user: &User) -> Self {
        let status = match (user.has_active_session, user.is_online) {
            (true, _) => ProfileStatus::Busy,
            (false, true) => ProfileStatus::Online,
            (false, false) => ProfileStatus::Offline,
        };
        Self {
            user_id: user.id,
            name: user.name.clone(),
            headline: user.headline.clone(),
            expertise: user.skills.clone(),
            rate_per_minute: user.instant_rate_per_minute,
            currency: user.currency.clone(),
            status,
        }
    }
}

/// A time that can be booked, and for how much.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PricedSlot {
    /// When it begins.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// The server's price; null where it is confidential, or there is none for that long.
    #[schema(required)]
    pub price: Option<Price>,
    /// ISO 4217, lower case.
    pub currency: String,
}

/// Something to look at.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Shown {
    /// People who were found.
    ShowProfiles {
        /// Best first.
        profiles: Vec<Profile>,
    },
    /// When somebody can be booked.
    #[serde(rename_all = "camelCase")]
    ShowSlots {
        /// Whom.
        host_user_id: UserId,
        /// In order.
        slots: Vec<PricedSlot>,
    },
    /// What could be asked next.
    FollowUpPrompt {
        /// In the user's words.
        prompt: String,
    },
    /// Something the service says itself.
    SystemNotice {
        /// What.
        notice: String,
    },
}

/// Something that changes the world, with its exact arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Deed {
    /// Connect at once.
    #[serde(rename_all = "camelCase")]
    OfferCall {
        /// With whom.
        target_user_id: UserId,
        /// What for.
        purpose: String,
    },
    /// Book a time.
    #[serde(rename_all = "camelCase")]
    CreateSession {
        /// Whose.
        host_user_id: UserId,
        /// When it begins.
        start_time: Timestamp,
        /// For how long.
        duration_minutes: i32,
        /// For how much.
        price: Price,
        /// ISO 4217, lower case.
        currency: String,
    },
    /// Ask somebody to talk.
    #[serde(rename_all = "camelCase")]
    SendRequest {
        /// Whom.
        target_user_id: UserId,
        /// In which words.
        message: String,
    },
    /// Change one's own profile.
    UpdateProfile {
        /// As PATCH `/api/users/me` takes them.
        #[schema(value_type = Object)]
        fields: Map<String, Value>,
    },
}

impl Deed {
    /// Whom it is done with; `None` where that is nobody but its user.
    pub(super) fn person(&self) -> Option<UserId> {
        match self {
            Self::OfferCall { target_user_id: id, .. }
            | Self::SendRequest { target_user_id: id, .. }
            | Self::CreateSession { host_user_id: id, .. } => Some(*id),
            Self::UpdateProfile { .. } => None,
        }
    }

    /// The time that it would take, and whose.
    pub(super) fn slot(&self) -> Option<(UserId, Span)> {
        match self {
            Self::CreateSession { host_user_id, start_time, duration_minutes, .. } => {
                let end = start_time.0 + TimeDelta::minutes((*duration_minutes).into());
                Some((*host_user_id, Span { start: start_time.0, end }))
            }
            Self::OfferCall { .. } | Self::SendRequest { .. } | Self::UpdateProfile { .. } => None,
        }
    }
}

/// A deed that waits for its user's word.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Proposal {
    /// What would be done.
    #[serde(flatten)]
    pub deed: Deed,
    /// What it is confirmed or declined by.
    pub action_id: ActionId,
    /// Until when it can be.
    pub expires_at: Timestamp,
}

/// What an answer holds besides its text.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Action {
    /// Something to look at.
    Shown(Shown),
    /// Something to decide.
    Proposed(Proposal),
}

#[cfg(test)]
mod tests {
    use utoipa::PartialSchema;

    use super::*;

    #[test]
    fn schemas_name_fields_as_they_are_sent() {
        let schemas = serde_json::json!([Deed::schema(), Shown::schema()]).to_string();
        for name in ["targetUserId", "hostUserId", "startTime", "durationMinutes"] {
            assert!(schemas.contains(&format!("\"{name}\"")), "{name}");
        }
        assert!(!schemas.contains("_user_id\"") && !schemas.contains("_time\""), "{schemas}");
    }
}
