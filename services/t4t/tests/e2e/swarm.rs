//! Messages are hints: without a single one of them the chain alone brings a job to its end.

use anyhow::ensure;
use t4t_bee_dev::Faults;
use t4t_testkit::processes::{ECHO, Question, Scene};

use super::scene;

#[actix_web::test]
async fn without_any_message_the_app_is_answered_from_the_chain() -> anyhow::Result<()> {
    let mut scene = scene().await?;
    scene.world.bee.faults().set(Faults { drop_messages: 1.0, ..Faults::realistic() });
    scene
        .play(async |scene: &mut Scene| {
            for text in ["no notice", "no acknowledgement", "no delivery"] {
                let reply = scene.ask(&Question::new(ECHO, text)).await?;
                ensure!(reply.answer()?.trim() == text, "{}", reply.body);
            }
            let jobs = scene.closed().await?;
            ensure!(jobs.len() == 3 && jobs.iter().all(|job| !job.paid.is_zero()), "{jobs:?}");
            Ok(())
        })
        .await
}
