//! The buying side against providers that do what they should not: what each failure costs, and who is asked next.

use std::time::Duration;

use t4t_api::ServiceError;
use t4t_inference::Refusal;
use t4t_types::Xbzz;

use super::rig::messages::Said;
use super::rig::stranger::{self, Act, Script, ScriptedProvider, What};
use super::rig::{CHEAP, Market, USUAL, cost};

/// What an honest provider does with a job.
fn honest() -> Script {
    vec![
        (100, Act::Acks),
        (500, Act::Announces(What::Answer)),
        (600, Act::Claims(What::Answer, Some(cost(USUAL)))),
    ]
}

/// What a bad provider costs its client and itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Costs {
    /// Nobody anything.
    Nothing,
    /// The client the whole escrow.
    Escrow,
    /// The provider so many times the escrow.
    Stake(u128),
}

/// A market of a provider with a script, which is the cheapest, and an honest one.
fn beside_an_honest_one(script: Script) -> (Market, std::sync::Arc<ScriptedProvider>) {
    let mut market = Market::new();
    let bad = market.add_scripted(20, CHEAP, script);
    market.add_scripted(21, USUAL, honest());
    market.gateway.start();
    (market, bad)
}

/// Asks once; the bad one is asked first and the honest one answers.
fn fails_over(name: &str, script: Script, why: &str, costs: Costs) {
    let (mut market, bad) = beside_an_honest_one(script);
    let stake = market.world.chain().stake(bad.address());
    market.gateway.name("hello");
    assert_eq!(market.ask("hello"), Ok("hello".to_owned()), "{name}: {}", market.story());
    let said = market.gateway.heard("hello").said;
    let retried =
        |said: &Said| matches!(said, Said::Step(step) if step.starts_with("retrying") && step.contains(why));
    assert!(said.iter().any(retried), "{name} is to fail for {why:?}: {said:?}");
    market.until_settled();
    let job = super::rig::world::lock(&bad.jobs)[0];
    let escrow = market.world.chain().jobs[&job].terms.max_payment;
    let (lost, burned) = match costs {
        Costs::Nothing => (Xbzz::ZERO, Xbzz::ZERO),
        Costs::Escrow => (escrow, Xbzz::ZERO),
        Costs::Stake(times) => (Xbzz::ZERO, escrow.checked_mul(times).unwrap()),
    };
    assert_eq!(market.spent(), lost.saturating_add(cost(USUAL)), "{name}: what the client paid");
    assert_eq!(
        stake.saturating_sub(market.world.chain().stake(bad.address())),
        burned,
        "{name}: what was burned"
    );
}

fn claims(what: What) -> Script {
    vec![(100, Act::Acks), (500, Act::Claims(what, None))]
}

#[test]
fn a_refusal_costs_nobody_anything_and_the_next_is_asked() {
    let refuses = |refusal| vec![(100, Act::Refuses(refusal))];
    fails_over("no reason", refuses(None), "it refused the job", Costs::Nothing);
    fails_over("failed", refuses(Some(Refusal::failed("no luck"))), "no luck", Costs::Nothing);
    fails_over("busy", refuses(Some(Refusal::try_again("too busy", 7))), "too busy", Costs::Nothing);
    fails_over("blames", refuses(Some(Refusal::of_request("too long"))), "too long", Costs::Nothing);
    let after_ack = vec![(100, Act::Acks), (9000, Act::Refuses(Some(Refusal::failed("it broke"))))];
    fails_over("after the acknowledgement", after_ack, "it broke", Costs::Nothing);
}

#[test]
fn silence_is_cancelled_and_costs_the_silent_their_stake() {
    fails_over("silent", vec![], "did not acknowledge", Costs::Stake(2));
    let by_message = vec![(100, Act::SaysAck)];
    fails_over("an acknowledgement by message alone", by_message, "did not acknowledge", Costs::Stake(2));
}

#[test]
fn no_delivery_is_timed_out() {
    fails_over("acks and is gone", vec![(100, Act::Acks)], "did not answer", Costs::Stake(3));
    let missing = vec![(100, Act::Acks), (500, Act::Announces(What::Missing))];
    fails_over("announces what is not there", missing, "did not answer", Costs::Stake(3));
}

#[test]
fn an_answer_that_is_none_costs_one_price_and_is_not_taken_for_one() {
    fails_over("unsealed", claims(What::Unsealed), "could not be opened", Costs::Escrow);
    fails_over("sealed to another", claims(What::SealedToAnother), "could not be opened", Costs::Escrow);
    fails_over("of another job", claims(What::OfAnotherJob), "another job", Costs::Escrow);
    fails_over("of another provider", claims(What::OfAnotherProvider), "another job", Costs::Escrow);
    let none = claims(What::Response(stranger::no_choices()));
    fails_over("no choices", none, "no choices", Costs::Escrow);
    let odd = claims(What::Response(serde_json::json!({ "choices": "the answer" })));
    fails_over("no answer's shape", odd, "is not one", Costs::Escrow);
    fails_over("missing", claims(What::Missing), "nothing was found there", Costs::Escrow);
    let nameless = vec![(100, Act::Acks), (500, Act::ClaimsNamelessly(Xbzz::from_plur(1)))];
    let (mut market, _) = beside_an_honest_one(nameless);
    assert_eq!(market.ask("hello"), Ok("hello".to_owned()));
    market.until_settled();
    assert_eq!(market.spent().plur(), cost(USUAL).plur() + 1);
}

#[test]
fn an_unreadable_announcement_is_left_at_once_and_its_money_comes_back() {
    let script = vec![(100, Act::Acks), (500, Act::Announces(What::Unsealed))];
    fails_over("announces what is unsealed", script, "could not be opened", Costs::Stake(3));
}

#[test]
fn an_empty_answer_is_bought_once_more() {
    let empty = claims(What::Response(stranger::empty()));
    fails_over("empty", empty, "its answer was empty", Costs::Escrow);
}

#[test]
fn what_is_announced_falsely_and_claimed_rightly_is_an_answer() {
    let script = vec![
        (100, Act::Acks),
        (500, Act::Announces(What::Missing)),
        (5000, Act::Claims(What::Answer, Some(cost(CHEAP)))),
    ];
    let (mut market, _) = beside_an_honest_one(script);
    assert_eq!(market.ask("hello"), Ok("hello".to_owned()));
    market.until_settled();
    assert_eq!(market.spent(), cost(CHEAP));
}

#[test]
fn two_that_blame_the_request_end_it_with_their_word() {
    let mut market = Market::new();
    for number in [20, 21, 22] {
        let refusal = Refusal { status: Some(413), ..Refusal::of_request("too long for me") };
        market.add_scripted(number, CHEAP, vec![(100, Act::Refuses(Some(refusal)))]);
    }
    market.gateway.start();
    let error = market.ask("hello").unwrap_err();
    assert_eq!((error.status(), error.to_string().as_str()), (413, "too long for me"));
    market.until_settled();
    assert!(market.spent().is_zero());
    let tried = market.world.chain().posted.len();
    assert_eq!(tried, 2, "nobody asks a third");
}

#[test]
fn when_all_are_busy_the_app_is_told_when_to_try_again() {
    let mut market = Market::new();
    for number in [20, 21, 22] {
        let refusal = Refusal::try_again("no slot", 7);
        market.add_scripted(number, CHEAP, vec![(100, Act::Refuses(Some(refusal)))]);
    }
    market.gateway.start();
    let error = market.ask("hello").unwrap_err();
    assert_eq!((error.status(), error.to_string().as_str()), (503, "no slot"));
    market.until_settled();
    assert!(market.spent().is_zero());
}

#[test]
fn whoever_takes_the_whole_escrow_for_a_small_answer_is_asked_once() {
    let (mut market, bad) = beside_an_honest_one(claims(What::Answer));
    for number in 0..3 {
        let text = format!("question {number}");
        assert_eq!(market.ask(&text), Ok(text.clone()));
        market.until_settled();
    }
    let jobs = super::rig::world::lock(&bad.jobs).clone();
    assert_eq!(jobs.len(), 1);
    let escrow = market.world.chain().jobs[&jobs[0]].terms.max_payment;
    assert_eq!(market.spent().plur(), escrow.plur() + 2 * cost(USUAL).plur());
}

#[test]
fn whoever_takes_a_payment_for_no_answer_is_asked_no_more_for_days() {
    let (mut market, bad) = beside_an_honest_one(claims(What::Response(stranger::no_choices())));
    assert_eq!(market.ask("first"), Ok("first".to_owned()));
    market.until_settled();
    market.gateway.kill();
    market.gateway.start();
    assert_eq!(market.ask("second"), Ok("second".to_owned()));
    assert_eq!(super::rig::world::lock(&bad.jobs).len(), 1, "also after a restart");
}

#[test]
fn a_purchase_that_waits_for_a_slot_when_its_gateway_dies_has_paid_nothing() {
    let mut market = Market::new();
    market.add_scripted(20, USUAL, honest());
    if let Some(entry) = market.world.chain().entry_mut(super::rig::address(20)) {
        entry.cap = 1;
    }
    market.gateway.start();
    market.gateway.ask(super::rig::messages::purchase("first"));
    market.pass(Duration::from_millis(300));
    // The second waits for the only slot; the gateway dies before it is free.
    market.gateway.ask(super::rig::messages::purchase("second"));
    market.pass(Duration::from_millis(100));
    market.gateway.kill();
    market.gateway.start();
    market.until_settled();
    assert_eq!(market.world.chain().posted.len(), 1, "the second was never posted");
}
