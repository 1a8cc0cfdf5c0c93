//! Folders for servers whose data nobody needs afterwards.
//!
//! A folder is locked while its owner lives and deleted when it is dropped. What owners that were killed
//! left behind is swept by the next one.

use std::env;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use nix::unistd::geteuid;

use crate::account::Account;
use crate::{place, postgres, redis};

const PREFIX: &str = "humanchat-scratch-";

/// A temporary folder with room for one Postgres and one Redis; deleted on drop.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Makes a folder that servers can reach: in the system's temporary folder, else in `/tmp`.
    ///
    /// # Errors
    ///
    /// When neither can be used.
    pub fn create() -> Result<Self> {
        let account = Account::for_servers()?;
        let bases = [env::temp_dir(), PathBuf::from("/tmp"), PathBuf::from("/var/tmp")];
        let base = bases
            .iter()
            .find(|base| base.is_dir() && account.as_ref().is_none_or(|account| account.can_enter(base)))
            .context("no temporary folder that servers can reach: set TMPDIR")?;
        sweep(base);
        for number in 0..1000 {
            let path = base.join(format!("{PREFIX}{}-{number}", std::process::id()));
            if fs::create_dir(&path).is_err() {
                continue;
            }
            // A sweeper may get in between; then the next name is ours.
            let Ok(Some(lock)) = place::lock(&path) else {
                continue;
            };
            if path.is_dir() {
                // Whatever our umask: the servers' account passes through; their own folders are closed.
                fs::set_permissions(&path, Permissions::from_mode(0o711))?;
                return Ok(Self { path, _lock: lock });
            }
        }
        bail!("cannot make a temporary folder in {}", base.display())
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where its Postgres belongs.
    #[must_use]
    pub fn postgres(&self) -> PathBuf {
        postgres_in(&self.path)
    }

    /// Where its Redis belongs.
    #[must_use]
    pub fn redis(&self) -> PathBuf {
        redis_in(&self.path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What can't be deleted now is swept later.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn postgres_in(path: &Path) -> PathBuf {
    path.join("postgres")
}

fn redis_in(path: &Path) -> PathBuf {
    path.join("redis")
}

/// Stops and deletes what killed owners left in `base`. Other users' folders are theirs to sweep.
fn sweep(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let path = entry.path();
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir() && meta.uid() == geteuid().as_raw());
        if !ours || !path.join("lock").exists() {
            continue;
        }
        if let Ok(Some(_lock)) = place::lock(&path) {
            let stopped = postgres::stop_leftover(&postgres_in(&path)).is_ok();
            redis::stop_leftover(&redis_in(&path));
            if stopped {
                let _ = fs::remove_dir_all(&path);
            }
        }
    }
}
