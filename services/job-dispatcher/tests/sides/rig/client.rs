//! A client that follows a script: what it posts to a provider, and what it stores and says beside it.

use std::sync::Arc;

use serde_json::Value;
use t4t_crypto::{SealingKey, WalletKey};
use t4t_protocol::{JobNotify, MessageKind, path_topic, provider_topic};
use t4t_types::{Address, JobId, JobTerms, Overlay, SwarmRef, Xbzz, keccak256};

use super::messages;
use super::world::World;

/// What lies where the job says that its request lies.
#[derive(Clone, Debug)]
pub(crate) enum Stored {
    /// This request.
    Request(Value),
    /// A request for a model that the job is not for.
    ForModel(&'static str),
    /// A request that names another client.
    OfAnotherClient,
    /// Something sealed that is no request.
    NoRequest,
    /// Something that nobody sealed.
    Unsealed,
    /// Nothing.
    Nothing,
}

/// A job as a client posts it.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) stored: Stored,
    pub(crate) model: String,
    pub(crate) pays: Xbzz,
    /// Seconds until it is to be delivered.
    pub(crate) within: u64,
    /// Whether the provider is told by message as well.
    pub(crate) notifies: bool,
}

impl Order {
    /// A request that asks for `text` and pays enough.
    pub(crate) fn of(text: &str) -> Self {
        Self {
            stored: Stored::Request(messages::chat(text)),
            model: messages::MODEL.into(),
            pays: Xbzz::from_plur(5_000_000_000_000),
            within: 300,
            notifies: true,
        }
    }
}

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) wallet: WalletKey,
    pub(crate) sealing_key: SealingKey,
    world: Arc<World>,
}

impl Client {
    /// A client with money.
    pub(crate) fn new(world: &Arc<World>, number: u8) -> Self {
        let wallet = super::wallet(number);
        world.chain().mint(wallet.address(), Xbzz::from_whole(1000));
        let sealing_key = SealingKey::derive(&wallet);
        Self { wallet, sealing_key, world: Arc::clone(world) }
    }

    pub(crate) fn address(&self) -> Address {
        self.wallet.address()
    }

    /// Stores a request and returns where.
    pub(crate) fn store(&self, provider: Address, order: &Order) -> SwarmRef {
        let to = self.world.chain().entry(provider).unwrap().sealing_key;
        let (me, now) = ((self.address(), self.sealing_key.public()), self.world.now());
        let seal = |me, model: &str, request: &Value| {
            messages::sealed_request(&to, me, model.parse().unwrap(), request, now)
        };
        let chat = messages::chat("hello");
        let sealed = match &order.stored {
            Stored::Request(request) => seal(me, messages::MODEL, request),
            Stored::ForModel(model) => seal(me, model, &chat),
            Stored::OfAnotherClient => seal((Address::new([9; 20]), me.1), messages::MODEL, &chat),
            Stored::NoRequest => t4t_crypto::seal(&to, b"{\"v\":1}").unwrap(),
            Stored::Unsealed => b"nobody sealed this, and it is long enough to be tried".repeat(3),
            Stored::Nothing => return SwarmRef::new(keccak256(format!("{order:?}"))),
        };
        self.world.swarm.put(sealed)
    }

    /// Stores a request and posts its job.
    pub(crate) fn post(&self, provider: Address, order: &Order) -> JobId {
        let request_hash = self.store(provider, order);
        self.post_stored(provider, order, request_hash)
    }

    /// Posts a job for a request that is stored.
    pub(crate) fn post_stored(&self, provider: Address, order: &Order, request_hash: SwarmRef) -> JobId {
        let delivery_deadline = self.world.now().plus(order.within);
        if order.notifies {
            let notify = JobNotify {
                routing_id: request_hash.routing_id(),
                request_hash,
                model_id: messages::model(),
                max_payment: order.pays,
                delivery_deadline,
                client_key: self.sealing_key.public(),
                client_overlay: Overlay::new([3; 32]),
                reply_url: None,
                ext: None,
            };
            let message =
                messages::envelope(&self.wallet, MessageKind::JobNotify, provider, &notify, self.world.now());
            self.world.swarm.deliver(&path_topic(&provider_topic(provider)), &message.into());
        }
        self.world.post(JobTerms {
            client: self.address(),
            provider,
            request_hash,
            model: order.model.clone(),
            max_payment: order.pays,
            delivery_deadline,
            ..JobTerms::default()
        })
    }

    /// What lies where a job's claim says, opened.
    pub(crate) fn read(&self, job: JobId) -> Value {
        let reference = self.world.chain().jobs[&job].terms.response_hash;
        let sealed = self.world.swarm.get(&reference).expect("something lies there");
        messages::open_answer(&self.sealing_key, &sealed)
    }
}
