//! Looking for what more people have than are ranked.

use std::collections::BTreeSet;

use humanchat_domain::{
    clock::Clock,
    cursor::Window,
    id::UserId,
    testing::{TestDatabase, noon, sign_in_many},
    users::{self, Search},
};

#[tokio::test]
async fn the_newest_of_too_many_are_found_once_each_whoever_arrives_meanwhile() {
    let store = TestDatabase::create().await.store(Clock::manual(noon()));
    let people: Vec<_> = sign_in_many(&store, 5_010).await.iter().map(|person| person.user_id).collect();
    let search = Search { words: Some("person"), ..Search::default() };
    let mut found: Vec<UserId> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let window = Window { cursor: cursor.as_deref(), limit: 250 };
        let page = users::search(&store, people[0], &search, window).await.unwrap();
        found.extend(page.items.iter().map(|user| user.id));
        let Some(next) = page.next else { break };
        cursor = Some(next);
        sign_in_many(&store, 10).await;
    }
    assert_eq!(found.len(), 5_000);
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), people[10..].iter().copied().collect());
}
