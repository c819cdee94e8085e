//! When trouble is worth another line: at once, then ever more seldom, and once when it is over.

use std::time::Duration;

/// Time until the same trouble is said again; doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(60);

/// Longest time between two lines about the same trouble.
const LONGEST_PAUSE: Duration = Duration::from_secs(900);

/// Whether there is trouble, and when it was last said.
#[derive(Clone, Debug, Default)]
pub struct Alarm {
    ringing: Option<Ringing>,
}

#[derive(Clone, Debug)]
struct Ringing {
    next_step: String,
    say_at_ms: u64,
    pause: Duration,
}

impl Alarm {
    /// There is trouble, and `next_step` is what to do about it. Returns whether to say so now.
    ///
    /// Trouble with the same next step is the same trouble, whatever else changes about it.
    pub fn raise(&mut self, next_step: &str, now_ms: u64) -> bool {
        match &mut self.ringing {
            Some(same) if same.next_step == next_step => same.is_due(now_ms),
            _ => {
                let say_at_ms = after(now_ms, FIRST_PAUSE);
                self.ringing =
                    Some(Ringing { next_step: next_step.to_owned(), say_at_ms, pause: FIRST_PAUSE });
                true
            }
        }
    }

    /// There is no trouble. Returns whether there was, so that its end is said once.
    pub fn end(&mut self) -> bool {
        self.ringing.take().is_some()
    }
}

impl Ringing {
    fn is_due(&mut self, now_ms: u64) -> bool {
        if now_ms < self.say_at_ms {
            return false;
        }
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.say_at_ms = after(now_ms, self.pause);
        true
    }
}

fn after(now_ms: u64, pause: Duration) -> u64 {
    now_ms.saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_said_at_once_then_ever_more_seldom_and_its_end_once() {
        let mut alarm = Alarm::default();
        let said: Vec<u64> = (0..7200).filter(|second| alarm.raise("send xDAI", second * 1000)).collect();
        assert_eq!(said, [0, 60, 180, 420, 900, 1800, 2700, 3600, 4500, 5400, 6300]);
        assert!(alarm.end());
        assert!(!alarm.end());
        assert!(alarm.raise("send xDAI", 7_200_000));
    }

    #[test]
    fn other_trouble_is_said_at_once() {
        let mut alarm = Alarm::default();
        assert!(alarm.raise("send xDAI", 0));
        assert!(!alarm.raise("send xDAI", 1));
        assert!(alarm.raise("start Bee", 2));
    }
}
