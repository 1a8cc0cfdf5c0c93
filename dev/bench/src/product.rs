//! The product's programs as processes, and how to get in.

use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use humanchat_local::free_port;
use serde_json::{Value, json};

use crate::{
    http::{Connection, request},
    program::{self, Program},
    stage::Stage,
};

/// Everybody's: nobody but us connects.
const PASSWORD: &str = "a bench to sit on";

/// SQL functions for what measurements store by themselves: `bench.user_id`, `bench.conversation_id`, `bench.typeid`.
pub const IDS: &str = include_str!("ids.sql");

/// A running api.
pub struct Api {
    /// Its process.
    pub program: Program,
    /// Where it listens.
    pub address: SocketAddr,
}

/// A running worker.
pub struct Worker {
    /// Its process.
    pub program: Program,
}

impl Worker {
    /// Starts a worker with all queues.
    ///
    /// # Errors
    /// When its program isn't beside ours, or doesn't start.
    pub async fn start(stage: &Stage, database_url: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let mut command = command("humanchat-worker", stage, database_url)?;
        command.envs(settings.iter().copied());
        Ok(Self { program: Program::start(command, &stage.folder().join("worker.log"), "\"working\"").await? })
    }
}

/// A program of the product's with the settings that all have.
fn command(name: &str, stage: &Stage, database_url: &str) -> Result<Command> {
    let binary = env::current_exe()?.with_file_name(name);
    ensure!(binary.exists(), "{} is not built: run bin/bench", binary.display());
    let mut command = program::command(binary);
    let path = env::var_os("PATH").unwrap_or_default();
    // Not the workspace: its `.env` is a developer's.
    command.env_clear().env("PATH", path).current_dir(stage.folder());
    command.env("DATABASE_URL", database_url).env("REDIS_URL", stage.redis_url());
    command.env("JWT_SECRET", "a secret of the benchmark, 32 bytes or more");
    Ok(command)
}

/// Somebody who is signed in.
pub struct Person {
    /// Their id.
    pub id: String,
    /// Their access token.
    pub token: String,
}

impl Api {
    /// Starts an api with the default settings, but for rate limits, which are off.
    ///
    /// # Errors
    /// When its program isn't beside ours, or doesn't start.
    pub async fn start(stage: &Stage, database_url: &str) -> Result<Self> {
        Self::start_with(stage, database_url, &[]).await
    }

    /// The same, with more settings.
    ///
    /// # Errors
    /// When its program isn't beside ours, or doesn't start.
    pub async fn start_with(stage: &Stage, database_url: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut command = command("humanchat-api", stage, database_url)?;
        command.arg("serve").env("BIND_ADDR", address.to_string()).envs(settings.iter().copied());
        for limit in ["RATE_LIMIT_ANON", "RATE_LIMIT_USER", "RATE_LIMIT_ADMIN"] {
            command.env(limit, "0");
        }
        let program = Program::start(command, &stage.folder().join("api.log"), "listening").await?;
        Ok(Self { program, address })
    }

    /// A new connection.
    ///
    /// # Errors
    /// When the api is gone.
    pub async fn connect(&self) -> Result<Connection> {
        Connection::open(self.address).await
    }

    /// Somebody new.
    ///
    /// # Errors
    /// When the api refuses.
    pub async fn register(&self, email: &str) -> Result<Person> {
        self.sign("register", &json!({"name": "Somebody", "email": email, "password": PASSWORD})).await
    }

    /// Somebody who was there before.
    ///
    /// # Errors
    /// When the api refuses.
    pub async fn sign_in(&self, email: &str) -> Result<Person> {
        self.sign("login", &json!({"email": email, "password": PASSWORD})).await
    }

    async fn sign(&self, how: &str, body: &Value) -> Result<Person> {
        let request = request("POST", &format!("/api/auth/{how}"), None, Some(body));
        let answer = self.connect().await?.json(&request).await?;
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned).context("the api's answer has no such text");
        Ok(Person { id: text(&answer["user"]["id"])?, token: text(&answer["token"])? })
    }
}
