//! Where the workspace is on disk.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The folder of the workspace's `Cargo.toml`: searched upwards from the current directory, then from
/// the running executable.
///
/// # Errors
///
/// When neither of them is inside a Cargo workspace.
pub fn workspace_root() -> Result<PathBuf> {
    let starts = [env::current_dir().ok(), env::current_exe().ok()];
    starts
        .iter()
        .flatten()
        .find_map(|start| above(start))
        .context("not inside the workspace: no Cargo.toml with [workspace] in any folder above")
}

fn above(start: &Path) -> Option<PathBuf> {
    start
        .ancestors()
        .find(|folder| {
            fs::read_to_string(folder.join("Cargo.toml"))
                .is_ok_and(|manifest| manifest.lines().any(|line| line.trim() == "[workspace]"))
        })
        .map(Path::to_path_buf)
}
