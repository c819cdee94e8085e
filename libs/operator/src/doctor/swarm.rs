//! The Bee node: does it answer, is there postage, is there money for more, does it pass on what it is given, does it
//! receive.

use std::time::Duration;

use t4t_clock::{SystemClock, timeout};
use t4t_runtime::Settings;
use t4t_runtime::config::SwarmSettings;
use t4t_swarm::{
    Bee, BeeConfig, StampKeeper, StampKeeperConfig, StampState, SwarmError, SwarmTrouble, Wallet, estimate_of,
};
use t4t_types::{BatchId, Xbzz};

use super::{DoctorError, Finding, coins, with_causes};
use crate::text::{xdai, xdai_rounded};

const SECONDS_A_DAY: i64 = 86_400;

/// What the node's own wallet is called.
const WALLET: &str = "Bee wallet";

/// How long a person waits for a message that the node sends to itself.
const HEARD_WITHIN: Duration = Duration::from_secs(10);

/// How long a person waits for all that is tried with the node.
const TRIED_WITHIN: Duration = Duration::from_secs(40);

pub(super) async fn examine(
    settings: &Settings,
    config: &StampKeeperConfig,
    deaf: SwarmTrouble,
) -> Result<Vec<Finding>, DoctorError> {
    let swarm = SwarmSettings::from_settings(settings)?;
    let bee = Bee::new(BeeConfig::new(swarm.bee_url.clone()), SystemClock::shared())?;
    let health = match bee.health().await {
        Ok(health) => health,
        Err(error) => {
            let next_step = format!(
                "start Bee at {}, or correct BEE_API_URL",
                swarm.bee_url.origin().ascii_serialization()
            );
            return Ok(vec![Finding::bad("Bee", with_causes(&error), next_step)]);
        }
    };
    let mut findings = vec![Finding::good("Bee", format!("version {}", health.version))];
    let found = find(&bee, &swarm).await;
    findings.push(postage(&bee, &swarm, config, &found).await);
    findings.push(wallet(&bee, config, found.as_ref().is_ok_and(Option::is_some)).await);
    if let Ok(Some(batch)) = &found {
        findings.extend(tried(&bee, &batch.batch_id, deaf).await);
    } else {
        findings.push(mode(&bee).await);
    }
    Ok(findings)
}

/// What the node says of itself, where nothing can be tried for want of postage.
async fn mode(bee: &Bee) -> Finding {
    match bee.node().await {
        Ok(node) if node.bee_mode.receives_messages() => Finding::good(
            "Bee mode",
            format!("{:?} (tried once there is postage)", node.bee_mode).to_lowercase(),
        ),
        Ok(node) => Finding::bad(
            "Bee mode",
            format!("{:?}: such nodes mostly receive no messages", node.bee_mode).to_lowercase(),
            "run Bee with full-node: true",
        ),
        Err(error) => Finding::bad("Bee mode", with_causes(&error), "look at Bee's log"),
    }
}

/// Whether the node passes chunks on and receives messages: tried, since what it says of its mode proves nothing.
async fn tried(bee: &Bee, batch: &BatchId, deaf: SwarmTrouble) -> Vec<Finding> {
    let config = StampKeeperConfig { batch: Some(*batch), ..StampKeeperConfig::default() };
    let keeper = StampKeeper::new(bee.clone(), config);
    let passing = async {
        keeper.resolve().await?;
        keeper.probe_outbound().await
    };
    let hearing = bee.hears_itself(batch, HEARD_WITHIN);
    let trying = futures_util::future::join(passing, hearing);
    let (passes, hears) = match timeout(&SystemClock, TRIED_WITHIN, Box::pin(trying)).await {
        Ok(tried) => tried,
        Err(_) => (Err(SwarmError::TimedOut(TRIED_WITHIN)), Err(SwarmError::TimedOut(TRIED_WITHIN))),
    };
    let bad = |what, trouble: SwarmTrouble| Finding::bad(what, trouble.reason, trouble.next_step);
    vec![
        match passes {
            Ok(None) => Finding::good("Bee uploads", "a chunk went to the network"),
            Ok(Some(trouble)) => bad("Bee uploads", trouble),
            Err(error) => bad("Bee uploads", SwarmTrouble::from(&error)),
        },
        match hears {
            Ok(true) => Finding::good("Bee messages", "one to itself arrived"),
            Ok(false) => bad("Bee messages", deaf),
            Err(error) => bad("Bee messages", SwarmTrouble::from(&error)),
        },
    ]
}

/// The batch that would be used.
async fn find(bee: &Bee, settings: &SwarmSettings) -> Result<Option<StampState>, SwarmError> {
    let batches = bee.stamps().await?;
    let fits = |batch: &StampState| match settings.batch {
        Some(wanted) => batch.batch_id == wanted,
        None => !settings.stamps.manage || batch.label == settings.stamps.label,
    };
    let usable = batches.into_iter().filter(|batch| batch.usable && fits(batch));
    Ok(usable.max_by_key(|batch| batch.ttl_seconds))
}

async fn postage(
    bee: &Bee,
    settings: &SwarmSettings,
    config: &StampKeeperConfig,
    found: &Result<Option<StampState>, SwarmError>,
) -> Finding {
    let what = "postage";
    match (found, settings.batch) {
        (Err(error), _) => Finding::bad(what, with_causes(error), error.next_step()),
        (Ok(Some(batch)), _) => Finding::good(what, described(batch)),
        (Ok(None), Some(batch)) => Finding::bad(
            what,
            format!("the node shows no usable batch {batch}"),
            "correct POSTAGE_BATCH_ID, or leave it out to have one bought",
        ),
        (Ok(None), None) if !settings.stamps.manage => Finding::bad(
            what,
            "the node has no usable batch",
            "set T4T_STAMP_MANAGE=true, or buy one: swarm-cli stamp buy",
        ),
        (Ok(None), None) => match estimate(bee, config).await {
            Ok((days, cost)) => Finding::good(
                what,
                format!(
                    "none shown yet: where none comes up, one of depth {} for {days} days is bought at the start for \
                     {cost} xBZZ from the Bee node's own wallet",
                    config.depth
                ),
            ),
            Err(error) => Finding::bad(what, with_causes(&error), error.next_step()),
        },
    }
}

async fn estimate(bee: &Bee, config: &StampKeeperConfig) -> Result<(u32, Xbzz), SwarmError> {
    estimate_of(config, bee.chain_state().await?.current_price)
}

/// The node's own wallet: postage is paid from it, not from the market's.
async fn wallet(bee: &Bee, config: &StampKeeperConfig, has_batch: bool) -> Finding {
    let wallet = match bee.wallet().await {
        Ok(wallet) => wallet,
        Err(error) => return Finding::bad(WALLET, with_causes(&error), error.next_step()),
    };
    // What the next batch or top-up costs.
    let needs = match estimate(bee, config).await {
        Ok((_, cost)) if config.manage && config.batch.is_none() => cost,
        _ => Xbzz::ZERO,
    };
    judged(&wallet, needs, has_batch)
}

fn judged(wallet: &Wallet, needs: Xbzz, has_batch: bool) -> Finding {
    let wei: u128 = wallet.native_token_balance.parse().unwrap_or_default();
    let held = format!(
        "{} xBZZ and {} xDAI in {}, for postage",
        wallet.bzz_balance,
        xdai_rounded(wei),
        wallet.wallet_address
    );
    if wallet.bzz_balance >= needs && (wei > 0 || has_batch) {
        return Finding::good(WALLET, held);
    }
    // A batch that lasts is no reason to fail.
    if has_batch {
        return Finding::good(WALLET, format!("{held}: too little for the next top-up ({needs} xBZZ)"));
    }
    let lacking = needs.saturating_sub(wallet.bzz_balance);
    let gas = (wei == 0).then(|| format!("{} xDAI", xdai(coins::GAS_TO_SEND)));
    let xbzz = (!lacking.is_zero()).then(|| format!("at least {lacking} xBZZ"));
    let coins: Vec<String> = xbzz.into_iter().chain(gas).collect();
    let next_step = format!(
        "send {} on Gnosis Chain to {}: the Bee node's own wallet",
        coins.join(" and "),
        wallet.wallet_address
    );
    Finding::bad(WALLET, format!("{held}: a batch costs {needs} xBZZ"), next_step)
}

fn described(batch: &StampState) -> String {
    let full = (batch.usage_ratio() * 100.0).round();
    let depth = batch.depth;
    match batch.ttl_seconds {
        ..0 => format!("batch {} of depth {depth}, {full} % full", batch.batch_id),
        ttl => {
            let days = ttl / SECONDS_A_DAY;
            format!("batch {} of depth {depth}, {days} days left, {full} % full", batch.batch_id)
        }
    }
}

#[cfg(test)]
mod tests {
    use t4t_types::Address;

    use super::*;

    fn judged_with(xbzz: u64, wei: &str, has_batch: bool) -> Finding {
        let wallet = Wallet {
            bzz_balance: Xbzz::from_whole(xbzz),
            native_token_balance: wei.into(),
            chain_id: 100,
            wallet_address: Address::new([1; 20]),
        };
        judged(&wallet, Xbzz::from_whole(3), has_batch)
    }

    #[test]
    fn the_nodes_wallet_is_told_how_much_of_which_coin_to_get() {
        let said = |xbzz, wei| judged_with(xbzz, wei, false).next_step.unwrap_or_default();
        assert!(said(3, "0").starts_with("send 0.1 xDAI on Gnosis Chain to "), "{}", said(3, "0"));
        assert!(said(1, "1").starts_with("send at least 2 xBZZ on"), "{}", said(1, "1"));
        assert!(said(0, "0").starts_with("send at least 3 xBZZ and 0.1 xDAI on"), "{}", said(0, "0"));
        assert_eq!(said(3, "1"), "");
    }

    #[test]
    fn a_batch_that_lasts_is_no_reason_to_fail() {
        let finding = judged_with(1, "0", true);
        assert!(
            finding.ok && finding.found.ends_with("too little for the next top-up (3 xBZZ)"),
            "{finding:?}"
        );
    }
}
