//! A provider's life in the registry.

use t4t_api::settlement::{RegistryIntent, SettlementError};
use t4t_types::{EncryptionKey, Offering, Overlay, TokenPrices, Xbzz};

use crate::world::{World, done, submit};

const WALLET: u32 = 2;

#[actix_web::test]
async fn a_provider_registers_offers_beats_leaves_and_takes_its_stake_back() {
    let world = World::new().await;
    let running = world.start(WALLET).await;
    let (settlement, registry) = (&running.settlement, world.market.addresses.registry());
    let (rpc, wallet) = (world.anvil.rpc(), world.wallet(WALLET));
    let register = |stake| RegistryIntent::Register {
        sealing_key: EncryptionKey::new([1; 32]),
        overlay: Overlay::new([2; 32]),
        metadata_uri: "bzz://about".into(),
        stake,
    };
    let too_little = submit(settlement, "register:0", register(Xbzz::from_whole(1))).await;
    assert!(
        matches!(&too_little, Err(SettlementError::Refused { reason, .. }) if reason == "InsufficientStake"),
        "{too_little:?}"
    );
    done(settlement, "register:1", register(Xbzz::from_whole(100))).await;
    done(settlement, "stake:1", RegistryIntent::AddStake { amount: Xbzz::from_whole(5) }).await;
    let offering = Offering {
        model: "llama3:8b".into(),
        prices: TokenPrices { input: Xbzz::from_plur(1), output: Xbzz::from_plur(2) },
        max_context_tokens: 0,
        max_latency_seconds: 120,
    };
    done(settlement, "offer:1", RegistryIntent::UpdateOfferings { offerings: vec![offering.clone()] }).await;
    done(settlement, "cap:1", RegistryIntent::SetMaxConcurrentJobs { cap: 4 }).await;
    done(settlement, "beat:1", RegistryIntent::Heartbeat).await;

    let provider = registry.provider(rpc, wallet).await.unwrap();
    assert_eq!((provider.stake, provider.max_concurrent_jobs), (Xbzz::from_whole(105), 4));
    assert_eq!(registry.offerings(rpc, wallet).await.unwrap()[0].model, offering.model);
    let allowance = world.market.addresses.token().allowance(rpc, wallet, registry.address).await.unwrap();
    assert_eq!(allowance, Xbzz::ZERO, "the registry may take what it took and no more");

    done(settlement, "leave:1", RegistryIntent::Deactivate).await;
    let early = submit(settlement, "withdraw:1", RegistryIntent::WithdrawStake).await;
    assert!(
        matches!(&early, Err(SettlementError::Refused { reason, .. }) if reason == "StillBonded"),
        "{early:?}"
    );
    world.anvil.advance_time(2 * 24 * 3600 + 1).await.unwrap();
    done(settlement, "withdraw:1", RegistryIntent::WithdrawStake).await;
    assert_eq!(world.market.xbzz_of(wallet).await.unwrap(), Xbzz::from_whole(10_000));
    running.stop().await;
}
