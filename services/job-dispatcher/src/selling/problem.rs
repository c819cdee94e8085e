//! What is wrong, and what a person does about it.

use std::sync::Arc;

use t4t_panics::Lock;

/// What to do where nothing better is known.
pub(crate) const SEE_DOCTOR: &str = "see `t4t doctor --role provider`";

/// Why no work is taken on, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// What is wrong.
    pub(crate) reason: String,
    /// What a person does about it.
    pub(crate) next_step: String,
}

impl Problem {
    pub(crate) fn new(reason: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { reason: reason.into(), next_step: next_step.into() }
    }
}

/// A problem that one part notes and another one asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedProblem(Arc<Lock<Option<Problem>>>);

impl SharedProblem {
    /// Notes the problem that there is now, or that there is none.
    pub(crate) fn set(&self, problem: Option<Problem>) {
        *self.0.lock() = problem;
    }

    /// The problem that there is now.
    pub(crate) fn get(&self) -> Option<Problem> {
        self.0.lock().clone()
    }
}
