//! Values as they cross the wire: times, looked-up ids, and checks on what people type.

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Refusal;

/// A time on the wire: RFC 3339 in UTC with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, sqlx::Type)]
#[sqlx(transparent)]
pub struct Timestamp(pub DateTime<Utc>);

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        moment(&text).map(Self).ok_or_else(|| serde::de::Error::custom("not a time like 2026-11-22T18:00:00Z"))
    }
}

impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::DateTime)))
            .description(Some("RFC 3339 in UTC with milliseconds"))
            .examples(["2026-11-22T18:00:00.000Z"])
            .into()
    }
}

impl utoipa::ToSchema for Timestamp {}

/// An enum whose values are words, in JSON and in the database, each with its meaning in the document of the routes.
macro_rules! text_enum {
    ($($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $variant_doc:literal])* $variant:ident),+ $(,)? })*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, sqlx::Type)]
        #[serde(rename_all = "snake_case")]
        #[sqlx(type_name = "text", rename_all = "snake_case")]
        pub enum $name { $($(#[doc = $variant_doc])* $variant),+ }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                $crate::text::words(concat!($($doc),*), [$((Self::$variant, concat!($($variant_doc),*))),+])
            }
        }

        impl utoipa::ToSchema for $name {}
    )*};
}
pub(crate) use text_enum;

/// How a word out of a few is described: what it is for, and what each of them means.
pub(crate) fn words<T: Serialize, const N: usize>(
    purpose: &str,
    words: [(T, &str); N],
) -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
    let words = words.map(|(word, meaning)| (serde_json::json!(word), meaning.trim()));
    let meanings =
        words.iter().map(|(word, meaning)| format!("\n- `{}`: {meaning}", word.as_str().unwrap_or_default()));
    utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .description(Some(format!("{}\n{}", purpose.trim(), meanings.collect::<String>())))
        .enum_values(Some(words.map(|(word, _)| word)))
        .into()
}

/// A moment that somebody may mean: RFC 3339, in this century or the next, and no leap second,
/// which no clock here can show.
pub fn moment(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    let is_sane = (2000..2200).contains(&time.year()) && time.timestamp_subsec_nanos() < 1_000_000_000;
    is_sane.then_some(time)
}

/// A [`moment`] in a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub DateTime<Utc>);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || serde::de::Error::custom("must be a time like 2026-11-22T18:00:00Z");
        moment(&String::deserialize(deserializer)?).map(Self).ok_or_else(wrong)
    }
}

/// An id a client named. Text that is no id of the type is treated like an id that doesn't exist.
#[derive(Debug, Clone, Copy)]
pub struct Lookup<T>(Option<T>);

impl<T: Copy> Lookup<T> {
    /// The id, or "not found" said of `what`.
    ///
    /// # Errors
    /// When the text was no id of this type.
    pub fn get(&self, what: &'static str) -> Result<T, Refusal> {
        self.0.ok_or(Refusal::NotFound(what))
    }
}

impl<T> From<T> for Lookup<T> {
    fn from(id: T) -> Self {
        Self(Some(id))
    }
}

impl<'de, T: std::str::FromStr> Deserialize<'de> for Lookup<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(String::deserialize(deserializer)?.parse().ok()))
    }
}

/// Characters that turn the direction of the text around them, and so can make one name look like
/// another.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Characters that show nothing.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}' | '\u{00AD}' | '\u{3164}' | '\u{115F}' | '\u{1160}')
}

/// Checks one line that others will see: no control characters, nothing that turns text around,
/// and something to see.
///
/// # Errors
/// What is wrong.
pub(crate) fn check_line(text: &str) -> Result<(), &'static str> {
    if text.chars().any(char::is_control) {
        return Err("must not contain control characters");
    }
    if text.chars().any(turns_text) {
        return Err("must not contain characters that change the direction of text");
    }
    if text.chars().all(is_invisible) {
        return Err("must contain something visible");
    }
    Ok(())
}

/// Checks text of several lines: no NUL, and something to see.
///
/// # Errors
/// What is wrong.
pub(crate) fn check_text(text: &str) -> Result<(), &'static str> {
    if text.contains('\0') {
        return Err("must not contain NUL");
    }
    if text.chars().all(is_invisible) {
        return Err("must contain something visible");
    }
    Ok(())
}

/// Checks the name of a zone in the tz database.
///
/// # Errors
/// What is wrong.
pub(crate) fn check_timezone(name: &str) -> Result<(), &'static str> {
    name.parse::<chrono_tz::Tz>().map(drop).map_err(|_| "must be an IANA time zone such as Europe/Berlin")
}

/// Adapters to garde's `custom`.
pub(crate) mod rules {
    use garde::Error;

    pub(crate) fn name<C>(text: &str, _: &C) -> garde::Result {
        let length = text.trim().chars().count();
        if !(2..=80).contains(&length) {
            return Err(Error::new("must have 2 to 80 characters"));
        }
        super::check_line(text).map_err(Error::new)
    }

    pub(crate) fn line<C>(text: &str, _: &C) -> garde::Result {
        if text.is_empty() { Ok(()) } else { super::check_line(text).map_err(Error::new) }
    }

    pub(crate) fn text<C>(text: &str, _: &C) -> garde::Result {
        super::check_text(text).map_err(Error::new)
    }

    pub(crate) fn timezone<C>(name: &str, _: &C) -> garde::Result {
        super::check_timezone(name).map_err(Error::new)
    }

    pub(crate) fn email<C>(text: &str, _: &C) -> garde::Result {
        let text = text.trim();
        if text.len() <= 254 && text.is_ascii() && text.parse::<lettre::Address>().is_ok() {
            Ok(())
        } else {
            Err(Error::new("must be an email address"))
        }
    }

    pub(crate) fn https_url<C>(text: &str, _: &C) -> garde::Result {
        // The parser forgives white space and control characters; whoever shows the text may not.
        let is_plain = !text.chars().any(|c| c.is_control() || c == ' ');
        let is_https = url::Url::parse(text).is_ok_and(|url| url.scheme() == "https" && url.has_host());
        if is_plain && is_https && text.len() <= 2000 {
            Ok(())
        } else {
            Err(Error::new("must be an https URL of at most 2000 bytes"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_always_show_milliseconds() {
        let time = Timestamp(DateTime::from_timestamp(1_731_709_200, 0).unwrap());
        assert_eq!(serde_json::to_string(&time).unwrap(), "\"2024-11-15T22:20:00.000Z\"");
    }

    #[test]
    fn names_may_be_in_any_script_but_not_invisible_or_reversed() {
        for good in ["Ana", "李小龙", "محمد", "👩‍🚀 Zoë", "O'Neil-Đặng"] {
            assert_eq!(check_line(good), Ok(()), "{good}");
        }
        for bad in ["\u{200B}\u{200B}", "   ", "a\u{202E}b", "a\nb", "a\0b"] {
            assert!(check_line(bad).is_err(), "{bad:?}");
        }
    }
}
