//! Private Postgres and Redis servers for development and tests, found or installed on this machine.
//!
//! Owns: finding the servers' programs, starting them as children on free loopback ports, stopping them
//! and cleaning up after a crash. Doesn't know the product: it depends on no other crate of the
//! workspace, so it builds while they don't. The binary `humanchat-local` (`up`, `run`) stands on it,
//! and so do integration tests that need a server of their own to stop, kill and start again.
//!
//! [`postgres::Postgres`] and [`redis::Redis`] block the calling thread while they start and stop (well
//! under a second each, some two seconds for a new cluster), so they work with and without a runtime;
//! inside an async test call them through `spawn_blocking` when other tasks must go on meanwhile.
//! [`database`] is async.
//!
//! Both servers ask for a password, which their `url()` contains: other accounts on the same machine
//! can reach a loopback port, and a Postgres superuser may run programs as the account it runs under.

pub mod account;
pub mod database;
pub mod install;
pub mod launch;
pub mod place;
pub mod ports;
pub mod postgres;
pub mod processes;
pub mod redis;
pub mod scratch;
pub mod secret;
pub mod workspace;

pub use ports::free_port;
pub use workspace::workspace_root;
