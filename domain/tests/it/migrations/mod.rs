//! Migrations, as migrations/README.md wants them: what was released stays as it is, and what comes after it neither
//! breaks the programs that run nor keeps them waiting.

mod locks;
mod policy;
mod programs;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations")
}

/// All migrations there are, by the name of their file.
fn all() -> BTreeMap<String, String> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let migrations = files.filter(|file| file.extension().is_some_and(|end| end == "sql"));
    let name = |file: &Path| file.file_name().unwrap().to_str().unwrap().to_owned();
    migrations.map(|file| (name(&file), fs::read_to_string(&file).unwrap())).collect()
}

/// The latest release, as `bin/release` recorded it.
struct Release {
    version: String,
    /// Checksums of its migrations.
    migrations: BTreeMap<String, String>,
    /// What its programs say to the database.
    statements: Vec<String>,
}

impl Release {
    /// None before the first one.
    fn latest() -> Option<Self> {
        let read = |name: &str| fs::read_to_string(folder().join("released").join(name));
        let version = read("version").ok()?.trim().to_owned();
        let migrations = read("migrations").unwrap();
        let migrations = migrations.lines().map(|line| line.split_once("  ").unwrap());
        let migrations = migrations.map(|(sum, name)| (name.to_owned(), sum.to_owned())).collect();
        let statements = read("statements").unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        Some(Self { version, migrations, statements })
    }
}

#[test]
fn released_migrations_stay_as_they_are() {
    let Some(released) = Release::latest() else { return };
    let all = all();
    for (name, sum) in &released.migrations {
        let now = all.get(name).map(|text| hex(&Sha256::digest(text)));
        assert_eq!(now.as_ref(), Some(sum), "{name} was released with {}", released.version);
    }
    let newest = released.migrations.keys().next_back().unwrap();
    for name in all.keys().filter(|name| !released.migrations.contains_key(*name)) {
        assert!(name > newest, "{name} is older than {newest}, which was released");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
