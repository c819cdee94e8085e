//! Blocks every five seconds, as on Gnosis Chain: what the market adds to the wait for a block.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use t4t_chain::events::topics::JOB_POSTED;
use t4t_chain::{LogFilter, Rpc, RpcConfig};
use t4t_clock::{Clock, SystemClock};
use t4t_testkit::backend::{Behaviour, ScriptedBackend};
use t4t_testkit::eventually;
use t4t_testkit::processes::{App, PATIENCE};
use t4t_types::{BLOCK_SECONDS, keccak256};

use crate::dev::{Dev, ask};
use crate::samples::Samples;
use crate::table::Table;

const STARTS: u32 = 20;

/// How often the chain is asked for its height: a block is seen that much late at most.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// One request, all from its start.
struct Run {
    answer: Duration,
    /// The first block after the start.
    next_block: Duration,
    /// The block with the job.
    job_block: Duration,
}

/// Measures requests that begin anywhere between two blocks.
pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let backend = ScriptedBackend::start(Behaviour::Good).await?;
    let dev = Dev::start(home.path(), BLOCK_SECONDS, &backend).await?;
    let app = App::new()?;
    let (_, first) = ask(&app, &dev.base).await?;
    println!(
        "first request of the wallet, whose allowance takes a block: {:.1} ms",
        first.as_secs_f64() * 1000.0
    );
    let chain = Chain::of(&dev)?;
    let mut runs = Vec::new();
    for phase in phases() {
        chain.wait_for_phase(phase).await?;
        let run = chain.run(&app, &dev).await?;
        println!("{run}");
        runs.push(run);
    }
    let took = |part: fn(&Run) -> Duration| runs.iter().map(part).collect::<Samples>();
    let answer = took(|run| run.answer);
    let next = took(|run| run.next_block);
    let beyond_next = took(|run| run.answer.saturating_sub(run.next_block));
    let beyond_own = took(|run| run.answer.saturating_sub(run.job_block));
    let late = runs.iter().filter(|run| run.job_block > run.next_block).count();
    println!("answer: {answer}");
    println!("wait for the next block: {next}");
    println!("answer after the next block: {beyond_next}");
    println!("answer after the block with the job: {beyond_own}");
    println!("jobs that missed the next block: {late} of {STARTS}");
    println!("ratio: answer / wait for the next block {:.2}", answer.mean() / next.mean());
    table.at_most(
        "the same on 5 s blocks: mean beyond the wait for the next block",
        beyond_next.mean(),
        250.0,
        "ms",
    );
    table.at_most("the same on 5 s blocks: mean of 20 random starts", answer.mean() / 1000.0, 3.0, "s");
    dev.stop().await
}

/// When requests begin, after a block: one at random in each twentieth of the time between two, in random order, so
/// that their mean wait is nearly that of very many.
fn phases() -> Vec<Duration> {
    let random = |number: u32, what: u8| {
        let hash = keccak256([&number.to_be_bytes()[..], &[what]].concat());
        f64::from(u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])) / f64::from(u32::MAX)
    };
    let mut order: Vec<u32> = (0..STARTS).collect();
    order.sort_by(|a, b| random(*a, 0).total_cmp(&random(*b, 0)));
    let span = BLOCK_SECONDS as f64 / f64::from(STARTS);
    order
        .into_iter()
        .map(|slot| Duration::from_secs_f64(span * (f64::from(slot) + random(slot, 1))))
        .collect()
}

/// The development chain, with the time at which each block was there.
struct Chain {
    rpc: Rpc,
    escrow: t4t_types::Address,
    arrivals: Arc<Mutex<BTreeMap<u64, Instant>>>,
    watching: tokio::task::JoinHandle<()>,
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl Chain {
    fn of(dev: &Dev) -> anyhow::Result<Self> {
        let text = |name: &str| dev.about[name].as_str().with_context(|| format!("t4t dev names no {name}"));
        let rpc = Rpc::new(RpcConfig::new([text("chain_url")?.parse()?]), SystemClock::shared())?;
        let arrivals = Arc::default();
        let watching = tokio::spawn(watch(rpc.clone(), Arc::clone(&arrivals)));
        Ok(Self { rpc, escrow: text("ESCROW_ADDRESS")?.parse()?, arrivals, watching })
    }

    fn first_after(&self, moment: Instant) -> Option<Instant> {
        let arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.values().copied().find(|arrival| *arrival > moment)
    }

    fn arrival_of(&self, block: u64) -> Option<Instant> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).get(&block).copied()
    }

    /// Waits for a block, and then for so long.
    async fn wait_for_phase(&self, phase: Duration) -> anyhow::Result<()> {
        let now = Instant::now();
        let block = eventually(PATIENCE, "a block", async || self.first_after(now)).await?;
        SystemClock.sleep((block + phase).saturating_duration_since(Instant::now())).await;
        Ok(())
    }

    async fn run(&self, app: &App, dev: &Dev) -> anyhow::Result<Run> {
        let began = Instant::now();
        let (reply, took) = ask(app, &dev.base).await?;
        let job = reply.job.context("the gateway names no job")?;
        let filter = LogFilter {
            addresses: vec![self.escrow],
            topics: vec![vec![JOB_POSTED], vec![*job.as_bytes()]],
            ..LogFilter::default()
        };
        let logs = self.rpc.logs(&filter).await?;
        let block = logs.first().context("the job is not on the chain")?.block_number;
        let next = eventually(PATIENCE, "the next block", async || self.first_after(began)).await?;
        let own = self.arrival_of(block).context("the job's block was not seen to arrive")?;
        Ok(Run { answer: took, next_block: next - began, job_block: own - began })
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
        write!(
            f,
            "next block {:7.1} ms, block with the job {:7.1}, answer {:7.1}",
            millis(self.next_block),
            millis(self.job_block),
            millis(self.answer)
        )
    }
}

/// Notes when each block is first seen, but for the one that is there already.
async fn watch(rpc: Rpc, arrivals: Arc<Mutex<BTreeMap<u64, Instant>>>) {
    let mut newest = None;
    loop {
        if let Ok(block) = rpc.latest_block().await {
            let now = Instant::now();
            if newest.is_some_and(|newest| newest < block.number) {
                arrivals.lock().unwrap_or_else(PoisonError::into_inner).insert(block.number, now);
            }
            newest = Some(block.number);
        }
        SystemClock.sleep(LOOK_EVERY).await;
    }
}
