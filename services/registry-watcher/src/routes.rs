//! The watcher over HTTP.

use std::sync::Arc;

use actix_web::web;
use t4t_api::registry_watcher::{
    GetHead, GetJob, ListCandidates, ListModels, ListProviders, LookClosely, WatchJobs,
};
use t4t_api::{Guard, RegistryWatcher, call_route, stream_route};

/// Adds a route for each of the watcher's messages.
pub fn routes(config: &mut web::ServiceConfig, guard: &Guard, watcher: &Arc<dyn RegistryWatcher>) {
    call_route::<ListCandidates, _>(config, guard, watcher);
    call_route::<ListModels, _>(config, guard, watcher);
    call_route::<ListProviders, _>(config, guard, watcher);
    call_route::<GetJob, _>(config, guard, watcher);
    call_route::<GetHead, _>(config, guard, watcher);
    call_route::<LookClosely, _>(config, guard, watcher);
    stream_route::<WatchJobs, _>(config, guard, watcher);
}
