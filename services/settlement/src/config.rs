//! What settlement is told when it starts.

use std::time::Duration;

use t4t_chain::{ContractAddresses, Rpc};
use t4t_clock::SharedClock;
use t4t_crypto::WalletKey;
use t4t_store::Store;
use t4t_types::Xbzz;

/// The service's name, for errors.
pub(crate) const SERVICE: &str = "settlement";

/// Wei for a unit of gas that a block's maker gets: on Gnosis Chain the least that every node takes.
const DEFAULT_TIP: u128 = 1_000_000_000;

/// Most wei that a unit of gas may cost: a hundred times what it usually does.
const DEFAULT_MAX_FEE: u128 = 200_000_000_000;

/// What the escrow may take altogether before it is allowed more: about a busy gateway's day.
const DEFAULT_ALLOWANCE: Xbzz = Xbzz::from_whole(10);

/// Transactions in flight at most. Nodes keep fewer for one wallet; what they drop is sent again.
const DEFAULT_MAX_PENDING: usize = 2000;

/// Messages worked on at a time. Those that wait for a block do nothing meanwhile.
const DEFAULT_SLOTS: usize = 2048;

/// How settlement works.
#[derive(Clone, Debug)]
pub struct SettlementConfig {
    /// The chain's id (`T4T_CHAIN_ID`).
    pub chain_id: u64,
    /// The contracts.
    pub contracts: ContractAddresses,
    /// Wei for a unit of gas that a block's maker gets. Default 1 gwei.
    pub tip_wei: u128,
    /// Most wei that a unit of gas may cost, however often a fee is raised. Default 200 gwei.
    pub max_fee_wei: u128,
    /// What the escrow is allowed to take when its allowance no longer covers a job; never without limit, because
    /// whoever breaks the escrow takes it. Default 10 xBZZ.
    pub allowance_target: Xbzz,
    /// Whether the escrow is allowed that much at the start already, so that the first purchase need not wait a block
    /// for it: for gateways. Default false.
    pub approves_early: bool,
    /// Transactions that wait for a block at most; more are refused as busy. Default 2,000.
    pub max_pending: usize,
    /// Messages worked on at a time. Default 2,048.
    pub slots: usize,
    /// When it looks, sends again and raises fees.
    pub pace: Pace,
}

impl SettlementConfig {
    /// The defaults for a chain and its contracts.
    pub const fn new(chain_id: u64, contracts: ContractAddresses) -> Self {
        Self {
            chain_id,
            contracts,
            tip_wei: DEFAULT_TIP,
            max_fee_wei: DEFAULT_MAX_FEE,
            allowance_target: DEFAULT_ALLOWANCE,
            approves_early: false,
            max_pending: DEFAULT_MAX_PENDING,
            slots: DEFAULT_SLOTS,
            pace: Pace::GNOSIS,
        }
    }
}

/// When settlement looks, sends again and raises fees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The newest block is read at most this often while transactions wait.
    pub head_refresh: Duration,
    /// The newest block is read this often while none does; fees hold for six blocks.
    pub idle_refresh: Duration,
    /// The same bytes are sent again if no block had them after this time.
    pub resend_after: Duration,
    /// The fee is raised if so many blocks came without the transaction.
    pub bump_after_blocks: u64,
    /// Blocks on top of a transaction's, itself included, until it counts as final.
    pub confirmations: u64,
}

impl Pace {
    /// What suits blocks every five seconds.
    pub const GNOSIS: Self = Self {
        head_refresh: Duration::from_secs(3),
        idle_refresh: Duration::from_secs(15),
        resend_after: Duration::from_secs(6),
        bump_after_blocks: 3,
        confirmations: 12,
    };
}

/// What settlement works with.
#[derive(Debug)]
pub struct SettlementDeps {
    /// The chain.
    pub rpc: Rpc,
    /// The database.
    pub store: Store,
    /// The wallet's key; it stays inside settlement and is erased with it.
    pub wallet: WalletKey,
    /// The clock.
    pub clock: SharedClock,
}
