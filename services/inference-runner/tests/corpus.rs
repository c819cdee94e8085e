//! Answers in the shapes that backends really send, and what is to be read in them.
//!
//! Each file of `corpus/` has what it shows, the status, the content type and how the body is written (`bom`, `crlf`,
//! `open`: the connection is not closed), then the body, then the answer as an app gets it. Where that says `call_*`, any
//! made-up id will do. An answer that is none says `refused` (all of it) or `failed` (a part of the reason).

#![expect(clippy::unwrap_used, reason = "tests")]

mod rig;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rig::raw::{Asked, RawBackend, Reply};
use rig::{Rig, Way, chat, config, endpoints};
use serde_json::{Value, json};
use t4t_api::inference_runner::{RunInference, RunnerError};

struct Case {
    name: String,
    status: u16,
    content_type: String,
    body: Vec<u8>,
    stays_open: bool,
    expected: Value,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| read(file)).collect()
}

fn read(file: &Path) -> Case {
    let text = std::fs::read_to_string(file).unwrap();
    let (head, rest) = text.split_once("--- body\n").unwrap();
    let (body, expected) = rest.split_once("--- answer\n").unwrap();
    let field = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
        line.unwrap_or_default().trim().to_owned()
    };
    let written = field("written");
    let mut body = body.to_owned();
    if written.contains("crlf") {
        body = body.replace('\n', "\r\n");
    }
    if written.contains("bom") {
        body.insert(0, '\u{feff}');
    }
    Case {
        name: file.file_stem().unwrap().to_string_lossy().into_owned(),
        status: field("status").parse().unwrap_or(200),
        content_type: field("type"),
        body: body.into_bytes(),
        stays_open: written.contains("open"),
        expected: serde_json::from_str(expected).unwrap(),
    }
}

fn reply(case: &Case) -> Reply {
    if !case.stays_open {
        return Reply::whole(case.status, &case.content_type, &case.body);
    }
    let head = format!(
        "HTTP/1.1 {} Raw\r\ncontent-type: {}\r\nconnection: close\r\n\r\n",
        case.status, case.content_type
    );
    Reply::Slowly(vec![
        (Duration::ZERO, [head.as_bytes(), &case.body].concat()),
        (Duration::from_secs(60), Vec::new()),
    ])
}

/// What came, in the form in which the files say what should.
fn came(end: Result<t4t_inference::End, RunnerError>, expected: &Value) -> Value {
    match end {
        Ok(finished) => {
            let mut answer: Value = serde_json::from_str(finished.whole.unwrap().as_str()).unwrap();
            forget_made_up_ids(&mut answer, expected);
            answer
        }
        Err(RunnerError::Refused { refusal }) => json!({ "refused": refusal }),
        Err(error) => match expected["failed"].as_str() {
            Some(part) if error.to_string().contains(part) => json!({ "failed": part }),
            _ => json!({ "failed": error.to_string() }),
        },
    }
}

/// Writes `call_*` where that is expected and an id of its own stands.
fn forget_made_up_ids(answer: &mut Value, expected: &Value) {
    let mut seen = std::collections::HashSet::new();
    for choice in answer["choices"].as_array_mut().unwrap() {
        let calls =
            choice.pointer_mut("/message/tool_calls").and_then(Value::as_array_mut).into_iter().flatten();
        for call in calls {
            let id = call["id"].as_str().unwrap().to_owned();
            assert!(seen.insert(id.clone()), "two calls have the id {id}");
            if expected.to_string().contains("call_*") && id.starts_with("call_") && id.len() == 29 {
                call["id"] = json!("call_*");
            }
        }
    }
}

#[actix_web::test]
async fn every_recorded_shape_is_read_right() {
    let cases = cases();
    assert!(cases.len() >= 30, "{} files", cases.len());
    let current = Arc::new(Mutex::new(0));
    let (shown, at) = (Arc::new(cases), Arc::clone(&current));
    let served = Arc::clone(&shown);
    let backend = RawBackend::start(move |asked: &Asked| match asked.path.as_str() {
        "/v1/models" => Reply::models(&[json!({"id": "m1", "max_model_len": 131_072})]),
        _ => reply(&served[*at.lock().unwrap()]),
    })
    .await;
    let rig = Rig::start(Way::Mailbox, config(&endpoints(std::slice::from_ref(&backend.url)))).await;
    let mut wrong = Vec::new();
    for (index, case) in shown.iter().enumerate() {
        *current.lock().unwrap() = index;
        let request = json!({"model": "m1", "messages": [{"role": "user", "content": "hi"}]});
        let call = RunInference { model: "m1".parse().unwrap(), ..chat(request) };
        let came = came(rig.run(call).await.end, &case.expected);
        if came != case.expected {
            wrong.push(format!("{}: came\n{came:#}\nexpected\n{:#}", case.name, case.expected));
        }
        rig.running.discover().await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
