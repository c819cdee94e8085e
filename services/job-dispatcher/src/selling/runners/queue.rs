//! Who waits for a slot, in the order in which they came.

use std::collections::BTreeMap;

use t4t_panics::Lock;
use t4t_types::ModelId;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Jobs that wait for a slot.
#[derive(Default)]
pub(super) struct Queue {
    tickets: Lock<Tickets>,
    freed: Notify,
}

#[derive(Default)]
struct Tickets {
    given: u64,
    waiting: BTreeMap<u64, ModelId>,
}

impl Queue {
    /// Takes the place behind all that wait for the same model.
    pub(super) fn join<'a>(&'a self, model: &'a ModelId) -> Place<'a> {
        let mut tickets = self.tickets.lock();
        tickets.given += 1;
        let ticket = tickets.given;
        tickets.waiting.insert(ticket, model.clone());
        Place { queue: self, ticket, model }
    }

    /// Ready once a slot or a place became free after this call.
    pub(super) fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    /// Has all that wait look again.
    pub(super) fn look_again(&self) {
        self.freed.notify_waiters();
    }
}

/// A place in the queue, given up when dropped.
pub(super) struct Place<'a> {
    queue: &'a Queue,
    ticket: u64,
    model: &'a ModelId,
}

impl Place<'_> {
    /// Whether nobody that came before waits for the same model.
    pub(super) fn is_first(&self) -> bool {
        let tickets = self.queue.tickets.lock();
        !tickets.waiting.range(..self.ticket).any(|(_, model)| model == self.model)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // The next may look, wherever it stands.
        self.queue.look_again();
        self.queue.tickets.lock().waiting.remove(&self.ticket);
    }
}
