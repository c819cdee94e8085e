//! The buying side.

use std::time::Duration;

use super::rig::messages::Said;
use super::rig::{Market, USUAL, cost};

#[test]
fn an_app_gets_its_answer_and_its_provider_the_price_of_it() {
    let mut market = Market::of_two();
    let end = market.ask("hello");
    assert_eq!(end, Ok("hello".to_owned()));
    market.until_settled();
    assert_eq!(market.spent(), cost(USUAL));
    assert_eq!(market.world.chain().burned().plur(), 0);
    assert_eq!(market.providers[0].runs("hello"), 1);
    let said = market.gateway.heard("hello").said;
    assert!(said.contains(&Said::Step("acked".into())), "{said:?}");
    market.pass(Duration::from_secs(60));
    assert_eq!(market.spent(), cost(USUAL), "and nothing more");
}
