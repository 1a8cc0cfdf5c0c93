//! Everything of a user's as one JSON document, written page by page while it is read: however much
//! it is, a few pages of it are in memory, and no connection is held while the reader is slow.

mod queries;

use serde::Serialize;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::{
    Store,
    admin::requested_people::{self, RequestedKind},
    auth, availability,
    conversations::{self, Filter},
    cursor::Window,
    error::Result,
    id::{ConversationId, UserId},
    invites, notifications,
    pool::Pool,
    requests, sam,
    sessions::{self, SessionQuery},
    text::Timestamp,
    users,
};

/// Rows of a page.
const PAGE: u8 = 100;
/// Pages that wait for the reader, besides the one that is being written.
const AHEAD: usize = 1;

/// The user's document, in parts. An error ends it early; so does a reader who goes away.
///
/// # Errors
/// `NotFound`.
pub async fn export(store: &Store, user: UserId) -> Result<Receiver<Result<String>>> {
    let profile = users::me(store, user).await?;
    let now = Timestamp(store.clock.now());
    // What follows stands in the same object.
    let head =
        format!("{{\"exportedAt\":{},\"user\":{}", serde_json::to_string(&now)?, serde_json::to_string(&profile)?);
    let (parts, receiver) = mpsc::channel(AHEAD);
    let writer = Writer { store: store.clone(), user, parts };
    tokio::spawn(async move {
        if let Err(Stopped::Failed(error)) = writer.write(head).await {
            // Nobody to tell where the reader has gone.
            writer.parts.send(Err(error)).await.ok();
        }
    });
    Ok(receiver)
}

/// Why a document has no end.
enum Stopped {
    /// Something could not be read.
    Failed(crate::error::Error),
    /// Nobody reads it.
    Unread,
}

impl<E: Into<crate::error::Error>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

type Written = Result<(), Stopped>;

struct Writer {
    store: Store,
    user: UserId,
    parts: Sender<Result<String>>,
}

impl Writer {
    async fn write(&self, head: String) -> Written {
        let (store, user) = (&self.store, self.user);
        self.text(head).await?;
        self.one("availability", &availability::rules(store, user).await?).await?;
        self.one("logins", &auth::logins(store, user).await?).await?;
        for (name, kind) in [("requestedPeople", RequestedKind::Person), ("requestedSkills", RequestedKind::Skill)] {
            self.one(name, &requested_people::names_by(store, user, kind).await?).await?;
        }
        self.sam().await?;
        self.sessions().await?;
        self.requests().await?;
        self.invites().await?;
        self.notifications().await?;
        self.records().await?;
        self.conversations().await?;
        self.text("}".to_owned()).await
    }

    async fn text(&self, text: String) -> Written {
        self.parts.send(Ok(text)).await.map_err(|_| Stopped::Unread)
    }

    async fn one(&self, name: &str, value: &(impl Serialize + Sync)) -> Written {
        self.text(format!(",\"{name}\":{}", serde_json::to_string(value)?)).await
    }

    async fn list(&self, name: &str) -> Result<List<'_>, Stopped> {
        self.text(format!(",\"{name}\":[")).await?;
        Ok(List { writer: self, is_empty: true })
    }

    async fn sessions(&self) -> Written {
        let mut list = self.list("sessions").await?;
        let (query, mut cursor) = (SessionQuery::default(), None);
        loop {
            let page = sessions::list(&self.store, self.user, &query, window(cursor.as_ref())).await?;
            list.add(&page.items).await?;
            cursor = page.next;
            if cursor.is_none() {
                return list.end().await;
            }
        }
    }

    async fn notifications(&self) -> Written {
        self.one("notificationPreferences", &notifications::preferences(&self.store, self.user).await?).await?;
        let mut list = self.list("notifications").await?;
        let mut cursor = None;
        loop {
            let (_, page) = notifications::list(&self.store, self.user, false, window(cursor.as_ref())).await?;
            list.add(&page.items).await?;
            cursor = page.next;
            if cursor.is_none() {
                return list.end().await;
            }
        }
    }

    async fn requests(&self) -> Written {
        let mut list = self.list("requests").await?;
        let mut before = None;
        loop {
            let mut connection = self.store.pool.acquire().await?;
            let rows = requests::all_of(&mut connection, self.user, before, PAGE.into()).await?;
            connection.give_back();
            list.add(&rows).await?;
            before = rows.last().map(|request| request.id);
            if before.is_none() {
                return list.end().await;
            }
        }
    }

    async fn sam(&self) -> Written {
        let mut list = self.list("samRuns").await?;
        let mut before = None;
        loop {
            let rows = sam::asked_by(&self.store, self.user, before, PAGE.into()).await?;
            list.add(&rows).await?;
            before = rows.last().map(|run| run.run_id);
            if before.is_none() {
                return list.end().await;
            }
        }
    }

    async fn invites(&self) -> Written {
        let mut list = self.list("invites").await?;
        let mut before = None;
        loop {
            let mut connection = self.store.pool.acquire().await?;
            let now = self.store.clock.now();
            let rows = invites::all_of(&mut connection, self.user, before, PAGE.into(), now).await?;
            connection.give_back();
            list.add(&rows).await?;
            before = rows.last().map(|invite| invite.id);
            if before.is_none() {
                return list.end().await;
            }
        }
    }

    /// What no other route shows.
    async fn records(&self) -> Written {
        self.pages("payments", queries::payments, |payment| payment.id).await?;
        self.pages("presences", queries::presences, |there| (there.since.0, there.until.map(|until| until.0))).await?;
        self.pages("attendance", queries::attendance, |there| (there.session_id, there.since.0)).await?;
        self.pages("staffDeeds", queries::deeds, |deed| deed.id).await
    }

    /// A list, read a page at a time; each goes on after the last row of the one before.
    async fn pages<T: Serialize + Sync, K>(
        &self,
        name: &str,
        page: impl AsyncFn(&Pool, UserId, Option<K>, i64) -> sqlx::Result<Vec<T>>,
        place: impl Fn(&T) -> K,
    ) -> Written {
        let mut list = self.list(name).await?;
        let mut after = None;
        loop {
            let rows = page(&self.store.pool, self.user, after, PAGE.into()).await?;
            list.add(&rows).await?;
            after = rows.last().map(&place);
            if after.is_none() {
                return list.end().await;
            }
        }
    }

    async fn conversations(&self) -> Written {
        let mut list = self.list("conversations").await?;
        let mut cursor = None;
        loop {
            let (filter, window) = (Filter::default(), window(cursor.as_ref()));
            let page = conversations::list(&self.store, self.user, filter, window).await?;
            for conversation in &page.items {
                list.next(format!("{{\"conversation\":{}", serde_json::to_string(conversation)?)).await?;
                self.messages(conversation.id).await?;
                self.text("}".to_owned()).await?;
            }
            cursor = page.next;
            if cursor.is_none() {
                return list.end().await;
            }
        }
    }

    async fn messages(&self, id: ConversationId) -> Written {
        let mut list = self.list("messages").await?;
        let mut cursor = None;
        loop {
            let page = conversations::list_messages(&self.store, self.user, id, window(cursor.as_ref())).await?;
            list.add(&page.items).await?;
            cursor = page.next;
            if cursor.is_none() {
                return list.end().await;
            }
        }
    }
}

fn window(cursor: Option<&String>) -> Window<'_> {
    Window { cursor: cursor.map(String::as_str), limit: PAGE }
}

/// A list that is being written.
struct List<'a> {
    writer: &'a Writer,
    is_empty: bool,
}

impl List<'_> {
    /// A page of rows, in one part.
    async fn add<T: Serialize + Sync>(&mut self, rows: &[T]) -> Written {
        let rows: Vec<_> = rows.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        if rows.is_empty() { Ok(()) } else { self.next(rows.join(",")).await }
    }

    async fn next(&mut self, text: String) -> Written {
        let separator = if self.is_empty { "" } else { "," };
        self.is_empty = false;
        self.writer.text(format!("{separator}{text}")).await
    }

    async fn end(self) -> Written {
        self.writer.text("]".to_owned()).await
    }
}
