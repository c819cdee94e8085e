//! Backends that hang, fail or lie: the app gets a clean word, and nobody pays for what was not there.

use std::time::Duration;

use anyhow::{Context, ensure};
use t4t_testkit::backend::Behaviour;
use t4t_testkit::processes::{ECHO, PATIENCE, Question, RoleSpec, Scene, SceneSpec};
use t4t_types::Xbzz;

use super::{T4T, scene};

/// Longer than the shortest deadline that a gateway may set.
const PAST_THE_DEADLINE: Duration = Duration::from_secs(150);

#[actix_web::test]
async fn a_failing_backend_is_refused_with_a_reason_and_a_refund() -> anyhow::Result<()> {
    let mut scene = scene().await?;
    scene
        .play(async |scene: &mut Scene| {
            scene.backend.set(Behaviour::Refuse(500, "out of memory".into()));
            let reply = scene.ask(&Question::new(ECHO, "hello")).await?;
            ensure!(reply.status == 502, "status {}: {}", reply.status, reply.body);
            let error = reply.error.context("no error")?;
            ensure!(!error.is_empty(), "an empty reason");
            let jobs = scene.closed().await?;
            ensure!(jobs.iter().all(|job| job.paid.is_zero() && job.slashed.is_zero()), "{jobs:?}");
            scene.backend.set(Behaviour::Good);
            scene.ask(&Question::new(ECHO, "hello again")).await?.answer()?;
            Ok(())
        })
        .await
}

#[actix_web::test]
async fn a_request_that_the_backend_finds_wrong_is_told_to_the_app() -> anyhow::Result<()> {
    let mut scene = scene().await?;
    scene
        .play(async |scene: &mut Scene| {
            let said = r#"{"error":{"message":"the context is too long","type":"invalid_request_error"}}"#;
            scene.backend.set(Behaviour::Refuse(400, said.into()));
            let reply = scene.ask(&Question::new(ECHO, "hello")).await?;
            ensure!(reply.status == 400, "status {}: {}", reply.status, reply.body);
            ensure!(reply.body.contains("the context is too long"), "{}", reply.body);
            let jobs = scene.closed().await?;
            ensure!(jobs.iter().all(|job| job.paid.is_zero() && job.slashed.is_zero()), "{jobs:?}");
            Ok(())
        })
        .await
}

#[actix_web::test]
async fn a_backend_that_lies_about_usage_is_never_paid_above_the_escrow() -> anyhow::Result<()> {
    let mut scene = scene().await?;
    scene
        .play(async |scene: &mut Scene| {
            for lie in [
                Behaviour::UsageTimes(1_000_000),
                Behaviour::Usage(Some(
                    r#"{"prompt_tokens":18446744073709551615,"completion_tokens":1}"#.into(),
                )),
                Behaviour::Usage(Some(r#"{"prompt_tokens":-5,"completion_tokens":-1}"#.into())),
                Behaviour::Usage(None),
            ] {
                scene.backend.set(lie.clone());
                let reply = scene.ask(&Question::new(ECHO, "one two three")).await?;
                ensure!(reply.answer()? == "one two three ", "{lie:?}: {}", reply.body);
            }
            let jobs = scene.closed().await?;
            ensure!(jobs.len() == 4, "{jobs:?}");
            ensure!(jobs.iter().all(|job| job.paid > Xbzz::ZERO && job.paid <= job.max_payment), "{jobs:?}");
            // Three words in and three out: a lie may not multiply that.
            let honest = jobs[3].paid;
            ensure!(jobs.iter().all(|job| job.paid.plur() <= 10 * honest.plur()), "{jobs:?}");
            Ok(())
        })
        .await
}

#[actix_web::test]
async fn a_hanging_backend_ends_with_a_refund_and_a_clean_error() -> anyhow::Result<()> {
    let gateway = RoleSpec::gateway().with(&[("T4T_DEFAULT_DEADLINE_SECONDS", "60")]);
    let mut scene = Scene::start(SceneSpec { gateway, ..SceneSpec::new(T4T) }).await?;
    scene
        .play(async |scene: &mut Scene| {
            scene.backend.set(Behaviour::HangBeforeHeaders);
            let question = Question::new(ECHO, "is anybody there?");
            let asking = scene.ask(&question);
            let reply =
                tokio::time::timeout(PAST_THE_DEADLINE, asking).await.context("no answer at all")??;
            ensure!(reply.is_clean_error(), "status {}: {}", reply.status, reply.body);
            let jobs = scene.ledger().closed(PATIENCE).await?;
            ensure!(jobs.iter().all(|job| job.paid.is_zero() && job.slashed.is_zero()), "{jobs:?}");
            Ok(())
        })
        .await
}
