//! Runners that make themselves known to a dispatcher, many at once, and go away at will.

#![expect(clippy::unwrap_used, reason = "tests")]

mod rig;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rig::{Rig, TOKEN, Way, client, config, endpoints, eventually, say};
use t4t_api::Serve;
use t4t_api::inference_runner::GetRunnerStatus;
use t4t_api::job_dispatcher::{GetSellingStatus, RegisterRunner, RunnerLease, SellingError, SellingStatus};
use t4t_inference_runner::StartError;
use t4t_testkit::backend::{Behaviour, ScriptedBackend};

const LIMIT: Duration = Duration::from_secs(5);

/// A dispatcher that writes down who registers.
#[derive(Default)]
struct Book {
    entries: Mutex<Vec<RegisterRunner>>,
    refusals_left: Mutex<u32>,
    lease_ms: u64,
}

impl Book {
    fn with_lease(lease_ms: u64) -> Arc<Self> {
        Arc::new(Self { lease_ms, ..Self::default() })
    }

    fn of(&self, runner: &str) -> Vec<RegisterRunner> {
        let entries = self.entries.lock().unwrap();
        entries.iter().filter(|entry| entry.runner == runner).cloned().collect()
    }
}

#[async_trait]
impl Serve<RegisterRunner> for Book {
    async fn ask(&self, entry: RegisterRunner) -> Result<RunnerLease, SellingError> {
        let mut refusals_left = self.refusals_left.lock().unwrap();
        if *refusals_left > 0 {
            *refusals_left -= 1;
            return Err(SellingError::Unavailable { reason: "starting".into() });
        }
        self.entries.lock().unwrap().push(entry);
        Ok(RunnerLease { for_ms: self.lease_ms })
    }
}

#[async_trait]
impl Serve<GetSellingStatus> for Book {
    async fn ask(&self, _: GetSellingStatus) -> Result<SellingStatus, SellingError> {
        Err(SellingError::Unavailable { reason: "it only keeps a book".into() })
    }
}

async fn registered(name: &str, book: &Arc<Book>, backend: &ScriptedBackend) -> Rig {
    let mut rig = Rig::start_with(Way::Http, config(&endpoints(&[backend.url()])), Some(book.clone())).await;
    rig.running.register(name.into(), rig.address.clone().unwrap()).unwrap();
    rig
}

#[actix_web::test]
async fn a_runner_renews_well_before_its_lease_ends() {
    let backend = ScriptedBackend::start(Behaviour::Good).await.unwrap();
    let book = Book::with_lease(600);
    let rig = registered("gpu", &book, &backend).await;
    eventually("renewal", LIMIT, async || book.of("gpu").len() >= 3).await;
    let entry = book.of("gpu").remove(0);
    assert_eq!((entry.status.slots, entry.status.models.len()), (2, 1));
    let runner = client(&entry.url, TOKEN);
    assert_eq!(runner.ask(GetRunnerStatus {}).await.unwrap(), entry.status);
    rig.running.stop().await;
    let last = book.of("gpu").pop().unwrap();
    assert_eq!((last.status.slots, last.status.models.len()), (0, 0));
}

#[actix_web::test]
async fn a_dispatcher_that_is_not_ready_yet_is_asked_again() {
    let backend = ScriptedBackend::start(Behaviour::Good).await.unwrap();
    let book = Book::with_lease(60_000);
    *book.refusals_left.lock().unwrap() = 1;
    let _rig = registered("gpu", &book, &backend).await;
    eventually("registration", LIMIT, async || !book.of("gpu").is_empty()).await;
}

#[actix_web::test]
async fn a_change_of_models_is_told_at_once() {
    let backend = ScriptedBackend::start(Behaviour::Good).await.unwrap();
    let book = Book::with_lease(600_000);
    let rig = registered("gpu", &book, &backend).await;
    eventually("registration", LIMIT, async || !book.of("gpu").is_empty()).await;
    backend.set_models(&["echo", "new"]);
    rig.running.discover().await;
    let models = async || book.of("gpu").last().map(|entry| entry.status.models.len());
    eventually("second registration", LIMIT, async || models().await == Some(2)).await;
}

#[actix_web::test]
async fn many_runners_come_and_go_without_disturbing_each_other() {
    let backend = ScriptedBackend::start(Behaviour::Good).await.unwrap();
    let book = Book::with_lease(900);
    let mut rigs = Vec::new();
    for name in ["gpu-1", "gpu-2", "gpu-3", "gpu-4"] {
        rigs.push(registered(name, &book, &backend).await);
    }
    for name in ["gpu-1", "gpu-2", "gpu-3", "gpu-4"] {
        eventually("registration", LIMIT, async || !book.of(name).is_empty()).await;
    }
    rigs.remove(1).running.stop().await;
    let before = book.of("gpu-1").len();
    let added = registered("gpu-5", &book, &backend).await;
    rigs.push(added);
    for rig in &rigs {
        assert!(rig.run(say("hello")).await.end.is_ok());
    }
    eventually("renewal", LIMIT, async || book.of("gpu-1").len() > before + 1).await;
    let gone = client(&book.of("gpu-2").remove(0).url, TOKEN);
    assert!(gone.ask(GetRunnerStatus {}).await.is_err());
}

#[actix_web::test]
async fn a_runner_without_dispatcher_can_not_register() {
    let backend = ScriptedBackend::start(Behaviour::Good).await.unwrap();
    let mut rig = Rig::start(Way::Http, config(&endpoints(&[backend.url()]))).await;
    let refused = rig.running.register("gpu".into(), backend.url());
    assert!(matches!(refused, Err(StartError::NoDispatcher)));
}
