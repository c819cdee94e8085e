//! A chain that is away at the start is waited for; a wrong one is not.

use std::time::Duration;

use anyhow::ensure;
use t4t_testkit::backend::{Behaviour, ScriptedBackend};
use t4t_testkit::processes::{ECHO, Gateway, PATIENCE, Provider, Question, RoleSpec, World, WorldConfig};
use t4t_testkit::rpc_proxy::{RpcFault, RpcProxy};

use crate::{T4T, board};

pub(crate) async fn without_chain() -> anyhow::Result<String> {
    let world = World::start(WorldConfig::new(T4T)).await?;
    world.anvil.set_block_time(Some(1)).await?;
    let backend = ScriptedBackend::start(Behaviour::Good).await?;
    let proxy = RpcProxy::start(world.anvil.rpc_url(), 1).await?;
    proxy.set(RpcFault::ServerError, 1.0);
    let url = proxy.url().to_string();
    let variables = [("GNOSIS_RPC_URL", url.as_str())];
    let mut gateway = Gateway::start(&world, &RoleSpec::gateway().with(&variables))?;
    let mut provider = Provider::start(&world, &RoleSpec::provider().with(&variables), &backend.url())?;
    let boards =
        [board::of_gateway(&mut gateway.process).await?, board::of_provider(&mut provider.process).await?];
    for board in &boards {
        board::shows(board, Some("GNOSIS_RPC_URL")).await?;
    }
    for process in [&mut gateway.process, &mut provider.process] {
        let said = process.says("the chain can't be used now", PATIENCE).await?;
        ensure!(said.contains("ERROR"), "{said}");
    }
    let reply = world.app.ask(&boards[0], &Question::new(ECHO, "are you there?")).await?;
    ensure!(reply.status == 503 && reply.is_clean_error(), "status {}: {}", reply.status, reply.body);
    proxy.heal();
    provider.started().await?;
    gateway.offers(&world, ECHO).await?;
    for board in &boards {
        board::shows(board, None).await?;
    }
    world.app.ask(&boards[0], &Question::new(ECHO, "and now?")).await?.answer()?;
    world.keeps_its_keys()?;
    Ok("waited, said so, came up".to_owned())
}

pub(crate) async fn on_the_wrong_chain() -> anyhow::Result<String> {
    let world = World::start(WorldConfig::new(T4T)).await?;
    let backend = ScriptedBackend::start(Behaviour::Good).await?;
    let variables = [("T4T_CHAIN_ID", "5")];
    let mut gateway = Gateway::start(&world, &RoleSpec::gateway().with(&variables))?;
    let mut provider = Provider::start(&world, &RoleSpec::provider().with(&variables), &backend.url())?;
    for process in [&mut gateway.process, &mut provider.process] {
        let status = process.ends(Duration::from_secs(60)).await?;
        let said = process.whole_log();
        ensure!(!status.success() && said.contains("T4T_CHAIN_ID"), "{status}: {said}");
    }
    Ok("ended, said what to correct".to_owned())
}
