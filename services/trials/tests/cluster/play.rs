//! Markets made of the containers as they are written down.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use futures_util::future::try_join_all;
use t4t_crypto::keyfile;
use t4t_swarm::{Bee, BeeConfig, FeedManifest, Patience};
use t4t_testkit::anvil::dev_key;
use t4t_testkit::backend::{Behaviour, ScriptedBackend};
use t4t_testkit::eventually;
use t4t_testkit::processes::{PATIENCE, Process, World, WorldConfig, build_services};
use t4t_types::{Address, Xbzz};

use super::T4T;
use super::app::App;
use super::compose::Compose;
use super::container::is_root;
use super::kubernetes::Cluster;

/// Where runners' files say that Ollama is.
const OLLAMA: &str = "127.0.0.1:11434";

/// Gas for a wallet, in wei.
const GAS_MONEY: u128 = 1_000 * 10u128.pow(18);

/// The addresses that stand for pods and for the machine of the containers: nobody else's in this run.
fn ip(number: u8) -> String {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    format!("127.{}.{}.{number}", 1 + high % 254, low)
}

async fn world() -> anyhow::Result<World> {
    build_services(T4T.as_ref())?;
    World::start(WorldConfig::new(T4T)).await
}

fn stories(processes: &[&Process]) -> String {
    processes.iter().map(|process| process.story()).collect::<Vec<_>>().join("\n")
}

/// What a backend's address replaces in a runner's file.
fn backend_at(backend: &ScriptedBackend) -> Vec<(String, String)> {
    let authority = backend.url().authority().to_owned();
    vec![(OLLAMA.into(), authority)]
}

/// Asks so many things at once; the answers come once all backends have what is asked of them and let it go.
async fn wave(
    app: &App,
    (name, questions): (&str, usize),
    backends: &[&ScriptedBackend],
    busy: &[u64],
    midway: impl AsyncFnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    backends.iter().for_each(|backend| backend.hold());
    let asking: Vec<_> = (0..questions)
        .map(|number| {
            let (app, text) = (app.clone(), format!("{name} {number}"));
            tokio::spawn(async move { app.ask(text).await })
        })
        .collect();
    let open = || backends.iter().map(|backend| backend.open_calls()).collect::<Vec<_>>();
    let what = format!("{name}: the backends to have {busy:?}");
    let spread = eventually(PATIENCE, &what, async || (open() == busy).then_some(()));
    spread.await.with_context(|| format!("they have {:?}", open()))?;
    midway().await?;
    backends.iter().for_each(|backend| backend.release());
    for asked in try_join_all(asking).await? {
        asked.with_context(|| name.to_owned())?;
    }
    Ok(())
}

async fn is_published(world: &World, provider: Address, slots: u32) -> anyhow::Result<()> {
    let (registry, rpc) = (world.market.addresses.registry(), world.anvil.rpc());
    eventually(PATIENCE, &format!("{slots} slots on the chain"), async || {
        (registry.provider(rpc, provider).await.ok()?.max_concurrent_jobs == slots).then_some(())
    })
    .await
}

/// A cluster with the secrets that its notes say to make.
fn cluster(world: &World) -> anyhow::Result<Cluster> {
    let mut cluster = Cluster::read(world.home().join("volumes"));
    let wallet = |number: u32| -> anyhow::Result<String> {
        let file = world.home().join(format!("wallet-{number}"));
        keyfile::write_wallet_hex(&file, &dev_key(number))?;
        Ok(std::fs::read_to_string(file)?)
    };
    cluster.secret("t4t-services", "token", "a token that all services of one operator share");
    cluster.secret("t4t-runners", "token", "another token, which the runners have");
    cluster.secret("t4t-provider", "wallet.key", &wallet(1)?);
    cluster.secret("t4t-gateway", "wallet.key", &wallet(0)?);
    cluster.secret("t4t-gateway", "api-key", "the key that the apps of this cluster send");
    cluster.names = vec![
        ("http://bee-gateway:1633".into(), world.node(0)?.to_string()),
        ("http://bee-provider:1633".into(), world.node(1)?.to_string()),
        ("t4t-dispatcher:7003".into(), format!("{}:7003", ip(1))),
    ];
    for ordinal in 0..8 {
        cluster.names.push((format!("t4t-runner-{ordinal}.t4t-runner:"), format!("{}:", ip(10 + ordinal))));
    }
    Ok(cluster)
}

/// The provider's registration names the feed in which it will say what it can do, and the feed's manifest is there.
async fn announces_a_feed(world: &World, provider: Address) -> anyhow::Result<()> {
    let record = world.market.addresses.registry().provider(world.anvil.rpc(), provider).await?;
    let manifest = FeedManifest::new(provider, t4t_protocol::provider_feed());
    ensure!(record.metadata_uri == manifest.uri(), "{:?}", record.metadata_uri);
    let bee = Bee::new(BeeConfig::new(world.node(0)?), t4t_clock::SystemClock::shared())?;
    let stored = bee.download(&manifest.reference(), 4096, Patience::up_to(PATIENCE)).await?;
    ensure!(stored == manifest.nodes()[1], "something else lies at the manifest's reference");
    Ok(())
}

#[actix_web::test]
async fn a_cluster_answers_all_while_a_runner_dies_and_another_comes() -> anyhow::Result<()> {
    let world = world().await?;
    let cluster = cluster(&world)?;
    let chain = vec![(
        "https://rpc.gnosischain.com,https://gnosis-rpc.publicnode.com".to_owned(),
        world.anvil.rpc_url().to_string(),
    )];
    let provider = dev_key(1).address();
    let pod = cluster.pod("t4t-provider", 0, &chain);
    let start = |container: &super::container::Container, number| container.start(&world, &ip(number));
    let mut services: BTreeMap<&str, Process> = BTreeMap::new();
    for name in ["registry-watcher", "settlement", "job-dispatcher"] {
        services.insert(name, start(pod.container(name), 1)?);
    }
    let mut backends = Vec::new();
    for _ in 0..4 {
        backends.push(ScriptedBackend::start(Behaviour::Good).await?);
    }
    let runner = |ordinal: u8| {
        let pod = cluster.pod("t4t-runner", ordinal.into(), &backend_at(&backends[usize::from(ordinal)]));
        start(pod.container("runner"), 10 + ordinal)
    };
    let mut runners = vec![runner(0)?, runner(1)?, runner(2)?];
    let gateway = cluster.pod("t4t-gateway", 0, &chain);
    let mut gateway = start(gateway.container("gateway"), 2)?;
    let all = |services: &BTreeMap<&str, Process>, runners: &[Process], gateway: &Process| {
        let processes: Vec<&Process> = services.values().chain(runners).chain([gateway]).collect();
        stories(&processes)
    };

    let played = async {
        world.on_offer(&[provider]).await?;
        announces_a_feed(&world, provider).await?;
        world.anvil.set_block_time(Some(1)).await?;
        let key = "the key that the apps of this cluster send".to_owned();
        let app = App { base: format!("http://{}:8080", ip(2)), key, http: reqwest::Client::new() };
        app.is_offered().await?;
        // Four slots a runner, as the manifest has it.
        is_published(&world, provider, 12).await?;
        let [first, second, third, fourth] = &backends[..] else { anyhow::bail!("four were started") };
        wave(&app, ("three runners", 12), &[first, second, third], &[4, 4, 4], async || Ok(())).await?;
        wave(&app, ("one dies", 12), &[first, second, third], &[4, 4, 4], async || {
            runners[1].kill9()?;
            runners.push(runner(3)?);
            Ok(())
        })
        .await?;
        wave(&app, ("another came", 12), &[first, third, fourth], &[4, 4, 4], async || Ok(())).await?;
        // The pod is scheduled anew: its volume is handed to its group, and everything starts again.
        for service in services.values_mut() {
            service.kill9()?;
        }
        pod.hand_volumes_to_their_group();
        for service in services.values_mut() {
            service.restart(&[])?;
        }
        world.settled(PATIENCE).await?;
        app.ask("after all started again".into()).await
    };
    let played = played.await;
    played.with_context(|| all(&services, &runners, &gateway))?;
    ensure!(gateway.is_alive(), "{}", gateway.story());
    let found = "36 of 36 answered, 4, 4 and 4 a wave";
    t4t_testkit::chaos::Row::new(17, "three runners as in pods, one killed, one added", 1, found).report()
}

#[actix_web::test]
async fn the_development_containers_trade_as_their_notes_say() -> anyhow::Result<()> {
    let world = world().await?;
    let backend = ScriptedBackend::start(Behaviour::Good).await?;
    let mut compose = Compose::read("compose.dev.yml", world.home().join("volumes"));
    let machine = ip(3);
    compose.changes_in_folders = backend_at(&backend);
    compose.changes.push(("127.0.0.1".into(), machine.clone()));
    for (name, value) in [
        ("T4T_SERVICE_TOKEN", "a token that the services share".to_owned()),
        ("T4T_RUNNER_TOKEN", "another token, for the runners".to_owned()),
        ("GNOSIS_RPC_URL", world.anvil.rpc_url().to_string()),
        ("BEE_GATEWAY_URL", world.node(0)?.to_string()),
        ("BEE_PROVIDER_URL", world.node(1)?.to_string()),
    ] {
        compose.variables.insert(name.into(), value);
    }
    let mut wallets = Vec::new();
    for role in ["gateway", "provider"] {
        let mut made = compose.container(&format!("{role}-wallet")).start(&world, &machine)?;
        ensure!(made.ends(PATIENCE).await?.success(), "{}", made.story());
        let volume = world.home().join("volumes").join(format!("{role}-settlement"));
        let wallet = keyfile::read_wallet(&volume.join("wallet.key"), None)?.address();
        // What `t4t dev --fund` does.
        world.anvil.set_balance(wallet, GAS_MONEY).await?;
        world.market.fund(wallet, Xbzz::from_whole(1_000)).await?;
        wallets.push(wallet);
    }
    let services = compose.file["services"].as_mapping().context("it has services")?;
    let mut processes = Vec::new();
    for (service, spec) in services {
        // All that `up` starts, at once and in whatever order.
        if spec.get("profiles").is_none() {
            let service = service.as_str().context("a service has a name")?;
            processes.push(compose.container(service).start(&world, &machine)?);
        }
    }
    let played = async {
        world.on_offer(&[wallets[1]]).await?;
        world.anvil.set_block_time(Some(1)).await?;
        let app =
            App { base: format!("http://{machine}:7010"), key: "none".into(), http: reqwest::Client::new() };
        app.is_offered().await?;
        // Two runners with two slots each.
        is_published(&world, wallets[1], 4).await?;
        wave(&app, ("two runners", 4), &[&backend], &[4], async || Ok(())).await?;
        world.settled(PATIENCE).await
    };
    let played = played.await;
    let alive = processes.iter_mut().filter_map(|process| process.is_alive().then_some(())).count();
    played.with_context(|| stories(&processes.iter().collect::<Vec<_>>()))?;
    ensure!(alive == processes.len(), "{}", stories(&processes.iter().collect::<Vec<_>>()));
    if !is_root() {
        tracing::info!("the users of the containers were this test's own");
    }
    Ok(())
}
