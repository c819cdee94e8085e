//! Crashes between storing, sending and the receipt.

use std::collections::BTreeSet;

use t4t_settlement::Recovered;

use crate::world::{CLIENT, Sends, World, done, is_mined, outcome, submit};

#[actix_web::test]
async fn a_crash_after_storing_and_before_sending_sends_the_same_bytes_and_posts_once() {
    let world = World::with_provider().await;
    let running = world.start(CLIENT).await;
    done(&running.settlement, "post:0", world.job().await).await;
    world.proxy.set(Sends::Block);
    let stored = submit(&running.settlement, "post:1", world.job().await).await.unwrap();
    running.stop().await;
    assert_eq!(world.posted().await, 1);

    world.proxy.set(Sends::Pass);
    let tried = world.proxy.sent().split_off(2);
    let running = world.start(CLIENT).await;
    assert_eq!(running.recovered().sent_again, 1);
    let posted = outcome(&running.settlement, "post:1").await;
    assert!(is_mined(&posted));
    assert_eq!((posted.nonce, posted.hash), (stored.nonce, stored.hash));
    let sent: BTreeSet<String> = world.proxy.sent().split_off(2).into_iter().chain(tried).collect();
    assert_eq!(sent.len(), 1, "the same bytes");
    assert_eq!(world.posted().await, 2);
    running.stop().await;
}

#[actix_web::test]
async fn a_crash_after_sending_and_before_the_receipt_posts_once() {
    let world = World::with_provider().await;
    let running = world.start(CLIENT).await;
    done(&running.settlement, "post:0", world.job().await).await;
    world.proxy.set(Sends::LoseAnswer);
    world.anvil.stop_mining().await.unwrap();
    submit(&running.settlement, "post:1", world.job().await).await.unwrap();
    running.stop().await;
    world.anvil.set_block_time(None).await.unwrap();
    world.anvil.mine(1).await.unwrap();

    world.proxy.set(Sends::Pass);
    let running = world.start(CLIENT).await;
    let found =
        Recovered { mined: 1, reverted: 0, sent_again: 0, unfinal: running.recovered().unfinal, refunds: 0 };
    assert_eq!(running.recovered(), found);
    assert!(is_mined(&outcome(&running.settlement, "post:1").await));
    assert_eq!(submit(&running.settlement, "post:1", world.job().await).await.unwrap().nonce, 2);
    assert_eq!(world.posted().await, 2);
    running.stop().await;
}

#[actix_web::test]
async fn a_lost_answer_does_not_post_twice() {
    let world = World::with_provider().await;
    let running = world.start(CLIENT).await;
    done(&running.settlement, "post:0", world.job().await).await;
    world.proxy.set(Sends::LoseAnswer);
    for n in 1..=5 {
        done(&running.settlement, &format!("post:{n}"), world.job().await).await;
    }
    assert_eq!(world.posted().await, 6);
    running.stop().await;
}
