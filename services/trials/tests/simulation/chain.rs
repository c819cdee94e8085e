//! A chain in memory: blocks on the timeline's time, a mempool with nodes' rules, reorganisations.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ethers_core::types::transaction::eip2718::TypedTransaction;
use ethers_core::utils::rlp::Rlp;
use evm::uint::{H160, H256, U256};
use t4t_types::keccak256;

use super::evm::{Event, Order, Outcome, State, Surroundings};

/// States that can be asked about or gone back to.
const KEPT_STATES: u64 = 64;

/// Wei that a unit of gas costs when nothing is wrong.
pub(crate) const BASE_FEE: u128 = 1_000_000_000;

/// A transaction that waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) hash: H256,
    nonce: u64,
    order: Order,
}

/// A transaction in a block.
#[derive(Clone, Debug)]
pub(crate) struct Mined {
    pub(crate) transaction: Waiting,
    pub(crate) outcome: Outcome,
    pub(crate) price: u128,
    /// Number of its first event in the block.
    pub(crate) first_log: u64,
}

/// A block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) number: u64,
    pub(crate) hash: H256,
    pub(crate) parent: H256,
    pub(crate) timestamp: u64,
    pub(crate) base_fee: u128,
    pub(crate) mined: Vec<Mined>,
}

/// Why a node does not take a transaction, in its words.
pub(crate) type Refusal = &'static str;

/// The chain.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) chain_id: u64,
    blocks: Vec<Block>,
    states: BTreeMap<u64, Arc<State>>,
    state: Arc<State>,
    pool: Vec<Waiting>,
    /// Where each transaction is.
    places: HashMap<H256, u64>,
    base_fee: u128,
    /// Where the fee goes, by an eighth a block at most.
    pub(crate) fee_target: u128,
    /// Makes hashes of blocks at one height differ.
    branch: u64,
}

impl Chain {
    pub(crate) fn new(chain_id: u64, state: State, timestamp: u64) -> Self {
        let state = Arc::new(state);
        let genesis = Block {
            number: 0,
            hash: H256(keccak256("genesis")),
            parent: H256::zero(),
            timestamp,
            base_fee: BASE_FEE,
            mined: Vec::new(),
        };
        Self {
            chain_id,
            blocks: vec![genesis],
            states: BTreeMap::from([(0, Arc::clone(&state))]),
            state,
            pool: Vec::new(),
            places: HashMap::new(),
            base_fee: BASE_FEE,
            fee_target: BASE_FEE,
            branch: 0,
        }
    }

    pub(crate) fn head(&self) -> &Block {
        self.blocks.last().expect("there is always the first block")
    }

    pub(crate) fn block(&self, number: u64) -> Option<&Block> {
        self.blocks.get(usize::try_from(number).ok()?)
    }

    /// The state after a block, or the newest one if that is kept no more.
    pub(crate) fn state_at(&self, number: u64) -> &State {
        self.states.get(&number).unwrap_or(&self.state)
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn around(&self, block: &Block) -> Surroundings {
        let Block { number, timestamp, base_fee, .. } = *block;
        Surroundings { number, timestamp, base_fee, chain_id: self.chain_id }
    }

    pub(crate) fn mined(&self, hash: H256) -> Option<(&Block, &Mined)> {
        let block = self.block(*self.places.get(&hash)?)?;
        block.mined.iter().find(|mined| mined.transaction.hash == hash).map(|mined| (block, mined))
    }

    pub(crate) fn waits(&self, hash: H256) -> bool {
        self.pool.iter().any(|waiting| waiting.hash == hash)
    }

    /// The next nonce with all that waits without a gap.
    pub(crate) fn pending_nonce(&self, from: H160) -> u64 {
        let mut nonce = self.state.account(from).nonce;
        while self.pool.iter().any(|waiting| waiting.order.from == from && waiting.nonce == nonce) {
            nonce += 1;
        }
        nonce
    }

    /// Takes a signed transaction into the mempool, as a node does.
    pub(crate) fn send(&mut self, raw: Vec<u8>) -> Result<H256, Refusal> {
        let waiting = read(raw).ok_or("rlp: could not be read")?;
        let hash = waiting.hash;
        if self.waits(hash) {
            return Err("already known");
        }
        let account = self.state.account(waiting.order.from);
        if waiting.nonce < account.nonce {
            return Err("nonce too low");
        }
        let most = U256::from(waiting.order.gas_limit) * U256::from(waiting.order.max_fee);
        if account.balance < most + waiting.order.value {
            return Err("insufficient funds for gas * price + value");
        }
        let same_place =
            |other: &&mut Waiting| other.order.from == waiting.order.from && other.nonce == waiting.nonce;
        match self.pool.iter_mut().find(same_place) {
            Some(other) if waiting.order.max_fee * 10 < other.order.max_fee * 11 => {
                return Err("replacement transaction underpriced");
            }
            Some(other) => *other = waiting,
            None => self.pool.push(waiting),
        }
        Ok(hash)
    }

    /// Makes a block of what waits, as far as `takes` says so for each transaction.
    pub(crate) fn mine(&mut self, timestamp: u64, mut takes: impl FnMut(H256) -> bool) {
        let head = self.head();
        let (number, parent) = (head.number + 1, head.hash);
        let timestamp = timestamp.max(head.timestamp + 1);
        let mut block = Block {
            number,
            hash: H256(keccak256([parent.as_bytes(), &self.branch.to_be_bytes()].concat())),
            parent,
            timestamp,
            base_fee: self.base_fee,
            mined: Vec::new(),
        };
        let most = self.base_fee / 8;
        let step = self.fee_target.abs_diff(self.base_fee).min(most);
        self.base_fee =
            if self.fee_target > self.base_fee { self.base_fee + step } else { self.base_fee - step };
        self.pool.retain(|waiting| waiting.nonce >= self.state.account(waiting.order.from).nonce);
        let mut passed_over = Vec::new();
        while let Some(index) = self.next_mined(&passed_over) {
            let transaction = self.pool[index].clone();
            if !takes(transaction.hash) {
                passed_over.push(transaction.hash);
                continue;
            }
            self.pool.remove(index);
            self.include(&mut block, transaction);
        }
        self.states.insert(number, Arc::clone(&self.state));
        self.states.remove(&number.saturating_sub(KEPT_STATES));
        self.blocks.push(block);
    }

    fn next_mined(&self, passed_over: &[H256]) -> Option<usize> {
        self.pool.iter().position(|waiting| {
            !passed_over.contains(&waiting.hash)
                && waiting.nonce == self.state.account(waiting.order.from).nonce
                && waiting.order.max_fee >= self.base_fee
        })
    }

    fn include(&mut self, block: &mut Block, transaction: Waiting) {
        let price = transaction.order.max_fee.min(block.base_fee + transaction.order.max_priority);
        let around = self.around(block);
        let outcome = Arc::make_mut(&mut self.state).run(transaction.order.clone(), around);
        let logs = |mined: &Mined| mined.outcome.events.len() as u64;
        let first_log = block.mined.iter().map(logs).sum();
        self.places.insert(transaction.hash, block.number);
        block.mined.push(Mined { transaction, outcome, price, first_log });
    }

    /// Takes the newest blocks away and makes as many new ones at the same times, without their transactions, which
    /// wait again, or are gone from the mempool as well.
    pub(crate) fn reorganise(&mut self, depth: u64, forgets: bool) {
        let depth = depth.min(self.head().number).min(KEPT_STATES - 1);
        let keep = self.head().number - depth;
        let gone: Vec<Block> = self.blocks.drain(usize::try_from(keep + 1).unwrap_or(usize::MAX)..).collect();
        if let Some(state) = self.states.get(&keep) {
            self.state = Arc::clone(state);
        }
        self.states.retain(|number, _| *number <= keep);
        self.branch += 1;
        for block in &gone {
            for mined in &block.mined {
                self.places.remove(&mined.transaction.hash);
                if !forgets {
                    self.pool.push(mined.transaction.clone());
                }
            }
        }
        // The new branch comes without them at first.
        for block in &gone {
            self.mine(block.timestamp, |_| false);
        }
    }

    /// Forgets what waits, as far as `drops` says so.
    pub(crate) fn drop_waiting(&mut self, mut drops: impl FnMut(H256) -> bool) -> usize {
        let before = self.pool.len();
        self.pool.retain(|waiting| !drops(waiting.hash));
        before - self.pool.len()
    }

    /// Every event that fits, oldest first, with its block, transaction and number in the block.
    pub(crate) fn logs(
        &self,
        from: u64,
        to: u64,
        fits: impl Fn(&Event) -> bool,
    ) -> Vec<(&Block, H256, u64, &Event)> {
        let mut found = Vec::new();
        for block in self.blocks.iter().filter(|block| (from..=to).contains(&block.number)) {
            for mined in &block.mined {
                for (index, event) in mined.outcome.events.iter().enumerate() {
                    if fits(event) {
                        found.push((block, mined.transaction.hash, mined.first_log + index as u64, event));
                    }
                }
            }
        }
        found
    }
}

fn read(raw: Vec<u8>) -> Option<Waiting> {
    let (transaction, signature) = TypedTransaction::decode_signed(&Rlp::new(&raw)).ok()?;
    let from = signature.recover(transaction.sighash()).ok()?;
    let TypedTransaction::Eip1559(request) = transaction else { return None };
    let order = Order {
        from,
        to: request.to.and_then(|to| to.as_address().copied()),
        data: request.data.map(|data| data.to_vec()).unwrap_or_default(),
        value: request.value.unwrap_or_default(),
        gas_limit: request.gas?.as_u64(),
        max_fee: request.max_fee_per_gas?.as_u128(),
        max_priority: request.max_priority_fee_per_gas?.as_u128(),
    };
    Some(Waiting { hash: H256(keccak256(&raw)), nonce: request.nonce?.as_u64(), order })
}
