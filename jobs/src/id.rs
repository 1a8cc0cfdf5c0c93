//! Typed ids: a UUIDv7 in the database, TypeID text (`user_01h…`) everywhere else.
//!
//! Text form: <https://github.com/jetify-com/typeid>. An id that doesn't parse is treated as one
//! that doesn't exist, which is the caller's business: here it is an error.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use type_safe_id::{StaticType, TypeSafeId};
use uuid::Uuid;

/// Text that is not an id of the wanted type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidId;

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an id of this type")
    }
}

impl std::error::Error for InvalidId {}

macro_rules! id_types {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, sqlx::Type)]
        #[sqlx(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// What the text form begins with, before the `_`.
            pub const PREFIX: &'static str = $prefix;

            /// A new id, ordered by time of creation.
            #[expect(clippy::new_without_default, reason = "a default id would not be a default")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        const _: () = {
            #[derive(Default)]
            struct Prefix;

            impl StaticType for Prefix {
                const TYPE: &'static str = $prefix;
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    fmt::Display::fmt(&TypeSafeId::<Prefix>::from_uuid(self.0), f)
                }
            }

            impl FromStr for $name {
                type Err = InvalidId;
                fn from_str(text: &str) -> Result<Self, InvalidId> {
                    text.parse().map(|id: TypeSafeId<Prefix>| Self(id.uuid())).map_err(|_| InvalidId)
                }
            }
        };

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .description(Some(concat!("Opaque id, `", $prefix, "_` and 26 characters")))
                    .examples([concat!($prefix, "_01jd8t6ze5fkxrv8q3w2m9n7ab")])
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    )*};
}

id_types! {
    /// A person with an account.
    UserId = "user";
    /// A login: the family of one sign-in's tokens, `sid` in the access token.
    LoginId = "login";
    /// A mailed sign-in link.
    MagicLinkId = "link";
    /// A conversation.
    ConversationId = "conv";
    /// An instant invite.
    InviteId = "inv";
    /// A request to talk.
    RequestId = "req";
    /// A session: a live talk, instant or scheduled.
    SessionId = "sess";
    /// A question to Sam, and its answer.
    RunId = "run";
    /// Something Sam proposed to do.
    ActionId = "act";
    /// A payment: for a session, or a donation.
    PaymentId = "pay";
    /// A call to the payment provider.
    PaymentCallId = "call";
    /// A difference between our books and the provider's.
    DifferenceId = "diff";
    /// Something that was said to somebody.
    NotificationId = "ntf";
    /// Something that staff say to many.
    AnnouncementId = "ann";
    /// A job in the queue.
    JobId = "job";
    /// A mail that was composed.
    MailId = "mail";
    /// An entry of the audit log.
    AuditEntryId = "aud";
    /// Somebody who was asked for and isn't a member.
    RequestedPersonId = "rp";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_is_prefixed_and_reversible() {
        let id = UserId::new();
        let text = id.to_string();
        assert!(text.starts_with("user_"), "{text}");
        assert_eq!(text.len(), "user_".len() + 26);
        assert_eq!(text.parse::<UserId>(), Ok(id));
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
    }

    #[test]
    fn other_prefixes_and_noise_are_refused() {
        let conversation = ConversationId::new().to_string();
        for text in ["", "user", "user_", "user_zzz", "user_8zzzzzzzzzzzzzzzzzzzzzzzzz", &conversation, "👩"] {
            assert_eq!(text.parse::<UserId>(), Err(InvalidId), "{text}");
        }
    }
}
