//! Finding, buying and feeding a batch.
#![expect(clippy::unwrap_used, reason = "a fixture that fails ends its test")]

use std::time::Duration;

use t4t_bee_dev::{BeeDev, BeeDevConfig, Faults, StampsEnd};
use t4t_clock::{ManualClock, SystemClock};
use t4t_swarm::{Bee, BeeConfig, BuyStamp, StampKeeper, StampKeeperConfig, Standing, SwarmError, Upload};
use t4t_types::{BatchId, UnixSeconds, Xbzz};

const DAY: u128 = 24_000 * 17_280;

async fn node(config: BeeDevConfig) -> (BeeDev, Bee) {
    let network = BeeDev::start(BeeDevConfig { nodes: 1, ..config }).await.unwrap();
    let config = BeeConfig::new(network.urls()[0].parse().unwrap());
    let bee = Bee::new(config, SystemClock::shared()).unwrap();
    (network, bee)
}

async fn buy(bee: &Bee, days: u128, label: &str) -> BatchId {
    let amount = Xbzz::from_plur(DAY * days + 24_000 * 10);
    let order = BuyStamp { amount, depth: 20, label: label.to_owned(), immutable: false };
    bee.buy_stamp(&order).await.unwrap().batch_id
}

fn keeper(bee: &Bee, config: StampKeeperConfig) -> StampKeeper {
    StampKeeper::new(bee.clone(), StampKeeperConfig { depth: 18, ..config })
}

#[tokio::test]
async fn a_batch_is_bought_once_and_remembered() {
    let usable_delay = Duration::from_millis(100);
    let (_network, bee) =
        node(BeeDevConfig { stamp_usable_delay: usable_delay, ..BeeDevConfig::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let state_file = folder.path().join("postage-batch.json");
    let config = StampKeeperConfig { state_file: Some(state_file.clone()), ..StampKeeperConfig::default() };
    let first = keeper(&bee, config.clone());
    let batch = first.resolve().await.unwrap();
    assert_eq!((first.resolve().await.unwrap(), first.batch()), (batch, Some(batch)));
    let bought = bee.stamp(&batch).await.unwrap();
    assert_eq!((bought.label.as_str(), bought.depth, bought.immutable), ("t4t", 18, false));

    // A longer one with our label does not displace the remembered one.
    buy(&bee, 60, "t4t").await;
    assert_eq!(keeper(&bee, config).resolve().await.unwrap(), batch);
    let written: serde_json::Value = serde_json::from_slice(&std::fs::read(&state_file).unwrap()).unwrap();
    assert_eq!(written["batchId"].as_str().unwrap(), batch.to_string());
    assert_eq!(written["label"], "t4t");
}

#[tokio::test]
async fn the_longest_batch_with_our_label_is_taken() {
    let (_network, bee) = node(BeeDevConfig::default()).await;
    buy(&bee, 90, "another").await;
    buy(&bee, 10, "t4t").await;
    let longest = buy(&bee, 20, "t4t").await;
    assert_eq!(keeper(&bee, StampKeeperConfig::default()).resolve().await.unwrap(), longest);
    assert_eq!(bee.stamps().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_batch_that_is_short_of_days_is_topped_up_instead_of_a_purchase() {
    let (_network, bee) = node(BeeDevConfig::default()).await;
    let short = buy(&bee, 3, "t4t").await;
    let keeper = keeper(&bee, StampKeeperConfig::default());
    assert_eq!(keeper.resolve().await.unwrap(), short);
    let days = bee.stamp(&short).await.unwrap().ttl_seconds / 86_400;
    assert_eq!(days, 33);
    assert_eq!(keeper.tick().await.unwrap().topped_up, None);
}

#[tokio::test]
async fn a_batch_that_is_filling_is_diluted_and_no_deeper_than_allowed() {
    let (_network, bee) = node(BeeDevConfig::default()).await;
    let batch = buy(&bee, 30, "t4t").await;
    let config = StampKeeperConfig { max_utilization: 0.0, max_depth: 21, ..StampKeeperConfig::default() };
    let keeper = keeper(&bee, config);
    keeper.resolve().await.unwrap();
    assert!(keeper.tick().await.unwrap().diluted.is_some());
    assert!(keeper.tick().await.unwrap().diluted.is_none());
    assert_eq!(bee.stamp(&batch).await.unwrap().depth, 21);
}

#[tokio::test]
async fn a_mutable_batch_that_is_deep_enough_is_not_diluted_however_full_a_bucket_is() {
    let (_network, bee) = node(BeeDevConfig::default()).await;
    let config = StampKeeperConfig { max_utilization: 0.0, depth: 21, ..StampKeeperConfig::default() };
    let keeper = keeper(&bee, config);
    let batch = keeper.resolve().await.unwrap();
    assert!(!bee.stamp(&batch).await.unwrap().immutable);
    assert!(bee.stamp(&batch).await.unwrap().depth < 22);
    while keeper.tick().await.unwrap().diluted.is_some() {}
    assert_eq!(bee.stamp(&batch).await.unwrap().depth, 22);
}

#[tokio::test]
async fn without_management_nothing_is_bought_and_any_usable_batch_will_do() {
    let (_network, bee) = node(BeeDevConfig::default()).await;
    let keeper = keeper(&bee, StampKeeperConfig { manage: false, ..StampKeeperConfig::default() });
    assert!(matches!(keeper.resolve().await, Err(SwarmError::NoStamp)));
    buy(&bee, 5, "a").await;
    let longest = buy(&bee, 9, "b").await;
    assert_eq!(keeper.resolve().await.unwrap(), longest);
}

#[tokio::test]
async fn a_dry_run_and_an_empty_wallet_buy_nothing() {
    let (_network, bee) = node(BeeDevConfig { balance: Xbzz::ZERO, ..BeeDevConfig::default() }).await;
    let dry = keeper(&bee, StampKeeperConfig { dry_run: true, ..StampKeeperConfig::default() });
    assert!(matches!(dry.resolve().await, Err(SwarmError::NoStamp)));
    let poor = keeper(&bee, StampKeeperConfig::default());
    assert!(matches!(poor.resolve().await, Err(SwarmError::OutOfFunds(_))));
}

#[tokio::test]
async fn a_batch_that_has_ended_is_replaced() {
    let clock = ManualClock::new(UnixSeconds::new(1_700_000_000));
    let (_network, bee) = node(BeeDevConfig { clock: clock.clone(), ..BeeDevConfig::default() }).await;
    let ending = buy(&bee, 8, "t4t").await;
    let keeper = keeper(&bee, StampKeeperConfig::default());
    assert_eq!(keeper.resolve().await.unwrap(), ending);
    clock.advance(Duration::from_secs(9 * 86_400));
    assert!(matches!(keeper.tick().await, Err(SwarmError::StampUnusable { .. })));
    assert_ne!(keeper.resolve().await.unwrap(), ending);
}

#[tokio::test]
async fn a_batch_that_ends_or_is_refused_is_told_before_it_is_needed_and_when_it_pays_again() {
    let (network, bee) = node(BeeDevConfig::default()).await;
    buy(&bee, 30, "t4t").await;
    let keeper = keeper(&bee, StampKeeperConfig { manage: false, ..StampKeeperConfig::default() });
    keeper.resolve().await.unwrap();
    let faults = network.faults();
    let ends_in = |seconds_left| {
        faults.set(Faults { stamps_end: Some(StampsEnd { node: 0, seconds_left }), ..Faults::default() });
    };
    assert_eq!((keeper.look().await.unwrap(), keeper.trouble()), (Standing::Good, None));
    ends_in(86_400);
    assert!(matches!(keeper.look().await.unwrap(), Standing::Ending(reason) if reason.contains("24 hours")));
    assert_eq!(keeper.trouble(), None);
    ends_in(600);
    assert!(matches!(keeper.look().await.unwrap(), Standing::Spent(reason) if reason.contains("10 minutes")));
    ends_in(0);
    assert!(matches!(keeper.look().await.unwrap(), Standing::Spent(_)));
    assert!(keeper.trouble().is_some());
    faults.set(Faults::default());
    assert_eq!(keeper.check().await, None);

    faults.set(Faults { stamp_full: true, ..Faults::default() });
    assert_eq!(keeper.look().await.unwrap(), Standing::Good, "nothing shows it before it is used");
    assert!(keeper.upload(vec![1; 10], Upload::Direct).await.is_err());
    assert!(keeper.trouble().is_some_and(|reason| reason.contains("full")));
    assert!(matches!(keeper.look().await.unwrap(), Standing::Spent(_)), "it still refuses");
    faults.set(Faults::default());
    assert_eq!((keeper.look().await.unwrap(), keeper.trouble()), (Standing::Good, None));
}
