//! Settlement over HTTP.

use std::sync::Arc;

use actix_web::web::ServiceConfig;
use t4t_api::settlement::{AwaitTransaction, GetAccount, SignEnvelope, SubmitTransaction};
use t4t_api::{Guard, Settlement, call_route};

/// Adds the routes for all of settlement's messages.
pub fn settlement_routes(routes: &mut ServiceConfig, guard: &Guard, settlement: &Arc<dyn Settlement>) {
    call_route::<SubmitTransaction, _>(routes, guard, settlement);
    call_route::<AwaitTransaction, _>(routes, guard, settlement);
    call_route::<SignEnvelope, _>(routes, guard, settlement);
    call_route::<GetAccount, _>(routes, guard, settlement);
}
