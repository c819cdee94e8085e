//! Many more providers on the chain, which nobody runs.

use t4t_chain::contracts::{Offering, Registration};
use t4t_chain::{Call, Fees, TransactionRequest};
use t4t_crypto::{SealingKey, WalletKey};
use t4t_testkit::anvil::{Anvil, Market, dev_key};
use t4t_testkit::processes::ECHO;
use t4t_types::{Address, Overlay, TokenPrices, Xbzz};

/// The first development wallet that becomes one of them.
const FIRST: u32 = 100;

/// More than any of the calls takes, and little enough that dozens fit into a block.
const GAS: u64 = 700_000;

/// Registers `count` providers that offer the model at a price nobody pays, and `last_model` besides, the last one's
/// only: whoever sees it has read them all.
pub(crate) async fn register(
    anvil: &Anvil,
    market: &Market,
    count: u32,
    last_model: &str,
) -> anyhow::Result<()> {
    let keys: Vec<WalletKey> = (FIRST..FIRST + count).map(dev_key).collect();
    let token = market.addresses.token();
    let mints: Vec<Call> = keys.iter().map(|key| token.mint(key.address(), Xbzz::from_whole(200))).collect();
    send(anvil, market.owner(), &mints).await?;
    for (number, key) in keys.iter().enumerate() {
        anvil.set_balance(key.address(), 10u128.pow(20)).await?;
        let model = if number + 1 == keys.len() { last_model } else { ECHO };
        send(anvil, key, &calls(market, model)?).await?;
    }
    Ok(())
}

fn calls(market: &Market, model: &str) -> anyhow::Result<[Call; 3]> {
    let stake = Xbzz::from_whole(100);
    let registry = market.addresses.registry();
    let registration = Registration {
        encryption_key: SealingKey::generate()?.public(),
        overlay: Overlay::ZERO,
        metadata_uri: String::new(),
        stake,
    };
    let offering = Offering {
        model: model.to_owned(),
        prices: TokenPrices { input: Xbzz::from_whole(1), output: Xbzz::from_whole(1) },
        max_context_tokens: 4096,
        max_latency_seconds: 60,
    };
    Ok([
        market.addresses.token().approve(registry.address, stake),
        registry.register(&registration),
        registry.update_offerings(&[offering]),
    ])
}

/// Sends calls of one wallet one after the other, without waiting for blocks.
async fn send(anvil: &Anvil, key: &WalletKey, calls: &[Call]) -> anyhow::Result<()> {
    let rpc = anvil.rpc();
    let from: Address = key.address();
    let first = rpc.transaction_count(from, t4t_chain::BlockTag::Pending).await?;
    for (nonce, call) in (first..).zip(calls) {
        let request = TransactionRequest {
            chain_id: anvil.chain_id(),
            nonce,
            to: Some(call.to),
            data: call.data.clone(),
            value: 0,
            gas_limit: GAS,
            // Full blocks raise the base fee by an eighth each.
            fees: Fees { max_fee: 1_000_000_000_000, max_priority: 1_000_000_000 },
        };
        rpc.send_raw(&request.sign(key).bytes).await?;
    }
    Ok(())
}
