//! A provider that follows a script: what it does to each job that is posted to it, and when.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use t4t_crypto::{SealingKey, WalletKey};
use t4t_inference::Refusal;
use t4t_protocol::{JobAck, JobDeliver, MessageKind, RequestPayload, client_topic, path_topic};
use t4t_types::{Address, JobId, JobTerms, RoutingId, SwarmRef, TxHash, Xbzz};

use super::messages;
use super::world::{Stranger, World, lock};

/// What a provider seals, or pretends to have sealed.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// What it was asked, said again.
    Answer,
    /// This.
    Response(Value),
    /// An answer whose job is another one.
    OfAnotherJob,
    /// An answer in the name of another provider.
    OfAnotherProvider,
    /// An answer that is sealed to somebody else.
    SealedToAnother,
    /// Bytes that nobody sealed.
    Unsealed,
    /// Nothing: the reference leads nowhere.
    Missing,
}

/// One thing that it does with a job.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Acknowledges on the chain.
    Acks,
    /// Says by message alone that it has begun.
    SaysAck,
    /// Uploads and announces by message.
    Announces(What),
    /// Uploads and claims so much; the whole escrow where it says nothing.
    Claims(What, Option<Xbzz>),
    /// Claims without naming anything.
    ClaimsNamelessly(Xbzz),
    /// Refuses, and says why if it has a reason.
    Refuses(Option<Refusal>),
}

impl Act {
    /// Whether it can't be done before the request is there.
    fn needs_request(&self) -> bool {
        match self {
            Self::Acks | Self::SaysAck | Self::ClaimsNamelessly(_) | Self::Refuses(None) => false,
            Self::Announces(_) | Self::Claims(..) | Self::Refuses(Some(_)) => true,
        }
    }
}

/// What it does, and how many milliseconds after the job was posted.
pub(crate) type Script = Vec<(u64, Act)>;

/// A provider that is played by a script.
#[derive(Debug)]
pub(crate) struct ScriptedProvider {
    pub(crate) wallet: WalletKey,
    pub(crate) sealing_key: SealingKey,
    pub(crate) script: Mutex<Script>,
    /// The price of its honest answers.
    pub(crate) price: Xbzz,
    /// The jobs that it was given.
    pub(crate) jobs: Mutex<Vec<JobId>>,
}

/// A job as it was posted.
#[derive(Clone, Debug)]
struct Posted {
    job: JobId,
    terms: JobTerms,
    request: Option<Arc<RequestPayload>>,
}

impl Posted {
    fn routing(&self) -> RoutingId {
        self.terms.request_hash.routing_id()
    }
}

impl ScriptedProvider {
    pub(crate) fn address(&self) -> Address {
        self.wallet.address()
    }

    fn act(&self, world: &Arc<World>, posted: &Posted, act: Act) {
        match act {
            Act::Acks => self.send(world, t4t_api::settlement::EscrowIntent::AckJob { job: posted.job }),
            Act::SaysAck => {
                let ack =
                    JobAck { routing_id: posted.routing(), estimated_completion: world.now(), ext: None };
                self.say(world, posted, MessageKind::JobAck, &ack);
            }
            Act::Announces(what) => {
                let response_hash = self.upload(world, posted, &what);
                let deliver = JobDeliver { routing_id: posted.routing(), response_hash, ext: None };
                self.say(world, posted, MessageKind::JobDeliver, &deliver);
            }
            Act::Claims(what, paid) => {
                let response_hash = self.upload(world, posted, &what);
                self.claim(world, posted, response_hash, paid.unwrap_or(posted.terms.max_payment));
            }
            Act::ClaimsNamelessly(paid) => self.claim(world, posted, SwarmRef::ZERO, paid),
            Act::Refuses(None) => self.claim(world, posted, SwarmRef::ZERO, Xbzz::ZERO),
            Act::Refuses(Some(refusal)) => {
                let what = What::Response(messages::refusal(&refusal));
                let response_hash = self.upload(world, posted, &what);
                self.claim(world, posted, response_hash, Xbzz::ZERO);
            }
        }
    }

    fn claim(&self, world: &Arc<World>, posted: &Posted, response_hash: SwarmRef, paid: Xbzz) {
        let job = posted.job;
        self.send(world, t4t_api::settlement::EscrowIntent::ClaimJob { job, response_hash, paid });
    }

    /// A transaction of its own: what the contract refuses is refused.
    fn send(&self, world: &Arc<World>, intent: t4t_api::settlement::EscrowIntent) {
        use t4t_api::settlement::TransactionKey;
        let key = TransactionKey::new(format!("{intent:?}"));
        let hash = {
            let mut chain = world.chain();
            if chain.transaction(self.address(), &key).is_none() {
                chain.enter(self.address(), key.clone(), intent);
            }
            chain.transaction(self.address(), &key).map_or(TxHash::ZERO, |known| known.hash)
        };
        world.mine(hash, None);
    }

    fn say(&self, world: &Arc<World>, posted: &Posted, kind: MessageKind, body: &impl serde::Serialize) {
        let message = messages::envelope(&self.wallet, kind, posted.terms.client, body, world.now());
        world.swarm.deliver(&path_topic(&client_topic(posted.terms.client)), &message.into());
    }

    fn upload(&self, world: &World, posted: &Posted, what: &What) -> SwarmRef {
        let Some(request) = &posted.request else { return SwarmRef::new([7; 32]) };
        let honest = messages::answer(&messages::text_asked(request));
        let (me, routing, now) = (self.address(), posted.routing(), world.now());
        let seal = |of, response: &Value| messages::sealed_answer(&request.client_key, of, response, now);
        let sealed = match what {
            What::Answer => seal((routing, me), &honest),
            What::Response(response) => seal((routing, me), response),
            What::OfAnotherJob => seal((RoutingId::new([9; 32]), me), &honest),
            What::OfAnotherProvider => seal((routing, Address::new([9; 20])), &honest),
            What::SealedToAnother => {
                let other = SealingKey::generate().unwrap().public();
                messages::sealed_answer(&other, (routing, me), &honest, now)
            }
            What::Unsealed => b"nobody sealed this, and it is long enough to be tried".repeat(3),
            What::Missing => return SwarmRef::new(t4t_types::keccak256(routing.as_bytes())),
        };
        world.swarm.put(sealed)
    }
}

impl Stranger for Arc<ScriptedProvider> {
    fn posted(&self, world: &Arc<World>, job: JobId) {
        lock(&self.jobs).push(job);
        let terms = world.chain().jobs[&job].terms.clone();
        let script = lock(&self.script).clone();
        for (after_ms, act) in script {
            let (stranger, world_then, terms) = (Self::clone(self), Arc::clone(world), terms.clone());
            let needs_request = act.needs_request();
            world.later(Duration::from_millis(after_ms), move || {
                let world = Arc::clone(&world_then);
                let reference = terms.request_hash;
                let doing = move || {
                    let sealed = world.swarm.get(&reference);
                    let request =
                        sealed.map(|sealed| Arc::new(messages::open_request(&stranger.sealing_key, &sealed)));
                    stranger.act(&world, &Posted { job, terms, request }, act);
                };
                // The request may come after the job.
                match needs_request {
                    true => world_then.swarm.when_there(reference, doing),
                    false => doing(),
                }
            });
        }
    }
}

/// The answers that are none, by what is wrong with them.
pub(crate) fn no_choices() -> Value {
    json!({ "id": "x", "object": "chat.completion", "choices": [], "usage": null })
}

/// An answer that says nothing.
pub(crate) fn empty() -> Value {
    messages::answer("")
}
