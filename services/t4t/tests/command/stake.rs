//! `t4t stake`: adding to a provider's stake, and having it back.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;
use t4t_chain::contracts::{JobOrder, Registration};
use t4t_chain::{BlockTag, Call, deploy};
use t4t_crypto::WalletKey;
use t4t_runtime::lock::FolderLock;
use t4t_testkit::anvil::{Market, dev_key};
use t4t_testkit::eventually;
use t4t_types::{SwarmRef, Xbzz};

use super::rig::{PATIENCE, Process, T4T, World, command, errors, folder_with_wallet, t4t};

/// Longer than the stake is bound after leaving.
const UNBONDING_SECONDS: u64 = 2 * 24 * 3600 + 1;

/// A provider that is stopped, and whoever pays it.
struct Stopped {
    home: tempfile::TempDir,
    folder: PathBuf,
    world: World,
    provider: WalletKey,
    client: WalletKey,
}

impl Stopped {
    /// A wallet that never registered.
    async fn unregistered() -> Self {
        let home = tempfile::tempdir().unwrap();
        let (client, provider) = (dev_key(1), dev_key(2));
        let folder = folder_with_wallet(home.path(), "provider", &provider);
        Self { folder, home, world: World::start().await, provider, client }
    }

    /// A provider with a stake of 100 xBZZ.
    async fn registered() -> Self {
        let stopped = Self::unregistered().await;
        let addresses = stopped.world.market.addresses;
        let stake = Xbzz::from_whole(100);
        let registration = Registration {
            encryption_key: [1; 32].into(),
            overlay: [2; 32].into(),
            metadata_uri: String::new(),
            stake,
        };
        stopped.provider_sends(&addresses.token().approve(addresses.registry, stake)).await;
        stopped.provider_sends(&addresses.registry().register(&registration)).await;
        stopped
    }

    async fn provider_sends(&self, call: &Call) {
        assert!(deploy::transact(self.world.anvil.rpc(), &self.provider, call).await.unwrap().success);
    }

    /// Posts a job of one xBZZ; three are at risk while it is open.
    async fn is_sent_a_job(&self) -> t4t_types::JobId {
        let (rpc, addresses) = (self.world.anvil.rpc(), self.world.market.addresses);
        let (escrow, payment) = (addresses.escrow(), Xbzz::from_whole(1));
        let order = JobOrder {
            provider: self.provider.address(),
            request_hash: SwarmRef::new([3; 32]),
            model: "demo".parse().unwrap(),
            max_payment: payment,
            delivery_deadline: rpc.latest_block().await.unwrap().timestamp.plus(600),
        };
        let counter = escrow.job_counter(rpc).await.unwrap();
        for call in [addresses.token().approve(addresses.escrow, payment), escrow.post_job(&order)] {
            assert!(deploy::transact(rpc, &self.client, &call).await.unwrap().success);
        }
        escrow.job_id(self.world.anvil.chain_id(), self.client.address(), counter + 1)
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut process = command(T4T, self.home.path());
        process.arg("stake").args(arguments).envs(self.world.variables(0)).env("T4T_DATA_DIR", &self.folder);
        process
    }

    /// Runs `t4t stake` until it ends.
    fn stake(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// The same, where it must succeed; its JSON.
    fn done(&self, arguments: &[&str]) -> Value {
        let output = self.stake(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{}", errors(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The same, where it must be refused; what it says.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.stake(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
        errors(&output)
    }

    async fn staked(&self) -> Xbzz {
        let registry = self.world.market.addresses.registry();
        registry.provider(self.world.anvil.rpc(), self.provider.address()).await.unwrap().stake
    }

    async fn held(&self) -> Xbzz {
        self.world.market.xbzz_of(self.provider.address()).await.unwrap()
    }
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", errors(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn plur(amount: Xbzz) -> String {
    amount.plur().to_string()
}

#[actix_web::test]
async fn what_is_at_stake_and_at_risk_is_shown_while_the_provider_runs() {
    let stopped = Stopped::registered().await;
    stopped.is_sent_a_job().await;
    let _running = FolderLock::take(&stopped.folder).unwrap();
    let shown = stdout(&stopped.stake(&[]));
    for line in [
        &format!("wallet         {}", stopped.provider.address()),
        "state          active",
        "stake          100 xBZZ (at least 100)",
        "at risk        3 xBZZ, which the open jobs can burn at most",
        "open jobs      1",
        "withdrawal     two days after leaving",
        "in the wallet  9900 xBZZ",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    let json = stopped.done(&[]);
    assert_eq!((&json["state"], &json["open_jobs"]), (&"active".into(), &1.into()));
    assert_eq!(json["stake"], plur(Xbzz::from_whole(100)));
    assert_eq!(json["at_risk"], plur(Xbzz::from_whole(3)));
    assert!(json["unbonding_at"].is_null() && json["can_return"] == true, "{json}");
}

#[actix_web::test]
async fn stake_is_added_to_the_plur_and_the_registry_may_take_no_more() {
    let stopped = Stopped::registered().await;
    let json = stopped.done(&["add", "5.0000000000000001"]);
    let added: Xbzz = "5.0000000000000001".parse().unwrap();
    assert_eq!(json["amount"], plur(added));
    assert_eq!(Some(stopped.staked().await), Xbzz::from_whole(100).checked_add(added));
    assert_eq!(Some(stopped.held().await), Xbzz::from_whole(9_900).checked_sub(added));
    let (addresses, rpc) = (stopped.world.market.addresses, stopped.world.anvil.rpc());
    let allowance =
        addresses.token().allowance(rpc, stopped.provider.address(), addresses.registry).await.unwrap();
    assert_eq!(allowance, Xbzz::ZERO);
    // The same amount once more is a wish of its own.
    let said = stdout(&stopped.stake(&["add", "5"]));
    assert!(said.starts_with("added 5 xBZZ to the stake: transaction 0x"), "{said}");
    assert!(said.contains("stake          110.0000000000000001 xBZZ"), "{said}");
}

#[actix_web::test]
async fn an_amount_that_is_none_or_not_there_moves_nothing() {
    let stopped = Stopped::registered().await;
    let wrong = [
        ("abc", "expected an amount such as 1, 0.3 or .5"),
        ("-5", "expected an amount such as 1, 0.3 or .5"),
        ("0", "nothing would be added: name an amount"),
        ("0.00000000000000001", "xBZZ has 16 decimals"),
        ("340282366920938463463374607431768211456", "amount is too large"),
    ];
    for (amount, said) in wrong {
        let output = stopped.stake(&["add", amount]);
        assert_eq!(output.status.code(), Some(2));
        assert!(errors(&output).contains(said), "{amount}: {}", errors(&output));
    }
    for more_than_there_is in ["9901", "34028236692093846346337"] {
        let said = stopped.refused(&["add", more_than_there_is]);
        assert!(said.contains("holds 9900 xBZZ and needs") && said.contains("send xBZZ to it"), "{said}");
    }
    assert_eq!(stopped.staked().await, Xbzz::from_whole(100));
    assert_eq!(stopped.held().await, Xbzz::from_whole(9_900));
}

#[actix_web::test]
async fn the_stake_comes_back_after_leaving_and_waiting_and_not_before() {
    let stopped = Stopped::registered().await;
    let active = stopped.refused(&["withdraw"]);
    assert!(active.contains("run `t4t stake leave` first"), "{active}");

    let left = stopped.done(&["leave"]);
    assert_eq!(left["standing"]["state"], "unbonding");
    let (rpc, registry) = (stopped.world.anvil.rpc(), stopped.world.market.addresses.registry());
    let free_at = registry.unbonding_at(rpc, stopped.provider.address()).await.unwrap();
    assert_eq!(left["standing"]["unbonding_at"], free_at.get());
    let again = stopped.refused(&["leave"]);
    assert!(again.contains("has left the market already: run `t4t stake withdraw` from"), "{again}");
    let more = stopped.refused(&["add", "5"]);
    assert!(more.contains("more stake would only be bound with the rest"), "{more}");
    let early = stopped.refused(&["withdraw"]);
    assert!(early.contains("too early") && early.contains(" UTC (in "), "{early}");

    stopped.world.anvil.advance_time(UNBONDING_SECONDS).await.unwrap();
    let shown = stdout(&stopped.stake(&[]));
    assert!(shown.contains("withdrawal     now\n"), "{shown}");
    let said = stdout(&stopped.stake(&["withdraw"]));
    assert!(said.starts_with("100 xBZZ came back into the wallet: transaction 0x"), "{said}");
    assert!(said.contains("state          not registered"), "{said}");
    assert_eq!(stopped.held().await, Market::FUNDS);
    let nothing = stopped.refused(&["withdraw"]);
    assert!(nothing.contains("has no stake"), "{nothing}");
}

#[actix_web::test]
async fn an_open_job_holds_the_stake_until_it_is_settled() {
    let stopped = Stopped::registered().await;
    let job = stopped.is_sent_a_job().await;
    stopped.done(&["leave"]);
    stopped.world.anvil.advance_time(UNBONDING_SECONDS).await.unwrap();
    let held = stopped.refused(&["withdraw"]);
    assert!(held.contains("start `t4t provider` until its open job is settled"), "{held}");
    let cancel = stopped.world.market.addresses.escrow().cancel_job(job);
    assert!(
        deploy::transact(stopped.world.anvil.rpc(), &stopped.client, &cancel).await.unwrap().success,
        "the client takes its money back"
    );
    // Missing an acknowledgement burned two of the hundred.
    assert_eq!(stopped.done(&["withdraw"])["amount"], plur(Xbzz::from_whole(98)));
}

#[actix_web::test]
async fn a_wallet_that_never_registered_is_told_how() {
    let stopped = Stopped::unregistered().await;
    let shown = stdout(&stopped.stake(&[]));
    assert!(shown.contains("next: `t4t provider` registers this wallet with 100 xBZZ"), "{shown}");
    let add = stopped.refused(&["add", "5"]);
    assert!(add.contains("start `t4t provider`, which registers it"), "{add}");
    let leave = stopped.refused(&["leave"]);
    assert!(leave.contains("there is nothing to leave"), "{leave}");
    assert_eq!(stopped.held().await, Market::FUNDS);
}

#[actix_web::test]
async fn a_running_provider_is_to_be_stopped_before_its_stake_changes() {
    let stopped = Stopped::registered().await;
    let _running = FolderLock::take(&stopped.folder).unwrap();
    for change in [&["add", "5"][..], &["leave"], &["withdraw"]] {
        let said = stopped.refused(change);
        assert!(said.contains("stop that provider first, run this, and start it again"), "{said}");
    }
    assert_eq!(stopped.staked().await, Xbzz::from_whole(100));
}

#[actix_web::test]
async fn an_addition_that_was_cut_off_is_brought_to_its_end_and_not_made_twice() {
    let stopped = Stopped::registered().await;
    let (anvil, addresses) = (&stopped.world.anvil, stopped.world.market.addresses);
    stopped.provider_sends(&addresses.token().approve(addresses.registry, Xbzz::from_whole(50))).await;
    anvil.stop_mining().await.unwrap();
    let sent_before = sent(&stopped, BlockTag::Pending).await;
    let cut_off = Process::start(stopped.command(&["add", "5"]), stopped.home.path().join("log"));
    eventually(PATIENCE, "the transaction", async || {
        (sent(&stopped, BlockTag::Pending).await > sent_before).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", cut_off.log()));
    drop(cut_off);

    let other = stopped.refused(&["add", "7"]);
    assert!(other.contains("run `t4t stake add 5` to wait for them, then add more"), "{other}");
    anvil.set_block_time(Some(1)).await.unwrap();
    let again = stopped.done(&["add", "5"]);
    assert_eq!(again["amount"], plur(Xbzz::from_whole(5)));
    assert_eq!(stopped.staked().await, Xbzz::from_whole(105));
    assert_eq!(sent(&stopped, BlockTag::Latest).await, sent_before + 1);
}

/// Transactions of the provider's wallet.
async fn sent(stopped: &Stopped, at: BlockTag) -> u64 {
    stopped.world.anvil.rpc().transaction_count(stopped.provider.address(), at).await.unwrap()
}

#[test]
fn a_missing_wallet_and_a_missing_chain_are_named() {
    let home = tempfile::tempdir().unwrap();
    let no_wallet = errors(&t4t(home.path(), &["stake"], &[]));
    assert!(no_wallet.contains("make one with `t4t wallet new`"), "{no_wallet}");
    let folder = folder_with_wallet(Path::new(home.path()), "provider", &dev_key(2));
    let nowhere = format!("http://127.0.0.1:{}", super::rig::free_port());
    let variables = [("T4T_DATA_DIR", folder.to_str().unwrap()), ("GNOSIS_RPC_URL", &nowhere)];
    for command in [&["stake"][..], &["stake", "add", "5"]] {
        let said = errors(&t4t(home.path(), command, &variables));
        assert!(said.contains("check GNOSIS_RPC_URL"), "{said}");
    }
}
