//! What a backend could read otherwise than routing and billing do, and what it would have to fetch: nothing of it is
//! bought. What that is, the provider decides by the same rule ([`t4t_inference::InferenceRequest`]).

use t4t_inference::{InferenceRequest, Kind, RequestFault};

use super::error::Rejection;

/// Reads a request whose types were checked before, and checks its names and media.
///
/// # Errors
/// The first name that only some readers take for one that counts, or the first medium that lies elsewhere.
pub(crate) fn read(request: String) -> Result<InferenceRequest, Rejection> {
    let request = InferenceRequest::read(Kind::Chat, request.into()).map_err(rejected)?;
    match request.foreign_media() {
        Some(fault) => Err(rejected(fault.clone())),
        None => Ok(request),
    }
}

fn rejected(fault: RequestFault) -> Rejection {
    Rejection { message: fault.problem, param: fault.param, code: fault.code }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(body: &str) -> Result<(), Rejection> {
        read(body.to_owned()).map(drop)
    }

    #[test]
    fn a_field_that_some_readers_take_for_one_that_counts_is_refused() {
        for name in
            ["Model", "MAX_TOKENS", "max_to\u{212a}ens", "me\u{17f}sages", "N", "Max_Completion_Tokens"]
        {
            let rejection = checked(&format!("{{{name:?}:1}}")).unwrap_err();
            assert_eq!((rejection.param.as_deref(), rejection.code), (Some(name), "ambiguous_parameter"));
        }
        for name in ["top_k", "Temperature", "\u{17f}"] {
            assert_eq!(checked(&format!("{{{name:?}:1}}")), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_medium_that_lies_elsewhere_is_named_by_its_place() {
        let body = r#"{"messages":[{"role":"user","content":"https://a.example"},
            {"role":"user","content":["https://a.example",{"type":"image_url","image_url":"https://a.example"}]}]}"#;
        let rejection = checked(body).unwrap_err();
        let param = rejection.param.unwrap();
        assert!(param.starts_with("messages[1].content[1]"), "{param}");
        assert!(rejection.message.contains("data:"), "{}", rejection.message);
    }
}
