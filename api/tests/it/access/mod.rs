//! Who may do what, asked of every operation of the OpenAPI document: whoever may not is refused, learns nothing, and
//! changes nothing.

pub mod table;

use std::{collections::BTreeSet, ops::Range};

use chrono::SecondsFormat;
use humanchat_domain::{
    auth::Role,
    testing::{contents, sign_in_many},
};
use reqwest::{Method, RequestBuilder};

use self::table::{ROWS, Row, UPGRADE};
use crate::{
    openapi::{Operation, document, operations},
    payments::{Till, till},
    support::{Answer, Person},
    things::{Makers, Thing, Words},
};

/// Who asks, in the order of a row's answers.
pub const ROLES: [&str; 6] = ["nobody", "another", "the guest", "the host", "a manager", "an admin"];

/// The one of them who is often asked for themselves.
const HOST: usize = 3;
/// Those of them who are signed in and not of the staff.
const MEMBERS: Range<usize> = 1..4;

/// People, and the thing between them.
struct Scene<'a> {
    till: &'a Till,
    /// In the order of [`ROLES`], without nobody.
    people: Vec<Person<'a>>,
    words: Words,
}

impl<'a> Scene<'a> {
    /// New people, of whom the guest and the host made what the row is about.
    async fn set(till: &'a Till, row: &Row) -> Self {
        let people: Vec<_> = sign_in_many(&till.api.store, 6).await;
        let people: Vec<_> = people.iter().map(|person| Person::signed_in(&till.api, person)).collect();
        let [_, guest, host, manager, admin, somebody] = &people[..] else { panic!("six people") };
        manager.becomes(Role::Manager).await;
        admin.becomes(Role::Admin).await;
        let makers = Makers { till, guest, host, somebody, admin };
        let mut words = row.on.make(&makers).await;
        words.insert("host", host.id.clone());
        words.insert("slot", till.slot(48).to_rfc3339_opts(SecondsFormat::Secs, true));
        // What the provider tells of it has come.
        till.hear().await;
        Self { till, people, words }
    }

    /// Asks as one of [`ROLES`].
    async fn ask(&self, row: &Row, role: usize) -> Answer {
        self.ask_about(row, role, &self.words).await
    }

    /// The same words, but for an id of the same kind that nothing has.
    fn words_for_what_is_missing(&self) -> Words {
        let (prefix, _) = self.words["id"].split_once('_').unwrap();
        let mut words = self.words.clone();
        words.insert("id", format!("{prefix}_01h455vb4pex5vsknk084sn02q"));
        words
    }

    async fn ask_about(&self, row: &Row, role: usize, words: &Words) -> Answer {
        self.till.api.send(self.request(row, role, words)).await
    }

    fn request(&self, row: &Row, role: usize, words: &Words) -> RequestBuilder {
        let api = &self.till.api;
        let (method, path) = row.operation.split_once(' ').unwrap();
        let mut path = path.replace("{id}", "$id").replace("{userId}", "$id").replace("{name}", "$id");
        let mut with = row.with.replace("$new", &uuid::Uuid::now_v7().simple().to_string());
        for (name, word) in words {
            let name = format!("${name}");
            (path, with) = (path.replace(&name, word), with.replace(&name, word));
        }
        if with.starts_with('?') {
            path += &with;
        }
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let mut request = api.http.request(method, api.url(&path));
        if let Some(person) = role.checked_sub(1).map(|index| &self.people[index]) {
            request = request.bearer_auth(&person.token);
        }
        if with.starts_with('{') {
            request = request.header("content-type", "application/json").body(with.clone());
        }
        if with == UPGRADE {
            for (name, value) in [
                ("connection", "upgrade"),
                ("upgrade", "websocket"),
                ("sec-websocket-version", "13"),
                ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ] {
                request = request.header(name, value);
            }
        }
        request
    }
}

/// Whether an answer is what the table says, in the words of the document.
fn complaint(operation: &Operation, row: &Row, role: usize, answer: &Answer) -> Option<String> {
    let expected = row.answers[role];
    let code = match expected {
        401 => "unauthenticated",
        403 => "forbidden",
        404 => "resource_not_found",
        _ => "",
    };
    let wrong = if answer.status != expected {
        format!("expected {expected}")
    } else if !code.is_empty() && answer.code() != code {
        format!("expected {code}")
    } else if !operation.responses().contains_key(&expected.to_string()) {
        "the document does not say so".to_owned()
    } else if !code.is_empty() && !operation.may_refuse(expected, code) {
        format!("the document does not name {code}")
    } else {
        return None;
    };
    Some(format!("{} {} {} as {}: {wrong}, {answer:?}", row.operation, row.on_what(), row.with, ROLES[role]))
}

impl Row {
    fn on_what(&self) -> String {
        format!("({:?})", self.on)
    }

    fn refuses(&self, role: usize) -> bool {
        self.answers[role] >= 400
    }
}

/// Asks as all whom the row refuses: nothing may change, and what isn't theirs looks like what isn't there.
async fn ask_in_vain(scene: &Scene<'_>, operation: &Operation, row: &Row) -> Vec<String> {
    let store = &scene.till.api.store;
    // What the provider tells of the scene's payments changes something too.
    scene.till.hear().await;
    let before = contents(store).await;
    let mut complaints = Vec::new();
    for role in (0..ROLES.len()).filter(|role| row.refuses(*role)) {
        let answer = scene.ask(row, role).await;
        complaints.extend(complaint(operation, row, role, &answer));
        let is_hidden = row.answers[role] == 404 || (row.answers[role] == 422 && role != HOST);
        if is_hidden {
            let missing = scene.ask_about(row, role, &scene.words_for_what_is_missing()).await;
            if (missing.status, &missing.text) != (answer.status, &answer.text) {
                complaints.push(format!("{} differs from what is missing: {answer:?} {missing:?}", row.operation));
            }
        }
        if operation.path.starts_with("/api/admin/") && MEMBERS.contains(&role) {
            let nonsense = Row { with: r#"{"nonsense": 1}"#, ..*row };
            let words = Words::from([("id", "nonsense".to_owned())]);
            complaints.extend(complaint(operation, row, role, &scene.ask_about(&nonsense, role, &words).await));
        }
    }
    let after = contents(store).await;
    let changed: Vec<_> = before.keys().filter(|table| before[*table] != after[*table]).collect();
    if !changed.is_empty() {
        complaints.push(format!("{} {}: who was refused changed {changed:?}", row.operation, row.with));
    }
    complaints
}

/// Asks as all whom the row lets: each, where it changes something, about another thing.
async fn ask_as_allowed(till: &Till, operation: &Operation, row: &Row) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut scene = None;
    for role in (0..ROLES.len()).filter(|role| !row.refuses(*role)) {
        // Where there is no thing, everybody asks for themselves.
        if scene.is_none() || (operation.method != "get" && row.on != Thing::Nothing) {
            scene = Some(Scene::set(till, row).await);
        }
        let answer = scene.as_ref().unwrap().ask(row, role).await;
        complaints.extend(complaint(operation, row, role, &answer));
    }
    complaints
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_for_those_the_table_says_and_for_nobody_else() {
    let operations = operations(&document());
    let till = till().await;
    let mut complaints = Vec::new();
    for row in ROWS {
        let operation = operations.iter().find(|operation| operation.name() == row.operation);
        let operation = operation.unwrap_or_else(|| panic!("{} is not in the document", row.operation));
        let scene = Scene::set(&till, row).await;
        complaints.extend(ask_in_vain(&scene, operation, row).await);
        complaints.extend(ask_as_allowed(&till, operation, row).await);
    }
    let rows: BTreeSet<_> = ROWS.iter().map(|row| row.operation.to_owned()).collect();
    let without: Vec<_> = operations.iter().map(Operation::name).filter(|name| !rows.contains(name)).collect();
    assert!(without.is_empty(), "operations without a row: {without:?}");
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Asks twice under one key: the second time nothing happens, and the first answer comes again.
async fn ask_twice(till: &Till, row: &Row, role: usize) -> Option<String> {
    let scene = Scene::set(till, row).await;
    let ask = async || {
        let request = scene.request(row, role, &scene.words).header("idempotency-key", "once");
        let answer = till.api.send(request).await;
        let is_replayed = answer.headers.get("idempotency-replayed").is_some_and(|value| value == "true");
        (answer, is_replayed)
    };
    let (first, first_replayed) = ask().await;
    till.hear().await;
    let before = contents(&till.api.store).await;
    let (again, again_replayed) = ask().await;
    let after = contents(&till.api.store).await;
    let changed: Vec<_> = before.keys().filter(|table| before[*table] != after[*table]).collect();
    let is_right = first.status == row.answers[role]
        && (again.status, &again.text) == (first.status, &first.text)
        && (first_replayed, again_replayed) == (false, true)
        && changed.is_empty();
    (!is_right).then(|| format!("{} {}: {first:?}, then {again:?}, which changed {changed:?}", row.operation, row.with))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_a_key_is_done_once_under_it() {
    let till = till().await;
    let mut complaints = Vec::new();
    let mut asked = 0;
    for operation in operations(&document()).iter().filter(|operation| operation.takes_key()) {
        let row = ROWS.iter().find(|row| {
            row.operation == operation.name() && row.answers.iter().any(|status| (200..300).contains(status))
        });
        let row = row.unwrap_or_else(|| panic!("{} succeeds in no row", operation.name()));
        let role = row.answers.iter().position(|status| (200..300).contains(status)).unwrap();
        complaints.extend(ask_twice(&till, row, role).await);
        asked += 1;
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(asked > 20, "{asked}");
}
