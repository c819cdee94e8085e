//! Whatever is wrong with a key file: each process that needs it ends with an error that names the file and the next
//! step.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use t4t_crypto::keyfile;
use t4t_testkit::anvil::dev_key;
use t4t_testkit::backend::{Behaviour, ScriptedBackend};
use t4t_testkit::chaos::Row;
use t4t_testkit::processes::{
    Apart, ECHO, Gateway, PATIENCE, Process, Provider, Question, Recipe, RoleSpec, Scene, SceneSpec, World,
    WorldConfig, build_services,
};
use t4t_testkit::secrets::{Secrets, no_secret};

use super::files::{Wrong, secrets};
use super::{ROW, T4T, program};

/// Refusals at a time: a keystore takes a processor and 128 MiB for half a second.
const SIDE_BY_SIDE: usize = 2;

/// How long a process may take to refuse.
const LIMIT: Duration = Duration::from_secs(60);

/// A process that is given a wrong key file.
struct Play {
    program: &'static [&'static str],
    wrong: Wrong,
}

impl fmt::Display for Play {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {:?}", self.program.join(" "), self.wrong)
    }
}

/// Everything that opens the wallet.
const PROGRAMS: [&[&str]; 4] =
    [&["t4t", "gateway"], &["t4t", "provider"], &["t4t", "wallet", "show"], &["t4t-settlement"]];

#[actix_web::test]
async fn a_wrong_wallet_file_is_refused_with_the_next_step() -> anyhow::Result<()> {
    build_services(T4T.as_ref())?;
    let wrong = || Wrong::OF_ANY.into_iter().chain(Wrong::OF_WALLETS);
    let plays: Vec<Play> =
        PROGRAMS.into_iter().flat_map(|program| wrong().map(move |wrong| Play { program, wrong })).collect();
    t4t_testkit::play_all(&plays, SIDE_BY_SIDE, async |play: &Play| refuses_wallet(play).await).await?;
    let tried = format!("{} wrong wallet files × {} programs", wrong().count(), PROGRAMS.len());
    Row::new(
        ROW,
        tried,
        plays.len() as u64,
        "each refused with file and next step, 0 keys or passwords shown",
    )
    .report()
}

async fn refuses_wallet(play: &Play) -> anyhow::Result<String> {
    let home = tempfile::tempdir()?;
    let folder = home.path().join("data");
    std::fs::create_dir(&folder)?;
    let file = folder.join("wallet.key");
    let password = play.wrong.make(&file)?;
    let mut recipe = Recipe::new("refuses", &program(play.program[0]), &play.program[1..]);
    recipe.set("HOME", home.path().display()).set("T4T_DATA_DIR", folder.display());
    for contract in ["REGISTRY_ADDRESS", "ESCROW_ADDRESS", "XBZZ_ADDRESS"] {
        recipe.set(contract, dev_key(9).address());
    }
    recipe.set("GNOSIS_RPC_URL", "http://127.0.0.1:9").set("LOG_LEVEL", "trace");
    if let Some(password) = &password {
        recipe.set("T4T_WALLET_PASSWORD_FILE", password.display());
    }
    let mut process = Process::start(recipe, home.path())?;
    let named =
        if play.wrong == Wrong::NoPasswordFile { password.as_deref().unwrap_or(&file) } else { &file };
    is_refusal(&mut process, named, play.wrong.next_step(), &secrets()).await
}

/// Waits for the end, which must be a refusal; the refusal.
async fn is_refusal(
    process: &mut Process,
    file: &Path,
    next_step: &str,
    secrets: &Secrets,
) -> anyhow::Result<String> {
    let status = process.ends(LIMIT).await?;
    ensure!(status.code() == Some(1), "it ended with {status}\n{}", process.story());
    refuses(&process.whole_log(), file, next_step, secrets)
}

/// Checks the words of a refusal.
fn refuses(said: &str, file: &Path, next_step: &str, secrets: &Secrets) -> anyhow::Result<String> {
    no_secret(&secrets.in_bytes("what it said", said.as_bytes()))?;
    ensure!(said.contains(&file.display().to_string()), "{} is not named: {said}", file.display());
    ensure!(said.contains(next_step), "it does not say {next_step:?}: {said}");
    Ok(format!("says {next_step:?}"))
}

/// A process that opens a wrong sealing key.
#[derive(Clone, Copy, Debug)]
enum Sealer {
    Gateway,
    Provider,
    Dispatcher,
}

#[actix_web::test]
async fn a_wrong_sealing_key_is_refused_with_the_next_step() -> anyhow::Result<()> {
    build_services(T4T.as_ref())?;
    let mut runs = 0;
    for sealer in [Sealer::Gateway, Sealer::Provider, Sealer::Dispatcher] {
        let world = World::start(WorldConfig::new(T4T)).await?;
        let backend = ScriptedBackend::start(Behaviour::Good).await?;
        for wrong in Wrong::OF_ANY {
            let said = refuses_sealing_key(&world, &backend, sealer, wrong).await;
            let said = said.with_context(|| format!("{sealer:?} with {wrong:?}"))?;
            eprintln!("{sealer:?} with {wrong:?}: {said}");
            runs += 1;
        }
    }
    let found = "each refused with file and next step, 0 keys shown";
    Row::new(ROW, "12 wrong sealing keys × gateway, provider, job-dispatcher", runs, found).report()
}

async fn refuses_sealing_key(
    world: &World,
    backend: &ScriptedBackend,
    sealer: Sealer,
    wrong: Wrong,
) -> anyhow::Result<String> {
    let name = format!("{sealer:?}-{wrong:?}").to_lowercase();
    let folder = world.home().join(&name);
    std::fs::create_dir(&folder)?;
    let file = folder.join("pss.key");
    wrong.make(&file)?;
    let spec = RoleSpec { name: &name, ..RoleSpec::provider() };
    let mut process = match sealer {
        Sealer::Gateway => Gateway::start(world, &spec)?.process,
        Sealer::Provider => Provider::start(world, &spec, &backend.url())?.process,
        Sealer::Dispatcher => {
            // It listens before it has all it needs.
            match Apart::gateway(world, &spec).await {
                Ok(mut apart) => apart.processes.remove(2),
                Err(error) => return refuses(&format!("{error:#}"), &file, wrong.next_step(), &secrets()),
            }
        }
    };
    is_refusal(&mut process, &file, wrong.next_step(), &secrets()).await
}

#[actix_web::test]
async fn the_key_of_another_wallet_is_refused_where_one_has_jobs() -> anyhow::Result<()> {
    build_services(T4T.as_ref())?;
    let mut scene = Scene::start(SceneSpec::new(T4T)).await?;
    scene.ask(&Question::new(ECHO, "whose is this?")).await?.answer()?;
    scene.closed().await?;
    let secrets = Secrets::new().key("the other wallet", &dev_key(4).secret_bytes());
    for role in ["gateway", "provider"] {
        let process =
            if role == "gateway" { &mut scene.gateway.process } else { &mut scene.provider.process };
        process.stop(PATIENCE).await?;
        let file = scene.world.home().join(role).join("wallet.key");
        std::fs::remove_file(&file)?;
        keyfile::write_wallet_hex(&file, &dev_key(4))?;
        process.restart(&[])?;
        let status = process.ends(LIMIT).await?;
        ensure!(status.code() == Some(1), "{role} ended with {status}\n{}", process.story());
        refuses(&process.log(), &file, "T4T_DATA_DIR", &secrets).context(role)?;
    }
    let runs = 2 + apart_refuses(&scene.world, &secrets).await?;
    let found = "refused with both wallets, file and next step";
    Row::new(ROW, "another wallet's key beside a database with jobs", runs, found).report()
}

/// Settlement in a process of its own, on the database of the gateway that traded.
async fn apart_refuses(world: &World, secrets: &Secrets) -> anyhow::Result<u64> {
    let folder = world.home().join("apart");
    std::fs::create_dir(&folder)?;
    std::fs::copy(world.home().join("gateway/t4t.db"), folder.join("settlement.db"))?;
    let file = folder.join("wallet.key");
    keyfile::write_wallet_hex(&file, &dev_key(4))?;
    let spec = RoleSpec { name: "apart", wallet: 4, ..RoleSpec::gateway() };
    let Err(error) = Apart::gateway(world, &spec).await else { anyhow::bail!("settlement starts") };
    refuses(&format!("{error:#}"), &file, "T4T_DATA_DIR", secrets)?;
    Ok(1)
}
