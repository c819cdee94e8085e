//! Everything here starts from a file that the code of schema 10 wrote: see `tests/fixtures/make_v10.rs`.

use std::borrow::Cow;
use std::os::unix::fs::PermissionsExt;

use bytes::Bytes;
use sqlx::migrate::{Migration, MigrationType};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqlSafeStr};
use t4t_protocol::job::{BuyingState, BuyingStep, SellingState, SellingStep};
use t4t_types::{Address, EncryptionKey, JobId, RequestId, SwarmRef, TokenUsage, UnixSeconds, Xbzz};

use super::*;
use crate::scene::MARKET;
use crate::transactions::TransactionScope;
use crate::{Market, Side};

const V10: &str = include_str!("../../tests/fixtures/t4t_v10.sql");
const OTHER: Address = Address::new([0xbb; 20]);
const SCOPE: TransactionScope = TransactionScope { chain_id: 100, wallet: Address::new([0xaa; 20]) };
const ESCROWED: Xbzz = Xbzz::from_plur(5_000_000);

/// A file of schema 10, as a process leaves it that was ended.
async fn old_file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t4t.db");
    let mut connection = raw(&path).await;
    sqlx::raw_sql(V10).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    (folder, path)
}

async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
}

async fn count(path: &Path, sql: &'static str) -> i64 {
    let mut connection = raw(path).await;
    let count = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    count
}

/// That a file is of schema 10 and holds what it held.
async fn is_as_it_was(path: &Path) {
    assert_eq!(count(path, "SELECT max(version) FROM _sqlx_migrations").await, 10);
    assert_eq!(count(path, "SELECT count(*) FROM sqlite_master WHERE name = 'markets'").await, 0);
    assert_eq!(count(path, "SELECT count(*) FROM buying_jobs").await, 12);
    assert_eq!(count(path, "SELECT count(*) FROM buying_jobs WHERE length(sealed_request) = 600").await, 3);
    assert_eq!(count(path, "SELECT count(*) FROM selling_jobs").await, 12);
    assert_eq!(count(path, "SELECT count(*) FROM selling_jobs WHERE sealed_answer IS NOT NULL").await, 8);
    assert_eq!(count(path, "SELECT count(*) FROM transaction_versions").await, 4);
    let schema_10 = MIGRATOR.iter().filter(|migration| migration.version <= 10).cloned().collect();
    let mut connection = raw(path).await;
    Migrator::with_migrations(schema_10).run_direct(None, &mut connection, false).await.unwrap();
    connection.close().await.unwrap();
}

fn job(number: u8) -> JobId {
    JobId::new([number; 32])
}

fn hash(number: u8) -> SwarmRef {
    SwarmRef::new([number; 32])
}

#[tokio::test]
async fn jobs_of_before_are_there_in_their_states_with_their_payloads() {
    let (_folder, path) = old_file().await;
    let store = Store::open_for(&path, MARKET).await.unwrap();
    let mut bought = store.buying_list_recent(100).await.unwrap();
    bought.reverse();
    let plur = |plur| Some(Xbzz::from_plur(plur));
    use BuyingState as B;
    let expected = [
        (B::Planned, None, None, None),
        (B::Posted, Some(job(2)), None, None),
        (B::Acked, Some(job(3)), None, None),
        (B::Delivered, Some(job(4)), Some(hash(0x84)), None),
        (B::Claimed, Some(job(5)), Some(hash(0x85)), plur(4_000_000)),
        (B::Cancelled, Some(job(6)), None, None),
        (B::TimedOut, Some(job(7)), None, None),
        (B::NotPosted, None, None, None),
        (B::Refused, Some(job(9)), Some(hash(0x89)), plur(0)),
        (B::Claimed, Some(job(10)), Some(hash(0x8a)), None),
        (B::Refused, Some(job(11)), None, plur(0)),
        (B::Delivered, None, Some(hash(0x8c)), None),
    ];
    for (number, (row, expected)) in (1..).zip(bought.iter().zip(expected)) {
        assert_eq!((row.state, row.job, row.response_hash, row.paid), expected, "{number}");
        assert_eq!((row.max_payment, row.explored), (ESCROWED, number % 2 == 1), "{number}");
        let sealed = store.buying_sealed_request((row.request_id, 1)).await.unwrap();
        assert_eq!(sealed, (number <= 3).then(|| vec![number; 600].into()), "{number}");
    }
    let mut sold = store.selling_list_recent(100).await.unwrap();
    sold.reverse();
    use SellingState as S;
    let cost = plur(500_000);
    let expected = [
        (S::Accepted, None, None, None, None),
        (S::Working, None, None, None, None),
        (S::Answered, None, cost, None, Some((0x23, 900))),
        (S::Uploaded, Some(hash(0xa4)), cost, None, Some((0x24, 900))),
        (S::Refusing, None, None, None, None),
        (S::Refusing, None, None, None, Some((0x26, 300))),
        (S::Claimed, Some(hash(0xa7)), cost, cost, Some((0x27, 900))),
        (S::Claimed, Some(hash(0xa8)), cost, None, Some((0x28, 900))),
        (S::Refused, None, None, plur(0), None),
        (S::Lost, None, cost, None, Some((0x2a, 900))),
        (S::Refusing, None, cost, None, Some((0x2b, 900))),
        (S::Lost, None, cost, None, Some((0x2c, 900))),
    ];
    for (number, (row, (state, at, payment, paid, sealed))) in (0x21_u8..).zip(sold.iter().zip(expected)) {
        assert_eq!(
            (row.state, row.response_hash, row.payment, row.paid),
            (state, at, payment, paid),
            "{number}"
        );
        assert_eq!(row.job, if number == 0x2c { job(0xfc) } else { job(number) });
        let kept = store.selling_sealed_answer(row.job).await.unwrap();
        assert_eq!(kept, sealed.map(|(byte, len)| vec![byte; len].into()), "{number}");
    }
    assert_eq!(sold[5].reason.as_deref(), Some("the backend is away"));
    assert_eq!((sold[0].runs, sold[1].runs), (0, 1));
}

#[tokio::test]
async fn whatever_else_was_there_is_there() {
    let (_folder, path) = old_file().await;
    let store = Store::open_for(&path, MARKET).await.unwrap();
    for number in [0x21, 0x22, 0x23] {
        let notice = store.notice_by_request(OTHER, hash(number + 0x40)).await.unwrap().unwrap();
        assert_eq!(notice.client_key, EncryptionKey::new([0xb3; 32]));
    }
    for (name, block) in [("buying", 41_000_010), ("selling", 41_000_020), ("registry-watcher", 41_000_030)] {
        assert_eq!(store.cursor_by_name(name).await.unwrap(), Some(block));
    }
    let open = store.transactions_open(SCOPE).await.unwrap();
    let versions: Vec<_> = open.iter().map(|row| (row.nonce, row.is_pending(), row.versions.len())).collect();
    assert_eq!(versions, [(0, true, 2), (2, false, 1)]);
    let posted = format!("post:{}:1", RequestId::new([2; 32]));
    assert!(!store.transaction_by_key(SCOPE, &posted).await.unwrap().unwrap().is_pending());
    assert_eq!(store.history_by_subject(Side::Buying, &[2; 32]).await.unwrap().len(), 2);
    assert_eq!(store.job_parties(job(2)).await.unwrap(), Some((SCOPE.wallet, OTHER)));
    let deadline = UnixSeconds::new(1_764_000_900);
    assert!(!store.envelope_insert(OTHER, &[7; 16], deadline).await.unwrap(), "a replay is still known");
    assert_eq!(store.offences_list().await.unwrap()[0].times, 2);
    assert_eq!(store.experience_list().await.unwrap()[0].answered, 3);
    assert_eq!(store.confirmed_keys_list(Address::new([0xdd; 20])).await.unwrap().len(), 1);

    let elsewhere = store.for_market(Market { chain_id: 1, ..MARKET }).await.unwrap();
    assert!(elsewhere.buying_list_recent(100).await.unwrap().is_empty());
    assert!(elsewhere.selling_list_recent(100).await.unwrap().is_empty());
    assert_eq!(elsewhere.cursor_by_name("selling").await.unwrap(), None);
    assert!(elsewhere.transaction_by_key(SCOPE, &posted).await.unwrap().is_none());
    let highest = store.transactions_highest_mined(SCOPE, ["", ""]).await.unwrap();
    assert_eq!(elsewhere.transactions_highest_mined(SCOPE, ["", ""]).await.unwrap(), highest);
}

#[tokio::test]
async fn purchases_open_at_the_upgrade_finish_and_every_plur_is_accounted_for() {
    let (_folder, path) = old_file().await;
    let store = Store::open_for(&path, MARKET).await.unwrap();
    let paid = |plur| BuyingStep::Claimed { response_hash: None, paid: Xbzz::from_plur(plur) };
    let ends = [
        (1, vec![BuyingStep::Posted { job: job(31) }, paid(1_000_000)]),
        (2, vec![BuyingStep::Acked, BuyingStep::Delivered { response_hash: hash(9) }, paid(2_000_000)]),
        (3, vec![BuyingStep::TimedOut]),
        (4, vec![paid(3_000_000)]),
        (12, vec![BuyingStep::Posted { job: job(32) }, BuyingStep::Refused { reason_at: None }]),
    ];
    for (number, steps) in ends {
        let id = (RequestId::new([number; 32]), 1);
        for step in steps {
            let before = store.buying_by_attempt(id).await.unwrap().unwrap();
            store.buying_move(id, before.state, &step, 9).await.unwrap();
            let after = store.buying_by_attempt(id).await.unwrap().unwrap();
            assert_eq!(before.after(&step).unwrap(), after);
        }
        assert_eq!(store.buying_sealed_request(id).await.unwrap(), None, "nobody needs it any more");
    }
    assert!(store.buying_list_open().await.unwrap().is_empty());
    let rows = store.buying_list_recent(100).await.unwrap();
    let sum =
        |amounts: Vec<Xbzz>| amounts.into_iter().fold(Xbzz::ZERO, |sum, one| sum.checked_add(one).unwrap());
    let told = sum(rows.iter().filter_map(|row| row.paid).collect());
    assert_eq!(told, Xbzz::from_plur(4_000_000 + 1_000_000 + 2_000_000 + 3_000_000));
    let (kept, back): (Vec<_>, Vec<_>) =
        rows.iter().filter(|row| row.job.is_some()).partition(|row| row.state == BuyingState::Claimed);
    // Eleven jobs were posted; what one of the five claims took was never told.
    assert_eq!((kept.len(), back.len()), (5, 6));
    assert!(back.iter().all(|row| row.paid.is_none_or(Xbzz::is_zero)));
}

#[tokio::test]
async fn sales_open_at_the_upgrade_finish_with_the_answers_that_they_had() {
    let (_folder, path) = old_file().await;
    let store = Store::open_for(&path, MARKET).await.unwrap();
    let usage = TokenUsage { prompt: 1, completion: 2 };
    let answered = |plur| SellingStep::Answered {
        sealed: Bytes::from_static(b"sealed"),
        usage,
        payment: Xbzz::from_plur(plur),
    };
    let uploaded = |number| SellingStep::Uploaded { response_hash: hash(number) };
    let ends = [
        (0x21, vec![SellingStep::Began, answered(100_000), uploaded(0xa1)]),
        (0x22, vec![SellingStep::Began, answered(200_000), uploaded(0xa2)]),
        (0x23, vec![uploaded(0xa3)]),
        (0x24, vec![]),
        (0x25, vec![SellingStep::Refused]),
        (0x26, vec![SellingStep::Refused]),
        (0x2b, vec![SellingStep::Refused]),
    ];
    let mut claimed = Xbzz::ZERO;
    for (number, steps) in ends {
        for step in steps {
            let state = store.selling_by_job(job(number)).await.unwrap().unwrap().state;
            store.selling_move(job(number).into(), state, &step, 9).await.unwrap();
        }
        let row = store.selling_by_job(job(number)).await.unwrap().unwrap();
        if row.state == SellingState::Uploaded {
            let (at, paid) = row.claim().unwrap();
            assert_eq!(at, hash(number + 0x80), "what is claimed is what was uploaded");
            store.selling_move((&row).into(), row.state, &SellingStep::Claimed { paid }, 10).await.unwrap();
            claimed = claimed.checked_add(paid).unwrap();
        }
    }
    assert!(store.selling_list_open().await.unwrap().is_empty());
    assert_eq!(claimed, Xbzz::from_plur(100_000 + 200_000 + 500_000 + 500_000));
    let runs = store.selling_by_job(job(0x22)).await.unwrap().unwrap().runs;
    assert_eq!(runs, 2, "what ran before the upgrade counts");
}

#[tokio::test]
async fn the_file_is_copied_once_before_it_is_changed() {
    let (_folder, path) = old_file().await;
    let copy = path.with_file_name("t4t.db.v10.bak");
    Store::open(&path).await.unwrap().close().await;
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    is_as_it_was(&copy).await;
    std::fs::remove_file(&copy).unwrap();
    Store::open(&path).await.unwrap().close().await;
    assert!(!copy.exists(), "nothing was changed, so nothing is copied");
    let fresh = path.with_file_name("fresh.db");
    Store::open(&fresh).await.unwrap().close().await;
    assert!(!path.with_file_name("fresh.db.v0.bak").exists());
}

#[tokio::test]
async fn a_copy_that_fails_stops_the_start_and_changes_nothing() {
    let (_folder, path) = old_file().await;
    let copy = path.with_file_name("t4t.db.v10.bak");
    std::fs::create_dir_all(copy.join("in the way")).unwrap();
    let error = Store::open(&path).await.expect_err("a copy that can't be made");
    assert!(matches!(error, StoreError::NotCopied { .. }), "{error:?}");
    assert!(error.to_string().contains("t4t.db.v10.bak"), "{error}");
    is_as_it_was(&path).await;
    assert!(!path.with_file_name("t4t.db.v10.bak.part").exists(), "it would only take room");
    std::fs::remove_dir_all(&copy).unwrap();
    Store::open(&path).await.unwrap();
}

#[tokio::test]
async fn an_upgrade_that_fails_halfway_changes_nothing() {
    let (_folder, path) = old_file().await;
    let sql = "CREATE TABLE half (done); DELETE FROM notices; INSERT INTO nowhere VALUES (1)";
    let failing =
        Migration::new(12, Cow::Borrowed("fails"), MigrationType::Simple, sql.into_sql_str(), false);
    let all = MIGRATOR.iter().cloned().chain([failing]).collect();
    let store = Store::connect(&path, true, 1).await.unwrap();
    let error = bring_up_to_date(&store, &Migrator::with_migrations(all)).await.expect_err("a bad upgrade");
    assert!(matches!(error, StoreError::Migration { .. }), "{error:?}");
    store.close().await;
    is_as_it_was(&path).await;
    assert_eq!(count(&path, "SELECT count(*) FROM notices").await, 3);
    Store::open(&path).await.unwrap();
}

#[tokio::test]
async fn an_older_program_refuses_a_newer_file_and_names_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t4t.db");
    Store::open(&path).await.unwrap().close().await;
    let mut connection = raw(&path).await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99, 'later', 1, x'00', 1)";
    sqlx::raw_sql(newer).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    for error in [Store::open(&path).await.err(), Store::open_existing(&path).await.err()] {
        let text = error.unwrap().to_string();
        let expected = "the database t4t.db was written by a newer version (schema 99), this program knows 11: install \
                        the newer one or restore t4t.db.v11.bak";
        assert_eq!(text, expected);
    }
}

#[tokio::test]
async fn a_reader_changes_no_older_file_and_says_what_does() {
    let (_folder, path) = old_file().await;
    let error = Store::open_existing(&path).await.expect_err("an older file");
    assert!(matches!(error, StoreError::Older { found: 10, known: 11, .. }), "{error:?}");
    is_as_it_was(&path).await;
}
