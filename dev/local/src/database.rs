//! Making and migrating databases on a running server.

use std::path::Path;

use anyhow::{Context as _, Result};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// Creates database `name` on the server that `url` leads to (to any database of it), as a copy of
/// `template` if given.
///
/// # Errors
///
/// When it exists already, someone is connected to the template, or the server can't be reached.
pub async fn create(url: &str, name: &str, template: Option<&str>) -> Result<()> {
    let copy = template.map(|template| format!(" template {}", quoted(template))).unwrap_or_default();
    let mut connection = connect(url).await?;
    sqlx::query(AssertSqlSafe(format!("create database {}{copy}", quoted(name))))
        .execute(&mut connection)
        .await
        .with_context(|| format!("cannot create the database {name}"))?;
    connection.close().await?;
    Ok(())
}

/// Creates database `name` unless it exists; says whether it did.
///
/// # Errors
///
/// When the server can't be reached or refuses.
pub async fn create_if_missing(url: &str, name: &str) -> Result<bool> {
    let mut connection = connect(url).await?;
    let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(name)
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    if !exists {
        create(url, name, None).await?;
    }
    Ok(!exists)
}

/// Brings the database at `url` up to date with the SQL files in `migrations`.
///
/// # Errors
///
/// When the folder can't be read, or a migration fails or differs from the one that ran before.
pub async fn migrate(url: &str, migrations: &Path) -> Result<()> {
    let migrator = Migrator::new(migrations)
        .await
        .with_context(|| format!("cannot read the migrations in {}", migrations.display()))?;
    let mut connection = connect(url).await?;
    migrator.run(&mut connection).await.context("a migration failed")?;
    // Closed in order: a connection that lingers would keep the database from being a template.
    connection.close().await?;
    Ok(())
}

async fn connect(url: &str) -> Result<PgConnection> {
    PgConnection::connect(url).await.context("cannot connect to Postgres")
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
