//! A disk that is nearly full: no new work is taken on, and what is open comes to its end.
//!
//! The disk's free space is pretended by a file that the environment names, so that each test runs in a process of its own.

use std::process::Command;
use std::time::Duration;

use t4t_api::ServiceError;
use t4t_types::Xbzz;

use super::rig::client::{Client, Order};
use super::rig::runner::Run;
use super::rig::{Market, USUAL, cost};

/// The variable that names the file with the bytes that are left.
const DISK_FREE_FILE: &str = "DISK_FREE_FILE";

/// Runs one of the tests below with a pretended disk.
fn alone(test: &str) {
    let folder = tempfile::tempdir().unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", test])
        .env(DISK_FREE_FILE, folder.path().join("free"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && said.contains("1 passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&child.stderr)
    );
}

fn left(bytes: u64) {
    std::fs::write(std::env::var_os(DISK_FREE_FILE).unwrap(), bytes.to_string()).unwrap();
}

const NEARLY_FULL: u64 = 1 << 20;
const PLENTY: u64 = 1 << 40;

#[test]
fn a_gateway_buys_nothing_on_a_disk_that_is_nearly_full_and_buys_again_when_there_is_room() {
    alone("disk::a_gateway_on_a_pretended_disk");
}

#[test]
#[ignore = "run by another test, with a pretended disk"]
fn a_gateway_on_a_pretended_disk() {
    left(PLENTY);
    let mut market = Market::of_two();
    market.providers[0].backend.will(Run::Answers(Duration::from_secs(5)));
    market.gateway.ask(super::rig::messages::purchase("first"));
    market.until("it is worked on", Duration::from_secs(20), |market| market.providers[0].runs("first") == 1);
    left(NEARLY_FULL);
    assert_eq!(market.until_told("first"), Ok("first".to_owned()), "what is open comes to its end");
    let told = market.ask("second").unwrap_err();
    assert_eq!(told.status(), 503);
    assert!(told.to_string().contains("nearly full"), "{told}");
    left(PLENTY);
    market.pass(Duration::from_secs(11));
    assert_eq!(market.ask("third"), Ok("third".to_owned()));
    market.until_settled();
    assert_eq!(market.spent().plur(), cost(USUAL).plur() * 2);
}

#[test]
fn a_provider_refuses_new_jobs_on_a_disk_that_is_nearly_full_and_claims_the_old_ones() {
    alone("disk::a_provider_on_a_pretended_disk");
}

#[test]
#[ignore = "run by another test, with a pretended disk"]
fn a_provider_on_a_pretended_disk() {
    left(PLENTY);
    let mut market = Market::new();
    market.add_provider(USUAL);
    market.pass(Duration::from_secs(20));
    let client = Client::new(&market.world, 30);
    let provider = market.providers[0].wallet();
    market.providers[0].backend.will(Run::Answers(Duration::from_secs(20)));
    let first = client.post(provider, &Order::of("first"));
    market.until("it is worked on", Duration::from_secs(20), |market| market.providers[0].runs("first") == 1);
    left(NEARLY_FULL);
    market.pass(Duration::from_secs(11));
    let second = client.post(provider, &Order::of("second"));
    market.until("both are closed", Duration::from_secs(60), |market| {
        market.world.chain().open_jobs().count() == 0
    });
    let paid = [first, second].map(|job| market.world.chain().jobs[&job].paid);
    assert_eq!(paid, [Some(cost(USUAL)), Some(Xbzz::ZERO)]);
    let reason = market.providers[0].row(second).and_then(|row| row.reason).unwrap_or_default();
    assert!(reason.contains("nearly full"), "{reason}");
    market.until_settled();
}
