//! Who dies, and when.

use std::fmt;
use std::time::Duration;

use t4t_runtime::KillPoint;

/// Whose process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Gateway,
    Provider,
}

/// When it dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// When it passes a point for the n-th time.
    At(KillPoint, u32),
    /// So long after the app asked.
    After(Duration),
}

/// A scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shot {
    pub(crate) side: Side,
    pub(crate) aim: Aim,
}

impl Shot {
    /// The scenario of a seed.
    pub(crate) fn random(seed: u64) -> Self {
        let mut dice = seed;
        let mut throw = |sides: u64| {
            // SplitMix64.
            dice = dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = dice;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ (z >> 31)) % sides
        };
        let side = if throw(2) == 0 { Side::Gateway } else { Side::Provider };
        if throw(3) == 0 {
            return Self { side, aim: Aim::After(Duration::from_millis(throw(4000))) };
        }
        let own = KillPoint::ALL.into_iter().filter(|point| {
            let other = if side == Side::Gateway { "selling." } else { "buying." };
            !point.as_str().starts_with(other)
        });
        let own: Vec<KillPoint> = own.collect();
        let point = own[usize::try_from(throw(own.len() as u64)).unwrap_or_default()];
        let passages = if point.as_str().starts_with("settlement.") { 3 } else { 1 };
        Self { side, aim: Aim::At(point, 1 + u32::try_from(throw(passages)).unwrap_or_default()) }
    }

    /// What `KILL_AT` says, if it says something.
    pub(crate) fn kill_at(&self) -> Option<String> {
        match self.aim {
            Aim::At(point, passage) => Some(format!("{}#{passage}", point.as_str())),
            Aim::After(_) => None,
        }
    }

    /// Whether a job has to be refused for it.
    pub(crate) fn needs_a_refusal(&self) -> bool {
        matches!(self.aim, Aim::At(KillPoint::SellingRefusing, _))
    }

    /// Whether the answer has to take a while: otherwise it is there before the gateway sees its own receipt.
    pub(crate) fn needs_time(&self) -> bool {
        matches!(self.aim, Aim::At(KillPoint::BuyingPosted, _))
    }

    /// How often the backend may be asked: never again once its answer is stored.
    pub(crate) fn most_calls(&self) -> u64 {
        match (self.side, self.aim) {
            (Side::Gateway, _) => 1,
            (Side::Provider, Aim::After(_)) => 2,
            // The acknowledgement goes out while the backend works.
            (Side::Provider, Aim::At(point, 1)) if point.as_str().starts_with("settlement.") => 2,
            (Side::Provider, Aim::At(point, _)) => 1 + u64::from(is_before_the_answer(point)),
        }
    }
}

/// Whether no answer is stored when the provider dies there.
fn is_before_the_answer(point: KillPoint) -> bool {
    use KillPoint as Point;
    matches!(
        point,
        Point::SellingFound
            | Point::SellingFetched
            | Point::SellingBegan
            | Point::SellingAcked
            | Point::SellingRan
    )
}

impl fmt::Display for Shot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.aim {
            Aim::At(point, passage) => write!(f, "{:?} at {}#{passage}", self.side, point.as_str()),
            Aim::After(time) => write!(f, "{:?} after {} ms", self.side, time.as_millis()),
        }
    }
}
