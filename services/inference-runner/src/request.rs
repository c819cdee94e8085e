//! The app's request on its way to the backend: another model name, streaming with usage, a limit on the answer, and
//! everything else as the app wrote it, less what would overrule these.

use serde_json::value::RawValue;
use t4t_api::inference_runner::RunnerError;
use t4t_inference::{InferenceRequest, OVERRULING_FIELDS, Refusal, RequestFault, SPENDING_FIELDS};

use crate::metering::PromptSize;
use crate::raw_object::RawObject;

/// The names under which backends take a limit on the answer. Ollama knows only the first; llama.cpp lets `n_predict`
/// overrule it, so a limit holds only if it is in every one.
const LIMITS: [&str; 5] =
    ["max_tokens", "max_completion_tokens", "n_predict", "num_predict", "max_new_tokens"];

/// Limits that are no part of OpenAI's API and count where neither of its own is given.
const OTHER_LIMITS: [&str; 3] = ["n_predict", "num_predict", "max_new_tokens"];

/// What makes a backend work for what is not sold, or refuse to stream.
const NOT_SOLD: [&str; 1] = ["prompt_logprobs"];

/// The names under which backends take a least length of the answer.
const LEAST: [&str; 3] = ["min_tokens", "min_new_tokens", "min_completion_tokens"];

/// How the backend is asked to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// In what form.
    pub(crate) answer: AnswerForm,
    /// With which limit.
    pub(crate) limit: LimitForm,
    /// How often the limit was halved, for a backend that has no room for it.
    pub(crate) halved: u32,
    /// Whether it may be asked for what costs its operator more than tokens.
    pub(crate) may_spend: bool,
}

/// In what form the backend is asked to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerForm {
    /// A stream with the usage at its end.
    StreamWithUsage,
    /// A stream, for a backend that does not know `stream_options`.
    Stream,
    /// One piece, for a backend that can't stream.
    Whole,
}

/// Under which name the backend is told the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitForm {
    /// `max_tokens`, and whatever else the request has.
    Usual,
    /// `max_completion_tokens` alone, for a backend that refuses the older name.
    Newer,
    /// Not at all, for a backend that counts the prompt otherwise and knows itself how much room there is. Only where
    /// the payment covers the whole context.
    Untold,
}

/// A chat request, ready to be sent to any backend.
#[derive(Debug)]
pub(crate) struct ChatRequest {
    fields: RawObject,
    asked: InferenceRequest,
    /// Completion tokens that each choice may have, by what is paid.
    cap: Option<u64>,
    prompt: PromptSize,
    /// Tokens of the prompt with its tools, roughly.
    needs: u64,
}

impl ChatRequest {
    /// Reads the app's request, whose answer is paid for up to `cap` completion tokens over all choices.
    ///
    /// # Errors
    /// [`RunnerError::Refused`] for what no backend could serve as it was paid.
    pub(crate) fn parse(request: &InferenceRequest, cap: Option<u64>) -> Result<Self, RunnerError> {
        let asked = request.clone();
        let unreadable = |_| refused("the request can't be read: send valid JSON".into());
        let mut fields: RawObject = serde_json::from_str(request.json().as_str()).map_err(unreadable)?;
        let prompt = PromptSize::from(request);
        let tools = ["tools", "functions"].iter().filter_map(|field| fields.get(field));
        let needs = prompt.estimate + tools.map(|tools| tools.get().len() as u64 / 4).sum::<u64>();
        // Each choice may be as long as the limit, and the payment covers all of them together.
        let cap = cap.map(|cap| cap / asked.choices());
        if cap == Some(0) {
            return Err(refused("the payment covers no answer; raise max_tokens or lower n".into()));
        }
        OVERRULING_FIELDS.iter().chain(&NOT_SOLD).for_each(|field| fields.remove(field));
        if fields.get("n").is_some() {
            fields.set_to("n", &asked.choices()).map_err(unreadable)?;
        }
        show_reasoning(&mut fields).map_err(unreadable)?;
        Ok(Self { fields, asked, cap, prompt, needs })
    }

    /// How many answers were asked for.
    pub(crate) fn choices(&self) -> u64 {
        self.asked.choices()
    }

    /// The first thing that a backend would have to fetch, if there is one.
    pub(crate) fn foreign_media(&self) -> Option<&RequestFault> {
        self.asked.foreign_media()
    }

    /// How large the prompt can be.
    pub(crate) fn prompt(&self) -> &PromptSize {
        &self.prompt
    }

    /// About how many tokens of context the prompt takes.
    pub(crate) fn needs(&self) -> u64 {
        self.needs
    }

    /// The request's own limit on each choice.
    fn own_limit(&self) -> Option<u64> {
        let other = || OTHER_LIMITS.iter().find_map(|field| positive(&self.fields, field));
        self.asked.max_tokens().or_else(other)
    }

    /// The most completion tokens that the whole answer may have, by what was asked and what is paid.
    pub(crate) fn longest(&self) -> Option<u64> {
        [self.own_limit(), self.cap]
            .into_iter()
            .flatten()
            .min()
            .map(|limit| limit.saturating_mul(self.choices()))
    }

    /// The limit to tell a backend with this context.
    ///
    /// # Errors
    /// The prompt alone fills the context: Ollama would cut it without a word.
    pub(crate) fn limit(&self, context: Option<u64>) -> Result<Option<u64>, RunnerError> {
        let room = match context {
            None => None,
            Some(context) if self.needs >= context => return Err(self.too_long(context)),
            Some(context) => Some(context - self.needs),
        };
        Ok([self.own_limit(), self.cap, room].into_iter().flatten().min())
    }

    /// Whether this limit is the app's own word.
    pub(crate) fn is_own(&self, limit: Option<u64>) -> bool {
        limit == self.own_limit()
    }

    /// Whether what is paid for covers whatever a backend with this context can answer.
    pub(crate) fn covers(&self, context: Option<u64>) -> bool {
        self.cap.is_none_or(|cap| context.is_some_and(|context| context <= cap))
    }

    fn too_long(&self, context: u64) -> RunnerError {
        let message = format!(
            "this model's context is {context} tokens, and the messages take about {}: shorten them",
            self.needs
        );
        let refusal = Refusal {
            param: Some("messages".into()),
            code: Some("context_length_exceeded".into()),
            ..Refusal::of_request(message)
        };
        RunnerError::Refused { refusal }
    }

    /// The body for a backend that calls the model `model`.
    pub(crate) fn body(&self, model: &str, form: Form, limit: Option<u64>) -> Result<Vec<u8>, RunnerError> {
        let mut fields = self.fields.clone();
        if !form.may_spend {
            SPENDING_FIELDS.iter().for_each(|field| fields.remove(field));
        }
        let limit = limit.map(|limit| limit.checked_shr(form.halved).unwrap_or(0).max(1));
        let edited = edit(&mut fields, model, form.answer)
            .and_then(|()| limit_answer(&mut fields, form.limit, limit))
            .and_then(|()| serde_json::to_vec(&fields));
        edited.map_err(|_| refused("the request can't be written".into()))
    }
}

/// What is said of a request that no backend is asked with.
pub(crate) fn refused(message: String) -> RunnerError {
    RunnerError::Refused { refusal: Refusal::of_request(message) }
}

/// The same, of one of its fields.
pub(crate) fn of_fault(fault: RequestFault) -> RunnerError {
    RunnerError::Refused { refusal: fault.into_refusal() }
}

fn edit(fields: &mut RawObject, model: &str, form: AnswerForm) -> Result<(), serde_json::Error> {
    fields.set_to("model", &model)?;
    fields.set_to("stream", &(form != AnswerForm::Whole))?;
    if form != AnswerForm::StreamWithUsage {
        fields.remove("stream_options");
        return Ok(());
    }
    let given = fields.get("stream_options").and_then(|options| serde_json::from_str(options.get()).ok());
    let mut options: RawObject = given.unwrap_or_default();
    options.set_to("include_usage", &true)?;
    fields.set_to("stream_options", &options)
}

/// Takes out what hides the model's reasoning: it is work that is paid for, and what is not shown can't be counted.
fn show_reasoning(fields: &mut RawObject) -> Result<(), serde_json::Error> {
    fields.remove("include_reasoning");
    // What can't be read may hide it as well.
    let is_shown = |format: &RawValue| {
        serde_json::from_str::<String>(format.get()).is_ok_and(|it| !it.to_lowercase().contains("hidden"))
    };
    if !fields.get("reasoning_format").is_none_or(is_shown) {
        fields.remove("reasoning_format");
    }
    let Some(given) = fields.get("reasoning").filter(|given| given.get().starts_with(['{', '['])) else {
        return Ok(());
    };
    let Ok(mut options) = serde_json::from_str::<RawObject>(given.get()) else {
        fields.remove("reasoning");
        return Ok(());
    };
    if options.get("exclude").is_none() {
        return Ok(());
    }
    options.remove("exclude");
    fields.set_to("reasoning", &options)
}

/// Tells the limit under every name that is there, and takes out what is none.
fn limit_answer(
    fields: &mut RawObject,
    form: LimitForm,
    limit: Option<u64>,
) -> Result<(), serde_json::Error> {
    for name in LIMITS {
        let is_told = match form {
            LimitForm::Usual => name == "max_tokens" || fields.get(name).is_some(),
            LimitForm::Newer => name == "max_completion_tokens",
            LimitForm::Untold => false,
        };
        match limit.filter(|_| is_told) {
            Some(limit) => fields.set_to(name, &limit)?,
            None => fields.remove(name),
        }
    }
    // vLLM refuses a least length above the limit; others would overrule the limit with it.
    let limit = limit.filter(|_| form != LimitForm::Untold);
    for name in LEAST {
        let is_below = limit.is_some_and(|limit| positive(fields, name).is_some_and(|least| least <= limit));
        if !is_below {
            fields.remove(name);
        }
    }
    Ok(())
}

/// The field as a whole number above zero; anything else is no limit.
fn positive(fields: &RawObject, field: &str) -> Option<u64> {
    fields.get(field)?.get().parse::<u64>().ok().filter(|&number| number > 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use t4t_inference::Kind;

    use super::*;

    fn form(answer: AnswerForm) -> Form {
        Form { answer, limit: LimitForm::Usual, halved: 0, may_spend: false }
    }

    fn read(request: &str) -> Result<InferenceRequest, RunnerError> {
        InferenceRequest::read(Kind::Chat, request.to_owned().into()).map_err(of_fault)
    }

    fn sent_to(
        request: &str,
        cap: Option<u64>,
        context: Option<u64>,
        form: Form,
    ) -> Result<Value, RunnerError> {
        let request = ChatRequest::parse(&read(request)?, cap)?;
        let body = request.body("backend-name", form, request.limit(context)?)?;
        Ok(serde_json::from_slice(&body).unwrap())
    }

    fn sent(request: &Value, cap: Option<u64>, answer: AnswerForm) -> Value {
        sent_to(&request.to_string(), cap, None, form(answer)).unwrap()
    }

    fn limits(request: &Value, cap: Option<u64>, context: Option<u64>, limit: LimitForm) -> Value {
        let form = Form { limit, ..form(AnswerForm::Whole) };
        let mut sent = sent_to(&request.to_string(), cap, context, form).unwrap();
        let fields = sent.as_object_mut().unwrap();
        fields.retain(|field, _| LIMITS.contains(&field.as_str()) || field == "n");
        sent
    }

    #[test]
    fn the_limit_is_the_smaller_of_what_was_asked_and_what_is_paid() {
        let cases = [
            (json!({}), None, json!({})),
            (json!({}), Some(9), json!({"max_tokens": 9})),
            (json!({"max_tokens": 5}), Some(9), json!({"max_tokens": 5})),
            (json!({"max_tokens": 50}), Some(9), json!({"max_tokens": 9})),
            (json!({"max_tokens": null}), Some(9), json!({"max_tokens": 9})),
            (json!({"max_tokens": -1}), Some(9), json!({"max_tokens": 9})),
            (json!({"max_tokens": 5.0}), Some(9), json!({"max_tokens": 5})),
            (json!({"max_tokens": 5.0, "n": 3.0}), Some(9), json!({"max_tokens": 3, "n": 3})),
            (json!({"max_tokens": -1, "n": null}), None, json!({"n": 1})),
            (json!({"max_completion_tokens": 5}), None, json!({"max_tokens": 5, "max_completion_tokens": 5})),
            (
                json!({"max_completion_tokens": 50, "max_tokens": 3}),
                Some(9),
                json!({"max_tokens": 3, "max_completion_tokens": 3}),
            ),
            (json!({"n_predict": 99}), Some(9), json!({"max_tokens": 9, "n_predict": 9})),
            (json!({"n_predict": -1, "max_new_tokens": "x"}), None, json!({})),
            (json!({"n": 3, "max_tokens": 5}), Some(9), json!({"max_tokens": 3, "n": 3})),
        ];
        for (request, cap, expected) in cases {
            assert_eq!(limits(&request, cap, None, LimitForm::Usual), expected, "{request} {cap:?}");
        }
    }

    #[test]
    fn the_limit_fits_the_context_and_a_prompt_beyond_it_is_refused() {
        let request = |bytes: usize| json!({"messages": [{"role": "user", "content": "x".repeat(bytes)}]});
        let needs = |bytes: u64| (bytes + 16).div_ceil(4);
        let fits = limits(&request(400), Some(19_671), Some(4096), LimitForm::Usual);
        assert_eq!(fits, json!({"max_tokens": 4096 - needs(400)}));
        assert_eq!(limits(&request(400), Some(50), Some(4096), LimitForm::Usual), json!({"max_tokens": 50}));
        assert_eq!(limits(&request(400), Some(50), None, LimitForm::Usual), json!({"max_tokens": 50}));
        let too_long = sent_to(&request(20_000).to_string(), Some(50), Some(4096), form(AnswerForm::Whole));
        let Err(RunnerError::Refused { refusal }) = too_long else { panic!("{too_long:?}") };
        assert_eq!(refusal.code.as_deref(), Some("context_length_exceeded"));
        assert_eq!((refusal.status, refusal.param.as_deref()), (Some(400), Some("messages")));
        let mut with_tools = request(4);
        with_tools["tools"] = json!([{"type": "function", "function": {"description": "x".repeat(20_000)}}]);
        assert!(sent_to(&with_tools.to_string(), None, Some(4096), form(AnswerForm::Whole)).is_err());
    }

    #[test]
    fn the_limit_is_told_as_the_backend_takes_it() {
        let request = json!({"max_tokens": 5, "n_predict": 7});
        assert_eq!(limits(&request, Some(9), None, LimitForm::Newer), json!({"max_completion_tokens": 5}));
        assert_eq!(limits(&request, Some(9), None, LimitForm::Untold), json!({}));
    }

    #[test]
    fn a_payment_for_less_than_one_token_each_is_refused() {
        for (request, cap) in [
            ("{}", Some(0)),
            (r#"{"n":3}"#, Some(2)),
            (r#"{"n":129}"#, None),
            (r#"{"max_tokens":5.5}"#, None),
            (r#"{"max_tokens":"99"}"#, Some(9)),
            ("[]", None),
        ] {
            let refused = read(request).and_then(|request| ChatRequest::parse(&request, cap));
            assert!(
                matches!(refused, Err(RunnerError::Refused { refusal }) if refusal.status == Some(400)),
                "{request}"
            );
        }
    }

    #[test]
    fn reasoning_is_shown_because_it_is_paid_for() {
        let request = json!({"include_reasoning": false, "reasoning_format": "hidden", "reasoning": {"effort": "low", "exclude": true}});
        let expected = json!({"model": "backend-name", "stream": false, "reasoning": {"effort": "low"}});
        assert_eq!(sent(&request, None, AnswerForm::Whole), expected);
        let request = json!({"model": "backend-name", "stream": false, "reasoning_format": "deepseek", "reasoning": "x"});
        assert_eq!(sent(&request, None, AnswerForm::Whole), request);
        let many: Vec<String> = (0..600).map(|field| format!("\"{field}\":0")).collect();
        let expected = json!({"model": "backend-name", "stream": false});
        for hidden in [
            r#""reasoning_format":"hidd\u0065n""#.to_owned(),
            r#""reasoning_format":"Hidden""#.into(),
            r#""reasoning_format":["hidd\u0065n"]"#.into(),
            r#""reasoning":[{"exclude":true}]"#.into(),
            format!(r#""reasoning":{{"exclude":true,{}}}"#, many.join(",")),
        ] {
            let request = format!("{{{hidden}}}");
            assert_eq!(
                sent_to(&request, None, None, form(AnswerForm::Whole)).unwrap(),
                expected,
                "{request}"
            );
        }
    }

    #[test]
    fn nothing_makes_an_answer_longer_than_its_limit() {
        let least = |request: Value, limit: LimitForm| {
            let form = Form { limit, ..form(AnswerForm::Whole) };
            let sent = sent_to(&request.to_string(), Some(9), None, form).unwrap();
            (sent["min_tokens"].clone(), sent.get("prompt_logprobs").is_some())
        };
        assert_eq!(
            least(json!({"min_tokens": 4000, "prompt_logprobs": 1}), LimitForm::Usual),
            (json!(null), false)
        );
        assert_eq!(least(json!({"min_tokens": 9}), LimitForm::Usual), (json!(9), false));
        assert_eq!(least(json!({"min_tokens": "4000"}), LimitForm::Usual), (json!(null), false));
        assert_eq!(least(json!({"min_tokens": 9}), LimitForm::Untold), (json!(null), false));
    }

    #[test]
    fn what_costs_the_operator_more_than_tokens_is_sent_only_where_it_is_allowed() {
        let mut request = json!({"model": "a", "top_k": 3});
        for field in SPENDING_FIELDS {
            request[field] = json!({});
        }
        let expected = json!({"model": "backend-name", "stream": false, "top_k": 3});
        assert_eq!(sent(&request, None, AnswerForm::Whole), expected);
        let form = Form { may_spend: true, ..form(AnswerForm::Whole) };
        let sent = sent_to(&request.to_string(), None, None, form).unwrap();
        assert!(SPENDING_FIELDS.iter().all(|field| sent.get(*field).is_some()));
    }

    #[test]
    fn what_overrules_the_model_the_address_or_the_key_reaches_no_backend() {
        let mut request = json!({"model": "a", "top_k": 3});
        for field in OVERRULING_FIELDS {
            request[field] = json!(["big:405b", "http://a"]);
        }
        let expected = json!({"model": "backend-name", "stream": false, "top_k": 3});
        assert_eq!(sent(&request, None, AnswerForm::Whole), expected);
    }

    #[test]
    fn usage_is_always_asked_for_and_other_stream_options_stay() {
        let request = json!({"model": "a", "stream": false, "top_k": 3, "stream_options": {"x": 1, "include_usage": false}});
        let expected = json!({"model": "backend-name", "stream": true, "top_k": 3, "stream_options": {"x": 1, "include_usage": true}});
        assert_eq!(sent(&request, None, AnswerForm::StreamWithUsage), expected);
        let expected = json!({"model": "backend-name", "stream": true, "top_k": 3});
        assert_eq!(sent(&request, None, AnswerForm::Stream), expected);
    }

    #[test]
    fn messages_nested_beyond_reason_are_refused() {
        let deep = format!(r#"{{"messages":[{{"content":{}{}}}]}}"#, "[".repeat(10_000), "]".repeat(10_000));
        assert!(matches!(read(&deep), Err(RunnerError::Refused { .. })));
    }

    /// What a backend in Go makes of a body: it folds the case of names, and of two the last one counts.
    fn as_go_reads(body: &Value, field: &str) -> Vec<Value> {
        let folded = |name: &str| -> String {
            let fold = |letter| match letter {
                '\u{212a}' => 'k',
                '\u{17f}' => 's',
                other => char::to_ascii_lowercase(&other),
            };
            name.chars().map(fold).collect()
        };
        let fields = body.as_object().unwrap();
        fields.iter().filter(|(name, _)| folded(name) == field).map(|(_, value)| value.clone()).collect()
    }

    /// A name with some of its letters in another form, escaped or joined otherwise.
    fn respelt(name: &'static str) -> impl Strategy<Value = String> {
        let letters: Vec<_> = name
            .chars()
            .map(|letter| {
                let forms = match letter {
                    'k' => vec!["k".to_owned(), "K".into(), "\u{212a}".into(), "\\u212a".into()],
                    's' => vec!["s".to_owned(), "S".into(), "\u{17f}".into(), "\\u017F".into()],
                    '_' => vec!["_".to_owned(), String::new(), "-".into()],
                    other => vec![
                        other.to_string(),
                        other.to_ascii_uppercase().to_string(),
                        format!("\\u{:04x}", u32::from(other)),
                    ],
                };
                // Most letters stay, or hardly a name would be left as it was.
                prop_oneof![4 => Just(letter.to_string()), 1 => prop::sample::select(forms)]
            })
            .collect();
        letters.prop_map(|letters| letters.concat())
    }

    fn field() -> impl Strategy<Value = String> {
        let numbers =
            || prop::sample::select(vec!["100000", "1", "-1", "1e5", "\"100000\"", "null", "true", "[9]"]);
        let names = || {
            prop::sample::select(vec![
                "max_tokens",
                "max_completion_tokens",
                "n_predict",
                "num_predict",
                "max_new_tokens",
                "n",
                "best_of",
            ])
        };
        let part = prop::sample::select(vec![
            "image_url",
            "image",
            "file",
            "input_audio",
            "video_url",
            "url",
            "source",
        ]);
        let media = prop::sample::select(vec![
            r#""http://a""#,
            r#"{"url":"http://a"}"#,
            r#"{"file_id":"http://a"}"#,
            r#"{"url":"data:,"}"#,
            r#"{"data":"AA==","URL":"http://a"}"#,
        ]);
        prop_oneof![
            names().prop_flat_map(respelt).prop_flat_map(move |name| numbers().prop_map(move |number| format!("\"{name}\":{number}"))),
            respelt("model").prop_map(|name| format!("\"{name}\":\"big:405b\"")),
            prop::sample::select(OVERRULING_FIELDS.to_vec()).prop_map(|name| format!("\"{name}\":[\"big:405b\"]")),
            (part.prop_flat_map(respelt), media).prop_map(|(name, medium)| {
                format!("\"messages\":[{{\"role\":\"user\",\"content\":[{{\"type\":\"text\",\"text\":\"x\"}},{{\"type\":\"x\",\"{name}\":{medium}}}]}}]")
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

        #[test]
        fn what_reaches_a_backend_is_what_was_paid_for(fields in prop::collection::vec(field(), 0..4), cap in 1_u64..50) {
            let request = format!("{{\"model\":\"small\"{}}}", fields.iter().map(|field| format!(",{field}")).collect::<String>());
            let request = read(&request).and_then(|request| ChatRequest::parse(&request, Some(cap)));
            let Ok(request) = request else { return Ok(()) };
            let body = request.body("small", form(AnswerForm::StreamWithUsage), request.limit(None).unwrap()).unwrap();
            let text = String::from_utf8(body).unwrap();
            let body: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(as_go_reads(&body, "model"), [json!("small")]);
            let choices = as_go_reads(&body, "n").first().map_or(1, |n| n.as_u64().unwrap());
            prop_assert_eq!(choices, request.choices());
            for name in LIMITS {
                for limit in as_go_reads(&body, name) {
                    prop_assert!(limit.as_u64().unwrap() * choices <= cap, "{text}");
                }
            }
            prop_assert_eq!(as_go_reads(&body, "max_tokens").len(), 1);
            prop_assert!(!text.contains("405b"), "{text}");
            prop_assert!(request.foreign_media().is_some() || !text.contains("http://"), "{text}");
        }
    }
}
