//! `/tags`: the progress of uploads.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::error::ApiError;
use super::{ApiData, ApiResult, resource};

pub(super) fn configure(app: &mut web::ServiceConfig) {
    app.service(resource("/tags", "GET, POST", [web::post().to(create), web::get().to(list)]));
    let one = [web::get().to(get), web::patch().to(patch), web::delete().to(remove)];
    app.service(resource("/tags/{uid}", "GET, PATCH, DELETE", one));
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    offset: usize,
    #[serde(default = "Page::most")]
    limit: usize,
}

impl Page {
    const fn most() -> usize {
        100
    }
}

fn absent() -> ApiError {
    ApiError::not_found("tag not present")
}

async fn create(api: ApiData) -> ApiResult {
    let tag = api.node().tags().create(api.network.now().to_string());
    Ok(HttpResponse::Created().json(tag))
}

async fn list(api: ApiData, page: web::Query<Page>) -> ApiResult {
    let tags = api.node().tags().list(page.offset, page.limit.min(1000), api.network.now());
    Ok(HttpResponse::Ok().json(serde_json::json!({ "tags": tags })))
}

async fn get(api: ApiData, uid: web::Path<u64>) -> ApiResult {
    let tag = api.node().tags().get(*uid, api.network.now()).ok_or_else(absent)?;
    Ok(HttpResponse::Ok().json(tag))
}

async fn patch(api: ApiData, uid: web::Path<u64>) -> ApiResult {
    api.node().tags().get(*uid, api.network.now()).ok_or_else(absent)?;
    Ok(HttpResponse::Ok().json(serde_json::json!({ "code": 200, "message": "ok" })))
}

async fn remove(api: ApiData, uid: web::Path<u64>) -> ApiResult {
    if api.node().tags().remove(*uid) { Ok(HttpResponse::NoContent().finish()) } else { Err(absent()) }
}
