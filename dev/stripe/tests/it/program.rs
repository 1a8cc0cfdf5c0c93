//! The executable: what it prints, and how it ends.

use std::process::Stdio;

use humanchat_local::processes;
use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_humanchat-stripe");

#[tokio::test]
async fn it_prints_its_address_serves_there_and_ends_when_told_to() {
    let mut child = Command::new(PROGRAM).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    let address = line.strip_prefix("Stripe simulator on ").unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let page = reqwest::get(address).await.unwrap();
    assert_eq!(page.status(), 200);
    let state: serde_json::Value = reqwest::get(format!("{address}/_sim/state")).await.unwrap().json().await.unwrap();
    assert_eq!(state["intents"].as_array().unwrap().len(), 0);
    processes::signal(child.id().unwrap(), Signal::SIGTERM).unwrap();
    assert!(child.wait().await.unwrap().success());
    assert_eq!(lines.next_line().await.unwrap(), None);
}

#[tokio::test]
async fn a_webhook_needs_a_secret() {
    let output = Command::new(PROGRAM).args(["--webhook", "http://127.0.0.1:1/"]).output().await.unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("--webhook-secret"));
}
