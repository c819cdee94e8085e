//! Settings of Swarm.

use t4t_types::{BatchId, Xbzz};
use url::Url;

use super::error::{ConfigError, ConfigProblem};
use super::{Settings, keys};

/// The Bee node and what stamps are taken from.
#[derive(Clone, Debug)]
pub struct SwarmSettings {
    /// The node's HTTP address (`BEE_API_URL`).
    pub bee_url: Url,
    /// The postage batch, where the operator names one (`POSTAGE_BATCH_ID`); it is not looked after then.
    pub batch: Option<BatchId>,
    /// How postage is looked after otherwise.
    pub stamps: StampSettings,
    /// The redundancy level of requests longer than a chunk (`T4T_REQUEST_REDUNDANCY`, 0).
    pub request_redundancy: u8,
    /// The redundancy level of answers longer than a chunk (`T4T_ANSWER_REDUNDANCY`, 1).
    pub answer_redundancy: u8,
}

/// How postage batches are bought and kept alive.
#[derive(Clone, Debug)]
pub struct StampSettings {
    /// Whether they are bought, topped up and diluted at all (`T4T_STAMP_MANAGE`, true).
    pub manage: bool,
    /// The depth of a new batch (`T4T_STAMP_DEPTH`, 20).
    pub depth: u8,
    /// For how many days postage is bought (`T4T_STAMP_TTL_DAYS`, 7).
    pub ttl_days: u32,
    /// Postage with fewer days left is topped up (`T4T_STAMP_MIN_TTL_DAYS`, 2).
    pub min_ttl_days: u32,
    /// The label of our batches (`T4T_STAMP_LABEL`, t4t).
    pub label: String,
    /// A batch fuller than this is diluted (`T4T_STAMP_MAX_UTILIZATION`, 0.5; 1 is full).
    pub max_utilization: f64,
    /// A batch is never diluted beyond this depth (`T4T_STAMP_MAX_DEPTH`, 28).
    pub max_depth: u8,
    /// The most that one purchase or top-up may cost (`T4T_STAMP_MAX_SPEND`, 1 xBZZ).
    pub max_spend: Xbzz,
    /// The most that all of 30 days may cost (`T4T_STAMP_MAX_MONTHLY_SPEND`, 10 xBZZ).
    pub max_monthly_spend: Xbzz,
    /// Only say what would be done (`T4T_STAMP_DRY_RUN`, false).
    pub dry_run: bool,
}

impl SwarmSettings {
    /// Reads them.
    ///
    /// # Errors
    /// A setting is wrong, or some don't go together.
    pub fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            bee_url: settings.url(&keys::BEE_API_URL)?,
            batch: settings.get(&keys::POSTAGE_BATCH_ID)?,
            stamps: StampSettings::from_settings(settings)?,
            request_redundancy: settings.whole(&keys::T4T_REQUEST_REDUNDANCY)?,
            answer_redundancy: settings.whole(&keys::T4T_ANSWER_REDUNDANCY)?,
        })
    }
}

impl StampSettings {
    fn from_settings(settings: &Settings) -> Result<Self, ConfigError> {
        let why = "stamps are looked after by it";
        let stamps = Self {
            manage: settings.flag(&keys::T4T_STAMP_MANAGE)?,
            depth: settings.whole(&keys::T4T_STAMP_DEPTH)?,
            ttl_days: settings.whole(&keys::T4T_STAMP_TTL_DAYS)?,
            min_ttl_days: settings.whole(&keys::T4T_STAMP_MIN_TTL_DAYS)?,
            label: settings.required(&keys::T4T_STAMP_LABEL, why)?,
            max_utilization: settings.required(&keys::T4T_STAMP_MAX_UTILIZATION, why)?,
            max_depth: settings.whole(&keys::T4T_STAMP_MAX_DEPTH)?,
            max_spend: settings.amount(&keys::T4T_STAMP_MAX_SPEND)?.unwrap_or_default(),
            max_monthly_spend: settings.amount(&keys::T4T_STAMP_MAX_MONTHLY_SPEND)?.unwrap_or_default(),
            dry_run: settings.flag(&keys::T4T_STAMP_DRY_RUN)?,
        };
        stamps.check()
    }

    fn check(self) -> Result<Self, ConfigError> {
        if self.min_ttl_days > self.ttl_days {
            return Err(ConfigProblem::Unsafe {
                what: format!(
                    "postage for {} days would be topped up at once, because T4T_STAMP_MIN_TTL_DAYS is {}",
                    self.ttl_days, self.min_ttl_days
                ),
                fix: "set T4T_STAMP_MIN_TTL_DAYS below T4T_STAMP_TTL_DAYS".into(),
            }
            .into());
        }
        if self.depth > self.max_depth {
            return Err(ConfigProblem::Unsafe {
                what: format!(
                    "T4T_STAMP_DEPTH={} is above T4T_STAMP_MAX_DEPTH={}",
                    self.depth, self.max_depth
                ),
                fix: "lower T4T_STAMP_DEPTH or raise T4T_STAMP_MAX_DEPTH".into(),
            }
            .into());
        }
        Ok(self)
    }
}
