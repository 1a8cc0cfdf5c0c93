//! A walk through a list sees what was committed when it began, whatever commits meanwhile.

use garde::Unvalidated;
use humanchat_domain::{
    Store, auth,
    clock::Clock,
    conversations::{self, Filter, MessageType, NewConversation, NewMessage},
    cursor::Window,
    id::{ConversationId, UserId},
    testing::TestDatabase,
};

pub(crate) async fn register(store: &Store, name: &str) -> UserId {
    let registration =
        serde_json::json!({"name": name, "email": format!("{name}@example.com"), "password": "12345678"});
    let registration: auth::Registration = serde_json::from_value(registration).unwrap();
    let auth = auth::register(store, None, Unvalidated::new(registration).validate().unwrap()).await.unwrap();
    auth.user.user.id
}

pub(crate) async fn start(store: &Store, caller: UserId, other: UserId) -> ConversationId {
    let mut tx = store.begin(None).await.unwrap();
    let new = NewConversation { participant_id: other.into(), message: Some("Hello".to_owned()) };
    let new = Unvalidated::new(new).validate().unwrap();
    let (conversation, _) = conversations::start(&mut tx, caller, new).await.unwrap();
    tx.commit().await.unwrap();
    conversation.id
}

async fn page(store: &Store, caller: UserId, cursor: Option<&str>) -> (Vec<ConversationId>, Option<String>) {
    let window = Window { cursor, limit: 1 };
    let page = conversations::list(store, caller, Filter::default(), window).await.unwrap();
    (page.items.into_iter().map(|item| item.id).collect(), page.next)
}

#[tokio::test]
async fn a_message_that_is_under_way_when_a_walk_begins_makes_nothing_vanish() {
    let store = TestDatabase::create().await.store(Clock::default());
    let casey = register(&store, "casey").await;
    let mut all = Vec::new();
    for name in ["ana", "bo", "cy"] {
        let other = register(&store, name).await;
        all.push(start(&store, casey, other).await);
    }
    let message = NewMessage {
        content: "Are you there?".to_owned(),
        r#type: MessageType::UserText,
        attachments: Vec::new(),
        actions: Vec::new(),
        client_message_id: None,
    };
    // Sent before the walk begins, committed after its first page.
    let mut sending = store.begin(None).await.unwrap();
    let message = Unvalidated::new(message).validate().unwrap();
    conversations::send_message(&mut sending, casey, all[0], message).await.unwrap();

    let (mut walked, mut cursor) = page(&store, casey, None).await;
    sending.commit().await.unwrap();
    while let Some(next) = cursor {
        let (ids, more) = page(&store, casey, Some(&next)).await;
        walked.extend(ids);
        cursor = more;
    }
    all.reverse();
    assert_eq!(walked, all);
    let (first, _) = page(&store, casey, None).await;
    assert_eq!(first, [all[2]], "a new walk sees what moved up");
}
