//! `/stamps`: postage batches.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use t4t_swarm::stamp::{Stamp, StampIndex, bucket, bucket_capacity};
use t4t_types::{BatchId, Xbzz, keccak256};

use super::error::ApiError;
use super::{Api, ApiData, ApiResult, params, resource};
use crate::network::batches::{Batch, Purchase};

/// Blocks that a batch must last: a day on Gnosis Chain.
const MINIMUM_BLOCKS: u128 = 17_280;
const SHALLOWEST: u8 = 17;
const DEEPEST: u8 = 41;

pub(super) fn configure(app: &mut web::ServiceConfig) {
    app.service(resource("/stamps", "GET", [web::get().to(list)]));
    app.service(resource("/stamps/topup/{batch}/{amount}", "PATCH", [web::patch().to(top_up)]));
    app.service(resource("/stamps/dilute/{batch}/{depth}", "PATCH", [web::patch().to(dilute)]));
    app.service(resource("/stamps/{batch}/buckets", "GET", [web::get().to(buckets)]));
    app.service(resource("/stamps/{amount}/{depth}", "POST", [web::post().to(buy)]));
    app.service(resource("/stamps/{batch}", "GET, PATCH", [web::get().to(one), web::patch().to(rename)]));
    app.service(resource("/batches", "GET", [web::get().to(every)]));
    app.service(resource("/batches/{batch}", "GET", [web::get().to(any)]));
    app.service(resource("/envelope/{address}", "POST", [web::post().to(envelope)]));
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StampJson {
    #[serde(rename = "batchID")]
    batch_id: BatchId,
    utilization: u32,
    utilization_ratio: f64,
    usable: bool,
    label: String,
    depth: u8,
    amount: Xbzz,
    bucket_depth: u8,
    block_number: u64,
    immutable_flag: bool,
    exists: bool,
    #[serde(rename = "batchTTL")]
    batch_ttl: i64,
}

#[derive(Serialize)]
struct Transaction {
    #[serde(rename = "batchID")]
    batch_id: BatchId,
    #[serde(rename = "txHash")]
    tx_hash: String,
}

impl Api {
    fn stamp_json(&self, batch: &Batch) -> StampJson {
        StampJson {
            batch_id: batch.id,
            utilization: batch.utilization,
            utilization_ratio: f64::from(batch.utilization) / f64::from(bucket_capacity(batch.depth)),
            usable: self.network.usable(batch),
            label: batch.label.clone(),
            depth: batch.depth,
            amount: batch.amount,
            bucket_depth: Batch::BUCKET_DEPTH,
            block_number: batch.start_block,
            immutable_flag: batch.immutable,
            exists: batch.value > self.network.total_amount() && !self.network.hides(batch),
            batch_ttl: self.seconds_left(batch),
        }
    }

    fn seconds_left(&self, batch: &Batch) -> i64 {
        if self.network.hides(batch) {
            return -1;
        }
        if let Some(seconds) = self.network.ends_in(batch) {
            return seconds.into();
        }
        let config = &self.network.config;
        let left = batch.value.saturating_sub(self.network.total_amount());
        let blocks = left.checked_div(config.price.plur()).unwrap_or(u128::MAX);
        let seconds = blocks.saturating_mul(config.block_time.as_millis()) / 1000;
        i64::try_from(seconds).unwrap_or(i64::MAX)
    }

    /// Runs one transaction, which takes its time; a second one meanwhile is refused.
    async fn transact<T>(&self, work: impl FnOnce() -> Result<T, ApiError>) -> Result<T, ApiError> {
        let busy = || ApiError::new(429, "simultaneous on-chain operations not supported");
        let _one_at_a_time = self.node().transaction.try_lock().map_err(|_| busy())?;
        self.network.config.clock.sleep(self.network.config.transaction_delay).await;
        work()
    }

    fn receipt(&self, batch_id: BatchId) -> Transaction {
        let hash = keccak256([&batch_id.as_bytes()[..], &self.network.now().to_be_bytes()].concat());
        Transaction { batch_id, tx_hash: format!("0x{}", hex::encode(hash)) }
    }
}

fn amount(text: &str) -> Result<Xbzz, ApiError> {
    text.parse().map(Xbzz::from_plur).map_err(|_| ApiError::invalid("path", "amount", "invalid syntax"))
}

fn depth(text: &str) -> Result<u8, ApiError> {
    text.parse().map_err(|_| ApiError::invalid("path", "depth", "invalid syntax"))
}

fn batch_id(text: &str) -> Result<BatchId, ApiError> {
    text.parse().map_err(|_| ApiError::invalid("path", "batch_id", "invalid hex or length"))
}

/// What a batch of this depth costs; nobody can pay more than fits.
fn cost(amount: Xbzz, depth: u8) -> Xbzz {
    1u128.checked_shl(depth.into()).and_then(|chunks| amount.checked_mul(chunks)).unwrap_or(Xbzz::MAX)
}

#[derive(Deserialize)]
struct Label {
    #[serde(default)]
    label: String,
}

async fn buy(
    api: ApiData,
    path: web::Path<(String, String)>,
    label: web::Query<Label>,
    request: HttpRequest,
) -> ApiResult {
    let (amount, depth) = (amount(&path.0)?, depth(&path.1)?);
    let immutable = params::flag(&request, "immutable", true)?;
    if !(SHALLOWEST..=DEEPEST).contains(&depth) {
        return Err(ApiError::bad_request("invalid depth"));
    }
    let network = &api.network;
    if amount.plur() < network.config.price.plur().saturating_mul(MINIMUM_BLOCKS) {
        return Err(ApiError::bad_request("insufficient amount for 24h minimum validity"));
    }
    let buying = api.transact(|| {
        if !api.node().pay(cost(amount, depth)) {
            return Err(ApiError::bad_request("out of funds"));
        }
        let usable_delay = network.config.stamp_usable_delay.as_millis() as u64;
        Ok(network.batches().buy(Purchase {
            owner: api.index,
            label: label.into_inner().label,
            depth,
            amount,
            value: network.total_amount().saturating_add(amount.plur()),
            immutable,
            start_block: network.block(),
            usable_at: network.now().saturating_add(usable_delay),
            seen_at: network.now().saturating_add(network.faults.get().new_batch_unseen_ms),
        }))
    });
    Ok(HttpResponse::Created().json(api.receipt(buying.await?)))
}

async fn top_up(api: ApiData, path: web::Path<(String, String)>) -> ApiResult {
    let (id, amount) = (batch_id(&path.0)?, amount(&path.1)?);
    let failed = || ApiError::new(500, "cannot topup batch");
    api.transact(|| {
        let depth = api.network.batches().owned(api.index, &id).ok_or_else(failed)?.depth;
        if !api.node().pay(cost(amount, depth)) {
            return Err(ApiError::new(402, "out of funds"));
        }
        let mut batches = api.network.batches();
        let batch = batches.owned_mut(api.index, &id).ok_or_else(failed)?;
        batch.value = batch.value.saturating_add(amount.plur());
        batch.amount = batch.amount.saturating_add(amount);
        Ok(())
    })
    .await?;
    Ok(HttpResponse::Accepted().json(api.receipt(id)))
}

async fn dilute(api: ApiData, path: web::Path<(String, String)>) -> ApiResult {
    let (id, depth) = (batch_id(&path.0)?, depth(&path.1)?);
    api.transact(|| {
        let total_amount = api.network.total_amount();
        let mut batches = api.network.batches();
        let batch =
            batches.owned_mut(api.index, &id).ok_or_else(|| ApiError::new(500, "cannot dilute batch"))?;
        if depth <= batch.depth || depth > DEEPEST {
            return Err(ApiError::bad_request("invalid depth"));
        }
        batch.dilute(depth, total_amount);
        Ok(())
    })
    .await?;
    Ok(HttpResponse::Accepted().json(api.receipt(id)))
}

async fn list(api: ApiData) -> ApiResult {
    let batches = api.network.batches();
    let ours = batches.iter().filter(|batch| batch.owner == api.index && api.network.lists(batch));
    let stamps: Vec<StampJson> = ours.map(|batch| api.stamp_json(batch)).collect();
    Ok(HttpResponse::Ok().json(serde_json::json!({ "stamps": stamps })))
}

async fn one(api: ApiData, path: web::Path<String>) -> ApiResult {
    let id = batch_id(&path)?;
    let batches = api.network.batches();
    let batch = batches.owned(api.index, &id).ok_or_else(|| ApiError::not_found("issuer does not exist"))?;
    if !api.network.lists(batch) && api.network.hides(batch) {
        return Err(ApiError::not_found("issuer does not exist"));
    }
    if !api.network.usable(batch) {
        return Err(ApiError::bad_request("batch not usable"));
    }
    Ok(HttpResponse::Ok().json(api.stamp_json(batch)))
}

async fn rename(api: ApiData, path: web::Path<String>, label: web::Json<Label>) -> ApiResult {
    let id = batch_id(&path)?;
    let mut batches = api.network.batches();
    let batch =
        batches.owned_mut(api.index, &id).ok_or_else(|| ApiError::not_found("issuer does not exist"))?;
    batch.label = label.into_inner().label;
    Ok(HttpResponse::Ok().json(serde_json::json!({ "code": 200, "message": "OK" })))
}

async fn buckets(api: ApiData, path: web::Path<String>) -> ApiResult {
    let id = batch_id(&path)?;
    let batches = api.network.batches();
    let batch = batches.owned(api.index, &id).ok_or_else(|| ApiError::not_found("issuer does not exist"))?;
    let bucket = |id: u16| serde_json::json!({ "bucketID": id, "collisions": batch.count(id) });
    Ok(HttpResponse::Ok().json(serde_json::json!({
        "depth": batch.depth,
        "bucketDepth": Batch::BUCKET_DEPTH,
        "bucketUpperBound": bucket_capacity(batch.depth),
        "buckets": (0..=u16::MAX).map(bucket).collect::<Vec<_>>(),
    })))
}

fn batch_json(api: &Api, batch: &Batch) -> serde_json::Value {
    serde_json::json!({
        "batchID": batch.id,
        "value": batch.value.to_string(),
        "start": batch.start_block,
        "owner": hex::encode(api.network.nodes[batch.owner].identity.ethereum.as_bytes()),
        "depth": batch.depth,
        "bucketDepth": Batch::BUCKET_DEPTH,
        "immutable": batch.immutable,
        "batchTTL": api.seconds_left(batch),
    })
}

async fn every(api: ApiData) -> ApiResult {
    let batches: Vec<_> = api.network.batches().iter().map(|batch| batch_json(&api, batch)).collect();
    Ok(HttpResponse::Ok().json(serde_json::json!({ "batches": batches })))
}

async fn any(api: ApiData, path: web::Path<String>) -> ApiResult {
    let id = batch_id(&path)?;
    let batches = api.network.batches();
    let batch = batches.get(&id).ok_or_else(|| ApiError::not_found("batch not found"))?;
    Ok(HttpResponse::Ok().json(batch_json(&api, batch)))
}

/// Stamps a chunk in advance.
async fn envelope(api: ApiData, path: web::Path<String>, request: HttpRequest) -> ApiResult {
    let (address, batch_id) = (params::reference(&path)?, params::batch(&request)?);
    api.check_batch(&batch_id)?;
    let mut batches = api.network.batches();
    let batch = batches
        .owned_mut(api.index, &batch_id)
        .ok_or_else(|| ApiError::not_found("batch with id not found"))?;
    let index = batch.stamp(&address, address).map_err(ApiError::from_upload)?;
    debug_assert_eq!(index.bucket, u32::from(bucket(&address)));
    let identity = &api.node().identity;
    let timestamp = api.network.now().saturating_mul(1_000_000);
    let stamp = Stamp::sign(&address, batch_id, StampIndex { ..index }, timestamp, &identity.signing_key);
    Ok(HttpResponse::Created().json(serde_json::json!({
        "issuer": identity.ethereum.to_lowercase(),
        "index": hex::encode(index.to_bytes()),
        "timestamp": hex::encode(timestamp.to_be_bytes()),
        "signature": hex::encode(stamp.signature),
    })))
}
