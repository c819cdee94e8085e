//! The chain: is it the right one, are the contracts there, is there money.

use std::time::Duration;

use t4t_chain::contracts::ProviderRecord;
use t4t_chain::{ChainError, ContractAddresses, Rpc, RpcConfig};
use t4t_clock::SystemClock;
use t4t_runtime::Settings;
use t4t_runtime::config::ChainSettings;
use t4t_types::{Address, Xbzz};

use super::{Finding, chain_of};

/// Enough gas for some hundred transactions: 0.05 xDAI, in wei.
const LITTLE_GAS: u128 = 50_000_000_000_000_000;

/// A stake with less than this above the minimum is soon below it.
const THIN_MARGIN: Xbzz = Xbzz::from_whole(5);

/// How long a person waits for one answer of the chain.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is said where nobody can contradict the only endpoint.
const SINGLE_ENDPOINT: &str = "one: whoever runs it could name its own key for a provider and read your prompts, or hold your \
                               transactions up; name a second one of another operator in GNOSIS_RPC_URL, unless it is your own \
                               node";

pub(super) async fn examine(
    settings: &Settings,
    wallet: Option<Address>,
    is_provider: bool,
) -> anyhow::Result<Vec<Finding>> {
    let chain = ChainSettings::from_settings(settings)?;
    let config = RpcConfig { deadline: PATIENCE, attempts: 2, ..RpcConfig::new(chain.rpc_urls.clone()) };
    let rpc = Rpc::new(config, SystemClock::shared())?;
    if let Err(error) = rpc.verify_chain(chain.chain_id).await {
        let next_step = "correct GNOSIS_RPC_URL or T4T_CHAIN_ID, or look at the network";
        return Ok(vec![Finding::bad("chain", chain_of(&error), next_step)]);
    }
    let contracts = ContractAddresses { registry: chain.registry, escrow: chain.escrow, token: chain.token };
    let mut findings = vec![Finding::good("chain", format!("chain {}", chain.chain_id))];
    findings.push(fitting(&rpc, &contracts).await);
    findings.push(endpoints(&rpc).await);
    if let Some(wallet) = wallet {
        findings.push(gas(&rpc, wallet).await);
        findings.push(money(&rpc, &contracts, wallet, is_provider).await);
    }
    Ok(findings)
}

/// Whether one endpoint's lie would stand alone.
async fn endpoints(rpc: &Rpc) -> Finding {
    let each = rpc.each();
    let mut answering = 0;
    for one in &each {
        answering += usize::from(one.chain_id().await.is_ok());
    }
    match (each.len(), answering) {
        (1, _) => Finding::good("endpoints", SINGLE_ENDPOINT),
        (all, 0 | 1) => Finding::bad(
            "endpoints",
            format!("{answering} of {all} answer, and what costs money takes two that agree"),
            "correct GNOSIS_RPC_URL: with the others away, new providers' keys and new nonces are not confirmed",
        ),
        (all, _) => Finding::good(
            "endpoints",
            format!("{answering} of {all} answer: no single one is believed alone"),
        ),
    }
}

async fn fitting(rpc: &Rpc, contracts: &ContractAddresses) -> Finding {
    let read = async {
        let escrow = contracts.escrow();
        Ok::<_, ChainError>((
            escrow.registry(rpc).await?,
            escrow.xbzz(rpc).await?,
            contracts.registry().xbzz(rpc).await?,
        ))
    };
    let next_step = "correct REGISTRY_ADDRESS, ESCROW_ADDRESS and XBZZ_ADDRESS, or T4T_CHAIN_ID";
    match read.await {
        Ok((registry, token, staked))
            if registry == contracts.registry && [token, staked] == [contracts.token; 2] =>
        {
            Finding::good("contracts", "registry, escrow and token fit together")
        }
        Ok(_) => Finding::bad("contracts", "the three addresses are not those of one market", next_step),
        Err(error) => Finding::bad("contracts", chain_of(&error), next_step),
    }
}

async fn gas(rpc: &Rpc, wallet: Address) -> Finding {
    match rpc.balance(wallet).await {
        Ok(wei) if wei >= LITTLE_GAS => Finding::good("xDAI", format!("{} xDAI for gas", xdai(wei))),
        Ok(wei) => Finding::bad(
            "xDAI",
            format!("{} xDAI for gas", xdai(wei)),
            format!("send xDAI to {wallet} on Gnosis Chain"),
        ),
        Err(error) => Finding::bad("xDAI", chain_of(&error), "try again when the chain answers"),
    }
}

/// Thousandths are enough to see whether it will do.
pub(super) fn xdai(wei: u128) -> String {
    let thousandths = wei / 10u128.pow(15);
    format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
}

async fn money(rpc: &Rpc, contracts: &ContractAddresses, wallet: Address, is_provider: bool) -> Finding {
    let read = async {
        let held = contracts.token().balance_of(rpc, wallet).await?;
        let record = contracts.registry().provider(rpc, wallet).await?;
        Ok::<_, ChainError>((held, record, contracts.registry().min_stake(rpc).await?))
    };
    match read.await {
        Ok((held, record, min_stake)) => judged(wallet, is_provider, held, &record, min_stake),
        Err(error) => Finding::bad("xBZZ", chain_of(&error), "try again when the chain answers"),
    }
}

fn judged(
    wallet: Address,
    is_provider: bool,
    held: Xbzz,
    record: &ProviderRecord,
    min_stake: Xbzz,
) -> Finding {
    let send = |amount: String| format!("send {amount} to {wallet} on Gnosis Chain");
    if record.is_registered() && is_provider {
        let missing = min_stake.saturating_sub(record.stake);
        return match record.active {
            true if missing.is_zero() => {
                let margin = record.stake.saturating_sub(min_stake);
                let said = format!(
                    "{held} xBZZ, registered with {} at stake, {margin} above the minimum",
                    record.stake
                );
                let is_thin = margin < THIN_MARGIN;
                let thin =
                    "; one burned payment may take it off the market: `t4t stake add 10` gives it a margin";
                Finding::good("xBZZ", if is_thin { said + thin } else { said })
            }
            true => Finding::bad(
                "xBZZ",
                format!("{} at stake, too little to get jobs (the minimum is {min_stake})", record.stake),
                format!(
                    "run `t4t stake add {missing}`, or more, so that the next burned payment does not do it again"
                ),
            ),
            false => Finding::bad(
                "xBZZ",
                "this wallet left the market",
                "run `t4t stake`: it says when the stake can be withdrawn and whether the wallet can come back",
            ),
        };
    }
    if is_provider && held < min_stake {
        let found = format!("{held} xBZZ, registering takes {min_stake} as stake");
        return Finding::bad("xBZZ", found, send(format!("{} xBZZ", min_stake.saturating_sub(held))));
    }
    if held.is_zero() {
        return Finding::bad("xBZZ", "0 xBZZ", send("xBZZ".into()));
    }
    Finding::good("xBZZ", format!("{held} xBZZ"))
}

#[cfg(test)]
mod tests {
    use t4t_types::UnixSeconds;

    use super::*;

    #[test]
    fn a_provider_that_gets_no_jobs_is_told_what_its_stake_lacks() {
        let judged_with = |stake: u64, active| {
            let record = ProviderRecord {
                owner: Address::new([1; 20]),
                encryption_key: [1; 32].into(),
                overlay: [2; 32].into(),
                metadata_uri: String::new(),
                stake: Xbzz::from_whole(stake),
                last_heartbeat: UnixSeconds::new(1),
                total_jobs: 0,
                successful_jobs: 0,
                active,
                max_concurrent_jobs: 0,
            };
            judged(record.owner, true, Xbzz::ZERO, &record, Xbzz::from_whole(100)).next_step
        };
        assert_eq!(judged_with(100, true), None);
        assert!(judged_with(98, true).unwrap().starts_with("run `t4t stake add 2`"));
        assert!(judged_with(100, false).unwrap().contains("run `t4t stake`"));
    }
}
