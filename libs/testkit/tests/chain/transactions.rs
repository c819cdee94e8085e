//! Signed transactions on their way into a block.

use t4t_chain::{BlockTag, Fees, RawTransaction, SendError, TransactionRequest, deploy};
use t4t_crypto::WalletKey;
use t4t_testkit::anvil::{Anvil, AnvilConfig, Market, dev_key};
use t4t_types::{Address, TxHash};

const GIFT: u128 = 1_000_000_000;

fn receiver() -> Address {
    Address::new([7; 20])
}

async fn anvil() -> Anvil {
    Anvil::start(AnvilConfig::default()).await.unwrap()
}

async fn gift(anvil: &Anvil, from: &WalletKey, fees: Fees) -> TransactionRequest {
    TransactionRequest {
        chain_id: anvil.chain_id(),
        nonce: anvil.rpc().transaction_count(from.address(), BlockTag::Latest).await.unwrap(),
        to: Some(receiver()),
        data: Vec::new(),
        value: GIFT,
        gas_limit: 21_000,
        fees,
    }
}

async fn fair(anvil: &Anvil) -> Fees {
    Fees::suggested(anvil.rpc().latest_block().await.unwrap().base_fee, 1_000_000_000)
}

#[tokio::test]
async fn the_same_bytes_sent_twice_move_the_money_once() {
    let anvil = anvil().await;
    let rpc = anvil.rpc();
    anvil.stop_mining().await.unwrap();
    let key = dev_key(0);
    let RawTransaction { hash, bytes } = gift(&anvil, &key, fair(&anvil).await).await.sign(&key);
    assert_eq!(rpc.send_raw(&bytes).await, Ok(hash));
    // Waiting, it is known already; in a block, its nonce is used: by itself.
    assert_eq!(rpc.send_raw(&bytes).await, Ok(hash));
    assert!(rpc.transaction_known(hash).await.unwrap());
    assert_eq!(rpc.receipt(hash).await, Ok(None));
    anvil.mine(1).await.unwrap();
    assert_eq!(rpc.send_raw(&bytes).await, Ok(hash));

    let receipt = rpc.receipt(hash).await.unwrap().unwrap();
    assert!(receipt.success && receipt.tx == hash && receipt.gas_used == 21_000);
    assert!(receipt.effective_gas_price > 0);
    assert_eq!(rpc.balance(receiver()).await, Ok(GIFT));
    assert_eq!(rpc.receipts(&[TxHash::ZERO, hash]).await, Ok(vec![None, Some(receipt)]));
    assert!(!rpc.transaction_known(TxHash::ZERO).await.unwrap());
}

#[tokio::test]
async fn another_transaction_at_a_used_nonce_is_refused() {
    let anvil = anvil().await;
    anvil.stop_mining().await.unwrap();
    let key = dev_key(0);
    let first = gift(&anvil, &key, fair(&anvil).await).await;
    anvil.rpc().send_raw(&first.sign(&key).bytes).await.unwrap();
    anvil.mine(1).await.unwrap();
    let second = TransactionRequest { value: 2 * GIFT, ..first };
    let refused = anvil.rpc().send_raw(&second.sign(&key).bytes).await;
    assert!(matches!(refused, Err(SendError::NonceTooLow { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_stuck_transaction_is_replaced_by_a_bumped_one_and_by_nothing_less() {
    let anvil = anvil().await;
    let (rpc, key) = (anvil.rpc(), dev_key(0));
    anvil.stop_mining().await.unwrap();
    let stuck = gift(&anvil, &key, fair(&anvil).await).await;
    rpc.send_raw(&stuck.sign(&key).bytes).await.unwrap();
    let same_price = TransactionRequest { value: 2 * GIFT, ..stuck.clone() };
    let refused = rpc.send_raw(&same_price.sign(&key).bytes).await;
    assert!(matches!(refused, Err(SendError::ReplacementUnderpriced { .. })), "{refused:?}");
    let bumped = TransactionRequest { fees: stuck.fees.bumped(), ..same_price };
    let hash = rpc.send_raw(&bumped.sign(&key).bytes).await.unwrap();
    anvil.mine(1).await.unwrap();
    assert!(rpc.receipt(hash).await.unwrap().unwrap().success);
    assert_eq!(rpc.balance(receiver()).await, Ok(2 * GIFT));
}

#[tokio::test]
async fn an_empty_wallet_and_too_low_a_fee_are_told_apart() {
    let anvil = anvil().await;
    let poor = dev_key(1_000_000);
    let request = gift(&anvil, &poor, fair(&anvil).await).await;
    let refused = anvil.rpc().send_raw(&request.sign(&poor).bytes).await;
    assert!(matches!(refused, Err(SendError::InsufficientFunds { .. })), "{refused:?}");
    let key = dev_key(0);
    let request = gift(&anvil, &key, Fees { max_fee: 1, max_priority: 1 }).await;
    let refused = anvil.rpc().send_raw(&request.sign(&key).bytes).await;
    assert!(matches!(refused, Err(SendError::FeeTooLow { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_transaction_for_another_chain_is_refused() {
    let anvil = anvil().await;
    let key = dev_key(0);
    let request = TransactionRequest { chain_id: 10_200, ..gift(&anvil, &key, fair(&anvil).await).await };
    assert!(anvil.rpc().send_raw(&request.sign(&key).bytes).await.is_err());
    assert_eq!(anvil.rpc().verify_chain(100).await, Ok(()));
    assert!(anvil.rpc().verify_chain(10_200).await.is_err());
}

#[tokio::test]
async fn blocks_come_at_the_block_time_after_the_market_is_deployed() {
    let config = AnvilConfig { block_time: Some(1), ..AnvilConfig::default() };
    let anvil = Anvil::start(config).await.unwrap();
    let market = Market::deploy(&anvil).await.unwrap();
    assert_eq!(market.xbzz_of(dev_key(7).address()).await.unwrap(), Market::FUNDS);
    let receipt = deploy::send_coin(anvil.rpc(), &dev_key(0), receiver(), GIFT).await.unwrap();
    let head = anvil.rpc().latest_block().await.unwrap();
    assert!(head.number >= receipt.block_number);
    assert_eq!(anvil.rpc().block_by_number(head.number + 1_000).await, Ok(None));
}

#[tokio::test]
async fn the_chain_goes_back_to_a_snapshot() {
    let anvil = anvil().await;
    let before = anvil.snapshot().await.unwrap();
    anvil.set_balance(receiver(), 5).await.unwrap();
    assert_eq!(anvil.rpc().balance(receiver()).await, Ok(5));
    anvil.revert(&before).await.unwrap();
    assert_eq!(anvil.rpc().balance(receiver()).await, Ok(0));
    assert!(anvil.revert("0x63").await.is_err());
}

#[tokio::test]
async fn an_anvil_that_can_not_start_says_why() {
    let running = anvil().await;
    let port = running.rpc_url().port().unwrap();
    let refused = Anvil::start(AnvilConfig { port, ..AnvilConfig::default() }).await;
    let text = format!("{:#}", refused.unwrap_err());
    assert!(text.contains("did not start to listen") && text.len() > 60, "{text}");
}
