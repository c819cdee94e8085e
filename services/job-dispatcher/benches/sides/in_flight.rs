//! Purchases in flight: the buying side alone, as a process runs it, with a provider that answers at once.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use futures_util::{StreamExt, stream};
use t4t_api::Buying;
use t4t_api::job_dispatcher::BuyingProgress;
use t4t_clock::SystemClock;
use t4t_job_dispatcher::buying::{BuyingConfig, BuyingService, DayLimits};
use t4t_store::Store;
use t4t_types::Xbzz;

use crate::rig::sides::{Footing, MARKET, buying_config};
use crate::rig::stranger::{Act, What};
use crate::rig::world::World;
use crate::rig::{USUAL, add_scripted, cost, messages, wallet};

/// Money as good as all.
const PLENTY: Xbzz = Xbzz::from_whole(1_000_000);

/// Purchases before those that are counted.
const WARM_UP: usize = 100;

/// Buys `count` answers, `width` at a time, and says how many a second.
pub(crate) fn measure(width: usize, count: usize) -> anyhow::Result<()> {
    t4t_runtime::process::run(buy_all(width, count))?
}

async fn buy_all(width: usize, count: usize) -> anyhow::Result<()> {
    let world = World::at_once(SystemClock::shared(), tokio::runtime::Handle::current());
    let script = vec![(0, Act::Acks), (0, Act::Claims(What::Answer, Some(cost(USUAL))))];
    let _provider = add_scripted(&world, 20, USUAL, script);
    let footing = Footing::new(&world, SystemClock::shared(), wallet(1));
    world.chain().mint(wallet(1).address(), PLENTY);
    let folder = tempfile::tempdir()?;
    let store = Store::open_for(&folder.path().join("t4t.db"), MARKET).await?;
    let day = DayLimits { spend: PLENTY, ..DayLimits::default() };
    let config = BuyingConfig { day, ..buying_config() };
    let running = BuyingService::start(config, footing.buying_deps(store).await).await?;
    let buying = running.buying();
    buy(&buying, width, 0..WARM_UP).await?;
    let began = Instant::now();
    buy(&buying, width, WARM_UP..WARM_UP + count).await?;
    let took = began.elapsed();
    println!(
        "{count} purchases, {width} at a time: {:.0} a second, {:.2} ms of time each, on {} cores, in {}",
        count as f64 / took.as_secs_f64(),
        took.as_secs_f64() * 1000.0 / count as f64,
        std::thread::available_parallelism().map_or(1, usize::from),
        folder.path().display(),
    );
    running.stop().await;
    Ok(())
}

async fn buy(buying: &Arc<dyn Buying>, width: usize, numbers: std::ops::Range<usize>) -> anyhow::Result<()> {
    let one = |number: usize| {
        let buying = Arc::clone(buying);
        // A task of its own, as an app's connection has.
        tokio::spawn(async move { buy_one(&*buying, &format!("question {number}")).await })
    };
    let mut ends = stream::iter(numbers.map(one)).buffer_unordered(width);
    while let Some(end) = ends.next().await {
        end??;
    }
    Ok(())
}

async fn buy_one(buying: &dyn Buying, text: &str) -> anyhow::Result<()> {
    let mut steps = buying.open(messages::purchase(text)).await?;
    while let Some(step) = steps.next().await {
        if let BuyingProgress::Bought(bought) = step? {
            ensure!(bought.attempts == 1, "{} tries", bought.attempts);
            return Ok(());
        }
    }
    None.context("the stream ended without an answer")
}
