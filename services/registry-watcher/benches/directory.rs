//! How long a directory of many providers takes to build and to answer.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use t4t_api::registry_watcher::{ListCandidates, ListedOffering};
use t4t_registry_watcher::directory::{Directory, SeenHead};
use t4t_registry_watcher::provider::{Provider, Rules};
use t4t_types::{Address, EncryptionKey, Overlay, TokenPrices, UnixSeconds, Xbzz};

const PROVIDERS: u32 = 10_000;
const ROUNDS: usize = 2_000;
const NOW: UnixSeconds = UnixSeconds::new(1_000_000);

fn provider(number: u32) -> Provider {
    let mut address = [0; 20];
    address[..4].copy_from_slice(&t4t_types::keccak256(number.to_be_bytes())[..4]);
    address[16..].copy_from_slice(&number.to_be_bytes());
    // One model that everyone has, and three of fifty.
    let models = std::iter::once(0).chain((0..3).map(|step| 1 + (number + step * 17) % 50));
    let offering = |model: u32| ListedOffering {
        model: format!("model-{model}:8b").parse().expect("a valid name"),
        prices: TokenPrices { input: Xbzz::from_plur(number.into()), output: Xbzz::from_plur(7) },
        max_context_tokens: 8192,
    };
    Provider {
        address: Address::new(address),
        sealing_key: EncryptionKey::ZERO,
        overlay: Overlay::ZERO,
        metadata_uri: Arc::from(""),
        stake: Xbzz::from_whole(100),
        active: true,
        last_heartbeat: NOW.minus(u64::from(number % 700)),
        total_jobs: 100,
        successful_jobs: 99,
        open_jobs: 0,
        max_concurrent_jobs: 2,
        offerings: models.map(offering).collect(),
        read_at: 1,
    }
}

/// Prints mean and 99th percentile of what `work` takes.
fn measure(what: &str, rounds: usize, mut work: impl FnMut() -> usize) {
    let mut found = 0;
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let began = Instant::now();
            found = work();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    let mean = times.iter().sum::<Duration>() / u32::try_from(rounds).unwrap_or(1);
    let p99 = times[rounds * 99 / 100];
    print(&format!("{what}: mean {mean:?}, p99 {p99:?} ({found} found)"));
}

#[expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
fn print(line: &str) {
    println!("{line}");
}

fn main() {
    let rules = Rules { heartbeat_ttl: 600, min_stake: Xbzz::from_plur(1) };
    let head = SeenHead { block: 1, timestamp: NOW, seen_at_ms: 0 };
    let providers: Vec<Provider> = (0..PROVIDERS).map(provider).collect();
    measure("load 10,000 providers", 20, || Directory::new(rules, head, providers.clone()).providers().len());
    let directory = Directory::new(rules, head, providers);
    let wanted = |model: &str, cap: Option<u128>| ListCandidates {
        model: model.parse().expect("a valid name"),
        max_combined_price: cap.map(Xbzz::from_plur),
        provider: None,
    };
    let everyone = wanted("model-0:8b", None);
    measure("select a model that all have", ROUNDS, || black_box(directory.candidates(&everyone)).len());
    let capped = wanted("model-0:8b", Some(1000));
    measure("select with a price cap", ROUNDS, || black_box(directory.candidates(&capped)).len());
    let some = wanted("model-7:8b", None);
    measure("select a model that some have", ROUNDS, || black_box(directory.candidates(&some)).len());
    let one = ListCandidates { provider: Some(directory.providers()[5000].address), ..everyone };
    measure("select one provider", ROUNDS, || black_box(directory.candidates(&one)).len());
    measure("list models", 200, || black_box(directory.models()).len());
}
