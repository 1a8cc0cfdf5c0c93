//! Stripe's own Node client drives the simulator and checks its webhooks (`conformance/conformance.mjs`).

use std::{env, path::Path};

use humanchat_local::install;
use humanchat_stripe::{Options, spawn};
use tokio::process::Command;

/// How many `conformance.mjs` has.
const CHECKS: usize = 15;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stripes_own_client_finds_what_it_expects() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
    if let Err(reason) = fetch_client(&folder).await {
        assert!(env::var_os("NO_SKIPS").is_none_or(|value| value != "true"), "not to be skipped: {reason}");
        println!("SKIPPED: {reason}");
        return;
    }
    let running = spawn(Options { seed: Some(1), ..Options::default() }).await.unwrap();
    let port = running.base_url.rsplit(':').next().unwrap();
    let mut node = Command::new("node");
    node.arg("conformance.mjs").current_dir(&folder).env("PORT", port).kill_on_drop(true);
    let output = node.output().await.unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{said}\n{complained}", output.status);
    assert_eq!(said.lines().filter(|line| line.starts_with("ok: ")).count(), CHECKS, "{said}");
}

/// Fetches the client that `package-lock.json` names, unless it is there.
async fn fetch_client(folder: &Path) -> Result<(), String> {
    for program in ["node", "npm"] {
        install::in_path(program).ok_or_else(|| format!("{program} is missing"))?;
    }
    let installed = folder.join("node_modules/.package-lock.json");
    let fresh = installed.exists()
        && installed.metadata().and_then(|kept| kept.modified()).unwrap()
            >= folder.join("package-lock.json").metadata().and_then(|wanted| wanted.modified()).unwrap();
    if fresh {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(folder);
    match npm.status().await {
        Ok(status) if status.success() => Ok(()),
        _ => Err("npm can't fetch Stripe's client".to_owned()),
    }
}
