//! A provider that takes money and does as it pleases.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use t4t_chain::contracts::{ContractAddresses, JobStatus, Offering, Registration};
use t4t_chain::{Rpc, deploy};
use t4t_clock::{Clock, SystemClock};
use t4t_crypto::seal;
use t4t_protocol::{JobAck, JobDeliver, MessageKind, RequestPayload, ResponsePayload, V1};
use t4t_swarm::{Bee, BeeConfig, Patience};
use t4t_testkit::anvil::dev_key;
use t4t_testkit::eventually;
use t4t_testkit::ledger::JobEntry;
use t4t_testkit::processes::{ECHO, PATIENCE, World};
use t4t_types::{Address, EncryptionKey, JobId, SwarmRef, TokenPrices, Xbzz};

use super::stranger::Stranger;

/// What it does with a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trick {
    /// Claims all without an answer.
    ClaimsWithoutAnswer,
    /// Claims all with the reference of nothing.
    ClaimsWithAMissingAnswer,
    /// Delivers and claims bytes that nobody can open.
    DeliversGarbage,
    /// Delivers and claims an answer to another job.
    DeliversAnotherJobsAnswer,
    /// Delivers and claims an answer in another provider's name.
    DeliversAnothersName,
    /// Delivers a good answer, then claims another reference.
    ClaimsAnotherReference,
    /// Delivers garbage and never claims.
    DeliversGarbageAndWaits,
    /// Announces an answer that is not there, for the price of a message.
    AnnouncesNothing,
    /// Never says anything.
    Silent,
    /// Acknowledges and never answers.
    AcknowledgesOnly,
    /// Answers without a word on what was used, and claims all.
    AnswersWithoutUsage,
    /// The same with a usage that can't be.
    AnswersWithOddUsage,
    /// Answers with no word at all, and claims all.
    AnswersNothing,
}

/// A registered provider, cheaper than the honest one.
#[derive(Debug)]
pub(crate) struct Rogue {
    pub(crate) me: Stranger,
    rpc: Rpc,
    contracts: ContractAddresses,
    gateway_node: Bee,
}

/// What a rogue tells the market of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    /// The models that it says it has.
    pub(crate) models: &'a [&'a str],
    /// Where it says that more can be read.
    pub(crate) metadata_uri: &'a str,
    /// How many times less than the honest one it asks for.
    pub(crate) divisor: u128,
}

impl Rogue {
    pub(crate) async fn register(world: &World, wallet: u32) -> anyhow::Result<Self> {
        Self::with_money(world, wallet, &Terms { models: &[ECHO], metadata_uri: "", divisor: 3 }).await
    }

    /// The same with a wallet that has no money yet.
    pub(crate) async fn enter(world: &World, wallet: u32, terms: &Terms<'_>) -> anyhow::Result<Self> {
        let address = dev_key(wallet).address();
        world.anvil.set_balance(address, 1_000_000_000_000_000_000).await?;
        world.market.fund(address, Xbzz::from_whole(200)).await?;
        Self::with_money(world, wallet, terms).await
    }

    async fn with_money(world: &World, wallet: u32, terms: &Terms<'_>) -> anyhow::Result<Self> {
        let me = Stranger::new(world, wallet).await?;
        let (rpc, contracts) = (world.anvil.rpc().clone(), world.market.addresses);
        let gateway_node = Bee::new(BeeConfig::new(world.node(0)?), SystemClock::shared())?;
        let rogue = Self { me, rpc, contracts, gateway_node };
        rogue.transact(&contracts.token().approve_all(contracts.registry)).await?;
        let registration = Registration {
            encryption_key: rogue.me.sealing.public(),
            overlay: rogue.me.overlay,
            metadata_uri: terms.metadata_uri.to_owned(),
            stake: Xbzz::from_whole(100),
        };
        rogue.transact(&contracts.registry().register(&registration)).await?;
        rogue.offer(terms).await?;
        // Events that a node shows late are read with the next block, and this chain makes one only when something is sent.
        world.anvil.mine(1).await?;
        Ok(rogue)
    }

    /// Replaces what it offers.
    pub(crate) async fn offer(&self, terms: &Terms<'_>) -> anyhow::Result<()> {
        let prices = TokenPrices {
            input: Xbzz::from_plur(3_000_000_000_000_000 / terms.divisor),
            output: Xbzz::from_plur(15_000_000_000_000_000 / terms.divisor),
        };
        self.offer_models_at(terms.models, prices).await
    }

    /// Sells the usual model at these prices.
    pub(crate) async fn offer_at(&self, prices: TokenPrices) -> anyhow::Result<()> {
        self.offer_models_at(&[ECHO], prices).await
    }

    /// Sells another model at these prices.
    pub(crate) async fn offer_model_at(&self, model: &str, prices: TokenPrices) -> anyhow::Result<()> {
        self.offer_models_at(&[model], prices).await
    }

    async fn offer_models_at(&self, models: &[&str], prices: TokenPrices) -> anyhow::Result<()> {
        let offering = |model: &&str| Offering {
            model: (*model).to_owned(),
            prices,
            max_context_tokens: 0,
            max_latency_seconds: 10,
        };
        let offers: Vec<Offering> = models.iter().map(offering).collect();
        self.transact(&self.contracts.registry().update_offerings(&offers)).await
    }

    /// Publishes another key than requests were sealed to.
    pub(crate) async fn change_key(&self, key: EncryptionKey) -> anyhow::Result<()> {
        self.transact(&self.contracts.registry().update_keys(key, self.me.overlay)).await
    }

    /// Points at something else that can be read about it.
    pub(crate) async fn point_at(&self, metadata_uri: &str) -> anyhow::Result<()> {
        self.transact(&self.contracts.registry().update_metadata(metadata_uri)).await
    }

    /// Leaves the market.
    pub(crate) async fn leave(&self) -> anyhow::Result<()> {
        self.transact(&self.contracts.registry().deactivate()).await
    }

    async fn transact(&self, call: &t4t_chain::Call) -> anyhow::Result<()> {
        deploy::transact(&self.rpc, &self.me.key, call).await?;
        Ok(())
    }

    pub(crate) fn address(&self) -> Address {
        self.me.address()
    }

    /// Plays a trick on every job it is given, for ever.
    pub(crate) async fn work(&self, world: &World, trick: Trick) -> anyhow::Result<()> {
        let mut done = Vec::new();
        loop {
            let jobs = world.ledger().jobs().await?;
            let new = jobs.iter().filter(|job| job.provider == self.address() && !done.contains(&job.job));
            for job in new.clone().filter(|job| job.status == JobStatus::Pending) {
                self.trick(trick, job).await.with_context(|| format!("{trick:?}"))?;
            }
            done.extend(new.map(|job| job.job).collect::<Vec<_>>());
            SystemClock.sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for one job and answers it well, in these words.
    pub(crate) async fn answer_one(&self, world: &World, words: &str) -> anyhow::Result<()> {
        let job = eventually(PATIENCE, "a job", async || {
            let jobs = world.ledger().jobs().await.ok()?;
            jobs.into_iter().find(|job| job.provider == self.address())
        })
        .await?;
        let request = job.request_hash.context("a job without a request")?;
        let key = self.open(request).await?.client_key;
        let sealed = self.answer_in_words(request, self.address(), &key, words)?;
        self.deliver_answer(&job, request, sealed).await
    }

    async fn trick(&self, trick: Trick, job: &JobEntry) -> anyhow::Result<()> {
        let request_hash = job.request_hash.context("a job without a request")?;
        let request = self.open(request_hash).await?;
        let key = request.client_key;
        let all = job.max_payment;
        match trick {
            Trick::Silent => Ok(()),
            Trick::AnnouncesNothing => self.deliver(job.client, request_hash, SwarmRef::new([7; 32])).await,
            Trick::AcknowledgesOnly => self.acknowledge(job, request_hash).await,
            Trick::ClaimsWithoutAnswer => self.claim(job, SwarmRef::ZERO, all).await,
            Trick::ClaimsWithAMissingAnswer => self.claim(job, SwarmRef::new([5; 32]), all).await,
            Trick::DeliversGarbage | Trick::DeliversGarbageAndWaits => {
                let garbage = self.me.upload(vec![4; 700]).await?;
                self.acknowledge(job, request_hash).await?;
                self.deliver(job.client, request_hash, garbage).await?;
                if trick == Trick::DeliversGarbage { self.claim(job, garbage, all).await } else { Ok(()) }
            }
            Trick::DeliversAnotherJobsAnswer => {
                let other = SwarmRef::new([8; 32]);
                self.deliver_answer(job, request_hash, self.answer(other, self.address(), &key)?).await
            }
            Trick::DeliversAnothersName => {
                let answer = self.answer(request_hash, Address::new([8; 20]), &key)?;
                self.deliver_answer(job, request_hash, answer).await
            }
            Trick::AnswersWithoutUsage | Trick::AnswersWithOddUsage | Trick::AnswersNothing => {
                let words = if trick == Trick::AnswersNothing { "" } else { SAYS };
                let mut response = answer_of(words);
                response["usage"] = match trick {
                    Trick::AnswersWithOddUsage => {
                        json!({ "prompt_tokens": -5, "completion_tokens": 1e300, "total_tokens": "many" })
                    }
                    _ => json!(null),
                };
                let answer = self.seal_answer(request_hash, self.address(), &key, &response)?;
                self.deliver_answer(job, request_hash, answer).await
            }
            Trick::ClaimsAnotherReference => {
                let good = self.me.upload(self.answer(request_hash, self.address(), &key)?).await?;
                self.deliver(job.client, request_hash, good).await?;
                self.claim(job, SwarmRef::new([6; 32]), all).await
            }
        }
    }

    async fn deliver_answer(&self, job: &JobEntry, request: SwarmRef, sealed: Vec<u8>) -> anyhow::Result<()> {
        let reference = self.me.upload(sealed).await?;
        self.deliver(job.client, request, reference).await?;
        self.claim(job, reference, job.max_payment).await
    }

    pub(crate) async fn open(&self, request: SwarmRef) -> anyhow::Result<RequestPayload> {
        let patience = Patience::up_to(Duration::from_secs(20));
        let sealed = self.me.bee.download(&request, 1 << 20, patience).await?;
        Ok(RequestPayload::parse(bytes::Bytes::from_owner(self.me.sealing.open(&sealed)?))?)
    }

    fn answer(&self, request: SwarmRef, provider: Address, to: &EncryptionKey) -> anyhow::Result<Vec<u8>> {
        self.answer_in_words(request, provider, to, SAYS)
    }

    fn answer_in_words(
        &self,
        request: SwarmRef,
        provider: Address,
        to: &EncryptionKey,
        words: &str,
    ) -> anyhow::Result<Vec<u8>> {
        self.seal_answer(request, provider, to, &answer_of(words))
    }

    fn seal_answer(
        &self,
        request: SwarmRef,
        provider: Address,
        to: &EncryptionKey,
        response: &Value,
    ) -> anyhow::Result<Vec<u8>> {
        let payload = ResponsePayload {
            v: V1,
            job_id: request.routing_id(),
            provider,
            openai_response: serde_json::value::to_raw_value(response)?.into(),
            ts: SystemClock.now(),
        };
        Ok(seal(to, &payload.to_json())?)
    }

    async fn acknowledge(&self, job: &JobEntry, request: SwarmRef) -> anyhow::Result<()> {
        self.transact(&self.contracts.escrow().ack_job(job.job)).await?;
        let estimated_completion = SystemClock.now().plus(1);
        let ack = JobAck { routing_id: request.routing_id(), estimated_completion, ext: None };
        self.tell(job.client, MessageKind::JobAck, &ack).await
    }

    pub(crate) async fn deliver(
        &self,
        client: Address,
        request: SwarmRef,
        response_hash: SwarmRef,
    ) -> anyhow::Result<()> {
        let deliver = JobDeliver { routing_id: request.routing_id(), response_hash, ext: None };
        self.tell(client, MessageKind::JobDeliver, &deliver).await
    }

    async fn tell<B: serde::Serialize>(
        &self,
        client: Address,
        kind: MessageKind,
        body: &B,
    ) -> anyhow::Result<()> {
        let node = self.gateway_node.addresses().await?.overlay;
        let signed = self.me.sign(kind, client, body)?;
        self.me.tell_client(client, node, signed).await
    }

    pub(crate) async fn claim(&self, job: &JobEntry, response: SwarmRef, paid: Xbzz) -> anyhow::Result<()> {
        self.claim_job(job.job, response, paid).await
    }

    pub(crate) async fn claim_job(&self, job: JobId, response: SwarmRef, paid: Xbzz) -> anyhow::Result<()> {
        self.transact(&self.contracts.escrow().claim_job(job, response, paid)).await
    }
}

/// What a rogue says.
const SAYS: &str = "what the rogue says";

/// An answer in the form of an inference server's.
fn answer_of(words: &str) -> Value {
    json!({
        "id": "x", "object": "chat.completion", "created": 1, "model": ECHO,
        "choices": [{ "index": 0, "finish_reason": "stop",
            "message": { "role": "assistant", "content": words } }],
        "usage": { "prompt_tokens": 1, "completion_tokens": 4, "total_tokens": 5 },
    })
}
