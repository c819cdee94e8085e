//! The chain goes back to an earlier block: what both sides were told is gone, comes again, or comes under another id.

use std::time::Duration;

use t4t_api::settlement::{EscrowIntent, TransactionIntent};
use t4t_protocol::job::SellingState;
use t4t_types::{JobId, JobStatus, SwarmRef};

use super::rig::client::{Client, Order};
use super::rig::runner::Run;
use super::rig::{Market, USUAL, cost, messages};

fn is_post(intent: &TransactionIntent) -> bool {
    matches!(intent, TransactionIntent::Escrow(EscrowIntent::PostJob { .. }))
}

/// Waits until a job has come so far.
fn until_status(market: &mut Market, status: JobStatus) {
    market.until("the job has come so far", Duration::from_secs(60), |market| {
        market.world.chain().jobs.values().any(|job| job.terms.status == status)
    });
}

#[test]
fn a_post_that_is_taken_back_and_comes_again_is_served_and_paid_once() {
    let mut market = Market::of_two();
    let before = market.world.chain().clone();
    market.providers[0].backend.will(Run::Answers(Duration::from_secs(5)));
    market.gateway.ask(messages::purchase("hello"));
    until_status(&mut market, JobStatus::Acked);
    market.world.reorganise_to(before);
    market.pass(Duration::from_secs(2));
    market.world.mine_all(is_post);
    market.pass(Duration::from_secs(1));
    market.world.mine_all(|_| true);
    assert_eq!(market.until_told("hello"), Ok("hello".to_owned()), "{}", market.story());
    market.until_settled();
    assert_eq!(market.spent(), cost(USUAL));
    assert_eq!(market.providers[0].runs("hello"), 1);
}

#[test]
fn a_job_that_comes_back_under_another_id_is_paid_once_and_its_answer_is_the_apps() {
    let mut market = Market::of_two();
    let before = market.world.chain().clone();
    market.providers[0].backend.will(Run::Answers(Duration::from_secs(5)));
    market.gateway.ask(messages::purchase("hello"));
    until_status(&mut market, JobStatus::Acked);
    market.world.reorganise_to(before);
    // Another client's job takes the number.
    let other = Client::new(&market.world, 30);
    let provider = market.providers[0].wallet();
    let others = other.post(provider, &Order::of("the other's"));
    market.world.mine_all(is_post);
    market.pass(Duration::from_secs(1));
    market.world.mine_all(|_| true);
    assert_eq!(market.until_told("hello"), Ok("hello".to_owned()), "{}", market.story());
    market.until_settled();
    assert_eq!(market.spent(), cost(USUAL), "{}", market.story());
    assert_eq!(market.world.chain().jobs[&others].paid, Some(cost(USUAL)));
    assert!(market.world.chain().burned().is_zero());
}

/// Two jobs of one gateway are under way, and come back with each other's id.
fn exchange(market: &mut Market) {
    let before = market.world.chain().clone();
    for text in ["first", "second"] {
        market.providers[0].backend.will(Run::Answers(Duration::from_secs(5)));
        market.gateway.ask(messages::purchase(text));
        market.pass(Duration::from_millis(500));
    }
    let second = market.world.chain().posted[1];
    let hash = market.world.chain().jobs[&second].terms.request_hash;
    market.world.reorganise_to(before);
    market.pass(Duration::from_secs(1));
    market.world.mine_all(
        |intent| matches!(intent, TransactionIntent::Escrow(EscrowIntent::PostJob { request_hash, .. }) if *request_hash == hash),
    );
    market.world.mine_all(is_post);
    let now_second = id_of(market, hash);
    assert_ne!(now_second, second, "it has the other's id");
}

fn id_of(market: &Market, request_hash: SwarmRef) -> JobId {
    let chain = market.world.chain();
    let has_it = |id: &&JobId| chain.jobs[*id].terms.request_hash == request_hash;
    *chain.posted.iter().find(has_it).expect("it was posted again")
}

#[test]
fn two_jobs_whose_ids_are_exchanged_are_each_paid_once_and_answered_rightly() {
    let mut market = Market::of_two();
    exchange(&mut market);
    market.pass(Duration::from_secs(1));
    market.world.mine_all(|_| true);
    for text in ["first", "second"] {
        assert_eq!(market.until_told(text), Ok(text.to_owned()), "{}", market.story());
    }
    market.until_settled();
    assert_eq!(market.spent().plur(), cost(USUAL).plur() * 2, "{}", market.story());
    assert!(market.world.chain().burned().is_zero());
}

#[test]
fn two_jobs_whose_ids_are_exchanged_with_their_acknowledgements_cost_nobody_anything_that_was_not_served() {
    let mut market = Market::of_two();
    exchange(&mut market);
    market.world.mine_all(|_| true);
    let told = ["first", "second"].map(|text| market.until_told(text));
    market.until_settled();
    let answered = told.iter().filter(|end| end.is_ok()).count() as u128;
    assert_eq!(market.spent().plur(), cost(USUAL).plur() * answered, "{}", market.story());
    assert!(market.world.chain().burned().is_zero());
}

#[test]
fn a_claim_that_is_taken_back_is_made_again() {
    let mut market = Market::of_two();
    market.providers[0].backend.will(Run::Answers(Duration::from_secs(5)));
    market.gateway.ask(messages::purchase("hello"));
    until_status(&mut market, JobStatus::Acked);
    let before = market.world.chain().clone();
    assert_eq!(market.until_told("hello"), Ok("hello".to_owned()));
    until_status(&mut market, JobStatus::Claimed);
    market.pass(Duration::from_secs(1));
    market.world.reorganise_to(before);
    market.pass(Duration::from_secs(3));
    assert_eq!(market.spent(), t4t_types::Xbzz::ZERO, "nobody was paid");
    market.world.mine_all(|_| true);
    market.until_settled();
    assert_eq!((market.spent(), market.providers[0].runs("hello")), (cost(USUAL), 1));
    let job = market.world.chain().posted[0];
    assert_eq!(market.providers[0].state(job), Some(SellingState::Claimed));
}

#[test]
fn a_post_that_never_comes_again_is_nobodys_debt() {
    let mut market = Market::of_two();
    let before = market.world.chain().clone();
    market.providers[0].backend.will(Run::Answers(Duration::from_secs(5)));
    market.gateway.ask(messages::purchase("hello"));
    until_status(&mut market, JobStatus::Acked);
    market.world.reorganise_to(before);
    // By then the deadline has passed, and the contract takes it no more.
    market.pass(Duration::from_secs(400));
    market.world.mine_all(|_| true);
    market.until_settled();
    assert!(market.spent().is_zero(), "{}", market.story());
    assert!(market.world.chain().burned().is_zero());
}
