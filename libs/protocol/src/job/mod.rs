//! A job's life on each side of the market, as plain state machines.
//!
//! They say which step may follow which; what a step means in money, messages and rows is the dispatcher's.

mod buying;
mod selling;

pub use buying::{BuyingState, BuyingStep};
pub use selling::{SellingState, SellingStep};

/// A step that can't happen in a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {state} can't become {step}")]
pub struct IllegalTransition {
    /// The state.
    pub state: &'static str,
    /// The step.
    pub step: &'static str,
}

/// Gives an enum of plain variants its text form.
macro_rules! text_form {
    ($name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        impl $name {
            /// Every variant.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The text form, as rows and logs have it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::job::UnknownText;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|variant| variant.as_str() == text).ok_or(crate::job::UnknownText)
            }
        }
    };
}
pub(crate) use text_form;

/// A text that names no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such state")]
pub struct UnknownText;
