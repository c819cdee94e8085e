//! How jobs are paid: what makes one payable, what it takes to begin it, and what closes it.
//!
//! A [`PaymentMethod`] finds jobs and tells of each by its name ([`PayableJobs`]). Asked what is due for one, it gives an
//! [`Order`] to serve or to close. Serving knows none of this; a method knows how to serve nothing.
//!
//! The first implementation is the escrow of version 1 ([`escrow`]). The seam is as wide as the next one needs: an order
//! may come from a message, carry its request with it, need no acknowledgement, take the answer's pieces as they leave,
//! and be closed by a policy of its own.

pub(crate) mod escrow;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use t4t_inference::Refusal;
use t4t_protocol::VerifiedEnvelope;
use t4t_runtime::recovery::TakenUp;
use t4t_store::StoreError;
use t4t_types::{Address, EncryptionKey, JobRef, ModelId, TokenUsage};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::serving::{FetchError, Opened, PieceSink};

/// Jobs that wait to be looked at; each is looked at as soon as it is told.
const WAITING_JOBS: usize = 1024;

/// Why a step of a job's payment was not taken; the sweep has it tried again.
pub(crate) type PaymentError = Box<dyn std::error::Error + Send + Sync>;

/// One way in which jobs are paid.
#[async_trait]
pub(crate) trait PaymentMethod: Send + Sync {
    /// Takes up what an earlier run left open.
    async fn recover(&self) -> Result<Recovered, StoreError>;

    /// Starts to follow what makes jobs payable and what ends them, and to sweep.
    fn start(self: Arc<Self>) -> Vec<JoinHandle<()>>;

    /// Takes a message to this provider; ignores what is not its own.
    async fn on_message(&self, envelope: &VerifiedEnvelope);

    /// What is to be done for a job now. Asked again after each step.
    async fn due(&self, job: &JobRef) -> Result<Due, PaymentError>;

    /// Looks at every open job once: what runs out of time is refused, what stopped is told as payable again.
    async fn sweep(&self);

    /// How many jobs are open.
    async fn open_jobs(&self) -> Result<usize, StoreError>;
}

/// What is to be done for a job.
pub(crate) enum Due {
    /// It is payable and unanswered.
    Serve(Box<dyn Order>),
    /// It is answered or refused.
    Close(Box<dyn Order>),
    /// It is over, or others see to it.
    Nothing,
}

/// What whoever serves a job must know of it.
#[derive(Clone, Debug)]
pub(crate) struct Ordered {
    pub(crate) job: JobRef,
    pub(crate) client: Address,
    pub(crate) model: ModelId,
    /// Whether it was begun before, by a run of the process that has ended.
    pub(crate) is_begun: bool,
}

/// A job that is payable.
#[async_trait]
pub(crate) trait Order: Send + Sync {
    /// The job.
    fn ordered(&self) -> &Ordered;

    /// How long it may wait, from now on, for its request or its slot.
    async fn patience(&self) -> Result<Duration, PaymentError>;

    /// Its request, opened.
    async fn request(&self, patience: Duration) -> Result<Opened, FetchError>;

    /// The most completion tokens that are paid for after a prompt of so many; `None` where they cost nothing.
    fn max_completion_tokens(&self, prompt: u64) -> Option<u64>;

    /// Begins the work; `None` if that can't be any more, and all that follows from it is done.
    async fn begin(&self, client_key: EncryptionKey) -> Result<Option<Begun>, PaymentError>;

    /// Decides not to serve it.
    async fn decline(&self, why: Declined) -> Result<(), PaymentError>;

    /// Takes what is owed, or gives it back.
    async fn close(&self) -> Result<(), PaymentError>;
}

/// Work that has begun.
pub(crate) struct Begun {
    /// For how long the answer is of use.
    pub(crate) limit: Duration,
    /// What takes the answer.
    pub(crate) delivery: Box<dyn Delivery>,
}

/// Takes an answer, and keeps what is owed for it.
#[async_trait]
pub(crate) trait Delivery: PieceSink {
    /// The answer has ended. Returns what it took.
    async fn finish(self: Box<Self>) -> Result<TokenUsage, PaymentError>;
}

/// Why a job is not served.
#[derive(Debug)]
pub(crate) enum Declined {
    /// Its client is told why, by the key of its request. In a box: errors are passed on by value.
    Told(EncryptionKey, Box<Refusal>),
    /// There is no request that names the client's key. It is told where the method knows another way.
    Unread(String),
    /// Nobody is told why.
    Untold(String),
}

/// Where a payment method tells which jobs there is something to do for.
#[derive(Clone, Debug)]
pub(crate) struct PayableJobs(mpsc::Sender<JobRef>);

impl PayableJobs {
    /// A way to tell jobs, and to be told.
    pub(crate) fn channel() -> (Self, mpsc::Receiver<JobRef>) {
        let (sender, receiver) = mpsc::channel(WAITING_JOBS);
        (Self(sender), receiver)
    }

    /// Tells a job; telling it while it is worked on does nothing.
    pub(crate) async fn tell(&self, job: JobRef) {
        // Nobody listens any more once the process stops.
        let _stopped = self.0.send(job).await;
    }
}

/// What was found open at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Jobs whose answer is stored and still to be uploaded or claimed.
    pub answered: u32,
    /// Jobs taken on and not answered.
    pub unanswered: u32,
    /// Jobs whose refusal is on its way.
    pub refusing: u32,
}

impl From<Recovered> for TakenUp {
    fn from(recovered: Recovered) -> Self {
        Self {
            jobs_to_answer: recovered.unanswered.into(),
            answers_to_claim: recovered.answered.into(),
            refusals: recovered.refusing.into(),
            ..Self::default()
        }
    }
}
