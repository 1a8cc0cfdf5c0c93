//! What is unread is counted along, and counted out where a program that doesn't know the counts wrote.

use garde::Unvalidated;
use humanchat_domain::{
    Store,
    clock::Clock,
    conversations::{self, Filter, MessageType, NewMessage, ReadMark},
    cursor::Window,
    id::{ConversationId, UserId},
    testing::TestDatabase,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::walks::{register, start};

async fn say(store: &Store, sender: UserId, id: ConversationId) {
    let message = NewMessage {
        content: "Are you there?".to_owned(),
        r#type: MessageType::UserText,
        attachments: Vec::new(),
        actions: Vec::new(),
        client_message_id: None,
    };
    let mut tx = store.begin(None).await.unwrap();
    let message = Unvalidated::new(message).validate().unwrap();
    conversations::send_message(&mut tx, sender, id, message).await.unwrap();
    tx.commit().await.unwrap();
}

async fn read(store: &Store, reader: UserId, id: ConversationId, message_id: i64) {
    let mut tx = store.begin(None).await.unwrap();
    let mark = Unvalidated::new(ReadMark { message_id }).validate().unwrap();
    conversations::mark_read(&mut tx, reader, id, &mark).await.unwrap();
    tx.commit().await.unwrap();
}

/// What the program before this one did.
async fn say_as_before(store: &Store, sender: UserId, id: ConversationId) {
    let sql = "with numbered as (
                 update conversations set message_count = message_count + 1 where id = $1 returning message_count
               )
               insert into messages (conversation_id, seq, sender_id, origin, type, content, created_at)
               select $1, message_count, $2, 'human', 'user_text', 'Hello', now() from numbered";
    sqlx::query(sql).bind(id.0).bind(sender.0).execute(store.pool()).await.unwrap();
}

/// What the program before this one did.
async fn read_as_before(store: &Store, reader: UserId, id: ConversationId, message_id: i64) {
    let sql = "update conversation_participants set read_through = greatest(read_through, $3)
               where conversation_id = $1 and user_id = $2";
    sqlx::query(sql).bind(id.0).bind(reader.0).bind(message_id).execute(store.pool()).await.unwrap();
}

/// What is unread, by the messages themselves, and whether that has to be known from them.
async fn truth(store: &Store, reader: UserId, id: ConversationId) -> (i64, bool) {
    let sql = "select (select count(*) from messages m where m.conversation_id = c.id and m.seq > p.read_through
                       and m.sender_id is distinct from p.user_id),
                 c.counted < c.message_count or p.heard_through < p.read_through
               from conversations c join conversation_participants p on p.conversation_id = c.id
               where c.id = $1 and p.user_id = $2";
    sqlx::query_as(sql).bind(id.0).bind(reader.0).fetch_one(store.pool()).await.unwrap()
}

/// Says and reads by chance; after each step both hear the truth. Says how often it had to be counted out.
async fn talk(seed: u64, steps: usize, old_program: bool) -> usize {
    let store = TestDatabase::create().await.store(Clock::default());
    let (casey, river) = (register(&store, "casey").await, register(&store, "river").await);
    let id = start(&store, casey, river).await;
    let mut chance = StdRng::seed_from_u64(seed);
    let (mut messages, mut counted_out) = (1, 0);
    for step in 0..steps {
        let person = if chance.random() { casey } else { river };
        let as_before = old_program && chance.random_ratio(1, 8);
        if chance.random_ratio(2, 3) {
            messages += 1;
            if as_before { say_as_before(&store, person, id).await } else { say(&store, person, id).await }
        } else {
            let mark = chance.random_range(1..=messages);
            if as_before {
                read_as_before(&store, person, id, mark).await;
            } else {
                read(&store, person, id, mark).await;
            }
        }
        for reader in [casey, river] {
            let (unread, by_messages) = truth(&store, reader, id).await;
            let (found, _) = conversations::find(&store, reader, id).await.unwrap();
            assert_eq!(found.unread_count, Some(unread), "seed {seed}, step {step}");
            let filter = Filter { kind: None, unread: true };
            let listed = conversations::list(&store, reader, filter, Window { cursor: None, limit: 1 }).await.unwrap();
            assert_eq!(listed.items.len(), usize::from(unread > 0), "seed {seed}, step {step}");
            counted_out += usize::from(by_messages);
        }
    }
    counted_out
}

#[tokio::test]
async fn what_is_unread_is_known_without_reading_messages() {
    let seed = rand::random();
    assert_eq!(talk(seed, 150, false).await, 0, "seed {seed}: counted along all the time");
}

#[tokio::test]
async fn a_program_that_does_not_know_the_counts_does_not_spoil_them() {
    let seed = rand::random();
    assert!(talk(seed, 150, true).await > 0, "seed {seed}: the other program wrote nothing");
}
