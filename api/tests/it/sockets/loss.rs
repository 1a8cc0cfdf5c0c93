//! Whatever is lost on the way, a client that only listens ends up with what it would fetch.
//!
//! Clients, people and Redis do as chance tells them. The seed is printed; `LOSS_SEED` plays it
//! again, and `LOSS_CASES` says how many games to play.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use humanchat_domain::{
    clock::Clock,
    testing::{TestDatabase, noon},
};
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any},
    prop_oneof,
    sample::Index,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::json;
use tokio::task::block_in_place;

use super::{CATCH_UP, model::Client};
use crate::{
    redis::PrivateRedis,
    scene::text,
    support::{Api, Person, api_on},
};

/// Processes that share Redis, and one that doesn't, whose bells nobody else hears.
const HEARD: usize = 2;
const MUTE: usize = 2;

/// Something that happens. People, conversations and processes are numbers from 0 to 2; the
/// conversation `n` is the one that the person `n` takes no part in.
#[derive(Debug, Clone)]
enum Step {
    Say { conversation: usize, first: bool, at: usize },
    Read { conversation: usize, first: bool, at: usize },
    Connect { conversation: usize, first: bool, at: usize },
    Answer { how: &'static str, at: usize },
    Complete { at: usize },
    Appear { person: usize, state: &'static str, at: usize },
    Listen { person: usize },
    Cut { person: usize },
    Reopen { person: usize, at: Index },
    LoseHearing,
    LoseVoices,
    StopRedis,
    StartRedis,
    Restart { process: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let pair = || (0..3_usize, any::<bool>(), 0..=MUTE);
    let how = prop_oneof![3 => Just("accept"), 1 => Just("decline"), 1 => Just("cancel")];
    let state = prop_oneof![Just("active"), Just("idle"), Just("offline")];
    prop_oneof![
        10 => pair().prop_map(|(conversation, first, at)| Step::Say { conversation, first, at }),
        4 => pair().prop_map(|(conversation, first, at)| Step::Read { conversation, first, at }),
        4 => pair().prop_map(|(conversation, first, at)| Step::Connect { conversation, first, at }),
        4 => (how, 0..=MUTE).prop_map(|(how, at)| Step::Answer { how, at }),
        2 => (0..=MUTE).prop_map(|at| Step::Complete { at }),
        2 => (0..3_usize, state, 0..=MUTE).prop_map(|(person, state, at)| Step::Appear { person, state, at }),
        3 => (0..3_usize).prop_map(|person| Step::Listen { person }),
        2 => (0..3_usize).prop_map(|person| Step::Cut { person }),
        3 => (0..3_usize, any::<Index>()).prop_map(|(person, at)| Step::Reopen { person, at }),
        1 => Just(Step::LoseHearing),
        1 => Just(Step::LoseVoices),
        1 => Just(Step::StopRedis),
        1 => Just(Step::StartRedis),
        1 => (0..HEARD).prop_map(|process| Step::Restart { process }),
    ]
}

/// Somebody, wherever they are.
struct Someone {
    id: String,
    token: String,
}

struct World {
    database: TestDatabase,
    clock: Clock,
    redis: PrivateRedis,
    redis_is_up: bool,
    apis: Vec<Api>,
    people: Vec<Someone>,
    clients: Vec<Client>,
    conversations: Vec<String>,
    invites: Vec<String>,
    sessions: Vec<Meeting>,
}

struct Meeting {
    id: String,
    host: usize,
    guest_id: String,
}

/// The two who talk where `absent` doesn't.
fn pair(absent: usize, first: bool) -> (usize, usize) {
    let (one, other) = ((absent + 1) % 3, (absent + 2) % 3);
    if first { (one, other) } else { (other, one) }
}

async fn process_on(database: &TestDatabase, clock: &Clock, redis: &PrivateRedis, process: usize) -> Api {
    let url = redis.server.url();
    let settings: &[(&str, &str)] = if process == MUTE { &[] } else { &[("REDIS_URL", &url)] };
    api_on(database, clock.clone(), settings).await
}

impl World {
    async fn begin(redis: PrivateRedis) -> Self {
        let (database, clock) = (TestDatabase::create().await, Clock::manual(noon()));
        let mut apis = Vec::new();
        for process in 0..=MUTE {
            apis.push(process_on(&database, &clock, &redis, process).await);
        }
        let mut people = Vec::new();
        for name in ["Ada", "Ben", "Cyd"] {
            let person = apis[0].register(name).await;
            people.push(Someone { id: person.id, token: person.token });
        }
        let mut world = Self {
            database,
            clock,
            redis,
            redis_is_up: true,
            apis,
            people,
            clients: Vec::new(),
            conversations: Vec::new(),
            invites: Vec::new(),
            sessions: Vec::new(),
        };
        for absent in 0..3 {
            let (one, other) = pair(absent, true);
            let id = world.person(one, 0).conversation_with(&world.person(other, 0)).await;
            world.conversations.push(id);
        }
        for person in 0..3 {
            let client = Client::begin(&world.person(person, 0), &world.others(person), &world.talks(person)).await;
            world.clients.push(client);
        }
        world
    }

    fn person(&self, person: usize, at: usize) -> Person<'_> {
        let Someone { id, token } = &self.people[person];
        let (email, refresh_token) = (String::new(), String::new());
        Person { api: &self.apis[at], id: id.clone(), email, token: token.clone(), refresh_token }
    }

    fn others(&self, person: usize) -> Vec<String> {
        (0..3).filter(|other| *other != person).map(|other| self.people[other].id.clone()).collect()
    }

    fn talks(&self, person: usize) -> Vec<String> {
        (0..3).filter(|absent| *absent != person).map(|absent| self.conversations[absent].clone()).collect()
    }

    async fn play(&mut self, step: &Step) {
        self.clock.advance(Duration::from_secs(1));
        match *step {
            Step::Say { conversation, first, at } => {
                let (one, _) = pair(conversation, first);
                self.person(one, at).say(&self.conversations[conversation], "words").await.ok(201);
            }
            Step::Read { conversation, first, at } => {
                let person = self.person(pair(conversation, first).0, at);
                let path = format!("/api/conversations/{}", self.conversations[conversation]);
                let last = person.get(&path).await.ok(200)["conversation"]["last_message"]["messageId"].as_i64();
                if let Some(last) = last {
                    person.post(&format!("{path}/read"), json!({"messageId": (last + 1) / 2})).await.ok(200);
                }
            }
            Step::Connect { conversation, first, at } => {
                let (one, other) = pair(conversation, first);
                let answer = self.person(one, at).connect(&self.person(other, at)).await;
                assert!(answer.status.as_u16() < 500, "{answer:?}");
                let invite = &answer.json()["invite"]["id"];
                if invite.is_string() && !self.invites.contains(&text(invite)) {
                    self.invites.push(text(invite));
                }
            }
            Step::Answer { how, at } => self.answer(how, at).await,
            Step::Complete { at } => {
                if let Some(Meeting { id, host, .. }) = self.sessions.last() {
                    let path = format!("/api/sessions/{id}");
                    self.person(*host, at).patch(&path, json!({"status": "complete"})).await.ok(200);
                }
            }
            Step::Appear { person, state, at } => {
                self.person(person, at).put("/api/users/me/presence", json!({"state": state})).await.ok(200);
            }
            Step::Listen { person } => drop(self.clients[person].listen().await),
            Step::Cut { person } => self.clients[person].socket = None,
            Step::Reopen { person, at } => self.reopen(person, at.index(HEARD)).await,
            Step::LoseHearing | Step::LoseVoices | Step::StopRedis | Step::StartRedis => self.trouble(step),
            Step::Restart { process } => {
                self.apis[process].app.take().unwrap().stop().boxed().await;
                self.apis[process] = process_on(&self.database, &self.clock, &self.redis, process).await;
            }
        }
    }

    /// Both parties may try to answer the newest invite; who may not is refused.
    async fn answer(&mut self, how: &str, at: usize) {
        let Some(invite) = self.invites.last().cloned() else { return };
        for person in 0..3 {
            let answer = self.person(person, at).answer(&json!({"id": invite}), how).await;
            assert!(answer.status.as_u16() < 500, "{answer:?}");
            if how == "accept" && answer.status == 200 {
                let session = &answer.json()["session"];
                let (id, guest_id) = (text(&session["id"]), text(&session["guest_user_id"]));
                if self.sessions.iter().all(|known| known.id != id) {
                    self.sessions.push(Meeting { id, host: person, guest_id });
                }
            }
        }
    }

    fn trouble(&mut self, step: &Step) {
        match step {
            Step::StopRedis if self.redis_is_up => {
                block_in_place(|| self.redis.server.stop()).unwrap();
                self.redis_is_up = false;
            }
            Step::StartRedis if !self.redis_is_up => {
                block_in_place(|| self.redis.server.restart()).unwrap();
                self.redis_is_up = true;
            }
            Step::LoseHearing if self.redis_is_up => drop(self.redis.tell("CLIENT KILL TYPE pubsub")),
            Step::LoseVoices if self.redis_is_up => drop(self.redis.tell("CLIENT KILL TYPE normal")),
            _ => {}
        }
    }

    async fn reopen(&mut self, person: usize, at: usize) {
        // What had come until then was heard.
        self.clients[person].listen().await;
        let mut client = self.clients.remove(person);
        client.open(&self.person(person, at)).await;
        self.clients.insert(person, client);
    }

    /// Waits until each client shows what it would fetch, no longer than the contract allows.
    async fn settle(&mut self) {
        let mut began = Instant::now();
        for person in 0..3 {
            loop {
                if !self.clients[person].listen().await {
                    self.reopen(person, 0).await;
                    // That somebody is back is news to the others from now on.
                    began = Instant::now();
                    continue;
                }
                let sessions: Vec<_> = self.sessions_of(person);
                let client = &self.clients[person];
                let refetched = client.refetched(&self.person(person, MUTE), &self.others(person), &sessions).await;
                if client.view() == refetched && self.has_all_numbers(person).await {
                    break;
                }
                if began.elapsed() > CATCH_UP {
                    assert_eq!(client.view(), refetched, "the client of person {person}");
                    panic!("person {person} was not told everything");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        println!("all was told after {:?}", began.elapsed());
    }

    /// Whether the client was told everything that is stored.
    async fn has_all_numbers(&self, person: usize) -> bool {
        for (channel, told) in &self.clients[person].told {
            if self.apis[MUTE].told(channel.parse().unwrap()).await.len() != usize::try_from(*told).unwrap() {
                return false;
            }
        }
        true
    }

    fn sessions_of(&self, person: usize) -> Vec<String> {
        let id = &self.people[person].id;
        let mine = self.sessions.iter().filter(|meeting| meeting.host == person || meeting.guest_id == *id);
        mine.map(|meeting| meeting.id.clone()).collect()
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var_os(name).and_then(|text| text.to_str()?.parse().ok())
}

#[test]
fn who_only_listens_knows_what_a_fetch_would_tell() {
    let seed = setting("LOSS_SEED").unwrap_or_else(rand::random);
    println!("LOSS_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let cases = setting("LOSS_CASES").and_then(|cases| cases.try_into().ok()).unwrap_or(2);
    let config = Config { cases, max_shrink_iters: 8, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let played = runner.run(&vec(step(), 20..50), |steps| {
        let redis = PrivateRedis::start();
        runtime.block_on(async {
            let mut world = World::begin(redis).await;
            for step in &steps {
                world.play(step).await;
            }
            world.settle().await;
        });
        Ok(())
    });
    if let Err(error) = played {
        panic!("{error}");
    }
}
