//! `GET /v1/models` and `GET /v1/models/{id}`.

use actix_web::{HttpResponse, web};

use crate::error::GatewayError;
use crate::state::Edge;
use crate::wire::model::{Model, ModelList};

/// Lists the models on offer.
pub(crate) async fn list(edge: web::Data<Edge>) -> Result<HttpResponse, GatewayError> {
    let models = edge.catalogue.models().await.map_err(GatewayError::Watcher)?;
    let data = models.iter().map(|listing| Model::new(listing, edge.catalogue.started())).collect();
    Ok(HttpResponse::Ok().json(ModelList { object: "list", data }))
}

/// Shows one model. Its name may hold slashes, sent as they are or as `%2F`.
pub(crate) async fn retrieve(
    edge: web::Data<Edge>,
    name: web::Path<String>,
) -> Result<HttpResponse, GatewayError> {
    let models = edge.catalogue.models().await.map_err(GatewayError::Watcher)?;
    match models.iter().find(|listing| listing.model.as_str() == *name) {
        Some(listing) => Ok(HttpResponse::Ok().json(Model::new(listing, edge.catalogue.started()))),
        None => Err(edge.catalogue.absence(&name).await),
    }
}
