//! Many hostile posts at once, among honest requests.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::ensure;
use t4t_chain::contracts::JobOrder;
use t4t_chain::events::decode;
use t4t_chain::{ChainEvent, LogFilter};
use t4t_testkit::chaos::{Form, Row};
use t4t_testkit::ledger::JobEntry;
use t4t_testkit::processes::{App, ECHO, Question, RoleSpec, Scene, SceneSpec, World};
use t4t_types::{Address, JobId, SwarmRef, TxHash, Xbzz, keccak256};
use url::Url;

use super::clients::allow_dust;
use super::stranger::Stranger;
use super::{T4T, unharmed};

/// Hostile posts in all; two strangers share them, and a block has one of each.
const POSTS: (u32, u32) = (50, 1000);

/// Gas that a refusal may cost.
const GAS_A_REFUSAL: u64 = 62_000;

/// Ways to be hostile.
const WAYS: u32 = 10;

/// Posts what can't be served, is not paid for, or is a trap.
async fn pester(
    stranger: &Stranger,
    posts: u32,
    provider: Address,
    victim: Address,
) -> anyhow::Result<Vec<JobId>> {
    let mut posted = Vec::new();
    let mut last = SwarmRef::new([7; 32]);
    for number in 0..posts {
        let own = stranger.address();
        let sealed = match number % WAYS {
            0 => None,
            1 => Some(keccak256(number.to_be_bytes()).repeat(10)),
            2 => Some(stranger.request_of(provider, victim, ECHO, "yours").await?),
            3 => Some(stranger.request_of(provider, own, "gpt-9", "x").await?),
            4 => Some(stranger.request_of(provider, victim, "gpt-9", "x").await?),
            // Good in itself: what is wrong is its payment, its deadline, or that it was posted before.
            _ => Some(stranger.request(provider, &format!("request {number}")).await?),
        };
        let hash = match sealed {
            _ if number % WAYS == 9 => last,
            Some(sealed) => stranger.upload(sealed).await?,
            None => SwarmRef::new(keccak256([own.to_string().as_bytes(), &number.to_be_bytes()].concat())),
        };
        last = hash;
        let order = stranger.order(provider, hash).await?;
        let now = stranger.chain_now().await?;
        let order = match number % WAYS {
            5 => JobOrder { max_payment: Xbzz::ZERO, ..order },
            6 => JobOrder { max_payment: Xbzz::from_plur(number.into()), ..order },
            7 => JobOrder { delivery_deadline: now.plus(36 + u64::from(number % 4)), ..order },
            8 | 9 => JobOrder { delivery_deadline: now.plus(86_000), ..order },
            _ => order,
        };
        posted.push(stranger.post(&order).await?);
    }
    Ok(posted)
}

/// Asks honest questions one after the other until the siege is over: how many, and how many were answered.
async fn ask_honestly(app: &App, url: &Url, is_over: &AtomicBool) -> anyhow::Result<(u64, u64)> {
    let (mut asked, mut answered) = (0, 0);
    while !is_over.load(Ordering::Relaxed) || asked < 4 {
        let text = format!("honest {asked}");
        let reply = app.ask(url, &Question::new(ECHO, &text)).await?;
        ensure!(reply.is_answer() || reply.is_clean_error(), "{}: {}", reply.status, reply.body);
        asked += 1;
        answered += u64::from(reply.is_answer());
    }
    Ok((asked, answered))
}

#[actix_web::test]
async fn hostile_jobs_burn_nothing_and_the_honest_are_served() -> anyhow::Result<()> {
    let provider = RoleSpec::provider().with(&[("T4T_MAX_CONCURRENT_JOBS", "4")]);
    let mut scene = Scene::start(SceneSpec { provider, ..SceneSpec::new(T4T) }).await?;
    scene.play(async |scene: &mut Scene| Box::pin(besiege(scene)).await).await
}

async fn besiege(scene: &mut Scene) -> anyhow::Result<()> {
    let posts = Form::from_env().runs(POSTS.0, POSTS.1)?;
    allow_dust(&scene.world).await?;
    // The first job of all also stores the model's name in the escrow.
    scene.ask(&Question::new(ECHO, "the first")).await?.answer()?;
    let first = Stranger::new(&scene.world, 3).await?;
    let second = Stranger::new(&scene.world, 4).await?;
    let (provider, victim) = (scene.provider.wallet, scene.gateway.wallet);
    let url = scene.gateway.url().await?;
    let app = scene.world.app.clone();
    let is_over = AtomicBool::new(false);
    let pestering = async {
        let (one, two) = (
            pester(&first, posts / 2, provider, victim),
            pester(&second, posts - posts / 2, provider, victim),
        );
        let posted = Box::pin(futures_util::future::join(one, two)).await;
        is_over.store(true, Ordering::Relaxed);
        posted
    };
    let (told, (one, two)) =
        futures_util::future::join(ask_honestly(&app, &url, &is_over), Box::pin(pestering)).await;
    let (asked, answered) = told?;
    let (one, two) = (one?, two?);
    // Jobs count as open until they are refused, and a provider with many open jobs looks full: not for long.
    ensure!(answered == asked, "{answered} of {asked} honest requests were answered");
    let jobs = unharmed(scene).await?;
    ensure!(jobs.len() as u64 > u64::from(posts) + answered, "{} jobs", jobs.len());
    let hostile_pay = jobs.iter().filter(|job| job.client != victim && !job.paid.is_zero()).count();
    ensure!(hostile_pay == 0, "hostile jobs were paid for");
    ensure!(scene.backend.calls() == answered + 1, "{} backend calls", scene.backend.calls());
    for (stranger, posted) in [(&first, &one), (&second, &two)] {
        take_back(&scene.world, stranger, posted).await?;
    }
    let gas = gas_of_refusals(&scene.world, &jobs).await?;
    let most = gas.iter().copied().max().unwrap_or_default();
    ensure!(most <= GAS_A_REFUSAL, "a refusal took {most} gas");
    let mean = gas.iter().sum::<u64>() / (gas.len() as u64).max(1);
    let found = format!(
        "0 xBZZ slashed, 0 jobs open, {} refusals at {most} gas at most and {mean} on average, {answered} of {asked} honest requests answered",
        gas.len()
    );
    Row::new(8, "hostile posts at two a block, in ten ways", posts.into(), found).report()
}

/// Cancelling and timing out is what burns stake: it is too late for every one of these jobs, then and ever after.
async fn take_back(world: &World, stranger: &Stranger, posted: &[JobId]) -> anyhow::Result<()> {
    world.anvil.advance_time(100_000).await?;
    let escrow = world.market.addresses.escrow();
    for job in posted.iter().take(20) {
        for call in [escrow.cancel_job(*job), escrow.timeout_job(*job)] {
            let taken = world.anvil.rpc().simulate(stranger.address(), &call).await;
            ensure!(taken.is_err(), "job {job} could still be taken back");
        }
    }
    Ok(())
}

/// What each claim of nothing took.
async fn gas_of_refusals(world: &World, jobs: &[JobEntry]) -> anyhow::Result<Vec<u64>> {
    let refused: std::collections::HashSet<JobId> =
        jobs.iter().filter(|job| job.paid.is_zero()).map(|job| job.job).collect();
    let contracts = world.market.addresses;
    let filter = LogFilter { addresses: vec![contracts.escrow], ..LogFilter::default() };
    let logs = world.anvil.rpc().logs(&filter).await?;
    let claims = logs.iter().filter_map(|log| match decode(log, &contracts)? {
        ChainEvent::JobClaimed { job, .. } if refused.contains(&job) => Some(log.tx),
        _ => None,
    });
    let claims: Vec<TxHash> = claims.collect();
    let mut gas = Vec::with_capacity(claims.len());
    for some in claims.chunks(100) {
        let receipts = world.anvil.rpc().receipts(some).await?;
        gas.extend(receipts.into_iter().flatten().map(|receipt| receipt.gas_used));
    }
    Ok(gas)
}
