//! The job dispatcher: the buying side (gateway) and the selling side (provider).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use t4t_inference::{InferenceRequest, Piece, Refusal};
use t4t_types::{Address, JobId, ModelId, RequestId, TokenPrices, TokenUsage, TxHash, Xbzz};
use url::Url;

use crate::call::{Call, Serve, ServeStream, ServiceError, StreamCall, TransportError};
use crate::inference_runner::RunnerStatus;

/// Buys the answer to one request: chooses a provider, pays it, and returns what it answers.
///
/// Sent again with the same id while or after it runs, it joins the first one instead of paying twice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BuyAnswer {
    /// The app's request: what makes it the same one.
    pub id: RequestId,
    /// The model.
    pub model: ModelId,
    /// The app's request, as it came.
    pub request: InferenceRequest,
}

/// A step towards the answer, or a piece of it; the last item is `Bought`. (Not internally tagged: raw JSON inside
/// would not survive.)
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuyingProgress {
    /// All providers of the model are busy; waiting for one of them.
    Waiting {
        /// How many are busy.
        busy: u32,
    },
    /// A provider was chosen.
    Selected {
        /// The provider.
        provider: Address,
        /// Its prices.
        prices: TokenPrices,
        /// What goes into escrow.
        max_payment: Xbzz,
    },
    /// The payment is in escrow.
    Posted {
        /// The job.
        job: JobId,
        /// The transaction.
        transaction: TxHash,
    },
    /// The provider has begun.
    Acked,
    /// The provider failed; the payment comes back, and another is tried.
    Retrying {
        /// Who failed.
        provider: Address,
        /// What went wrong.
        reason: String,
    },
    /// A piece of the answer. From the first one on, nobody else is asked.
    Piece(Piece),
    /// The end: what it cost, and whom it was bought from.
    Bought(Bought),
}

/// An answer that was paid for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bought {
    /// Who answered.
    pub provider: Address,
    /// The job, once known.
    pub job: Option<JobId>,
    /// What the answer costs by its own usage and the prices at posting.
    pub cost: Xbzz,
    /// How many providers were tried.
    pub attempts: u32,
}

impl StreamCall for BuyAnswer {
    type Item = BuyingProgress;
    type Error = BuyingError;
    const PATH: &'static str = "/job-dispatcher/v1/buy";
    const DEADLINE: Duration = Duration::from_secs(60);
}

/// Why nothing was bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "error", rename_all = "snake_case")]
pub enum BuyingError {
    /// No live provider offers the model.
    #[error("no live provider offers the model {model}")]
    UnknownModel {
        /// The model asked for.
        model: ModelId,
    },
    /// Providers offer it, but above the price cap.
    #[error(
        "every offer of {model} costs more than the cap of {cap} xBZZ per million tokens (T4T_MAX_PRICE_PER_MILLION_TOKENS)"
    )]
    AbovePriceCap {
        /// The model asked for.
        model: ModelId,
        /// The cap.
        cap: Xbzz,
    },
    /// All providers stayed busy for as long as may be waited.
    #[error("all providers of {model} are busy, try again in {retry_after_s} s")]
    AllBusy {
        /// The model asked for.
        model: ModelId,
        /// When to try again.
        retry_after_s: u64,
    },
    /// The prompt alone needs more in escrow than one request may put in.
    #[error(
        "the prompt needs {needs} xBZZ in escrow, above the ceiling of {ceiling} for one request: shorten it, or raise \
         T4T_MAX_ESCROW_PER_JOB"
    )]
    EscrowTooLarge {
        /// What it needs.
        needs: Xbzz,
        /// The ceiling.
        ceiling: Xbzz,
    },
    /// The limit for a day is used up.
    #[error(
        "the request needs {needs} xBZZ, and of the {limit} for a day {spent} are spent or in escrow: raise \
         T4T_MAX_SPEND_PER_DAY, or try again in {resets_in_s} s"
    )]
    DayLimit {
        /// The limit.
        limit: Xbzz,
        /// What is spent today, or in escrow.
        spent: Xbzz,
        /// What the request needs.
        needs: Xbzz,
        /// When there may be room again: after midnight UTC, or once what is in flight has ended.
        resets_in_s: u64,
    },
    /// The wallet is empty.
    #[error("{message}")]
    OutOfFunds {
        /// What is missing and what to do.
        message: String,
    },
    /// The request itself is wrong.
    #[error("{message}")]
    BadRequest {
        /// What is wrong.
        message: String,
        /// Which parameter.
        param: Option<String>,
    },
    /// A backend refused the request, and no other provider would do better.
    #[error("{}", .refusal.message)]
    Refused {
        /// What it said, with the status for the app. In a box: errors are passed on by value.
        refusal: Box<Refusal>,
    },
    /// Every provider tried failed; what was in escrow comes back.
    #[error("{}: {reason}", who_failed(*attempts))]
    ProvidersFailed {
        /// How many were tried.
        attempts: u32,
        /// What the last one did.
        reason: String,
    },
    /// No answer within the time a request may take; what is in escrow comes back.
    #[error("no answer within {after_s} s")]
    TimedOut {
        /// How long was waited.
        after_s: u64,
    },
    /// A service or node that this gateway needs does not work.
    #[error("{reason}")]
    Unavailable {
        /// Which, and what to do.
        reason: String,
    },
    /// The service could not be asked.
    #[error(transparent)]
    Transport {
        /// How it failed.
        #[from]
        cause: TransportError,
    },
}

fn who_failed(attempts: u32) -> String {
    match attempts {
        1 => "the provider failed".to_owned(),
        _ => format!("{attempts} providers failed, the last with"),
    }
}

/// The statuses by which backends refuse.
const REFUSALS: [u16; 6] = [400, 404, 413, 422, 429, 503];

/// A refusal's status. It comes from a stranger, so what is no refusal's status is none; a refusal without one that
/// does not blame the request is a failure.
fn refused_status(refusal: &Refusal) -> u16 {
    let blames_request = refusal.kind.as_deref().is_none_or(|kind| kind == "invalid_request_error");
    let stated = refusal.status.filter(|status| REFUSALS.contains(status));
    stated.unwrap_or(if blames_request { 400 } else { 502 })
}

impl ServiceError for BuyingError {
    fn status(&self) -> u16 {
        match self {
            Self::UnknownModel { .. } => 404,
            Self::AbovePriceCap { .. } | Self::AllBusy { .. } | Self::Unavailable { .. } => 503,
            Self::EscrowTooLarge { .. } => 413,
            Self::DayLimit { .. } | Self::OutOfFunds { .. } => 402,
            Self::BadRequest { .. } => 400,
            Self::Refused { refusal } => refused_status(refusal),
            Self::ProvidersFailed { .. } => 502,
            Self::TimedOut { .. } => 504,
            Self::Transport { cause } => cause.status(),
        }
    }
}

/// The buying side as its callers see it, wherever it runs.
pub trait Buying: ServeStream<BuyAnswer> {}

impl<T> Buying for T where T: ServeStream<BuyAnswer> + ?Sized {}

/// A runner says that it is there; sent again before the lease ends, it renews it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RegisterRunner {
    /// The runner's name, unique among this provider's runners.
    pub runner: String,
    /// Where the runner takes requests.
    pub url: Url,
    /// What it can do and how busy it is.
    pub status: RunnerStatus,
}

/// For how long a runner is known without saying so again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunnerLease {
    /// In milliseconds.
    pub for_ms: u64,
}

impl Call for RegisterRunner {
    type Reply = RunnerLease;
    type Error = SellingError;
    const PATH: &'static str = "/job-dispatcher/v1/runners";
    const DEADLINE: Duration = Duration::from_secs(5);
}

/// Asks how the selling side does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct GetSellingStatus {}

/// How the selling side does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SellingStatus {
    /// The provider's wallet.
    pub provider: Address,
    /// Whether the registry shows this provider as live with offerings.
    pub on_offer: bool,
    /// Why it takes no jobs, if it takes none.
    pub refusing: Option<String>,
    /// What to do about that.
    #[serde(default)]
    pub next_step: Option<String>,
    /// Jobs that are not settled yet.
    pub open_jobs: u32,
    /// Runners known now.
    pub runners: u32,
    /// Jobs that may be worked on at a time: the runners' slots together, or fewer where the operator says so.
    #[serde(default)]
    pub slots: u32,
    /// Each runner, in order of name.
    #[serde(default)]
    pub each_runner: Vec<RunnerShown>,
    /// Tokens sold since the start.
    pub sold: TokenUsage,
}

/// A runner as the dispatcher sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunnerShown {
    /// Its name.
    pub runner: String,
    /// Jobs that it works on at a time.
    pub slots: u32,
    /// Those that are taken.
    pub busy: u32,
    /// Its models.
    pub models: Vec<ModelId>,
}

impl Call for GetSellingStatus {
    type Reply = SellingStatus;
    type Error = SellingError;
    const PATH: &'static str = "/job-dispatcher/v1/selling";
}

/// Why the selling side did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "error", rename_all = "snake_case")]
pub enum SellingError {
    /// What was asked makes no sense.
    #[error("invalid request: {reason}")]
    Invalid {
        /// What is wrong.
        reason: String,
    },
    /// A service or node that this provider needs does not work.
    #[error("{reason}")]
    Unavailable {
        /// Which, and what to do.
        reason: String,
    },
    /// The service could not be asked.
    #[error(transparent)]
    Transport {
        /// How it failed.
        #[from]
        cause: TransportError,
    },
}

impl ServiceError for SellingError {
    fn status(&self) -> u16 {
        match self {
            Self::Invalid { .. } => 400,
            Self::Unavailable { .. } => 503,
            Self::Transport { cause } => cause.status(),
        }
    }
}

/// The selling side as its callers see it, wherever it runs.
pub trait Selling: Serve<RegisterRunner> + Serve<GetSellingStatus> {}

impl<T> Selling for T where T: Serve<RegisterRunner> + Serve<GetSellingStatus> + ?Sized {}
