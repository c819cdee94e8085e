//! What values a setting can have.

use std::net::IpAddr;

use t4t_types::{Address, BatchId, Xbzz};
use url::Url;

/// The values that a setting takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A file or folder.
    Path,
    /// An `http` or `https` address.
    Url,
    /// `http` or `https` addresses with commas between them.
    Urls,
    /// A wallet's or contract's address.
    Address,
    /// A postage batch.
    Batch,
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Whole {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// A decimal number.
    Ratio {
        /// The smallest.
        min: f64,
        /// The largest.
        max: f64,
    },
    /// An amount: a whole number of PLUR, or decimal xBZZ with the unit behind it (`0.5 xBZZ`).
    Amount,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// Texts with commas between them.
    List,
    /// An IP address to listen at.
    Host,
    /// A secret text.
    Secret,
    /// A secret that lets in whoever knows it: long enough not to be guessed, and what an HTTP header can carry.
    Token,
}

/// The fewest characters of a token: of letters and digits that is more than can be tried.
const MIN_TOKEN_CHARACTERS: usize = 16;

impl Kind {
    /// Whether its values are never shown.
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::Token)
    }

    /// What a value must be, as a phrase for errors and tables.
    pub fn expected(self) -> String {
        match self {
            Self::Text => "a text".into(),
            Self::Path => "a path to a file or folder".into(),
            Self::Url => "an address such as http://127.0.0.1:1633".into(),
            Self::Urls => {
                "one or more addresses such as https://rpc.example.org, with commas between them".into()
            }
            Self::Address => "0x and 40 hexadecimal digits".into(),
            Self::Batch => "64 hexadecimal digits".into(),
            Self::Bool => "true or false".into(),
            Self::Whole { min, max: u64::MAX } => format!("a whole number from {min}"),
            Self::Whole { min, max } => format!("a whole number from {min} to {max}"),
            Self::Ratio { min, max } => format!("a number from {min} to {max}"),
            Self::Amount => "a whole number of PLUR, or an amount such as `0.5 xBZZ`".into(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::List => "one or more names with commas between them".into(),
            Self::Host => "an IP address such as 127.0.0.1 or 0.0.0.0".into(),
            Self::Secret => "a text".into(),
            Self::Token => format!("a secret of {MIN_TOKEN_CHARACTERS} or more letters, digits and signs"),
        }
    }

    /// Whether `text` is a value of this kind.
    pub(super) fn takes(self, text: &str) -> bool {
        match self {
            Self::Text | Self::Secret => !text.is_empty(),
            Self::Path => !text.is_empty() && !is_a_key(text),
            Self::Token => {
                text.len() >= MIN_TOKEN_CHARACTERS && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
            }
            Self::Url => parse_url(text).is_some(),
            Self::Urls => list(text).all(|item| parse_url(item).is_some()) && list(text).next().is_some(),
            Self::Address => text.parse::<Address>().is_ok(),
            Self::Batch => text.parse::<BatchId>().is_ok(),
            Self::Bool => parse_bool(text).is_some(),
            Self::Whole { min, max } => parse_whole(text).is_some_and(|number| (min..=max).contains(&number)),
            Self::Ratio { min, max } => text.parse::<f64>().is_ok_and(|number| (min..=max).contains(&number)),
            Self::Amount => parse_amount(text).is_some(),
            Self::Choice(words) => words.contains(&text),
            Self::List => list(text).next().is_some(),
            Self::Host => text.parse::<IpAddr>().is_ok(),
        }
    }
}

/// Whether somebody wrote a wallet's key itself where its file's path belongs.
fn is_a_key(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Only digits: `+5` and ` 5` are mistakes, not numbers.
pub(super) fn parse_whole(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

pub(super) fn parse_bool(text: &str) -> Option<bool> {
    text.parse().ok()
}

pub(super) fn parse_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

pub(super) fn parse_amount(text: &str) -> Option<Xbzz> {
    let lower = text.to_ascii_lowercase();
    if let Some(amount) = lower.strip_suffix("xbzz") {
        return amount.trim_end().parse().ok();
    }
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().map(Xbzz::from_plur)
}

/// The items of a comma separated list, without blanks around them and without empty ones.
pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_plur_unless_the_unit_says_otherwise() {
        assert_eq!(parse_amount("3000000000000000"), Some(Xbzz::from_plur(3_000_000_000_000_000)));
        assert_eq!(parse_amount("0.5 xBZZ"), Some(Xbzz::from_plur(5_000_000_000_000_000)));
        for text in ["", "0.5", "-1", "1e3", "xBZZ", "5 BZZ"] {
            assert_eq!(parse_amount(text), None, "{text:?}");
        }
    }

    #[test]
    fn numbers_outside_their_range_are_refused() {
        let kind = Kind::Whole { min: 1, max: 1000 };
        for text in ["1", "1000"] {
            assert!(kind.takes(text));
        }
        for text in ["", "0", "1001", "abc", "+5", " 5", "5.0"] {
            assert!(!kind.takes(text), "{text:?}");
        }
        assert!(!Kind::Ratio { min: 0.0, max: 10.0 }.takes("NaN"));
    }

    #[test]
    fn only_web_addresses_are_urls() {
        assert!(Kind::Url.takes("http://127.0.0.1:1633"));
        assert!(Kind::Urls.takes("https://a.example, https://b.example"));
        for text in ["127.0.0.1:1633", "ftp://a.example", "bee", ""] {
            assert!(!Kind::Url.takes(text), "{text:?}");
            assert!(!Kind::Urls.takes(text), "{text:?}");
        }
    }
}
