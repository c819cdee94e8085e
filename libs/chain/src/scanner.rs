//! The one place for reading events: backfill, following the head, reorganisations.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use serde::de::DeserializeOwned;
use serde_json::Value;
use t4t_types::UnixSeconds;

use crate::block::{BlockHash, BlockHeader, BlockTag, Log, RawBlock, RawLog};
use crate::contracts::ContractAddresses;
use crate::error::ChainError;
use crate::events::{ChainEvent, LoggedEvent, decode_logged};
use crate::logs::{LogFilter, is_range_too_large, mined};
use crate::read::block_question;
use crate::rpc::Rpc;

/// Blocks of one request at most while catching up.
const LARGEST_PAGE: u64 = 2000;

/// Passes in a row with a head that lies far back, after which the next one is believed: a development chain was set
/// back, or the old head was a lie.
const STALE_PASSES_BELIEVED: u32 = 10;

/// Seconds by which blocks of two honest endpoints differ at most, and by which a block comes early.
const PLAUSIBLE_SECONDS: u64 = 60;

/// For how long an event that ends a job waits for a second endpoint while none answers.
const ALONE_MS: u64 = 20_000;

/// Reads the market's events in order, and notices those that a reorganisation took back.
///
/// Nothing is missed as long as passes succeed now and then. After a restart the events of the last blocks before the
/// cursor are reported again, so whoever keeps a cursor takes an event twice.
#[derive(Debug)]
pub struct LogScanner {
    rpc: Rpc,
    /// Who is asked in this pass.
    asked: Rpc,
    /// Passes so far.
    passes: usize,
    addresses: ContractAddresses,
    overlap: u64,
    page: u64,
    /// First block of the next request; unknown before the first pass of a scanner without a cursor.
    next_from: Option<u64>,
    /// Head of the last pass.
    head: Option<u64>,
    /// Its time.
    head_time: Option<UnixSeconds>,
    /// Milliseconds since 1970 of the last pass.
    passed_at: u64,
    stale_passes: u32,
    /// Events from `next_from` on that were reported and not taken back.
    reported: BTreeMap<Place, LoggedEvent>,
    /// Since when no second endpoint answers of those that are asked what ended, in milliseconds since 1970.
    alone_since: Option<u64>,
    /// Block of the oldest event that waits for a second endpoint's word.
    waits_from: Option<u64>,
}

/// What one pass found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanPass {
    /// The newest block.
    pub head: BlockHeader,
    /// Events that were not reported before, oldest first.
    pub added: Vec<LoggedEvent>,
    /// Events that were reported and that a reorganisation took back. To be applied before `added`, which may hold
    /// the same event in another block.
    pub removed: Vec<LoggedEvent>,
    /// Last block that was read; the cursor to keep.
    pub scanned_to: u64,
}

impl ScanPass {
    /// Whether everything up to the head was read; if not, the next pass goes on at once.
    pub fn is_caught_up(&self) -> bool {
        self.scanned_to >= self.head.number
    }
}

/// Whether an event says that a job's money has come to its end.
const fn ends_a_job(event: &ChainEvent) -> bool {
    matches!(
        event,
        ChainEvent::JobClaimed { .. } | ChainEvent::JobCancelled { .. } | ChainEvent::JobTimedOut { .. }
    )
}

/// Place of a log: block, position in it, and which of the blocks at that height.
type Place = (u64, u64, BlockHash);

fn place(event: &LoggedEvent) -> Place {
    (event.block_number, event.log_index, event.block_hash)
}

/// What was read in one pass, before anything is concluded from it.
struct Window {
    head: BlockHeader,
    from: u64,
    to: u64,
    events: BTreeMap<Place, LoggedEvent>,
}

impl LogScanner {
    /// A block in which events are looked at again in each later pass: deeper reorganisations than this are not
    /// noticed by themselves. On Gnosis Chain a minute.
    pub const DEFAULT_OVERLAP: u64 = 12;

    /// A scanner that goes on after block `cursor`, or begins at the head. The `overlap` blocks before that are read
    /// again.
    pub fn new(rpc: Rpc, addresses: ContractAddresses, cursor: Option<u64>, overlap: u64) -> Self {
        let next_from = cursor.map(|cursor| cursor.saturating_sub(overlap));
        Self {
            asked: rpc.clone(),
            passes: 0,
            rpc,
            addresses,
            overlap,
            page: LARGEST_PAGE,
            next_from,
            head: None,
            head_time: None,
            passed_at: 0,
            stale_passes: 0,
            reported: BTreeMap::new(),
            alone_since: None,
            waits_from: None,
        }
    }

    /// Tells the scanner which events were reported before a restart, so that they are not added again, and are
    /// removed if they have vanished since. Those before the overlap are ignored.
    #[must_use]
    pub fn with_reported(mut self, events: impl IntoIterator<Item = LoggedEvent>) -> Self {
        let from = self.next_from.unwrap_or(u64::MAX);
        let kept = events.into_iter().filter(|event| event.block_number >= from);
        self.reported.extend(kept.map(|event| (place(&event), event)));
        self
    }

    /// Reads on. In the ordinary case this is one HTTP request; while catching up, one page of blocks. An error
    /// changes nothing, the next pass reads the same again.
    pub async fn poll(&mut self) -> Result<ScanPass, ChainError> {
        if let Some(turn) = self.whose_turn() {
            self.asked = turn;
            if let Ok(found) = self.pass().await {
                return Ok(found);
            }
        }
        self.asked = self.rpc.clone();
        let polled = self.pass().await;
        if let Err(ChainError::Malformed { .. }) = &polled {
            // Whoever answers nonsense is not asked first again.
            self.rpc.prefer_next();
        }
        polled
    }

    /// Near the head, the endpoints are asked in turn: the last blocks are read again in each pass, so what one of them
    /// leaves out is known a pass later.
    fn whose_turn(&mut self) -> Option<Rpc> {
        if self.rpc.endpoints() < 2 || !self.is_near_head() {
            return None;
        }
        let mut each = self.rpc.each_ready();
        self.passes = self.passes.wrapping_add(1);
        (each.len() > 1).then(|| each.swap_remove(self.passes % each.len()))
    }

    async fn pass(&mut self) -> Result<ScanPass, ChainError> {
        let mut window = match self.next_from.filter(|_| self.is_near_head()) {
            Some(from) => match self.read_to_head(from).await {
                Err(error) if is_range_too_large(&error) => self.read_page().await?,
                read => read?,
            },
            None => self.read_page().await?,
        };
        self.leave_out_unwitnessed(&mut window).await;
        let removed = self.vanished(&window).await?;
        Ok(self.conclude(window, removed))
    }

    /// Whether the distance to the head is known to fit into one request.
    fn is_near_head(&self) -> bool {
        // No chain that is served makes more than a block in a second.
        let since =
            Duration::from_millis(self.rpc.clock().unix_millis().saturating_sub(self.passed_at)).as_secs();
        match (self.next_from, self.head) {
            (Some(from), Some(head)) => head.saturating_add(since).saturating_sub(from) < self.page,
            _ => false,
        }
    }

    fn filter(&self, from: u64, to: Option<u64>) -> LogFilter {
        let addresses = vec![self.addresses.registry, self.addresses.escrow];
        LogFilter { addresses, topics: Vec::new(), from, to }
    }

    /// Head and logs in one request.
    async fn read_to_head(&mut self, from: u64) -> Result<Window, ChainError> {
        let questions = vec![block_question(BlockTag::Latest), self.filter(from, None).question()];
        let mut answers = self.asked.batch(questions).await?.into_iter();
        let head: RawBlock = parsed("eth_getBlockByNumber", answers.next())?;
        let head = BlockHeader::from(head);
        self.refuse_stale(&head)?;
        self.refuse_future(&head).await?;
        let logs: Vec<RawLog> = parsed("eth_getLogs", answers.next())?;
        let to = head.number;
        Ok(self.window(head, from, to, mined(logs)))
    }

    /// The head, then one page of logs.
    async fn read_page(&mut self) -> Result<Window, ChainError> {
        let head = self.asked.latest_block().await?;
        self.refuse_stale(&head)?;
        self.refuse_future(&head).await?;
        let from = self.next_from.unwrap_or(head.number.saturating_sub(self.overlap)).min(head.number);
        loop {
            let to = from.saturating_add(self.page - 1).min(head.number);
            let filter = self.filter(from, Some(to));
            // A page must reach beyond the overlap, or the scan would not get on.
            let smallest = self.page <= self.overlap.saturating_add(4);
            let (method, params) = filter.question();
            let logs = match self.asked.call::<Vec<RawLog>>(method, params).await {
                Ok(logs) => mined(logs),
                Err(error) if !is_range_too_large(&error) => return Err(error),
                Err(_) if smallest => self.asked.logs(&filter).await?,
                Err(_) => {
                    self.page = (self.page / 2).max(self.overlap.saturating_add(4));
                    continue;
                }
            };
            self.page = self.page.saturating_add(self.page / 4).min(LARGEST_PAGE.max(self.page));
            return Ok(self.window(head, from, to, logs));
        }
    }

    fn window(&self, head: BlockHeader, from: u64, to: u64, logs: Vec<Log>) -> Window {
        let events = logs.iter().filter(|log| log.block_number >= from);
        let events = events.filter_map(|log| decode_logged(log, &self.addresses));
        Window { head, from, to, events: events.map(|event| (place(&event), event)).collect() }
    }

    /// A head far below the last one comes from an endpoint that lags; what it does not show is no reorganisation.
    fn refuse_stale(&mut self, head: &BlockHeader) -> Result<(), ChainError> {
        let seen = self.head.unwrap_or(0);
        if head.number.saturating_add(self.overlap) >= seen {
            self.stale_passes = 0;
            return Ok(());
        }
        self.stale_passes += 1;
        if self.stale_passes >= STALE_PASSES_BELIEVED {
            tracing::warn!(
                seen,
                head = head.number,
                "the chain was set back further than a reorganisation reaches"
            );
            self.stale_passes = 0;
            self.head = None;
            self.next_from = Some(head.number.saturating_sub(self.overlap));
        }
        self.rpc.prefer_next();
        Err(ChainError::StaleHead { seen, got: head.number })
    }

    /// A head whose time is further on than our own has gone is believed once another endpoint knows of such a time:
    /// deadlines are judged by it, and a provider that takes a job for lost lets its stake burn.
    async fn refuse_future(&self, head: &BlockHeader) -> Result<(), ChainError> {
        let now = self.rpc.clock().unix_millis();
        let since = Duration::from_millis(now.saturating_sub(self.passed_at)).as_secs();
        let due = self.head_time.map(|time| time.plus(since.saturating_add(PLAUSIBLE_SECONDS)));
        if self.rpc.endpoints() < 2 || due.is_some_and(|due| head.timestamp <= due) {
            return Ok(());
        }
        let each = self.rpc.each_ready();
        let mut asked = Vec::with_capacity(each.len());
        for rpc in &each {
            asked.push(rpc.latest_block());
        }
        let times: Vec<UnixSeconds> =
            join_all(asked).await.into_iter().flatten().map(|known| known.timestamp).collect();
        let agree = times.iter().filter(|time| time.plus(PLAUSIBLE_SECONDS) >= head.timestamp).count();
        if times.len() < 2 || agree >= 2 {
            return Ok(());
        }
        tracing::warn!(block = head.number, "an endpoint of the chain shows a time that no other one knows");
        Err(ChainError::malformed("the newest block", "no second endpoint knows of its time"))
    }

    /// Leaves out what ends a job by one endpoint's word alone, where several are named: whoever believes it pays another
    /// provider, or lets its stake burn. A pass later it is looked at again.
    async fn leave_out_unwitnessed(&mut self, window: &mut Window) {
        self.waits_from = None;
        if self.rpc.endpoints() < 2 {
            return;
        }
        let is_new = |place: &Place| !self.reported.contains_key(place);
        let ends = window.events.iter().filter(|(place, event)| ends_a_job(&event.event) && is_new(place));
        let ends: BTreeSet<Place> = ends.map(|(place, _)| *place).collect();
        let (Some(first), Some(last)) = (ends.first(), ends.last()) else { return };
        let filter = self.filter(first.0, Some(last.0));
        let each = self.rpc.each_ready();
        // With a closure here, the compiler could not tell that this may move to another thread.
        let mut asked = Vec::with_capacity(each.len());
        for rpc in &each {
            asked.push(rpc.logs(&filter));
        }
        let said: Vec<Vec<Log>> = join_all(asked).await.into_iter().flatten().collect();
        if said.len() < 2 {
            let now = self.rpc.clock().unix_millis();
            if now.saturating_sub(*self.alone_since.get_or_insert(now)) < ALONE_MS {
                self.waits_from = Some(first.0);
                window.events.retain(|place, _| !ends.contains(place));
            }
            return;
        }
        self.alone_since = None;
        let shown = said.iter().map(|logs| logs.iter().filter_map(|log| decode_logged(log, &self.addresses)));
        let shown: Vec<BTreeMap<Place, LoggedEvent>> =
            shown.map(|events| events.map(|event| (place(&event), event)).collect()).collect();
        let is_witnessed = |place: &Place, event: &LoggedEvent| {
            shown.iter().filter(|one| one.get(place) == Some(event)).count() >= 2
        };
        window.events.retain(|place, event| !ends.contains(place) || is_witnessed(place, event));
    }

    /// Events that were reported inside of the window and are gone because their block is. Logs may be served by
    /// another machine than blocks, one that lags, so a missing log alone proves nothing.
    async fn vanished(&self, window: &Window) -> Result<Vec<LoggedEvent>, ChainError> {
        let in_window =
            |place: &Place| place.0 >= window.from && place.0 <= window.head.number.min(window.to);
        let missing =
            self.reported.iter().filter(|(place, _)| in_window(place) && !window.events.contains_key(place));
        let missing: Vec<&LoggedEvent> = missing.map(|(_, event)| event).collect();
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        let heights: BTreeSet<u64> = missing.iter().map(|event| event.block_number).collect();
        let questions = heights.iter().map(|height| block_question(BlockTag::Number(*height))).collect();
        let mut canonical = BTreeMap::new();
        for (height, answer) in heights.iter().zip(self.asked.batch(questions).await?) {
            let block: Option<RawBlock> = parsed("eth_getBlockByNumber", Some(answer))?;
            canonical.insert(*height, block.map(|block| BlockHeader::from(block).hash));
        }
        let replaced = |event: &&LoggedEvent| match canonical.get(&event.block_number) {
            Some(Some(hash)) => *hash != event.block_hash,
            _ => false,
        };
        Ok(missing.into_iter().filter(replaced).cloned().collect())
    }

    fn conclude(&mut self, window: Window, removed: Vec<LoggedEvent>) -> ScanPass {
        for event in &removed {
            self.reported.remove(&place(event));
        }
        let new = window.events.into_iter().filter(|(place, _)| !self.reported.contains_key(place));
        let new: Vec<(Place, LoggedEvent)> = new.collect();
        let added = new.iter().map(|(_, event)| event.clone()).collect();
        self.reported.extend(new);

        let settled = window.head.number.saturating_sub(self.overlap);
        let next_from = window.to.saturating_add(1).min(settled).min(self.waits_from.unwrap_or(u64::MAX));
        self.reported.retain(|(height, ..), _| *height >= next_from);
        self.next_from = Some(next_from);
        self.head = Some(window.head.number);
        self.head_time = Some(window.head.timestamp);
        self.passed_at = self.rpc.clock().unix_millis();
        ScanPass { head: window.head, added, removed, scanned_to: window.to }
    }
}

fn parsed<T: DeserializeOwned>(
    what: &'static str,
    answer: Option<Result<Value, ChainError>>,
) -> Result<T, ChainError> {
    let value = answer.unwrap_or_else(|| Err(ChainError::malformed(what, "no answer")))?;
    serde_json::from_value(value).map_err(|cause| ChainError::malformed(what, cause.to_string()))
}
