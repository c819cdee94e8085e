//! Named places where a test ends the process as `kill -9` does.
//!
//! Every crash rule of the house is of the form "this is stored before that happens". A kill point stands between the
//! two. It does something only in builds with debug assertions, and only where `KILL_AT` names it: `KILL_AT=selling.began`
//! ends the process when it first passes there, `KILL_AT=selling.began#3` at the third time.

/// A place where the process can be made to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KillPoint {
    /// The gateway stored what it is about to buy.
    BuyingPlanned,
    /// The escrow transaction was handed to settlement.
    BuyingSubmitted,
    /// The sealed request lies in Swarm.
    BuyingUploaded,
    /// The provider was told.
    BuyingNoticed,
    /// The row says that the payment is in escrow.
    BuyingPosted,
    /// The row says that the provider acknowledged.
    BuyingAcked,
    /// The row says where the answer lies.
    BuyingDelivered,
    /// The answer was fetched and opened.
    BuyingFetched,
    /// The order to take an overdue payment back was handed to settlement.
    BuyingTakenBack,
    /// A transaction is stored, signed, and not sent.
    SettlementStored,
    /// A transaction is sent.
    SettlementSent,
    /// A receipt was seen and is not stored.
    SettlementReceipt,
    /// The provider stored a job it found.
    SellingFound,
    /// The request was fetched and opened.
    SellingFetched,
    /// The row says that a backend is asked.
    SellingBegan,
    /// The acknowledgement was handed to settlement.
    SellingAcked,
    /// The backend answered and nothing is stored yet.
    SellingRan,
    /// The sealed answer is stored.
    SellingAnswered,
    /// The sealed answer lies in Swarm and the row does not say so.
    SellingUploaded,
    /// The row says where the sealed answer lies.
    SellingReferenced,
    /// The claim was handed to settlement.
    SellingClaimed,
    /// The client was told.
    SellingAnnounced,
    /// The row says that the job is refused.
    SellingRefusing,
}

impl KillPoint {
    /// Every kill point.
    pub const ALL: [Self; 23] = [
        Self::BuyingPlanned,
        Self::BuyingSubmitted,
        Self::BuyingUploaded,
        Self::BuyingNoticed,
        Self::BuyingPosted,
        Self::BuyingAcked,
        Self::BuyingDelivered,
        Self::BuyingFetched,
        Self::BuyingTakenBack,
        Self::SettlementStored,
        Self::SettlementSent,
        Self::SettlementReceipt,
        Self::SellingFound,
        Self::SellingFetched,
        Self::SellingBegan,
        Self::SellingAcked,
        Self::SellingRan,
        Self::SellingAnswered,
        Self::SellingUploaded,
        Self::SellingReferenced,
        Self::SellingClaimed,
        Self::SellingAnnounced,
        Self::SellingRefusing,
    ];

    /// The name, as `KILL_AT` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BuyingPlanned => "buying.planned",
            Self::BuyingSubmitted => "buying.submitted",
            Self::BuyingUploaded => "buying.uploaded",
            Self::BuyingNoticed => "buying.noticed",
            Self::BuyingPosted => "buying.posted",
            Self::BuyingAcked => "buying.acked",
            Self::BuyingDelivered => "buying.delivered",
            Self::BuyingFetched => "buying.fetched",
            Self::BuyingTakenBack => "buying.taken-back",
            Self::SettlementStored => "settlement.stored",
            Self::SettlementSent => "settlement.sent",
            Self::SettlementReceipt => "settlement.receipt",
            Self::SellingFound => "selling.found",
            Self::SellingFetched => "selling.fetched",
            Self::SellingBegan => "selling.began",
            Self::SellingAcked => "selling.acked",
            Self::SellingRan => "selling.ran",
            Self::SellingAnswered => "selling.answered",
            Self::SellingUploaded => "selling.uploaded",
            Self::SellingReferenced => "selling.referenced",
            Self::SellingClaimed => "selling.claimed",
            Self::SellingAnnounced => "selling.announced",
            Self::SellingRefusing => "selling.refusing",
        }
    }

    /// Passes the place; in a test that names it, ends the process at once, as `kill -9` does.
    #[inline]
    pub fn pass(self) {
        #[cfg(debug_assertions)]
        armed::pass(self);
    }
}

/// Tells `watcher` of every kill point that this thread passes, until the returned guard is dropped. A test that drives
/// services on a runtime of one thread stops them there, where others end a process.
#[cfg(debug_assertions)]
pub fn watch(watcher: impl Fn(KillPoint) + 'static) -> Watching {
    armed::WATCHER.set(Some(std::rc::Rc::new(watcher)));
    Watching { _of_this_thread: std::marker::PhantomData }
}

/// While it lives, the kill points of its thread are watched.
#[cfg(debug_assertions)]
#[derive(Debug)]
pub struct Watching {
    _of_this_thread: std::marker::PhantomData<*const ()>,
}

#[cfg(debug_assertions)]
impl Drop for Watching {
    fn drop(&mut self) {
        armed::WATCHER.set(None);
    }
}

#[cfg(debug_assertions)]
mod armed {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::KillPoint;

    struct Order {
        name: String,
        passages_left: AtomicU32,
    }

    type Watcher = Option<Rc<dyn Fn(KillPoint)>>;

    thread_local! {
        pub(super) static WATCHER: RefCell<Watcher> = const { RefCell::new(None) };
    }

    static ORDER: LazyLock<Option<Order>> = LazyLock::new(|| {
        let text = std::env::var("KILL_AT").ok()?;
        let (name, passage) = text.split_once('#').unwrap_or((&text, "1"));
        Some(Order { name: name.to_owned(), passages_left: AtomicU32::new(passage.parse().ok()?) })
    });

    pub(super) fn pass(point: KillPoint) {
        // Cloned, so that a watcher that unwinds holds nothing.
        if let Some(watcher) = WATCHER.with_borrow(Clone::clone) {
            watcher(point);
        }
        let Some(order) = &*ORDER else { return };
        if order.name == point.as_str() && order.passages_left.fetch_sub(1, Ordering::SeqCst) == 1 {
            // SIGKILL to ourselves can't fail and does not return; should it, the process must still end.
            let _failed =
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let names: HashSet<_> = KillPoint::ALL.iter().map(|point| point.as_str()).collect();
        assert_eq!(names.len(), KillPoint::ALL.len());
    }

    #[test]
    fn a_watcher_is_told_of_its_own_threads_kill_points_until_it_is_dropped() {
        let passed = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let watching = watch({
            let passed = std::rc::Rc::clone(&passed);
            move |point| passed.borrow_mut().push(point)
        });
        KillPoint::SellingFound.pass();
        std::thread::spawn(|| KillPoint::SellingRan.pass()).join().unwrap();
        drop(watching);
        KillPoint::SellingFound.pass();
        assert_eq!(*passed.borrow(), [KillPoint::SellingFound]);
    }
}
