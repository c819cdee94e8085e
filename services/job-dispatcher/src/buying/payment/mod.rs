//! How an answer is paid for: what every payment method does for a purchase.
//!
//! A method begins an order with a provider that was chosen, tells its progress, and ends with an answer that was
//! checked or with the reason why there is none. It alone knows how money moves, when it comes back, and what is left to
//! do after a restart. [`escrow`] is the live network's. docs/decisions/0033 says what the next one has to bring.

pub(super) mod escrow;

use async_trait::async_trait;
use t4t_api::job_dispatcher::BuyingError;
use t4t_store::StoreError;
use t4t_types::{Address, JobId, RequestId, Xbzz};

use super::attempt::AttemptId;
use super::choice::Offer;
use super::delivery::Answer;
use super::log::PurchaseLog;
use super::spend::Hold;
use super::wanted::Wanted;

/// An order to be given to a provider.
#[derive(Debug)]
pub(super) struct Order<'a> {
    /// Which attempt it is.
    pub(super) number: u32,
    /// What is wanted.
    pub(super) wanted: &'a Wanted<'a>,
    /// Whom it is given to, and for how much at most.
    pub(super) offer: &'a Offer,
    /// The money that is kept for it until it counts by itself.
    pub(super) hold: Hold,
    /// How long the provider has, in seconds.
    pub(super) delivery_seconds: u64,
}

/// An order of an earlier life of the process.
#[derive(Clone, Debug)]
pub(super) struct Earlier {
    /// Which attempt it was.
    pub(super) attempt: u32,
    /// Whom it was given to.
    pub(super) provider: Address,
    /// Whether it was paid, or may still be.
    pub(super) may_be_paid: bool,
    /// Whether it can still lead to an answer.
    pub(super) may_answer: bool,
    /// Why it gave none, where that is known.
    pub(super) failed: Option<String>,
}

/// An answer that a provider gave for an order.
#[derive(Debug)]
pub(super) struct Delivered {
    /// Of which attempt.
    pub(super) id: AttemptId,
    /// Who gave it.
    pub(super) provider: Address,
    /// What it is.
    pub(super) answer: Answer,
}

/// Why an order gave no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// Another provider may do better.
    Provider(String),
    /// The provider says that no provider would. That costs it nothing to say, so another one is asked as well.
    Blamed(BuyingError),
    /// It refused and took nothing: another provider may do better.
    Free(String),
    /// Its backend is busy or away: another provider may do better, and the app is told this if none does.
    Refused(BuyingError),
    /// The wallet does not have so much now: a cheaper provider may do.
    TooDear {
        /// What the attempt needs.
        needs: Xbzz,
        /// What to tell the app if no cheaper one is left.
        error: BuyingError,
    },
    /// No provider would.
    Request(BuyingError),
}

impl Failed {
    /// Something that this gateway needs does not work.
    pub(super) fn unavailable(reason: impl std::fmt::Display) -> Self {
        Self::Request(BuyingError::Unavailable { reason: reason.to_string() })
    }
}

/// What was found open at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Jobs that wait for their provider or their deadline.
    pub waiting: u32,
    /// What those have in escrow.
    pub in_escrow: Xbzz,
    /// Jobs past their deadline, whose payment is asked back.
    pub overdue: u32,
    /// Jobs that were answered and wait for their claim.
    pub answered: u32,
    /// Jobs whose payment had not left.
    pub never_paid: u32,
}

/// A way to pay providers.
#[async_trait]
pub(super) trait PaymentMethod: Send + Sync {
    /// Whether an order could be brought to a provider and its payment followed: nothing is begun before that is so.
    ///
    /// # Errors
    /// What is missing, and what to do about it.
    async fn ready(&self) -> Result<(), BuyingError>;

    /// What was ordered for a request before, the oldest first.
    ///
    /// # Errors
    /// It can't be read now.
    async fn earlier(&self, request: RequestId) -> Result<Vec<Earlier>, BuyingError>;

    /// Gives an order to its provider and waits for what comes of it.
    ///
    /// # Errors
    /// [`Failed`]
    async fn order(&self, order: Order<'_>, log: &PurchaseLog) -> Result<Delivered, Failed>;

    /// Goes on with an order of an earlier life.
    ///
    /// # Errors
    /// [`Failed`]
    async fn resume(&self, attempt: u32, wanted: &Wanted<'_>, log: &PurchaseLog)
    -> Result<Delivered, Failed>;

    /// Judges an answer by what it is worth, once it is known what is taken for it; returns its job, if there is one.
    async fn judge(&self, delivered: &Delivered) -> Option<JobId>;

    /// The job of an answer that was judged before.
    async fn job(&self, delivered: &Delivered) -> Option<JobId>;

    /// Notes something about an order of a request, the newest where none is named, for people, with what it has at stake;
    /// `false` if there is none.
    async fn note(&self, request: RequestId, attempt: Option<u32>, note: Note) -> bool;

    /// Takes up what an earlier life left open.
    ///
    /// # Errors
    /// The database can't be used.
    async fn recover(&self) -> Result<Recovered, StoreError>;

    /// Brings back what is overdue.
    async fn sweep_once(&self);
}

/// What is noted of a request beside its orders' own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// Its app hung up before its answer was there.
    HungUp,
    /// Nobody took its answer, which cost so much.
    Unread(Xbzz),
    /// It was answered, for so much.
    Answered(Xbzz),
}
