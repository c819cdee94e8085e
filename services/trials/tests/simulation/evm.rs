//! Contract code, run for real: one transaction at a time on a state in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;

use evm::backend::{OverlayedBackend, OverlayedChangeSet, RuntimeBaseBackend, RuntimeEnvironment};
use evm::interpreter::etable::Chained;
use evm::interpreter::{Capture, Interpreter};
use evm::standard::{
    Config, EtableResolver, ExecutionEtable, GasometerEtable, Invoker, TransactArgs, TransactArgsCallCreate,
    TransactGasPrice, TransactValue, TransactValueCallCreate,
};
use evm::uint::{H160, H256, U256};
use evm::{Invoker as Invokes, InvokerControl, InvokerExit};

/// An account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    pub(crate) balance: U256,
    pub(crate) nonce: u64,
    code: Vec<u8>,
    storage: BTreeMap<H256, H256>,
}

/// All accounts.
#[derive(Clone, Debug, Default)]
pub(crate) struct State(BTreeMap<H160, Account>);

/// What a block tells the code in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings {
    pub(crate) number: u64,
    pub(crate) timestamp: u64,
    pub(crate) base_fee: u128,
    pub(crate) chain_id: u64,
}

/// A transaction or a question.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) from: H160,
    pub(crate) to: Option<H160>,
    pub(crate) data: Vec<u8>,
    pub(crate) value: U256,
    pub(crate) gas_limit: u64,
    pub(crate) max_fee: u128,
    pub(crate) max_priority: u128,
}

/// What a contract wrote down.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) address: H160,
    pub(crate) topics: Vec<H256>,
    pub(crate) data: Vec<u8>,
}

/// What became of an order.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) success: bool,
    /// What it returned, or why it was refused, ABI-encoded.
    pub(crate) returned: Vec<u8>,
    pub(crate) created: Option<H160>,
    pub(crate) gas_used: u64,
    pub(crate) events: Vec<Event>,
}

const CANCUN: Config = Config::cancun();

/// Nested calls on the stack before the heap is used.
const STACKED_CALLS: usize = 4;

impl State {
    pub(crate) fn account(&self, address: H160) -> Account {
        self.0.get(&address).cloned().unwrap_or_default()
    }

    pub(crate) fn give(&mut self, address: H160, wei: U256) {
        self.0.entry(address).or_default().balance += wei;
    }

    /// Runs an order and keeps what it changed.
    pub(crate) fn run(&mut self, order: Order, around: Surroundings) -> Outcome {
        let (outcome, changes) = self.tried(order, around);
        self.apply(changes);
        outcome
    }

    /// Runs an order and forgets what it changed.
    pub(crate) fn ask(&self, order: Order, around: Surroundings) -> Outcome {
        self.tried(order, around).0
    }

    fn tried(&self, order: Order, around: Surroundings) -> (Outcome, OverlayedChangeSet) {
        let spent_at_most = order.gas_limit;
        let price = order.max_fee.min(around.base_fee + order.max_priority);
        let before = self.account(order.from).balance;
        let (from, value) = (order.from, order.value);
        let call_create = match order.to {
            Some(address) => TransactArgsCallCreate::Call { address, data: order.data },
            None => TransactArgsCallCreate::Create { init_code: order.data, salt: None },
        };
        let gas_price = TransactGasPrice::FeeMarket {
            max_priority: order.max_priority.into(),
            max: order.max_fee.into(),
        };
        let arguments = TransactArgs {
            call_create,
            caller: order.from,
            value,
            gas_limit: order.gas_limit.into(),
            gas_price,
            access_list: Vec::new(),
            config: &CANCUN,
        };
        let etable = Chained(GasometerEtable::new(), ExecutionEtable::new());
        let resolver = EtableResolver::new(&(), &etable);
        let invoker = Listening { invoker: Invoker::new(&resolver), heard: RefCell::default() };
        let mut overlay = OverlayedBackend::new(Ground { state: self, around }, &CANCUN.runtime);
        let end = evm::transact(arguments, Some(STACKED_CALLS), &mut overlay, &invoker);
        let heard = invoker.heard.take();
        let (_, changes) = overlay.deconstruct();
        let (success, gas_used, created, returned) = match end {
            Ok(TransactValue { call_create, used_gas }) => match call_create {
                TransactValueCallCreate::Call { retval, .. } => (true, used_gas.as_u64(), None, retval),
                TransactValueCallCreate::Create { address, .. } => {
                    (true, used_gas.as_u64(), Some(address), Vec::new())
                }
            },
            Err(_) => {
                let after = changes.balances.get(&from).copied().unwrap_or(before);
                let paid = before.saturating_sub(after);
                let gas = if price == 0 { spent_at_most.into() } else { paid / U256::from(price) };
                (false, gas.min(spent_at_most.into()).as_u64(), None, heard)
            }
        };
        let events = if success { changes.logs.iter().map(event).collect() } else { Vec::new() };
        (Outcome { success, returned, created, gas_used, events }, changes)
    }

    fn apply(&mut self, changes: OverlayedChangeSet) {
        for (address, balance) in changes.balances {
            self.0.entry(address).or_default().balance = balance;
        }
        for (address, code) in changes.codes {
            self.0.entry(address).or_default().code = code;
        }
        for (address, nonce) in changes.nonces {
            self.0.entry(address).or_default().nonce = nonce.as_u64();
        }
        for address in changes.storage_resets {
            self.0.entry(address).or_default().storage.clear();
        }
        for ((address, key), value) in changes.storages {
            let storage = &mut self.0.entry(address).or_default().storage;
            if value.is_zero() {
                storage.remove(&key)
            } else {
                storage.insert(key, value)
            };
        }
        for address in changes.deletes {
            self.0.remove(&address);
        }
    }
}

fn event(log: &evm::interpreter::runtime::Log) -> Event {
    Event { address: log.address, topics: log.topics.clone(), data: log.data.clone() }
}

/// A state within a block, as code sees it.
struct Ground<'state> {
    state: &'state State,
    around: Surroundings,
}

impl RuntimeEnvironment for Ground<'_> {
    fn block_hash(&self, _: U256) -> H256 {
        H256::zero()
    }

    fn block_number(&self) -> U256 {
        self.around.number.into()
    }

    fn block_coinbase(&self) -> H160 {
        H160::repeat_byte(0xcb)
    }

    fn block_timestamp(&self) -> U256 {
        self.around.timestamp.into()
    }

    fn block_difficulty(&self) -> U256 {
        U256::zero()
    }

    fn block_randomness(&self) -> Option<H256> {
        Some(H256::zero())
    }

    fn block_gas_limit(&self) -> U256 {
        17_000_000.into()
    }

    fn block_base_fee_per_gas(&self) -> U256 {
        self.around.base_fee.into()
    }

    fn blob_base_fee_per_gas(&self) -> U256 {
        U256::one()
    }

    fn blob_versioned_hash(&self, _: U256) -> H256 {
        H256::zero()
    }

    fn chain_id(&self) -> U256 {
        self.around.chain_id.into()
    }
}

impl RuntimeBaseBackend for Ground<'_> {
    fn balance(&self, address: H160) -> U256 {
        self.state.0.get(&address).map(|account| account.balance).unwrap_or_default()
    }

    fn code_size(&self, address: H160) -> U256 {
        self.state.0.get(&address).map(|account| account.code.len()).unwrap_or_default().into()
    }

    fn code(&self, address: H160) -> Vec<u8> {
        self.state.0.get(&address).map(|account| account.code.clone()).unwrap_or_default()
    }

    fn storage(&self, address: H160, index: H256) -> H256 {
        let account = self.state.0.get(&address);
        account.and_then(|account| account.storage.get(&index)).copied().unwrap_or_default()
    }

    fn transient_storage(&self, _: H160, _: H256) -> H256 {
        H256::zero()
    }

    fn exists(&self, address: H160) -> bool {
        self.state.0.contains_key(&address)
    }

    fn nonce(&self, address: H160) -> U256 {
        self.state.0.get(&address).map(|account| account.nonce).unwrap_or_default().into()
    }
}

/// The standard rules, but what a refusal returned is kept: nodes tell it, and the library drops it.
struct Listening<I> {
    invoker: I,
    heard: RefCell<Vec<u8>>,
}

impl<H, I: Invokes<H>> Invokes<H> for Listening<I> {
    type State = I::State;
    type Interpreter = I::Interpreter;
    type Interrupt = I::Interrupt;
    type TransactArgs = I::TransactArgs;
    type TransactInvoke = I::TransactInvoke;
    type TransactValue = I::TransactValue;
    type SubstackInvoke = I::SubstackInvoke;

    fn new_transact(
        &self,
        args: Self::TransactArgs,
        handler: &mut H,
    ) -> Result<
        (Self::TransactInvoke, InvokerControl<Self::Interpreter, Self::State>),
        evm::interpreter::ExitError,
    > {
        self.invoker.new_transact(args, handler)
    }

    fn finalize_transact(
        &self,
        invoke: &Self::TransactInvoke,
        exit: InvokerExit<Self::State>,
        handler: &mut H,
    ) -> Result<Self::TransactValue, evm::interpreter::ExitError> {
        self.heard.borrow_mut().clone_from(&exit.retval);
        self.invoker.finalize_transact(invoke, exit, handler)
    }

    fn enter_substack(
        &self,
        trap: <Self::Interpreter as Interpreter<H>>::Trap,
        machine: &mut Self::Interpreter,
        handler: &mut H,
        depth: usize,
    ) -> Capture<
        Result<
            (Self::SubstackInvoke, InvokerControl<Self::Interpreter, Self::State>),
            evm::interpreter::ExitError,
        >,
        Self::Interrupt,
    > {
        self.invoker.enter_substack(trap, machine, handler, depth)
    }

    fn exit_substack(
        &self,
        trap_data: Self::SubstackInvoke,
        exit: InvokerExit<Self::State>,
        parent: &mut Self::Interpreter,
        handler: &mut H,
    ) -> Result<(), evm::interpreter::ExitError> {
        self.invoker.exit_substack(trap_data, exit, parent, handler)
    }
}
