//! Running a request and sealing its answer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use t4t_api::inference_runner::{RunInference, RunnerError};
use t4t_clock::{SharedClock, timeout};
use t4t_crypto::{CryptoError, seal};
use t4t_inference::{End, Piece, Refusal};
use t4t_json::JsonText;
use t4t_protocol::{ResponsePayload, V1};
use t4t_store::selling::SellingJob;
use t4t_types::{Address, EncryptionKey, JobRef, TokenUsage, UnixSeconds, Xbzz};
use tracing::info;

use super::request::Request;
use super::runners::{LOOK_AGAIN, Runners, Slot, prefix_of};

/// Why no runner answered, as the client is told.
#[derive(Debug)]
pub(super) struct RunFailed(pub(super) Refusal);

/// When to ask again for a model whose backends are away or busy, in seconds.
const RETRY_AFTER: u64 = 10;

/// What is said while no runner serves a model that is on offer.
pub(super) fn away() -> RunFailed {
    RunFailed(Refusal::try_again("no backend of this provider serves the model for the moment", RETRY_AFTER))
}

/// Beyond its own limit, a runner that has fallen silent is given this long.
const SILENCE: Duration = Duration::from_secs(5);

/// Runs a request at the runner whose slot was taken for it, then at one after the other until one answers; a runner
/// that dies is left for the next. All of it ends `limit` from now.
pub(super) async fn run(
    (runners, slot): (&Arc<Runners>, Slot),
    clock: &SharedClock,
    row: &SellingJob,
    request: &Request,
    limit: Duration,
) -> Result<Finished, RunFailed> {
    let prefix = prefix_of(&row.model, &request.asked);
    let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    let ends_at_ms = clock.unix_millis().saturating_add(limit_ms);
    let mut failed = Vec::new();
    let RunFailed(mut refusal) = away();
    let mut taken = Some(slot);
    loop {
        let time_limit_ms = ends_at_ms.saturating_sub(clock.unix_millis());
        if time_limit_ms == 0 || !runners.may_serve(&row.model, &failed) {
            return Err(RunFailed(refusal.bounded()));
        }
        let Some(slot) = taken.take().or_else(|| runners.take(&row.model, prefix, &failed)) else {
            refusal = Refusal::try_again("no runner with the model had a free slot in time", RETRY_AFTER);
            clock.sleep(LOOK_AGAIN).await;
            continue;
        };
        let call = RunInference {
            job: job_ref(row),
            model: row.model.clone(),
            request: request.asked.clone(),
            max_completion_tokens: request.max_completion_tokens,
            time_limit_ms,
        };
        let collecting = Box::pin(collect(&slot.runner.client, call));
        let collected = timeout(&**clock, Duration::from_millis(time_limit_ms) + SILENCE, collecting).await;
        match collected.unwrap_or(Err(RunnerError::TimedOut)) {
            Ok(finished) => return Ok(finished),
            // Every other backend would refuse it too, unless it only lacks the model.
            Err(RunnerError::Refused { refusal })
                if refusal.blames_request() && refusal.status != Some(404) =>
            {
                return Err(RunFailed(refusal.bounded()));
            }
            Err(error) => {
                info!(job = %row.job, runner = slot.runner.name, %error, "a runner failed");
                // A full one may have a slot in a moment; any other failure is that runner's for this job.
                match error {
                    RunnerError::Full { .. } => {
                        refusal = Refusal::try_again(error.to_string(), RETRY_AFTER);
                        clock.sleep(LOOK_AGAIN).await;
                    }
                    RunnerError::Refused { refusal: said } => {
                        refusal = said;
                        failed.push(slot.runner.name.clone());
                    }
                    error => {
                        refusal = Refusal::failed(error.to_string());
                        failed.push(slot.runner.name.clone());
                    }
                }
            }
        }
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) response: JsonText,
    pub(super) usage: TokenUsage,
}

/// The name under which a runner works on a job.
fn job_ref(row: &SellingJob) -> JobRef {
    format!("escrow:{}", row.job).parse().expect("a job's number has digits only")
}

/// Version 1 delivers an answer whole.
async fn collect(
    runner: &Arc<dyn t4t_api::InferenceRunner>,
    call: RunInference,
) -> Result<Finished, RunnerError> {
    let mut pieces = runner.open(call).await?;
    while let Some(piece) = pieces.next().await {
        if let Piece::End(End { whole: Some(response), usage }) = piece? {
            return Ok(Finished { response, usage });
        }
    }
    Err(RunnerError::Backend { reason: "the stream ended without its end".into() })
}

/// What a run costs: prices as they were when the job was found, never above the escrow.
pub(super) fn payment(row: &SellingJob, finished: &Finished) -> Xbzz {
    row.prices.cost(finished.usage).unwrap_or(row.max_payment).min(row.max_payment)
}

/// Seals an answer to its client.
pub(super) fn seal_answer(
    row: &SellingJob,
    provider: Address,
    client_key: &EncryptionKey,
    response: JsonText,
    now: UnixSeconds,
) -> Result<Vec<u8>, CryptoError> {
    let job_id = row.request_hash.routing_id();
    let payload = ResponsePayload { v: V1, job_id, provider, openai_response: response, ts: now };
    seal(client_key, &payload.to_json())
}

/// The answer that says why there is none, in the form of an OpenAI error.
pub(super) fn decline(refusal: &Refusal) -> JsonText {
    #[derive(serde::Serialize)]
    struct Declined<'a> {
        error: &'a Refusal,
    }
    serde_json::value::to_raw_value(&Declined { error: refusal })
        .expect("texts and numbers always have a JSON form")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_sealed_with_all_that_the_backend_said() {
        let refusal = Refusal {
            param: Some("messages".into()),
            code: Some("context_length_exceeded".into()),
            ..Refusal::of_request("too long")
        };
        let expected = r#"{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded","status":400}}"#;
        assert_eq!(decline(&refusal).as_str(), expected);
        let RunFailed(away) = away();
        assert_eq!((away.status, away.retry_after), (Some(503), Some(RETRY_AFTER)));
    }
}
