//! Blocks that are taken back.

use t4t_chain::contracts::JobStatus;

use crate::world::{CLIENT, World, done, eventually, is_mined, job_of, known, outcome, submit};

#[actix_web::test]
async fn a_post_that_a_reorganisation_took_back_is_sent_again_and_exists_once() {
    for depth in [1, 3] {
        let world = World::with_provider().await;
        let running = world.start(CLIENT).await;
        done(&running.settlement, "post:0", world.job().await).await;
        let posted = done(&running.settlement, "post:1", world.job().await).await;
        world.anvil.mine(depth - 1).await.unwrap();
        world.anvil.reorg(depth).await.unwrap();
        let escrow = world.market.addresses.escrow();
        let gone = escrow.job(world.anvil.rpc(), job_of(&posted)).await.unwrap();
        assert_eq!(gone.status, JobStatus::None);
        eventually("it is on the chain again", || async { world.posted().await == 2 }).await;
        eventually("settlement has seen it", || async {
            is_mined(&known(&running.settlement, "post:1").await)
        })
        .await;
        let again = known(&running.settlement, "post:1").await;
        assert_eq!((again.nonce, again.hash), (posted.nonce, posted.hash), "the same bytes");
        let job = escrow.job(world.anvil.rpc(), job_of(&again)).await.unwrap();
        assert_eq!(job.client, world.wallet(CLIENT));
        running.stop().await;
    }
}

#[actix_web::test]
async fn a_post_behind_one_that_was_taken_back_unseen_does_not_keep_it_from_being_sent_again() {
    let world = World::with_provider().await;
    let running = world.start(CLIENT).await;
    done(&running.settlement, "post:0", world.job().await).await;
    let posted = done(&running.settlement, "post:1", world.job().await).await;
    world.anvil.stop_mining().await.unwrap();
    submit(&running.settlement, "post:2", world.job().await).await.unwrap();
    // Settlement sees the chain again when blocks have passed the second one by already.
    world.proxy.cut(true);
    world.anvil.reorg(1).await.unwrap();
    world.anvil.mine(5).await.unwrap();
    world.proxy.cut(false);
    eventually("both are sent and in blocks", || async {
        world.anvil.mine(1).await.unwrap();
        world.posted().await == 3
    })
    .await;
    let again = outcome(&running.settlement, "post:1").await;
    assert_eq!((again.nonce, again.hash), (posted.nonce, posted.hash), "the same bytes");
    assert!(is_mined(&outcome(&running.settlement, "post:2").await));
    running.stop().await;
}
