//! What real kinds of backends are known to do: their contexts, their habits with connections, what they can't do.

#![expect(clippy::unwrap_used, reason = "tests")]

mod rig;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rig::raw::{Asked, RawBackend, Reply};
use rig::{Rig, Way, chat, config, content, endpoints};
use serde_json::{Value, json};
use t4t_api::inference_runner::{RunInference, RunnerError};

const CHAT: &str = "/v1/chat/completions";

fn answer(text: &str) -> Value {
    json!({"model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}})
}

fn not_found() -> Reply {
    Reply::whole(404, "text/plain", b"404 page not found")
}

async fn runner(backend: &RawBackend) -> Rig {
    Rig::start(Way::Mailbox, config(&endpoints(std::slice::from_ref(&backend.url)))).await
}

/// A request whose prompt is estimated at about so many tokens, with this much paid for.
fn prompt(tokens: usize, cap: u64) -> RunInference {
    let request =
        json!({"model": "m", "messages": [{"role": "user", "content": "word ".repeat(tokens * 4 / 5)}]});
    RunInference { model: "m".parse().unwrap(), max_completion_tokens: Some(cap), ..chat(request) }
}

fn refused(error: RunnerError) -> t4t_protocol::Refusal {
    match error {
        RunnerError::Refused { refusal } => refusal,
        other => panic!("{other:?}"),
    }
}

/// vLLM: refuses what its context has no room for.
fn vllm(context: u64, prompt_tokens: u64) -> impl Fn(&Asked) -> Reply + Send + Sync {
    move |asked| match asked.path.as_str() {
        "/v1/models" => Reply::models(&[json!({"id": "m", "owned_by": "vllm", "max_model_len": context})]),
        CHAT => match asked.body["max_tokens"].as_u64() {
            Some(limit) if limit + prompt_tokens > context => {
                let message = format!(
                    "This model's maximum context length is {context} tokens. However, you requested {} tokens",
                    limit + prompt_tokens
                );
                Reply::json(
                    400,
                    &json!({"object": "error", "message": message, "type": "BadRequestError", "param": null, "code": 400}),
                )
            }
            _ => Reply::json(200, &answer("fine")),
        },
        _ => not_found(),
    }
}

#[actix_web::test]
async fn a_chat_without_a_limit_is_given_the_room_that_the_context_has() {
    let backend = RawBackend::start(vllm(4096, 1000)).await;
    let rig = runner(&backend).await;
    assert_eq!(rig.status().await.models[0].max_context_tokens, Some(4096));
    let (response, ..) = rig.run(prompt(1000, 19_671)).await.answer();
    assert_eq!(content(&response), "fine");
    let told = backend.asked(CHAT)[0].body["max_tokens"].as_u64().unwrap();
    assert!((3000..=3096).contains(&told), "{told}");
    let (response, ..) = rig.run(prompt(1000, 50)).await.answer();
    assert_eq!((content(&response), &backend.asked(CHAT)[1].body["max_tokens"]), ("fine", &json!(50)));
}

#[actix_web::test]
async fn a_backend_that_counts_more_than_we_do_is_asked_again_without_a_limit() {
    let backend = RawBackend::start(vllm(4096, 2000)).await;
    let rig = runner(&backend).await;
    let (response, ..) = rig.run(prompt(1000, 19_671)).await.answer();
    assert_eq!(content(&response), "fine");
    let asked = backend.asked(CHAT);
    assert_eq!((asked.len(), &asked[1].body["max_tokens"]), (2, &Value::Null));
}

#[actix_web::test]
async fn the_apps_own_limit_is_refused_in_the_backends_words() {
    let backend = RawBackend::start(vllm(4096, 4000)).await;
    let rig = runner(&backend).await;
    let mut call = prompt(1000, 19_671);
    let mut request: Value = serde_json::from_str(call.request.get()).unwrap();
    request["max_tokens"] = json!(200);
    call.request = serde_json::value::to_raw_value(&request).unwrap();
    let refusal = refused(rig.run(call).await.error());
    assert!(refusal.message.contains("maximum context length is 4096"), "{refusal:?}");
    assert_eq!(backend.asked(CHAT).len(), 1);
}

/// Ollama: tells its context beside `/v1`, and cuts what is longer without a word.
fn ollama(num_ctx: Option<u64>, loaded: Arc<AtomicBool>) -> impl Fn(&Asked) -> Reply + Send + Sync {
    move |asked| match asked.path.as_str() {
        "/v1/models" => Reply::models(&[json!({"id": "m"}), json!({"id": "vectors"})]),
        "/api/show" if asked.body["model"] == "vectors" => Reply::json(
            200,
            &json!({"capabilities": ["embedding"], "model_info": {"bert.context_length": 512}}),
        ),
        "/api/show" => {
            let parameters = num_ctx.map(|tokens| format!("num_ctx    {tokens}")).unwrap_or_default();
            Reply::json(
                200,
                &json!({"parameters": parameters, "capabilities": ["completion", "tools"], "model_info": {"llama.context_length": 131_072}}),
            )
        }
        "/api/generate" => {
            loaded.store(true, Ordering::SeqCst);
            Reply::json(200, &json!({"model": "m", "done": true, "done_reason": "load"}))
        }
        "/api/ps" if loaded.load(Ordering::SeqCst) => Reply::json(
            200,
            &json!({"models": [{"name": "m:latest", "model": "m:latest", "context_length": 4096}]}),
        ),
        "/api/ps" => Reply::json(200, &json!({"models": []})),
        CHAT => Reply::json(200, &answer("cut")),
        _ => not_found(),
    }
}

#[actix_web::test]
async fn a_prompt_that_ollama_would_cut_without_a_word_is_refused() {
    for num_ctx in [Some(4096), None] {
        let loaded = Arc::new(AtomicBool::new(false));
        let backend = RawBackend::start(ollama(num_ctx, Arc::clone(&loaded))).await;
        let rig = runner(&backend).await;
        assert_eq!(rig.status().await.models[0].max_context_tokens, num_ctx, "unknown is unknown");
        rig.run(prompt(1000, 500)).await.answer();
        let refusal = refused(rig.run(prompt(6000, 500)).await.error());
        assert_eq!((refusal.status, refusal.code.as_deref()), (Some(400), Some("context_length_exceeded")));
        assert_eq!(backend.asked(CHAT).len(), 1, "the long one was not sent");
        rig.running.discover().await;
        if loaded.load(Ordering::SeqCst) {
            assert_eq!(rig.status().await.models[0].max_context_tokens, Some(4096), "as it is loaded");
        }
    }
}

#[actix_web::test]
async fn a_model_that_can_not_chat_is_not_offered_as_one() {
    let backend = RawBackend::start(ollama(None, Arc::default())).await;
    let rig = runner(&backend).await;
    assert_eq!(rig.models().await, ["m"]);
    assert!(rig.models_away().await.is_empty());
    let doubtful = RawBackend::start(|asked: &Asked| match asked.path.as_str() {
        "/v1/models" => Reply::models(&[
            json!({"id": "m"}),
            json!({"id": "bge-large"}),
            json!({"id": "my-embedded-chat"}),
        ]),
        CHAT if asked.body["model"] == "bge-large" => Reply::json(
            400,
            &json!({"error": {"message": "The model does not support Chat Completions API"}}),
        ),
        CHAT => Reply::json(200, &answer("fine")),
        _ => not_found(),
    })
    .await;
    let rig = runner(&doubtful).await;
    assert_eq!(rig.models().await, ["m", "my-embedded-chat"], "a name alone is only a reason to try");
    assert!(rig.models_away().await.is_empty());
}

#[actix_web::test]
async fn the_context_of_llama_cpps_slots_counts_and_not_what_the_model_was_trained_for() {
    let backend = RawBackend::start(|asked: &Asked| match asked.path.as_str() {
        "/v1/models" => {
            Reply::models(&[json!({"id": "m", "owned_by": "llamacpp", "meta": {"n_ctx_train": 131_072}})])
        }
        "/props" => {
            Reply::json(200, &json!({"default_generation_settings": {"n_ctx": 2048}, "total_slots": 4}))
        }
        "/api/show" => Reply::json(200, &json!({"model_info": {"llama.context_length": 131_072}})),
        _ => not_found(),
    })
    .await;
    let rig = runner(&backend).await;
    assert_eq!(rig.status().await.models[0].max_context_tokens, Some(2048));
}

#[actix_web::test]
async fn a_kept_connection_that_was_closed_costs_no_request() {
    let backend = RawBackend::start(|asked: &Asked| match asked.path.as_str() {
        "/v1/models" => Reply::models(&[json!({"id": "m", "max_model_len": 4096})]),
        CHAT if asked.before > 0 => Reply::Close,
        CHAT => Reply::json(200, &answer("fine")),
        _ => not_found(),
    })
    .await;
    let rig = runner(&backend).await;
    for _ in 0..3 {
        let (response, ..) = rig.run(prompt(10, 50)).await.answer();
        assert_eq!(content(&response), "fine");
    }
    let fresh = backend.asked(CHAT).iter().filter(|asked| asked.before == 0).count();
    assert_eq!(fresh, 3);
}

#[actix_web::test]
async fn a_backend_that_breaks_fresh_connections_is_asked_twice_at_most() {
    let backend = RawBackend::start(|asked: &Asked| match asked.path.as_str() {
        "/v1/models" => Reply::models(&[json!({"id": "m", "max_model_len": 4096})]),
        _ => Reply::Close,
    })
    .await;
    let rig = runner(&backend).await;
    assert!(matches!(rig.run(prompt(10, 50)).await.error(), RunnerError::Backend { .. }));
    assert_eq!(backend.asked(CHAT).len(), 2);
}

#[actix_web::test]
async fn the_time_to_wait_and_the_code_of_a_busy_backend_survive() {
    let backend = RawBackend::start(|asked: &Asked| match asked.path.as_str() {
        "/v1/models" => Reply::models(&[json!({"id": "m", "max_model_len": 4096})]),
        _ => {
            let body = r#"{"error":{"message":"Rate limit reached","type":"rate_limit","code":"rate_limit_exceeded"}}"#;
            let head = format!("HTTP/1.1 429 Busy\r\nretry-after: 2\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            Reply::Send(head.into_bytes())
        }
    })
    .await;
    let rig = runner(&backend).await;
    let refusal = refused(rig.run(prompt(10, 50)).await.error());
    assert_eq!((refusal.status, refusal.retry_after), (Some(429), Some(2)));
    assert_eq!(
        (refusal.code.as_deref(), refusal.kind.as_deref()),
        (Some("rate_limit_exceeded"), Some("rate_limit"))
    );
}
