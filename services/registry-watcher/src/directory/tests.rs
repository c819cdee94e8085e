use std::time::Instant;

use t4t_types::{EncryptionKey, Overlay, Xbzz};

use super::*;

const RULES: Rules = Rules { heartbeat_ttl: 600, min_stake: Xbzz::from_plur(1) };
const NOW: UnixSeconds = UnixSeconds::new(10_000);
const HEAD: SeenHead = SeenHead { block: 7, timestamp: NOW, seen_at_ms: 500 };

fn provider(number: u32, models: &[&str]) -> Provider {
    let mut address = [0; 20];
    address[16..].copy_from_slice(&number.to_be_bytes());
    let offering = |model: &&str| ListedOffering {
        model: model.parse().unwrap(),
        prices: TokenPrices { input: Xbzz::from_plur(number.into()), output: Xbzz::from_plur(1) },
        max_context_tokens: number.into(),
    };
    Provider {
        address: Address::new(address),
        sealing_key: EncryptionKey::ZERO,
        overlay: Overlay::ZERO,
        metadata_uri: Arc::from(""),
        stake: Xbzz::from_whole(100),
        active: true,
        last_heartbeat: NOW,
        total_jobs: 0,
        successful_jobs: 0,
        open_jobs: 0,
        max_concurrent_jobs: 0,
        offerings: models.iter().map(offering).collect(),
        read_at: 7,
    }
}

fn wanted(model: &str) -> ListCandidates {
    ListCandidates { model: model.parse().unwrap(), max_combined_price: None, provider: None }
}

fn found(directory: &Directory, model: &str) -> Vec<Address> {
    directory.candidates(&wanted(model)).into_iter().map(|candidate| candidate.provider).collect()
}

#[test]
fn liveness_is_judged_by_each_rule() {
    let change = |change: fn(&mut Provider)| {
        let mut provider = provider(1, &["m"]);
        change(&mut provider);
        provider.is_live(&RULES, NOW)
    };
    assert!(change(|_| {}));
    assert!(change(|provider| provider.last_heartbeat = NOW.minus(600)));
    assert!(!change(|provider| provider.last_heartbeat = NOW.minus(601)));
    assert!(!change(|provider| provider.last_heartbeat = UnixSeconds::new(0)));
    assert!(!change(|provider| provider.active = false));
    assert!(!change(|provider| provider.stake = Xbzz::default()));
}

#[test]
fn a_head_grows_old() {
    assert_eq!(HEAD.as_of(1500, true).age_ms, 1000);
    assert_eq!(HEAD.as_of(0, true).age_ms, 0);
}

#[test]
fn models_are_listed_with_the_cheapest_live_price() {
    let mut dead = provider(1, &["b", "only-dead"]);
    dead.active = false;
    let directory = Directory::new(RULES, HEAD, vec![dead, provider(3, &["b", "a"]), provider(2, &["b"])]);
    let models = directory.models();
    let listed: Vec<_> = models.iter().map(|listing| (listing.model.as_str(), listing.providers)).collect();
    assert_eq!(listed, [("a", 1), ("b", 2)]);
    assert_eq!((models[1].cheapest.input, models[1].max_context_tokens), (Xbzz::from_plur(2), 3));
}

#[test]
fn whatever_is_applied_the_index_is_that_of_a_directory_built_anew() {
    let models = ["a", "b", "c"];
    let mut directory = Directory::new(RULES, HEAD, Vec::new());
    let mut seed = 1_u32;
    for _ in 0..300 {
        let changes = (0..3).map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let offered: Vec<&str> = models
                .iter()
                .enumerate()
                .filter(|(bit, _)| seed >> (20 + bit) & 1 == 1)
                .map(|(_, m)| *m)
                .collect();
            let changed = provider(seed >> 8 & 0xf, &offered);
            (changed.address, (seed >> 16 & 3 != 0).then_some(changed))
        });
        let changes: Vec<_> = changes.collect();
        directory.apply(changes);
        let anew = Directory::new(RULES, HEAD, directory.providers().to_vec());
        assert_eq!(anew.providers(), directory.providers(), "nobody is listed twice");
        for model in models {
            assert_eq!(found(&directory, model), found(&anew, model));
        }
        for known in directory.providers() {
            assert_eq!(directory.provider(known.address), Some(known));
        }
    }
}

#[test]
fn a_reader_keeps_what_it_holds_while_the_directory_changes() {
    let first = Directory::new(RULES, HEAD, vec![provider(1, &["m"]), provider(2, &["m"])]);
    let mut second = first.clone();
    second.provider_mut(provider(1, &[]).address).unwrap().open_jobs = 5;
    second.apply(vec![(provider(2, &[]).address, None)]);
    assert_eq!(found(&first, "m").len(), 2);
    assert_eq!(first.providers()[0].open_jobs, 0);
    assert_eq!(second.candidates(&wanted("m"))[0].open_jobs, 5);
}

#[test]
fn ten_thousand_providers_are_selected_from_rightly() {
    let names: Vec<String> = (0..20).map(|number| format!("model-{number}")).collect();
    let of = |number: u32| {
        let mut provider = provider(number, &["all", names[number as usize % 20].as_str()]);
        provider.active = !number.is_multiple_of(3);
        provider
    };
    let providers: Vec<Provider> = (0..10_000).map(of).collect();
    let began = Instant::now();
    let directory = Directory::new(RULES, HEAD, providers);
    let loaded = began.elapsed();
    let began = Instant::now();
    let all = found(&directory, "all");
    println!("unoptimised: loaded in {loaded:?}, selected {} in {:?}", all.len(), began.elapsed());
    let expected = |step: usize, first: u32| {
        (first..10_000).step_by(step).filter(|number| number % 3 != 0).map(|number| of(number).address)
    };
    assert_eq!(all, expected(1, 0).collect::<Vec<_>>());
    assert_eq!(found(&directory, "model-7"), expected(20, 7).collect::<Vec<_>>());
    let named = ListCandidates { provider: Some(of(9).address), ..wanted("all") };
    assert!(!directory.candidates(&named)[0].live);
}
