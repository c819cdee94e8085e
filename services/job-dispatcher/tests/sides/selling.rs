//! The selling side against clients that post what it should not serve: each is refused with a claim of nothing, in time,
//! and says why.

use std::time::Duration;

use t4t_api::settlement::{EscrowIntent, TransactionKey};
use t4t_protocol::job::SellingState;
use t4t_types::{Address, JobId, JobStatus, Xbzz};

use super::rig::client::{Client, Order, Stored};
use super::rig::world::lock;
use super::rig::{Market, USUAL, cost};

/// A provider and a client.
fn shop() -> (Market, Client, Address) {
    let mut market = Market::new();
    market.add_provider(USUAL);
    let client = Client::new(&market.world, 30);
    let provider = market.providers[0].wallet();
    (market, client, provider)
}

fn until_closed(market: &mut Market, job: JobId) {
    market.until("the job is closed", Duration::from_secs(600), |market| {
        !market.world.chain().jobs[&job].terms.status.is_open()
    });
    market.pass(Duration::from_secs(3));
}

/// A job was closed with a claim of nothing, for this reason, and nobody lost anything.
fn is_refused(market: &mut Market, client: &Client, job: JobId, why: &str) {
    until_closed(market, job);
    let row = market.providers[0].row(job).unwrap_or_else(|| panic!("no row: {}", market.story()));
    let reason = row.reason.clone().unwrap_or_default();
    assert!(reason.contains(why), "refused for {reason:?}, not for {why:?}");
    assert_eq!(row.state, SellingState::Refused, "{reason}");
    let chain = market.world.chain();
    let done = &chain.jobs[&job];
    assert_eq!((done.terms.status, done.paid), (JobStatus::Claimed, Some(Xbzz::ZERO)));
    assert_eq!(chain.balance(client.address()), Xbzz::from_whole(1000), "refunded whole");
    assert!(chain.burned().is_zero());
    drop(chain);
    market.until_settled();
}

fn refuses(order: &Order, why: &str) {
    let (mut market, client, provider) = shop();
    let job = client.post(provider, order);
    is_refused(&mut market, &client, job, why);
}

#[test]
fn a_good_job_is_served_and_paid_its_price() {
    let (mut market, client, provider) = shop();
    let job = client.post(provider, &Order::of("hello"));
    until_closed(&mut market, job);
    market.until_settled();
    assert_eq!(market.world.chain().jobs[&job].paid, Some(cost(USUAL)));
    assert_eq!(client.read(job)["choices"][0]["message"]["content"], "hello");
    assert_eq!(market.providers[0].state(job), Some(SellingState::Claimed));
}

#[test]
fn terms_that_could_cost_stake_are_refused() {
    let order = || Order::of("hello");
    refuses(&Order { pays: Xbzz::from_plur(1), ..order() }, "below the smallest");
    refuses(&Order { pays: Xbzz::from_whole(6), ..order() }, "above what any answer costs");
    refuses(&Order { model: "another".into(), ..order() }, "no backend serves the model");
    refuses(&Order { model: "no name\n".into(), ..order() }, "name is not one");
    refuses(&Order { within: 35, ..order() }, "the deadline is too near");
    refuses(&Order { within: 7200, ..order() }, "the deadline is too far off");
}

#[test]
fn a_request_that_is_none_is_refused_before_it_is_acknowledged() {
    for (stored, why) in [
        (Stored::Nothing, "could not be fetched"),
        (Stored::Unsealed, "could not be opened"),
        (Stored::NoRequest, "is not one"),
        (Stored::OfAnotherClient, "belongs to another client"),
        (Stored::ForModel("another"), "for another model"),
    ] {
        let (mut market, client, provider) = shop();
        let job = client.post(provider, &Order { stored, ..Order::of("hello") });
        is_refused(&mut market, &client, job, why);
        let told = market.world.chain().told.clone();
        let acked = |told: &super::rig::chain::Told| {
            matches!(told.event.what, t4t_api::registry_watcher::JobHappening::Acked)
        };
        assert!(!told.iter().any(acked), "{why}");
        let said = client.read(job)["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(said.contains(why), "the client reads why, by the key of its notice: {said}");
    }
}

#[test]
fn a_client_that_never_wrote_is_refused_without_a_word() {
    let order = Order { stored: Stored::Unsealed, notifies: false, ..Order::of("hello") };
    let (mut market, client, provider) = shop();
    let job = client.post(provider, &order);
    is_refused(&mut market, &client, job, "could not be opened");
    assert!(market.world.chain().jobs[&job].terms.response_hash.is_zero());
}

#[test]
fn a_payment_that_does_not_cover_the_prompt_is_refused() {
    let long = "word ".repeat(20_000);
    refuses(
        &Order { pays: Xbzz::from_plur(2_000_000_000_000), ..Order::of(&long) },
        "does not cover the prompt",
    );
}

#[test]
fn a_request_that_could_be_read_as_another_than_was_paid_is_refused_with_the_field() {
    let mut request = super::rig::messages::chat("hello");
    request["Model"] = "another".into();
    let (mut market, client, provider) = shop();
    let job = client.post(provider, &Order { stored: Stored::Request(request), ..Order::of("hello") });
    is_refused(&mut market, &client, job, "Model");
    assert_eq!(client.read(job)["error"]["type"], "invalid_request_error");
}

#[test]
fn a_request_that_is_posted_twice_is_served_once() {
    let (mut market, client, provider) = shop();
    let order = Order::of("hello");
    let stored = client.store(provider, &order);
    let first = client.post_stored(provider, &order, stored);
    let second = client.post_stored(provider, &order, stored);
    until_closed(&mut market, first);
    until_closed(&mut market, second);
    market.until_settled();
    let paid: Xbzz = [first, second].iter().filter_map(|job| market.world.chain().jobs[job].paid).sum();
    assert_eq!((paid, market.providers[0].runs("hello")), (cost(USUAL), 1));
}

#[test]
fn a_job_that_was_posted_while_nobody_was_there_is_refused_or_left_alone_and_costs_no_more() {
    let (mut market, client, provider) = shop();
    market.providers[0].kill();
    let late = client.post(provider, &Order::of("hello"));
    market.pass(Duration::from_secs(35));
    market.providers[0].start();
    is_refused(&mut market, &client, late, "too late to acknowledge");

    market.providers[0].kill();
    let over = client.post(provider, &Order { within: 60, ..Order::of("again") });
    market.pass(Duration::from_secs(70));
    market.providers[0].start();
    market.pass(Duration::from_secs(30));
    assert_eq!(market.providers[0].row(over), None, "past its deadline nothing can be done about it");
}

#[test]
fn a_job_that_an_earlier_database_acknowledged_is_refused() {
    let (mut market, client, provider) = shop();
    market.providers[0].kill();
    let job = client.post(provider, &Order::of("hello"));
    let key = TransactionKey::new("by an earlier run");
    market.world.chain().enter(provider, key.clone(), EscrowIntent::AckJob { job });
    let hash = market.world.chain().transaction(provider, &key).unwrap().hash;
    market.world.mine(hash, None);
    market.providers[0].start();
    is_refused(&mut market, &client, job, "left no record");
}

#[test]
fn a_closed_shop_refuses_what_comes_and_opens_by_itself() {
    type Break = fn(&Market, bool);
    let cases: [(Break, &str); 4] = [
        (|market, is| lock(&market.providers[0].footing.node_faults).is_down = is, "does not answer"),
        (|market, is| lock(&market.providers[0].footing.node_faults).has_no_stamp = is, "postage"),
        (|market, is| *lock(&market.providers[0].backend.is_away) = is, "no backend answers"),
        (
            |market, is| {
                let age_ms = if is { 61_000 } else { 0 };
                lock(&market.providers[0].footing.watcher_faults).head_age_ms = age_ms;
            },
            "told nothing",
        ),
    ];
    for (break_it, why) in cases {
        let (mut market, client, provider) = shop();
        market.pass(Duration::from_secs(20));
        break_it(&market, true);
        market.pass(Duration::from_secs(11));
        let refusing = market.providers[0].status().refusing.unwrap_or_default();
        assert!(refusing.contains(why), "{refusing} is not {why}");
        if why != "told nothing" {
            // With a head that is a minute old, a fresh job's deadlines can't be judged.
            let job = client.post(provider, &Order::of("hello"));
            is_refused(&mut market, &client, job, why);
        }
        break_it(&market, false);
        market.pass(Duration::from_secs(11));
        assert_eq!(market.providers[0].status().refusing, None);
        let job = client.post(provider, &Order::of("again"));
        until_closed(&mut market, job);
        assert_eq!(market.world.chain().jobs[&job].paid, Some(cost(USUAL)), "after {why}");
    }
}

#[test]
fn terms_that_contradict_the_event_are_read_again_and_then_refused() {
    let (mut market, client, provider) = shop();
    let lie = |terms: t4t_types::JobTerms| t4t_types::JobTerms { provider: Address::new([5; 20]), ..terms };
    lock(&market.providers[0].footing.watcher_faults).lie = Some(std::sync::Arc::new(lie));
    let job = client.post(provider, &Order::of("hello"));
    market.pass(Duration::from_secs(10));
    assert_eq!(market.providers[0].row(job), None, "it is read again first");
    is_refused(&mut market, &client, job, "other terms");
}

#[test]
fn a_watcher_that_fails_for_a_while_costs_nothing_but_time() {
    let (mut market, client, provider) = shop();
    lock(&market.providers[0].footing.watcher_faults).is_down = true;
    let job = client.post(provider, &Order::of("hello"));
    market.pass(Duration::from_secs(10));
    lock(&market.providers[0].footing.watcher_faults).is_down = false;
    until_closed(&mut market, job);
    assert_eq!(market.world.chain().jobs[&job].paid, Some(cost(USUAL)));
}
