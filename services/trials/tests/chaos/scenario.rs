//! Who dies, when, and how often.

use std::fmt;
use std::time::Duration;

use t4t_runtime::KillPoint;

/// Whose process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Gateway,
    Provider,
}

/// When a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// When it passes a point for the n-th time.
    At(KillPoint, u32),
    /// So long after the app asked, or after the process was started again.
    After(Duration),
}

impl Aim {
    /// What `KILL_AT` says, if it says something.
    pub(crate) fn kill_at(self) -> Option<String> {
        match self {
            Self::At(point, passage) => Some(format!("{}#{passage}", point.as_str())),
            Self::After(_) => None,
        }
    }

    /// Whether a process that trades certainly passes there.
    pub(crate) fn is_certain(self) -> bool {
        matches!(self, Self::At(_, 1))
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(point, passage) => write!(f, "at {}#{passage}", point.as_str()),
            Self::After(time) => write!(f, "after {} ms", time.as_millis()),
        }
    }
}

/// A scenario: how each side's lives end, one after the other. The life after the last of them goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scenario {
    pub(crate) gateway: Vec<Aim>,
    pub(crate) provider: Vec<Aim>,
    /// How long the backend takes for each token.
    pub(crate) pace: Duration,
}

/// With it an answer takes two blocks.
const SLOW: Duration = Duration::from_millis(250);

/// The latest moment of a death at no certain place, in milliseconds.
const LATEST_MS: u64 = 4000;

/// The latest moment of a second death, in milliseconds after the return: within its recovery, or right after it.
const LATEST_SECOND_MS: u64 = 2500;

impl Scenario {
    /// One death at a point. `turn` varies the backend's pace.
    pub(crate) fn at(side: Side, point: KillPoint, passage: u32, turn: u32) -> Self {
        Self { pace: Duration::from_millis(u64::from(turn % 5) * 50), ..Self::default() }
            .dying(side, vec![Aim::At(point, passage)])
    }

    /// One death at a random point or time.
    pub(crate) fn random(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let side = dice.side();
        let aim = dice.aim(side);
        Self { pace: dice.pace(), ..Self::default() }.dying(side, vec![aim])
    }

    /// Two deaths: of one process, the second while it recovers from the first, or one of each side's.
    pub(crate) fn double(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let mut scenario = Self { pace: dice.pace(), ..Self::default() };
        if dice.throw(3) == 0 {
            for side in [Side::Gateway, Side::Provider] {
                let aim = dice.aim(side);
                scenario = scenario.dying(side, vec![aim]);
            }
            return scenario;
        }
        let side = dice.side();
        let aims = vec![dice.aim(side), dice.second_aim(side)];
        scenario.dying(side, aims)
    }

    fn dying(mut self, side: Side, aims: Vec<Aim>) -> Self {
        // Otherwise the answer is there before the gateway sees its own receipt.
        let needs_time = |aim: &Aim| matches!(aim, Aim::At(KillPoint::BuyingPosted, _));
        if aims.iter().any(needs_time) {
            self.pace = self.pace.max(SLOW);
        }
        match side {
            Side::Gateway => self.gateway = aims,
            Side::Provider => self.provider = aims,
        }
        self
    }

    /// Whether the provider has to be away for it, so that its client takes the payment back.
    pub(crate) fn needs_silence(&self) -> bool {
        matches!(self.gateway.first(), Some(Aim::At(KillPoint::BuyingTakenBack, _)))
    }

    /// Whether a job has to be refused for it.
    pub(crate) fn needs_a_refusal(&self) -> bool {
        matches!(self.provider.first(), Some(Aim::At(KillPoint::SellingRefusing, _)))
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |aims: &[Aim]| aims.iter().map(Aim::to_string).collect::<Vec<_>>().join(" and again ");
        let sides = [("gateway", &self.gateway), ("provider", &self.provider)];
        let dying = sides.iter().filter(|(_, aims)| !aims.is_empty());
        let dying: Vec<String> = dying.map(|(name, aims)| format!("{name} {}", list(aims))).collect();
        write!(f, "{}, {} ms a token", dying.join(", "), self.pace.as_millis())
    }
}

struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn side(&mut self) -> Side {
        if self.throw(2) == 0 { Side::Gateway } else { Side::Provider }
    }

    fn pace(&mut self) -> Duration {
        Duration::from_millis(self.throw(4) * 60)
    }

    fn aim(&mut self, side: Side) -> Aim {
        if self.throw(3) == 0 {
            return Aim::After(Duration::from_millis(self.throw(LATEST_MS)));
        }
        let point = self.point(side);
        let passages = if point.as_str().starts_with("settlement.") { 3 } else { 1 };
        Aim::At(point, 1 + u32::try_from(self.throw(passages)).unwrap_or_default())
    }

    fn second_aim(&mut self, side: Side) -> Aim {
        if self.throw(2) == 0 {
            return Aim::After(Duration::from_millis(self.throw(LATEST_SECOND_MS)));
        }
        Aim::At(self.point(side), 1)
    }

    fn point(&mut self, side: Side) -> KillPoint {
        let other = if side == Side::Gateway { "selling." } else { "buying." };
        // Taking back has to wait for a window of half a minute: it has its own turns.
        let own = KillPoint::ALL
            .into_iter()
            .filter(|point| !point.as_str().starts_with(other) && *point != KillPoint::BuyingTakenBack);
        let own: Vec<KillPoint> = own.collect();
        own[usize::try_from(self.throw(own.len() as u64)).unwrap_or_default()]
    }
}
