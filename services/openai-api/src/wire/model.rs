//! The list of models, with what apps read beyond OpenAI's four fields.

use serde::Serialize;
use t4t_api::registry_watcher::ModelListing;
use t4t_types::{TokenPrices, UnixSeconds, Xbzz};

/// `GET /v1/models`.
#[derive(Debug, Serialize)]
pub(crate) struct ModelList<'a> {
    /// Always `list`.
    pub(crate) object: &'static str,
    /// The models.
    pub(crate) data: Vec<Model<'a>>,
}

/// One model.
#[derive(Debug, Serialize)]
pub(crate) struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: UnixSeconds,
    owned_by: &'static str,
    name: &'a str,
    /// `null` where no provider states it: an invented one makes apps cut what would fit, or send what does not.
    context_length: Option<u64>,
    pricing: Pricing,
    t4t: Market,
}

/// Prices in the shape that `LibreChat` reads. It takes them for USD; they are xBZZ, the unit the market trades in, and
/// `currency` says so.
#[derive(Debug, Serialize)]
struct Pricing {
    prompt: String,
    completion: String,
    currency: &'static str,
}

/// What the market offers.
#[derive(Debug, Serialize)]
struct Market {
    providers: u32,
    input_plur_per_million: Xbzz,
    output_plur_per_million: Xbzz,
}

impl<'a> Model<'a> {
    /// The entry of one model; `created` is when the gateway began to list models.
    pub(crate) fn new(listing: &'a ModelListing, created: UnixSeconds) -> Self {
        let stated = listing.max_context_tokens;
        Self {
            id: listing.model.as_str(),
            object: "model",
            created,
            owned_by: "t4t",
            name: listing.model.as_str(),
            context_length: (stated > 0).then_some(stated),
            pricing: Pricing {
                prompt: xbzz_per_token(listing.cheapest.input),
                completion: xbzz_per_token(listing.cheapest.output),
                currency: "xBZZ",
            },
            t4t: Market {
                providers: listing.providers,
                input_plur_per_million: listing.cheapest.input,
                output_plur_per_million: listing.cheapest.output,
            },
        }
    }
}

/// A price per million tokens as xBZZ per token, to the last digit.
fn xbzz_per_token(per_million: Xbzz) -> String {
    let unit = Xbzz::PLUR_PER_XBZZ * TokenPrices::TOKENS;
    let (whole, rest) = (per_million.plur() / unit, per_million.plur() % unit);
    if rest == 0 {
        return whole.to_string();
    }
    format!("{whole}.{}", format!("{rest:022}").trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_per_token_are_plain_decimals() {
        let cases = [
            (Xbzz::ZERO, "0"),
            (Xbzz::from_plur(1), "0.0000000000000000000001"),
            ("0.3".parse().unwrap(), "0.0000003"),
            ("1.5".parse().unwrap(), "0.0000015"),
            (Xbzz::from_whole(2_500_000), "2.5"),
        ];
        for (per_million, text) in cases {
            assert_eq!(xbzz_per_token(per_million), text);
        }
    }
}
