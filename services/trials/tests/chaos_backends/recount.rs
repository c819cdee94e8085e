//! What an answer may cost at most, by what the backend really sent.

use anyhow::Context;
use serde_json::Value;
use t4t_testkit::backend::Recorded;
use t4t_testkit::processes::Scene;
use t4t_types::{TokenPrices, TokenUsage, Xbzz};

/// Characters that a message has beside its text, by the runner's rule.
const CHARS_A_MESSAGE: usize = 16;

/// The provider's prices on the chain.
pub(crate) async fn prices(scene: &Scene) -> anyhow::Result<TokenPrices> {
    let registry = scene.world.market.addresses.registry();
    let offers = registry.offerings(scene.world.anvil.rpc(), scene.provider.wallet).await?;
    Ok(offers.first().context("nothing is offered")?.prices)
}

/// The price of the runner's own count, which its module `metering` describes: a token for each delta that left, or a
/// quarter of the characters of an answer in one piece; a quarter of the prompt's characters, where its true tokens are
/// fewer.
pub(crate) fn price(prices: &TokenPrices, request: &Recorded, is_whole: bool) -> anyhow::Result<Xbzz> {
    let messages = request.body["messages"].as_array().context("no messages")?;
    let text = |message: &Value| message["content"].as_str().unwrap_or_default().to_owned();
    let asked: Vec<String> = messages.iter().map(text).collect();
    let chars: usize = asked.iter().map(|text| CHARS_A_MESSAGE + text.chars().count()).sum();
    let words: usize = asked.iter().map(|text| text.split_whitespace().count()).sum();
    let sent = request.sent_tokens();
    let by_chars = if is_whole && sent > 0 { asked.concat().chars().count().div_ceil(4) + 1 } else { 0 };
    let usage =
        TokenUsage { prompt: chars.div_ceil(4).max(words) as u64, completion: sent.max(by_chars as u64) };
    prices.cost(usage).context("the cost overflows")
}
