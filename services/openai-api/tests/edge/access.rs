//! Who is let in: by which name the gateway is called, and from which page.

use reqwest::{Method, RequestBuilder};
use serde_json::json;
use t4t_openai_api::AllowedOrigins;

use crate::gateway::{Gateway, chat, read};
use crate::market::{HELLO, answered};

/// Every kind of route: those that cost money, those that only tell, those that do not exist.
const ROUTES: [(Method, &str); 8] = [
    (Method::POST, "/v1/chat/completions"),
    (Method::GET, "/v1/models"),
    (Method::GET, "/v1/models/llama3:8b"),
    (Method::GET, "/models"),
    (Method::GET, "/health"),
    (Method::GET, "/ready"),
    (Method::OPTIONS, "/v1/chat/completions"),
    (Method::GET, "/nowhere"),
];

fn called(gateway: &Gateway, (method, path): &(Method, &str), host: &str) -> RequestBuilder {
    let request = gateway.http.request(method.clone(), gateway.url(path)).header("host", host);
    if *method == Method::POST { request.json(&chat()) } else { request }
}

async fn refusal(request: RequestBuilder) -> (u16, String) {
    let (status, body) = read(request.send().await.unwrap()).await;
    (status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn no_route_answers_to_a_strangers_name() {
    let gateway = Gateway::start();
    for route in &ROUTES {
        for host in
            ["evil.example", "evil.example:8080", "127.0.0.1.nip.io", "localhost.evil.example", "192.168.1.7"]
        {
            let refused = refusal(called(&gateway, route, host)).await;
            assert_eq!(refused, (403, "host_not_allowed".into()), "{route:?} as {host}");
            // A page whose own name points here is, to its browser, of the same origin, and names none.
            let page = called(&gateway, route, host).header("sec-fetch-site", "same-origin");
            assert_eq!(refusal(page).await.0, 403, "{route:?} as {host}");
        }
    }
    assert_eq!(gateway.buyer.begun(), 0);
}

#[tokio::test]
async fn a_gateway_of_this_machine_answers_to_this_machines_names_and_listed_ones() {
    let gateway = Gateway::configured(|config| config.allowed_hosts = vec!["chat.example".into()]);
    gateway.buyer.plays(vec![answered(HELLO)]);
    let port = gateway.running.addr().port();
    let own = [
        "localhost".to_owned(),
        format!("LOCALHOST:{port}"),
        format!("127.0.0.1:{port}"),
        format!("[::1]:{port}"),
    ];
    for host in
        own.iter().map(String::as_str).chain(["app.localhost", "host.docker.internal", "chat.example:443"])
    {
        for path in ["/v1/models", "/health"] {
            let answer = called(&gateway, &(Method::GET, path), host).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{path} as {host}");
        }
        let answer = called(&gateway, &ROUTES[0], host).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{host}");
    }
}

#[tokio::test]
async fn a_published_gateway_answers_to_its_containers_name_and_to_any_with_the_key() {
    let published = |key: Option<&'static str>| {
        Gateway::configured(|config| {
            config.bind = "0.0.0.0:0".parse().unwrap();
            config.api_key = key.map(Into::into);
        })
    };
    let open = published(None);
    let local = |gateway: &Gateway, path: &str, host: &str| {
        let url = format!("http://127.0.0.1:{}{path}", gateway.running.addr().port());
        gateway.http.get(url).header("host", host.to_owned())
    };
    for host in
        ["gateway:3000", "gateway.t4t.svc.cluster.local", "10.0.0.7:3000", "203.0.113.7", "localhost:3000"]
    {
        assert_eq!(local(&open, "/v1/models", host).send().await.unwrap().status(), 200, "{host}");
    }
    assert_eq!(refusal(local(&open, "/v1/models", "t4t.example")).await, (403, "host_not_allowed".into()));
    let keyed = published(Some("sk-right"));
    let with_key = local(&keyed, "/v1/models", "t4t.example").bearer_auth("sk-right");
    assert_eq!(with_key.send().await.unwrap().status(), 200);
    assert_eq!(refusal(local(&keyed, "/v1/models", "t4t.example")).await, (401, "invalid_api_key".into()));
    // What is told without the key is told to known names alone.
    for path in ["/health", "/ready"] {
        assert_eq!(
            refusal(local(&keyed, path, "t4t.example")).await,
            (403, "host_not_allowed".into()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_page_of_another_site_that_does_not_say_which_is_refused() {
    let gateway = Gateway::start();
    for route in ROUTES.iter().filter(|(method, _)| *method != Method::OPTIONS) {
        let request = called(&gateway, route, "localhost").header("sec-fetch-site", "cross-site");
        assert_eq!(refusal(request).await, (403, "origin_not_allowed".into()), "{route:?}");
    }
    assert_eq!(gateway.buyer.begun(), 0);
    // A desktop app names its origin, and whoever types the address comes from no page.
    let app = gateway
        .get("/v1/models")
        .header("sec-fetch-site", "cross-site")
        .header("origin", "tauri://localhost");
    assert_eq!(app.send().await.unwrap().status(), 200);
    for site in ["none", "same-origin", "same-site"] {
        let answer = gateway.get("/v1/models").header("sec-fetch-site", site).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{site}");
    }
    let any = Gateway::configured(|config| config.allowed_origins = AllowedOrigins::Any);
    let answer = any.get("/v1/models").header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn the_refusal_names_the_setting() {
    let gateway = Gateway::start();
    let (_, body) = read(gateway.get("/v1/models").header("host", "t4t.example").send().await.unwrap()).await;
    assert_eq!(
        body["error"]["message"],
        json!(
            "this gateway does not answer to t4t.example: call it by localhost or its address, or list the name in \
             T4T_ALLOWED_HOSTS"
        )
    );
}
