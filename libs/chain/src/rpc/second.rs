//! Second opinions: an error that may be about the call is believed once no other endpoint has a better answer.

use crate::error::ChainError;

use super::wire::Answer;

/// What endpoints answered to the same questions so far.
#[derive(Debug, Default)]
pub(super) struct Opinions {
    /// Endpoints that were asked, whatever they did.
    asked: Vec<usize>,
    /// The best answers, and who gave each.
    best: Option<Vec<(usize, Answer)>>,
    /// An endpoint's answer was longer than is taken.
    too_large: bool,
    /// Endpoints that gave answers.
    answered: Vec<usize>,
    /// Endpoints that answered with an error where another had a result.
    wrong: Vec<usize>,
}

/// What came of asking.
#[derive(Debug)]
pub(super) struct Consensus {
    /// The best answers.
    pub(super) answers: Vec<Answer>,
    /// Endpoints that gave them.
    pub(super) right: Vec<usize>,
    /// Endpoints that answered with an error where another had a result.
    pub(super) wrong: Vec<usize>,
}

impl Opinions {
    /// Notes that an endpoint is asked.
    pub(super) fn asks(&mut self, index: usize) {
        self.asked.push(index);
    }

    /// Whether an endpoint was not asked.
    pub(super) fn is_unasked(&self, index: usize) -> bool {
        !self.asked.contains(&index)
    }

    /// The endpoint that was asked first.
    pub(super) fn first(&self) -> Option<usize> {
        self.asked.first().copied()
    }

    /// Notes that an endpoint's answer was longer than is taken.
    pub(super) fn too_large(&mut self) {
        self.too_large = true;
    }

    /// Whether there was an answer, however bad.
    pub(super) fn is_answered(&self) -> bool {
        self.too_large || self.best.is_some()
    }

    /// Adds an endpoint's answers; `true` means that no error is left among the best ones.
    pub(super) fn add(&mut self, index: usize, answers: Vec<Answer>) -> bool {
        self.answered.push(index);
        let new = answers.into_iter().map(|answer| (index, answer));
        self.best = Some(match self.best.take() {
            None => new.collect(),
            Some(best) => best.into_iter().zip(new).map(|(old, new)| self.better(old, new)).collect(),
        });
        self.best.iter().flatten().all(|(_, answer)| answer.is_ok())
    }

    fn better(&mut self, old: (usize, Answer), new: (usize, Answer)) -> (usize, Answer) {
        match (&old.1, &new.1) {
            (Ok(_), Err(_)) => self.wrong.push(new.0),
            (Err(_), Ok(_)) => self.wrong.push(old.0),
            _ => {}
        }
        match (&old.1, &new.1) {
            (Ok(_), _) => old,
            (Err(_), Ok(_)) => new,
            // A refusal with what the contract said tells more than one without.
            (Err(ChainError::Answer { data: None, .. }), Err(ChainError::Answer { data: Some(_), .. })) => {
                new
            }
            (Err(_), Err(_)) => old,
        }
    }

    /// The best answers; `None` if there are none.
    pub(super) fn into_consensus(self) -> Option<Consensus> {
        let answers = self.best?.into_iter().map(|(_, answer)| answer).collect();
        let right = self.answered.into_iter().filter(|index| !self.wrong.contains(index)).collect();
        Some(Consensus { answers, right, wrong: self.wrong })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn result(text: &str) -> Answer {
        Ok(RawValue::from_string(text.to_owned()).unwrap())
    }

    fn refusal(message: &str) -> Answer {
        Err(ChainError::Answer { code: -32000, message: message.to_owned(), data: None })
    }

    #[test]
    fn a_result_counts_before_an_error_whoever_is_asked_first() {
        for first_fails in [true, false] {
            let mut opinions = Opinions::default();
            let (bad, good) = (vec![refusal("no"), result("1")], vec![result("2"), refusal("no")]);
            let (first, second) = if first_fails { (bad, good) } else { (good, bad) };
            assert!(!opinions.add(0, first));
            assert!(opinions.add(1, second));
            let mut found = opinions.into_consensus().unwrap();
            found.wrong.sort_unstable();
            assert!(found.answers.iter().all(Result::is_ok));
            assert_eq!(found.wrong, [0, 1]);
        }
    }

    #[test]
    fn what_all_say_is_said() {
        let mut opinions = Opinions::default();
        assert!(!opinions.add(0, vec![refusal("first")]));
        assert!(!opinions.add(1, vec![refusal("second")]));
        let found = opinions.into_consensus().unwrap();
        assert!(found.answers[0].as_ref().unwrap_err().to_string().contains("first"));
        assert!(found.wrong.is_empty() && found.right == [0, 1]);
    }
}
