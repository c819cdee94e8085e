//! What is refused before anything is signed.

use t4t_api::settlement::{RegistryIntent, SettlementError, TransactionIntent};
use t4t_chain::ContractAddresses;
use t4t_settlement::{Funds, SendFunds, SettlementConfig, SettlementService, StartError};
use t4t_types::{Address, Wei, Xbzz};

use crate::world::{CLIENT, PRICE, World, done, submit};

#[actix_web::test]
async fn too_little_xbzz_is_told_with_the_amounts_and_nothing_is_sent() {
    let world = World::with_provider().await;
    let poor = 20;
    let half = Xbzz::from_plur(PRICE.plur() / 2);
    world.market.fund(world.wallet(poor), half).await.unwrap();
    let running = world.start(poor).await;
    let refused = submit(&running.settlement, "post:1", world.job().await).await;
    let expected = SettlementError::OutOfXbzz { wallet: world.wallet(poor), has: half, needs: PRICE };
    assert_eq!(refused, Err(expected));
    assert!(world.proxy.sent().is_empty());
    // Once there is enough, the same key works.
    world.market.fund(world.wallet(poor), PRICE).await.unwrap();
    crate::world::eventually("the new balance is seen", || async {
        submit(&running.settlement, "post:1", world.job().await).await.is_ok()
    })
    .await;
    running.stop().await;
}

#[actix_web::test]
async fn parallel_posts_never_promise_more_than_the_wallet_holds() {
    let world = World::with_provider().await;
    let poor = 21;
    world.market.fund(world.wallet(poor), Xbzz::from_plur(PRICE.plur() * 5)).await.unwrap();
    let running = world.start(poor).await;
    let mut posts = Vec::new();
    for n in 0..12 {
        let (settlement, job) = (&running.settlement, world.job().await);
        posts.push(async move { submit(settlement, &format!("post:{n}"), job).await });
    }
    let answers = futures_util::future::join_all(posts).await;
    let (taken, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(taken.len(), 5);
    assert!(
        refused.iter().all(|answer| matches!(answer, Err(SettlementError::OutOfXbzz { .. }))),
        "{refused:?}"
    );
    running.stop().await;
}

#[actix_web::test]
async fn an_empty_gas_wallet_is_told_and_nothing_is_sent() {
    let world = World::with_provider().await;
    let empty = 22;
    world.market.fund(world.wallet(empty), Xbzz::from_whole(1)).await.unwrap();
    world.anvil.set_balance(world.wallet(empty), 0).await.unwrap();
    let running = world.start(empty).await;
    for (key, intent) in
        [("post:1", TransactionIntent::from(world.job().await)), ("beat", RegistryIntent::Heartbeat.into())]
    {
        let refused = submit(&running.settlement, key, intent).await;
        // A heartbeat of a wallet that is no provider is refused by the contract first.
        let expected = SettlementError::OutOfGas { wallet: world.wallet(empty) };
        assert!(
            refused == Err(expected) || matches!(refused, Err(SettlementError::Refused { .. })),
            "{refused:?}"
        );
    }
    assert!(world.proxy.sent().is_empty());
    running.stop().await;
}

#[actix_web::test]
async fn money_can_be_sent_away_and_not_to_nobody() {
    let world = World::new().await;
    let running = world.start(CLIENT).await;
    let to = Address::new([0x77; 20]);
    let send = |funds, to| running.send_funds(SendFunds { to, funds });
    for funds in [Funds::Xbzz(Xbzz::from_plur(7)), Funds::Xdai(Wei::new(9))] {
        let key = send(funds, to).await.unwrap();
        let sent = crate::world::outcome(&running.settlement, key.as_str()).await;
        assert!(crate::world::is_mined(&sent), "{sent:?}");
    }
    assert_eq!(world.market.xbzz_of(to).await.unwrap(), Xbzz::from_plur(7));
    assert_eq!(world.anvil.rpc().balance(to).await.unwrap(), 9);
    let refused = send(Funds::Xdai(Wei::new(9)), Address::ZERO).await;
    assert!(matches!(refused, Err(SettlementError::Invalid { .. })), "{refused:?}");
    let too_much = send(Funds::Xbzz(Xbzz::MAX), to).await;
    assert!(matches!(too_much, Err(SettlementError::OutOfXbzz { .. })), "{too_much:?}");
    running.stop().await;
}

#[actix_web::test]
async fn it_does_not_start_on_another_chain_or_with_other_contracts() {
    let world = World::new().await;
    let start = |config: SettlementConfig| async {
        SettlementService::start(config, world.deps(CLIENT, world.rpc()).await).await.unwrap_err()
    };
    let error = start(SettlementConfig { chain_id: 10_200, ..world.config() }).await;
    assert!(matches!(error, StartError::WrongChain { expected: 10_200, got: 100 }));
    let text = error.to_string();
    assert!(
        text.contains("10200") && text.contains("GNOSIS_RPC_URL") && text.contains("T4T_CHAIN_ID"),
        "{text}"
    );

    let addresses = world.market.addresses;
    let nowhere = Address::new([0x99; 20]);
    let config = |contracts| SettlementConfig { contracts, ..world.config() };
    let error = start(config(ContractAddresses { escrow: nowhere, ..addresses })).await;
    assert!(matches!(error, StartError::NoContract { contract: "escrow", .. }), "{error}");
    let error = start(config(ContractAddresses { token: nowhere, ..addresses })).await;
    assert!(matches!(error, StartError::NoContract { contract: "token", .. }), "{error}");
    let second = t4t_testkit::anvil::Market::deploy_for(&world.anvil, &[]).await.unwrap().addresses;
    let error = start(config(ContractAddresses { escrow: second.escrow, ..addresses })).await;
    assert!(matches!(error, StartError::ContractMismatch { contract: "registry", .. }), "{error}");
}

#[actix_web::test]
async fn a_wallet_emptied_behind_its_back_is_told_at_once_and_its_transaction_waits_without_a_higher_fee() {
    let world = World::with_provider().await;
    let wallet = 24;
    world.market.fund(world.wallet(wallet), Xbzz::from_whole(1)).await.unwrap();
    let running = world.start(wallet).await;
    done(&running.settlement, "post:1", world.job().await).await;
    world.anvil.set_balance(world.wallet(wallet), 0).await.unwrap();
    // What was read before seems enough for this one.
    submit(&running.settlement, "post:2", world.job().await).await.unwrap();
    let empty = Err(SettlementError::OutOfGas { wallet: world.wallet(wallet) });
    assert_eq!(submit(&running.settlement, "post:3", world.job().await).await, empty);
    let sent = world.proxy.sent();
    world.anvil.mine(10).await.unwrap();
    crate::world::eventually("the same bytes are sent again", || async {
        world.proxy.sent().len() > sent.len() + 1
    })
    .await;
    let again = world.proxy.sent();
    assert!(again[sent.len()..].iter().all(|raw| Some(raw) == sent.last()), "no fee was raised");
    world.anvil.set_balance(world.wallet(wallet), 10u128.pow(18)).await.unwrap();
    done(&running.settlement, "post:3", world.job().await).await;
    assert_eq!(world.posted().await, 3);
    running.stop().await;
}
