//! Whose fault an error is that an endpoint answered: its own, or perhaps the call's.

use serde_json::Value;

use crate::revert::Revert;

/// Codes by which endpoints say that they can't do their work now: internal error, a limit, a resource that is not
/// there, and those of the large relays ("cannot fulfill request", "temporary internal error").
const CODES: &[i64] = &[429, 401, 403, 19, -32603, -32005, -32002, -32001, -32046, -32052, -32097];

/// Words by which they say so. A wrong guess costs another attempt.
const WORDS: &[&str] = &[
    "temporar",
    "retry",
    "try again",
    "internal error",
    "internal server error",
    "timeout",
    "timed out",
    "quota",
    "request count",
    "exceeded",
    "too many requests",
    "rate limit",
    "request limit",
    "capacity",
    "compute units",
    "credits",
    "unauthorized",
    "unauthenticated",
    "not authorized",
    "authenticat",
    "forbidden",
    "access denied",
    "api key",
    "apikey",
    "project id",
    "payment required",
    "unavailable",
    "overload",
    "busy",
    "cannot fulfill",
    "no available",
    "no healthy",
    "pool is full",
    "upstream",
    "bad gateway",
    "connection",
    "syncing",
    "not synced",
    "maintenance",
];

/// Words about a query of logs that a smaller one may avoid: no endpoint's fault.
const RANGE_WORDS: &[&str] = &[
    "range",
    "results",
    "response size",
    "more than",
    "too large",
    "blocks",
    "logs",
    "timeout",
    "timed out",
];

/// Whether an endpoint says with this error that it does not do its work, whatever was asked. All other errors may be
/// about the call.
pub(super) fn is_endpoints(method: &str, code: i64, message: &str, data: Option<&Value>) -> bool {
    let lower = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let is_calls = match method {
        // Its texts are told apart where it is sent.
        "eth_sendRawTransaction" => true,
        "eth_getLogs" => says(RANGE_WORDS),
        "eth_call" | "eth_estimateGas" => Revert::from_answer(code, message, data).is_some(),
        _ => false,
    };
    !is_calls && (CODES.contains(&code) || says(WORDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_about_the_call_is_the_endpoints() {
        let refusals = [
            (-32603, "Internal error"),
            (19, "Temporary internal error. Please retry, trace-id: 1"),
            (-32046, "Cannot fulfill request"),
            (-32005, "daily request count exceeded, request rate limited"),
            (-32000, "your API key is not allowed"),
            (-32001, "Unauthorized"),
        ];
        for method in ["eth_call", "eth_getLogs", "eth_getTransactionCount", "eth_estimateGas"] {
            for (code, message) in refusals {
                assert!(is_endpoints(method, code, message, None), "{method}: {message}");
            }
        }
    }

    #[test]
    fn what_may_be_about_the_call_is_not() {
        let calls = [
            ("eth_call", 3, "execution reverted: BadStatus()"),
            ("eth_estimateGas", -32603, "VM execution error: revert"),
            ("eth_call", -32603, "EVM error InvalidFEOpcode"),
            ("eth_call", -32000, "out of gas: gas required exceeds allowance: 0"),
            ("eth_getLogs", -32005, "query returned more than 10000 results"),
            ("eth_getLogs", -32602, "block range is too large, max is 300"),
            ("eth_getLogs", -32000, "query timeout exceeded"),
            ("eth_sendRawTransaction", -32603, "nonce too low"),
            ("eth_getBalance", -32602, "invalid argument 0"),
            ("eth_getBalance", -32000, "header not found"),
        ];
        for (method, code, message) in calls {
            assert!(!is_endpoints(method, code, message, None), "{method}: {message}");
        }
    }
}
