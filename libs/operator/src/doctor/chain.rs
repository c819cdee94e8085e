//! The chain: is it the right one, are the contracts there, is there money.

use std::time::Duration;

use t4t_chain::contracts::ProviderRecord;
use t4t_chain::{ChainError, ContractAddresses, Rpc, RpcConfig};
use t4t_clock::SystemClock;
use t4t_runtime::Settings;
use t4t_runtime::config::{ChainSettings, GatewaySettings, ProviderSettings};
use t4t_types::{Address, Xbzz};

use super::coins::{GAS_TO_SEND, LITTLE_GAS};
use super::{DoctorError, Finding, Role, with_causes};
use crate::text::{xdai, xdai_rounded};

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
    role: Role,
) -> Result<Vec<Finding>, DoctorError> {
    let chain = ChainSettings::from_settings(settings)?;
    let config = RpcConfig { deadline: PATIENCE, attempts: 2, ..RpcConfig::new(chain.rpc_urls.clone()) };
    let rpc = Rpc::new(config, SystemClock::shared())?;
    if let Err(error) = rpc.verify_chain(chain.chain_id).await {
        let next_step = "correct GNOSIS_RPC_URL or T4T_CHAIN_ID, or look at the network";
        return Ok(vec![Finding::bad("chain", with_causes(&error), next_step)]);
    }
    let contracts = ContractAddresses { registry: chain.registry, escrow: chain.escrow, token: chain.token };
    let mut findings = vec![Finding::good("chain", format!("chain {}", chain.chain_id))];
    findings.push(fitting(&rpc, &contracts).await);
    findings.push(endpoints(&rpc).await);
    if let Some(wallet) = wallet {
        findings.push(gas(&rpc, wallet).await);
        let needs = Needs::of(role, settings)?;
        findings.push(money(&rpc, &contracts, wallet, needs).await);
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
        Err(error) => Finding::bad("contracts", with_causes(&error), next_step),
    }
}

async fn gas(rpc: &Rpc, wallet: Address) -> Finding {
    match rpc.balance(wallet).await {
        Ok(wei) => judged_gas(wallet, wei),
        Err(error) => Finding::bad("xDAI", with_causes(&error), "try again when the chain answers"),
    }
}

fn judged_gas(wallet: Address, wei: u128) -> Finding {
    let found = format!("{} xDAI for gas", xdai_rounded(wei));
    if wei >= LITTLE_GAS {
        return Finding::good("xDAI", found);
    }
    Finding::bad("xDAI", found, send(&format!("{} xDAI", xdai(GAS_TO_SEND)), wallet))
}

fn send(amount: &str, wallet: Address) -> String {
    format!("send {amount} to {wallet} on Gnosis Chain")
}

/// What a role needs xBZZ for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// A gateway: what a day's requests may cost.
    ADay(Xbzz),
    /// A provider: a stake.
    Stake,
}

impl Needs {
    fn of(role: Role, settings: &Settings) -> Result<Self, DoctorError> {
        Ok(match role {
            Role::Gateway => Self::ADay(GatewaySettings::from_settings(settings)?.max_spend_per_day),
            Role::Provider => Self::Stake,
        })
    }
}

async fn money(rpc: &Rpc, contracts: &ContractAddresses, wallet: Address, needs: Needs) -> Finding {
    let read = async {
        let held = contracts.token().balance_of(rpc, wallet).await?;
        let record = contracts.registry().provider(rpc, wallet).await?;
        Ok::<_, ChainError>((held, record, contracts.registry().min_stake(rpc).await?))
    };
    match read.await {
        Ok((held, record, min_stake)) => judged(wallet, needs, held, &record, min_stake),
        Err(error) => Finding::bad("xBZZ", with_causes(&error), "try again when the chain answers"),
    }
}

fn judged(wallet: Address, needs: Needs, held: Xbzz, record: &ProviderRecord, min_stake: Xbzz) -> Finding {
    match needs {
        Needs::Stake if record.is_registered() => judged_stake(held, record, min_stake),
        Needs::Stake if held < min_stake => {
            let margin = ProviderSettings::STAKE_MARGIN;
            let lacking = min_stake.saturating_add(margin).saturating_sub(held);
            let next_step = send(&format!("{lacking} xBZZ"), wallet);
            Finding::bad(
                "xBZZ",
                format!("{held} xBZZ, registering takes {min_stake} as stake"),
                format!(
                    "{next_step}: enough for the stake and {margin} above it, for the first payment that burns"
                ),
            )
        }
        Needs::ADay(limit) if held.is_zero() => {
            let next_step = send(&format!("{limit} xBZZ"), wallet);
            let why = "what a day may cost at most (T4T_MAX_SPEND_PER_DAY)";
            Finding::bad("xBZZ", "0 xBZZ", format!("{next_step}: {why}"))
        }
        _ => Finding::good("xBZZ", format!("{held} xBZZ")),
    }
}

/// What is said of the stake of a registered provider.
fn judged_stake(held: Xbzz, record: &ProviderRecord, min_stake: Xbzz) -> Finding {
    let (stake, margin) = (record.stake, ProviderSettings::STAKE_MARGIN);
    if !record.active {
        return Finding::bad(
            "xBZZ",
            "this wallet left the market",
            "run `t4t stake`: it says when the stake can be withdrawn and whether the wallet can come back",
        );
    }
    let missing = min_stake.saturating_sub(stake);
    if !missing.is_zero() {
        let found = format!("{stake} at stake, too little to get jobs (the minimum is {min_stake})");
        let better = missing.saturating_add(margin);
        let next_step = format!(
            "run `t4t stake add {missing}` (better {better}, so that the next burned payment does not do it again)"
        );
        return Finding::bad("xBZZ", found, next_step);
    }
    let above = stake.saturating_sub(min_stake);
    let said = format!("{held} xBZZ, registered with {stake} at stake, {above} above the minimum");
    let thin = format!(
        "; one burned payment may take it off the market: `t4t stake add {margin}` gives it a margin"
    );
    Finding::good("xBZZ", if above < THIN_MARGIN { said + &thin } else { said })
}

#[cfg(test)]
mod tests {
    use t4t_types::UnixSeconds;

    use super::*;

    const WALLET: Address = Address::new([1; 20]);
    const MINIMUM: Xbzz = Xbzz::from_whole(100);

    fn record(stake: u64, active: bool) -> ProviderRecord {
        ProviderRecord {
            owner: WALLET,
            encryption_key: [1; 32].into(),
            overlay: [2; 32].into(),
            metadata_uri: String::new(),
            stake: Xbzz::from_whole(stake),
            last_heartbeat: UnixSeconds::new(1),
            total_jobs: 0,
            successful_jobs: 0,
            active,
            max_concurrent_jobs: 0,
        }
    }

    fn unregistered() -> ProviderRecord {
        ProviderRecord { owner: Address::default(), ..record(0, false) }
    }

    fn next_step(needs: Needs, held: u64, record: &ProviderRecord) -> Option<String> {
        judged(WALLET, needs, Xbzz::from_whole(held), record, MINIMUM).next_step
    }

    #[test]
    fn a_provider_that_gets_no_jobs_is_told_what_its_stake_lacks() {
        let of = |stake, active| next_step(Needs::Stake, 0, &record(stake, active));
        assert_eq!(of(100, true), None);
        assert!(of(98, true).unwrap().starts_with("run `t4t stake add 2` (better 12,"));
        assert!(of(100, false).unwrap().contains("run `t4t stake`"));
    }

    #[test]
    fn who_wants_to_register_is_told_how_much_to_send_with_the_margin() {
        let of = |held| next_step(Needs::Stake, held, &unregistered());
        assert!(
            of(0).unwrap().starts_with("send 110 xBZZ to ") && of(0).unwrap().contains("and 10 above it"),
            "{:?}",
            of(0)
        );
        assert!(of(30).unwrap().starts_with("send 80 xBZZ"), "{:?}", of(30));
        assert_eq!(of(110), None);
    }

    #[test]
    fn an_empty_wallet_of_a_gateway_is_told_how_much_a_day_may_cost() {
        let needs = Needs::ADay(Xbzz::from_whole(7));
        let said = next_step(needs, 0, &unregistered()).unwrap();
        assert!(said.starts_with(&format!("send 7 xBZZ to {WALLET} on Gnosis Chain: what a day")), "{said}");
        assert_eq!(next_step(needs, 1, &unregistered()), None);
    }

    #[test]
    fn a_wallet_with_little_gas_is_told_how_much_to_send_and_that_is_enough() {
        let said = judged_gas(WALLET, LITTLE_GAS - 1).next_step.unwrap();
        assert_eq!(said, format!("send 0.1 xDAI to {WALLET} on Gnosis Chain"));
        assert!(judged_gas(WALLET, GAS_TO_SEND).ok);
    }
}
