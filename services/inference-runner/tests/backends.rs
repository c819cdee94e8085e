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

fn refused(error: RunnerError) -> t4t_inference::Refusal {
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
    let mut request: Value = serde_json::from_str(call.request.json().as_str()).unwrap();
    request["max_tokens"] = json!(200);
    call.request = rig::read(&request);
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

/// A backend with one model that answers chats like this.
async fn chatting(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> RawBackend {
    RawBackend::start(move |asked: &Asked| match asked.path.as_str() {
        "/v1/models" => Reply::models(&[json!({"id": "m", "max_model_len": 4096})]),
        CHAT => reply(asked),
        _ => not_found(),
    })
    .await
}

fn bad_request(message: &str) -> Reply {
    Reply::json(400, &json!({"error": {"message": message}}))
}

#[actix_web::test]
async fn what_the_payment_limits_is_never_asked_without_a_limit() {
    let backend = RawBackend::start(vllm(4096, 4080)).await;
    let rig = runner(&backend).await;
    let (response, ..) = rig.run(prompt(1000, 50)).await.answer();
    assert_eq!(content(&response), "fine");
    let limits = |from: usize| -> Vec<Option<u64>> {
        backend.asked(CHAT)[from..].iter().map(|asked| asked.body["max_tokens"].as_u64()).collect()
    };
    assert_eq!(limits(0), [Some(50), Some(25), Some(12)]);
    // The prompt looks as if it left less room than is paid for: also then it is the payment that limits.
    assert!(rig.run(prompt(4070, 2000)).await.end.is_ok());
    assert!(limits(3).iter().all(Option::is_some), "{:?}", limits(3));
}

#[actix_web::test]
async fn an_answer_in_one_piece_that_is_longer_than_paid_is_cut() {
    let backend = chatting(|asked| {
        if asked.body["stream"] == true {
            return bad_request("not available when stream=True");
        }
        let mut whole = answer(&"word".repeat(4000));
        whole["usage"]["completion_tokens"] = json!(4000);
        Reply::json(200, &whole)
    })
    .await;
    let rig = runner(&backend).await;
    let outcome = rig.run(prompt(10, 20)).await;
    assert!(outcome.chunks.is_empty(), "what is cut is not passed on before");
    let (response, _, completion) = outcome.answer();
    assert_eq!((content(&response).len(), completion), (80, 20));
    assert_eq!(response["choices"][0]["finish_reason"], "length");
}

#[actix_web::test]
async fn the_end_of_a_stream_that_comes_all_at_once_is_cut_too() {
    let backend = chatting(|_| {
        let delta = |text: &str| json!({"choices": [{"index": 0, "delta": {"content": text}}]}).to_string();
        let end = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
        let body = format!(
            "data: {}\n\ndata: {}\n\ndata: {end}\n\ndata: [DONE]\n\n",
            delta("w"),
            delta(&"word".repeat(1000))
        );
        Reply::whole(200, "text/event-stream", body.as_bytes())
    })
    .await;
    let rig = runner(&backend).await;
    let (response, _, completion) = rig.run(prompt(10, 20)).await.answer();
    assert!(content(&response).len() <= 200 && completion <= 20, "{}", content(&response).len());
    assert_eq!(response["choices"][0]["finish_reason"], "length");
}

#[actix_web::test]
async fn a_model_that_takes_the_limit_under_its_newer_name_is_tried_with_that() {
    let backend = chatting(|asked| match &asked.body {
        body if body.get("max_tokens").is_some() => bad_request(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        ),
        body if body["max_completion_tokens"].as_u64() < Some(16) => {
            bad_request("Could not finish the message because max_tokens or model output limit was reached")
        }
        _ => Reply::json(200, &answer("fine")),
    })
    .await;
    let mut config = config(&endpoints(std::slice::from_ref(&backend.url)));
    config.probe_new_models = true;
    let rig = Rig::start(Way::Mailbox, config).await;
    assert_eq!(rig.models().await, ["m"]);
    assert_eq!(backend.asked(CHAT).last().unwrap().body["max_completion_tokens"], 64);
}

#[actix_web::test]
async fn a_request_that_a_backend_repeats_takes_no_model_off_the_market() {
    let backend = chatting(|asked| match asked.body["reasoning_effort"].as_str() {
        Some(effort) => bad_request(&format!("reasoning_effort: {effort:?} is none")),
        None if asked.body["max_tokens"] == 1 => bad_request("temperature is not supported"),
        None => Reply::json(200, &answer("fine")),
    })
    .await;
    let rig = runner(&backend).await;
    let echo = RunInference {
        model: "m".parse().unwrap(),
        ..chat(
            json!({"messages": [{"role": "user", "content": "hi"}], "reasoning_effort": "does not support chat"}),
        )
    };
    let is_tried = async || backend.asked(CHAT).iter().any(|asked| asked.body["max_tokens"] == 1);
    assert!(rig.run(echo.clone()).await.end.is_err());
    rig::eventually("try", rig::PATIENCE * 10, is_tried).await;
    rig.running.discover().await;
    assert_eq!(rig.models().await, ["m"], "a probe that fails for another reason says nothing of chats");
    assert!(rig.run(prompt(10, 50)).await.end.is_ok());
    let tries = backend.asked(CHAT).len();
    assert!(rig.run(echo).await.end.is_err());
    rig.running.discover().await;
    assert_eq!(
        (rig.models().await, backend.asked(CHAT).len()),
        (vec!["m".to_owned()], tries + 1),
        "it answered before"
    );
}

#[actix_web::test]
async fn what_leaves_is_what_a_gateway_reads() {
    for error in [json!(false), json!(""), json!({}), json!(null), json!([]), json!(0)] {
        let said = error.clone();
        let backend = chatting(move |_| {
            let mut whole = answer("fine");
            whole["error"] = said.clone();
            whole["choices"][0]["error"] = said.clone();
            whole["choices"][0]["message"]["function_call"] = json!([]);
            whole["choices"][0]["message"]["tool_calls"] =
                json!([{"function": {"arguments": "x".repeat(400)}}]);
            whole["usage"]["completion_tokens"] = json!(300);
            whole["usage"]["x"] = json!("y".repeat(5000));
            Reply::json(200, &whole)
        })
        .await;
        let rig = runner(&backend).await;
        let (response, _, completion) = rig.run(prompt(10, 1000)).await.answer();
        assert!(response.get("error").is_none() && response["choices"][0].get("error").is_none(), "{error}");
        let expected = json!({"role": "assistant", "content": "fine"});
        assert_eq!(response["choices"][0]["message"], expected);
        assert!(completion <= 4 + 16, "{completion} tokens of what is left out are billed");
        assert!(response["usage"].to_string().len() < 4096);
    }
}
