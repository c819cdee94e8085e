//! The chain crate against a real EVM and our contracts.

#![expect(clippy::unwrap_used, reason = "a fixture that fails ends its test")]

mod channels;
mod endpoints;
mod jobs;
mod reorganisations;
mod transactions;

use t4t_chain::contracts::{JobOrder, Offering, Registration};
use t4t_chain::{Call, ChainError, Receipt, deploy};
use t4t_crypto::WalletKey;
use t4t_testkit::anvil::{Anvil, AnvilConfig, Market, dev_key};
use t4t_types::{JobId, TokenPrices, UnixSeconds, Xbzz};

/// A chain with our contracts, a client and a registered provider.
struct Fixture {
    anvil: Anvil,
    market: Market,
    client: WalletKey,
    provider: WalletKey,
}

impl Fixture {
    async fn start() -> Self {
        let anvil = Anvil::start(AnvilConfig::default()).await.unwrap();
        let market = Market::deploy(&anvil).await.unwrap();
        let fixture = Self { anvil, market, client: dev_key(0), provider: dev_key(1) };
        let (token, registry) = (fixture.market.addresses.token(), fixture.market.addresses.registry());
        fixture.provider_sends(&token.approve(registry.address, Xbzz::from_whole(100))).await;
        fixture.provider_sends(&registry.register(&registration())).await;
        fixture.provider_sends(&registry.update_offerings(&[offering()])).await;
        fixture.client_sends(&token.approve_all(fixture.market.addresses.escrow)).await;
        fixture
    }

    async fn provider_sends(&self, call: &Call) -> Receipt {
        deploy::transact(self.anvil.rpc(), &self.provider, call).await.unwrap()
    }

    async fn client_sends(&self, call: &Call) -> Receipt {
        deploy::transact(self.anvil.rpc(), &self.client, call).await.unwrap()
    }

    async fn refused(&self, key: &WalletKey, call: &Call) -> String {
        match self.anvil.rpc().simulate(key.address(), call).await {
            Err(ChainError::Reverted(revert)) => revert.name().to_owned(),
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    async fn order(&self) -> JobOrder {
        let now = self.anvil.rpc().latest_block().await.unwrap().timestamp;
        JobOrder {
            provider: self.provider.address(),
            request_hash: [0x11; 32].into(),
            model: "llama3:8b".parse().unwrap(),
            max_payment: Xbzz::from_whole(2),
            delivery_deadline: now.plus(900),
        }
    }

    /// Posts a job and returns its id, which is known before.
    async fn post(&self) -> JobId {
        let (rpc, escrow) = (self.anvil.rpc(), self.market.addresses.escrow());
        let counter = escrow.job_counter(rpc).await.unwrap();
        self.client_sends(&escrow.post_job(&self.order().await)).await;
        escrow.job_id(self.anvil.chain_id(), self.client.address(), counter + 1)
    }

    /// All xBZZ that the parties and the contracts hold, burned stake included.
    async fn held(&self) -> Xbzz {
        let addresses = &self.market.addresses;
        let burned = "0x000000000000000000000000000000000000dEaD".parse().unwrap();
        let holders =
            [self.client.address(), self.provider.address(), addresses.escrow, addresses.registry, burned];
        let mut sum = Xbzz::ZERO;
        for holder in holders {
            sum = sum.checked_add(self.market.xbzz_of(holder).await.unwrap()).unwrap();
        }
        sum
    }
}

fn registration() -> Registration {
    Registration {
        encryption_key: [0x44; 32].into(),
        overlay: [0x55; 32].into(),
        metadata_uri: "bzz://x".into(),
        stake: Xbzz::from_whole(100),
    }
}

fn offering() -> Offering {
    Offering {
        model: "llama3:8b".into(),
        prices: TokenPrices { input: Xbzz::from_plur(3), output: Xbzz::from_plur(15) },
        max_context_tokens: 8192,
        max_latency_seconds: 120,
    }
}

fn never() -> UnixSeconds {
    UnixSeconds::new(0)
}
