//! Whom members ask for who isn't a member: counted once for each of them and each name.

use humanchat_domain::{
    Store,
    admin::requested_people::{self, RequestedKind, RequestedPerson, RequestedPersonStatus},
    clock::Clock,
    error::{Error, Refusal},
    id::UserId,
    testing::{TestDatabase, noon, sign_in_many},
};

async fn ask(store: &Store, asker: UserId, name: &str) -> Result<RequestedPerson, Error> {
    Ok(ask_for(store, asker, RequestedKind::Person, name).await?.unwrap())
}

async fn ask_for(
    store: &Store,
    asker: UserId,
    kind: RequestedKind,
    name: &str,
) -> Result<Option<RequestedPerson>, Error> {
    let mut tx = store.begin(None).await.unwrap();
    let person = requested_people::record(&mut tx, asker, kind, name).await?;
    tx.commit().await.unwrap();
    Ok(person)
}

#[tokio::test]
async fn a_name_is_one_whatever_its_case_and_spaces_and_counts_each_asker_once() {
    let store = TestDatabase::create().await.store(Clock::manual(noon()));
    let people = sign_in_many(&store, 2).await;
    let first = ask(&store, people[0].user_id, "  Jane   Goodall ").await.unwrap();
    assert_eq!((first.name.as_str(), first.request_count), ("Jane Goodall", 1));
    assert_eq!(first.status, RequestedPersonStatus::Pending);
    assert!(first.id.to_string().starts_with("rp_"));
    for name in ["jane goodall", "JANE\tGOODALL"] {
        let again = ask(&store, people[0].user_id, name).await.unwrap();
        assert_eq!((again.id, again.request_count, again.name.as_str()), (first.id, 1, "Jane Goodall"));
    }
    assert_eq!(ask(&store, people[1].user_id, "Jane Goodall").await.unwrap().request_count, 2);
    assert_ne!(ask(&store, people[1].user_id, "Jane Goodal").await.unwrap().id, first.id);
    for bad in ["", "   ", "a\0b", &"x".repeat(121)] {
        let refused = ask(&store, people[0].user_id, bad).await.unwrap_err();
        assert!(matches!(refused, Error::Refused(Refusal::Invalid(_))), "{bad:?}: {refused:?}");
    }
}

#[tokio::test]
async fn a_skill_is_another_than_a_person_of_its_name_and_nobody_asks_without_end() {
    let store = TestDatabase::create().await.store(Clock::manual(noon()));
    let people = sign_in_many(&store, 2).await;
    let person = ask(&store, people[0].user_id, "Smith").await.unwrap();
    for name in ["smith", " SMITH"] {
        let skill = ask_for(&store, people[0].user_id, RequestedKind::Skill, name).await.unwrap().unwrap();
        assert_eq!((skill.kind, skill.request_count, skill.id == person.id), (RequestedKind::Skill, 1, false));
    }
    for number in 2..100 {
        ask(&store, people[0].user_id, &format!("Person {number}")).await.unwrap();
    }
    let more = ask_for(&store, people[0].user_id, RequestedKind::Person, "One more").await.unwrap();
    assert!(more.is_none(), "a hundred is as many as one person asks for");
    assert_eq!(ask(&store, people[1].user_id, "One more").await.unwrap().request_count, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_herd_that_asks_for_one_counts_each_once() {
    let store = TestDatabase::create().await.store(Clock::manual(noon()));
    let people = sign_in_many(&store, 6).await;
    let deeds = (0..24).map(|number| {
        let (store, asker) = (store.clone(), people[number % 6].user_id);
        tokio::spawn(async move { ask(&store, asker, "Ada Lovelace").await.unwrap() })
    });
    for deed in deeds.collect::<Vec<_>>() {
        deed.await.unwrap();
    }
    assert_eq!(ask(&store, people[0].user_id, "ada lovelace").await.unwrap().request_count, 6);
}
