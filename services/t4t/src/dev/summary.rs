//! What `t4t dev` says once the market runs.

use serde_json::json;
use t4t_chain::contracts::Offering;
use t4t_runtime::config::keys;

use super::market::Market;
use crate::output::{self, Table};

/// Shows where everything is and what to try.
pub(super) fn show(market: &Market, ready_ms: u64, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return show_json(market, ready_ms);
    }
    let base = format!("{}/v1", market.gateway.url());
    let model = market.offers.first().map_or("demo", |offer| offer.model.as_str());
    let mut lines = vec![String::new(), format!("base URL  {base}    (any API key)"), String::new()];
    lines.extend(prices(&market.offers));
    lines.extend([
        String::new(),
        "try".into(),
        format!("  {}", curl(&base, model, false)),
        format!("  {}", curl(&base, model, true)),
        format!("  OPENAI_BASE_URL={base} OPENAI_API_KEY=none python your_app.py"),
        format!("  t4t jobs --data {}    (in another terminal)", market.folder.path().display()),
        String::new(),
        format!("inference  {}", market.backend.description),
        format!("chain      {}", market.chain_url),
        format!("swarm      {}", market.bee_urls.join(" ")),
        format!("data       {} (every run starts a fresh market)", market.folder.path().display()),
        String::new(),
        format!("ready in {ready_ms} ms; Ctrl-C stops everything"),
    ]);
    Ok(output::line(lines.join("\n"))?)
}

fn prices(offers: &[Offering]) -> Vec<String> {
    let mut table = Table::new(["MODEL", "xBZZ PER 1M IN", "xBZZ PER 1M OUT"]);
    for offer in offers {
        table.row([offer.model.clone(), offer.prices.input.to_string(), offer.prices.output.to_string()]);
    }
    table.lines()
}

fn curl(base: &str, model: &str, stream: bool) -> String {
    let (option, extra) = if stream { ("-N ", r#","stream":true"#) } else { ("", "") };
    let body =
        format!(r#"{{"model":{},"messages":[{{"role":"user","content":"Hello!"}}]{extra}}}"#, json!(model));
    // A quote in a model's name would end the shell's.
    let body = body.replace('\'', "'\\''");
    format!("curl {option}{base}/chat/completions -H 'content-type: application/json' -d '{body}'")
}

fn show_json(market: &Market, ready_ms: u64) -> anyhow::Result<()> {
    let contracts = market.ledger.contracts;
    Ok(output::json(&json!({
        "base_url": format!("{}/v1", market.gateway.url()),
        "models": market.offers,
        "inference": market.backend.description,
        "chain_url": market.chain_url,
        "bee_urls": market.bee_urls,
        "data": market.folder.path(),
        "gateway_wallet": market.ledger.client,
        "provider_wallet": market.ledger.provider,
        keys::REGISTRY_ADDRESS.name: contracts.registry,
        keys::ESCROW_ADDRESS.name: contracts.escrow,
        keys::XBZZ_ADDRESS.name: contracts.token,
        "ready_ms": ready_ms,
    }))?)
}
