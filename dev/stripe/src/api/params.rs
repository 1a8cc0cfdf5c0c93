//! A request's parameters: form encoding with nested brackets, and typed access that refuses as Stripe does.
//!
//! Whoever takes a parameter removes it; what nobody took is unknown, and [`Params::finish`] refuses it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error::ApiError;

/// Parameters at one level of brackets.
#[derive(Debug, Default, Clone)]
pub(crate) struct Params {
    /// The name of this level, as a client writes it: `line_items[0]`; empty at the top.
    name: String,
    values: Map<String, Value>,
}

impl Params {
    /// Parses `a=1&b[c]=2&d[]=3&e[0][f]=4`.
    pub(crate) fn parse(encoded: &[u8]) -> Self {
        let mut values = Map::new();
        for (name, value) in form_urlencoded::parse(encoded) {
            insert(&mut values, &path(&name), &value);
        }
        Self { name: String::new(), values }
    }

    fn path_of(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}[{key}]", self.name) }
    }

    /// A text that may be absent. An empty one is refused, as it is at Stripe.
    pub(crate) fn text(&mut self, key: &str) -> Result<Option<String>, ApiError> {
        let path = self.path_of(key);
        match self.values.remove(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Err(ApiError::empty(&path)),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(ApiError::invalid(&path, "Invalid string")),
        }
    }

    /// A text that must be there.
    pub(crate) fn needed_text(&mut self, key: &str) -> Result<String, ApiError> {
        let path = self.path_of(key);
        self.text(key)?.ok_or_else(|| ApiError::missing(&path))
    }

    /// A whole number that may be absent.
    pub(crate) fn integer(&mut self, key: &str) -> Result<Option<i64>, ApiError> {
        let path = self.path_of(key);
        let Some(text) = self.text(key)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| ApiError::not_an_integer(&path, &text))
    }

    /// A whole number that must be there.
    pub(crate) fn needed_integer(&mut self, key: &str) -> Result<i64, ApiError> {
        let path = self.path_of(key);
        self.integer(key)?.ok_or_else(|| ApiError::missing(&path))
    }

    /// A truth value that may be absent.
    pub(crate) fn boolean(&mut self, key: &str) -> Result<Option<bool>, ApiError> {
        let path = self.path_of(key);
        match self.text(key)?.as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(text) => Err(ApiError::invalid(&path, &format!("Invalid boolean: {text}"))),
        }
    }

    /// One of a few words.
    pub(crate) fn word(&mut self, key: &str, allowed: &[&'static str]) -> Result<Option<&'static str>, ApiError> {
        let path = self.path_of(key);
        let Some(text) = self.text(key)? else { return Ok(None) };
        let found = allowed.iter().find(|word| **word == text).copied();
        let message = || format!("Invalid {key}: must be one of {}", allowed.join(", "));
        found.map(Some).ok_or_else(|| ApiError::invalid(&path, &message()))
    }

    /// The parameters within the brackets of `key`, if any.
    pub(crate) fn nested(&mut self, key: &str) -> Result<Option<Self>, ApiError> {
        let name = self.path_of(key);
        match self.values.remove(key) {
            None => Ok(None),
            Some(Value::Object(values)) => Ok(Some(Self { name, values })),
            Some(_) => Err(ApiError::invalid(&name, "Invalid object")),
        }
    }

    /// The items of a list whose items have parameters themselves, in their order.
    pub(crate) fn items(&mut self, key: &str) -> Result<Vec<Self>, ApiError> {
        let Some(mut list) = self.nested(key)? else { return Ok(Vec::new()) };
        let mut keys: Vec<String> = list.values.keys().cloned().collect();
        keys.sort_by_key(|key| key.parse().unwrap_or(usize::MAX));
        keys.iter().filter_map(|key| list.nested(key).transpose()).collect()
    }

    /// A list of texts: `key[]=a&key[]=b` or `key[0]=a&key[1]=b`.
    pub(crate) fn texts(&mut self, key: &str) -> Result<Vec<String>, ApiError> {
        let Some(mut list) = self.nested(key)? else { return Ok(Vec::new()) };
        let mut keys: Vec<String> = list.values.keys().cloned().collect();
        keys.sort_by_key(|key| key.parse().unwrap_or(usize::MAX));
        keys.iter().filter_map(|key| list.text(key).transpose()).collect()
    }

    /// `metadata[...]`: keys and values as given; an empty value removes its key.
    pub(crate) fn metadata(&mut self) -> Result<Metadata, ApiError> {
        let Some(list) = self.nested("metadata")? else { return Ok(Metadata::new()) };
        let mut metadata = Metadata::new();
        for (key, value) in &list.values {
            let Value::String(value) = value else {
                return Err(ApiError::invalid(&list.path_of(key), "Metadata values must be strings"));
            };
            if key.len() > 40 || value.len() > 500 {
                return Err(ApiError::invalid(
                    &list.path_of(key),
                    "Metadata keys have up to 40, values up to 500 characters",
                ));
            }
            metadata.insert(key.clone(), value.clone());
        }
        if metadata.len() > 50 {
            return Err(ApiError::invalid("metadata", "Metadata has up to 50 keys"));
        }
        Ok(metadata)
    }

    /// Whether `key` has a plain value, not brackets.
    pub(crate) fn is_text(&self, key: &str) -> bool {
        self.values.get(key).is_some_and(Value::is_string)
    }

    /// Accepts parameters that change nothing here.
    pub(crate) fn ignore(&mut self, keys: &[&str]) {
        for key in keys {
            self.values.remove(*key);
        }
    }

    /// Refuses what nobody took.
    pub(crate) fn finish(&self) -> Result<(), ApiError> {
        match self.values.keys().next() {
            None => Ok(()),
            Some(key) => Err(ApiError::unknown_param(&self.path_of(key))),
        }
    }

    /// The parameters as JSON, for the record of requests.
    pub(crate) fn json(&self) -> Value {
        Value::Object(self.values.clone())
    }
}

/// What clients note on objects.
pub(crate) type Metadata = BTreeMap<String, String>;

/// Merges an update into metadata: empty values remove their keys.
pub(crate) fn merge_metadata(metadata: &mut Metadata, update: Metadata) {
    for (key, value) in update {
        if value.is_empty() {
            metadata.remove(&key);
        } else {
            metadata.insert(key, value);
        }
    }
}

/// `a[b][]` → `a`, `b`, ``.
fn path(name: &str) -> Vec<&str> {
    let Some((first, rest)) = name.split_once('[') else { return vec![name] };
    let mut path = vec![first];
    path.extend(rest.strip_suffix(']').unwrap_or(rest).split("]["));
    path
}

fn insert(values: &mut Map<String, Value>, path: &[&str], value: &str) {
    let Some((first, rest)) = path.split_first() else { return };
    let key = if first.is_empty() { values.len().to_string() } else { (*first).to_owned() };
    if rest.is_empty() {
        values.insert(key, Value::String(value.to_owned()));
        return;
    }
    let nested = values.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if !nested.is_object() {
        *nested = Value::Object(Map::new());
    }
    if let Value::Object(nested) = nested {
        insert(nested, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn brackets_nest() {
        let params = Params::parse(b"a=1&b[c]=2&d[]=3&d[]=4&e[0][f]=5&e[0][g][h]=%C3%A9+x");
        let expected = json!({
            "a": "1", "b": {"c": "2"}, "d": {"0": "3", "1": "4"}, "e": {"0": {"f": "5", "g": {"h": "é x"}}},
        });
        assert_eq!(params.json(), expected);
    }

    #[test]
    fn lists_keep_their_order_beyond_ten() {
        let encoded: Vec<String> = (0..12).map(|number| format!("types[{number}]=t{number}")).collect();
        let texts = Params::parse(encoded.join("&").as_bytes()).texts("types").unwrap();
        assert_eq!(texts[2], "t2");
        assert_eq!(texts[11], "t11");
    }

    #[test]
    fn what_nobody_takes_is_refused_by_its_full_name() {
        let mut params = Params::parse(b"a[b]=1");
        let nested = params.nested("a").unwrap().unwrap();
        assert_eq!(nested.finish().unwrap_err().param(), Some("a[b]"));
        params.finish().unwrap();
    }

    #[test]
    fn an_empty_metadata_value_removes_its_key() {
        let mut metadata = Params::parse(b"metadata[a]=1&metadata[b]=2").metadata().unwrap();
        merge_metadata(&mut metadata, Params::parse(b"metadata[a]=").metadata().unwrap());
        assert_eq!(metadata.into_iter().collect::<Vec<_>>(), [("b".to_owned(), "2".to_owned())]);
    }
}
