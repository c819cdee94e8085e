//! Runners come, go and come again; slots are counted rightly through all of it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use t4t_api::inference_runner::{RunnerModel, RunnerStatus};
use t4t_api::job_dispatcher::RegisterRunner;
use t4t_clock::{ManualClock, SharedClock};
use t4t_types::{ModelId, RequestId, TokenPrices, UnixSeconds, Xbzz};

use super::{Runners, RunnersConfig, Slot};

const LEASE: Duration = Duration::from_secs(15);

fn model(name: &str) -> ModelId {
    name.parse().unwrap()
}

fn runners(cap: Option<u32>) -> (Arc<Runners>, Arc<ManualClock>) {
    let clock = ManualClock::new(UnixSeconds::new(1_000_000));
    let shared: SharedClock = clock.clone();
    let config = RunnersConfig { lease: LEASE, token: Some("a token of tests".into()), cap };
    (Arc::new(Runners::new(None, shared, config)), clock)
}

fn comes(runners: &Runners, name: &str, slots: u32, models: &[&str]) {
    let offered =
        |name: &&str| RunnerModel { model: model(name), prices: None, max_context_tokens: None, away: false };
    comes_with(runners, name, slots, models.iter().map(offered).collect());
}

fn comes_with(runners: &Runners, name: &str, slots: u32, models: Vec<RunnerModel>) {
    let status = RunnerStatus { slots, busy: 0, models };
    let url = format!("http://{name}:7004").parse().unwrap();
    runners.register(RegisterRunner { runner: name.into(), url, status }).unwrap();
}

/// Takes a slot for a request whose beginning is its own.
fn take(runners: &Arc<Runners>, wanted: &str, number: u8) -> Option<Slot> {
    runners.take(&model(wanted), RequestId::new([number; 32]), &[])
}

fn names(slots: &[Slot]) -> Vec<&str> {
    let mut names: Vec<&str> = slots.iter().map(|slot| slot.runner.name.as_str()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn each_runner_adds_its_slots_and_takes_them_away() {
    let (runners, clock) = runners(None);
    assert_eq!(runners.limit(), 0);
    for (name, slots, sum) in [("a", 4, 4), ("b", 2, 6), ("c", 4, 10)] {
        comes(&runners, name, slots, &["m"]);
        assert_eq!(runners.limit(), sum);
    }
    let shown: Vec<(String, u32, u32)> =
        runners.shown().into_iter().map(|one| (one.runner, one.slots, one.busy)).collect();
    assert_eq!(shown, [("a".into(), 4, 0), ("b".into(), 2, 0), ("c".into(), 4, 0)]);
    clock.advance(LEASE / 2);
    comes(&runners, "a", 4, &["m"]);
    clock.advance(LEASE / 2);
    assert_eq!(runners.limit(), 4, "the leases of the others ended");
}

#[tokio::test]
async fn all_slots_of_all_runners_are_used_and_evenly() {
    let (runners, _clock) = runners(None);
    for name in ["a", "b", "c"] {
        comes(&runners, name, 4, &["m"]);
    }
    let taken: Vec<Slot> = (0..6).map_while(|number| take(&runners, "m", number)).collect();
    assert_eq!(names(&taken), ["a", "a", "b", "b", "c", "c"]);
    let more: Vec<Slot> = (6..20).map_while(|number| take(&runners, "m", number)).collect();
    assert_eq!(more.len(), 6, "twelve in all");
    drop((taken, more));
    let one_by_one: Vec<String> =
        (30..36).map(|number| take(&runners, "m", number).unwrap().runner.name.clone()).collect();
    for name in ["a", "b", "c"] {
        assert_eq!(one_by_one.iter().filter(|one| *one == name).count(), 2, "{one_by_one:?}");
    }
}

#[tokio::test]
async fn a_beginning_that_a_runner_has_in_memory_is_worth_one_place_and_not_more() {
    let (runners, _clock) = runners(None);
    for name in ["a", "b", "c"] {
        comes(&runners, name, 4, &["m"]);
    }
    let same: Vec<Slot> = (0..6).map_while(|_| take(&runners, "m", 7)).collect();
    assert_eq!(names(&same), ["a", "a", "b", "b", "c", "c"], "{:?}", names(&same));
    let last = same.last().unwrap().runner.name.clone();
    drop(same);
    let next = take(&runners, "m", 7).unwrap();
    assert_eq!(next.runner.name, last, "the one that served it last");
}

#[tokio::test]
async fn a_cap_below_the_sum_holds_and_one_above_it_adds_nothing() {
    let (capped, _clock) = runners(Some(3));
    let (free, _clock) = runners(Some(100));
    for runners in [&capped, &free] {
        comes(runners, "a", 4, &["m"]);
        comes(runners, "b", 4, &["m"]);
    }
    assert_eq!((capped.limit(), free.limit()), (3, 8));
    let taken: Vec<Slot> = (0..20).map_while(|number| take(&capped, "m", number)).collect();
    assert_eq!(taken.len(), 3);
    drop(taken);
    assert!(take(&capped, "m", 0).is_some());
}

#[tokio::test]
async fn a_runner_that_comes_again_owes_nothing_for_the_jobs_of_its_first_life() {
    let (runners, clock) = runners(None);
    comes(&runners, "a", 2, &["m"]);
    let of_first_life: Vec<Slot> = (0..2).map_while(|number| take(&runners, "m", number)).collect();
    assert!(take(&runners, "m", 2).is_none());
    clock.advance(LEASE);
    runners.refresh().await;
    comes(&runners, "a", 2, &["m"]);
    let now: Vec<Slot> = (3..9).map_while(|number| take(&runners, "m", number)).collect();
    assert_eq!(now.len(), 2, "a new life with empty slots");
    drop(of_first_life);
    assert!(take(&runners, "m", 9).is_none(), "what ended was of the first life");
    drop(now);
    assert!(take(&runners, "m", 9).is_some());
}

#[tokio::test]
async fn what_a_dead_runner_had_at_work_binds_no_slot_of_the_others() {
    let (runners, clock) = runners(Some(4));
    comes(&runners, "a", 2, &["m"]);
    comes(&runners, "b", 2, &["m"]);
    let taken: Vec<Slot> = (0..4).map_while(|number| take(&runners, "m", number)).collect();
    assert_eq!(names(&taken), ["a", "a", "b", "b"]);
    clock.advance(LEASE / 2);
    comes(&runners, "b", 2, &["m"]);
    clock.advance(LEASE / 2);
    comes(&runners, "c", 2, &["m"]);
    let more: Vec<Slot> = (4..9).map_while(|number| take(&runners, "m", number)).collect();
    assert_eq!(names(&more), ["c", "c"], "two on b, two on c, and none waits for a");
}

#[tokio::test]
async fn jobs_of_one_model_keep_no_other_models_runner_idle() {
    let (runners, _clock) = runners(None);
    comes(&runners, "a", 1, &["small"]);
    comes(&runners, "b", 1, &["large"]);
    let first = take(&runners, "small", 0);
    let small = model("small");
    let mut waiting: Vec<_> =
        (1..9).map(|number| Box::pin(runners.wait(&small, RequestId::new([number; 32])))).collect();
    for waits in &mut waiting {
        assert!(waits.as_mut().now_or_never().is_none());
    }
    let large = model("large");
    let served = runners.wait(&large, RequestId::new([9; 32])).now_or_never();
    assert_eq!(served.map(|slot| slot.runner.name.clone()).as_deref(), Some("b"));
    drop(first);
    // Whoever asks first, the one that came first has the slot.
    assert!(waiting[3].as_mut().now_or_never().is_none());
    assert!(waiting[0].as_mut().now_or_never().is_some());
}

fn prices(input: u128, output: u128) -> TokenPrices {
    TokenPrices { input: Xbzz::from_plur(input), output: Xbzz::from_plur(output) }
}

#[tokio::test]
async fn no_runner_makes_a_model_cheaper_or_its_context_longer_than_another_tells() {
    let offer = |prices, max_context_tokens, away| RunnerModel {
        model: model("m"),
        prices,
        max_context_tokens,
        away,
    };
    let (runners, clock) = runners(None);
    // Far more that are free than honest ones: the order in which they are kept does not matter.
    for number in 0..100 {
        let free = offer(Some(prices(0, 0)), Some(1_000_000), number % 2 == 0);
        comes_with(&runners, &format!("free-{number}"), 1, vec![free]);
    }
    comes_with(&runners, "dear-input", 1, vec![offer(Some(prices(7, 1)), Some(8192), false)]);
    comes_with(&runners, "dear-output", 1, vec![offer(Some(prices(3, 9)), None, true)]);
    comes_with(&runners, "unknown", 1, vec![offer(None, Some(0), true)]);
    let offered = runners.models(prices(2, 5));
    assert_eq!(offered, [offer(Some(prices(7, 9)), Some(8192), false)]);
    let offered = runners.models(prices(70, 90));
    assert_eq!(offered[0].prices, Some(prices(70, 90)), "a runner that states none has the usual prices");
    clock.advance(LEASE);
    assert_eq!(runners.models(prices(2, 5)), [], "the leases ended");
}

#[tokio::test]
async fn a_model_is_away_once_no_runner_serves_it() {
    let (runners, _clock) = runners(None);
    let offer = |away| RunnerModel { model: model("m"), prices: None, max_context_tokens: None, away };
    comes_with(&runners, "a", 1, vec![offer(true)]);
    assert!(runners.models(prices(1, 1))[0].away);
    comes_with(&runners, "b", 1, vec![offer(false)]);
    assert!(!runners.models(prices(1, 1))[0].away);
}
