//! Finding, buying and feeding a batch.
#![expect(clippy::unwrap_used, reason = "a fixture that fails ends its test")]

use std::time::Duration;

use t4t_bee_dev::{BeeDev, BeeDevConfig, Faults, HiddenBatches, StampsEnd};
use t4t_clock::{Clock, ManualClock, SystemClock, timeout};
use t4t_swarm::{
    Bee, BeeConfig, BuyStamp, SpendingLimits, StampKeeper, StampKeeperConfig, Standing, SwarmError, Upload,
};
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
    let limits = SpendingLimits { once: Xbzz::from_whole(100), a_month: Xbzz::from_whole(100) };
    let days = StampKeeperConfig { depth: 18, ttl_days: 30, min_ttl_days: 7, limits, ..config };
    StampKeeper::new(bee.clone(), days)
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
    let config = StampKeeperConfig { max_utilization: 0.0, ..StampKeeperConfig::default() };
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
    assert!(matches!(dry.resolve().await, Err(SwarmError::DryRun(_))));
    let poor = keeper(&bee, StampKeeperConfig::default());
    assert!(matches!(poor.resolve().await, Err(SwarmError::WalletLacks { .. })));
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
    assert!(keeper.trouble().is_some_and(|trouble| trouble.reason.contains("full")));
    assert!(matches!(keeper.look().await.unwrap(), Standing::Spent(_)), "it still refuses");
    faults.set(Faults::default());
    assert_eq!((keeper.look().await.unwrap(), keeper.trouble()), (Standing::Good, None));
}

/// A keeper that remembers in a folder, as a process does that is started there.
fn started_in(folder: &tempfile::TempDir, bee: &Bee, config: StampKeeperConfig) -> StampKeeper {
    let state_file = Some(folder.path().join("postage-batch.json"));
    StampKeeper::new(bee.clone(), StampKeeperConfig { state_file, ..config })
}

async fn bought(network: &BeeDev, bee: &Bee) -> usize {
    network.faults().set(Faults::default());
    bee.stamps().await.unwrap().len()
}

#[tokio::test]
async fn a_batch_that_is_hidden_after_a_restart_is_waited_for_and_no_other_is_bought() {
    for unlisted in [false, true] {
        let (network, bee) = node(BeeDevConfig::default()).await;
        let folder = tempfile::tempdir().unwrap();
        let start = || started_in(&folder, &bee, StampKeeperConfig::default());
        let batch = start().resolve().await.unwrap();
        let hidden_batches = Some(HiddenBatches { node: 0, unlisted });
        network.faults().set(Faults { hidden_batches, ..Faults::default() });
        for _ in 0..2 {
            let restarted = start();
            let waiting = restarted.resolve().await.unwrap_err();
            assert!(
                matches!(waiting, SwarmError::StampHidden { batch: hidden } if hidden == batch),
                "{waiting:?}"
            );
            let trouble = restarted.trouble().unwrap();
            assert!(trouble.reason.contains("waited for") && trouble.next_step.contains("wait"), "{trouble}");
        }
        assert_eq!(bought(&network, &bee).await, 1);
        assert_eq!(start().resolve().await.unwrap(), batch);
    }
}

#[tokio::test]
async fn a_labelled_batch_that_is_hidden_is_waited_for_by_one_that_never_saw_it() {
    let (network, bee) = node(BeeDevConfig::default()).await;
    let batch = buy(&bee, 10, "t4t").await;
    let hidden_batches = Some(HiddenBatches { node: 0, unlisted: false });
    network.faults().set(Faults { hidden_batches, ..Faults::default() });
    let keeper = keeper(&bee, StampKeeperConfig::default());
    let waiting = keeper.resolve().await.unwrap_err();
    assert!(matches!(waiting, SwarmError::StampHidden { batch: hidden } if hidden == batch), "{waiting:?}");
    assert_eq!(bought(&network, &bee).await, 1);
    assert_eq!(keeper.resolve().await.unwrap(), batch);
}

#[tokio::test]
async fn another_nodes_batch_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (_first, bee) = node(BeeDevConfig::default()).await;
    let batch = started_in(&folder, &bee, StampKeeperConfig::default()).resolve().await.unwrap();
    let (_second, other) = node(BeeDevConfig::default()).await;
    let bought = started_in(&folder, &other, StampKeeperConfig::default()).resolve().await.unwrap();
    assert_ne!(bought, batch);
}

#[tokio::test]
async fn a_purchase_is_on_the_disk_before_it_leaves_so_a_restart_makes_no_second_one() {
    let transaction_delay = Duration::from_secs(3);
    let (network, bee) = node(BeeDevConfig { transaction_delay, ..BeeDevConfig::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let start = || started_in(&folder, &bee, StampKeeperConfig::default());
    // The process dies while the node waits for its block.
    let dying = start();
    let died = timeout(&SystemClock, Duration::from_millis(700), dying.resolve()).await;
    assert!(died.is_err());
    for _ in 0..2 {
        let waiting = start().resolve().await.unwrap_err();
        assert!(matches!(waiting, SwarmError::StampOrdered { minutes: 0, .. }), "{waiting:?}");
    }
    let shown = async {
        while bee.stamps().await.unwrap().is_empty() {
            SystemClock.sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(&SystemClock, Duration::from_secs(30), shown).await.unwrap();
    let found = start().resolve().await.unwrap();
    assert_eq!(bee.stamps().await.unwrap()[0].batch_id, found);
    assert_eq!(bought(&network, &bee).await, 1);
}

#[tokio::test]
async fn a_new_batch_is_unknown_until_its_node_sees_it_and_none_is_bought_meanwhile() {
    let (network, bee) = node(BeeDevConfig::default()).await;
    network.faults().set(Faults { new_batch_unseen_ms: 3_600_000, ..Faults::default() });
    let folder = tempfile::tempdir().unwrap();
    let config = StampKeeperConfig { usable_wait: Duration::ZERO, ..StampKeeperConfig::default() };
    let unseen = started_in(&folder, &bee, config.clone()).resolve().await.unwrap_err();
    let SwarmError::StampUnusable { batch, message } = unseen else { panic!("{unseen:?}") };
    assert_eq!(message, "batch not usable", "a 400 until it is seen");
    assert!(bee.stamps().await.unwrap().is_empty());
    let waiting = started_in(&folder, &bee, config.clone()).resolve().await.unwrap_err();
    assert!(matches!(waiting, SwarmError::StampHidden { batch: hidden } if hidden == batch), "{waiting:?}");
    std::fs::remove_file(folder.path().join("postage-batch.json")).unwrap();
    let waiting = started_in(&folder, &bee, config).resolve().await.unwrap_err();
    assert!(matches!(waiting, SwarmError::StampOrdered { .. }), "{waiting:?}");
}

#[tokio::test]
async fn two_purchases_at_once_are_refused() {
    let transaction_delay = Duration::from_secs(4);
    let (_network, bee) = node(BeeDevConfig { transaction_delay, ..BeeDevConfig::default() }).await;
    let order =
        BuyStamp { amount: Xbzz::from_plur(DAY * 2), depth: 17, label: "t4t".to_owned(), immutable: false };
    let (first, second) = tokio::join!(bee.buy_stamp(&order), bee.buy_stamp(&order));
    let refused = [first, second].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(matches!(refused[..], [SwarmError::Node { status: 429, .. }]), "{refused:?}");
}

#[tokio::test]
async fn the_first_batch_costs_less_than_a_third_of_an_xbzz() {
    let (_network, bee) = node(BeeDevConfig::default()).await;
    let before = bee.wallet().await.unwrap().bzz_balance;
    let keeper = StampKeeper::new(bee.clone(), StampKeeperConfig::default());
    keeper.resolve().await.unwrap();
    let cost = before.checked_sub(bee.wallet().await.unwrap().bzz_balance).unwrap();
    assert_eq!(cost, Xbzz::from_plur((DAY * 7) << 20));
    assert_eq!(cost.to_string(), "0.304405807104");
}

#[tokio::test]
async fn what_costs_more_than_is_allowed_is_not_bought_and_says_how_much_it_is() {
    let (_network, bee) = node(BeeDevConfig::default()).await;
    let deep = StampKeeperConfig { depth: 24, ttl_days: 30, min_ttl_days: 7, ..StampKeeperConfig::default() };
    let refused = StampKeeper::new(bee.clone(), deep.clone()).resolve().await.unwrap_err();
    let said = refused.to_string();
    assert!(matches!(refused, SwarmError::NeedsConsent { .. }), "{said}");
    assert!(said.contains("20.8") && said.contains("T4T_STAMP_MAX_SPEND allows 1"), "{said}");
    assert!(bee.stamps().await.unwrap().is_empty());
    let limits = SpendingLimits { once: Xbzz::from_whole(30), a_month: Xbzz::from_whole(30) };
    StampKeeper::new(bee.clone(), StampKeeperConfig { limits, ..deep }).resolve().await.unwrap();
}

#[tokio::test]
async fn a_months_postage_has_a_bound_that_outlasts_restarts() {
    let (_network, bee) = node(BeeDevConfig::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let limits = SpendingLimits { once: Xbzz::from_whole(1), a_month: Xbzz::from_plur((DAY * 10) << 20) };
    let config = StampKeeperConfig { limits, min_ttl_days: 8, ..StampKeeperConfig::default() };
    let first = started_in(&folder, &bee, config.clone());
    let batch = first.resolve().await.unwrap();
    let hours = async || bee.stamp(&batch).await.unwrap().ttl_seconds / 3600;
    assert!((167..=168).contains(&hours().await), "seven days");
    // Three of the seven days of a top-up are within the month's bound.
    assert!(first.tick().await.unwrap().topped_up.is_some());
    assert!((239..=240).contains(&hours().await), "ten days");
    let config = StampKeeperConfig { min_ttl_days: 40, ttl_days: 40, label: "other".into(), ..config };
    let refused = started_in(&folder, &bee, config).resolve().await.unwrap_err();
    assert!(refused.to_string().contains("T4T_STAMP_MAX_MONTHLY_SPEND allows 0"), "{refused}");
}

#[tokio::test]
async fn bees_own_empty_wallet_is_named_with_coin_and_amount_each_time() {
    for (config, coin) in [
        (BeeDevConfig { balance: Xbzz::ZERO, ..BeeDevConfig::default() }, "xBZZ"),
        (BeeDevConfig { native_balance: 0, ..BeeDevConfig::default() }, "xDAI"),
    ] {
        let (_network, bee) = node(config).await;
        let wallet = bee.wallet().await.unwrap().wallet_address;
        let folder = tempfile::tempdir().unwrap();
        let poor = started_in(&folder, &bee, StampKeeperConfig::default());
        for _ in 0..3 {
            let lacks = poor.resolve().await.unwrap_err();
            let (said, next) = (lacks.to_string(), lacks.next_step());
            assert!(said.contains(&wallet.to_string()) && said.contains(coin), "{said}");
            assert!(next.contains(coin) && next.contains(&wallet.to_string()), "{next}");
            assert!(!next.contains("T4T_STAMP_MANAGE"), "{next}");
        }
        assert!(bee.stamps().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_node_that_does_not_answer_is_not_called_a_lack_of_postage() {
    let (network, bee) = node(BeeDevConfig::default()).await;
    let keeper = StampKeeper::new(bee, StampKeeperConfig::default());
    keeper.resolve().await.unwrap();
    network.stop().await;
    for _ in 0..2 {
        assert!(keeper.look().await.is_err());
    }
    let trouble = keeper.trouble().unwrap();
    assert!(trouble.reason.contains("does not answer"), "{trouble}");
    assert!(trouble.next_step.contains("start Bee") && !trouble.to_string().contains("top"), "{trouble}");
}
