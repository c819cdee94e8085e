//! Answers are handed on as they come, and a runner that fails is left while that is still possible.

use async_trait::async_trait;
use t4t_api::inference_runner::{RunnerModel, RunnerStatus};
use t4t_api::job_dispatcher::RegisterRunner;
use t4t_clock::SystemClock;
use t4t_types::RequestId;

use super::super::sink::Whole;
use super::*;
use crate::selling::runner_for_tests::{Course, ScriptedRunner, USAGE, asked, model};

fn task() -> Task {
    let (job, limit) = ("test:1".parse().unwrap(), Duration::from_secs(60));
    Task { job, model: model(), asked: asked(), max_completion_tokens: None, limit }
}

/// Passes pieces on, as to somebody who pays as they come.
#[derive(Default)]
struct Streamed {
    counted: Vec<u64>,
}

#[async_trait]
impl PieceSink for Streamed {
    async fn take(&mut self, piece: Piece) -> Result<(), RunnerError> {
        if let Piece::Chunk(chunk) = piece {
            self.counted.push(chunk.counted);
        }
        Ok(())
    }

    fn may_start_over(&self) -> bool {
        self.counted.is_empty()
    }
}

/// Adds a runner that nobody answers for.
fn add_dead_runner(runners: &Runners) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let offered = RunnerModel { model: model(), prices: None, max_context_tokens: None, away: false };
    let status = RunnerStatus { slots: 8, busy: 0, models: vec![offered] };
    runners.register(RegisterRunner { runner: "dead".into(), url, status }).unwrap();
}

async fn rig(course: Course) -> (Arc<ScriptedRunner>, Arc<Runners>, Serving) {
    let runner = ScriptedRunner::new(move |_| course);
    runner.ends.add_permits(1);
    let runners = runner.pool().await;
    add_dead_runner(&runners);
    let serving = Serving::new(Arc::clone(&runners), SystemClock::shared());
    (runner, runners, serving)
}

fn slot_not_at(runners: &Arc<Runners>, name: &str) -> Slot {
    runners.take(&model(), RequestId::ZERO, &[name.to_owned()]).unwrap()
}

#[tokio::test]
async fn a_runner_that_dies_is_left_for_the_next_and_the_whole_answer_is_collected() {
    let (runner, runners, serving) = rig(Course::Answers).await;
    let mut whole = Whole::default();
    serving.run(&task(), slot_not_at(&runners, "local"), &mut whole).await.unwrap();
    let (response, usage) = whole.take_answer().unwrap();
    assert_eq!((response.as_str(), usage), ("\"whole\"", USAGE));
    assert_eq!(runner.asked.lock().len(), 1);
}

#[tokio::test]
async fn whoever_streams_has_each_piece_and_no_other_runner_begins_anew_once_one_has_left() {
    let (_runner, runners, serving) = rig(Course::Answers).await;
    let mut streamed = Streamed::default();
    serving.run(&task(), slot_not_at(&runners, "dead"), &mut streamed).await.unwrap();
    assert_eq!(streamed.counted, [1, 2]);

    let (runner, runners, serving) = rig(Course::Breaks).await;
    let mut streamed = Streamed::default();
    let broken = serving.run(&task(), slot_not_at(&runners, "dead"), &mut streamed).await;
    assert!(broken.unwrap_err().message.contains("it broke"), "not what the dead runner says");
    assert_eq!((streamed.counted.len(), runner.asked.lock().len()), (2, 1));
}

#[tokio::test]
async fn an_answer_that_nobody_gives_is_a_refusal_that_says_why() {
    let (runner, runners, serving) = rig(Course::Breaks).await;
    let failed = serving.run(&task(), slot_not_at(&runners, "dead"), &mut Whole::default()).await;
    assert!(!failed.unwrap_err().message.contains("it broke"), "the last one's word");
    assert_eq!(runner.asked.lock().len(), 1, "each runner once");
    assert_eq!((away().status, away().retry_after), (Some(503), Some(RETRY_AFTER)));
}
