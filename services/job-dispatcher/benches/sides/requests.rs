//! Requests between a gateway and a provider, both on one thread of virtual time: nothing waits, nothing is done twice.

use std::time::Duration;

use anyhow::ensure;

use crate::rig::world::lock;
use crate::rig::{Market, USUAL, cost, messages};

/// What follows a request for a while: announcements that are repeated, rows that are swept.
const TAIL: Duration = Duration::from_secs(30);

/// How long an answer's text is, in bytes.
const ANSWER_BYTES: usize = 1000;

/// Makes `count` requests whose text has `bytes` bytes.
pub(crate) fn make(count: usize, bytes: usize) -> anyhow::Result<()> {
    let mut market = Market::of_two();
    market.gateway.config.day.spend = t4t_types::Xbzz::from_whole(1_000_000);
    market.gateway.kill();
    market.gateway.start();
    *lock(&market.providers[0].backend.says) = Some("a".repeat(ANSWER_BYTES));
    for number in 0..count {
        let name = format!("question {number}");
        let text = format!("{name} {}", "word ".repeat(bytes / 5));
        market.gateway.ask(messages::purchase_of(&name, &messages::chat(&text)));
        let end = market.until_told(&name);
        ensure!(end.as_ref().is_ok_and(|answer| answer.len() == ANSWER_BYTES), "{end:?}");
    }
    market.pass(TAIL);
    market.until_settled();
    let paid = cost(USUAL).plur() * count as u128;
    ensure!(market.spent().plur() == paid, "{} paid for {count} answers", market.spent());
    println!("{count} requests of {bytes} bytes");
    Ok(())
}
