//! Objects of one kind, in the order they were made.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::api::error::ApiError;
use crate::api::params::Params;

/// An object with an id, made at some time.
pub(crate) trait Row {
    /// What Stripe calls such an object.
    const KIND: &'static str;
    /// What Stripe calls its id in error messages about the address.
    const PARAM: &'static str = "id";

    fn id(&self) -> &str;
    /// Unix time.
    fn created(&self) -> i64;
    fn json(&self) -> Value;
}

/// All objects of one kind.
#[derive(Debug)]
pub(crate) struct Table<T> {
    rows: Vec<T>,
    places: HashMap<String, usize>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), places: HashMap::new() }
    }
}

impl<T: Row> Table<T> {
    pub(crate) fn insert(&mut self, row: T) {
        self.places.insert(row.id().to_owned(), self.rows.len());
        self.rows.push(row);
    }

    pub(crate) fn remove(&mut self, id: &str) {
        let Some(removed) = self.places.remove(id) else { return };
        self.rows.remove(removed);
        for place in self.places.values_mut().filter(|place| **place > removed) {
            *place -= 1;
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.places.get(id).and_then(|place| self.rows.get(*place))
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.places.get(id).and_then(|place| self.rows.get_mut(*place))
    }

    /// The object that the address names.
    pub(crate) fn find(&self, id: &str) -> Result<&T, ApiError> {
        self.get(id).ok_or_else(|| ApiError::no_such(T::KIND, T::PARAM, id))
    }

    /// The object that the address names, to change.
    pub(crate) fn find_mut(&mut self, id: &str) -> Result<&mut T, ApiError> {
        let place = self.places.get(id).copied().and_then(|place| self.rows.get_mut(place));
        place.ok_or_else(|| ApiError::no_such(T::KIND, T::PARAM, id))
    }

    /// The object that the parameter `key` names, if it is given.
    pub(crate) fn named(&self, params: &mut Params, key: &str) -> Result<Option<String>, ApiError> {
        let Some(id) = params.text(key)? else { return Ok(None) };
        if self.get(&id).is_none() {
            return Err(ApiError::no_such_param(T::KIND, key, &id));
        }
        Ok(Some(id))
    }

    /// All, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.rows.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.rows.iter_mut()
    }

    /// A page of what `wanted` picks, newest first: <https://docs.stripe.com/api/pagination>.
    pub(crate) fn page(&self, url: &str, params: &mut Params, wanted: impl Fn(&T) -> bool) -> Result<Value, ApiError> {
        let limit = limit(params)?;
        let created = Range::take(params)?;
        let after = self.cursor(params, "starting_after")?;
        let before = self.cursor(params, "ending_before")?;
        params.finish()?;

        let fits = |(place, row): &(usize, &T)| {
            after.is_none_or(|after| *place < after)
                && before.is_none_or(|before| *place > before)
                && created.contains(row.created())
                && wanted(row)
        };
        let found = self.rows.iter().enumerate().filter(fits).map(|(_, row)| row);
        // A page before something is the one next to it, still newest first.
        let mut rows: Vec<&T> =
            if before.is_some() { found.take(limit + 1).collect() } else { found.rev().take(limit + 1).collect() };
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        if before.is_some() {
            rows.reverse();
        }
        let data: Vec<Value> = rows.into_iter().map(Row::json).collect();
        Ok(json!({"object": "list", "url": url, "has_more": has_more, "data": data}))
    }

    /// A page of what `wanted` picks, newest first: <https://docs.stripe.com/api/pagination/search>.
    pub(crate) fn search(
        &self,
        url: &str,
        params: &mut Params,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<Value, ApiError> {
        let limit = limit(params)?;
        let seen = params.integer("page")?.map_or(Ok(0), usize::try_from);
        let seen = seen.map_err(|_| ApiError::invalid("page", "This is no page of a search."))?;
        params.finish()?;
        let mut found = self.rows.iter().rev().filter(|row| wanted(row)).skip(seen);
        let data: Vec<Value> = found.by_ref().take(limit).map(Row::json).collect();
        let has_more = found.next().is_some();
        let next_page = has_more.then(|| (seen + limit).to_string());
        Ok(json!({"object": "search_result", "url": url, "has_more": has_more, "next_page": next_page, "data": data}))
    }

    fn cursor(&self, params: &mut Params, key: &str) -> Result<Option<usize>, ApiError> {
        let Some(id) = params.text(key)? else { return Ok(None) };
        let place = self.places.get(&id).copied();
        place.map(Some).ok_or_else(|| ApiError::no_such_param(T::KIND, key, &id))
    }
}

/// How long a page is to be.
fn limit(params: &mut Params) -> Result<usize, ApiError> {
    let limit = params.integer("limit")?.unwrap_or(10);
    let limit = usize::try_from(limit).ok().filter(|limit| (1..=100).contains(limit));
    limit.ok_or_else(|| ApiError::invalid("limit", "This value must be between 1 and 100."))
}

/// `created=…` or `created[gte]=…&created[lt]=…`.
struct Range {
    from: i64,
    until: i64,
}

impl Range {
    fn take(params: &mut Params) -> Result<Self, ApiError> {
        if params.is_text("created")
            && let Some(exactly) = params.integer("created")?
        {
            return Ok(Self { from: exactly, until: exactly });
        }
        let mut range = Self { from: i64::MIN, until: i64::MAX };
        if let Some(mut bounds) = params.nested("created")? {
            if let Some(gt) = bounds.integer("gt")? {
                range.from = gt.saturating_add(1);
            }
            if let Some(gte) = bounds.integer("gte")? {
                range.from = range.from.max(gte);
            }
            if let Some(lt) = bounds.integer("lt")? {
                range.until = lt.saturating_sub(1);
            }
            if let Some(lte) = bounds.integer("lte")? {
                range.until = range.until.min(lte);
            }
            bounds.finish()?;
        }
        Ok(range)
    }

    fn contains(&self, time: i64) -> bool {
        (self.from..=self.until).contains(&time)
    }
}
