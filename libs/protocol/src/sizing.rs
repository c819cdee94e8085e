//! How much a gateway puts in escrow for a request, and how long an answer a provider may give for it.
//!
//! Both sides estimate by the same rule, in integers: characters of the messages, never a tokenizer. A provider that
//! counted otherwise would answer more than it is paid for.

use t4t_inference::Demand;
use t4t_types::{TokenPrices, TokenUsage, Xbzz};

/// The headroom's unit.
const MILLION: u128 = 1_000_000;
/// The largest headroom that may be configured: ten times the estimate.
const MAX_HEADROOM_RATIO: f64 = 10.0;

/// How a gateway sizes escrows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EscrowSizing {
    /// Tokens of answer that are paid for if the request states no limit.
    pub default_max_output: u64,
    /// What is added to both estimates, in parts per million; 200,000 is a fifth.
    pub headroom_ppm: u64,
}

/// The escrow for one request and what it was computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EscrowSize {
    /// Tokens the prompt is estimated at.
    pub estimated_prompt: u64,
    /// The same with headroom.
    pub budgeted_prompt: u64,
    /// Tokens of answer with headroom.
    pub budgeted_completion: u64,
    /// What goes into escrow.
    pub max_payment: Xbzz,
}

/// The price times the tokens is more than the chain can count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request costs more than any amount")]
pub struct BeyondCounting;

/// The live network's defaults: 16,384 tokens, a fifth of headroom.
impl Default for EscrowSizing {
    fn default() -> Self {
        Self { default_max_output: 16_384, headroom_ppm: 200_000 }
    }
}

impl EscrowSizing {
    /// Sizes the escrow for a request at these prices.
    ///
    /// # Errors
    /// [`BeyondCounting`]
    pub fn size(&self, demand: Demand, prices: &TokenPrices) -> Result<EscrowSize, BeyondCounting> {
        let estimated_prompt = demand.prompt;
        let output = demand.output.unwrap_or(self.default_max_output);
        let budget = TokenUsage { prompt: self.budget(estimated_prompt)?, completion: self.budget(output)? };
        let max_payment = prices.cost_rounded_up(budget).ok_or(BeyondCounting)?;
        Ok(EscrowSize {
            estimated_prompt,
            budgeted_prompt: budget.prompt,
            budgeted_completion: budget.completion,
            max_payment,
        })
    }

    /// The longest answer, in tokens, whose escrow stays within `limit`; `None` if not even the prompt's does.
    pub fn longest_output_within(&self, limit: Xbzz, prompt: u64, prices: &TokenPrices) -> Option<u64> {
        let prompt =
            prices.cost_rounded_up(TokenUsage { prompt: self.budget(prompt).ok()?, completion: 0 })?;
        let left = limit.checked_sub(prompt)?;
        let Some(budgeted) =
            left.plur().saturating_mul(TokenPrices::TOKENS).checked_div(prices.output.plur())
        else {
            return Some(u64::MAX);
        };
        // The headroom comes on top of what is asked for.
        let tokens = budgeted.saturating_mul(MILLION) / (MILLION + u128::from(self.headroom_ppm));
        Some(u64::try_from(tokens).unwrap_or(u64::MAX))
    }

    /// `⌈tokens × (10^6 + headroom) / 10^6⌉`.
    fn budget(&self, tokens: u64) -> Result<u64, BeyondCounting> {
        let factor = MILLION + u128::from(self.headroom_ppm);
        let scaled = u128::from(tokens).checked_mul(factor).ok_or(BeyondCounting)?;
        u64::try_from(scaled.div_ceil(MILLION)).map_err(|_| BeyondCounting)
    }
}

/// The longest answer that an escrow pays for, in tokens, after a prompt of `prompt_estimate` tokens:
/// `⌊(max_payment × 10^6 − input × prompt) / output⌋`. `None` if answers cost nothing: then nothing limits them.
///
/// Zero means that the escrow does not even pay for the prompt: refuse the job. Amounts too large to count are taken
/// as the largest, which can only make the answer shorter.
pub fn output_cap(max_payment: Xbzz, prices: &TokenPrices, prompt_estimate: u64) -> Option<u64> {
    let budget = max_payment.plur().saturating_mul(TokenPrices::TOKENS);
    let prompt = prices.input.plur().saturating_mul(prompt_estimate.into());
    let tokens = budget.saturating_sub(prompt).checked_div(prices.output.plur())?;
    Some(u64::try_from(tokens).unwrap_or(u64::MAX))
}

/// Turns a headroom ratio, as the configuration states it (0.2), into parts per million; `None` outside 0 to 10.
pub fn ratio_to_ppm(ratio: f64) -> Option<u64> {
    (0.0..=MAX_HEADROOM_RATIO).contains(&ratio).then(|| (ratio * 1e6).round() as u64)
}

#[cfg(test)]
mod tests;
