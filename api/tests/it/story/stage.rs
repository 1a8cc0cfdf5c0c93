//! Real processes: the programs as they are shipped, a database, a Redis.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use humanchat_domain::{
    Store,
    clock::Clock,
    testing::{TestDatabase, redis_url},
};
use humanchat_local::{
    free_port,
    launch::{self, Death},
    processes,
    scratch::Scratch,
};
use nix::sys::signal::Signal;
use reqwest::Method;

use crate::{
    scene::eventually,
    support::{Api, PATIENCE, Person, Socket},
};

const API: &str = env!("CARGO_BIN_EXE_humanchat-api");
pub const SECRET: &str = "a secret of the tests, 32 bytes or more";

/// Another program, which Cargo puts beside the api's.
fn program(name: &str) -> PathBuf {
    let program = Path::new(API).with_file_name(name);
    assert!(program.exists(), "{} is not built: run bin/test", program.display());
    program
}

/// A running program; dropping it kills it.
pub struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    pub fn start(program: &Path, arguments: &[&str], settings: &[(String, String)], folder: &Path) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let log = folder.join(format!("log-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let out = File::create(&log).unwrap();
        let mut command = launch::command(program, None, Death::Terminate);
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Not the workspace: its `.env` is a developer's.
        command.args(arguments).env_clear().env("PATH", path).envs(settings.iter().cloned()).current_dir(folder);
        command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
        Self { child: launch::spawn_from_lasting_thread(command).unwrap(), log }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the program to end.
    pub fn terminate(&self) {
        processes::signal(self.child.id(), Signal::SIGTERM).unwrap();
    }

    /// How many bytes of memory it takes.
    pub fn memory(&self) -> usize {
        let sizes = fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        let pages: usize = sizes.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096
    }

    /// How long it has kept processors busy, to the hundredth of a second.
    pub fn processor_time(&self) -> Duration {
        let state = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The name, in brackets, may contain anything.
        let fields: Vec<_> = state.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks = |index: usize| fields[index].parse::<u64>().unwrap();
        Duration::from_millis(10 * (ticks(11) + ticks(12)))
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// How it has ended, if it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        eventually("the end of a process", async || self.status()).await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            println!("== {}\n{}", self.log.display(), self.log());
        }
    }
}

/// A payment provider's simulator as a process of its own, and its address.
pub async fn simulator(folder: &Path) -> (Program, String) {
    let simulator = Program::start(&program("humanchat-stripe"), &[], &[], folder);
    let address = eventually("the simulator's address", async || {
        Some(simulator.log().strip_prefix("Stripe simulator on ")?.strip_suffix('\n')?.to_owned())
    });
    let address = address.await;
    (simulator, address)
}

/// What a story plays on.
pub struct Stage {
    pub store: Store,
    pub scratch: Scratch,
    settings: Vec<(String, String)>,
}

impl Stage {
    /// A fresh database; its processes share the Redis of the test run.
    pub async fn new() -> Self {
        let redis = redis_url().expect("TEST_REDIS_URL is not set: run tests with bin/test");
        Self::with(&[("REDIS_URL", &redis)]).await
    }

    /// A fresh database, and settings of all processes on it.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        // The store's own clients need it.
        rustls::crypto::ring::default_provider().install_default().ok();
        let database = TestDatabase::create().await;
        Self::on(database.url(), database.store_with(Clock::System, settings), settings)
    }

    pub fn on(database_url: &str, store: Store, settings: &[(&str, &str)]) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let basic = [
            ("DATABASE_URL", database_url),
            ("DATABASE_POOL", "8"),
            ("JWT_SECRET", SECRET),
            ("DEV_PAGES", "true"),
            ("RATE_LIMIT_ANON", "0"),
            ("RATE_LIMIT_USER", "0"),
        ];
        let all = basic.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { store, settings: all.collect(), scratch: Scratch::create().unwrap() }
    }

    /// The settings of all processes, and more.
    fn settings(&self, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.settings.iter().cloned().chain(more).collect()
    }

    /// Runs the api's program to its end.
    pub async fn run(&self, arguments: &[&str], settings: &[(&str, &str)]) -> (ExitStatus, String) {
        let mut program = Program::start(Path::new(API), arguments, &self.settings(settings), self.scratch.path());
        let status = program.ended().await;
        (status, program.log())
    }

    /// An api process that answers.
    pub async fn api(&self, settings: &[(&str, &str)]) -> (Program, Api) {
        // Somebody may take a free port before the process does.
        for _ in 0..5 {
            let address = format!("127.0.0.1:{}", free_port().unwrap());
            let url = format!("http://{address}");
            let own = [&[("BIND_ADDR", address.as_str()), ("PUBLIC_URL", &url)], settings].concat();
            let mut program = Program::start(Path::new(API), &["serve"], &self.settings(&own), self.scratch.path());
            let http = reqwest::Client::new();
            let api = Api { address: address.parse().unwrap(), store: self.store.clone(), app: None, http };
            let answers = eventually("an api that answers", async || {
                let ready = api.http.get(api.url("/health/ready")).send().await;
                let ready = ready.is_ok_and(|answer| answer.status().is_success());
                if ready { Some(true) } else { program.status().map(|_| false) }
            });
            if answers.await {
                return (program, api);
            }
            assert!(program.log().contains("can't listen"), "{}", program.log());
        }
        panic!("no port for an api");
    }

    /// A worker process that works.
    pub async fn worker(&self, settings: &[(&str, &str)]) -> Program {
        self.worker_on("default,mail,maintenance,bulk,model,payments", settings).await
    }

    /// A worker process that works on these queues.
    pub async fn worker_on(&self, queues: &str, settings: &[(&str, &str)]) -> Program {
        let program = program("humanchat-worker");
        let mut program =
            Program::start(&program, &["--queues", queues], &self.settings(settings), self.scratch.path());
        eventually("a worker that works", async || {
            assert_eq!(program.status(), None, "{}", program.log());
            program.log().contains("\"working\"").then_some(())
        })
        .await;
        program
    }
}

impl Api {
    /// Waits until the process has its Redis.
    pub async fn has_redis(&self) {
        eventually("Redis", async || {
            let ready = self.anonymous(Method::GET, "/health/ready", None).await.ok(200);
            (ready["redis"] == "up").then_some(())
        })
        .await;
    }
}

impl Person<'_> {
    /// A socket that listens to everything that is this person's.
    pub async fn listen(&self) -> Socket {
        let mut socket = self.socket(&format!("/notifications/{}", self.id)).await;
        assert_eq!(socket.next().await["type"], "subscribed");
        socket.subscribe(&format!("sessions:{}", self.id)).await;
        socket
    }
}

/// How late something is, in milliseconds.
pub fn millis_since(at: chrono::DateTime<chrono::Utc>, now: chrono::DateTime<chrono::Utc>) -> i64 {
    (now - at).num_milliseconds()
}

/// Waits a while for something, and asserts that it happened in time.
pub async fn in_time<T>(limit: Duration, what: &str, deed: impl Future<Output = T>) -> T {
    assert!(limit <= PATIENCE * 4);
    tokio::time::timeout(limit, deed).await.unwrap_or_else(|_| panic!("{what} took more than {limit:?}"))
}
