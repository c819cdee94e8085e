//! A look at the backends of a file, as a runner would take them: for whoever checks a set-up before it is started.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use t4t_api::inference_runner::RunnerError;
use t4t_clock::{SharedClock, timeout};

use crate::backend::Backend;
use crate::endpoints::{Endpoint, Endpoints};
use crate::listing::CAN_NOT_CHAT;

/// What one backend shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// The backend's name.
    pub endpoint: String,
    /// The models it would be offered with, or why it lists none.
    pub models: Result<Vec<String>, String>,
    /// What a runner would warn of: models that are left out, names in the file that the backend does not list.
    pub warnings: Vec<String>,
}

/// Asks every backend of a file for its models, each for at most `limit`. Nothing is run on them.
pub async fn examine(endpoints: &Endpoints, clock: &SharedClock, limit: Duration) -> Vec<Examined> {
    join_all(endpoints.iter().map(|endpoint| look_at(endpoint, clock, limit))).await
}

async fn look_at(endpoint: &Endpoint, clock: &SharedClock, limit: Duration) -> Examined {
    let name = endpoint.name.clone();
    let failed =
        |reason: String| Examined { endpoint: name.clone(), models: Err(reason), warnings: Vec::new() };
    let backend = match Backend::new(endpoint.clone(), limit, Arc::clone(clock)) {
        Ok(backend) => backend,
        Err(error) => return failed(error.to_string()),
    };
    let mut listing = match timeout(clock.as_ref(), limit, backend.list()).await {
        Ok(Ok(listing)) => listing,
        Ok(Err(failure)) => return failed(RunnerError::from(failure).to_string()),
        Err(_) => return failed(format!("it did not list its models within {} s", limit.as_secs())),
    };
    // What can't be learned in time is not told.
    let _in_time = timeout(clock.as_ref(), limit, backend.add_details(&mut listing)).await;
    // Models that can't chat are nobody's mistake.
    let left_out = listing.left_out.iter().filter(|(_, reason)| *reason != CAN_NOT_CHAT);
    let left_out = left_out.map(|(model, reason)| format!("{model:?} is not offered: {reason}"));
    let mut warnings: Vec<String> = left_out.collect();
    warnings.extend(endpoint.unknown_models(listing.models.iter().map(|model| &model.id)));
    let models = listing.models.iter().map(|model| model.id.to_string()).collect();
    Examined { endpoint: name, models: Ok(models), warnings }
}
