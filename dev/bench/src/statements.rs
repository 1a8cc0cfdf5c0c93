//! The product's statements, for tests to hold against them what others run.

use std::{fs, path::Path};

/// Every statement that the product's query macros know, in one line each.
pub fn products_statements() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.sqlx");
    let files = fs::read_dir(folder).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    let queries = files.map(|file| serde_json::from_slice::<serde_json::Value>(&file).unwrap());
    queries.map(|query| one_line(query["query"].as_str().unwrap())).collect()
}

/// A statement in one line.
pub fn one_line(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ").replace("( ", "(").replace(" )", ")")
}
