//! The Bee node: does it answer, does it receive, is there postage.

use t4t_clock::SystemClock;
use t4t_runtime::Settings;
use t4t_runtime::config::SwarmSettings;
use t4t_swarm::{Bee, BeeConfig, StampState};

use super::{Finding, chain_of};

const SECONDS_A_DAY: i64 = 86_400;

pub(super) async fn examine(settings: &Settings) -> anyhow::Result<Vec<Finding>> {
    let swarm = SwarmSettings::from_settings(settings)?;
    let bee = Bee::new(BeeConfig::new(swarm.bee_url.clone()), SystemClock::shared())?;
    let health = match bee.health().await {
        Ok(health) => health,
        Err(error) => {
            let next_step = format!(
                "start Bee at {}, or correct BEE_API_URL",
                swarm.bee_url.origin().ascii_serialization()
            );
            return Ok(vec![Finding::bad("Bee", chain_of(&error), next_step)]);
        }
    };
    let mut findings = vec![Finding::good("Bee", format!("version {}", health.version))];
    findings.push(mode(&bee).await);
    findings.push(postage(&bee, &swarm).await);
    Ok(findings)
}

async fn mode(bee: &Bee) -> Finding {
    match bee.node().await {
        Ok(node) if node.bee_mode.receives_messages() => {
            Finding::good("Bee mode", format!("{:?}: receives messages", node.bee_mode).to_lowercase())
        }
        Ok(node) => Finding::bad(
            "Bee mode",
            format!("{:?}: receives no messages", node.bee_mode).to_lowercase(),
            "run Bee with full-node: true",
        ),
        Err(error) => Finding::bad("Bee mode", chain_of(&error), "look at Bee's log"),
    }
}

async fn postage(bee: &Bee, settings: &SwarmSettings) -> Finding {
    let what = "postage";
    let batches = match bee.stamps().await {
        Ok(batches) => batches,
        Err(error) => return Finding::bad(what, chain_of(&error), "look at Bee's log"),
    };
    let fits = |batch: &&StampState| match settings.batch {
        Some(wanted) => batch.batch_id == wanted,
        None => !settings.stamps.manage || batch.label == settings.stamps.label,
    };
    let best = batches.iter().filter(fits).filter(|batch| batch.usable).max_by_key(|batch| batch.ttl_seconds);
    match (best, settings.batch) {
        (Some(batch), _) => Finding::good(what, described(batch)),
        (None, Some(batch)) => Finding::bad(
            what,
            format!("the node has no usable batch {batch}"),
            "correct POSTAGE_BATCH_ID, or leave it out to have one bought",
        ),
        (None, None) if settings.stamps.manage => {
            Finding::good(what, "none yet: one is bought at the start, paid by Bee's wallet")
        }
        (None, None) => Finding::bad(
            what,
            "the node has no usable batch",
            "set T4T_STAMP_MANAGE=true, or buy one: swarm-cli stamp buy",
        ),
    }
}

fn described(batch: &StampState) -> String {
    let full = (batch.usage_ratio() * 100.0).round();
    match batch.ttl_seconds {
        ..0 => format!("batch {}, {full} % full", batch.batch_id),
        ttl => format!("batch {}, {} days left, {full} % full", batch.batch_id, ttl / SECONDS_A_DAY),
    }
}
