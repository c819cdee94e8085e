//! A market of one gateway and its providers in memory: the real buying and selling side on virtual time and a real
//! database each, and scripted counterparts for all they ask.
//!
//! [`World`] holds what both stand in: time, chain, Swarm. [`Gateway`] and [`Provider`] are machines that can die at any
//! kill point and boot again on the same database. A [`ScriptedProvider`] is a peer that does to jobs what a script says.

pub(crate) mod carrier;
pub(crate) mod chain;
pub(crate) mod client;
pub(crate) mod messages;
pub(crate) mod runner;
pub(crate) mod settlement;
pub(crate) mod sides;
pub(crate) mod stranger;
pub(crate) mod watcher;
pub(crate) mod world;

use std::sync::Arc;
use std::time::Duration;

use t4t_crypto::{SealingKey, WalletKey};
use t4t_testkit::virtual_time::{Settled, Timeline};
use t4t_types::{Address, Offering, Overlay, TokenPrices, Xbzz, keccak256};

pub(crate) use self::sides::{Gateway, Provider};
use self::stranger::{Script, ScriptedProvider};
use self::world::{BEGIN_MS, World};

/// What the gateway's wallet holds at the beginning.
pub(crate) const GATEWAY_MONEY: Xbzz = Xbzz::from_whole(100);

/// The usual prices, and those of whoever is chosen first.
pub(crate) const USUAL: TokenPrices = TokenPrices {
    input: Xbzz::from_plur(3_000_000_000_000_000),
    output: Xbzz::from_plur(15_000_000_000_000_000),
};
pub(crate) const CHEAP: TokenPrices = TokenPrices {
    input: Xbzz::from_plur(2_000_000_000_000_000),
    output: Xbzz::from_plur(10_000_000_000_000_000),
};

/// A wallet's key by its number.
pub(crate) fn wallet(number: u8) -> WalletKey {
    WalletKey::from_bytes(&keccak256([number])).unwrap()
}

/// What an answer of the rig costs at these prices.
pub(crate) fn cost(prices: TokenPrices) -> Xbzz {
    prices.cost(messages::USAGE).unwrap()
}

/// A gateway, its providers, and the world.
pub(crate) struct Market {
    pub(crate) timeline: Timeline,
    pub(crate) world: Arc<World>,
    pub(crate) gateway: Gateway,
    pub(crate) providers: Vec<Provider>,
}

impl Market {
    /// A gateway in a world without providers.
    pub(crate) fn new() -> Self {
        let timeline = Timeline::new(BEGIN_MS);
        let world = World::on(&timeline);
        let gateway = Gateway::new(&world, &timeline);
        world.chain().mint(gateway.wallet(), GATEWAY_MONEY);
        Self { timeline, world, gateway, providers: Vec::new() }
    }

    /// A gateway and a real provider, both running and registered.
    pub(crate) fn of_two() -> Self {
        let mut market = Self::new();
        market.add_provider(USUAL);
        market.gateway.start();
        market
    }

    /// Adds a real provider and waits until it is on offer. Returns its place.
    pub(crate) fn add_provider(&mut self, prices: TokenPrices) -> usize {
        let number = u8::try_from(self.providers.len()).unwrap() + 10;
        let provider = Provider::new(&self.world, &self.timeline, wallet(number), prices);
        let address = provider.wallet();
        self.world.chain().mint(address, Xbzz::from_whole(200));
        self.providers.push(provider);
        let at = self.providers.len() - 1;
        self.providers[at].start();
        self.until("the provider is on offer", Duration::from_secs(30), |market| {
            let chain = market.world.chain();
            chain.entry(address).is_some_and(|entry| !entry.offerings.is_empty() && entry.cap > 0)
        });
        at
    }

    /// Adds a peer that does to each job what a script says.
    pub(crate) fn add_scripted(
        &self,
        number: u8,
        prices: TokenPrices,
        script: Script,
    ) -> Arc<ScriptedProvider> {
        add_scripted(&self.world, number, prices, script)
    }

    /// Lets everybody do what they can; dead machines stay off.
    fn settle(&mut self) -> bool {
        let mut died = self.gateway.settle() == Settled::Died;
        for provider in &mut self.providers {
            died |= provider.settle() == Settled::Died;
        }
        died
    }

    /// Lets time pass until something is so, or a machine died; fails after `limit` of the market's time.
    pub(crate) fn until(&mut self, what: &str, limit: Duration, is_so: impl Fn(&Self) -> bool) {
        let ends_ms = self.timeline.now_ms() + u64::try_from(limit.as_millis()).unwrap();
        loop {
            if self.settle() || is_so(self) {
                return;
            }
            assert!(
                self.timeline.now_ms() < ends_ms,
                "waited {limit:?} in vain until {what}\n{}",
                self.story()
            );
            assert!(self.timeline.step(), "nothing is to come any more");
        }
    }

    /// Lets so much time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        let ends_ms = self.timeline.now_ms() + u64::try_from(time.as_millis()).unwrap();
        // Something to wake up to.
        self.timeline.later(time, || ());
        self.until("time has passed", time * 2, |market| market.timeline.now_ms() >= ends_ms);
    }

    /// Asks for an answer and waits for its end.
    pub(crate) fn ask(&mut self, text: &str) -> sides::End {
        self.gateway.ask(messages::purchase(text));
        self.until_told(text)
    }

    /// Waits for the end of a question.
    pub(crate) fn until_told(&mut self, text: &str) -> sides::End {
        let told = |market: &Self| market.gateway.end(text).is_some();
        self.until("the app is told", Duration::from_secs(3600), told);
        self.gateway.end(text).unwrap_or_else(|| panic!("the gateway died\n{}", self.story()))
    }

    /// Waits until no money is in escrow and every row is closed, and checks that every PLUR is accounted for.
    pub(crate) fn until_settled(&mut self) {
        let limit = Duration::from_secs(7200);
        self.until("no job is open", limit, |market| market.world.chain().open_jobs().count() == 0);
        let ends_ms = self.timeline.now_ms() + u64::try_from(limit.as_millis()).unwrap();
        while self.gateway.open_rows() > 0 || self.providers.iter().any(|one| one.open_rows() > 0) {
            assert!(
                self.timeline.now_ms() < ends_ms,
                "a row stays open: {:?}\n{}",
                self.gateway.rows(),
                self.story()
            );
            self.pass(Duration::from_secs(5));
        }
        self.world.chain().check_money();
    }

    /// What the gateway has paid so far.
    pub(crate) fn spent(&self) -> Xbzz {
        let chain = self.world.chain();
        let open: Xbzz = chain
            .open_jobs()
            .filter(|job| job.terms.client == self.gateway.wallet())
            .map(|job| job.terms.max_payment)
            .sum();
        GATEWAY_MONEY.saturating_sub(chain.balance(self.gateway.wallet())).saturating_sub(open)
    }

    /// What happened, for a person.
    pub(crate) fn story(&self) -> String {
        let mut lines: Vec<String> = vec![format!("at {} ms", self.timeline.now_ms() - BEGIN_MS)];
        let chain = self.world.chain();
        lines.extend(chain.told.iter().map(|told| format!("chain: {:?}", told.event)));
        drop(chain);
        lines.extend(self.gateway.said().into_iter().map(|(text, said)| format!("app {text:?}: {said:?}")));
        lines.join("\n")
    }
}

impl Drop for Market {
    fn drop(&mut self) {
        self.gateway.kill();
        self.providers.iter_mut().for_each(Provider::kill);
        self.timeline.end();
    }
}

/// Enters a scripted provider into a world's registry.
pub(crate) fn add_scripted(
    world: &Arc<World>,
    number: u8,
    prices: TokenPrices,
    script: Script,
) -> Arc<ScriptedProvider> {
    let key = wallet(number);
    let sealing_key = SealingKey::derive(&key);
    let stake = Xbzz::from_whole(1_000_000);
    let (address, now) = (key.address(), world.now());
    let offering =
        Offering { model: messages::MODEL.into(), prices, max_context_tokens: 0, max_latency_seconds: 120 };
    let mut chain = world.chain();
    chain.mint(address, stake);
    let mut enter = |intent| {
        let key = t4t_api::settlement::TransactionKey::new(format!("entry:{number}:{intent:?}"));
        chain.enter(address, key.clone(), intent);
        let hash = chain.transaction(address, &key).unwrap().hash;
        chain.mine(hash, now, None);
    };
    use t4t_api::settlement::RegistryIntent as Intent;
    let overlay = Overlay::new(keccak256(address.as_bytes()));
    let metadata_uri = String::new();
    enter(Intent::Register { sealing_key: sealing_key.public(), overlay, metadata_uri, stake });
    enter(Intent::UpdateOfferings { offerings: vec![offering] });
    drop(chain);
    let provider = Arc::new(ScriptedProvider {
        wallet: key,
        sealing_key,
        script: std::sync::Mutex::new(script),
        price: cost(prices),
        jobs: std::sync::Mutex::default(),
    });
    world.settle_in(address, Arc::new(Arc::clone(&provider)));
    provider
}

/// The address of a scripted or real provider by its number.
pub(crate) fn address(number: u8) -> Address {
    wallet(number).address()
}
