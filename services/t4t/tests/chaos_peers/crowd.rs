//! Many hostile posts at once, among honest requests.

use anyhow::ensure;
use t4t_testkit::processes::{App, ECHO, Question, RoleSpec, Scene, SceneSpec};
use t4t_types::{Address, SwarmRef, keccak256};

use url::Url;

use super::stranger::Stranger;
use super::{T4T, unharmed};

/// Posts of each of two strangers; a block has one of each.
const POSTS: u32 = 25;

/// Honest requests meanwhile.
const HONEST: usize = 4;

/// Posts what can't be served, in five ways.
async fn pester(stranger: &Stranger, provider: Address, victim: Address) -> anyhow::Result<()> {
    for number in 0..POSTS {
        let sealed = match number % 5 {
            0 => None,
            1 => Some(keccak256(number.to_be_bytes()).repeat(10)),
            2 => Some(stranger.request_of(provider, victim, ECHO, "yours").await?),
            3 => Some(stranger.request_of(provider, stranger.address(), "gpt-9", "x").await?),
            _ => Some(stranger.request_of(provider, victim, "gpt-9", "x").await?),
        };
        let hash = match sealed {
            Some(sealed) => stranger.upload(sealed).await?,
            None => SwarmRef::new(keccak256(
                [stranger.address().to_string().as_bytes(), &[number as u8]].concat(),
            )),
        };
        stranger.post(&stranger.order(provider, hash).await?).await?;
    }
    Ok(())
}

/// Asks one honest question after the other; how many were answered.
async fn ask_honestly(app: &App, url: &Url) -> anyhow::Result<usize> {
    let mut answered = 0;
    for number in 0..HONEST {
        let text = format!("honest {number}");
        let reply = app.ask(url, &Question::new(ECHO, &text)).await?;
        ensure!(reply.is_answer() || reply.is_clean_error(), "{}: {}", reply.status, reply.body);
        answered += usize::from(reply.is_answer());
    }
    Ok(answered)
}

#[actix_web::test]
async fn fifty_hostile_jobs_burn_nothing_and_the_honest_are_served() -> anyhow::Result<()> {
    let provider = RoleSpec::provider().with(&[("T4T_MAX_CONCURRENT_JOBS", "4")]);
    let mut scene = Scene::start(SceneSpec { provider, ..SceneSpec::new(T4T) }).await?;
    scene.play(async |scene: &mut Scene| Box::pin(besiege(scene)).await).await
}

async fn besiege(scene: &mut Scene) -> anyhow::Result<()> {
    let first = Stranger::new(&scene.world, 3).await?;
    let second = Stranger::new(&scene.world, 4).await?;
    let (provider, victim) = (scene.provider.wallet, scene.gateway.wallet);
    let url = scene.gateway.url().await?;
    let app = scene.world.app.clone();
    let (one, two) = (pester(&first, provider, victim), pester(&second, provider, victim));
    let pestering = Box::pin(futures_util::future::join(one, two));
    let (answered, (one, two)) = futures_util::future::join(ask_honestly(&app, &url), pestering).await;
    one?;
    two?;
    ensure!(answered? == HONEST, "the honest were not all served");
    let jobs = unharmed(scene).await?;
    ensure!(jobs.len() >= 2 * POSTS as usize + HONEST, "{} jobs", jobs.len());
    let hostile_pay = jobs.iter().filter(|job| job.client != victim && !job.paid.is_zero()).count();
    ensure!(hostile_pay == 0, "hostile jobs were paid for");
    ensure!(scene.backend.calls() == HONEST as u64, "{} backend calls", scene.backend.calls());
    Ok(())
}
