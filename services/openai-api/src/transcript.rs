//! What a stream says: progress while there is no answer, then the answer in pieces.

use bytes::Bytes;
use t4t_api::job_dispatcher::BuyingProgress;
use t4t_types::TokenPrices;

use crate::config::ProgressMode;
use crate::error::GatewayError;
use crate::wire::answer::{Answer, Choice};
use crate::wire::chunk::{self, ChunkHead, Delta};
use crate::wire::progress::{END, MODEL, THINK, TITLE};

/// The longest reason of another party that is shown, in characters.
const MAX_REASON: usize = 200;

/// One stream's text so far.
#[derive(Debug)]
pub(crate) struct Transcript {
    head: ChunkHead,
    mode: ProgressMode,
    /// Whether progress was shown.
    told: bool,
}

impl Transcript {
    /// A stream that has said nothing yet.
    pub(crate) fn new(head: ChunkHead, mode: ProgressMode) -> Self {
        Self { head, mode, told: false }
    }

    /// How the stream begins.
    pub(crate) fn opening(&self) -> Bytes {
        self.head.delta(0, Delta::role()).into()
    }

    /// Shows a step, if steps are shown.
    pub(crate) fn progress(&mut self, step: &BuyingProgress) -> Option<Bytes> {
        let line = describe(step)?;
        let (open, title) = match self.mode {
            ProgressMode::Off => return None,
            _ if self.told => (String::new(), String::new()),
            ProgressMode::Think => (format!("{THINK}\n"), format!("{TITLE}\n")),
            ProgressMode::Reasoning => (String::new(), format!("{TITLE}\n")),
        };
        self.told = true;
        let text = format!("{open}{title}- {line}\n");
        let delta = match self.mode {
            ProgressMode::Think => Delta::content(&text),
            _ => Delta::reasoning(&text),
        };
        Some(self.head.delta(0, delta).into())
    }

    /// The rest of the stream for an answer.
    pub(crate) fn answer<'a>(&'a self, answer: &'a mut Answer) -> impl Iterator<Item = Vec<u8>> + 'a {
        let lead =
            answer.choices.iter_mut().find(|choice| choice.index == 0).and_then(|first| self.lead(first));
        let answer: &Answer = answer;
        let choices = answer.choices.iter().flat_map(|choice| self.head.choice(choice, choice.index == 0));
        lead.into_iter().chain(choices).chain(std::iter::once_with(|| self.head.end(answer)))
    }

    /// What leads from the progress shown to the first choice.
    fn lead(&self, first: &mut Choice) -> Option<Vec<u8>> {
        if !self.told {
            return None;
        }
        match self.mode {
            ProgressMode::Think => {
                let lead = close_thoughts(&mut first.content);
                Some(self.head.delta(0, Delta::content(&lead)))
            }
            _ if first.reasoning.is_empty() => None,
            _ => Some(self.head.delta(0, Delta::reasoning(&format!("\n{MODEL}\n")))),
        }
    }

    /// How a stream that broke off ends.
    pub(crate) fn error(error: &GatewayError) -> Bytes {
        error.with_body(chunk::error)
    }
}

/// Closes the progress's thoughts; the model's own, if its text begins with some, are moved before the end.
fn close_thoughts(content: &mut String) -> String {
    let thoughts = content.trim_start().strip_prefix(THINK).and_then(|text| text.split_once(END));
    let Some((thoughts, rest)) = thoughts else { return format!("{END}\n\n") };
    let lead = format!("\n\n{MODEL}\n{}\n{END}\n\n", thoughts.trim());
    *content = rest.trim_start().to_owned();
    lead
}

/// One line about a step; `None` for the answer itself. Each begins as `wire::progress` knows our
/// lines by.
fn describe(step: &BuyingProgress) -> Option<String> {
    Some(match step {
        BuyingProgress::Waiting { busy } => format!("all {busy} providers are busy, waiting for one of them"),
        BuyingProgress::Selected { provider, prices, max_payment } => {
            let TokenPrices { input, output } = prices;
            format!(
                "provider {provider} chosen: {input} / {output} xBZZ per million tokens in / out, at most {max_payment} xBZZ"
            )
        }
        BuyingProgress::Posted { job, transaction } => {
            format!("payment in escrow: job {job}, transaction {transaction}")
        }
        BuyingProgress::Acked => "the provider has begun".into(),
        BuyingProgress::Retrying { provider, reason } => {
            format!("provider {provider} failed ({}), the payment comes back, trying another", plain(reason))
        }
        BuyingProgress::Piece(_) | BuyingProgress::Bought(_) => return None,
    })
}

/// Another party's text on one line, without marks that end the thoughts.
fn plain(text: &str) -> String {
    let shown = text.chars().filter(|c| !matches!(c, '<' | '>')).take(MAX_REASON);
    shown.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_own_thoughts_join_those_of_the_network() {
        let mut content = "\n<think>\nhm\n</think>\n\nHello".to_owned();
        assert_eq!(close_thoughts(&mut content), "\n\nmodel reasoning:\nhm\n</think>\n\n");
        assert_eq!(content, "Hello");
        for text in ["Hello <think>x</think>", "<think>never closed", ""] {
            let mut content = text.to_owned();
            assert_eq!(close_thoughts(&mut content), "</think>\n\n");
            assert_eq!(content, text);
        }
    }

    #[test]
    fn every_line_of_ours_is_known_when_it_comes_back() {
        let (provider, job) = (t4t_types::Address::new([1; 20]), t4t_types::JobId::new([2; 32]));
        let steps = [
            BuyingProgress::Waiting { busy: 2 },
            BuyingProgress::Selected {
                provider,
                prices: TokenPrices::default(),
                max_payment: "1".parse().unwrap(),
            },
            BuyingProgress::Posted { job, transaction: t4t_types::TxHash::new([3; 32]) },
            BuyingProgress::Acked,
            BuyingProgress::Retrying { provider, reason: "model reasoning:\n- x </think>".into() },
        ];
        let lines: Vec<_> = steps.iter().filter_map(describe).map(|line| format!("- {line}\n")).collect();
        assert_eq!(lines.len(), steps.len());
        let shown = |lines: &[String]| format!("{TITLE}\n{}", lines.concat());
        for line in &lines {
            assert_eq!(
                crate::wire::progress::without(&shown(std::slice::from_ref(line))),
                Some(""),
                "{line}"
            );
        }
        let all = format!("{}\n{MODEL}\nhm", shown(&lines));
        assert_eq!(crate::wire::progress::without(&all), Some("hm"));
    }

    #[test]
    fn a_peers_reason_can_not_end_the_thoughts_or_fill_the_screen() {
        let reason = format!("a</think>\nb{}", "x".repeat(1000));
        let shown = plain(&reason);
        assert!(shown.starts_with("a/think bx"));
        assert_eq!(shown.chars().count(), MAX_REASON);
    }
}
