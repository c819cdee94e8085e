//! Either side dies at each of its kill points and boots again on its database: the money comes to its end, the app to its
//! answer, and nobody pays or works twice.

use std::time::Duration;

use t4t_inference::Refusal;
use t4t_runtime::KillPoint;
use t4t_types::Xbzz;

use super::rig::runner::Run;
use super::rig::world::Fate;
use super::rig::{Market, USUAL, cost, messages};

/// How long a machine that died is away.
const AWAY: Duration = Duration::from_secs(2);

/// How long a transaction waits for its block.
const A_BLOCK: Duration = Duration::from_secs(3);

/// The kill points of a purchase that goes well.
const BUYING: [KillPoint; 8] = [
    KillPoint::BuyingPlanned,
    KillPoint::BuyingSubmitted,
    KillPoint::BuyingUploaded,
    KillPoint::BuyingNoticed,
    KillPoint::BuyingPosted,
    KillPoint::BuyingAcked,
    KillPoint::BuyingDelivered,
    KillPoint::BuyingFetched,
];

/// The kill points of a sale that goes well.
const SELLING: [KillPoint; 10] = [
    KillPoint::SellingFound,
    KillPoint::SellingFetched,
    KillPoint::SellingBegan,
    KillPoint::SellingAcked,
    KillPoint::SellingRan,
    KillPoint::SellingAnswered,
    KillPoint::SellingUploaded,
    KillPoint::SellingReferenced,
    KillPoint::SellingClaimed,
    KillPoint::SellingAnnounced,
];

/// Asks until there is an answer, as an app with an idempotency key does, and starts again whoever died.
fn ask_through(market: &mut Market, text: &str) -> Result<String, t4t_api::job_dispatcher::BuyingError> {
    let mut last = None;
    for _ in 0..8 {
        market.gateway.ask(messages::purchase(text));
        loop {
            let goes_on = |market: &Market| market.gateway.end(text).is_some() || is_one_dead(market);
            market.until("the app is told", Duration::from_secs(3600), goes_on);
            if restart_the_dead(market) {
                break;
            }
            match market.gateway.end(text) {
                Some(Ok(answer)) => return Ok(answer),
                Some(Err(error)) => {
                    last = Some(error);
                    break;
                }
                None => {}
            }
        }
        market.pass(AWAY);
    }
    Err(last.expect("it was told something"))
}

fn is_one_dead(market: &Market) -> bool {
    !market.gateway.machine.is_on() || market.providers.iter().any(|provider| !provider.machine.is_on())
}

/// A market in which blocks take their time, so that messages come before them.
fn market_of_blocks() -> Market {
    let market = Market::of_two();
    let (gateway, provider) = (market.gateway.wallet(), market.providers[0].wallet());
    for (wallet, key) in [(gateway, "post:"), (provider, "ack:"), (provider, "claim:")] {
        market.world.order(wallet, key, Fate::PendingFor(A_BLOCK), u32::MAX);
    }
    market.providers[0].backend.will(Run::Answers(Duration::from_secs(1)));
    market
}

/// Starts whoever died; `true` if that was the gateway, whose apps have to ask again.
fn restart_the_dead(market: &mut Market) -> bool {
    let is_gateway_dead = !market.gateway.machine.is_on();
    let dead = (0..market.providers.len()).filter(|at| !market.providers[*at].machine.is_on());
    let dead: Vec<usize> = dead.collect();
    if is_gateway_dead || !dead.is_empty() {
        market.pass(AWAY);
    }
    if is_gateway_dead {
        market.gateway.start();
    }
    dead.into_iter().for_each(|at| market.providers[at].start());
    is_gateway_dead
}

/// Waits until all is settled; whoever dies on the way boots again.
fn settle_through(market: &mut Market) {
    for _ in 0..30 {
        market.pass(Duration::from_secs(1));
        restart_the_dead(market);
    }
    market.until_settled();
}

#[test]
fn a_gateway_that_dies_anywhere_pays_once_and_has_the_answer_for_whoever_asks_again() {
    for point in BUYING {
        let mut market = market_of_blocks();
        market.gateway.machine.dies_at(point, 1);
        market.gateway.ask(messages::purchase("hello"));
        market.until("the gateway dies", Duration::from_secs(60), |market| !market.gateway.machine.is_on());
        assert!(!market.gateway.machine.is_on(), "{} is never passed", point.as_str());
        restart_the_dead(&mut market);
        let told = ask_through(&mut market, "hello");
        assert_eq!(told, Ok("hello".to_owned()), "{}: {}", point.as_str(), market.story());
        settle_through(&mut market);
        assert_eq!(market.spent(), cost(USUAL), "{}", point.as_str());
        assert_eq!(market.providers[0].runs("hello"), 1, "{}", point.as_str());
        assert!(market.world.chain().burned().is_zero(), "{}", point.as_str());
    }
}

#[test]
fn a_provider_that_dies_anywhere_answers_and_is_paid_once() {
    for point in SELLING {
        let mut market = market_of_blocks();
        market.providers[0].machine.dies_at(point, 1);
        market.gateway.ask(messages::purchase("hello"));
        let dies = |market: &Market| !market.providers[0].machine.is_on();
        market.until("the provider dies", Duration::from_secs(60), dies);
        assert!(dies(&market), "{} is never passed", point.as_str());
        restart_the_dead(&mut market);
        market.until("the app is told", Duration::from_secs(3600), |market| {
            market.gateway.end("hello").is_some()
        });
        assert_eq!(market.gateway.end("hello"), Some(Ok("hello".to_owned())), "{}", point.as_str());
        settle_through(&mut market);
        assert_eq!(market.spent(), cost(USUAL), "{}", point.as_str());
        let runs = market.providers[0].runs("hello");
        // Between the backend's answer and its storing, and nowhere else, a run is lost.
        let most =
            if matches!(point, KillPoint::SellingBegan | KillPoint::SellingAcked | KillPoint::SellingRan) {
                2
            } else {
                1
            };
        assert!((1..=most).contains(&runs), "{}: {runs} runs", point.as_str());
        assert!(market.world.chain().burned().is_zero(), "{}: {}", point.as_str(), market.story());
    }
}

#[test]
fn a_gateway_that_dies_while_it_takes_money_back_takes_it_back_once() {
    let mut market = Market::new();
    market.add_scripted(20, USUAL, vec![]);
    market.gateway.start();
    market.gateway.machine.dies_at(KillPoint::BuyingTakenBack, 1);
    market.gateway.ask(messages::purchase("hello"));
    market.until("the gateway dies", Duration::from_secs(600), |market| !market.gateway.machine.is_on());
    assert!(!market.gateway.machine.is_on());
    restart_the_dead(&mut market);
    market.until_settled();
    assert!(market.spent().is_zero());
}

#[test]
fn a_provider_that_dies_while_it_refuses_refuses_once() {
    let mut market = Market::of_two();
    market.providers[0].backend.will(Run::Refuses(Refusal::of_request("too long")));
    market.providers[0].machine.dies_at(KillPoint::SellingRefusing, 1);
    market.gateway.ask(messages::purchase("hello"));
    market.until("the provider dies", Duration::from_secs(60), |market| !market.providers[0].machine.is_on());
    assert!(!market.providers[0].machine.is_on());
    restart_the_dead(&mut market);
    market.until("the app is told", Duration::from_secs(600), |market| market.gateway.end("hello").is_some());
    let told = market.gateway.end("hello").unwrap().unwrap_err();
    assert!(told.to_string().contains("too long"), "{told}");
    market.until_settled();
    assert_eq!((market.spent(), market.providers[0].runs("hello")), (Xbzz::ZERO, 1));
}

#[test]
fn a_provider_that_dies_twice_while_its_backend_works_refuses_and_does_not_ask_a_third_time() {
    let mut market = Market::of_two();
    let is_dead = |market: &Market| !market.providers[0].machine.is_on();
    market.providers[0].machine.dies_at(KillPoint::SellingRan, 1);
    market.gateway.ask(messages::purchase("hello"));
    market.until("the provider dies", Duration::from_secs(60), is_dead);
    market.pass(AWAY);
    market.providers[0].machine.dies_at(KillPoint::SellingRan, 1);
    market.providers[0].start();
    market.until("it dies again", Duration::from_secs(60), is_dead);
    market.pass(AWAY);
    market.providers[0].start();
    market.until_settled();
    assert_eq!((market.spent(), market.providers[0].runs("hello")), (Xbzz::ZERO, 2));
    assert!(market.world.chain().burned().is_zero());
}

#[test]
fn both_sides_may_die_at_once_anywhere() {
    for (buying, selling) in BUYING.into_iter().zip(SELLING.into_iter().rev()) {
        let mut market = market_of_blocks();
        market.gateway.machine.dies_at(buying, 1);
        market.providers[0].machine.dies_at(selling, 1);
        let told = ask_through(&mut market, "hello");
        let names = (buying.as_str(), selling.as_str());
        assert_eq!(told, Ok("hello".to_owned()), "{names:?}: {}", market.story());
        settle_through(&mut market);
        assert_eq!(market.spent(), cost(USUAL), "{names:?}");
        assert!(market.world.chain().burned().is_zero(), "{names:?}");
    }
}
