//! What a role's database keeps of the messages that it was sent: a message that counts leaves a row before it does
//! anything, so one without a row did nothing.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, ensure};
use sqlx::{Connection, SqliteConnection};
use t4t_testkit::eventually;
use t4t_testkit::processes::PATIENCE;
use t4t_types::SwarmRef;

/// Hexadecimal digits of a nonce.
const DIGITS: usize = 32;

/// Waits until a message was taken; what was sent before it was looked at by then.
pub(crate) async fn taken(database: &Path, message: &[u8]) -> anyhow::Result<()> {
    let nonce = nonce(message).context("a message without a nonce")?;
    eventually(PATIENCE, "a message's row", async || {
        seen(database).await.ok()?.contains(&nonce).then_some(())
    })
    .await
}

/// Fails if one of these messages was taken, in whosever name.
pub(crate) async fn none_taken(database: &Path, messages: &[Vec<u8>]) -> anyhow::Result<()> {
    let seen = seen(database).await?;
    let nonces: Vec<String> = messages.iter().filter_map(|message| nonce(message)).collect();
    ensure!(!nonces.is_empty(), "there is nothing to look for");
    let taken: Vec<&String> = nonces.iter().filter(|nonce| seen.contains(*nonce)).collect();
    ensure!(taken.is_empty(), "taken: {taken:?}");
    Ok(())
}

/// How many notices for a request are kept, of all clients.
pub(crate) async fn notices(database: &Path, request: SwarmRef) -> anyhow::Result<i64> {
    let mut connection = open(database).await?;
    let count = sqlx::query_scalar("SELECT count(*) FROM notices WHERE request_hash = ?")
        .bind(request.as_bytes().as_slice())
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    Ok(count)
}

/// Takes the notices for a request out, so that one that is taken again shows.
pub(crate) async fn forget_notices(database: &Path, request: SwarmRef) -> anyhow::Result<()> {
    let mut connection = open(database).await?;
    sqlx::query("DELETE FROM notices WHERE request_hash = ?")
        .bind(request.as_bytes().as_slice())
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    Ok(())
}

/// The nonces of all messages that were taken.
async fn seen(database: &Path) -> anyhow::Result<HashSet<String>> {
    let mut connection = open(database).await?;
    let nonces = sqlx::query_scalar("SELECT lower(hex(nonce)) FROM seen_envelopes");
    let nonces: Vec<String> = nonces.fetch_all(&mut connection).await?;
    connection.close().await?;
    Ok(nonces.into_iter().collect())
}

async fn open(database: &Path) -> anyhow::Result<SqliteConnection> {
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", database.display())).await?;
    sqlx::query("PRAGMA busy_timeout = 5000").execute(&mut connection).await?;
    Ok(connection)
}

/// The nonce in a message's text, which need not be whole.
fn nonce(message: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(message).ok()?;
    let (_, rest) = text.split_once("\"nonce\":\"0x")?;
    let nonce = rest.get(..DIGITS)?;
    nonce.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| nonce.to_lowercase())
}
