//! A start tells what it took up, and a job is found again by each of its ids.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use t4t_testkit::eventually;
use t4t_testkit::processes::{ECHO, PATIENCE, Question, Scene, SceneSpec};

use crate::T4T;

pub(crate) async fn of_a_killed_gateway() -> anyhow::Result<String> {
    let mut scene = Scene::start(SceneSpec::new(T4T)).await?;
    scene
        .play(async |scene: &mut Scene| {
            let said = scene.gateway.process.log();
            ensure!(said.contains("the last run left nothing open"), "{said}");
            scene.backend.set_token_delay(Duration::from_secs(2));
            let url = scene.gateway.url().await?;
            let app = scene.world.app.clone();
            let question = Question::new(ECHO, "one two three").keyed("history");
            let asking = app.ask(&url, &question);
            let killing = async {
                let books = scene.world.ledger();
                let posted = eventually(PATIENCE, "a posted job", async || {
                    books.jobs().await.ok().filter(|jobs| !jobs.is_empty())
                });
                posted.await?;
                scene.gateway.process.restart(&[])
            };
            let (_cut_off, killed) = futures_util::future::join(asking, killing).await;
            killed?;
            let said = scene.gateway.process.says("taken up from the last run", PATIENCE).await?;
            ensure!(said.contains("  1  job waits for its provider"), "{said}");
            scene.backend.set_token_delay(Duration::ZERO);
            scene.ask_until_told(&question, PATIENCE).await?.answer()?;
            scene.closed().await?;
            Box::pin(is_found_by_every_id(scene)).await
        })
        .await
}

async fn is_found_by_every_id(scene: &Scene) -> anyhow::Result<String> {
    let folder = scene.folder("gateway");
    let list = eventually(PATIENCE, "a claimed job in the list", async || {
        let list = jobs(&folder, &["--json", "--state", "claimed"]).ok()?;
        let list: Vec<Value> = serde_json::from_str(&list).ok()?;
        (list.len() == 1).then_some(list)
    })
    .await?;
    ensure!(jobs(&folder, &["--json", "--open"])?.trim() == "[]", "nothing is open any more");
    let job = list.first().context("no job")?;
    let id = |name: &str| job[name].as_str().map(str::to_owned).context("a missing id");
    let request = id("request")?;
    let shown = jobs(&folder, &["show", &request, "--json"])?;
    let detail: Vec<Value> = serde_json::from_str(&shown)?;
    let payment = &detail[0]["transactions"][0];
    ensure!(payment["key"] == format!("post:{request}:1") && payment["state"] == "mined", "{payment}");
    ensure!(payment["block"].is_u64() && payment["fee_wei"].is_string(), "{payment}");
    let cost = &detail[0]["cost"];
    let plur = |name: &str| cost[name].as_str().and_then(|text| text.parse::<u128>().ok());
    let (escrow, paid, back) = (plur("escrow"), plur("paid"), plur("refunded"));
    ensure!(escrow.is_some() && escrow == paid.zip(back).map(|(paid, back)| paid + back), "{cost}");
    ensure!(cost["gas_xdai"].as_str().is_some_and(|gas| gas != "0"), "{cost}");
    let hash = payment["hash"].as_str().context("no hash")?.to_owned();
    let completion = format!("chatcmpl-{}", &request[..32]);
    let ids = [id("job")?, id("routing")?, id("request_hash")?, id("response_hash")?, hash, completion];
    for id in &ids {
        ensure!(jobs(&folder, &["show", id, "--json"])? == shown, "not found by {id}");
    }
    // The same job by the id that both sides know.
    let provider = jobs(&scene.folder("provider"), &["show", &id("routing")?])?;
    ensure!(provider.contains("sold claimed: the claim is in a block"), "{provider}");
    let said = scene.provider.process.whole_log();
    let ours = scene.gateway.process.whole_log();
    for (log, side) in [(&said, "selling"), (&ours, "buying")] {
        let line = format!("routing={}", id("routing")?);
        ensure!(log.lines().filter(|text| text.contains(&line)).count() > 2, "{side} does not name it");
    }
    eprintln!("{}\n{provider}", jobs(&folder, &["show", &request])?);
    Ok("took up, answered, and was found by every id".to_owned())
}

fn jobs(folder: &std::path::Path, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new(T4T);
    command.env_clear().env("HOME", folder).arg("jobs").args(arguments).arg("--data").arg(folder);
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
