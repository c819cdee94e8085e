//! A gateway and a provider that both do what they should, over nodes that do not.

use std::time::Duration;

use super::rig::messages::Said;
use super::rig::world::lock;
use super::rig::{Market, USUAL, cost};

#[test]
fn an_app_gets_its_answer_and_its_provider_the_price_of_it() {
    let mut market = Market::of_two();
    assert_eq!(market.ask("hello"), Ok("hello".to_owned()));
    market.until_settled();
    assert_eq!(market.spent(), cost(USUAL));
    assert!(market.world.chain().burned().is_zero());
    assert_eq!(market.providers[0].runs("hello"), 1);
    let said = market.gateway.heard("hello").said;
    assert!(said.contains(&Said::Step("acked".into())), "{said:?}");
    market.pass(Duration::from_secs(60));
    assert_eq!(market.spent(), cost(USUAL), "and nothing more");
}

#[test]
fn the_same_question_again_gets_the_same_answer_and_pays_nothing() {
    let mut market = Market::of_two();
    assert_eq!(market.ask("hello"), Ok("hello".to_owned()));
    market.until_settled();
    assert_eq!(market.ask("hello"), Ok("hello".to_owned()));
    market.gateway.kill();
    market.gateway.start();
    assert_eq!(market.ask("hello"), Ok("hello".to_owned()), "after a restart, too");
    market.until_settled();
    assert_eq!((market.spent(), market.providers[0].runs("hello")), (cost(USUAL), 1));
}

#[test]
fn without_a_single_message_the_chain_tells_both_sides_all_they_need() {
    let mut market = Market::of_two();
    lock(&market.gateway.footing.node_faults).messages_lost = u32::MAX;
    lock(&market.providers[0].footing.node_faults).messages_lost = u32::MAX;
    assert_eq!(market.ask("hello"), Ok("hello".to_owned()));
    market.until_settled();
    assert_eq!(market.spent(), cost(USUAL));
}

#[test]
fn messages_that_come_thrice_and_late_change_nothing() {
    let mut market = Market::of_two();
    for faults in [&market.gateway.footing.node_faults, &market.providers[0].footing.node_faults] {
        let mut faults = lock(faults);
        (faults.copies, faults.delay) = (2, Duration::from_secs(3));
    }
    assert_eq!(market.ask("hello"), Ok("hello".to_owned()));
    market.until_settled();
    assert_eq!((market.spent(), market.providers[0].runs("hello")), (cost(USUAL), 1));
}

#[test]
fn uploads_that_fail_for_a_while_cost_time_and_no_money() {
    let mut market = Market::of_two();
    lock(&market.gateway.footing.node_faults).uploads_fail = 3;
    lock(&market.providers[0].footing.node_faults).uploads_fail = 3;
    assert_eq!(market.ask("hello"), Ok("hello".to_owned()));
    market.until_settled();
    assert_eq!(market.spent(), cost(USUAL));
}

#[test]
fn a_provider_whose_node_passes_nothing_on_claims_nothing() {
    let mut market = Market::of_two();
    lock(&market.providers[0].footing.node_faults).is_stuck = true;
    let end = market.ask("hello");
    assert!(end.is_err(), "{end:?}");
    market.until_settled();
    assert!(market.spent().is_zero(), "what nobody can read is not claimed");
    assert!(market.world.chain().burned().is_zero(), "it was refused in time");
}

#[test]
fn fifty_apps_at_once_get_each_its_own_answer() {
    let mut market = Market::of_two();
    let texts: Vec<String> = (0..50).map(|number| format!("question {number}")).collect();
    for text in &texts {
        market.gateway.ask(super::rig::messages::purchase(text));
    }
    for text in &texts {
        assert_eq!(market.until_told(text), Ok(text.clone()));
    }
    market.until_settled();
    assert_eq!(market.spent().plur(), cost(USUAL).plur() * 50);
}
