//! A job's life, read and written through the typed calls.

use t4t_chain::contracts::JobStatus;
use t4t_chain::{BlockTag, ChainError, ChainEvent, LogScanner};
use t4t_types::{Address, JobId, SwarmRef, Xbzz};

use crate::{Fixture, never, offering};
use t4t_testkit::anvil::Market;

#[tokio::test]
async fn a_registered_provider_is_read_back_as_it_was_written() {
    let fixture = Fixture::start().await;
    let (rpc, registry) = (fixture.anvil.rpc(), fixture.market.addresses.registry());
    let owner = fixture.provider.address();
    let record = registry.provider(rpc, owner).await.unwrap();
    assert_eq!((record.owner, record.stake, record.active), (owner, Xbzz::from_whole(100), true));
    assert_eq!((record.encryption_key, record.overlay), ([0x44; 32].into(), [0x55; 32].into()));
    assert_eq!(record.metadata_uri, "bzz://x");
    assert!(registry.is_live(rpc, owner).await.unwrap());
    assert_eq!(registry.offerings(rpc, owner).await.unwrap(), [offering()]);

    let stranger = Address::new([7; 20]);
    assert!(!registry.provider(rpc, stranger).await.unwrap().is_registered());
    let both = registry.offerings_of(rpc, &[owner, stranger]).await.unwrap();
    assert_eq!(both, [Ok(vec![offering()]), Ok(vec![])]);
    assert_eq!(registry.providers(rpc, &[owner]).await.unwrap(), std::slice::from_ref(&record));
    let entries = registry.entries(rpc, &[owner, stranger], BlockTag::Latest).await.unwrap();
    let [Ok(entry), Ok(empty)] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((&entry.record, &entry.offerings), (&record, &Ok(vec![offering()])));
    assert_eq!((entry.open_jobs, empty.record.is_registered()), (0, false));
    assert_eq!(registry.heartbeat_ttl(rpc).await.unwrap(), 600);
    let page = registry.list_providers(rpc, 0, 50).await.unwrap();
    assert_eq!((page.providers, page.next_cursor), (vec![record], 1));
    assert_eq!(registry.list_providers(rpc, 9, 50).await.unwrap().providers, []);
    assert_eq!(registry.provider_count(rpc).await.unwrap(), 1);
    assert_eq!(registry.min_stake(rpc).await.unwrap(), Xbzz::from_whole(100));
}

#[tokio::test]
async fn the_contracts_know_each_other() {
    let fixture = Fixture::start().await;
    let (rpc, addresses) = (fixture.anvil.rpc(), fixture.market.addresses);
    assert_eq!(addresses.registry().escrow(rpc).await.unwrap(), addresses.escrow);
    assert_eq!(addresses.registry().xbzz(rpc).await.unwrap(), addresses.token);
    assert_eq!(addresses.escrow().registry(rpc).await.unwrap(), addresses.registry);
    assert_eq!(addresses.escrow().xbzz(rpc).await.unwrap(), addresses.token);
    let limits = addresses.escrow().limits(rpc).await.unwrap().unwrap();
    assert!(limits.min_payment < limits.max_payment && limits.max_delivery_window > 900);
    let backing = addresses.registry().backing(rpc, fixture.provider.address()).await.unwrap().unwrap();
    assert!(backing.live && backing.free == Xbzz::from_whole(100));
    // A contract without these functions is of version 1.
    let other = t4t_chain::contracts::Escrow { address: addresses.token };
    assert_eq!(other.limits(rpc).await.unwrap(), None);
}

#[tokio::test]
async fn a_job_is_posted_acknowledged_and_paid_and_no_plur_is_lost() {
    let fixture = Fixture::start().await;
    let (rpc, escrow) = (fixture.anvil.rpc(), fixture.market.addresses.escrow());
    let held = fixture.held().await;
    let before = fixture.market.xbzz_of(fixture.provider.address()).await.unwrap();
    let start = rpc.latest_block().await.unwrap().number;

    let job = fixture.post().await;
    let posted = escrow.job(rpc, job).await.unwrap();
    assert_eq!((posted.status, posted.client), (JobStatus::Pending, fixture.client.address()));
    assert_eq!((posted.max_payment, posted.acked_at), (Xbzz::from_whole(2), never()));
    assert_eq!((posted.request_hash, posted.model.as_str()), (SwarmRef::new([0x11; 32]), "llama3:8b"));
    assert_eq!(posted.ack_deadline, posted.posted_at.plus(30));
    let registry = fixture.market.addresses.registry();
    assert_eq!(registry.open_jobs(rpc, fixture.provider.address()).await.unwrap(), 1);

    fixture.provider_sends(&escrow.ack_job(job)).await;
    assert_eq!(escrow.job(rpc, job).await.unwrap().status, JobStatus::Acked);
    let paid = Xbzz::from_whole(1);
    fixture.provider_sends(&escrow.claim_job(job, SwarmRef::new([0x22; 32]), paid)).await;
    let claimed = escrow.jobs(rpc, &[job, JobId::ZERO]).await.unwrap();
    assert_eq!(
        (claimed[0].status, claimed[0].response_hash),
        (JobStatus::Claimed, SwarmRef::new([0x22; 32]))
    );
    assert_eq!(claimed[1].status, JobStatus::None);
    assert_eq!(registry.open_jobs_of(rpc, &[fixture.provider.address()]).await.unwrap(), [0]);

    assert_eq!(fixture.held().await, held);
    let after = fixture.market.xbzz_of(fixture.provider.address()).await.unwrap();
    assert_eq!(after.checked_sub(before), Some(paid));

    let mut scanner = LogScanner::new(rpc.clone(), fixture.market.addresses, Some(start), 0);
    let events: Vec<ChainEvent> =
        scanner.poll().await.unwrap().added.into_iter().map(|logged| logged.event).collect();
    let (client, provider) = (fixture.client.address(), fixture.provider.address());
    for expected in [
        ChainEvent::JobPosted { job, client, provider },
        ChainEvent::JobAcked { job },
        ChainEvent::JobClaimed { job, response_hash: [0x22; 32].into(), paid },
    ] {
        assert_eq!(events.iter().filter(|event| **event == expected).count(), 1, "{expected:?}");
    }
    assert!(events.iter().any(|event| matches!(event, ChainEvent::JobTermsPosted { .. })));
}

#[tokio::test]
async fn a_missed_acknowledgement_and_a_missed_deadline_refund_the_client_and_cost_stake() {
    let fixture = Fixture::start().await;
    let (rpc, escrow) = (fixture.anvil.rpc(), fixture.market.addresses.escrow());
    let held = fixture.held().await;
    let (unacked, unanswered) = (fixture.post().await, fixture.post().await);
    fixture.provider_sends(&escrow.ack_job(unanswered)).await;
    assert_eq!(fixture.refused(&fixture.client, &escrow.cancel_job(unacked)).await, "DeadlineNotPassed");

    fixture.anvil.advance_time(31).await.unwrap();
    fixture.client_sends(&escrow.cancel_job(unacked)).await;
    fixture.anvil.advance_time(900).await.unwrap();
    let receipt = fixture.client_sends(&escrow.timeout_job(unanswered)).await;
    assert!(receipt.success && receipt.gas_used > 21_000 && !receipt.logs.is_empty());

    let jobs = escrow.jobs(rpc, &[unacked, unanswered]).await.unwrap();
    assert_eq!((jobs[0].status, jobs[1].status), (JobStatus::Cancelled, JobStatus::TimedOut));
    let registry = fixture.market.addresses.registry();
    // Twice and three times the payment of two xBZZ each.
    let left = registry.provider(rpc, fixture.provider.address()).await.unwrap().stake;
    assert_eq!(left, Xbzz::from_whole(90));
    assert_eq!(fixture.held().await, held);
}

#[tokio::test]
async fn a_refused_job_costs_nobody_anything() {
    let fixture = Fixture::start().await;
    let (rpc, escrow) = (fixture.anvil.rpc(), fixture.market.addresses.escrow());
    let before = fixture.market.xbzz_of(fixture.client.address()).await.unwrap();
    let (rejected, claimed) = (fixture.post().await, fixture.post().await);
    fixture.provider_sends(&escrow.reject_job(rejected, 3)).await;
    fixture.provider_sends(&escrow.claim_job(claimed, SwarmRef::ZERO, Xbzz::ZERO)).await;
    assert_eq!(fixture.market.xbzz_of(fixture.client.address()).await.unwrap(), before);
    let registry = fixture.market.addresses.registry();
    let record = registry.provider(rpc, fixture.provider.address()).await.unwrap();
    assert_eq!(record.stake, Xbzz::from_whole(100));
    assert_eq!(registry.open_jobs(rpc, record.owner).await.unwrap(), 0);
}

#[tokio::test]
async fn refusals_carry_the_contracts_names() {
    let fixture = Fixture::start().await;
    let (escrow, token) = (fixture.market.addresses.escrow(), fixture.market.addresses.token());
    let job = fixture.post().await;
    let client = &fixture.client;
    assert_eq!(fixture.refused(client, &escrow.ack_job(job)).await, "NotProvider");
    assert_eq!(fixture.refused(&fixture.provider, &escrow.cancel_job(job)).await, "NotClient");
    let mut order = fixture.order().await;
    order.max_payment = Xbzz::from_whole(40);
    assert_eq!(fixture.refused(client, &escrow.post_job(&order)).await, "InsufficientStakeForJob");
    order.provider = client.address();
    assert_eq!(fixture.refused(client, &escrow.post_job(&order)).await, "ProviderNotLive");
    let too_much = escrow.claim_job(job, SwarmRef::ZERO, Xbzz::from_whole(3));
    assert_eq!(fixture.refused(&fixture.provider, &too_much).await, "PaymentTooHigh");
    let twice = fixture.market.addresses.registry().register(&crate::registration());
    assert_eq!(fixture.refused(&fixture.provider, &twice).await, "AlreadyRegistered");
    // The token asserts, as the one on Gnosis Chain does.
    let more_than_all = token.transfer(client.address(), Xbzz::from_whole(1_000_000));
    assert_eq!(fixture.refused(client, &more_than_all).await, "InvalidOpcode");
}

#[tokio::test]
async fn keys_and_description_can_be_changed() {
    let fixture = Fixture::start().await;
    let (rpc, registry) = (fixture.anvil.rpc(), fixture.market.addresses.registry());
    let start = rpc.latest_block().await.unwrap().number;
    fixture.provider_sends(&registry.update_keys([1; 32].into(), [2; 32].into())).await;
    fixture.provider_sends(&registry.update_metadata("bzz://y")).await;
    fixture.provider_sends(&registry.set_max_concurrent_jobs(4)).await;
    fixture.provider_sends(&registry.heartbeat()).await;
    let owner = fixture.provider.address();
    let record = registry.provider(rpc, owner).await.unwrap();
    assert_eq!((record.encryption_key, record.overlay), ([1; 32].into(), [2; 32].into()));
    assert_eq!((record.metadata_uri.as_str(), record.max_concurrent_jobs), ("bzz://y", 4));
    let mut scanner = LogScanner::new(rpc.clone(), fixture.market.addresses, Some(start), 0);
    let pass = scanner.poll().await.unwrap();
    let updated = ChainEvent::KeysUpdated { owner, encryption_key: [1; 32].into(), overlay: [2; 32].into() };
    assert!(pass.added.iter().any(|logged| logged.event == updated));
    assert!(pass.added.iter().all(|logged| logged.event.owner() == Some(owner)));
}

#[tokio::test]
async fn a_provider_that_leaves_gets_its_stake_back_after_the_unbonding() {
    let fixture = Fixture::start().await;
    let (rpc, registry) = (fixture.anvil.rpc(), fixture.market.addresses.registry());
    let owner = fixture.provider.address();
    assert_eq!(registry.unbonding_at(rpc, owner).await.unwrap(), never());
    assert_eq!(fixture.refused(&fixture.provider, &registry.withdraw_stake()).await, "StillActive");
    fixture.provider_sends(&registry.deactivate()).await;
    assert!(registry.unbonding_at(rpc, owner).await.unwrap() > never());
    assert_eq!(fixture.refused(&fixture.provider, &registry.withdraw_stake()).await, "StillBonded");
    fixture.anvil.advance_time(2 * 24 * 60 * 60 + 1).await.unwrap();
    fixture.provider_sends(&registry.withdraw_stake()).await;
    assert_eq!(fixture.market.xbzz_of(owner).await.unwrap(), Market::FUNDS);
}

#[tokio::test]
async fn an_address_without_a_contract_is_found_out() {
    let fixture = Fixture::start().await;
    let address = Address::new([7; 20]);
    let missing = t4t_chain::contracts::Escrow { address }.job(fixture.anvil.rpc(), JobId::ZERO).await;
    assert_eq!(missing, Err(ChainError::NoContract { address }));
}
