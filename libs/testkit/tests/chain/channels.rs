//! Payment channels from the first deposit to the last claim, read and written through the typed calls.

use t4t_chain::contracts::channels::{
    ChannelDomain, ChannelKey, ChannelMessage, ChannelStatus, Channels, Close, Deposit, Open, RequestClose,
    Row, TopUp, Voucher, Withdrawal,
};
use t4t_chain::contracts::permit::{Permit, PermitTerms};
use t4t_chain::events::channels::{ChannelEvent, Skip, of_payer, of_provider};
use t4t_chain::{Call, ChainError, LogFilter, Receipt, deploy};
use t4t_crypto::WalletKey;
use t4t_testkit::anvil::{Anvil, AnvilConfig, Market, dev_key};
use t4t_types::{Address, ChannelId, UnixSeconds, Xbzz};

const DELAY: u64 = 86_400;

/// Channels on a chain, and a payer that holds tokens and none of the chain's coin.
struct World {
    anvil: Anvil,
    market: Market,
    channels: Channels,
    domain: ChannelDomain,
    payer: WalletKey,
    signer: WalletKey,
    provider: WalletKey,
    relay: WalletKey,
}

impl World {
    async fn start() -> Self {
        let anvil = Anvil::start(AnvilConfig::default()).await.unwrap();
        let market = Market::deploy(&anvil).await.unwrap();
        let address =
            deploy::deploy_channels(anvil.rpc(), market.owner(), market.addresses.token).await.unwrap();
        let payer = WalletKey::generate().unwrap();
        market.fund(payer.address(), Xbzz::from_whole(100)).await.unwrap();
        anvil.set_balance(payer.address(), 0).await.unwrap();
        let domain = ChannelDomain::new(anvil.chain_id(), address);
        Self {
            anvil,
            market,
            channels: Channels { address },
            domain,
            payer,
            signer: WalletKey::generate().unwrap(),
            provider: dev_key(1),
            relay: dev_key(2),
        }
    }

    fn key(&self, salt: u8) -> ChannelKey {
        ChannelKey {
            payer: self.payer.address(),
            signer: self.signer.address(),
            provider: self.provider.address(),
            close_delay: DELAY,
            salt: [salt; 32].into(),
        }
    }

    async fn soon(&self) -> UnixSeconds {
        self.anvil.rpc().latest_block().await.unwrap().timestamp.plus(900)
    }

    async fn deposit(&self, whole: u64, nonce: u64) -> Deposit {
        let amount = Xbzz::from_whole(whole);
        Deposit { payer: self.payer.address(), amount, nonce, deadline: self.soon().await }
    }

    async fn permit_terms(&self, whole: u64) -> PermitTerms {
        let nonce = self.token().permit_nonce(self.anvil.rpc(), self.payer.address()).await.unwrap();
        let value = Xbzz::from_whole(whole);
        PermitTerms { spender: self.channels.address, value, nonce, deadline: self.soon().await }
    }

    fn token(&self) -> t4t_chain::contracts::Token {
        self.market.addresses.token()
    }

    fn signed(&self, message: &impl ChannelMessage) -> [u8; 65] {
        message.sign(&self.domain, &self.payer).to_bytes()
    }

    /// A deposit with its permit and a channel out of it, as one call that the provider sends.
    async fn first_contact(&self, key: ChannelKey) -> Call {
        let deposit = self.deposit(10, 0).await;
        let domain = self.token().domain_separator(self.anvil.rpc()).await.unwrap();
        let permit = self.permit_terms(10).await.sign(&domain, &self.payer);
        let open = self.open_terms(key, 2).await;
        let calls = [
            self.channels.deposit_for(&deposit, &self.signed(&deposit), &permit),
            self.channels.open_for(&open, &self.signed(&open)),
        ];
        self.channels.multicall(&calls)
    }

    async fn open_terms(&self, key: ChannelKey, whole: u64) -> Open {
        Open { key, amount: Xbzz::from_whole(whole), deadline: self.soon().await }
    }

    /// The payer has a deposit and the default channel is open.
    async fn opened(&self) -> (ChannelKey, ChannelId) {
        let key = self.key(0);
        self.sends(&self.provider, &self.first_contact(key).await).await;
        (key, self.domain.channel_id(&key))
    }

    fn row(&self, key: ChannelKey, plur: u128) -> Row {
        let context = [7; 32].into();
        let cumulative = Xbzz::from_plur(plur);
        let voucher = Voucher { channel: self.domain.channel_id(&key), cumulative, context };
        Row { key, cumulative, context, signature: voucher.sign(&self.domain, &self.signer) }
    }

    async fn sends(&self, from: &WalletKey, call: &Call) -> Receipt {
        deploy::transact(self.anvil.rpc(), from, call).await.unwrap()
    }

    async fn refused(&self, from: &WalletKey, call: &Call) -> String {
        match self.anvil.rpc().simulate(from.address(), call).await {
            Err(ChainError::Reverted(revert)) => revert.name().to_owned(),
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    async fn free(&self, wallet: Address) -> Xbzz {
        self.channels.account(self.anvil.rpc(), wallet).await.unwrap().free
    }

    async fn status(&self, id: ChannelId) -> ChannelStatus {
        self.channels.channel(self.anvil.rpc(), id).await.unwrap().status
    }

    async fn events(&self, topics: Vec<Vec<[u8; 32]>>) -> Vec<ChannelEvent> {
        let filter = LogFilter { addresses: vec![self.channels.address], topics, from: 0, to: None };
        let logs = self.anvil.rpc().logs(&filter).await.unwrap();
        logs.iter().map(|log| ChannelEvent::decode(log, self.channels.address).unwrap()).collect()
    }
}

#[tokio::test]
async fn a_payer_without_gas_is_met_served_and_paid_out_and_no_plur_is_lost() {
    let world = World::start().await;
    let (rpc, channels) = (world.anvil.rpc(), world.channels);
    let (payer, provider) = (world.payer.address(), world.provider.address());
    let had = world.market.xbzz_of(provider).await.unwrap();
    let (key, id) = world.opened().await;
    assert_eq!(channels.channel_id(rpc, &key).await.unwrap(), id);
    assert_eq!(channels.xbzz(rpc).await.unwrap(), world.market.addresses.token);
    let account = channels.account(rpc, payer).await.unwrap();
    assert_eq!((account.free, account.deposit_nonce), (Xbzz::from_whole(8), 1));
    let state = channels.channel(rpc, id).await.unwrap();
    assert_eq!(
        (state.reserved, state.paid, state.status),
        (Xbzz::from_whole(2), Xbzz::ZERO, ChannelStatus::Open)
    );

    world.sends(&world.relay, &channels.claim(&world.row(key, 5))).await;
    let top_up = TopUp { key, reserved_total: Xbzz::from_whole(3), deadline: world.soon().await };
    world.sends(&world.relay, &channels.top_up_for(&top_up, &world.signed(&top_up))).await;
    world.sends(&world.provider, &channels.close(&world.row(key, 12))).await;
    assert_eq!(world.status(id).await, ChannelStatus::Closed);
    assert_eq!(world.market.xbzz_of(provider).await.unwrap(), had.checked_add(Xbzz::from_plur(12)).unwrap());

    // The rest leaves as it came: signed by the payer, sent by somebody who is paid for it.
    let (amount, fee) = (world.free(payer).await, Xbzz::from_plur(1000));
    let deadline = world.soon().await;
    let withdrawal = Withdrawal { payer, to: payer, amount, fee, nonce: 0, deadline };
    world.sends(&world.relay, &channels.withdraw_for(&withdrawal, &world.signed(&withdrawal))).await;
    assert_eq!(world.free(world.relay.address()).await, fee);
    world.sends(&world.relay, &channels.withdraw(fee, world.relay.address())).await;
    assert_eq!(rpc.balance(payer).await.unwrap(), 0);
    assert_eq!(world.market.xbzz_of(channels.address).await.unwrap(), Xbzz::ZERO);
    let left = Xbzz::from_whole(100).checked_sub(Xbzz::from_plur(1012)).unwrap();
    assert_eq!(world.market.xbzz_of(payer).await.unwrap(), left);
}

#[tokio::test]
async fn a_channels_events_are_read_by_one_filter_for_its_provider() {
    let world = World::start().await;
    let channels = world.channels;
    let (payer, provider) = (world.payer.address(), world.provider.address());
    let (key, id) = world.opened().await;
    world.sends(&world.relay, &channels.claim(&world.row(key, 5))).await;
    let deadline = world.soon().await;
    let request = RequestClose { key, deadline };
    world.sends(&world.relay, &channels.request_close_for(&request, &world.signed(&request))).await;
    let cumulative = Xbzz::from_plur(9);
    let consent = Close { channel: id, cumulative, deadline }.sign(&world.domain, &world.provider);
    world.sends(&world.relay, &channels.close_by_consent(&world.row(key, 9), deadline, &consent)).await;

    let found = world.events(of_provider(provider)).await;
    let [
        ChannelEvent::Opened { key: opened, reserved, .. },
        ChannelEvent::Claimed { paid, context, .. },
        ChannelEvent::CloseRequested { .. },
        closed,
    ] = &found[..]
    else {
        panic!("{found:?}")
    };
    assert_eq!((*opened, *reserved, *paid), (key, Xbzz::from_whole(2), Xbzz::from_plur(5)));
    assert_eq!(*context, [7; 32].into());
    let released = Xbzz::from_whole(2).checked_sub(cumulative).unwrap();
    assert_eq!(*closed, ChannelEvent::Closed { id, provider, paid: cumulative, released });
    assert!(found.iter().all(|event| event.channel() == Some(id)));

    let paid_in = ChannelEvent::Deposited { payer, from: payer, amount: Xbzz::from_whole(10) };
    assert_eq!(world.events(of_payer(payer)).await, [paid_in]);
    assert_eq!(world.events(of_provider(payer)).await, []);
}

#[tokio::test]
async fn a_batch_pays_what_it_can_and_says_what_it_skipped() {
    let world = World::start().await;
    let (rpc, channels) = (world.anvil.rpc(), world.channels);
    let (key, id) = world.opened().await;
    let second = world.open_terms(world.key(1), 1).await;
    world.sends(&world.relay, &channels.open_for(&second, &world.signed(&second))).await;
    // Sent again, it does nothing.
    world.sends(&world.relay, &channels.open_for(&second, &world.signed(&second))).await;
    let mut forged = world.row(second.key, 4);
    forged.cumulative = Xbzz::from_plur(400);
    let rows = [world.row(key, 3), forged, world.row(world.key(2), 5), world.row(key, 3)];
    let had = world.market.xbzz_of(world.provider.address()).await.unwrap();
    world.sends(&world.relay, &channels.claim_many(&rows)).await;
    let has = world.market.xbzz_of(world.provider.address()).await.unwrap();
    assert_eq!(has.checked_sub(had), Some(Xbzz::from_plur(3)));

    let [second, third] = [world.key(1), world.key(2)].map(|key| world.domain.channel_id(&key));
    let events = world.events(Vec::new()).await;
    let skipped: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            ChannelEvent::Skipped { id, reason } => Some((*id, *reason)),
            _ => None,
        })
        .collect();
    assert_eq!(skipped, [(second, Skip::BadSignature), (third, Skip::NotOpen), (id, Skip::NothingNew)]);
    let states = channels.channels(rpc, &[third, id, second]).await.unwrap();
    let paid: Vec<_> = states.iter().map(|state| (state.status, state.paid.plur())).collect();
    assert_eq!(paid, [(ChannelStatus::None, 0), (ChannelStatus::Open, 3), (ChannelStatus::Open, 0)]);
    assert_eq!(channels.channels(rpc, &[]).await.unwrap(), []);
}

#[tokio::test]
async fn a_payer_alone_gets_the_rest_back_after_the_delay() {
    let world = World::start().await;
    let channels = world.channels;
    let (key, id) = world.opened().await;
    world.anvil.set_balance(world.payer.address(), 1_000_000_000_000_000_000).await.unwrap();
    assert_eq!(world.refused(&world.relay, &channels.request_close(&key)).await, "NotPayer");
    assert_eq!(world.refused(&world.relay, &channels.finalize_close(&key)).await, "ChannelNotClosing");
    world.sends(&world.payer, &channels.request_close(&key)).await;
    let ChannelStatus::Closing { from } = world.status(id).await else { panic!("it is not closing") };
    assert_eq!(world.refused(&world.relay, &channels.finalize_close(&key)).await, "ClosesLater");
    world.anvil.advance_time(DELAY).await.unwrap();
    assert!(world.anvil.rpc().latest_block().await.unwrap().timestamp >= from);
    // The provider is still paid, until somebody closes the channel.
    world.sends(&world.relay, &channels.claim(&world.row(key, 5))).await;
    world.sends(&world.relay, &channels.finalize_close(&key)).await;
    assert_eq!(world.status(id).await, ChannelStatus::Closed);
    let rest = Xbzz::from_whole(10).checked_sub(Xbzz::from_plur(5)).unwrap();
    assert_eq!(world.free(world.payer.address()).await, rest);
    assert_eq!(world.refused(&world.relay, &channels.claim(&world.row(key, 6))).await, "NothingToClaim");
}

#[tokio::test]
async fn tokens_come_in_by_transfer_by_allowance_and_by_either_permit() {
    let world = World::start().await;
    let (rpc, channels, token) = (world.anvil.rpc(), world.channels, world.token());
    let payer = world.payer.address();
    world.anvil.set_balance(payer, 1_000_000_000_000_000_000).await.unwrap();
    world.sends(&world.payer, &channels.deposit_by_transfer(&token, payer, Xbzz::from_whole(1))).await;
    world.sends(&world.payer, &token.approve(channels.address, Xbzz::from_whole(3))).await;
    world.sends(&world.payer, &channels.deposit(world.relay.address(), Xbzz::from_whole(2))).await;
    let deposit = world.deposit(1, 0).await;
    let call = channels.deposit_for(&deposit, &world.signed(&deposit), &Permit::None);
    world.sends(&world.relay, &call).await;
    // Sent again, it does nothing.
    world.sends(&world.relay, &call).await;

    let deposit = world.deposit(4, 1).await;
    let call = channels.deposit_for(&deposit, &world.signed(&deposit), &Permit::None);
    assert_eq!(world.refused(&world.relay, &call).await, "DepositNotCovered");
    let domain = token.domain_separator(rpc).await.unwrap();
    let permit = world.permit_terms(4).await.sign_as_dai(&domain, &world.payer);
    world.sends(&world.relay, &channels.deposit_for(&deposit, &world.signed(&deposit), &permit)).await;
    assert_eq!(token.allowance(rpc, payer, channels.address).await.unwrap(), Xbzz::MAX);
    let accounts = channels.accounts(rpc, &[payer, world.relay.address()]).await.unwrap();
    let free: Vec<Xbzz> = accounts.iter().map(|account| account.free).collect();
    assert_eq!(free, [Xbzz::from_whole(6), Xbzz::from_whole(2)]);

    // What is not the payer's is refused before it is sent.
    let late = Deposit { deadline: UnixSeconds::new(1), ..world.deposit(1, 2).await };
    let call = channels.deposit_for(&late, &world.signed(&late), &Permit::None);
    assert_eq!(world.refused(&world.relay, &call).await, "SignatureExpired");
    let open = world.open_terms(world.key(0), 7).await;
    let call = channels.open_for(&open, &world.signed(&open));
    assert_eq!(world.refused(&world.relay, &call).await, "InsufficientFreeBalance");
    let forged = open.sign(&world.domain, &world.relay).to_bytes();
    assert_eq!(world.refused(&world.relay, &channels.open_for(&open, &forged)).await, "InvalidSignature");
}
