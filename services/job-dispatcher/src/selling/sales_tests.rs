//! A sale by a payment method that is not the escrow: its orders carry their requests, are paid piece by piece, and need
//! no acknowledgement. It needs nothing of serving that the escrow does not.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use t4t_api::inference_runner::RunnerError;
use t4t_clock::SystemClock;
use t4t_crypto::SealingKey;
use t4t_inference::Piece;
use t4t_panics::Lock;
use t4t_protocol::{RequestPayload, V1, VerifiedEnvelope};
use t4t_store::StoreError;
use t4t_testkit::eventually;
use t4t_types::{Address, EncryptionKey, UnixSeconds};
use tokio::task::JoinHandle;

use super::*;
use crate::selling::payment::{Delivery, PayableJobs, Recovered};
use crate::selling::runner_for_tests::{Course, ScriptedRunner, USAGE, model, request_text};
use crate::selling::serving::{FetchError, PieceSink};

const CLIENT: Address = Address::new([2; 20]);
const LIMIT: Duration = Duration::from_secs(20);

/// What became of jobs.
#[derive(Default)]
struct Books {
    /// Tokens that had left when a voucher would have come.
    paid: HashMap<JobRef, Vec<u64>>,
    answered: HashSet<JobRef>,
    closed: HashSet<JobRef>,
    declined: Vec<String>,
}

/// A method by which answers are paid as they leave.
#[derive(Default)]
struct PaidByPiece(Arc<Lock<Books>>);

#[async_trait]
impl PaymentMethod for PaidByPiece {
    async fn recover(&self) -> Result<Recovered, StoreError> {
        Ok(Recovered::default())
    }

    fn start(self: Arc<Self>) -> Vec<JoinHandle<()>> {
        Vec::new()
    }

    async fn on_message(&self, _: &VerifiedEnvelope) {}

    async fn due(&self, job: &JobRef) -> Result<Due, PaymentError> {
        let order = || Box::new(StreamedOrder::new(job, &self.0));
        let books = self.0.lock();
        Ok(match (books.answered.contains(job), books.closed.contains(job)) {
            (_, true) => Due::Nothing,
            (true, _) => Due::Close(order()),
            _ => Due::Serve(order()),
        })
    }

    async fn sweep(&self) {}

    async fn open_jobs(&self) -> Result<usize, StoreError> {
        Ok(0)
    }
}

struct StreamedOrder {
    ordered: Ordered,
    books: Arc<Lock<Books>>,
}

impl StreamedOrder {
    fn new(job: &JobRef, books: &Arc<Lock<Books>>) -> Self {
        let ordered = Ordered { job: job.clone(), client: CLIENT, model: model(), is_begun: false };
        Self { ordered, books: Arc::clone(books) }
    }
}

#[async_trait]
impl Order for StreamedOrder {
    fn ordered(&self) -> &Ordered {
        &self.ordered
    }

    async fn patience(&self) -> Result<Duration, PaymentError> {
        Ok(LIMIT)
    }

    async fn request(&self, _: Duration) -> Result<Opened, FetchError> {
        let payload = RequestPayload {
            v: V1,
            job_id: [3; 32],
            client: if self.ordered.job.as_str().ends_with("foreign") { Address::ZERO } else { CLIENT },
            model_id: model(),
            openai_request: request_text(),
            client_key: SealingKey::generate().unwrap().public(),
            ts: UnixSeconds::new(1),
        };
        Ok(Opened { payload, share: Default::default() })
    }

    fn max_completion_tokens(&self, _: u64) -> Option<u64> {
        Some(if self.ordered.job.as_str().ends_with("underpaid") { 0 } else { 100 })
    }

    async fn begin(&self, _: EncryptionKey) -> Result<Option<Begun>, PaymentError> {
        let (job, books) = (self.ordered.job.clone(), Arc::clone(&self.books));
        Ok(Some(Begun { limit: LIMIT, delivery: Box::new(StreamedDelivery { job, books }) }))
    }

    async fn decline(&self, why: Declined) -> Result<(), PaymentError> {
        let mut books = self.books.lock();
        books.declined.push(format!("{why:?}"));
        books.closed.insert(self.ordered.job.clone());
        Ok(())
    }

    async fn close(&self) -> Result<(), PaymentError> {
        self.books.lock().closed.insert(self.ordered.job.clone());
        Ok(())
    }
}

struct StreamedDelivery {
    job: JobRef,
    books: Arc<Lock<Books>>,
}

#[async_trait]
impl PieceSink for StreamedDelivery {
    async fn take(&mut self, piece: Piece) -> Result<(), RunnerError> {
        if let Piece::Chunk(chunk) = piece {
            self.books.lock().paid.entry(self.job.clone()).or_default().push(chunk.counted);
        }
        Ok(())
    }

    fn may_start_over(&self) -> bool {
        !self.books.lock().paid.contains_key(&self.job)
    }
}

#[async_trait]
impl Delivery for StreamedDelivery {
    async fn finish(self: Box<Self>) -> Result<TokenUsage, PaymentError> {
        self.books.lock().answered.insert(self.job.clone());
        Ok(USAGE)
    }
}

struct Rig {
    sales: Arc<Sales>,
    runner: Arc<ScriptedRunner>,
    books: Arc<Lock<Books>>,
    payable: PayableJobs,
}

async fn rig(course: impl Fn(&JobRef) -> Course + Send + Sync + 'static) -> Rig {
    let runner = ScriptedRunner::new(course);
    let sales = Arc::new(Sales::new(Serving::new(runner.pool().await, SystemClock::shared())));
    let method = PaidByPiece::default();
    let books = Arc::clone(&method.0);
    let (payable, jobs) = PayableJobs::channel();
    tokio::spawn(Arc::clone(&sales).follow(Arc::new(method), jobs));
    Rig { sales, runner, books, payable }
}

impl Rig {
    async fn tell(&self, job: &str) {
        self.payable.tell(job.parse().unwrap()).await;
    }

    async fn until(&self, what: &str, holds: impl Fn(&Books) -> bool) {
        eventually(LIMIT, what, async || holds(&self.books.lock()).then_some(())).await.unwrap();
    }
}

#[tokio::test]
async fn a_method_that_is_paid_as_pieces_leave_has_each_of_them_before_the_answer_ends() {
    let rig = rig(|_| Course::Answers).await;
    let job: JobRef = "channel:1".parse().unwrap();
    rig.tell("channel:1").await;
    rig.until("both pieces", |books| books.paid.get(&job).is_some_and(|paid| paid == &[1, 2])).await;
    assert!(rig.books.lock().answered.is_empty(), "the answer has not ended");
    rig.tell("channel:1").await;
    rig.runner.ends.add_permits(1);
    rig.until("its close", |books| books.closed.contains(&job)).await;
    assert_eq!(rig.runner.asked.lock().len(), 1, "told twice, it is worked on once");
    assert_eq!(rig.sales.sold(), USAGE);
}

#[tokio::test]
async fn a_panic_in_one_jobs_serving_leaves_another_jobs_answer_alone() {
    let panicked = std::sync::atomic::AtomicBool::new(false);
    let rig = rig(move |job| match job.as_str() {
        "channel:panics" if !panicked.swap(true, Ordering::SeqCst) => Course::Panics,
        _ => Course::Answers,
    })
    .await;
    let [sound, panics]: [JobRef; 2] = ["channel:sound", "channel:panics"].map(|job| job.parse().unwrap());
    rig.tell(sound.as_str()).await;
    rig.until("the other's pieces", |books| books.paid.contains_key(&sound)).await;
    rig.tell(panics.as_str()).await;
    let gave_up = async || {
        let was_asked = rig.runner.asked.lock().contains(&panics);
        (was_asked && !rig.sales.in_flight.contains(&panics)).then_some(())
    };
    eventually(LIMIT, "the end of the work that panicked", gave_up).await.unwrap();
    assert!(rig.sales.in_flight.contains(&sound), "the other goes on");
    rig.runner.ends.add_permits(2);
    rig.until("the other's answer", |books| books.closed.contains(&sound)).await;
    rig.tell(panics.as_str()).await;
    rig.until("its answer, taken up again", |books| books.closed.contains(&panics)).await;
}

#[tokio::test]
async fn a_request_that_is_not_the_jobs_or_not_paid_reaches_no_runner() {
    let rig = rig(|_| Course::Answers).await;
    for job in ["channel:foreign", "channel:underpaid"] {
        rig.tell(job).await;
    }
    rig.until("both refusals", |books| books.declined.len() == 2).await;
    let declined = rig.books.lock().declined.join(" ");
    assert!(declined.contains("another client") && declined.contains(UNDERPAID), "{declined}");
    assert!(rig.runner.asked.lock().is_empty());
}
