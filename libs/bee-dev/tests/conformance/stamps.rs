//! Postage batches. Buying costs xBZZ, so real nodes are only asked.

use std::time::Duration;

use t4t_bee_dev::{BeeDev, BeeDevConfig};
use t4t_swarm::{SwarmError, Upload};
use t4t_types::BatchId;

use crate::nodes::{Nodes, bee, day, order, usable_batch, wait_usable};

#[tokio::test]
async fn a_batch_is_listed_and_found() {
    let nodes = Nodes::start().await;
    let listed = nodes.sender.stamps().await.unwrap();
    let found = nodes.sender.stamp(&nodes.batch).await.unwrap();
    assert!(listed.iter().any(|stamp| stamp.batch_id == nodes.batch));
    assert!(found.usable && found.depth >= 17 && found.bucket_depth == 16);
    assert!((0.0..=1.0).contains(&found.usage_ratio()));
}

#[tokio::test]
async fn an_unknown_batch_pays_for_nothing() {
    let nodes = Nodes::start().await;
    let unknown = BatchId::new([0xee; 32]);
    let upload = nodes.sender.upload(&unknown, "x", Upload::Direct).await.unwrap_err();
    assert!(matches!(upload, SwarmError::StampUnusable { batch, .. } if batch == unknown), "{upload:?}");
    let message = nodes.message(&Nodes::topic(), "x");
    let message = nodes.sender.send_message(&message, &unknown).await.unwrap_err();
    assert!(matches!(message, SwarmError::StampUnusable { .. }), "{message:?}");
    let lookup = nodes.sender.stamp(&unknown).await.unwrap_err();
    assert!(matches!(lookup, SwarmError::NotFound(_) | SwarmError::StampUnusable { .. }), "{lookup:?}");
}

#[tokio::test]
async fn a_batch_is_bought_topped_up_and_diluted() {
    if Nodes::is_real() {
        return;
    }
    let nodes = Nodes::start().await;
    let amount = day(&nodes.sender).await;
    let balance = nodes.sender.wallet().await.unwrap().bzz_balance;
    let order = order(amount, "lifecycle");
    let batch = nodes.sender.buy_stamp(&order).await.unwrap().batch_id;
    wait_usable(&nodes.sender, &batch).await;
    let bought = nodes.sender.stamp(&batch).await.unwrap();
    assert_eq!((bought.label.as_str(), bought.depth, bought.immutable), ("lifecycle", 20, false));
    let paid = balance.checked_sub(nodes.sender.wallet().await.unwrap().bzz_balance);
    assert_eq!(paid, order.cost());

    nodes.sender.top_up(&batch, amount).await.unwrap();
    let topped_up = nodes.sender.stamp(&batch).await.unwrap();
    assert!(topped_up.ttl_seconds > bought.ttl_seconds + 80_000, "{}", topped_up.ttl_seconds);
    nodes.sender.dilute(&batch, 21).await.unwrap();
    let diluted = nodes.sender.stamp(&batch).await.unwrap();
    assert_eq!(diluted.depth, 21);
    assert!(diluted.ttl_seconds <= topped_up.ttl_seconds / 2);
}

#[tokio::test]
async fn tests_that_begin_at_once_on_a_node_without_a_batch_buy_one() {
    let delay = Duration::from_millis(500);
    let config =
        BeeDevConfig { transaction_delay: delay, stamp_usable_delay: delay, ..BeeDevConfig::default() };
    let network = BeeDev::start(config).await.unwrap();
    let node = bee(&network.urls()[0]);
    let (first, second) = tokio::join!(usable_batch(&node), usable_batch(&node));
    assert_eq!(first, second);
    assert_eq!(node.stamps().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_amount_for_less_than_a_day_is_refused() {
    let nodes = Nodes::start().await;
    let refused = nodes.sender.buy_stamp(&order(t4t_types::Xbzz::from_plur(1), "short")).await.unwrap_err();
    assert!(matches!(refused, SwarmError::Node { status: 400, .. }), "{refused:?}");
}
