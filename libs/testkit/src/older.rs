//! Databases that an older version left.

use std::path::Path;

use anyhow::Context;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

const SCHEMA_10: &str = include_str!("../../store/tests/fixtures/t4t_v10.sql");

/// Writes a database of schema 10: jobs of both sides in every state, with their sealed payloads, and what was around
/// them. `make_v10.rs` beside the fixture says what is in it.
///
/// # Errors
/// The file can't be written.
pub async fn database_of_schema_10(path: &Path) -> anyhow::Result<()> {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.context("the older database can't be made")?;
    sqlx::raw_sql(SCHEMA_10).execute(&mut connection).await?;
    Ok(connection.close().await?)
}
