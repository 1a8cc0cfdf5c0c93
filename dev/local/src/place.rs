//! Folders that a server can use, wherever the workspace is.
//!
//! A workspace below `/root` (mode 0700) can't hold the data of a server that runs as `postgres`. Such a
//! folder lives in `/var/lib` instead, and a symbolic link marks the spot where it was asked for.

use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::account::Account;

/// A folder that `account` (or else we) can write to and others can't read: `wanted` itself, or the one
/// its link leads to.
///
/// # Errors
///
/// When no such folder can be made.
pub fn open(wanted: &Path, account: Option<&Account>) -> Result<PathBuf> {
    let wanted = absolute(wanted)?;
    if let Ok(target) = fs::read_link(&wanted) {
        make_private(&target, account)?;
        return Ok(target);
    }
    make_private(&wanted, account)?;
    let Some(account) = account else {
        return Ok(wanted);
    };
    if account.can_use(&wanted) {
        return Ok(wanted);
    }
    let elsewhere = elsewhere(&wanted);
    make_private(&elsewhere, Some(account))?;
    if !account.can_use(&elsewhere) {
        bail!("{} can use neither {} nor {}", account.name, wanted.display(), elsewhere.display());
    }
    fs::remove_dir(&wanted)
        .and_then(|()| symlink(&elsewhere, &wanted))
        .with_context(|| format!("cannot link {} to {}", wanted.display(), elsewhere.display()))?;
    Ok(elsewhere)
}

/// Deletes what [`open`] made at `wanted`, link and target.
///
/// # Errors
///
/// When something can't be deleted; a folder that isn't there is none.
pub fn remove(wanted: &Path) -> Result<()> {
    if let Ok(target) = fs::read_link(wanted) {
        delete(&target)?;
        return fs::remove_file(wanted).with_context(|| format!("cannot delete {}", wanted.display()));
    }
    delete(wanted)
}

/// Takes the lock of `folder` until the returned file is dropped or this process ends, however it ends.
/// `None` when another process holds it.
///
/// # Errors
///
/// When the lock file can't be made.
pub fn lock(folder: &Path) -> Result<Option<File>> {
    let path = folder.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

fn make_private(folder: &Path, account: Option<&Account>) -> Result<()> {
    let parent = folder.parent().context("a folder for a server needs a parent")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    if !folder.is_dir() {
        DirBuilder::new().mode(0o700).create(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
        .with_context(|| format!("cannot protect {}", folder.display()))?;
    account.map_or(Ok(()), |account| account.own(folder))
}

/// 16 hexadecimal digits that stand for `path`.
#[must_use]
pub fn short_name(path: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn elsewhere(wanted: &Path) -> PathBuf {
    let name = format!("humanchat-{}", short_name(wanted));
    let var_lib = Path::new("/var/lib");
    if var_lib.is_dir() { var_lib.join(name) } else { env::temp_dir().join(name) }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("no such path: {}", path.display()))
}

fn delete(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot delete {}", folder.display()))
        }
        _ => Ok(()),
    }
}
