//! The market's parts, started one after the other.

use std::time::Duration;

use anyhow::{Context, bail};
use t4t_chain::contracts::Offering;
use t4t_clock::{Clock, SystemClock};
use t4t_crypto::WalletKey;
use t4t_roles::{Gateway, Provider};
use t4t_runtime::Settings;
use t4t_terminal::Steps;
use t4t_types::Xbzz;

use super::folder::DevFolder;
use super::money::Parties;
use super::world::World;
use crate::args::DevArgs;

/// How long the provider may take to get its models on offer.
const OFFER_LIMIT: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(50);

/// A market that runs in this process.
#[derive(Debug)]
pub(crate) struct Market {
    pub(super) world: World,
    pub(super) gateway: Gateway,
    pub(super) offers: Vec<Offering>,
    provider: Provider,
}

impl Market {
    /// Starts everything.
    ///
    /// # Errors
    /// A part does not start; the error says which setting to change.
    pub(super) async fn start(
        args: &DevArgs,
        settings: &Settings,
        folder: DevFolder,
        steps: &Steps,
    ) -> anyhow::Result<Self> {
        let (world, wallets) = World::start(args, settings, folder, steps).await?;
        let (roles, chain) = (world.roles(args, settings), [world.chain()]);
        let selling = roles.provider(&chain, (&world.backend, &world.backend.url), Vec::new())?;
        let starting = start_provider(selling, wallets.provider, &world.parties);
        let (provider, offers) = steps.step("provider", "registering and offering models", starting).await?;
        world.anvil.set_block_time(args.block_time).await?;
        let starting = start_gateway(roles.gateway(&chain, Vec::new())?, wallets.gateway);
        let gateway = steps.step("gateway", "reading the directory", starting).await?;
        Ok(Self { world, gateway, offers, provider })
    }

    /// Stops everything, in the order in which nobody is left waiting.
    pub(super) async fn stop(self) {
        self.gateway.stop().await;
        self.provider.stop().await;
        self.world.stop().await;
    }
}

async fn start_provider(
    settings: Settings,
    wallet: WalletKey,
    parties: &Parties,
) -> anyhow::Result<((Provider, Vec<Offering>), String)> {
    let provider = Provider::start(settings, wallet).await.context("the provider does not start")?;
    let offers = wait_for_offers(parties).await?;
    let said = offers_said(&offers, parties).await?;
    Ok(((provider, offers), said))
}

async fn start_gateway(settings: Settings, wallet: WalletKey) -> anyhow::Result<(Gateway, String)> {
    let gateway = Gateway::start(settings, wallet).await;
    let gateway = gateway.context("the gateway does not start (where its port is used: --port N)")?;
    let said = format!("listening at {}", gateway.url());
    Ok((gateway, said))
}

/// Waits until the provider sells something, by the chain.
pub(super) async fn wait_for_offers(parties: &Parties) -> anyhow::Result<Vec<Offering>> {
    let registry = parties.contracts.registry();
    let found = async {
        loop {
            if registry.is_live(&parties.rpc, parties.provider).await? {
                let offers = registry.offerings(&parties.rpc, parties.provider).await?;
                if !offers.is_empty() {
                    return anyhow::Ok(offers);
                }
            }
            SystemClock.sleep(PAUSE).await;
        }
    };
    match t4t_clock::timeout(&SystemClock, OFFER_LIMIT, found).await {
        Ok(found) => found,
        Err(_) => bail!(
            "the provider put no model on offer within {} s: set LOG_LEVEL=info and start again to see why",
            OFFER_LIMIT.as_secs()
        ),
    }
}

/// What is said of a provider that sells.
pub(super) async fn offers_said(offers: &[Offering], parties: &Parties) -> anyhow::Result<String> {
    Ok(format!("{} on offer, {} xBZZ at stake", count(offers.len(), "model"), stake(parties).await?))
}

async fn stake(parties: &Parties) -> anyhow::Result<Xbzz> {
    Ok(parties.contracts.registry().provider(&parties.rpc, parties.provider).await?.stake)
}

pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
