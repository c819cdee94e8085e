//! Every route, and nothing else. Paths come without doubled and trailing slashes; `/v1` may be left out.

use actix_web::dev::RequestHead;
use actix_web::http::Method;
use actix_web::{HttpRequest, Route, guard, web};

use crate::error::GatewayError;
use crate::{completions, health, models};

/// Adds all routes.
pub(crate) fn routes(routes: &mut web::ServiceConfig) {
    for base in ["/v1", ""] {
        routes.service(
            web::resource(format!("{base}/chat/completions"))
                .route(web::post().to(completions::create))
                .default_service(web::to(only_post)),
        );
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
    routes
        .service(web::resource("/health").route(read().to(health::live)).default_service(web::to(only_get)));
    routes
        .service(web::resource("/ready").route(read().to(health::ready)).default_service(web::to(only_get)));
}

/// A route for GET and HEAD.
fn read() -> Route {
    let reads = |head: &RequestHead| head.method == Method::GET || head.method == Method::HEAD;
    web::route().guard(guard::fn_guard(move |context| reads(context.head())))
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
