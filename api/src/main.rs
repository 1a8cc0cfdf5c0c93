//! `humanchat-api`: serves HTTP and sockets, migrates the database, or prints the OpenAPI document.

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::{Parser, Subcommand};
use humanchat_api::{
    App,
    server::{Caps, Server, Timeouts},
};
use humanchat_domain::{Store, clock::Clock, config::Settings, logging};
use tokio::{
    net::{TcpListener, TcpSocket},
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

/// How long requests may go on after a stop.
const STOPPING: Duration = Duration::from_secs(20);

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// HumanChat's HTTP and socket server. Settings come from the environment and from `.env`.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve HTTP and sockets on BIND_ADDR.
    Serve,
    /// Bring the database's schema up to this program's.
    Migrate,
    /// Print the OpenAPI document as YAML.
    Openapi,
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = Arguments::parse().command;
    if matches!(command, Command::Openapi) {
        return print_openapi();
    }
    let settings = match Settings::from_env() {
        Ok(settings) => settings,
        Err(error) => return refuse(&error),
    };
    // Fails only where one is installed already, and then it is this one.
    rustls::crypto::ring::default_provider().install_default().ok();
    let _traces = match logging::init(&settings, "humanchat-api") {
        Ok(traces) => traces,
        Err(error) => return refuse(&error),
    };
    let store = match Store::open(settings, Clock::System) {
        Ok(store) => store,
        Err(error) => return refuse(&error),
    };
    let result = match command {
        Command::Migrate => migrate(&store).await,
        Command::Serve | Command::Openapi => serve(store).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "stopped");
            ExitCode::FAILURE
        }
    }
}

/// One clear line, before anything starts.
fn refuse(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("humanchat-api: {error}");
    ExitCode::from(2)
}

fn print_openapi() -> ExitCode {
    match humanchat_api::openapi_yaml() {
        Ok(yaml) => {
            print!("{yaml}");
            ExitCode::SUCCESS
        }
        Err(error) => refuse(&error),
    }
}

async fn migrate(store: &Store) -> anyhow::Result<()> {
    store.migrate().await.context("the database could not be migrated")?;
    tracing::info!("the database is up to date");
    Ok(())
}

async fn serve(store: Store) -> anyhow::Result<()> {
    let address = store.settings().bind_addr;
    let listener = listen(address).with_context(|| format!("can't listen on {address}"))?;
    if !store.bus().is_shared() {
        tracing::warn!("no REDIS_URL: realtime works inside this process only; run no second one");
    }
    let caps = Caps::new(store.settings());
    let app = App::start(store)?;
    let router = humanchat_api::router(app.clone())?;
    let server = Server { router, timeouts: Timeouts::default(), caps };
    tracing::info!(%address, "listening");
    let stopping = CancellationToken::new();
    let serving = tokio::spawn(server.serve(listener, stopping.clone()));
    told_to_stop().await;
    tracing::info!("stopping");
    stopping.cancel();
    // Sockets never end by themselves, and a client may never finish its request.
    let ended = async { tokio::join!(serving, app.stop()).0 };
    if let Ok(ended) = tokio::time::timeout(STOPPING, ended).await {
        return ended.context("the server failed");
    }
    tracing::warn!("some requests did not end in time");
    Ok(())
}

/// Room for many who connect at the same moment: the usual 1,024 become resets in a storm of reconnects.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    const BACKLOG: u32 = 4096;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As the usual way to listen does: a restart need not wait for the last connections to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Waits for SIGTERM or SIGINT.
async fn told_to_stop() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
