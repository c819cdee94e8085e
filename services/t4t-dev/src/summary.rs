//! What `t4t dev` says once the market runs.

use serde_json::json;
use t4t_chain::contracts::Offering;
use t4t_runtime::config::keys;
use t4t_terminal::output::{self, Table};

use super::market::Market;
use super::world::World;

/// A market as it is shown.
pub(super) struct Shown<'a> {
    pub(super) world: &'a World,
    pub(super) offers: &'a [Offering],
    pub(super) gateway: String,
    pub(super) ready_ms: u64,
}

impl<'a> From<(&'a Market, u64)> for Shown<'a> {
    fn from((market, ready_ms): (&'a Market, u64)) -> Self {
        Self { world: &market.world, offers: &market.offers, gateway: market.gateway.url(), ready_ms }
    }
}

/// Shows where everything is and what to try.
pub(super) fn show(shown: &Shown<'_>, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return show_json(shown);
    }
    let Shown { world, offers, gateway, ready_ms } = shown;
    let base = format!("{gateway}/v1");
    let data = world.folder.path().display();
    let model = offers.first().map_or("demo", |offer| offer.model.as_str());
    let mut lines = vec![String::new(), format!("base URL  {base}    (any API key)"), String::new()];
    lines.extend(prices(offers));
    lines.extend([
        String::new(),
        "try".into(),
        format!("  {}", curl(&base, model, false)),
        format!("  {}", curl(&base, model, true)),
        format!("  OPENAI_BASE_URL={base} OPENAI_API_KEY=none python your_app.py"),
        format!("  t4t jobs --data {data}    (in another terminal)"),
        String::new(),
        format!("inference  {}", world.backend.description),
        format!("chain      {}", world.chain()),
        format!("swarm      {}", world.bee.urls().join(" ")),
        format!("data       {data} (every run starts a fresh market)"),
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

fn show_json(shown: &Shown<'_>) -> anyhow::Result<()> {
    let world = shown.world;
    let contracts = world.parties.contracts;
    Ok(output::json(&json!({
        "base_url": format!("{}/v1", shown.gateway),
        "models": shown.offers,
        "inference": world.backend.description,
        "chain_url": world.chain().as_str(),
        "bee_urls": world.bee.urls(),
        "data": world.folder.path(),
        "gateway_wallet": world.parties.client,
        "provider_wallet": world.parties.provider,
        keys::REGISTRY_ADDRESS.name: contracts.registry,
        keys::ESCROW_ADDRESS.name: contracts.escrow,
        keys::XBZZ_ADDRESS.name: contracts.token,
        "ready_ms": shown.ready_ms,
    }))?)
}
