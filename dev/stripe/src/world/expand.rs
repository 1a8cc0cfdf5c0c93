//! `expand[]=latest_charge.balance_transaction`: ids replaced by what they name.

use serde_json::Value;

use super::World;
use crate::api::error::ApiError;

impl World {
    /// Expands `path` in `value`; `data.` leads into the items of a list.
    pub(crate) fn expand(&self, value: &mut Value, path: &str) -> Result<(), ApiError> {
        self.walk(value, path).then_some(()).ok_or_else(|| ApiError::not_expandable(path))
    }

    /// Whether there was something to expand.
    fn walk(&self, value: &mut Value, path: &str) -> bool {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let Some(field) = value.get_mut(first) else { return false };
        match field {
            Value::Null => return true,
            Value::Array(items) => {
                return rest.is_some_and(|rest| items.iter_mut().all(|item| self.walk(item, rest)));
            }
            Value::String(id) => match self.json(id) {
                Some(object) => *field = object,
                None => return false,
            },
            Value::Object(_) => {}
            Value::Bool(_) | Value::Number(_) => return false,
        }
        rest.is_none_or(|rest| self.walk(field, rest))
    }
}
