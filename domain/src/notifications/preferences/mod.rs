//! Who wants what by mail, and when.

mod hours;
pub(super) mod queries;

use std::collections::BTreeMap;

use chrono_tz::Tz;
use garde::{Valid, Validate};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use hours::QuietHours;

use super::NotificationKind;
use crate::{
    Store,
    error::{Refusal, Result},
    id::UserId,
    text::text_enum,
    tx::Tx,
};

text_enum! {
    /// How often what is unread is gathered into one mail.
    Digest {
        /// Never.
        Off,
        /// At every full hour that brought something.
        Hourly,
        /// At `digestHour`, where the day brought something.
        Daily,
    }
}

/// What somebody wants by mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Preferences {
    /// Whether a notification of a type is mailed on its own; answers name every type, and types left out of a request are as
    /// by default.
    #[garde(skip)]
    #[serde(default)]
    #[schema(value_type = std::collections::HashMap<String, bool>, example = json!({"message": false}))]
    pub mail: BTreeMap<NotificationKind, bool>,
    /// How often what is unread is mailed in one.
    #[garde(skip)]
    #[serde(default = "Digest::off")]
    pub digest: Digest,
    /// The hour of a daily digest, 0–23, in the zone of the profile.
    #[garde(range(max = 23))]
    #[serde(default = "Preferences::morning")]
    #[schema(minimum = 0, maximum = 23, default = 8)]
    pub digest_hour: u8,
    /// When mail waits, in the zone of the profile; null: never.
    #[garde(dive)]
    #[serde(default)]
    pub quiet_hours: Option<QuietHours>,
}

impl Digest {
    fn off() -> Self {
        Self::Off
    }
}

impl Default for Preferences {
    fn default() -> Self {
        Self { mail: BTreeMap::new(), digest: Digest::Off, digest_hour: Self::morning(), quiet_hours: None }
    }
}

impl Preferences {
    fn morning() -> u8 {
        8
    }

    /// Whether notifications of this kind are mailed on their own.
    pub(super) fn wants(&self, kind: NotificationKind) -> bool {
        self.mail.get(&kind).copied().unwrap_or(kind.is_mailed_by_default())
    }

    /// With every kind named.
    fn complete(self) -> Self {
        Self { mail: NotificationKind::ALL.into_iter().map(|kind| (kind, self.wants(kind))).collect(), ..self }
    }
}

/// What the caller wants by mail.
///
/// # Errors
/// The database's.
pub async fn preferences(store: &Store, caller: UserId) -> Result<Preferences> {
    let mut connection = store.pool.acquire().await?;
    let found = queries::find(&mut connection, caller).await?;
    connection.give_back();
    Ok(found.ok_or(Refusal::NotFound("user"))?.preferences.complete())
}

/// Replaces what the caller wants by mail.
///
/// # Errors
/// The database's.
pub async fn set_preferences(tx: &mut Tx, caller: UserId, preferences: Valid<Preferences>) -> Result<Preferences> {
    let (preferences, now) = (preferences.into_inner(), tx.now());
    let zone = queries::lock_zone(tx.conn(), caller).await?.ok_or(Refusal::NotFound("user"))?;
    let due = preferences.next_digest(now, zone_named(&zone));
    queries::save(tx.conn(), caller, &preferences, due, now).await?;
    Ok(preferences.complete())
}

/// Reckons anew when somebody's next digest is due: their zone is another now.
///
/// # Errors
/// The database's.
pub(crate) async fn zone_changed(tx: &mut Tx, user_id: UserId) -> Result<()> {
    let now = tx.now();
    let Some(found) = queries::find(tx.conn(), user_id).await? else { return Ok(()) };
    if let Some(due) = found.preferences.next_digest(now, zone_named(&found.timezone)) {
        queries::move_digest(tx.conn(), user_id, due).await?;
    }
    Ok(())
}

/// UTC should the tz database ever lose a name that was checked.
pub(super) fn zone_named(name: &str) -> Tz {
    name.parse().unwrap_or(Tz::UTC)
}
