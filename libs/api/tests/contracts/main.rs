//! The contracts between services as they travel: where each message goes, what it says, what comes back. A change shows
//! in the snapshots, where a review sees it (`INSTA_UPDATE=always` takes it over).
#![cfg(test)]

mod inference_runner;
mod job_dispatcher;
mod registry_watcher;
mod settlement;

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use t4t_api::{Call, ServiceError, StreamCall, TransportError};

/// An address, an id of 32 bytes, and a reference, as they travel.
const ADDRESS: &str = "0x2b5AD5c4795c026514f8317c7a215E218DcCD6cF";
const ID: &str = "0x0101010101010101010101010101010101010101010101010101010101010101";

/// Reads a value from its JSON and writes it again: what it becomes is what travels.
fn travelled<T: Serialize + DeserializeOwned>(json: &Value) -> Value {
    let name = std::any::type_name::<T>();
    let read: T = serde_json::from_str(&json.to_string())
        .unwrap_or_else(|error| panic!("{name} can't be read from {json}: {error}"));
    serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap()
}

fn all<T: Serialize + DeserializeOwned>(samples: &[Value]) -> Vec<Value> {
    samples.iter().map(travelled::<T>).collect()
}

/// A message and its answers.
fn call<C: Call>(messages: &[Value], replies: &[Value]) -> Value {
    json!({
        "path": C::PATH,
        "deadline_s": C::DEADLINE.as_secs(),
        "may_be_sent_twice": C::IDEMPOTENT,
        "messages": all::<C>(messages),
        "replies": all::<C::Reply>(replies),
    })
}

/// A message and the pieces of its answer.
fn stream<C: StreamCall>(messages: &[Value], items: &[Value]) -> Value {
    json!({
        "path": C::PATH,
        "deadline_s": C::DEADLINE.as_secs(),
        "messages": all::<C>(messages),
        "items": all::<C::Item>(items),
    })
}

/// A service's errors, with the status and the text of each.
fn errors<E: ServiceError>(samples: &[Value]) -> Value {
    let shown = samples.iter().map(|sample| {
        let error: E = serde_json::from_str(&sample.to_string())
            .unwrap_or_else(|error| panic!("{sample} is no error: {error}"));
        json!({ "status": error.status(), "says": error.to_string(), "travels": travelled::<E>(sample) })
    });
    shown.collect()
}

/// That a service could not be asked, as each service's error carries it.
fn transport() -> Value {
    json!({ "error": "transport", "cause": { "transport": "busy", "service": "settlement", "retry_after_s": 1 } })
}

#[test]
fn what_is_said_where_a_service_can_not_be_asked() {
    let samples = [
        json!({ "transport": "busy", "service": "settlement", "retry_after_s": 1 }),
        json!({ "transport": "starting", "service": "gateway", "retry_after_s": 2 }),
        json!({ "transport": "unreachable", "service": "settlement", "reason": "connection refused" }),
        json!({ "transport": "timed_out", "service": "settlement", "after_ms": 30_000 }),
        json!({ "transport": "unauthorized", "service": "settlement" }),
        json!({ "transport": "malformed", "service": "settlement", "reason": "no JSON" }),
    ];
    let shown = samples.iter().map(|sample| {
        let error: TransportError = serde_json::from_value(sample.clone()).unwrap();
        json!({ "status": error.status(), "says": error.to_string(), "travels": travelled::<TransportError>(sample) })
    });
    insta::assert_json_snapshot!(shown.collect::<Vec<_>>());
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { sources(&path, found) } else { found.push(path) }
    }
}

#[test]
fn every_message_and_every_error_is_in_a_snapshot() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    sources(&root.join("src"), &mut paths);
    let texts: Vec<String> = paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let mut shown = String::new();
    for entry in std::fs::read_dir(root.join("tests/contracts/snapshots")).unwrap() {
        shown.push_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    let declared = texts.iter().flat_map(|text| text.split("const PATH: &'static str = \"").skip(1));
    let declared: Vec<&str> = declared.filter_map(|rest| rest.split('"').next()).collect();
    let served: Vec<&&str> = declared.iter().filter(|path| path.contains("/v1/")).collect();
    assert!(served.len() >= 15, "{served:?}");
    let missing: Vec<_> = served.iter().filter(|path| !shown.contains(&format!("\"{path}\""))).collect();
    assert!(missing.is_empty(), "in no snapshot: {missing:?}");
    // Each variant of an error says something.
    let variants: usize = texts.iter().map(|text| text.matches("#[error(").count()).sum();
    let said = shown.matches("\"says\":").count();
    assert!(said >= variants, "{variants} errors, and {said} in snapshots: add the others");
}
