//! Every route, and nothing else: those that sell come from the list of dialects. Paths come without doubled and trailing slashes; `/v1` may be left out.

use actix_web::dev::RequestHead;
use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, Route, guard, web};

use crate::dialects::ENDPOINTS;
use crate::error::GatewayError;
use crate::state::Edge;
use crate::{models, requests};

/// Adds all routes.
pub(crate) fn routes(routes: &mut web::ServiceConfig) {
    for base in ["/v1", ""] {
        for (path, dialect) in ENDPOINTS {
            let create = move |edge, http, payload| requests::create(dialect, edge, http, payload);
            routes.service(
                web::resource(format!("{base}{path}"))
                    .route(web::post().to(create))
                    .default_service(web::to(only_post)),
            );
        }
        routes.service(
            web::resource(format!("{base}/models"))
                .route(read().to(models::list))
                .default_service(web::to(only_get)),
        );
        routes.service(
            web::resource(format!("{base}/models/{{id:.+}}"))
                .route(read().to(models::retrieve))
                .default_service(web::to(only_get)),
        );
    }
    routes.service(web::resource("/health").route(read().to(live)).default_service(web::to(only_get)));
    routes.service(web::resource("/ready").route(read().to(ready)).default_service(web::to(only_get)));
}

/// A route for GET and HEAD.
fn read() -> Route {
    let reads = |head: &RequestHead| head.method == Method::GET || head.method == Method::HEAD;
    web::route().guard(guard::fn_guard(move |context| reads(context.head())))
}

async fn live(edge: web::Data<Edge>) -> HttpResponse {
    edge.health.live()
}

async fn ready(edge: web::Data<Edge>) -> HttpResponse {
    edge.health.ready().await
}

async fn only_post(request: HttpRequest) -> Result<String, GatewayError> {
    Err(wrong_method(&request, "POST, OPTIONS"))
}

async fn only_get(request: HttpRequest) -> Result<String, GatewayError> {
    Err(wrong_method(&request, "GET, HEAD, OPTIONS"))
}

fn wrong_method(request: &HttpRequest, allowed: &'static str) -> GatewayError {
    GatewayError::WrongMethod {
        method: request.method().to_string(),
        path: request.path().to_owned(),
        allowed,
    }
}

/// Answers what no route takes.
pub(crate) async fn unknown(request: HttpRequest) -> Result<String, GatewayError> {
    Err(GatewayError::UnknownRoute { method: request.method().to_string(), path: request.path().to_owned() })
}
