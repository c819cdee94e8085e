//! A provider that takes money and does as it pleases.

use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use t4t_chain::contracts::{ContractAddresses, JobStatus, Offering, Registration};
use t4t_chain::{Rpc, deploy};
use t4t_clock::{Clock, SystemClock};
use t4t_crypto::seal;
use t4t_protocol::{JobAck, JobDeliver, MessageKind, RequestPayload, ResponsePayload, V1};
use t4t_swarm::{Bee, BeeConfig, Patience};
use t4t_testkit::ledger::JobEntry;
use t4t_testkit::processes::{ECHO, World};
use t4t_types::{Address, EncryptionKey, SwarmRef, TokenPrices, Xbzz};

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
    /// Never says anything.
    Silent,
    /// Acknowledges and never answers.
    AcknowledgesOnly,
}

/// A registered provider, cheaper than the honest one.
#[derive(Debug)]
pub(crate) struct Rogue {
    me: Stranger,
    rpc: Rpc,
    contracts: ContractAddresses,
    gateway_node: Bee,
}

impl Rogue {
    pub(crate) async fn register(world: &World, wallet: u32) -> anyhow::Result<Self> {
        let me = Stranger::new(world, wallet).await?;
        let (rpc, contracts) = (world.anvil.rpc().clone(), world.market.addresses);
        let registry = contracts.registry();
        deploy::transact(&rpc, &me.key, &contracts.token().approve_all(contracts.registry)).await?;
        let registration = Registration {
            encryption_key: me.sealing.public(),
            overlay: me.overlay,
            metadata_uri: String::new(),
            stake: Xbzz::from_whole(100),
        };
        deploy::transact(&rpc, &me.key, &registry.register(&registration)).await?;
        let prices = TokenPrices {
            input: Xbzz::from_plur(1_000_000_000_000_000),
            output: Xbzz::from_plur(5_000_000_000_000_000),
        };
        let offer = Offering { model: ECHO.into(), prices, max_context_tokens: 0, max_latency_seconds: 10 };
        deploy::transact(&rpc, &me.key, &registry.update_offerings(&[offer])).await?;
        let gateway_node = Bee::new(BeeConfig::new(world.node(0)?), SystemClock::shared())?;
        Ok(Self { me, rpc, contracts, gateway_node })
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

    async fn trick(&self, trick: Trick, job: &JobEntry) -> anyhow::Result<()> {
        let request_hash = job.request_hash.context("a job without a request")?;
        let request = self.open(request_hash).await?;
        let key = request.client_key;
        let all = job.max_payment;
        match trick {
            Trick::Silent => Ok(()),
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

    async fn open(&self, request: SwarmRef) -> anyhow::Result<RequestPayload> {
        let patience = Patience::up_to(Duration::from_secs(20));
        let sealed = self.me.bee.download(&request, 1 << 20, patience).await?;
        Ok(RequestPayload::parse(&self.me.sealing.open(&sealed)?)?)
    }

    fn answer(&self, request: SwarmRef, provider: Address, to: &EncryptionKey) -> anyhow::Result<Vec<u8>> {
        let response = json!({
            "id": "x", "object": "chat.completion", "created": 1, "model": ECHO,
            "choices": [{ "index": 0, "finish_reason": "stop",
                "message": { "role": "assistant", "content": "what the rogue says" } }],
            "usage": { "prompt_tokens": 1, "completion_tokens": 4, "total_tokens": 5 },
        });
        let payload = ResponsePayload {
            v: V1,
            job_id: request.routing_id(),
            provider,
            openai_response: serde_json::value::to_raw_value(&response)?,
            ts: SystemClock.now(),
        };
        Ok(seal(to, &payload.to_json())?)
    }

    async fn acknowledge(&self, job: &JobEntry, request: SwarmRef) -> anyhow::Result<()> {
        deploy::transact(&self.rpc, &self.me.key, &self.contracts.escrow().ack_job(job.job)).await?;
        let estimated_completion = SystemClock.now().plus(1);
        let ack = JobAck { routing_id: request.routing_id(), estimated_completion, ext: None };
        self.tell(job.client, MessageKind::JobAck, &ack).await
    }

    async fn deliver(
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

    async fn claim(&self, job: &JobEntry, response: SwarmRef, paid: Xbzz) -> anyhow::Result<()> {
        let claim = self.contracts.escrow().claim_job(job.job, response, paid);
        deploy::transact(&self.rpc, &self.me.key, &claim).await?;
        Ok(())
    }
}
