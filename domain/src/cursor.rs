//! Page cursors: opaque to clients, bound to the user and the query they were issued for, and
//! impossible to forge.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::Mac;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Store, auth::Keys, error::Refusal, id::UserId};

const TAG: usize = 16;

/// Which walk a cursor belongs to: caller, route and filters.
#[derive(Debug, Serialize)]
pub struct Scope<'a, F: Serialize> {
    /// Who walks.
    pub user_id: UserId,
    /// Which list.
    pub route: &'a str,
    /// With which filters.
    pub filter: F,
}

/// One page, and where the next begins.
#[derive(Debug)]
pub struct Page<T> {
    /// The rows, in order.
    pub items: Vec<T>,
    /// Sealed; `None` on the last page.
    pub next: Option<String>,
}

/// The part of a list a client asks for.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    /// Where a former page ended.
    pub cursor: Option<&'a str>,
    /// How many rows, 1 to 100.
    pub limit: u8,
}

impl Store {
    pub(crate) fn seal<F: Serialize, P: Serialize>(
        &self,
        scope: &Scope<'_, F>,
        position: &P,
    ) -> serde_json::Result<String> {
        self.keys.seal(scope, position)
    }

    pub(crate) fn unseal<F: Serialize, P: DeserializeOwned>(
        &self,
        scope: &Scope<'_, F>,
        cursor: &str,
    ) -> Result<P, Refusal> {
        self.keys.unseal(scope, cursor)
    }
}

impl Keys {
    pub(crate) fn seal<F: Serialize, P: Serialize>(
        &self,
        scope: &Scope<'_, F>,
        position: &P,
    ) -> serde_json::Result<String> {
        let mut bytes = serde_json::to_vec(position)?;
        let tag = self.cursor_tag(scope, &bytes)?;
        bytes.extend_from_slice(&tag);
        Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(crate) fn unseal<F: Serialize, P: DeserializeOwned>(
        &self,
        scope: &Scope<'_, F>,
        cursor: &str,
    ) -> Result<P, Refusal> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| Refusal::BadCursor)?;
        let (position, tag) = bytes.split_at_checked(bytes.len().wrapping_sub(TAG)).ok_or(Refusal::BadCursor)?;
        let expected = self.cursor_tag(scope, position).map_err(|_| Refusal::BadCursor)?;
        if !bool::from(subtle::ConstantTimeEq::ct_eq(tag, &expected[..])) {
            return Err(Refusal::BadCursor);
        }
        serde_json::from_slice(position).map_err(|_| Refusal::BadCursor)
    }

    fn cursor_tag<F: Serialize>(&self, scope: &Scope<'_, F>, position: &[u8]) -> serde_json::Result<[u8; TAG]> {
        let mut mac = self.cursor_mac();
        let scope = serde_json::to_vec(scope)?;
        mac.update(&(scope.len() as u64).to_be_bytes());
        mac.update(&scope);
        mac.update(position);
        let mut tag = [0; TAG];
        tag.copy_from_slice(&mac.finalize().into_bytes()[..TAG]);
        Ok(tag)
    }
}

/// Cuts a list that was read one row too long into a page.
pub(crate) fn cut<T>(mut rows: Vec<T>, limit: u8) -> (Vec<T>, bool) {
    let limit = usize::from(limit);
    let more = rows.len() > limit;
    rows.truncate(limit);
    (rows, more)
}
