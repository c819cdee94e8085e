//! Sealing a request to its provider, and storing the intent to buy.

use std::sync::Arc;

use t4t_api::RegistryWatcher;
use t4t_api::job_dispatcher::BuyingError;
use t4t_api::registry_watcher::GetHead;
use t4t_clock::SharedClock;
use t4t_crypto::{SealingKey, random_bytes, seal};
use t4t_protocol::job::BuyingState;
use t4t_protocol::{RequestPayload, V1};
use t4t_runtime::KillPoint;
use t4t_store::buying::BuyingJob;
use t4t_types::Address;

use super::super::{Failed, Order};
use super::ledger::Ledger;

/// Plans attempts.
pub(super) struct Planner {
    pub(super) wallet: Address,
    pub(super) sealing_key: Arc<SealingKey>,
    pub(super) watcher: Arc<dyn RegistryWatcher>,
    pub(super) ledger: Ledger,
    pub(super) clock: SharedClock,
}

impl Planner {
    /// Seals the request to a provider and stores the intent.
    pub(super) async fn plan(&self, order: &Order<'_>) -> Result<BuyingJob, Failed> {
        let (call, offer) = (order.wanted.call, order.offer);
        let (candidate, model) = (&offer.known.candidate, &call.model);
        let payload = RequestPayload {
            v: V1,
            job_id: random_bytes().map_err(Failed::unavailable)?,
            client: self.wallet,
            model_id: model.clone(),
            openai_request: call.request.json().clone(),
            client_key: self.sealing_key.public(),
            ts: self.clock.now(),
        };
        let json = payload.to_json_with(&call.request.without_streaming());
        // No provider would read it: nothing is paid for that.
        RequestPayload::takes(json.len(), call.request.extent())
            .map_err(|error| bad_request(error.to_string()))?;
        let sealed = seal(&candidate.sealing_key, &json)
            .map_err(|_| Failed::Provider("its published key is not a key".into()))?;
        // Deadlines are judged by the chain's time, whatever this machine's clock shows.
        let head = self.watcher.ask(GetHead {}).await.map_err(Failed::unavailable)?;
        let row = BuyingJob {
            request_id: call.id,
            attempt: order.number,
            state: BuyingState::Planned,
            provider: candidate.provider,
            provider_key: candidate.sealing_key,
            provider_overlay: candidate.overlay,
            model: model.clone(),
            prices: candidate.prices,
            request_hash: t4t_swarm::chunk::root_reference(&sealed),
            max_payment: offer.needs,
            delivery_deadline: head.now().plus(order.delivery_seconds),
            job: None,
            response_hash: None,
            paid: None,
            reason: None,
            created_at_ms: self.clock.unix_millis(),
            explored: order.hold.explores,
        };
        self.ledger.plan(&row, &sealed).await.map_err(Failed::unavailable)?;
        KillPoint::BuyingPlanned.pass();
        Ok(row)
    }
}

fn bad_request(message: String) -> Failed {
    Failed::Request(BuyingError::BadRequest { message, param: None })
}
