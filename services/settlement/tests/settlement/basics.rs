//! The contract with the callers, the same over both transports.

use std::sync::Arc;

use actix_web::{App, HttpServer};
use futures_util::future::join_all;
use serde_json::json;
use t4t_api::settlement::{AwaitTransaction, GetAccount, SettlementError, SignEnvelope, TransactionKey};
use t4t_api::{Guard, HttpClient, HttpClientConfig, Settlement};
use t4t_protocol::{Message, parse_and_verify};
use t4t_settlement::settlement_routes;
use t4t_types::Xbzz;

use crate::world::{CLIENT, PRICE, PROVIDER, World, is_mined, job_of, outcome, submit};

fn over_http(settlement: Arc<dyn Settlement>) -> Arc<dyn Settlement> {
    let guard = Guard::new("settlement", "secret".into());
    let server = HttpServer::new(move || {
        let (guard, settlement) = (guard.clone(), Arc::clone(&settlement));
        App::new().configure(move |routes| settlement_routes(routes, &guard, &settlement))
    });
    let server = server.workers(1).bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", server.addrs()[0]).parse().unwrap();
    actix_web::rt::spawn(server.run());
    let token = "secret".into();
    Arc::new(HttpClient::new(HttpClientConfig { service: "settlement", url, token }).unwrap())
}

async fn the_contract_holds(world: &World, settlement: &Arc<dyn Settlement>) {
    let intent = world.job().await;
    let racing = join_all((0..100).map(|_| submit(settlement, "post:1", intent.clone()))).await;
    let nonces: Vec<u64> = racing.into_iter().map(|answer| answer.unwrap().nonce).collect();
    assert!(nonces.iter().all(|nonce| *nonce == nonces[0]), "{nonces:?}");
    let posted = outcome(settlement, "post:1").await;
    assert!(is_mined(&posted));
    assert_eq!(submit(settlement, "post:1", intent).await.unwrap(), posted);
    assert_eq!(world.posted().await, 1);
    let job = world.market.addresses.escrow().job(world.anvil.rpc(), job_of(&posted)).await.unwrap();
    assert_eq!((job.client, job.max_payment), (world.wallet(CLIENT), PRICE));

    let account = settlement.ask(GetAccount {}).await.unwrap();
    assert_eq!(account.address, world.wallet(CLIENT));
    assert_eq!(account.escrow, world.market.addresses.escrow);
    assert_eq!(Some(account.xbzz), Xbzz::from_whole(10_000).checked_sub(PRICE));
    assert_eq!(account.pending, 0);

    let unknown = TransactionKey::new("post:none");
    let asked = settlement.ask(AwaitTransaction { key: unknown.clone(), wait_ms: 10 }).await;
    assert_eq!(asked, Err(SettlementError::UnknownTransaction { key: unknown }));
    let own = submit(settlement, "approve:mine", world.job().await).await;
    assert!(matches!(own, Err(SettlementError::Invalid { .. })), "{own:?}");

    let body = json!({ "jobId": format!("0x{}", "11".repeat(32)), "responseHash": "22".repeat(32) });
    let to = world.wallet(PROVIDER);
    let envelope = settlement.ask(SignEnvelope { kind: "job_deliver".into(), to, body }).await.unwrap();
    let verified = parse_and_verify(envelope.as_bytes()).unwrap();
    assert_eq!((verified.from, verified.to), (world.wallet(CLIENT), to));
    assert!(matches!(verified.message, Message::JobDeliver(_)));
    for (kind, body) in [("job_deliver", json!({})), ("job_pay", json!({})), ("job_ack", json!([]))] {
        let refused = settlement.ask(SignEnvelope { kind: kind.into(), to, body }).await;
        assert!(matches!(refused, Err(SettlementError::Invalid { .. })), "{refused:?}");
    }
}

#[actix_web::test]
async fn a_job_posted_twice_under_one_key_exists_once() {
    let world = World::with_provider().await;
    let running = world.start(CLIENT).await;
    the_contract_holds(&world, &running.settlement).await;
    running.stop().await;
}

#[actix_web::test]
async fn over_http_a_job_posted_twice_under_one_key_exists_once() {
    let world = World::with_provider().await;
    let running = world.start(CLIENT).await;
    the_contract_holds(&world, &over_http(Arc::clone(&running.settlement))).await;
    running.stop().await;
}

#[actix_web::test]
async fn nothing_is_signed_after_the_stop() {
    let world = World::with_provider().await;
    let running = world.start(CLIENT).await;
    let settlement = Arc::clone(&running.settlement);
    running.stop().await;
    let refused = submit(&settlement, "post:1", world.job().await).await;
    assert!(matches!(refused, Err(SettlementError::Transport { .. })), "{refused:?}");
    assert!(world.proxy.sent().is_empty());
}
