//! `/dev/faults`: what goes wrong, as JSON. The whole network's, whichever node is asked.

use actix_web::{HttpResponse, web};

use super::error::ApiError;
use super::{ApiData, ApiResult, resource};
use crate::Faults;

pub(super) fn configure(app: &mut web::ServiceConfig) {
    app.service(resource("/dev/faults", "GET, PUT", [web::get().to(get), web::put().to(put)]));
    app.service(resource("/dev/cut-subscriptions", "POST", [web::post().to(cut)]));
}

async fn get(api: ApiData) -> ApiResult {
    Ok(HttpResponse::Ok().json(api.network.faults.get()))
}

async fn put(api: ApiData, body: web::Bytes) -> ApiResult {
    let faults: Faults =
        serde_json::from_slice(&body).map_err(|error| ApiError::new(400, error.to_string()))?;
    api.network.faults.set(faults.clone());
    Ok(HttpResponse::Ok().json(faults))
}

async fn cut(api: ApiData) -> ApiResult {
    api.network.faults.cut_subscriptions();
    Ok(HttpResponse::NoContent().finish())
}
