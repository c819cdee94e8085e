//! The selling side when its runner, its settlement or its slots fail: an acknowledged job is answered or refused in time.

use std::time::Duration;

use t4t_api::TransportError;
use t4t_api::settlement::SettlementError;
use t4t_inference::Refusal;
use t4t_types::{Address, JobId, Xbzz};

use super::rig::client::{Client, Order};
use super::rig::runner::Run;
use super::rig::world::{Fate, lock};
use super::rig::{Market, USUAL, cost};

fn shop() -> (Market, Client, Address) {
    let mut market = Market::new();
    market.add_provider(USUAL);
    let client = Client::new(&market.world, 30);
    let provider = market.providers[0].wallet();
    (market, client, provider)
}

fn until_closed(market: &mut Market, job: JobId) -> Option<Xbzz> {
    market.until("the job is closed", Duration::from_secs(900), |market| {
        !market.world.chain().jobs[&job].terms.status.is_open()
    });
    assert!(market.world.chain().burned().is_zero(), "{}", market.story());
    market.world.chain().jobs[&job].paid
}

#[test]
fn what_a_runner_does_not_answer_is_refused_and_the_client_reads_why() {
    let of_request =
        Refusal { code: Some("context_length_exceeded".into()), ..Refusal::of_request("too long") };
    for (run, status, says) in [
        (Run::Refuses(of_request), Some(400), "too long"),
        (Run::Refuses(Refusal::try_again("overloaded", 3)), Some(503), "overloaded"),
        (Run::Fails, None, "out of order"),
        (Run::Dies, None, "without its end"),
    ] {
        let (mut market, client, provider) = shop();
        market.providers[0].backend.will(run.clone());
        let job = client.post(provider, &Order::of("hello"));
        assert_eq!(until_closed(&mut market, job), Some(Xbzz::ZERO), "{run:?}");
        market.until_settled();
        let error = client.read(job)["error"].clone();
        assert!(error["message"].as_str().unwrap_or_default().contains(says), "{error}");
        assert_eq!(error["status"].as_u64(), status, "{error}");
        assert_eq!(market.world.chain().balance(client.address()), Xbzz::from_whole(1000));
    }
}

#[test]
fn a_runner_that_falls_silent_is_given_up_while_that_costs_nothing() {
    let (mut market, client, provider) = shop();
    market.providers[0].backend.will(Run::Hangs);
    let job = client.post(provider, &Order::of("hello"));
    assert_eq!(until_closed(&mut market, job), Some(Xbzz::ZERO));
    let deadline = market.world.chain().jobs[&job].terms.delivery_deadline;
    assert!(market.world.now() < deadline, "in time");
    market.until_settled();
}

#[test]
fn a_runner_that_is_full_for_a_while_is_asked_again() {
    let (mut market, client, provider) = shop();
    for _ in 0..20 {
        market.providers[0].backend.will(Run::IsFull);
    }
    let job = client.post(provider, &Order::of("hello"));
    assert_eq!(until_closed(&mut market, job), Some(cost(USUAL)));
    assert_eq!(market.providers[0].runs("hello"), 21);
    market.until_settled();
}

#[test]
fn what_finds_no_slot_in_time_is_refused_and_what_has_one_is_served() {
    let mut market = Market::new();
    market.add_provider(USUAL);
    *lock(&market.providers[0].backend.slots) = 1;
    market.pass(Duration::from_secs(70));
    let client = Client::new(&market.world, 30);
    let provider = market.providers[0].wallet();
    market.providers[0].backend.will(Run::Answers(Duration::from_secs(60)));
    let first = client.post(provider, &Order::of("first"));
    market.pass(Duration::from_secs(1));
    let second = client.post(provider, &Order::of("second"));
    assert_eq!(until_closed(&mut market, second), Some(Xbzz::ZERO));
    assert_eq!(until_closed(&mut market, first), Some(cost(USUAL)));
    market.until_settled();
    let row = market.providers[0].row(second).unwrap();
    assert_eq!(row.reason.as_deref(), Some("all slots are taken"));
}

#[test]
fn a_claim_that_settlement_does_not_take_is_sent_until_it_does() {
    let busy = TransportError::Busy { service: "settlement".into(), retry_after_s: 1 };
    let gone = SettlementError::Chain { reason: "no endpoint answers".into() };
    for error in [SettlementError::Transport { cause: busy }, gone] {
        let (mut market, client, provider) = shop();
        market.world.order(provider, "claim:", Fate::NotTaken(error.clone()), 5);
        let job = client.post(provider, &Order::of("hello"));
        assert_eq!(until_closed(&mut market, job), Some(cost(USUAL)), "{error}");
        market.until_settled();
        assert_eq!(market.providers[0].runs("hello"), 1, "{error}");
    }
}

#[test]
fn a_claim_whose_reply_is_lost_or_that_takes_long_pays_once() {
    let lost = SettlementError::Chain { reason: "the reply was lost".into() };
    for fate in [Fate::ReplyLost(lost), Fate::PendingFor(Duration::from_secs(90))] {
        let (mut market, client, provider) = shop();
        market.world.order(provider, "claim:", fate.clone(), 1);
        let job = client.post(provider, &Order::of("hello"));
        assert_eq!(until_closed(&mut market, job), Some(cost(USUAL)), "{fate:?}");
        market.until_settled();
        let claims = market
            .world
            .chain()
            .transactions
            .iter()
            .filter(|one| one.key.as_str().starts_with("claim:"))
            .count();
        assert_eq!(claims, 1, "{fate:?}");
    }
}

#[test]
fn a_claim_that_the_contract_refused_is_made_again_while_the_job_is_open() {
    let (mut market, client, provider) = shop();
    market.world.order(provider, "claim:", Fate::Reverts("BadStatus"), 2);
    let job = client.post(provider, &Order::of("hello"));
    assert_eq!(until_closed(&mut market, job), Some(cost(USUAL)));
    market.until_settled();
    assert_eq!(market.providers[0].runs("hello"), 1);
}

#[test]
fn claims_that_get_into_no_block_close_the_shop_until_they_do() {
    let (mut market, client, provider) = shop();
    market.world.order(provider, "claim:", Fate::Stuck, 1);
    let job = client.post(provider, &Order::of("hello"));
    market.pass(Duration::from_secs(80));
    let refusing = market.providers[0].status().refusing.unwrap_or_default();
    assert!(refusing.contains("is in no block"), "{refusing}");
    let turned_away = client.post(provider, &Order::of("second"));
    assert_eq!(until_closed(&mut market, turned_away), Some(Xbzz::ZERO));
    market.world.mine_all(|_| true);
    assert_eq!(until_closed(&mut market, job), Some(cost(USUAL)));
    market.until_settled();
    market.pass(Duration::from_secs(11));
    assert_eq!(market.providers[0].status().refusing, None);
}

#[test]
fn an_acknowledgement_that_settlement_does_not_take_is_sent_until_it_is_too_late() {
    let gone = SettlementError::Chain { reason: "no endpoint answers".into() };
    let (mut market, client, provider) = shop();
    market.world.order(provider, "ack:", Fate::NotTaken(gone), 5);
    market.providers[0].backend.will(Run::Answers(Duration::from_secs(20)));
    let job = client.post(provider, &Order::of("hello"));
    assert_eq!(until_closed(&mut market, job), Some(cost(USUAL)));
    assert!(market.world.chain().jobs[&job].terms.acked_at.get() > 0);
    market.until_settled();
}
