//! `GET /api/users`: who is found, in which order, page by page.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::{
    scene::{eventually, strings, text},
    support::{Answer, Api, Person, api},
};

impl Person<'_> {
    async fn search(&self, query: &[(&str, &str)]) -> Answer {
        let mut url = reqwest::Url::parse(&self.api.url("/api/users")).unwrap();
        url.query_pairs_mut().extend_pairs(query);
        self.api.send(self.api.http.get(url).bearer_auth(&self.token)).await
    }

    /// The names found, in order.
    async fn find(&self, words: &str) -> Vec<String> {
        strings(&self.search(&[("q", words)]).await.ok(200)["users"], "name")
    }
}

/// A gardener, a programmer and a diver, and somebody who looks for them.
async fn garden(api: &Api) -> Vec<Person<'_>> {
    let people = api.arrive(&["ana-green", "ben-stone", "cleo-reef", "seeker"]).await;
    for (person, profile) in people.iter().zip([
        json!({"name": "Ana Green", "headline": "Gardener and beekeeper", "bio": "Ask me about composting.",
               "skills": ["bees"]}),
        json!({"name": "Ben Stone", "headline": "Programmer", "bio": "I write compilers, and garden a little.",
               "skills": ["rust", "systems programming"], "conversationType": "paid", "instantRatePerMinute": 2}),
        json!({"name": "Cleo Łuczak", "headline": "Diver", "bio": "Reefs of the world.",
               "skills": ["C++", "photography"]}),
    ]) {
        person.change(profile).await;
    }
    people
}

#[tokio::test]
async fn people_are_found_by_words_of_their_name_headline_skills_and_bio() {
    let api = api().await;
    let people = garden(&api).await;
    let seeker = &people[3];
    for (words, names) in [
        ("green", vec!["Ana Green"]),
        ("GREEN", vec!["Ana Green"]),
        ("beekeeper", vec!["Ana Green"]),
        ("compost", vec!["Ana Green"]),
        ("reef", vec!["Cleo Łuczak"]),
        ("rust", vec!["Ben Stone"]),
        ("program", vec!["Ben Stone"]),
        ("compiler", vec!["Ben Stone"]),
        ("photography", vec!["Cleo Łuczak"]),
        ("łuczak", vec!["Cleo Łuczak"]),
        // The last word may be a beginning.
        ("gre", vec!["Ana Green"]),
        ("Łuc", vec!["Cleo Łuczak"]),
        ("cleo łu", vec!["Cleo Łuczak"]),
        // Every word has to match.
        ("ana rust", vec![]),
        ("rust gard", vec!["Ben Stone"]),
        ("garden rust", vec!["Ben Stone"]),
        ("green stone", vec![]),
        ("  green  ", vec!["Ana Green"]),
        ("nobody", vec![]),
        ("example", vec![]),
    ] {
        assert_eq!(seeker.find(words).await, names, "{words}");
    }
    // A headline weighs more than a bio.
    assert_eq!(seeker.find("gardening").await, ["Ana Green", "Ben Stone"]);
}

#[tokio::test]
async fn signs_that_mean_something_elsewhere_mean_nothing_here() {
    let api = api().await;
    let people = garden(&api).await;
    let seeker = &people[3];
    for words in [
        "%",
        "_",
        "\\",
        "%_\\",
        "'",
        "''; drop table users; --",
        "&",
        "|",
        "!",
        ":*",
        "(",
        "<->",
        "\"",
        "a\u{300}",
        "👩‍🚀",
        "½",
    ] {
        let found = seeker.find(words).await;
        assert!(found.len() < 2, "{words} found {found:?}");
    }
    for words in ["green & ", "green:*", "(green", "green'", "\"green", "green\\", "green%"] {
        assert_eq!(seeker.find(words).await, ["Ana Green"], "{words}");
    }
    let long = "x".repeat(200);
    assert_eq!(seeker.find(&long).await, Vec::<String>::new());
    for words in ["\0", "green\0", &"x".repeat(201)] {
        seeker.search(&[("q", words)]).await.refused(400, "malformed_request");
    }
}

#[tokio::test]
async fn filters_narrow_the_search() {
    let api = api().await;
    let people = garden(&api).await;
    let [ana, ben, cleo, seeker] = &people[..] else { unreachable!() };
    ana.appear().await;
    cleo.put("/api/users/me/presence", json!({"state": "offline"})).await.ok(200);
    let names = async |query: &[(&str, &str)]| strings(&seeker.search(query).await.ok(200)["users"], "name");
    assert_eq!(names(&[]).await, ["seeker", "Cleo Łuczak", "Ben Stone", "Ana Green"], "newest first");
    assert_eq!(names(&[("online", "true")]).await, ["Ana Green"]);
    assert_eq!(names(&[("online", "false")]).await, ["seeker", "Cleo Łuczak", "Ben Stone"]);
    assert_eq!(names(&[("conversationType", "paid")]).await, ["Ben Stone"]);
    assert_eq!(names(&[("q", "garden"), ("conversationType", "free")]).await, ["Ana Green"]);
    assert_eq!(names(&[("q", "garden"), ("online", "false")]).await, ["Ben Stone"]);
    assert_eq!(names(&[("q", "garden"), ("online", "true"), ("conversationType", "paid")]).await, Vec::<String>::new());
    assert_eq!(names(&[("q", " ")]).await.len(), 4, "no words, no filter");
    api.advance(Duration::from_secs(45));
    assert_eq!(names(&[("online", "true")]).await, Vec::<String>::new());
    let _sockets = [ben.socket("/ws").await, cleo.socket("/ws").await];
    let here = async || Some(names(&[("online", "true")]).await).filter(|here| !here.is_empty());
    assert_eq!(eventually("somebody who is here", here).await, ["Ben Stone"], "the other hides");
    assert_eq!(names(&[("q", "garden"), ("online", "true")]).await, ["Ben Stone"]);
    assert_eq!(names(&[("q", "garden"), ("online", "false")]).await, ["Ana Green"]);
    assert_eq!(names(&[("online", "true"), ("conversationType", "free")]).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_walk_through_those_who_are_online_finds_each_once() {
    let api = api().await;
    let people = garden(&api).await;
    for person in &people {
        person.appear().await;
    }
    for query in ["online=true", "online=true&q=garden"] {
        let found = people[3].walk(&format!("/api/users?{query}&limit=1"), "users", async |_| ()).await;
        let found: Vec<_> = found.iter().map(|user| text(&user["name"])).collect();
        let expected: &[_] = if query.contains('q') {
            &["Ana Green", "Ben Stone"]
        } else {
            &["seeker", "Cleo Łuczak", "Ben Stone", "Ana Green"]
        };
        assert_eq!(found, expected, "{query}");
    }
}

#[tokio::test]
async fn queries_that_make_no_sense_are_refused() {
    let api = api().await;
    let seeker = api.register("Seeker").await;
    for query in [
        "online=maybe",
        "online=",
        "conversationType=gratis",
        "conversationType=",
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=x",
        "limit=",
        "limit=99999999999999999999",
        "limit=1&limit=2",
        "q=%FF",
        "cursor=",
        "cursor=x",
        "cursor=%00",
    ] {
        seeker.get(&format!("/api/users?{query}")).await.refused(400, "malformed_request");
    }
    api.anonymous(Method::GET, "/api/users?q=x", None).await.refused(401, "unauthenticated");
    for limit in [1, 100] {
        seeker.get(&format!("/api/users?limit={limit}")).await.ok(200);
    }
}

#[tokio::test]
async fn a_walk_through_people_neither_skips_nor_repeats_while_others_arrive() {
    let api = api().await;
    let names: Vec<_> = (0..7).map(|n| format!("walker{n}")).collect();
    let people = api.arrive(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for (person, n) in people.iter().zip(1..) {
        // Different ranks, and pairs of the same.
        person.change(json!({"bio": "walking ".repeat(n / 2 + 1)})).await;
    }
    let arrive = async |page: usize| {
        let late = api.arrive(&[&format!("walker-late{page}")]).await.remove(0);
        late.change(json!({"bio": "walking ".repeat(page)})).await;
    };
    let rows = people[0].walk("/api/users?limit=2", "users", arrive).await;
    let found: Vec<_> = rows.iter().map(|user| text(&user["name"])).collect();
    let mut expected = names.clone();
    expected.reverse();
    assert_eq!(found, expected, "newest first, and none of those who came later");

    let mut rows = people[0].walk("/api/users?q=walking&limit=1", "users", async |page| arrive(page + 100).await).await;
    let all = rows.len();
    rows.sort_by_key(|user| text(&user["id"]));
    rows.dedup_by_key(|user| text(&user["id"]));
    assert_eq!(rows.len(), all, "somebody came twice");
    let found: Vec<_> = rows.iter().map(|user| text(&user["id"])).collect();
    assert!(people.iter().all(|person| found.contains(&person.id)), "somebody was skipped");
}

#[tokio::test]
async fn a_cursor_belongs_to_its_user_its_route_and_its_filter() {
    let api = api().await;
    let people = garden(&api).await;
    let (ana, ben) = (&people[0], &people[1]);
    for other in &people[1..] {
        ana.conversation_with(other).await;
    }
    let cursor = text(&ana.get("/api/users?limit=1&online=false").await.ok(200)["nextCursor"]);
    let good = format!("/api/users?online=false&cursor={cursor}");
    ana.get(&good).await.ok(200);
    ben.get(&good).await.refused(400, "malformed_request");
    let of_conversations = text(&ana.get("/api/conversations?limit=1").await.ok(200)["nextCursor"]);
    for path in [
        format!("/api/users?cursor={cursor}"),
        format!("/api/users?online=true&cursor={cursor}"),
        format!("/api/users?online=false&conversationType=free&cursor={cursor}"),
        format!("/api/users?online=false&q=green&cursor={cursor}"),
        format!("/api/conversations?cursor={cursor}"),
        format!("/api/users?cursor={of_conversations}"),
    ] {
        ana.get(&path).await.refused(400, "malformed_request");
    }
}

#[tokio::test]
async fn a_cursor_cannot_be_forged() {
    let api = api().await;
    let people = api.arrive(&["one", "two", "three"]).await;
    let cursor = text(&people[0].get("/api/users?limit=1").await.ok(200)["nextCursor"]);
    people[0].get(&format!("/api/users?cursor={cursor}")).await.ok(200);
    for at in 0..cursor.len() {
        let other = if cursor.as_bytes()[at] == b'A' { "B" } else { "A" };
        let forged = format!("{}{other}{}", &cursor[..at], &cursor[at + 1..]);
        people[0].get(&format!("/api/users?cursor={forged}")).await.refused(400, "malformed_request");
    }
    for forged in [&cursor[1..], &cursor[..cursor.len() - 1], &format!("{cursor}A"), &cursor[cursor.len() - 22..]] {
        people[0].get(&format!("/api/users?cursor={forged}")).await.refused(400, "malformed_request");
    }
}
