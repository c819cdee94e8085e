use bytes::Bytes;
use t4t_protocol::job::{BuyingState, BuyingStep, SellingState, SellingStep};
use t4t_types::{
    EncryptionKey, JobId, Overlay, RequestId, SwarmRef, TokenPrices, TokenUsage, TxHash, UnixSeconds, Xbzz,
};

use super::*;
use crate::buying::BuyingJob;
use crate::chain_events::{JobLog, JobLogChanges, JobLogQuery, Party};
use crate::notices::Notice;
use crate::scene::{MARKET, store};
use crate::selling::SellingJob;
use crate::{HistoryEntry, NewHistoryEntry, Side};

const OTHER: Market = Market { chain_id: 100, escrow: Address::new([0xe6; 20]) };
const WALLET: Address = Address::new([0xaa; 20]);
const ID: [u8; 32] = [7; 32];

fn bought(max_payment: Xbzz) -> BuyingJob {
    BuyingJob {
        request_id: RequestId::new(ID),
        attempt: 1,
        state: BuyingState::Planned,
        provider: Address::new([2; 20]),
        provider_key: EncryptionKey::new([3; 32]),
        provider_overlay: Overlay::new([4; 32]),
        model: "m".parse().unwrap(),
        prices: TokenPrices::default(),
        request_hash: SwarmRef::new(ID),
        max_payment,
        delivery_deadline: UnixSeconds::new(900),
        job: None,
        response_hash: None,
        paid: None,
        reason: None,
        created_at_ms: 7,
        explored: false,
    }
}

fn sold(max_payment: Xbzz) -> SellingJob {
    SellingJob {
        job: JobId::new(ID),
        state: SellingState::Accepted,
        client: WALLET,
        request_hash: SwarmRef::new(ID),
        model: "m".parse().unwrap(),
        max_payment,
        prices: TokenPrices::default(),
        ack_deadline: UnixSeconds::new(30),
        delivery_deadline: UnixSeconds::new(900),
        runs: 0,
        response_hash: None,
        usage: None,
        payment: None,
        paid: None,
        reason: None,
        created_at_ms: 1,
    }
}

fn log(block: u64) -> JobLog {
    let (tx, job) = (TxHash::ZERO, JobId::new(ID));
    let block_hash = [u8::try_from(block).unwrap(); 32];
    JobLog { block, block_hash, log_index: 0, tx, job, client: WALLET, provider: WALLET, what: "x".into() }
}

/// Stores the same numbers in a market, with amounts and blocks that are its own.
async fn fill(store: &Store, own: u8) {
    let amount = Xbzz::from_plur(own.into());
    let row = bought(amount);
    store.buying_insert(&row, &[own]).await.unwrap();
    let posted = BuyingStep::Posted { job: JobId::new(ID) };
    store.buying_move((row.request_id, 1), BuyingState::Planned, &posted, 8).await.unwrap();
    let row = sold(amount);
    assert!(store.selling_insert(&row).await.unwrap());
    let (sealed, usage) = (Bytes::from(vec![own]), TokenUsage { prompt: 1, completion: 1 });
    let answered = SellingStep::Answered { sealed, usage, payment: amount };
    let steps = [(SellingState::Accepted, SellingStep::Began), (SellingState::Working, answered)];
    for (from, step) in steps {
        store.selling_move((&row).into(), from, &step, 2).await.unwrap();
    }
    let notice = Notice {
        client: WALLET,
        request_hash: SwarmRef::new(ID),
        client_key: EncryptionKey::new([own; 32]),
        client_overlay: Overlay::new([4; 32]),
        reply_url: None,
    };
    store.notice_insert(&notice, 1).await.unwrap();
    let (added, cursor) = ([log(own.into())], Some(("reader", own.into())));
    store.job_logs_apply(JobLogChanges { removed: &[], added: &added, cursor, now_ms: 1 }).await.unwrap();
    let entry = HistoryEntry { at_ms: 1, event: own.to_string(), detail: String::new() };
    let entry = NewHistoryEntry { side: Side::Selling, subject: ID, entry };
    store.history_insert_all(&[entry]).await.unwrap();
}

/// That a market shows what was stored in it and nothing else.
async fn shows(store: &Store, own: u8) {
    let amount = Xbzz::from_plur(own.into());
    let (job, hash) = (JobId::new(ID), SwarmRef::new(ID));
    let mut bought = store.buying_by_request(RequestId::new(ID)).await.unwrap();
    bought.extend(store.buying_list_open().await.unwrap());
    bought.extend(store.buying_list_since(0).await.unwrap());
    bought.extend(store.buying_list_recent(9).await.unwrap());
    bought.extend(store.buying_by_job(job).await.unwrap());
    bought.extend(store.buying_by_routing_id(hash.routing_id()).await.unwrap());
    assert_eq!(bought.iter().map(|row| row.max_payment).collect::<Vec<_>>(), [amount; 6]);
    let mut sold = store.selling_list_open().await.unwrap();
    sold.extend(store.selling_list_recent(9).await.unwrap());
    sold.extend(store.selling_list_like(WALLET, hash, UnixSeconds::new(0)).await.unwrap());
    sold.extend(store.selling_by_job(job).await.unwrap());
    sold.extend(store.selling_by_request(WALLET, hash).await.unwrap());
    assert_eq!(sold.iter().map(|row| row.payment).collect::<Vec<_>>(), [Some(amount); 5]);
    let sealed = store.buying_sealed_request((RequestId::new(ID), 1)).await.unwrap();
    assert_eq!(sealed.unwrap(), [own].as_slice());
    assert_eq!(store.selling_sealed_answer(job).await.unwrap().unwrap(), [own].as_slice());
    let notice = store.notice_by_request(WALLET, hash).await.unwrap().unwrap();
    assert_eq!(notice.client_key, EncryptionKey::new([own; 32]));
    assert_eq!(store.cursor_by_name("reader").await.unwrap(), Some(own.into()));
    let query =
        JobLogQuery { wallet: WALLET, party: Party::Client, since_block: 0, after: 0, up_to: 99, limit: 9 };
    let told = store.job_logs_by_wallet(query).await.unwrap();
    assert_eq!(told.iter().map(|kept| kept.log.block).collect::<Vec<_>>(), [u64::from(own)]);
    assert_eq!(store.job_logs_from_block(0).await.unwrap().len(), 1);
    let history = store.history_by_subject(Side::Selling, &ID).await.unwrap();
    assert_eq!(history.iter().map(|entry| entry.event.clone()).collect::<Vec<_>>(), [own.to_string()]);
}

#[tokio::test]
async fn the_same_numbers_in_two_markets_are_two_jobs() {
    let (_folder, ours) = store().await;
    let other = ours.for_market(OTHER).await.unwrap();
    fill(&ours, 1).await;
    fill(&other, 2).await;
    shows(&ours, 1).await;
    shows(&other, 2).await;
    let uploaded = SellingStep::Uploaded { response_hash: SwarmRef::new([9; 32]) };
    other.selling_move(JobId::new(ID).into(), SellingState::Answered, &uploaded, 3).await.unwrap();
    let claimed = BuyingStep::Claimed { response_hash: None, paid: Xbzz::from_plur(2) };
    other.buying_move((RequestId::new(ID), 1), BuyingState::Posted, &claimed, 3).await.unwrap();
    shows(&ours, 1).await;
    let again = ours.for_market(OTHER).await.unwrap();
    assert_eq!(again.selling_by_job(JobId::new(ID)).await.unwrap().unwrap().state, SellingState::Uploaded);
    let jobs = |market| KnownMarket { market: Some(market), jobs: 2 };
    assert_eq!(ours.markets_list().await.unwrap(), [jobs(MARKET), jobs(OTHER)]);
}

#[tokio::test]
async fn nothing_of_a_job_is_stored_without_its_market() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("t4t.db")).await.unwrap();
    let stored = store.buying_insert(&bought(Xbzz::ZERO), &[1]).await;
    assert!(matches!(stored, Err(StoreError::NoMarket)));
    let stored = store.selling_insert(&sold(Xbzz::ZERO)).await;
    assert!(matches!(stored, Err(StoreError::NoMarket)));
    assert!(matches!(store.in_market(OTHER).await, Err(StoreError::NoMarket)), "reading names none");
}
