//! How settlement starts: with its allowance in place, and without a chain.

use std::sync::atomic::{AtomicU32, Ordering};

use t4t_chain::ContractAddresses;
use t4t_settlement::{SettlementConfig, SettlementService, StartError};
use t4t_types::{Address, Xbzz};

use crate::world::{CLIENT, World, done, eventually};

#[actix_web::test]
async fn the_allowance_is_there_before_the_first_purchase_and_no_larger_than_that_would_make_it() {
    let world = World::with_provider().await;
    let config = SettlementConfig { approves_early: true, ..world.config() };
    let target = config.allowance_target;
    let allowance = async || {
        let (token, escrow) = (world.market.addresses.token(), world.market.addresses.escrow);
        token.allowance(world.anvil.rpc(), world.wallet(CLIENT), escrow).await.unwrap()
    };
    let running =
        SettlementService::start(config.clone(), world.deps(CLIENT, world.rpc()).await).await.unwrap();
    eventually("the allowance is there", || async { allowance().await == target }).await;
    let sent = world.proxy.sent().len();
    done(&running.settlement, "post:1", world.job().await).await;
    assert_eq!(world.proxy.sent().len(), sent + 1, "the purchase is one transaction");
    running.stop().await;

    let running = SettlementService::start(config, world.deps(CLIENT, world.rpc()).await).await.unwrap();
    done(&running.settlement, "post:2", world.job().await).await;
    assert_eq!(world.proxy.sent().len(), sent + 2, "what is left of it is enough");
    running.stop().await;
}

#[actix_web::test]
async fn a_wallet_with_nothing_to_spend_allows_nothing() {
    let world = World::with_provider().await;
    let poor = 23;
    let config = SettlementConfig { approves_early: true, ..world.config() };
    let rpc = world.rpc();
    let running = SettlementService::start(config, world.deps(poor, rpc.clone()).await).await.unwrap();
    world.head_was_read(&rpc).await;
    assert!(world.proxy.sent().is_empty());
    world.market.fund(world.wallet(poor), Xbzz::from_whole(1)).await.unwrap();
    done(&running.settlement, "post:1", world.job().await).await;
    running.stop().await;
}

#[actix_web::test]
async fn a_chain_that_can_not_be_reached_is_waited_for_and_a_wrong_one_is_not() {
    let world = World::new().await;
    world.proxy.cut(true);
    let waited = AtomicU32::new(0);
    let deps = world.deps(CLIENT, world.rpc()).await;
    let starting = SettlementService::start_patiently(world.config(), deps, |error| {
        assert!(error.story().contains("GNOSIS_RPC_URL"), "{}", error.story());
        if waited.fetch_add(1, Ordering::SeqCst) == 0 {
            world.proxy.cut(false);
        }
    });
    starting.await.unwrap().stop().await;
    assert!(waited.load(Ordering::SeqCst) >= 1);

    let nobody = |_: &StartError| panic!("waiting changes nothing");
    let other = SettlementConfig { chain_id: 1, ..world.config() };
    let started =
        SettlementService::start_patiently(other, world.deps(CLIENT, world.rpc()).await, nobody).await;
    assert!(matches!(started, Err(StartError::WrongChain { expected: 1, .. })), "{started:?}");
    let contracts = ContractAddresses { escrow: Address::new([0x66; 20]), ..world.market.addresses };
    let other = SettlementConfig::new(world.anvil.chain_id(), contracts);
    let started =
        SettlementService::start_patiently(other, world.deps(CLIENT, world.rpc()).await, nobody).await;
    assert!(
        matches!(started, Err(StartError::NoContract { .. } | StartError::ContractMismatch { .. })),
        "{started:?}"
    );
}
