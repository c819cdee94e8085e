//! A job from both sides, and what the contract refuses.

use t4t_api::settlement::{
    EscrowIntent, SettlementError, TransactionKey, TransactionOutcome, TransactionStatus,
};
use t4t_chain::contracts::JobStatus;
use t4t_types::{JobId, SwarmRef, Xbzz};

use crate::world::{CLIENT, PRICE, PROVIDER, World, done, is_mined, job_of, outcome, submit};

fn claim(job: JobId, paid: Xbzz) -> EscrowIntent {
    EscrowIntent::ClaimJob { job, response_hash: SwarmRef::new([3; 32]), paid }
}

fn amount(status: &TransactionStatus) -> Option<Xbzz> {
    match status.outcome {
        TransactionOutcome::Mined { amount, .. } => amount,
        _ => panic!("not mined: {status:?}"),
    }
}

fn reason(status: &TransactionStatus) -> &str {
    match &status.outcome {
        TransactionOutcome::Reverted { reason, .. } => reason,
        _ => panic!("not reverted: {status:?}"),
    }
}

#[actix_web::test]
async fn an_ack_and_a_claim_do_not_wait_for_each_other_and_a_claim_pays_once() {
    let world = World::with_provider().await;
    let (client, provider) = (world.start(CLIENT).await, world.start(PROVIDER).await);
    let job = job_of(&done(&client.settlement, "post:1", world.job().await).await);
    let before = world.market.xbzz_of(world.wallet(PROVIDER)).await.unwrap();
    world.anvil.stop_mining().await.unwrap();
    let half = Xbzz::from_plur(PRICE.plur() / 2);
    let (ack, paid) = (TransactionKey::ack(job), TransactionKey::claim(job));
    let acked = submit(&provider.settlement, ack.as_str(), EscrowIntent::AckJob { job }).await.unwrap();
    let claimed = submit(&provider.settlement, paid.as_str(), claim(job, half)).await.unwrap();
    let again = submit(&provider.settlement, paid.as_str(), claim(job, half)).await.unwrap();
    assert_eq!((claimed.nonce, &again), (acked.nonce + 1, &claimed));
    // Under another key it is another transaction, which the contract refuses.
    let other = submit(&provider.settlement, "claim:other", claim(job, half)).await.unwrap();
    assert_eq!(other.nonce, claimed.nonce + 1);
    world.anvil.set_block_time(None).await.unwrap();
    world.anvil.mine(1).await.unwrap();
    assert_eq!(amount(&outcome(&provider.settlement, paid.as_str()).await), Some(half));
    assert!(is_mined(&outcome(&provider.settlement, ack.as_str()).await));
    assert_eq!(reason(&outcome(&provider.settlement, "claim:other").await), "BadStatus");
    let after = world.market.xbzz_of(world.wallet(PROVIDER)).await.unwrap();
    assert_eq!(after.checked_sub(before), Some(half));
    client.stop().await;
    provider.stop().await;
}

#[actix_web::test]
async fn a_refusal_refunds_and_reports_nothing_paid() {
    let world = World::with_provider().await;
    let (client, provider) = (world.start(CLIENT).await, world.start(PROVIDER).await);
    let before = world.market.xbzz_of(world.wallet(CLIENT)).await.unwrap();
    let job = job_of(&done(&client.settlement, "post:1", world.job().await).await);
    let refused = done(&provider.settlement, "claim:1", EscrowIntent::RefuseJob { job }).await;
    assert_eq!((amount(&refused), job_of(&refused)), (Some(Xbzz::ZERO), job));
    assert_eq!(world.market.xbzz_of(world.wallet(CLIENT)).await.unwrap(), before);
    client.stop().await;
    provider.stop().await;
}

#[actix_web::test]
async fn a_cancellation_is_refused_with_its_reason_until_its_time_has_come() {
    let world = World::with_provider().await;
    let client = world.start(CLIENT).await;
    let job = job_of(&done(&client.settlement, "post:1", world.job().await).await);
    let cancel = EscrowIntent::CancelJob { job };
    let early = submit(&client.settlement, "cancel:1", cancel.clone()).await;
    let Err(SettlementError::Refused { reason, advice }) = early else { panic!("{early:?}") };
    assert_eq!(reason, "DeadlineNotPassed");
    assert!(advice.contains("deadline"), "{advice}");
    world.anvil.advance_time(31).await.unwrap();
    let cancelled = done(&client.settlement, "cancel:1", cancel).await;
    assert!(amount(&cancelled).is_some_and(|slash| !slash.is_zero()));
    let terms = world.market.addresses.escrow().job(world.anvil.rpc(), job).await.unwrap();
    assert_eq!(terms.status, JobStatus::Cancelled);
    client.stop().await;
}

#[actix_web::test]
async fn a_job_that_was_not_delivered_is_timed_out() {
    let world = World::with_provider().await;
    let (client, provider) = (world.start(CLIENT).await, world.start(PROVIDER).await);
    let job = job_of(&done(&client.settlement, "post:1", world.job().await).await);
    done(&provider.settlement, "ack:1", EscrowIntent::AckJob { job }).await;
    let since = world.now().await;
    world.anvil.advance_time(3700).await.unwrap();
    assert!(world.now().await.since(since) >= 3700);
    let timed_out = done(&client.settlement, "timeout:1", EscrowIntent::TimeOutJob { job }).await;
    assert_eq!(job_of(&timed_out), job);
    // Too late now: the fixed gas is spent, the reason is told.
    submit(&provider.settlement, "claim:1", claim(job, PRICE)).await.unwrap();
    assert_eq!(reason(&outcome(&provider.settlement, "claim:1").await), "BadStatus");
    client.stop().await;
    provider.stop().await;
}
