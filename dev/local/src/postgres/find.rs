//! Finding a Postgres installation, or getting one.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::account::Account;
use crate::launch::{self, Death};
use crate::{install, place, workspace_root};

/// The oldest version whose features the schema uses.
const OLDEST: u32 = 15;

/// A folder with Postgres' server programs.
#[derive(Debug, Clone)]
pub struct Installation {
    /// The folder with `initdb` and `postgres`.
    pub bin: PathBuf,
    /// The major version, say 15.
    pub major: u32,
}

/// The first usable installation, of version `major` if a cluster asks for it: `HC_PG_BIN`, `pg_config`,
/// `PATH`, the usual places, and, if `may_install`, the package manager and npm.
pub(super) fn installation(major: Option<u32>, account: Option<&Account>, may_install: bool) -> Result<Installation> {
    let fits = |bin: &PathBuf| -> Option<Installation> {
        let found = version_of(bin, account)?;
        let wanted = major.map_or(found >= OLDEST, |major| found == major);
        wanted.then(|| Installation { bin: bin.clone(), major: found })
    };
    if let Some(bin) = env::var_os("HC_PG_BIN").filter(|bin| !bin.is_empty()).map(PathBuf::from) {
        return fits(&bin).with_context(|| format!("HC_PG_BIN={} holds no usable {}", bin.display(), wish(major)));
    }
    if let Some(found) = usual_places().iter().find_map(fits) {
        return Ok(found);
    }
    if may_install {
        // A cluster of another version can't be served by whatever the package manager offers now.
        if major.is_none()
            && install::system_packages(&["postgresql"], &["postgresql@17"])
            && let Some(found) = usual_places().iter().find_map(fits)
        {
            return Ok(found);
        }
        if let Some(found) = from_npm(account)?.as_ref().and_then(fits) {
            return Ok(found);
        }
    }
    if let Some(major) = major {
        bail!(
            "the data was made by PostgreSQL {major}, which isn't here any more: install it, set \
             HC_PG_BIN to its folder, or start afresh with bin/dev --reset"
        );
    }
    bail!(
        "no {} server found: install it (apt-get install postgresql; brew install postgresql@17), or \
         set HC_PG_BIN to the folder with initdb and postgres, or DATABASE_URL to a running one",
        wish(None)
    )
}

fn wish(major: Option<u32>) -> String {
    major.map_or_else(|| format!("PostgreSQL {OLDEST} or newer"), |major| format!("PostgreSQL {major}"))
}

/// The major version of the server in `bin`, if the account that will run it can.
fn version_of(bin: &Path, account: Option<&Account>) -> Option<u32> {
    if !install::is_executable(&bin.join("initdb")) {
        return None;
    }
    let mut probe = launch::command(bin.join("postgres"), account, Death::Alone);
    let output = probe.arg("--version").current_dir("/").stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let digits = text.split_once(") ")?.1;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn usual_places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").stderr(Stdio::null()).output() {
        places.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    let in_path = install::in_path("postgres");
    places.extend(in_path.and_then(|program| program.parent().map(Path::to_path_buf)));
    for (parent, prefix, below) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/opt/homebrew/opt", "postgresql@", "bin"),
        ("/usr/local/opt", "postgresql@", "bin"),
        ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/usr/libexec", "postgresql", ""),
    ] {
        places.extend(newest_first(parent, prefix).into_iter().map(|folder| folder.join(below)));
    }
    places
}

/// The folders in `parent` named `prefix` and a number, the highest number first.
fn newest_first(parent: &str, prefix: &str) -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let number = name.to_str()?.strip_prefix(prefix)?.split('.').next()?.parse().ok()?;
            Some((number, entry.path()))
        })
        .collect();
    versions.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    versions.into_iter().map(|(_, path)| path).collect()
}

fn from_npm(account: Option<&Account>) -> Result<Option<PathBuf>> {
    let base = workspace_root().map_or_else(|_| env::temp_dir(), |root| root.join(".data"));
    let folder = place::open(&base.join("npm-postgres"), account)?;
    Ok(install::npm_postgres(&folder))
}
