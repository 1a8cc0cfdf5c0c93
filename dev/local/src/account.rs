//! The account that servers run under when we are root.
//!
//! `initdb` and `postgres` refuse to run as root, so a container's root hands its servers, and the
//! folders they write to, to `postgres`, or to `nobody` where that doesn't exist. Data stays with the account
//! that made it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

use anyhow::{Context as _, Result};
use nix::unistd::{Uid, User, geteuid};

use crate::launch::{self, Death};

/// An unprivileged account of this machine.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its numeric id.
    pub uid: u32,
    /// Its main group's numeric id.
    pub gid: u32,
    /// Its name.
    pub name: String,
}

impl Account {
    /// The account for servers: `None` when we aren't root, and servers run as ourselves.
    ///
    /// # Errors
    ///
    /// When we are root and there is neither a `postgres` nor a `nobody`.
    pub fn for_servers() -> Result<Option<Self>> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        let user = ["postgres", "nobody"]
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .context("Postgres refuses to run as root, and there is no account postgres or nobody")?;
        Ok(Some(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw(), name: user.name }))
    }

    /// The account for a server whose data is in `data`: whoever owns it already, for a package that is installed
    /// meanwhile may bring an account `postgres`, and Postgres refuses data of another; else as
    /// [`Account::for_servers`].
    ///
    /// # Errors
    ///
    /// As [`Account::for_servers`].
    pub fn for_data(data: &Path) -> Result<Option<Self>> {
        let Some(usual) = Self::for_servers()? else {
            return Ok(None);
        };
        let owner = fs::metadata(data).ok().filter(|data| data.uid() != 0).map(|data| Self {
            uid: data.uid(),
            gid: data.gid(),
            name: User::from_uid(Uid::from_raw(data.uid()))
                .ok()
                .flatten()
                .map_or_else(|| data.uid().to_string(), |user| user.name),
        });
        Ok(Some(owner.unwrap_or(usual)))
    }

    /// Makes the account own `path` (not what is below).
    ///
    /// # Errors
    ///
    /// When the owner can't be changed.
    pub fn own(&self, path: &Path) -> Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("cannot give {} to {}", path.display(), self.name))
    }

    /// Whether the account can write to `folder`: asked from the system, since the answer depends on
    /// every folder above.
    #[must_use]
    pub fn can_use(&self, folder: &Path) -> bool {
        self.test("-w", folder)
    }

    /// Whether the account can reach what is in `folder`.
    #[must_use]
    pub fn can_enter(&self, folder: &Path) -> bool {
        self.test("-x", folder)
    }

    fn test(&self, question: &str, folder: &Path) -> bool {
        let mut probe = launch::command("test", Some(self), Death::Alone);
        probe.arg(question).arg(folder).current_dir("/");
        probe.status().is_ok_and(|status| status.success())
    }
}
