//! What is broken: two api and two worker processes, each with its own lines to a Postgres and a
//! Redis of this run, and a payment provider.

mod program;
mod proxy;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::{Result, ensure};
use humanchat_local::{
    database, free_port,
    postgres::{Postgres, PostgresOptions},
    redis::{Redis, RedisOptions},
    scratch::Scratch,
    workspace_root,
};
use serde_json::{Value, json};
use tokio::task::block_in_place;

use program::Role;
pub(crate) use program::{Lines, Program};
use proxy::Proxy;
pub(crate) use proxy::Weather;

const DATABASE: &str = "chaos";
const WEBHOOK_SECRET: &str = "whsec_of_the_chaos";

/// What a program does.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Api,
    Worker,
}

/// Everything that runs.
#[derive(Debug)]
pub(crate) struct Stage {
    // Dropped in this order: programs and servers end before their folder is deleted.
    pub(crate) programs: Vec<Program>,
    pub(crate) servers: Servers,
    pub(crate) provider: Provider,
    /// How many programs there were.
    begun: usize,
    waits_secs: u32,
    folder: PathBuf,
    _scratch: Scratch,
}

/// The servers the product stands on.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
}

impl Servers {
    fn start(scratch: &Scratch) -> Result<Self> {
        // Durable: what was acknowledged must outlive a crash.
        let options = PostgresOptions { data_dir: scratch.postgres(), durable: true, install: true };
        let postgres = Postgres::start(options)?;
        let redis = Redis::start(RedisOptions { dir: scratch.redis(), install: true })?;
        Ok(Self { postgres, redis })
    }

    /// Where the checker reads, beside all proxies.
    pub(crate) fn database_url(&self) -> String {
        self.postgres.superuser_url(DATABASE)
    }
}

/// The payment provider's simulator, which lives in this process.
#[derive(Debug)]
pub(crate) struct Provider {
    simulator: humanchat_stripe::Running,
    /// Where its webhooks go.
    door: Proxy,
    http: reqwest::Client,
}

impl Provider {
    pub(crate) fn url(&self) -> &str {
        &self.simulator.base_url
    }

    /// Changes how it behaves.
    pub(crate) async fn steer(&self, method: reqwest::Method, path: &str, body: &Value) -> Result<()> {
        let request = self.http.request(method, format!("{}{path}", self.url())).json(body);
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// Everything it knows.
    pub(crate) async fn state(&self) -> Result<Value> {
        Ok(self.http.get(format!("{}/_sim/state", self.url())).send().await?.json().await?)
    }
}

impl Stage {
    /// Starts everything; the programs write their logs to `folder`. Invites and unpaid bookings wait for
    /// `waits_secs`.
    pub(crate) async fn start(folder: &Path, waits_secs: u32) -> Result<Self> {
        let scratch = Scratch::create()?;
        let servers = block_in_place(|| Servers::start(&scratch))?;
        database::create(&servers.postgres.url("postgres"), DATABASE, None).await?;
        database::migrate(&servers.postgres.url(DATABASE), &workspace_root()?.join("migrations")).await?;
        let simulator = humanchat_stripe::spawn(humanchat_stripe::Options::default()).await?;
        let door = Proxy::start(loopback(0)).await?;
        let provider = Provider { simulator, door, http: reqwest::Client::builder().no_proxy().build()? };
        let folder = folder.to_path_buf();
        let mut stage =
            Self { programs: Vec::new(), servers, provider, begun: 0, waits_secs, folder, _scratch: scratch };
        for kind in [Kind::Api, Kind::Api, Kind::Worker, Kind::Worker] {
            let program = stage.program(kind).await?;
            stage.programs.push(program);
        }
        for program in &mut stage.programs {
            program.start()?;
        }
        for program in &mut stage.programs {
            program.ready(&stage.provider.http).await?;
        }
        let [first, ..] = stage.apis()[..] else { unreachable!("two of the programs are apis") };
        stage.provider.door.lead_to(first);
        let url = format!("http://127.0.0.1:{}/api/payments/webhook", stage.provider.door.port());
        let endpoint = json!({"url": url, "secrets": [WEBHOOK_SECRET]});
        stage.provider.steer(reqwest::Method::POST, "/_sim/webhooks/endpoints", &endpoint).await?;
        Ok(stage)
    }

    /// Where requests go.
    pub(crate) fn apis(&self) -> Vec<SocketAddr> {
        self.programs.iter().filter_map(|program| program.role.address).collect()
    }

    /// The workers that run.
    pub(crate) fn workers(&mut self) -> impl Iterator<Item = &mut Program> {
        self.programs.iter_mut().filter(|program| program.role.address.is_none())
    }

    /// The apis that run.
    pub(crate) fn api_programs(&mut self) -> impl Iterator<Item = &mut Program> {
        self.programs.iter_mut().filter(|program| program.role.address.is_some())
    }

    /// What is done once in a deploy, before any process is started: the database's schema is brought up to date.
    pub(crate) fn release(&self) -> Result<()> {
        block_in_place(|| self.programs[0].run(&["migrate"]))
    }

    /// Starts another program beside one of them, and puts it into its place as soon as it works. Returns the
    /// old one, which still runs.
    pub(crate) async fn relieve(&mut self, index: usize) -> Result<Program> {
        let kind = if self.programs[index].role.address.is_some() { Kind::Api } else { Kind::Worker };
        let mut program = self.program(kind).await?;
        program.start()?;
        program.ready(&self.provider.http).await?;
        if let Some(address) = program.role.address {
            self.provider.door.lead_to(address);
        }
        Ok(std::mem::replace(&mut self.programs[index], program))
    }

    /// One more program, which doesn't run yet.
    async fn program(&mut self, kind: Kind) -> Result<Program> {
        self.begun += 1;
        let (kind, binary_name, arguments): (_, _, &[_]) = match kind {
            Kind::Api => ("api", "humanchat-api", &["serve"]),
            Kind::Worker => ("worker", "humanchat-worker", &[]),
        };
        let name = format!("{kind}-{}", self.begun);
        let (postgres, redis) = (&self.servers.postgres, &self.servers.redis);
        let to_postgres = Proxy::start(loopback(postgres.port())).await?;
        let to_redis = Proxy::start(loopback(redis.port())).await?;
        let by_way_of =
            |url: &str, from: u16, to: u16| url.replace(&format!("@127.0.0.1:{from}"), &format!("@127.0.0.1:{to}"));
        let address = (kind == "api").then(|| free_port().map(loopback)).transpose()?;
        let waits = self.waits_secs.to_string();
        let mut settings = vec![
            ("DATABASE_URL", by_way_of(&postgres.url(DATABASE), postgres.port(), to_postgres.port())),
            ("DATABASE_POOL", "8".to_owned()),
            ("REDIS_URL", by_way_of(&redis.url(), redis.port(), to_redis.port())),
            ("JWT_SECRET", "a secret of the chaos, 32 bytes or more".to_owned()),
            ("STRIPE_SECRET_KEY", "sk_test_of_the_chaos".to_owned()),
            ("STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET.to_owned()),
            ("STRIPE_API_BASE", self.provider.url().to_owned()),
            ("INVITE_TTL_ONLINE_SECS", waits.clone()),
            ("INVITE_TTL_OFFLINE_SECS", waits.clone()),
            ("BOOKING_HOLD_SECS", waits),
            ("SAM_WAIT_SECS", "2".to_owned()),
            ("RATE_LIMIT_ANON", "0".to_owned()),
            ("RATE_LIMIT_USER", "0".to_owned()),
        ];
        settings.extend(address.map(|address| ("BIND_ADDR", address.to_string())));
        let role = Role { name: name.clone(), binary: binary(binary_name)?, arguments, settings, address };
        let lines = Lines { name, to_postgres: to_postgres.into(), to_redis: to_redis.into() };
        Ok(Program::new(role, lines, &self.folder))
    }

    /// Makes everything well again: servers run, lines are clear, programs work, the provider behaves.
    pub(crate) async fn heal(&mut self) -> Result<()> {
        block_in_place(|| -> Result<()> {
            if !self.servers.postgres.is_running()? {
                self.servers.postgres.restart()?;
            }
            if !self.servers.redis.is_running()? {
                self.servers.redis.restart()?;
            }
            Ok(())
        })?;
        self.provider.steer(reqwest::Method::DELETE, "/_sim/faults", &json!({})).await?;
        self.provider.steer(reqwest::Method::PUT, "/_sim/webhooks", &json!({})).await?;
        for program in &mut self.programs {
            let lines = program.lines();
            lines.to_postgres.turn(Weather::Clear);
            lines.to_redis.turn(Weather::Clear);
            program.signal(nix::sys::signal::Signal::SIGCONT)?;
        }
        for program in &mut self.programs {
            program.ready(&self.provider.http).await?;
        }
        Ok(())
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// An executable of the product, which Cargo puts beside ours.
fn binary(name: &str) -> Result<PathBuf> {
    let binary = std::env::current_exe()?.with_file_name(name);
    ensure!(fs::exists(&binary)?, "{} is not built: run bin/chaos", binary.display());
    Ok(binary)
}
