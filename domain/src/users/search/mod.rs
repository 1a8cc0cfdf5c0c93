//! Looking for people.

mod queries;

use serde::Serialize;
use sqlx::PgConnection;

use super::{ConversationType, User, find_many};
use crate::{
    Store,
    cursor::{Page, Scope, Window, cut},
    error::{Refusal, Result},
    id::UserId,
};

/// Whom to look for.
#[derive(Debug, Default, Serialize)]
pub struct Search<'a> {
    /// Words in name, headline, skills or bio; the last may be a beginning.
    pub words: Option<&'a str>,
    /// Only who is online, or only who isn't.
    pub online: Option<bool>,
    /// Only hosts of this kind.
    pub conversation_type: Option<ConversationType>,
}

/// Looks for people: best match first, or newest first where no words are given. Of words that more than 5,000 people
/// have, the newest of those are found.
///
/// # Errors
/// `BadCursor`, or `Malformed` where the words are too many.
pub async fn search(store: &Store, caller: UserId, search: &Search<'_>, window: Window<'_>) -> Result<Page<User>> {
    let scope = Scope { user_id: caller, route: "users", filter: search };
    let after: Option<queries::Hit> = window.cursor.map(|cursor| store.unseal(&scope, cursor)).transpose()?;
    let range = queries::Range { after, limit: i64::from(window.limit) + 1 };
    let now = store.clock.now();
    let hits = match (search.words, search.online) {
        (Some(words), _) => {
            check_words(words)?;
            let mut snapshot = store.snapshot().await?;
            match tsquery(&mut snapshot, words).await? {
                Some(query) => queries::search_words(&mut snapshot, &query, search, range, now).await?,
                None => Vec::new(),
            }
        }
        (None, Some(true)) => queries::list_online(&store.pool, search.conversation_type, range, now).await?,
        (None, online) => queries::list(&store.pool, search.conversation_type, online.is_some(), range, now).await?,
    };
    let (hits, more) = cut(hits, window.limit);
    let next = if more { hits.last().map(|hit| store.seal(&scope, hit)).transpose()? } else { None };
    let ids: Vec<_> = hits.iter().map(|hit| hit.id).collect();
    Ok(Page { items: find_many(store, &ids).await?, next })
}

/// Whether so much can be looked for at once.
pub(crate) fn check_words(words: &str) -> Result<(), Refusal> {
    const MOST: usize = 200;
    if words.chars().count() > MOST {
        return Err(Refusal::Malformed("what is looked for must have at most 200 characters"));
    }
    Ok(())
}

/// What finds people by these words, if there is anything to look for in them.
pub(crate) async fn tsquery(conn: &mut PgConnection, words: &str) -> Result<Option<String>> {
    match split(words) {
        Some(words) => Ok(queries::tsquery(conn, &words).await?),
        None => Ok(None),
    }
}

/// The words to look for; `None` where there is nothing but signs.
fn split(text: &str) -> Option<queries::Words<'_>> {
    let all: Vec<_> = text.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).collect();
    let last = all.last()?.trim_end_matches(|c: char| !c.is_alphanumeric());
    let head = last.trim_end_matches(char::is_alphanumeric);
    let last_prefix = format!("{}:*", last[head.len()..].to_lowercase());
    Some(queries::Words { all, last_head: head, last_prefix })
}
