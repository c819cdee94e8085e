//! What goes wrong, as changes to questions and answers.

use serde_json::{Value, json};

/// Blocks that a stale head is behind.
const STALE_BY: u64 = 20;

/// Blocks that a lagging endpoint is behind in everything.
const LAGS_BY: u64 = 3;

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RpcFault {
    /// 429.
    RateLimited,
    /// 500.
    ServerError,
    /// No answer.
    Hang,
    /// Half an answer.
    Truncated,
    /// The answer to another question.
    WrongId,
    /// The newest block is one of long ago.
    StaleHead,
    /// Logs that are there are left out.
    NoLogs,
    /// A transaction is taken, and the answer says that it was known.
    AlreadyKnown,
    /// The answer says that the nonce is used; the transaction is taken or not.
    NonceTooLow,
    /// The answer says that another transaction waits at the nonce; this one is taken or not.
    Underpriced,
    /// The connection is reset; what was asked is done or not.
    Reset,
    /// Everything is some blocks old: for one of two endpoints.
    Lagging,
}

impl RpcFault {
    /// Every fault.
    pub const ALL: [Self; 12] = [
        Self::RateLimited,
        Self::ServerError,
        Self::Hang,
        Self::Truncated,
        Self::WrongId,
        Self::StaleHead,
        Self::NoLogs,
        Self::AlreadyKnown,
        Self::NonceTooLow,
        Self::Underpriced,
        Self::Reset,
        Self::Lagging,
    ];

    /// What it is, in plain words: `429`, `no answer`.
    pub fn words(self) -> &'static str {
        match self {
            Self::RateLimited => "429",
            Self::ServerError => "500",
            Self::Hang => "no answer",
            Self::Truncated => "half an answer",
            Self::WrongId => "the answer to another question",
            Self::StaleHead => "an old head",
            Self::NoLogs => "logs left out",
            Self::AlreadyKnown => "\"already known\"",
            Self::NonceTooLow => "\"nonce too low\"",
            Self::Underpriced => "\"replacement underpriced\"",
            Self::Reset => "connection reset",
            Self::Lagging => "everything some blocks old",
        }
    }

    /// Whether it can happen to a question.
    pub(super) fn concerns(self, method: &str) -> bool {
        match self {
            Self::StaleHead => matches!(method, "eth_blockNumber" | "eth_getBlockByNumber"),
            Self::NoLogs => method == "eth_getLogs",
            Self::AlreadyKnown | Self::NonceTooLow | Self::Underpriced => method == "eth_sendRawTransaction",
            _ => true,
        }
    }

    /// How many blocks behind the answers are.
    pub(super) fn behind(self) -> u64 {
        match self {
            Self::StaleHead => STALE_BY,
            Self::Lagging => LAGS_BY,
            _ => 0,
        }
    }

    /// Changes a question so that an honest endpoint gives the wrong answer; `head` is the height that counts as the
    /// newest.
    pub(super) fn ask(self, question: &mut Value, head: u64) {
        let method = question["method"].as_str().unwrap_or_default().to_owned();
        let params = &mut question["params"];
        let height = json!(format!("{head:#x}"));
        match method.as_str() {
            "eth_getBlockByNumber" if newest(&params[0]) => params[0] = height,
            "eth_blockNumber" => {
                question["method"] = "eth_getBlockByNumber".into();
                question["params"] = json!([height, false]);
            }
            "eth_call" | "eth_getBalance" | "eth_getTransactionCount"
                if self == Self::Lagging && newest(&params[1]) =>
            {
                params[1] = height;
            }
            "eth_getLogs"
                if self == Self::Lagging
                    && (newest(&params[0]["toBlock"]) || height_of(&params[0]["toBlock"]) > head) =>
            {
                params[0]["toBlock"] = height;
            }
            _ => {}
        }
    }

    /// Changes the answer to a question.
    pub(super) fn answer(self, method: &str, answer: &mut Value, head: u64) {
        let refused = |message: &str| json!({ "code": -32000, "message": message });
        match (self, method) {
            (Self::NoLogs, "eth_getLogs") => answer["result"] = json!([]),
            (Self::AlreadyKnown, "eth_sendRawTransaction") => replace(answer, refused("already known")),
            (Self::NonceTooLow, "eth_sendRawTransaction") => replace(answer, refused("nonce too low")),
            (Self::Underpriced, "eth_sendRawTransaction") => {
                replace(answer, refused("replacement transaction underpriced"));
            }
            (Self::WrongId, _) => answer["id"] = json!(answer["id"].as_u64().unwrap_or_default() + 1_000_000),
            (Self::Lagging, "eth_getTransactionReceipt")
                if height_of(&answer["result"]["blockNumber"]) > head =>
            {
                answer["result"] = Value::Null;
            }
            (Self::StaleHead | Self::Lagging, "eth_blockNumber") => {
                answer["result"] = answer["result"]["number"].take();
            }
            _ => {}
        }
    }
}

fn replace(answer: &mut Value, error: Value) {
    if let Some(fields) = answer.as_object_mut() {
        fields.remove("result");
        fields.insert("error".into(), error);
    }
}

fn newest(tag: &Value) -> bool {
    matches!(tag.as_str(), Some("latest" | "pending"))
}

fn height_of(number: &Value) -> u64 {
    let digits = number.as_str().and_then(|text| text.strip_prefix("0x")).unwrap_or_default();
    u64::from_str_radix(digits, 16).unwrap_or(0)
}
