//! Who is listened to: the product's api, and a Socket.IO server with its Redis adapter.

use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
};

use anyhow::{Context as _, Result, ensure};
use humanchat_local::{free_port, install};
use serde_json::json;

use super::swarm::{Protocol, Swarm};
use crate::{
    Plan,
    http::request,
    product::{Api, Person},
    program::{self, Program},
    stage::Stage,
};

const DATABASE: &str = "sockets";

/// What is said in every message.
const CONTENT: &str = "Shall we talk about it on Thursday, when the bees have settled? I have a new hive to show.";

/// Who sends messages to sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contender {
    /// The product.
    Ours,
    /// Socket.IO.
    SocketIo,
}

/// A running server, with nobody listening yet.
pub struct Server {
    /// Its process.
    pub program: Program,
    /// Where it takes messages.
    pub address: SocketAddr,
    /// Makes it tell a message.
    pub tell: Vec<u8>,
    /// The same, stored before it is told, where that isn't what `tell` does.
    pub store: Option<Vec<u8>>,
    /// Who will listen.
    pub swarm: Swarm,
    /// Who will listen in another room, where nobody speaks.
    pub bystanders: Swarm,
}

impl Contender {
    /// Starts its server on a new database.
    ///
    /// # Errors
    /// When it doesn't start.
    pub async fn start(self, stage: &Stage, plan: &Plan) -> Result<Server> {
        match self {
            Self::Ours => ours(stage).await,
            Self::SocketIo => socket_io(stage, plan).await,
        }
    }

    /// Why it can't take part, if it can't.
    pub fn absent(self, plan: &Plan) -> Option<String> {
        match self {
            Self::Ours => None,
            Self::SocketIo if install::in_path("node").is_none() => {
                Some("Socket.IO is left out: node is missing.".to_owned())
            }
            Self::SocketIo => {
                let installed = plan.peers.join("node/node_modules/socket.io").exists();
                (!installed).then(|| "Socket.IO is left out: npm could not install it.".to_owned())
            }
        }
    }
}

async fn ours(stage: &Stage) -> Result<Server> {
    let url = stage.product_database(DATABASE).await?;
    let api = Api::start(stage, &url).await?;
    let (one, other) = (api.register("one@bench.test").await?, api.register("other@bench.test").await?);
    let third = api.register("third@bench.test").await?;
    let id = conversation(&api, &one, &other).await?;
    let elsewhere = conversation(&api, &other, &third).await?;
    // Hashing passwords takes memory that a process keeps for a while.
    api.program.stop().await?;
    let api = Api::start(stage, &url).await?;
    let message = json!({"content": CONTENT, "type": "user_text"});
    let protocol = |id: &str, people: [&Person; 2]| Protocol {
        address: api.address,
        paths: people.map(|person| format!("/ws?token={}", person.token)).into(),
        hello: vec![
            (
                r#"{"type":"ready""#,
                Some(json!({"type": "subscribe", "channel": format!("conversation:{id}")}).to_string()),
            ),
            (r#"{"type":"subscribed""#, None),
        ],
        message: r#"{"type":"message.created"#,
        heartbeat: None,
    };
    Ok(Server {
        tell: request("POST", &format!("/api/conversations/{id}/messages"), Some(&one.token), Some(&message)),
        store: None,
        swarm: Swarm::new(protocol(&id, [&one, &other])),
        bystanders: Swarm::new(protocol(&elsewhere, [&other, &third])),
        program: api.program,
        address: api.address,
    })
}

async fn conversation(api: &Api, one: &Person, other: &Person) -> Result<String> {
    let pair = request("POST", "/api/conversations", Some(&one.token), Some(&json!({"participantId": other.id})));
    let pair = api.connect().await?.json(&pair).await?;
    Ok(pair["conversation"]["id"].as_str().context("a conversation without id")?.to_owned())
}

async fn socket_io(stage: &Stage, plan: &Plan) -> Result<Server> {
    let script = plan.peers.join("node/socketio.mjs");
    ensure!(script.exists(), "{} is missing", script.display());
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let mut command = program::command("node");
    command.arg(script).env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
    command.env("NODE_ENV", "production").env("PORT", address.port().to_string());
    command.env("REDIS_URL", stage.redis_url()).env("DATABASE_URL", stage.empty_database(DATABASE).await?);
    let program = Program::start(command, &stage.folder().join("socketio.log"), "listening").await?;
    let protocol = |room: &str| Protocol {
        address,
        paths: vec![format!("/socket.io/?EIO=4&transport=websocket{room}")],
        hello: vec![("0{", Some("40".to_owned())), ("40{", None)],
        message: r#"42["message.created""#,
        heartbeat: Some(("2", "3")),
    };
    let message = json!({"content": CONTENT});
    Ok(Server {
        program,
        address,
        tell: request("POST", "/emit", None, Some(&message)),
        store: Some(request("POST", "/store", None, Some(&message))),
        swarm: Swarm::new(protocol("")),
        bystanders: Swarm::new(protocol("&room=elsewhere")),
    })
}
