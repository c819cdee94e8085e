//! The contract with the callers, the same over both transports.

use std::sync::Arc;

use actix_web::{App, HttpServer};
use futures_util::future::join_all;
use serde_json::json;
use t4t_api::settlement::{AwaitTransaction, GetAccount, SettlementError, SignEnvelope, TransactionKey};
use t4t_api::{Guard, HttpClient, HttpClientConfig, Settlement};
use t4t_protocol::{JobDeliver, MAX_ENVELOPE_BYTES, Message, OutgoingMessage, parse_and_verify};
use t4t_settlement::settlement_routes;
use t4t_types::{RoutingId, SwarmRef, Xbzz};

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

    let (routing_id, response_hash) = (RoutingId::new([0x11; 32]), SwarmRef::new([0x22; 32]));
    let deliver = |ext| OutgoingMessage::JobDeliver(JobDeliver { routing_id, response_hash, ext });
    let to = world.wallet(PROVIDER);
    let sign = |ext| settlement.ask(SignEnvelope { to, message: deliver(ext) });
    let envelope = sign(Some(json!({ "eta": 3 }))).await.unwrap();
    let verified = parse_and_verify(envelope.as_bytes()).unwrap();
    assert_eq!((verified.from, verified.to), (world.wallet(CLIENT), to));
    let ext = Some(json!({ "eta": 3 }));
    assert_eq!(verified.message, Message::JobDeliver(JobDeliver { routing_id, response_hash, ext }));
    let unreadable = sign(Some("x".repeat(MAX_ENVELOPE_BYTES).into())).await;
    assert!(matches!(unreadable, Err(SettlementError::Invalid { .. })), "{unreadable:?}");
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
