//! What version 1's escrow stands on, and how it is put together.

use std::sync::Arc;
use std::time::Duration;

use t4t_api::{RegistryWatcher, Settlement};
use t4t_clock::SharedClock;
use t4t_crypto::SealingKey;
use t4t_store::Store;
use t4t_types::Address;
use tokio::task::JoinHandle;

use super::Escrow;
use super::claims::Claims;
use super::collecting::Collector;
use super::delivering::Redelivery;
use super::driving::Driver;
use super::following::Follower;
use super::in_block::InBlock;
use super::ledger::Ledger;
use super::noticing::Notifier;
use super::overlay::OwnOverlay;
use super::planning::Planner;
use super::posting::Poster;
use super::ready::Ready;
use super::sweeping::{Grace, Sweeper};
use super::uploading::Uploader;
use crate::buying::capacity::Capacity;
use crate::buying::listing::Listing;
use crate::buying::spend::Spend;
use crate::buying::trust::Trust;
use crate::carriage::{Courier, Inbox};
use crate::chronicle::Chronicle;

/// What the operator says of escrows.
#[derive(Clone, Copy, Debug)]
pub(in crate::buying) struct EscrowConfig {
    /// Chain seconds after the acknowledgement's window before a job is cancelled.
    pub(in crate::buying) ack_grace_seconds: u64,
    /// The same where no other provider could serve the request.
    pub(in crate::buying) lone_grace_seconds: u64,
    /// How long to wait before a notice is sent again.
    pub(in crate::buying) notice_resend: Duration,
}

/// What an escrow stands on.
pub(in crate::buying) struct EscrowDeps {
    /// The wallet that pays, by its address.
    pub(in crate::buying) wallet: Address,
    /// The key that answers are sealed to.
    pub(in crate::buying) sealing_key: Arc<SealingKey>,
    /// The view of the chain.
    pub(in crate::buying) watcher: Arc<dyn RegistryWatcher>,
    /// The wallet's service.
    pub(in crate::buying) settlement: Arc<dyn Settlement>,
    /// The way messages and payloads travel.
    pub(in crate::buying) courier: Arc<dyn Courier>,
    /// The database, and where it is noted what happens to jobs.
    pub(in crate::buying) rows: (Store, Chronicle),
    /// The directory.
    pub(in crate::buying) listing: Listing,
    /// What providers did.
    pub(in crate::buying) trust: Trust,
    /// What is spent and what is in flight.
    pub(in crate::buying) exposure: (Spend, Capacity),
    /// The clock.
    pub(in crate::buying) clock: SharedClock,
}

impl Escrow {
    pub(in crate::buying) async fn new(config: EscrowConfig, deps: EscrowDeps) -> Self {
        let EscrowDeps {
            wallet,
            sealing_key,
            watcher,
            settlement,
            courier,
            rows,
            listing,
            trust,
            exposure,
            clock,
        } = deps;
        let store = rows.0.clone();
        let ledger = Ledger::new(rows, Arc::clone(&clock), exposure);
        let claims = Claims { ledger: ledger.clone(), trust: trust.clone() };
        let overlay = OwnOverlay::default();
        // Asked now, so that the first request does not wait for it.
        overlay.get(&*courier).await;
        let uploader =
            Uploader { courier: Arc::clone(&courier), ledger: ledger.clone(), clock: Arc::clone(&clock) };
        let poster = Poster {
            settlement,
            ledger: ledger.clone(),
            in_block: InBlock::default(),
            clock: Arc::clone(&clock),
        };
        let notifier = Notifier {
            courier: Arc::clone(&courier),
            ledger: ledger.clone(),
            client_key: sealing_key.public(),
            overlay,
            clock: Arc::clone(&clock),
            resend: config.notice_resend,
        };
        let collector = Collector {
            courier: Arc::clone(&courier),
            sealing_key: Arc::clone(&sealing_key),
            ledger: ledger.clone(),
            trust,
            clock: Arc::clone(&clock),
        };
        let grace =
            Grace { usual_seconds: config.ack_grace_seconds, lone_seconds: config.lone_grace_seconds };
        Self {
            planner: Planner {
                wallet,
                sealing_key,
                watcher: Arc::clone(&watcher),
                ledger: ledger.clone(),
                clock: Arc::clone(&clock),
            },
            redelivery: Redelivery { uploader: uploader.clone(), notifier: notifier.clone() },
            follower: Follower {
                wallet,
                watcher: Arc::clone(&watcher),
                poster: poster.clone(),
                claims: claims.clone(),
                ledger: ledger.clone(),
                clock: Arc::clone(&clock),
            },
            sweeper: Sweeper {
                wallet,
                watcher: Arc::clone(&watcher),
                poster: poster.clone(),
                claims: claims.clone(),
                collector: collector.clone(),
                listing,
                clock: Arc::clone(&clock),
                grace,
            },
            driver: Driver { uploader, poster, notifier, collector, ledger: ledger.clone(), clock },
            claims,
            ledger,
            ready: Ready { store, courier, watcher },
        }
    }

    /// Follows the chain and the providers' messages for as long as the tasks live.
    pub(in crate::buying) fn follow(&self, inbox: Inbox) -> Vec<JoinHandle<()>> {
        let (messages, chain) = (self.follower.clone(), self.follower.clone());
        vec![tokio::spawn(messages.follow_messages(inbox)), tokio::spawn(chain.follow_chain())]
    }
}
