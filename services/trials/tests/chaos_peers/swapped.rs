//! Two requests of one client that change ids in a reorganisation, after one of them was claimed.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use t4t_chain::contracts::{JobOrder, JobStatus};
use t4t_store::Store;
use t4t_store::selling::SellingJob;
use t4t_testkit::eventually;
use t4t_testkit::processes::{PATIENCE, Scene};
use t4t_types::{Address, JobId};

use super::stranger::Stranger;
use super::{scene, unharmed};

/// The contract binds a claim to an id, and an id is a count: posted in the other order, the second request has the
/// first one's id, and the provider's claim with the first one's answer settles it. The provider's books must have it as
/// the chain does, and the first request is still to be answered, without another inference.
#[ignore = "beside other plays it saw a third backend call: a row put aside while its answer is being stored; to be mended"]
#[actix_web::test]
async fn a_claim_that_came_back_as_another_requests_is_in_the_books() -> anyhow::Result<()> {
    let mut scene = scene().await?;
    scene
        .play(async |scene: &mut Scene| {
            let stranger = Stranger::new(&scene.world, 3).await?;
            let first = request(&stranger, scene, "the first", 300).await?;
            let second = request(&stranger, scene, "the second", 400).await?;
            let nonce = stranger.next_nonce().await?;

            let one = stranger.post(&first).await?;
            stranger.over(&scene.world, one).await?;
            // The second one is being worked on when the chain goes back.
            scene.backend.hold();
            let two = stranger.post(&second).await?;
            eventually(PATIENCE, "a second call of the backend", async || {
                (scene.backend.calls() == 2).then_some(())
            })
            .await?;
            scene.world.anvil.stop_mining().await?;
            let posts =
                [stranger.signed_post(&second, nonce).await?, stranger.signed_post(&first, nonce + 1).await?];
            let mut blocks: Vec<(String, u64)> = posts.into_iter().map(|bytes| (bytes, 0)).collect();
            let (depth, by_provider) = since(scene, stranger.address(), nonce).await?;
            blocks.extend(by_provider.into_iter().map(|bytes| (bytes, 1)));
            scene.world.anvil.rpc().call::<Value>("anvil_reorg", json!([depth, blocks])).await?;
            scene.world.anvil.set_block_time(Some(1)).await?;
            let row = eventually(PATIENCE, "the claim in the provider's books", async || {
                let row = row_of(scene, one).await.ok()??;
                (row.request_hash == second.request_hash && row.paid.is_some()).then_some(row)
            })
            .await?;
            scene.backend.release();

            let jobs = unharmed(scene).await?;
            let of = |order: &JobOrder| {
                let found = jobs.iter().find(|job| job.request_hash == Some(order.request_hash));
                found.context("a request without a job")
            };
            ensure!((of(&first)?.job, of(&second)?.job) == (two, one), "the ids did not change: {jobs:?}");
            for order in [&first, &second] {
                let job = of(order)?;
                ensure!(job.status == JobStatus::Claimed && !job.paid.is_zero(), "{job:?}");
                let answer = stranger.read(&stranger.answer_of(job.job).await?)?;
                ensure!(answer == "the first", "{answer}");
            }
            ensure!(scene.backend.calls() == 2, "{} backend calls", scene.backend.calls());
            ensure!(row.paid == Some(of(&second)?.paid), "{row:?}");
            Ok(())
        })
        .await
}

async fn request(stranger: &Stranger, scene: &Scene, text: &str, seconds: u64) -> anyhow::Result<JobOrder> {
    let provider = scene.provider.wallet;
    let hash = stranger.upload(stranger.request(provider, text).await?).await?;
    let delivery_deadline = stranger.chain_now().await?.plus(seconds);
    Ok(JobOrder { delivery_deadline, ..stranger.order(provider, hash).await? })
}

/// How many blocks ago a wallet's transaction was, and the bytes of what the provider did from then on.
async fn since(scene: &Scene, wallet: Address, nonce: u64) -> anyhow::Result<(u64, Vec<String>)> {
    let rpc = scene.world.anvil.rpc();
    let head = rpc.latest_block().await?.number;
    let mut by_provider = Vec::new();
    for number in (0..=head).rev() {
        let block: Value = rpc.call("eth_getBlockByNumber", json!([format!("{number:#x}"), true])).await?;
        let transactions = block["transactions"].as_array().context("a block without a list")?;
        for transaction in transactions.iter().rev() {
            let from: Address = serde_json::from_value(transaction["from"].clone())?;
            if from == scene.provider.wallet {
                by_provider
                    .push(rpc.call("eth_getRawTransactionByHash", json!([transaction["hash"]])).await?);
            }
            if from == wallet && transaction["nonce"] == format!("{nonce:#x}") {
                by_provider.reverse();
                return Ok((head + 1 - number, by_provider));
            }
        }
    }
    anyhow::bail!("no block has the transaction")
}

async fn row_of(scene: &Scene, job: JobId) -> anyhow::Result<Option<SellingJob>> {
    let store = Store::open_existing(&scene.provider.database).await?;
    let row = store.selling_by_job(job).await;
    store.close().await;
    Ok(row?)
}
