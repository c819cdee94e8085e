//! Payments that go wrong, and gateways that can't pay or can't be sure.

use std::time::Duration;

use t4t_api::settlement::SettlementError;
use t4t_api::{ServiceError, TransportError};
use t4t_types::{TokenPrices, Xbzz};

use super::rig::stranger::{Act, Script, What};
use super::rig::world::{Fate, lock};
use super::rig::{CHEAP, Market, USUAL, cost, messages};

fn honest(prices: TokenPrices) -> Script {
    vec![(100, Act::Acks), (600, Act::Claims(What::Answer, Some(cost(prices))))]
}

/// Two honest providers.
fn market() -> Market {
    let mut market = Market::new();
    market.add_scripted(20, CHEAP, honest(CHEAP));
    market.add_scripted(21, USUAL, honest(USUAL));
    market.gateway.start();
    market
}

fn chain_gone() -> SettlementError {
    SettlementError::Chain { reason: "no endpoint answers".into() }
}

#[test]
fn a_post_that_the_contract_refuses_goes_to_the_next_provider() {
    let refused =
        SettlementError::Refused { reason: "InsufficientStakeForJob".into(), advice: "ask another".into() };
    for fate in [Fate::NotTaken(refused), Fate::Reverts("ProviderNotLive")] {
        let mut market = market();
        market.world.order(market.gateway.wallet(), "post:", fate.clone(), 1);
        assert_eq!(market.ask("hello"), Ok("hello".to_owned()), "{fate:?}");
        market.until_settled();
        assert_eq!(market.spent(), cost(USUAL), "{fate:?}");
    }
}

#[test]
fn a_wallet_without_money_or_gas_is_told_and_nothing_is_posted() {
    let wallet = super::rig::address(1);
    for error in [
        SettlementError::OutOfXbzz { wallet, has: Xbzz::ZERO, needs: Xbzz::from_whole(1) },
        SettlementError::OutOfGas { wallet },
    ] {
        let mut market = market();
        market.world.order(wallet, "post:", Fate::NotTaken(error), u32::MAX);
        let told = market.ask("hello").unwrap_err();
        assert_eq!(told.status(), 402, "{told}");
        market.until_settled();
        assert!(market.spent().is_zero() && market.world.chain().posted.is_empty());
    }
}

#[test]
fn without_a_chain_or_with_a_busy_settlement_nothing_is_paid_and_the_next_try_is_served() {
    let busy = TransportError::Busy { service: "settlement".into(), retry_after_s: 1 };
    let store = SettlementError::Store { reason: "the disk is full".into() };
    for error in [chain_gone(), SettlementError::Transport { cause: busy }, store] {
        let mut market = market();
        market.world.order(market.gateway.wallet(), "post:", Fate::NotTaken(error.clone()), 1);
        let told = market.ask("hello").unwrap_err();
        assert_eq!(told.status(), 503, "{told}");
        assert_eq!(market.ask("hello"), Ok("hello".to_owned()), "after {error}");
        market.until_settled();
        assert_eq!(market.spent(), cost(CHEAP), "after {error}");
    }
}

#[test]
fn a_payment_whose_reply_is_lost_is_found_and_its_answer_is_the_apps() {
    let mut market = market();
    market.world.order(market.gateway.wallet(), "post:", Fate::ReplyLost(chain_gone()), 1);
    let told = market.ask("hello").unwrap_err();
    assert_eq!(told.status(), 503, "{told}");
    assert_eq!(market.ask("hello"), Ok("hello".to_owned()));
    market.until_settled();
    assert_eq!(market.spent(), cost(CHEAP), "it was paid once");
    assert_eq!(market.world.chain().posted.len(), 1);
}

#[test]
fn a_slow_block_delays_an_answer_and_changes_nothing() {
    let mut market = market();
    market.world.order(market.gateway.wallet(), "post:", Fate::PendingFor(Duration::from_secs(40)), 1);
    assert_eq!(market.ask("hello"), Ok("hello".to_owned()));
    market.until_settled();
    assert_eq!(market.spent(), cost(CHEAP));
}

#[test]
fn a_post_that_never_gets_into_a_block_is_found_whenever_it_does() {
    let mut market = market();
    market.world.order(market.gateway.wallet(), "post:", Fate::Stuck, 1);
    let told = market.ask("hello").unwrap_err();
    assert_eq!(told.status(), 504, "{told}");
    market.gateway.kill();
    market.gateway.start();
    market.world.mine_all(|_| true);
    market.until_settled();
    assert!(market.spent().is_zero(), "its deadline had passed: {}", market.story());
}

#[test]
fn a_taking_back_that_settlement_does_not_take_is_tried_again_until_it_does() {
    let mut market = Market::new();
    market.add_scripted(20, CHEAP, vec![]);
    market.gateway.start();
    market.world.order(market.gateway.wallet(), "cancel:", Fate::NotTaken(chain_gone()), 5);
    assert!(market.ask("hello").is_err());
    market.until_settled();
    assert!(market.spent().is_zero());
    let refusals = market.world.fate_of(market.gateway.wallet(), "cancel:");
    assert!(refusals.is_none(), "all five were met");
}

#[test]
fn a_gateway_that_is_cut_off_pays_nothing_and_names_what_is_wrong() {
    type Break = fn(&Market);
    let cases: [(Break, &str); 4] = [
        (|market| lock(&market.gateway.footing.node_faults).is_down = true, "Bee node"),
        (|market| lock(&market.gateway.footing.node_faults).has_no_stamp = true, "postage"),
        (|market| lock(&market.gateway.footing.watcher_faults).is_down = true, "GNOSIS_RPC_URL"),
        (|market| lock(&market.gateway.footing.watcher_faults).head_age_ms = 61_000, "told nothing"),
    ];
    for (break_it, names) in cases {
        let mut market = market();
        break_it(&market);
        let told = market.ask("hello").unwrap_err();
        assert_eq!(told.status(), 503);
        assert!(told.to_string().contains(names), "{told}");
        market.until_settled();
        assert!(market.world.chain().posted.is_empty());
        *lock(&market.gateway.footing.node_faults) = Default::default();
        *lock(&market.gateway.footing.watcher_faults) = Default::default();
        assert_eq!(market.ask("hello"), Ok("hello".to_owned()), "once it is mended: {names}");
    }
}

#[test]
fn what_no_offer_serves_is_told_before_anything_is_paid() {
    let dear = TokenPrices { input: Xbzz::from_whole(10), output: Xbzz::from_whole(10) };
    let mut market = Market::new();
    market.gateway.start();
    assert_eq!(market.ask("nobody").unwrap_err().status(), 404);
    market.add_scripted(20, dear, honest(USUAL));
    assert!(market.ask("dear").unwrap_err().to_string().contains("T4T_MAX_PRICE_PER_MILLION_TOKENS"));
    market.add_scripted(21, USUAL, honest(USUAL));
    let long = serde_json::json!({ "model": messages::MODEL, "max_tokens": 90_000_000,
        "messages": [{ "role": "user", "content": "much" }] });
    market.gateway.ask(messages::purchase_of("much", &long));
    assert_eq!(market.until_told("much").unwrap_err().status(), 400);
    assert!(market.world.chain().posted.is_empty());
    assert_eq!(market.ask("hello"), Ok("hello".to_owned()));
}

#[test]
fn what_may_be_spent_in_a_day_ends_with_the_day() {
    let mut market = Market::new();
    market.add_scripted(20, USUAL, vec![(100, Act::Acks), (600, Act::Claims(What::Answer, None))]);
    market.gateway.config.day.spend = Xbzz::from_plur(2_000_000_000_000);
    market.gateway.start();
    assert!(market.ask("first").is_ok());
    market.until_settled();
    let told = market.ask("second").unwrap_err();
    assert_eq!(told.status(), 402, "{told}");
    assert!(told.to_string().contains("T4T_MAX_SPEND_PER_DAY"));
    market.pass(Duration::from_secs(25 * 3600));
    assert!(market.ask("third").is_ok());
}
