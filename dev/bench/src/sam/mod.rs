//! What a turn of Sam's takes beside the model: the question stored, a worker woken, the prompt built, the answer
//! read, checked and stored, and the reply written. The model is a stand-in that answers at once.

mod model;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use self::model::Model;
use crate::{
    Plan,
    http::request,
    measure::{Better, Row, Series, Target, order, percentile},
    product::{Api, Person, Worker},
    report::{Section, Table},
    say,
    stage::Stage,
};

/// How many others wait for the model meanwhile.
const CROWDS: [usize; 2] = [0, 200];
/// Those who wait are so many people.
const PEOPLE: usize = 20;
/// The median of a turn, in milliseconds.
const TARGET: f64 = 30.0;

/// Measures turns.
///
/// # Errors
/// When a server or a request fails.
pub async fn run(stage: &Stage, plan: &Plan) -> Result<Section> {
    let database = "sam";
    let url = stage.product_database(database).await?;
    let model = Model::start().await?;
    let settings = [
        ("GEMINI_API_KEY", "a-key"),
        ("GEMINI_API_BASE", model.url()),
        // Those who wait wait longer than is measured.
        ("GEMINI_TIMEOUT_SECS", "25"),
        ("SAM_WAIT_SECS", "60"),
    ];
    let api = Api::start_with(stage, &url, &settings).await?;
    let worker = Worker::start(stage, &url, &settings).await?;
    let asker = api.register("asker@bench.test").await?;
    let mut others = Vec::new();
    for number in 0..PEOPLE {
        others.push(api.register(&format!("other-{number}@bench.test")).await?);
    }
    let turns = plan.work(200);
    let mut outcomes = CROWDS.map(|_| Vec::new());
    for round in 0..plan.rounds {
        for contender in order(round, CROWDS.len()) {
            say(&format!("sam: {} wait, round {}", CROWDS[contender], round + 1));
            let crowd = Crowd::gather(&api, &model, &others, CROWDS[contender]).await?;
            outcomes[contender].push(converse(&api, &asker, turns).await?);
            crowd.leave(&model).await?;
        }
    }
    worker.program.stop().await?;
    api.program.stop().await?;
    stage.drop_database(database).await?;
    let rows = CROWDS.iter().zip(&outcomes).flat_map(|(waiting, outcomes)| rows(*waiting, outcomes)).collect();
    let title = "A turn, from the request to the answer, with a model that answers at once".to_owned();
    Ok(Section { tables: vec![Table { title, rows }], notes: Vec::new() })
}

/// People who wait for the model.
struct Crowd(JoinSet<Result<Value>>);

impl Crowd {
    async fn gather(api: &Api, model: &Model, people: &[Person], count: usize) -> Result<Self> {
        let mut requests = JoinSet::new();
        for person in people.iter().cycle().take(count) {
            let mut connection = api.connect().await?;
            let request = question(person, model::SLOW);
            requests.spawn(async move { connection.json(&request).await });
        }
        model.keeps_waiting(count).await?;
        Ok(Self(requests))
    }

    async fn leave(mut self, model: &Model) -> Result<()> {
        model.goes_on();
        while let Some(answer) = self.0.join_next().await {
            is_the_models(&answer??)?;
        }
        Ok(())
    }
}

/// How long turns took that followed each other, in milliseconds.
async fn converse(api: &Api, asker: &Person, turns: usize) -> Result<Vec<f64>> {
    let mut connection = api.connect().await?;
    let request = question(asker, "Who knows about bees?");
    let mut took = Vec::new();
    // The first turns fill the conversation up to what the model is told of it.
    for turn in 0..turns + 20 {
        let began = Instant::now();
        let answer = connection.json(&request).await?;
        let millis = began.elapsed().as_secs_f64() * 1e3;
        is_the_models(&answer)?;
        if turn >= 20 {
            took.push(millis);
        }
        // People don't ask at the very moment of the answer.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(took)
}

fn question(person: &Person, words: &str) -> Vec<u8> {
    request("POST", "/api/sam", Some(&person.token), Some(&json!({"message": words})))
}

fn is_the_models(answer: &Value) -> Result<()> {
    ensure!(answer["text"] == model::ANSWER && answer.get("fallback").is_none(), "not the model's: {answer}");
    Ok(())
}

fn rows(waiting: usize, outcomes: &[Vec<f64>]) -> Vec<Row> {
    let row = |name: &str, share: f64, targets| {
        let rounds = outcomes.iter().map(|took| percentile(took, share)).collect();
        let ours = Series { name: "ours".to_owned(), unit: "ms", rounds };
        Row {
            what: format!("{name}, {waiting} others waiting"),
            better: Better::Lower,
            ours,
            peers: Vec::new(),
            targets,
        }
    };
    vec![row("p50", 0.5, vec![Target::fixed(TARGET)]), row("p99", 0.99, Vec::new())]
}
