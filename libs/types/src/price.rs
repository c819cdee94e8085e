//! Prices and token counts.

use serde::{Deserialize, Serialize};

use crate::Xbzz;

/// What a model costs: PLUR per million tokens, as offerings on the chain state it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TokenPrices {
    /// Price of a million prompt tokens.
    pub input: Xbzz,
    /// Price of a million completion tokens.
    pub output: Xbzz,
}

/// How many tokens a request took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Tokens of the prompt.
    pub prompt: u64,
    /// Tokens of the answer.
    pub completion: u64,
}

impl TokenPrices {
    /// Tokens that a price is stated for.
    pub const TOKENS: u128 = 1_000_000;

    /// Input and output price together, by which offers are compared; stops at the largest amount.
    pub fn combined(&self) -> Xbzz {
        self.input.saturating_add(self.output)
    }

    /// `input × prompt + output × completion`, in PLUR × 10^6; `None` on overflow.
    fn scaled_cost(&self, usage: TokenUsage) -> Option<u128> {
        let input = self.input.plur().checked_mul(usage.prompt.into())?;
        let output = self.output.plur().checked_mul(usage.completion.into())?;
        input.checked_add(output)
    }

    /// What a request cost, rounded down once: `⌊(in × prompt + out × completion) / 10^6⌋`; `None` on overflow.
    pub fn cost(&self, usage: TokenUsage) -> Option<Xbzz> {
        self.scaled_cost(usage).map(|scaled| Xbzz::from_plur(scaled / Self::TOKENS))
    }

    /// The same, rounded up: what an escrow must hold; `None` on overflow.
    pub fn cost_rounded_up(&self, usage: TokenUsage) -> Option<Xbzz> {
        self.scaled_cost(usage).map(|scaled| Xbzz::from_plur(scaled.div_ceil(Self::TOKENS)))
    }
}

impl TokenUsage {
    /// Prompt and completion together; stops at the largest count.
    pub fn total(&self) -> u64 {
        self.prompt.saturating_add(self.completion)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PRICES: TokenPrices = TokenPrices {
        input: Xbzz::from_plur(3_000_000_000_000_000),
        output: Xbzz::from_plur(15_000_000_000_000_000),
    };

    #[test]
    fn the_documented_example_costs_what_it_says() {
        let cost = PRICES.cost_rounded_up(TokenUsage { prompt: 308, completion: 77 });
        assert_eq!(cost, Some(Xbzz::from_plur(2_079_000_000_000)));
    }

    #[test]
    fn a_cost_that_overflows_is_none() {
        let prices = TokenPrices { input: Xbzz::MAX, output: Xbzz::MAX };
        assert_eq!(prices.cost(TokenUsage { prompt: 2, completion: 0 }), None);
    }

    proptest! {
        #[test]
        fn rounding_differs_by_at_most_one_plur(input: u64, output: u64, prompt: u32, completion: u32) {
            let prices = TokenPrices { input: Xbzz::from_plur(input.into()), output: Xbzz::from_plur(output.into()) };
            let usage = TokenUsage { prompt: prompt.into(), completion: completion.into() };
            let (down, up) = (prices.cost(usage).unwrap(), prices.cost_rounded_up(usage).unwrap());
            prop_assert!(up.plur() - down.plur() <= 1);
        }
    }
}
