//! Which processes run, where they listen and what they are told.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use humanchat_local::secret;

use super::apps::App;
use super::config::Config;
use super::servers::Servers;
use super::stripe::{self, Simulator};
use crate::say::{self, Prefix};

/// The product's executables.
pub(crate) const API: &str = "humanchat-api";
pub(crate) const WORKER: &str = "humanchat-worker";
pub(crate) const SEED: &str = "humanchat-seed";

const DEFAULT_ADDRESS: &str = "127.0.0.1:4000";
/// How far from the wanted port a free one is looked for.
const PORTS_TO_TRY: u16 = 50;
const NAME_WIDTH: usize = 8;

/// What the developer asked for.
#[derive(Debug)]
pub(crate) struct Wishes {
    pub(crate) config: Config,
    /// The folder of everything that is kept.
    pub(crate) data: PathBuf,
    /// The folder of the product's executables.
    pub(crate) programs: PathBuf,
    pub(crate) apis: u16,
    pub(crate) workers: u16,
    /// Whether a database on another machine gets demo data too.
    pub(crate) seed_anywhere: bool,
}

/// What is going to run.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Where each api process listens; never empty.
    pub(crate) addresses: Vec<SocketAddr>,
    /// The URL people open.
    pub(crate) public_url: String,
    programs: PathBuf,
    environment: Vec<(String, Option<String>)>,
    workers: u16,
    stripe: Option<Simulator>,
}

impl Plan {
    /// Chooses free ports and completes the settings that the developer left open.
    pub(crate) fn make(wishes: &Wishes, servers: &Servers) -> Result<Self> {
        let Wishes { config, data, programs, apis, workers, .. } = wishes;
        let apis = if servers.redis_url.is_some() { (*apis).max(1) } else { 1 };
        let addresses = addresses(config, apis)?;
        let first = addresses.first().context("no api process")?;
        let public_url = config.get("PUBLIC_URL").unwrap_or_else(|| format!("http://{}", reachable(*first)));
        let mut environment = vec![
            ("DATABASE_URL".to_owned(), Some(servers.database_url.clone())),
            ("REDIS_URL".to_owned(), redis_url(config, servers)),
        ];
        let defaults = [
            ("PUBLIC_URL", public_url.clone()),
            ("JWT_SECRET", secret::kept_in::<32>(&data.join("jwt_secret"))?),
            ("DEV_PAGES", "true".to_owned()),
            ("LOG_FORMAT", "text".to_owned()),
        ];
        for (name, default) in defaults {
            if config.get(name).is_none() {
                environment.push((name.to_owned(), Some(default)));
            }
        }
        let stripe = Simulator::unless_named(config, data)?;
        if let Some(stripe) = &stripe {
            environment.extend(stripe.settings());
        }
        Ok(Self { addresses, public_url, programs: programs.clone(), environment, workers: *workers, stripe })
    }

    /// A process that does its work and ends.
    pub(crate) fn once(&self, name: &str, program: &str, arguments: &[&str]) -> App {
        self.app(name.to_owned(), program, arguments, 4)
    }

    /// The processes that keep running.
    pub(crate) fn lasting(&self) -> Vec<App> {
        let apis = self.addresses.iter().zip(1..).map(|(address, number)| {
            let mut app = self.app(numbered("api", number), API, &["serve"], 0);
            app.environment.push(("BIND_ADDR".to_owned(), Some(address.to_string())));
            app
        });
        let workers = (1..=self.workers).map(|number| self.app(numbered("worker", number), WORKER, &[], 1));
        self.stripe_app().into_iter().chain(apis).chain(workers).collect()
    }

    /// Where people pay in the simulator, if it runs.
    pub(crate) fn stripe_url(&self) -> Option<String> {
        self.stripe.as_ref().map(Simulator::url)
    }

    /// The simulator, which tells the first api process what happened.
    fn stripe_app(&self) -> Option<App> {
        let arguments = self.stripe.as_ref()?.arguments(reachable(*self.addresses.first()?));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Some(self.app("stripe".to_owned(), stripe::PROGRAM, &arguments, 3))
    }

    fn app(&self, name: String, program: &str, arguments: &[&str], colour: usize) -> App {
        App {
            prefix: Prefix::new(&name, NAME_WIDTH, colour),
            name,
            program: self.programs.join(program),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            environment: self.environment.clone(),
        }
    }
}

/// Unset without Redis; but a `.env` that names one is read by the product too, and only an empty value
/// overrules it.
fn redis_url(config: &Config, servers: &Servers) -> Option<String> {
    servers.redis_url.clone().or_else(|| config.get("REDIS_URL").map(|_| String::new()))
}

fn numbered(name: &str, number: u16) -> String {
    if number == 1 { name.to_owned() } else { format!("{name}-{number}") }
}

fn addresses(config: &Config, count: u16) -> Result<Vec<SocketAddr>> {
    let wanted = config.get("BIND_ADDR").unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
    let first = wanted
        .to_socket_addrs()
        .ok()
        .and_then(|mut found| found.next())
        .with_context(|| format!("BIND_ADDR={wanted} is no address and port"))?;
    let last = first.port().saturating_add(PORTS_TO_TRY);
    let mut free = (first.port()..=last)
        .map(|port| SocketAddr::new(first.ip(), port))
        .filter(|address| TcpListener::bind(address).is_ok());
    let addresses: Vec<_> = free.by_ref().take(usize::from(count)).collect();
    match addresses.first() {
        Some(chosen) if addresses.len() == usize::from(count) => {
            if *chosen != first {
                say::line(&format!("{first} is taken: the api listens on {chosen}"));
            }
            Ok(addresses)
        }
        _ => bail!("no free port from {first} on: set BIND_ADDR"),
    }
}

/// The address to connect to for one that listens everywhere.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        ip if !ip.is_unspecified() => address,
        _ => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port()),
    }
}
