//! The deaths of a side's process, and its returns.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use t4t_clock::{Clock, SystemClock};
use t4t_protocol::job::SellingState;
use t4t_store::Store;
use t4t_testkit::backend::ScriptedBackend;
use t4t_testkit::processes::{Gateway, Process, Provider};
use tokio::sync::watch;
use url::Url;

use super::scenario::Aim;

/// How long after the app was told a process that did not die by itself is ended.
const LAST_CHANCE: Duration = Duration::from_secs(3);

/// How long a process may take to where it is to die: as long as a payment that nobody serves is bound, and more.
const PATIENCE: Duration = Duration::from_secs(180);

const LOOK_EVERY: Duration = Duration::from_millis(20);

const SIGKILL: i32 = 9;

/// When the app was told, once it was.
pub(crate) type Told = watch::Receiver<Option<Instant>>;

/// A process that dies, and who has to know.
pub(crate) enum Mortal<'a> {
    /// The gateway; apps follow its address from life to life.
    Gateway(&'a mut Gateway, watch::Sender<Url>),
    /// The provider, whose backend is counted.
    Provider(&'a mut Provider, &'a ScriptedBackend),
}

/// What was seen of a side's lives.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deaths {
    /// How often it died as it was to.
    pub(crate) count: u32,
    /// How often it died before it had stored an answer.
    pub(crate) before_the_answer: u64,
    /// Backend calls when it first died with a stored answer.
    pub(crate) calls_when_stored: Option<u64>,
    /// When it was started for the last time.
    pub(crate) returned: Option<Instant>,
}

impl Mortal<'_> {
    fn process(&mut self) -> &mut Process {
        match self {
            Self::Gateway(gateway, _) => &mut gateway.process,
            Self::Provider(provider, _) => &mut provider.process,
        }
    }

    /// Whether its present life has begun to work; tells apps where.
    async fn is_up(&mut self) -> anyhow::Result<bool> {
        match self {
            Self::Gateway(gateway, address)
                if gateway.process.log().contains("gateway started: base URL ") =>
            {
                let url = gateway.url().await?;
                address.send_if_modified(|known| std::mem::replace(known, url.clone()) != url);
                Ok(true)
            }
            Self::Provider(provider, _) => Ok(provider.process.log().contains("provider started: wallet")),
            Self::Gateway(..) => Ok(false),
        }
    }

    /// Lets each life end, and starts the next one. `on_return` is called before each.
    pub(crate) async fn live(
        mut self,
        aims: &[Aim],
        told: Told,
        on_return: impl Fn(),
    ) -> anyhow::Result<Deaths> {
        let mut deaths = Deaths::default();
        for (number, aim) in aims.iter().enumerate() {
            let died = self.dies(*aim, &told).await?;
            self.note(died, &mut deaths).await?;
            on_return();
            let next = aims.get(number + 1).filter(|_| died).and_then(|aim| aim.kill_at());
            let order = next.as_deref().map(|order| ("KILL_AT", order));
            deaths.returned = Some(Instant::now());
            self.process().restart(order.as_slice())?;
            if !died {
                break;
            }
        }
        if deaths.returned.is_some() {
            self.comes_back().await?;
        }
        Ok(deaths)
    }

    async fn note(&mut self, died: bool, deaths: &mut Deaths) -> anyhow::Result<()> {
        deaths.count += u32::from(died);
        let Self::Provider(provider, backend) = self else { return Ok(()) };
        if !died {
            provider.process.kill9()?;
        }
        if has_stored_an_answer(&provider.database).await? {
            deaths.calls_when_stored.get_or_insert(backend.calls());
        } else {
            deaths.before_the_answer += 1;
        }
        Ok(())
    }

    /// Waits until the present life ends, or ends it; `false` if it is not going to.
    async fn dies(&mut self, aim: Aim, told: &Told) -> anyhow::Result<bool> {
        let began = Instant::now();
        loop {
            self.is_up().await?;
            if let Some(status) = self.process().ended()? {
                ensure!(status.signal() == Some(SIGKILL), "it ended by itself: {status}");
                return Ok(true);
            }
            if matches!(aim, Aim::After(time) if began.elapsed() >= time) {
                self.process().kill9()?;
                return Ok(true);
            }
            if told.borrow().is_some_and(|told| told.elapsed() > LAST_CHANCE) {
                return Ok(false);
            }
            ensure!(began.elapsed() < PATIENCE, "it lives on, and the app waits");
            SystemClock.sleep(LOOK_EVERY).await;
        }
    }

    async fn comes_back(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Gateway(gateway, _) => drop(gateway.url().await?),
            Self::Provider(provider, _) => provider.started().await?,
        }
        ensure!(self.is_up().await?, "it says nothing of itself");
        Ok(())
    }
}

/// Whether a dead provider's database holds an answer. The files are copied, so that the next life finds them as they
/// were left.
async fn has_stored_an_answer(database: &Path) -> anyhow::Result<bool> {
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("copy.db");
    std::fs::copy(database, &copy)?;
    let log = database.with_extension("db-wal");
    if log.exists() {
        std::fs::copy(log, copy.with_extension("db-wal"))?;
    }
    let store = Store::open_existing(&copy).await?;
    let rows = store.selling_list_recent(100).await?;
    store.close().await;
    let is_stored =
        |state| matches!(state, SellingState::Answered | SellingState::Uploaded | SellingState::Claimed);
    Ok(rows.iter().any(|row| is_stored(row.state)))
}
