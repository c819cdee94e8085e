//! The table of all settings.

use super::kind::Kind;

/// Which part of the house reads a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    All,
    /// Whoever buys.
    Gateway,
    /// Whoever sells.
    Provider,
    /// Services that run in processes of their own.
    Services,
    /// The market on one machine.
    Dev,
    /// Nothing: it is known so that the reference's settings can be taken over as they are.
    Nobody,
}

impl Role {
    /// The role's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Gateway => "gateway",
            Self::Provider => "provider",
            Self::Services => "services",
            Self::Dev => "dev",
            Self::Nobody => "nobody",
        }
    }
}

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Key {
    /// The variable's name; in the file it is written in lower case.
    pub name: &'static str,
    /// The values it takes.
    pub kind: Kind,
    /// What holds where it is not set.
    pub default: Option<&'static str>,
    /// The unit, where the kind does not say it.
    pub unit: &'static str,
    /// Who reads it.
    pub role: Role,
    /// What it is, in one line.
    pub doc: &'static str,
}

/// The setting with this variable name.
pub fn find(name: &str) -> Option<&'static Key> {
    ALL.iter().copied().find(|key| key.name == name)
}

/// The setting with this name in the configuration file.
pub(super) fn find_in_file(name: &str) -> Option<&'static Key> {
    let lower = name.bytes().all(|byte| !byte.is_ascii_uppercase());
    lower.then(|| find(&name.to_ascii_uppercase())).flatten()
}

const fn whole(min: u64, max: u64) -> Kind {
    Kind::Whole { min, max }
}

const SECONDS: Kind = whole(1, 31_536_000);
const PORT: Kind = whole(0, 65_535);
const TOKENS: Kind = whole(1, 100_000_000);

// One list makes both the constants and the table, so that none can be missing from the other.
macro_rules! keys {
    ($($name:ident: $kind:expr, $default:expr, $unit:literal, $role:ident, $doc:literal;)*) => {
        $(
            #[doc = $doc]
            pub static $name: Key = Key {
                name: stringify!($name),
                kind: $kind,
                default: $default,
                unit: $unit,
                role: Role::$role,
                doc: $doc,
            };
        )*

        /// All settings, in the order in which they are shown.
        pub static ALL: &[&Key] = &[$(&$name),*];
    };
}

keys! {
    T4T_MODE: Kind::Choice(&["gateway", "provider"]), None, "", All, "The role that `t4t` runs when no command is given.";
    T4T_CONFIG: Kind::Path, None, "", All, "The configuration file.";
    T4T_DATA_DIR: Kind::Path, None, "", All, "Where keys and databases live: /data if it is there and can be written, else `$XDG_DATA_HOME/t4t`.";
    LOG_LEVEL: Kind::Text, Some("info"), "", All, "What is logged: debug, info, warn, error, or a filter such as `info,t4t_chain=debug`.";
    T4T_LOG_FORMAT: Kind::Choice(&["human", "json"]), None, "", All, "How it is logged; json where `NODE_ENV` is production, else human.";
    NODE_ENV: Kind::Text, None, "", All, "production makes `T4T_LOG_FORMAT` json.";
    WALLET_KEY: Kind::Secret, None, "", All, "The wallet's key: 0x and 64 hexadecimal digits. A file is safer.";
    WALLET_KEY_FILE: Kind::Path, None, "", All, "The wallet's file, plain or keystore; wallet.key in the data folder where not set.";
    T4T_WALLET_PASSWORD_FILE: Kind::Path, None, "", All, "A file with the keystore's password.";
    T4T_PSS_KEY_PATH: Kind::Path, None, "", All, "The file of the key that payloads are sealed to; pss.key in the data folder where not set.";

    GNOSIS_RPC_URL: Kind::Urls, Some("https://rpc.gnosischain.com"), "", All, "The chain's JSON-RPC endpoints, best first.";
    T4T_CHAIN_ID: whole(1, u64::MAX), Some("100"), "", All, "The chain: 100 is Gnosis Chain.";
    REGISTRY_ADDRESS: Kind::Address, Some("0xf81121AAbc2F7261224BaDd0Ed871711e6D1371E"), "", All, "The provider registry's contract.";
    ESCROW_ADDRESS: Kind::Address, Some("0x34Db8E014E71928f17E23eC1272B602582222c9c"), "", All, "The job escrow's contract.";
    XBZZ_ADDRESS: Kind::Address, Some("0xdBF3Ea6F5beE45c02255B2c26a16F300502F68da"), "", All, "The xBZZ token's contract.";
    T4T_CHAIN_POLL_MS: whole(50, 60_000), Some("1000"), "milliseconds", All, "How often the chain is asked for its newest block.";

    BEE_API_URL: Kind::Url, Some("http://127.0.0.1:1633"), "", All, "The Bee node's HTTP address.";
    POSTAGE_BATCH_ID: Kind::Batch, None, "", All, "The postage batch to stamp with; it is then not bought, topped up or diluted.";
    T4T_STAMP_MANAGE: Kind::Bool, Some("true"), "", All, "Whether postage batches are bought, topped up and diluted.";
    T4T_STAMP_DEPTH: whole(17, 255), Some("20"), "", All, "The depth of a postage batch that is bought; it grows by use.";
    T4T_STAMP_TTL_DAYS: whole(1, 3650), Some("7"), "days", All, "For how long postage is bought or topped up; for fewer days where more would cost more than is allowed.";
    T4T_STAMP_MIN_TTL_DAYS: whole(1, 3650), Some("2"), "days", All, "Postage with less time left is topped up.";
    T4T_STAMP_LABEL: Kind::Text, Some("t4t"), "", All, "The label of our postage batches.";
    T4T_STAMP_MAX_UTILIZATION: Kind::Ratio { min: 0.0, max: 1.0 }, Some("0.5"), "", All, "A postage batch whose fullest bucket is fuller than this is diluted; a mutable one, as ours are, to a depth of 22 at most.";
    T4T_STAMP_MAX_DEPTH: whole(17, 255), Some("28"), "", All, "A postage batch is never diluted beyond this depth.";
    T4T_STAMP_MAX_SPEND: Kind::Amount, Some("10000000000000000"), "", All, "The most that one purchase or top-up of postage may take from the Bee node's wallet; more needs this to be raised.";
    T4T_STAMP_MAX_MONTHLY_SPEND: Kind::Amount, Some("100000000000000000"), "", All, "The most that postage may take from the Bee node's wallet in 30 days.";
    T4T_STAMP_DRY_RUN: Kind::Bool, Some("false"), "", All, "Whether stamp management only says what it would do.";

    T4T_REQUEST_REDUNDANCY: whole(0, 4), Some("0"), "", Gateway, "The redundancy level of requests longer than a chunk of 4096 bytes; they are read within seconds, and above 0 each is stored before it is paid for.";
    T4T_ANSWER_REDUNDANCY: whole(0, 4), Some("1"), "", Provider, "The redundancy level of answers longer than a chunk of 4096 bytes: 0 none, 1 medium, 2 strong, 3 insane, 4 paranoid.";

    T4T_GATEWAY_HOST: Kind::Host, None, "", Gateway, "Where the OpenAI API listens; `T4T_ADMIN_HOST` where not set, else 127.0.0.1.";
    T4T_GATEWAY_PORT: PORT, None, "", Gateway, "The OpenAI API's port; `T4T_ADMIN_PORT` where not set, else 8080.";
    T4T_GATEWAY_API_KEY: Kind::Token, None, "", Gateway, "The key that apps must send; needed to listen beyond this machine.";
    T4T_GATEWAY_API_KEY_FILE: Kind::Path, None, "", Gateway, "A file with that key, in place of it.";
    T4T_GATEWAY_OPEN: Kind::Bool, Some("false"), "", Gateway, "Whether anyone who reaches the port may spend the wallet, without a key.";
    T4T_ALLOWED_ORIGINS: Kind::List, None, "", Gateway, "Web pages that may use the gateway from a browser, beside those of this machine; * for all.";
    T4T_ALLOWED_HOSTS: Kind::List, None, "", Gateway, "Names that the gateway is called by, beside those of this machine; beyond it, names of private networks and addresses are known without it.";
    T4T_SELECTION_STRATEGY: Kind::Choice(&["top_rep_cheapest", "cheapest", "manual"]), Some("top_rep_cheapest"), "", Gateway, "How a provider is chosen.";
    T4T_MANUAL_PROVIDER: Kind::Address, None, "", Gateway, "The provider of the strategy `manual`.";
    T4T_MAX_PRICE_PER_MILLION_TOKENS: Kind::Amount, Some("18 xBZZ"), "", Gateway, "The most that input and output price together may be, whatever others ask; ten times what providers ask by default.";
    T4T_MAX_PRICE_MULTIPLE: Kind::Ratio { min: 1.0, max: 1000.0 }, Some("3"), "", Gateway, "From three offers of a model on, those that cost more than so many times the median are left out.";
    T4T_MAX_ESCROW_PER_JOB: Kind::Amount, Some("0.5 xBZZ"), "", Gateway, "The most that one request may put into escrow: the most that one provider can take for it.";
    T4T_MAX_SPEND_PER_DAY: Kind::Amount, Some("10 xBZZ"), "", Gateway, "The most that may be spent in a day of UTC; what is in escrow counts until it comes back.";
    T4T_EXPLORE_BUDGET: Kind::Amount, Some("0.1 xBZZ"), "", Gateway, "The part of a day's spending for providers that this gateway hardly knows, where it knows others; one such job takes a quarter of it at most.";
    T4T_ESCROW_HEADROOM_RATIO: Kind::Ratio { min: 0.0, max: 10.0 }, Some("0.2"), "", Gateway, "How much the escrow exceeds the estimate.";
    T4T_DEFAULT_MAX_OUTPUT_TOKENS: TOKENS, Some("16384"), "tokens", Gateway, "What a request without `max_tokens` may answer.";
    T4T_DEFAULT_DEADLINE_SECONDS: whole(60, 86_400), Some("900"), "seconds", Gateway, "How long a provider has to deliver.";
    T4T_PROVIDER_WAIT_SECONDS: whole(0, 86_400), Some("120"), "seconds", Gateway, "How long to wait while all providers are busy.";
    T4T_PROVIDER_WAIT_POLL_SECONDS: SECONDS, Some("5"), "seconds", Gateway, "How often to look again meanwhile.";
    T4T_MAX_CONCURRENT_REQUESTS: whole(1, 1000), Some("256"), "requests", Gateway, "How many requests are worked on at a time; one more is told to come back later.";
    T4T_MAX_REQUEST_BYTES: whole(65_536, 16_777_216), Some("4194304"), "bytes", Gateway, "The longest request that is taken; a Swarm node has to bring it to the provider within the 30 s that it has to acknowledge.";
    T4T_MAX_REQUESTS_BYTES: whole(1_048_576, 68_719_476_736), Some("134217728"), "bytes", Gateway, "All requests held in memory at a time; one more is told to come back later.";
    T4T_JOIN_RETRIES: Kind::Bool, Some("true"), "", Gateway, "Whether the same request, sent again after its app gave up waiting, joins the purchase that was left instead of paying again.";
    T4T_ALLOWED_MODELS: Kind::List, None, "", Gateway, "The models that are listed; all where not set.";
    T4T_MIN_PROVIDERS_PER_MODEL: whole(1, 1000), Some("1"), "", Gateway, "Models with fewer providers are not listed.";
    T4T_MODELS_CACHE_TTL_SECONDS: whole(0, 86_400), Some("60"), "seconds", Gateway, "How long a list of models may be shown again.";
    T4T_FAKE_STREAMING: Kind::Bool, Some("true"), "", Gateway, "Whether stream:true is served for answers that arrive whole.";
    T4T_PROGRESS: Kind::Choice(&["reasoning", "think", "off"]), Some("reasoning"), "", Gateway, "How a stream shows progress: as reasoning beside the answer, as a think block in it (as the reference does), or not.";

    T4T_ENDPOINTS_FILE: Kind::Path, None, "", Provider, "The backends; endpoints.json in the data folder where not set.";
    T4T_INPUT_PRICE_DEFAULT: Kind::Amount, Some("3000000000000000"), "per million tokens", Provider, "The price of prompts of a model that has none.";
    T4T_OUTPUT_PRICE_DEFAULT: Kind::Amount, Some("15000000000000000"), "per million tokens", Provider, "The price of answers of a model that has none.";
    T4T_HEARTBEAT_INTERVAL_SECONDS: whole(1, 599), Some("300"), "seconds", Provider, "How often to say on the chain that the provider is there; gateways forget it after 600.";
    T4T_MAX_CONCURRENT_JOBS: whole(1, 1000), Some("2"), "jobs", Provider, "How many jobs a runner works on at a time, and where a dispatcher apart has it set, all its runners together; else they have the sum of their slots.";
    T4T_BACKEND_FIRST_TOKEN_SECONDS: whole(1, 3600), Some("120"), "seconds", Provider, "How long a backend may take to its first token; loading a model falls into it.";
    T4T_BACKEND_IDLE_SECONDS: whole(1, 3600), Some("60"), "seconds", Provider, "How long a backend may be silent between two tokens.";
    T4T_DEACTIVATE_ON_SHUTDOWN: Kind::Bool, Some("false"), "", Provider, "Whether stopping leaves the market for good; it can't be undone.";
    T4T_RUNNER_NAME: Kind::Text, Some("runner"), "", Provider, "This runner's name, unique among the provider's runners.";

    T4T_PERSIST_PAYLOADS: Kind::Bool, Some("false"), "", Nobody, "Prompts and answers are never kept.";
    T4T_PAYLOAD_RETENTION_HOURS: whole(1, 87_600), Some("24"), "hours", Nobody, "Prompts and answers are never kept.";
    T4T_ADMIN_HOST: Kind::Host, None, "", All, "Where the provider's health listens; 127.0.0.1 where not set.";
    T4T_ADMIN_PORT: PORT, None, "", All, "Its port; 3000 where not set.";
    T4T_STATUS_REFRESH_SECONDS: SECONDS, Some("10"), "seconds", Nobody, "There is no status page that renews itself.";

    T4T_SERVICE_TOKEN: Kind::Token, None, "", Services, "The token that watcher, settlement, dispatcher and gateway share, each in a process of its own: none starts without it. Runners must not know it.";
    T4T_SERVICE_TOKEN_FILE: Kind::Path, None, "", Services, "A file with that token, in place of it.";
    T4T_RUNNER_TOKEN: Kind::Token, None, "", Services, "The token between a provider's dispatcher and its runners: it lets a runner register and be asked, and opens nothing else.";
    T4T_RUNNER_TOKEN_FILE: Kind::Path, None, "", Services, "A file with that token, in place of it.";
    T4T_SERVICE_HOST: Kind::Host, Some("127.0.0.1"), "", Services, "Where the services listen.";
    T4T_WATCHER_PORT: PORT, Some("7001"), "", Services, "The registry watcher's port.";
    T4T_SETTLEMENT_PORT: PORT, Some("7002"), "", Services, "Settlement's port.";
    T4T_DISPATCHER_PORT: PORT, Some("7003"), "", Services, "The job dispatcher's port.";
    T4T_RUNNER_PORT: PORT, Some("7004"), "", Services, "The inference runner's port.";
    T4T_WATCHER_URL: Kind::Url, Some("http://127.0.0.1:7001"), "", Services, "Where the others reach the registry watcher.";
    T4T_SETTLEMENT_URL: Kind::Url, Some("http://127.0.0.1:7002"), "", Services, "Where the others reach settlement.";
    T4T_DISPATCHER_URL: Kind::Url, Some("http://127.0.0.1:7003"), "", Services, "Where the others reach the job dispatcher.";
    T4T_RUNNER_URL: Kind::Url, Some("http://127.0.0.1:7004"), "", Services, "Where the dispatcher reaches this runner.";

    T4T_ANVIL: Kind::Path, None, "", Dev, "The anvil program; looked for in PATH where not set, and installed if it is not there.";
    T4T_BACKEND: Kind::Url, None, "", Dev, "The inference backend; Ollama if it answers, else a built-in demo, where not set.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_of_its_kind() {
        for key in ALL {
            assert!(key.default.is_none_or(|default| key.kind.takes(default)), "{}", key.name);
        }
    }

    #[test]
    fn every_variable_of_the_reference_is_known() {
        let section = [
            "T4T_MODE BEE_API_URL GNOSIS_RPC_URL REGISTRY_ADDRESS ESCROW_ADDRESS XBZZ_ADDRESS POSTAGE_BATCH_ID",
            "T4T_STAMP_MANAGE T4T_STAMP_DEPTH T4T_STAMP_TTL_DAYS T4T_STAMP_MIN_TTL_DAYS T4T_STAMP_LABEL",
            "T4T_STAMP_MAX_UTILIZATION T4T_STAMP_MAX_DEPTH T4T_STAMP_DRY_RUN LOG_LEVEL T4T_DATA_DIR WALLET_KEY",
            "WALLET_KEY_FILE T4T_PSS_KEY_PATH T4T_ADMIN_HOST T4T_ADMIN_PORT T4T_STATUS_REFRESH_SECONDS",
            "T4T_SELECTION_STRATEGY T4T_MAX_PRICE_PER_MILLION_TOKENS T4T_DEFAULT_DEADLINE_SECONDS T4T_FAKE_STREAMING",
            "T4T_MANUAL_PROVIDER T4T_MODELS_CACHE_TTL_SECONDS T4T_ALLOWED_MODELS T4T_MIN_PROVIDERS_PER_MODEL",
            "T4T_PERSIST_PAYLOADS T4T_PAYLOAD_RETENTION_HOURS T4T_PROVIDER_WAIT_SECONDS",
            "T4T_PROVIDER_WAIT_POLL_SECONDS T4T_DEFAULT_MAX_OUTPUT_TOKENS T4T_ESCROW_HEADROOM_RATIO",
            "T4T_MAX_ESCROW_PER_JOB T4T_ENDPOINTS_FILE T4T_INPUT_PRICE_DEFAULT T4T_OUTPUT_PRICE_DEFAULT",
            "T4T_HEARTBEAT_INTERVAL_SECONDS T4T_MAX_CONCURRENT_JOBS T4T_DEACTIVATE_ON_SHUTDOWN NODE_ENV",
        ];
        for name in section.join(" ").split(' ') {
            assert!(find(name).is_some(), "{name}");
        }
    }
}
