//! The single blows: blocks that are replaced, roles that are killed.

use t4t_faults::Dice;

use super::market::ChaosMarket;
use super::teller::{Place, Teller};

/// How likely blocks are replaced in a second.
const REORGANISATION: f64 = 1.0 / 12.0;

/// The most blocks that are replaced at once.
const DEEPEST: u64 = 3;

/// How likely a role is killed in a second.
const KILL: f64 = 1.0 / 20.0;

/// Seconds at which a check strikes for certain, so that a short one has seen everything.
const CHECK_REORGANISES_AT: u64 = 3;
const CHECK_KILLS_GATEWAY_AT: u64 = 5;
const CHECK_KILLS_PROVIDER_AT: u64 = 8;

/// Strikes now and then, as the dice say.
#[derive(Debug)]
pub(super) struct Storm {
    dice: Dice,
    is_check: bool,
    pub(super) reorganisations: u64,
    pub(super) kills: u64,
}

impl Storm {
    /// Dice that begin at a seed; a check strikes at set times.
    pub(super) fn new(seed: u64, is_check: bool) -> Self {
        Self { dice: Dice::new(seed), is_check, reorganisations: 0, kills: 0 }
    }

    /// What happens in this second.
    pub(super) async fn strike(&mut self, second: u64, market: &ChaosMarket, teller: &Teller) {
        let (reorganises, kills) = (self.dice.happens(REORGANISATION), self.dice.happens(KILL));
        let (depth, whom) = (self.dice.between(1, DEEPEST), self.dice.between(0, 1));
        if self.is_check {
            match second {
                CHECK_REORGANISES_AT => self.reorganise(depth, market, teller).await,
                CHECK_KILLS_GATEWAY_AT => self.kill(0, market).await,
                CHECK_KILLS_PROVIDER_AT => self.kill(1, market).await,
                _ => {}
            }
            return;
        }
        if reorganises {
            self.reorganise(depth, market, teller).await;
        }
        if kills {
            self.kill(whom, market).await;
        }
    }

    async fn reorganise(&mut self, depth: u64, market: &ChaosMarket, teller: &Teller) {
        let blocks = if depth == 1 { "1 block".to_owned() } else { format!("{depth} blocks") };
        match market.world.anvil.reorganise(depth).await {
            Ok(()) => {
                self.reorganisations += 1;
                teller.say(
                    Place::Chain,
                    &format!("reorganisation: {blocks} replaced, their transactions gone"),
                );
            }
            Err(error) => teller.say(Place::Chain, &format!("{error:#}")),
        }
    }

    /// The process tells of its end by itself.
    async fn kill(&mut self, whom: u64, market: &ChaosMarket) {
        self.kills += 1;
        if whom == 0 { market.gateway.kill().await } else { market.provider.kill().await }
    }
}
