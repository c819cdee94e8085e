//! Work for single jobs, beside everything else.

use std::fmt::Display;

use t4t_api::Trace;
use t4t_panics::contain;
use tracing::error;

/// Runs the work for one job on the process's runtime. A panic in it ends that work and nothing else: its job is taken up
/// again by the sweep, or refused there once its time runs out.
pub(crate) fn spawn_for(job: impl Display + Send + 'static, work: impl Future<Output = ()> + Send + 'static) {
    // The app knows the job by its number alone, whatever pays for it.
    let name = job.to_string();
    let number = name.rsplit(':').next().unwrap_or(&name);
    tokio::spawn(Trace::begin(number).scope(async move {
        if let Err(panicked) = contain(work).await {
            error!(%job, error = &panicked as &dyn std::error::Error, "work on a job failed; it is taken up again");
        }
    }));
}
