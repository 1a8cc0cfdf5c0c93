//! What goes wrong, when: two lanes of faults, each drawn from the seed. One befalls processes, the
//! other what lies between and behind them, so two things break at once.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use humanchat_local::processes;
use nix::sys::signal::Signal;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reqwest::Method;
use serde_json::json;
use tokio::{task::block_in_place, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    database,
    history::History,
    stage::{Lines, Program, Provider, Servers, Stage, Weather},
};

/// How a run is spoilt.
pub(crate) struct Nemesis {
    pub(crate) seed: u64,
    pub(crate) history: Arc<History>,
    pub(crate) stop: CancellationToken,
}

impl Nemesis {
    /// Breaks things until it is told to stop; the last fault may be left unhealed. Returns what no
    /// fault explains.
    pub(crate) async fn rage(&self, stage: &mut Stage) -> Result<Vec<String>> {
        let Stage { programs, servers, provider, .. } = stage;
        // The second lane needs the programs' lines, not their processes.
        let lines: Vec<_> = programs.iter().map(Program::lines).collect();
        let (processes, rest) =
            tokio::join!(self.strike_processes(programs), self.strike_the_rest(&lines, servers, provider));
        rest?;
        processes
    }

    async fn strike_processes(&self, programs: &mut [Program]) -> Result<Vec<String>> {
        let mut rng = StdRng::seed_from_u64(self.seed ^ 0x70);
        let mut incidents = Vec::new();
        while self.rests(&mut rng, 3.0..15.0).await {
            for program in &mut *programs {
                if let Some(end) = program.ended()? {
                    self.history.struck(&end);
                    incidents.push(end);
                    program.start()?;
                }
            }
            let index = rng.random_range(0..programs.len());
            let program = &mut programs[index];
            let name = program.role.name.clone();
            if rng.random_bool(0.55) {
                let down = rng.random_range(0.3..6.0);
                self.history.struck(&format!("kill -9 of {name}, started again after {down:.1} s"));
                program.kill()?;
                sleep(Duration::from_secs_f64(down)).await;
                program.start()?;
            } else {
                // Now and then longer than leases last.
                let frozen =
                    if rng.random_bool(0.3) { rng.random_range(32.0..42.0) } else { rng.random_range(1.0..9.0) };
                self.history.struck(&format!("SIGSTOP of {name} for {frozen:.1} s"));
                program.signal(Signal::SIGSTOP)?;
                self.lasts(frozen).await;
                program.signal(Signal::SIGCONT)?;
            }
        }
        Ok(incidents)
    }

    async fn strike_the_rest(&self, lines: &[Lines], servers: &mut Servers, provider: &Provider) -> Result<()> {
        let mut rng = StdRng::seed_from_u64(self.seed ^ 0x71);
        while self.rests(&mut rng, 3.0..12.0).await {
            match rng.random_range(0..100) {
                0..10 => self.stop_postgres(&mut rng, servers).await?,
                10..18 => self.crash_a_backend(servers).await?,
                18..30 => self.stop_redis(&mut rng, servers).await?,
                30..38 => {
                    self.history.struck("FLUSHALL");
                    block_in_place(|| flush_all(servers))?;
                }
                38..68 => self.spoil_a_line(&mut rng, lines).await,
                68..88 => self.spoil_the_provider(&mut rng, provider).await?,
                _ => self.spoil_webhooks(&mut rng, provider).await?,
            }
        }
        Ok(())
    }

    async fn stop_postgres(&self, rng: &mut StdRng, servers: &mut Servers) -> Result<()> {
        let down = rng.random_range(0.2..5.0);
        self.history.struck(&format!("immediate stop of Postgres for {down:.1} s"));
        block_in_place(|| servers.postgres.stop_immediate())?;
        sleep(Duration::from_secs_f64(down)).await;
        block_in_place(|| servers.postgres.restart())
    }

    async fn crash_a_backend(&self, servers: &Servers) -> Result<()> {
        let Some(pid) = database::a_backend(&servers.database_url()).await? else { return Ok(()) };
        self.history.struck(&format!("kill -9 of Postgres' backend {pid}: all of them restart"));
        processes::signal(pid, Signal::SIGKILL)
    }

    async fn stop_redis(&self, rng: &mut StdRng, servers: &mut Servers) -> Result<()> {
        let down = rng.random_range(0.5..10.0);
        self.history.struck(&format!("Redis stopped for {down:.1} s"));
        block_in_place(|| servers.redis.kill())?;
        sleep(Duration::from_secs_f64(down)).await;
        block_in_place(|| servers.redis.restart())
    }

    async fn spoil_a_line(&self, rng: &mut StdRng, lines: &[Lines]) {
        let Lines { name, to_postgres, to_redis } = &lines[rng.random_range(0..lines.len())];
        let (line, server) = if rng.random_bool(0.6) { (to_postgres, "Postgres") } else { (to_redis, "Redis") };
        let secs = rng.random_range(1.0..12.0);
        match rng.random_range(0..3) {
            0 => {
                self.history.struck(&format!("line from {name} to {server} cut"));
                line.cut();
            }
            1 => {
                let delay = Duration::from_millis(rng.random_range(20..400));
                self.history.struck(&format!("line from {name} to {server} {delay:?} slower for {secs:.1} s"));
                line.turn(Weather::Slow(delay));
                self.lasts(secs).await;
                line.turn(Weather::Clear);
            }
            _ => {
                self.history.struck(&format!("line from {name} to {server} swallows everything for {secs:.1} s"));
                line.turn(Weather::Hole);
                self.lasts(secs).await;
                line.turn(Weather::Clear);
            }
        }
    }

    async fn spoil_the_provider(&self, rng: &mut StdRng, provider: &Provider) -> Result<()> {
        const EFFECTS: [&str; 7] =
            ["error_before", "error_after", "rate_limit", "reset_before", "reset_after", "truncate", "delay"];
        let effect = EFFECTS[rng.random_range(0..EFFECTS.len())];
        let secs = rng.random_range(3.0..15.0);
        self.history.struck(&format!("the payment provider does {effect} to half of the requests for {secs:.1} s"));
        let rule = json!({
            "method": if rng.random_bool(0.7) { Some("POST") } else { None }, "effect": effect, "probability": 0.5,
            "seed": rng.random::<u64>(), "delay_ms": if effect == "delay" { 6000 } else { 0 },
        });
        provider.steer(Method::POST, "/_sim/faults", &rule).await?;
        self.lasts(secs).await;
        provider.steer(Method::DELETE, "/_sim/faults", &json!({})).await
    }

    async fn spoil_webhooks(&self, rng: &mut StdRng, provider: &Provider) -> Result<()> {
        let knobs = json!({
            "paused": rng.random_bool(0.2), "duplicate": rng.random_range(0..3), "shuffle_ms": rng.random_range(0..4000),
            "drop": rng.random_range(0..6), "seed": rng.random::<u64>(),
        });
        let secs = rng.random_range(3.0..15.0);
        self.history.struck(&format!("webhooks for {secs:.1} s: {knobs}"));
        provider.steer(Method::PUT, "/_sim/webhooks", &knobs).await?;
        self.lasts(secs).await;
        provider.steer(Method::PUT, "/_sim/webhooks", &json!({})).await
    }

    /// Lets things be for a while; false when it is to stop.
    async fn rests(&self, rng: &mut StdRng, secs: std::ops::Range<f64>) -> bool {
        self.lasts(rng.random_range(secs)).await;
        !self.stop.is_cancelled()
    }

    async fn lasts(&self, secs: f64) {
        tokio::select! {
            () = sleep(Duration::from_secs_f64(secs)) => {}
            () = self.stop.cancelled() => {}
        }
    }
}

/// Makes Redis forget everything.
fn flush_all(servers: &Servers) -> Result<()> {
    let url = servers.redis.url();
    let password = url.rsplit_once('@').and_then(|(left, _)| left.rsplit_once(':')).map_or("", |(_, word)| word);
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", servers.redis.port())) else { return Ok(()) };
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(stream, "AUTH {password}\r\nFLUSHALL\r\nQUIT\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    anyhow::ensure!(answer.matches("+OK").count() >= 2, "Redis did not flush: {answer}");
    Ok(())
}
