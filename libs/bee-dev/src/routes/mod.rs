//! The HTTP API: one module a resource, errors as the real node words them.

mod bytes;
mod chain;
mod chunks;
mod error;
mod faults;
mod feeds;
mod node;
mod params;
mod pss;
mod slow;
mod soc;
mod socket;
mod stamps;
mod tags;

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, Resource, Responder, Route, web};
use t4t_types::{BatchId, SwarmRef};

use self::error::ApiError;
use crate::network::batches::StampError;
use crate::network::store::Content;
use crate::network::{Network, Node};

/// One node's API.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) network: Arc<Network>,
    pub(crate) index: usize,
}

/// How often a node looks again for what is not there yet.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub(crate) type ApiData = web::Data<Api>;
type ApiResult = Result<HttpResponse, ApiError>;

impl Api {
    fn node(&self) -> &Node {
        &self.network.nodes[self.index]
    }

    /// What the node says it takes part in.
    fn mode(&self) -> &'static str {
        let is_light = self.network.faults.get().light.is_some_and(|light| light.node == self.index);
        if is_light { "light" } else { "full" }
    }

    /// Fails, or never answers, if uploads or downloads shall fail now.
    async fn injected(&self, error: Option<crate::InjectedError>) -> Result<(), ApiError> {
        let happens =
            |error: &crate::InjectedError| self.network.faults.happens("call refused", error.probability);
        let Some(error) = error.filter(happens) else { return Ok(()) };
        if error.status == 0 {
            self.network.config.clock.sleep(Duration::from_secs(600)).await;
        }
        Err(ApiError::injected(error.status))
    }

    fn check_batch(&self, batch: &BatchId) -> Result<(), ApiError> {
        self.network.check_batch(self.node(), batch).map_err(ApiError::from_upload)
    }

    /// Pays for content and keeps it, off the server's thread.
    async fn put(&self, batch: BatchId, content: Vec<Content>, defer: bool) -> Result<Vec<u64>, StampError> {
        let api = self.clone();
        let put = web::block(move || api.network.put(api.node(), &batch, content, defer)).await;
        put.unwrap_or(Err(StampError::NotUsable))
    }

    /// A node without a way to the network tries for a while, and then says that all is well.
    async fn push_in_vain(&self) {
        let cut_off = self.network.faults.get().cut_off.filter(|cut_off| cut_off.node == self.index);
        if let Some(cut_off) = cut_off {
            self.network.config.clock.sleep(Duration::from_millis(cut_off.answers_after_ms)).await;
        }
    }

    /// What lies at an address, looked for as long as this network's nodes look.
    async fn look_for(&self, address: &SwarmRef) -> Option<Content> {
        let clock = &self.network.config.clock;
        let ends_ms = self.network.now().saturating_add(self.network.faults.get().retrieval_ms);
        loop {
            let found = self.network.get(self.node(), address);
            if found.is_some() || self.network.now() >= ends_ms {
                return found;
            }
            clock.sleep(LOOK_AGAIN).await;
        }
    }
}

/// The routes of a node.
pub(crate) fn configure(app: &mut web::ServiceConfig) {
    content(app);
    app.service(web::scope("/v1").configure(content));
    node::configure(app);
    faults::configure(app);
    app.default_service(web::to(|| async { ApiError::not_found("Not Found").response() }));
}

/// What is also found under `/v1`.
fn content(app: &mut web::ServiceConfig) {
    bytes::configure(app);
    chunks::configure(app);
    soc::configure(app);
    feeds::configure(app);
    pss::configure(app);
    stamps::configure(app);
    tags::configure(app);
    chain::configure(app);
}

/// A resource that answers other methods with 405 and says which it has.
fn resource(path: &str, methods: &'static str, routes: impl IntoIterator<Item = Route>) -> Resource {
    let refuse = move || async move { not_allowed(methods) };
    routes.into_iter().fold(web::resource(path), Resource::route).default_service(web::to(refuse))
}

fn not_allowed(methods: &'static str) -> impl Responder {
    let mut response = ApiError::new(405, "Method Not Allowed").response();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}

/// Makes every call wait as long as the faults say, except calls about the faults.
pub(crate) async fn delayed(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    if let Some(api) = request.app_data::<ApiData>().cloned() {
        let faults = &api.network.faults;
        let delay = Duration::from_millis(faults.get().delay_ms.max(faults.frozen_ms(api.index)));
        if !delay.is_zero() && !request.path().starts_with("/dev/") {
            api.network.config.clock.sleep(delay).await;
        }
    }
    next.call(request).await
}
