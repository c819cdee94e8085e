//! A client with a wallet, keys and a Swarm node, and nobody's rules.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use t4t_chain::contracts::{ContractAddresses, JobOrder, JobStatus, ProviderRecord};
use t4t_chain::events::decode;
use t4t_chain::{BlockTag, ChainEvent, Fees, Rpc, TransactionRequest, deploy};
use t4t_clock::{Clock, SystemClock};
use t4t_crypto::{SealingKey, WalletKey, random_bytes, seal};
use t4t_protocol::{
    JobNotify, MessageKind, RequestPayload, ResponsePayload, UnsignedEnvelope, V1, client_topic, path_topic,
    provider_topic,
};
use t4t_swarm::{Bee, BeeConfig, BuyStamp, Message, Patience, Subscription, Upload};
use t4t_testkit::anvil::dev_key;
use t4t_testkit::eventually;
use t4t_testkit::ledger::JobEntry;
use t4t_testkit::processes::{ECHO, PATIENCE, World};
use t4t_types::{Address, BatchId, JobId, Overlay, SwarmRef, UnixSeconds, Xbzz};

/// What a stranger pays for an honest job: enough for some hundred tokens.
pub(crate) const PAYMENT: Xbzz = Xbzz::from_plur(10_000_000_000_000);

/// Fees above all that a role pays.
const FEES: Fees = Fees { max_fee: 300_000_000_000, max_priority: 100_000_000_000 };

/// Leading bits that a development node's neighbourhood has, and two more.
const TARGET_BITS: u8 = 10;

/// A client that speaks the protocol by itself.
#[derive(Debug)]
pub(crate) struct Stranger {
    pub(crate) key: WalletKey,
    pub(crate) sealing: SealingKey,
    pub(crate) bee: Bee,
    pub(crate) overlay: Overlay,
    pub(crate) batch: BatchId,
    rpc: Rpc,
    chain_id: u64,
    contracts: ContractAddresses,
}

impl Stranger {
    /// A client with money, postage and an approved escrow.
    pub(crate) async fn new(world: &World, wallet: u32) -> anyhow::Result<Self> {
        let bee = Bee::new(BeeConfig::new(world.node(3)?), SystemClock::shared())?;
        let order = BuyStamp {
            amount: Xbzz::from_plur(24_000 * 17_280 * 30),
            depth: 20,
            label: format!("stranger {wallet}"),
            immutable: false,
        };
        let batch = bee.buy_stamp(&order).await?.batch_id;
        let key = dev_key(wallet);
        let (rpc, contracts) = (world.anvil.rpc().clone(), world.market.addresses);
        deploy::transact(&rpc, &key, &contracts.token().approve_all(contracts.escrow)).await?;
        let overlay = bee.addresses().await?.overlay;
        let chain_id = world.anvil.chain_id();
        Ok(Self { key, sealing: SealingKey::generate()?, bee, overlay, batch, rpc, chain_id, contracts })
    }

    pub(crate) fn address(&self) -> Address {
        self.key.address()
    }

    /// A provider as the registry has it.
    pub(crate) async fn provider(&self, provider: Address) -> anyhow::Result<ProviderRecord> {
        Ok(self.contracts.registry().provider(&self.rpc, provider).await?)
    }

    /// A request as an honest client seals it.
    pub(crate) async fn request(&self, provider: Address, text: &str) -> anyhow::Result<Vec<u8>> {
        self.request_of(provider, self.address(), ECHO, text).await
    }

    /// A request that names any client and any model.
    pub(crate) async fn request_of(
        &self,
        provider: Address,
        client: Address,
        model: &str,
        text: &str,
    ) -> anyhow::Result<Vec<u8>> {
        let request = json!({
            "model": model, "max_tokens": 16, "stream": false, "messages": [{ "role": "user", "content": text }],
        });
        self.seal(provider, client, model, &request).await
    }

    /// A request of this client with any JSON in it.
    pub(crate) async fn seal_raw(&self, provider: Address, request: &Value) -> anyhow::Result<Vec<u8>> {
        self.seal(provider, self.address(), ECHO, request).await
    }

    async fn seal(
        &self,
        provider: Address,
        client: Address,
        model: &str,
        request: &Value,
    ) -> anyhow::Result<Vec<u8>> {
        let payload = RequestPayload {
            v: V1,
            job_id: random_bytes()?,
            client,
            model_id: model.parse()?,
            openai_request: serde_json::value::to_raw_value(request)?.into(),
            client_key: self.sealing.public(),
            ts: SystemClock.now(),
        };
        Ok(seal(&self.provider(provider).await?.encryption_key, &payload.to_json())?)
    }

    pub(crate) async fn upload(&self, content: impl Into<Bytes>) -> anyhow::Result<SwarmRef> {
        Ok(self.bee.upload(&self.batch, content, Upload::Direct).await?)
    }

    /// An order as an honest client places it.
    pub(crate) async fn order(&self, provider: Address, request_hash: SwarmRef) -> anyhow::Result<JobOrder> {
        let delivery_deadline = self.chain_now().await?.plus(300);
        Ok(JobOrder { provider, request_hash, model: ECHO.parse()?, max_payment: PAYMENT, delivery_deadline })
    }

    pub(crate) async fn chain_now(&self) -> anyhow::Result<UnixSeconds> {
        Ok(self.rpc.latest_block().await?.timestamp)
    }

    /// Posts a job and waits for its block.
    pub(crate) async fn post(&self, order: &JobOrder) -> anyhow::Result<JobId> {
        let call = self.contracts.escrow().post_job(order);
        let receipt = deploy::transact(&self.rpc, &self.key, &call).await?;
        let events = receipt.logs.iter().filter_map(|log| decode(log, &self.contracts));
        let posted = events.into_iter().find_map(|event| match event {
            ChainEvent::JobPosted { job, .. } => Some(job),
            _ => None,
        });
        posted.context("the receipt tells of no job")
    }

    /// The next nonce of this wallet.
    pub(crate) async fn next_nonce(&self) -> anyhow::Result<u64> {
        Ok(self.rpc.transaction_count(self.address(), BlockTag::Latest).await?)
    }

    /// A posting as bytes that nobody has yet.
    pub(crate) async fn signed_post(&self, order: &JobOrder, nonce: u64) -> anyhow::Result<String> {
        let call = self.contracts.escrow().post_job(order);
        let request = TransactionRequest {
            chain_id: self.chain_id,
            nonce,
            to: Some(call.to),
            data: call.data,
            value: 0,
            gas_limit: 600_000,
            fees: FEES,
        };
        Ok(format!("0x{}", hex::encode(request.sign(&self.key).bytes)))
    }

    /// Seals, uploads and posts a request.
    pub(crate) async fn buy(&self, provider: Address, text: &str) -> anyhow::Result<(SwarmRef, JobId)> {
        let request_hash = self.upload(self.request(provider, text).await?).await?;
        let job = self.post(&self.order(provider, request_hash).await?).await?;
        Ok((request_hash, job))
    }

    /// Waits until a job is over.
    pub(crate) async fn over(&self, world: &World, job: JobId) -> anyhow::Result<JobEntry> {
        let find = async || world.ledger().jobs().await.ok()?.into_iter().find(|entry| entry.job == job);
        eventually(PATIENCE, "the end of a job", async || {
            find().await.filter(|entry| !entry.status.is_open())
        })
        .await?;
        // Events are read before states: what the last one tells is certain only now.
        find().await.context("the job is gone")
    }

    /// The sealed answer that a job was claimed with.
    pub(crate) async fn answer_of(&self, job: JobId) -> anyhow::Result<Bytes> {
        let terms = self.contracts.escrow().job(&self.rpc, job).await?;
        anyhow::ensure!(terms.status == JobStatus::Claimed, "not claimed: {terms:?}");
        let patience = Patience::up_to(Duration::from_secs(10));
        Ok(self.bee.download(&terms.response_hash, 1 << 20, patience).await?)
    }

    /// The text of an answer that is sealed to this client.
    pub(crate) fn read(&self, sealed: &[u8]) -> anyhow::Result<String> {
        let payload = ResponsePayload::parse(bytes::Bytes::from_owner(self.sealing.open(sealed)?))?;
        let answer: serde_json::Value = serde_json::from_str(payload.openai_response.as_str())?;
        Ok(answer["choices"][0]["message"]["content"].as_str().context("no content")?.trim().to_owned())
    }

    /// A notice that names this client as the one to answer.
    pub(crate) fn notice(&self, request_hash: SwarmRef, max_payment: Xbzz) -> anyhow::Result<JobNotify> {
        Ok(JobNotify {
            routing_id: request_hash.routing_id(),
            request_hash,
            model_id: ECHO.parse()?,
            max_payment,
            delivery_deadline: SystemClock.now().plus(300),
            client_key: self.sealing.public(),
            client_overlay: self.overlay,
            reply_url: None,
            ext: None,
        })
    }

    /// A message signed by this wallet.
    pub(crate) fn sign<B: Serialize>(
        &self,
        kind: MessageKind,
        to: Address,
        body: &B,
    ) -> anyhow::Result<Vec<u8>> {
        let now = SystemClock.now();
        let envelope = UnsignedEnvelope::new(kind, self.address(), to, now, random_bytes()?, body)?;
        Ok(envelope.with_signature(self.key.sign_message(envelope.signing_text().as_bytes())))
    }

    /// Sends any bytes to a provider.
    pub(crate) async fn tell_provider(&self, provider: Address, bytes: Vec<u8>) -> anyhow::Result<()> {
        let target = self.provider(provider).await?.overlay;
        self.tell(&provider_topic(provider), target, bytes).await
    }

    /// Sends any bytes to a client whose node is known.
    pub(crate) async fn tell_client(
        &self,
        client: Address,
        node: Overlay,
        bytes: Vec<u8>,
    ) -> anyhow::Result<()> {
        self.tell(&client_topic(client), node, bytes).await
    }

    pub(crate) async fn tell(&self, topic: &str, target: Overlay, bytes: Vec<u8>) -> anyhow::Result<()> {
        let message = Message {
            path_topic: path_topic(topic),
            target,
            target_bits: TARGET_BITS,
            recipient: None,
            payload: bytes.into(),
        };
        self.bee.send_message(&message, &self.batch).await?;
        Ok(())
    }

    /// Listens for answers to this client.
    pub(crate) async fn listen(&self) -> anyhow::Result<Subscription> {
        let inbox = self.bee.subscribe(&path_topic(&client_topic(self.address())));
        inbox.wait_connected(PATIENCE).await?;
        Ok(inbox)
    }
}
