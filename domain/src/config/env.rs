//! What the environment says, read by name and checked.

use std::num::NonZeroU32;

use url::Url;

/// A setting that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct SettingError {
    name: &'static str,
    reason: String,
}

pub(super) fn wrong(name: &'static str, reason: impl std::fmt::Display) -> SettingError {
    SettingError { name, reason: format!("{reason}") }
}

/// A setting that looked right but can't be used.
pub(crate) fn unusable(name: &'static str, error: impl std::fmt::Display) -> SettingError {
    wrong(name, format!("can't be used: {error}"))
}

pub(super) fn check_url(name: &'static str, text: &str, schemes: &[&str]) -> Result<Url, SettingError> {
    let url = Url::parse(text).map_err(|error| wrong(name, format!("is not a URL: {error}")))?;
    if schemes.contains(&url.scheme()) {
        Ok(url)
    } else {
        Err(wrong(name, format!("must begin with {}", schemes.join(":// or ") + "://")))
    }
}

/// Checks a URL that paths are added to.
pub(super) fn check_base(name: &'static str, text: &str) -> Result<Url, SettingError> {
    let url = check_url(name, text, &["http", "https"])?;
    let has_more = url.path() != "/" || url.query().is_some() || url.fragment().is_some();
    if has_more || !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(name, "must be scheme, host and port alone"));
    }
    Ok(url)
}

/// Checks how reading `.env` went, which need not be there. The reader's own words quote the line, and secrets stand in there.
pub(super) fn check_file<T>(read: dotenvy::Result<T>) -> Result<(), SettingError> {
    match read {
        Ok(_) => Ok(()),
        Err(error) if error.not_found() => Ok(()),
        Err(dotenvy::Error::Io(error)) => Err(wrong(".env", format!("can't be read: {error}"))),
        Err(_) => Err(wrong(".env", "has a line that can't be read: put values with blanks in quotes")),
    }
}

/// Anything that answers to the names of settings.
pub(super) struct Env<'a>(pub(super) &'a dyn Fn(&str) -> Option<String>);

impl Env<'_> {
    /// Empty counts as unset: that is how people switch a setting off in a `.env`.
    pub(super) fn optional(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    pub(super) fn required(&self, name: &'static str) -> Result<String, SettingError> {
        self.optional(name).ok_or_else(|| wrong(name, "must be set"))
    }

    pub(super) fn parsed<T: std::str::FromStr>(
        &self,
        name: &'static str,
        default: &str,
        what: &str,
    ) -> Result<T, SettingError> {
        let value = self.optional(name).unwrap_or_else(|| default.to_owned());
        value.parse().map_err(|_| wrong(name, format!("must be {what}, not {value:?}")))
    }

    pub(super) fn url(&self, name: &'static str, schemes: &[&str]) -> Result<Option<Url>, SettingError> {
        self.optional(name).map(|url| check_url(name, &url, schemes)).transpose()
    }

    /// What stands between commas.
    pub(super) fn list<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Result<T, SettingError>,
    ) -> Result<Vec<T>, SettingError> {
        let list = self.optional(name).unwrap_or_default();
        list.split(',').map(str::trim).filter(|item| !item.is_empty()).map(read).collect()
    }

    /// A number of which `0` means none.
    pub(super) fn limit(&self, name: &'static str, default: u32) -> Result<Option<NonZeroU32>, SettingError> {
        Ok(NonZeroU32::new(self.in_range(name, default, 0, 1_000_000)?))
    }

    pub(super) fn in_range(&self, name: &'static str, default: u32, min: u32, max: u32) -> Result<u32, SettingError> {
        let what = format!("a whole number from {min} to {max}");
        let value: u32 = self.parsed(name, &default.to_string(), &what)?;
        if (min..=max).contains(&value) { Ok(value) } else { Err(wrong(name, format!("must be {what}, not {value}"))) }
    }
}
