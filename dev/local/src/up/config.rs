//! Settings from the environment and `.env`, where the environment wins, as the product reads them.

use std::collections::HashMap;
use std::env;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};

/// What the developer set.
#[derive(Debug)]
pub(crate) struct Config {
    file: HashMap<String, String>,
}

impl Config {
    /// Reads `.env` in `root`, if there is one.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let path = root.join(".env");
        if !path.exists() {
            return Ok(Self { file: HashMap::new() });
        }
        let entries = dotenvy::from_path_iter(&path).with_context(|| format!("cannot read {}", path.display()))?;
        // The error itself quotes the line, and secrets stand in there.
        let unreadable =
            |_| anyhow!("{} has a line that can't be read: put values with blanks in quotes", path.display());
        let file = entries.collect::<Result<_, _>>().map_err(unreadable)?;
        Ok(Self { file })
    }

    /// The setting `name`; empty counts as not set.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let set = match env::var_os(name) {
            Some(value) => value.to_string_lossy().into_owned(),
            None => self.file.get(name)?.clone(),
        };
        (!set.is_empty()).then_some(set)
    }
}
