// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {PaymentChannels} from "../../src/PaymentChannels.sol";
import {IPaymentChannels} from "../../src/interfaces/IPaymentChannels.sol";
import {XbzzToken} from "../../src/test/XbzzToken.sol";
import {ChannelSigning} from "./ChannelSigning.sol";
import {newProxiedToken} from "./TokenProxy.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice A token behind its proxy, the channels, and a payer with a deposit.
abstract contract ChannelFixture is ChannelSigning {
    uint256 internal constant START = 1_750_000_000;
    uint40 internal constant SOON = uint40(START) + 900;
    uint40 internal constant DELAY = 1 days;
    uint40 internal constant CLOSED = type(uint40).max;
    uint128 internal constant DEPOSIT = 100e16;
    uint128 internal constant RESERVED = 10e16;

    XbzzToken internal token;

    Vm.Wallet internal payer = vm.createWallet("payer");
    Vm.Wallet internal signer = vm.createWallet("signer");
    Vm.Wallet internal provider = vm.createWallet("provider");
    Vm.Wallet internal other = vm.createWallet("other provider");
    address internal relay = makeAddr("relay");
    address internal stranger = makeAddr("stranger");

    function setUp() public virtual {
        vm.warp(START);
        token = newToken();
        channels = new PaymentChannels(address(token));
        token.mint(payer.addr, 1000e16);
        vm.startPrank(payer.addr);
        token.approve(address(channels), type(uint256).max);
        channels.deposit(payer.addr, DEPOSIT);
        vm.stopPrank();
    }

    function newToken() internal virtual returns (XbzzToken) {
        return newProxiedToken();
    }

    // ------------------------------------------------------------------ channels

    function keyOf(address providerAddr, uint256 salt)
        internal
        view
        returns (IPaymentChannels.Key memory)
    {
        return IPaymentChannels.Key({
            payer: payer.addr,
            signer: signer.addr,
            provider: providerAddr,
            closeDelay: DELAY,
            salt: bytes32(salt)
        });
    }

    function key() internal view returns (IPaymentChannels.Key memory) {
        return keyOf(provider.addr, 0);
    }

    function signOpen(IPaymentChannels.Key memory k, uint128 amount, uint40 deadline)
        internal
        view
        returns (bytes memory)
    {
        return sign(payer, openHash(k, amount, deadline));
    }

    function signTopUp(IPaymentChannels.Key memory k, uint128 total, uint40 deadline)
        internal
        view
        returns (bytes memory)
    {
        return sign(payer, topUpHash(k, total, deadline));
    }

    function open(IPaymentChannels.Key memory k, uint128 amount) internal returns (bytes32) {
        bytes memory signature = signOpen(k, amount, SOON);
        vm.prank(relay);
        return channels.openFor(k, amount, SOON, signature);
    }

    /// @dev The default channel, open.
    function open() internal returns (IPaymentChannels.Key memory k, bytes32 id) {
        k = key();
        id = open(k, RESERVED);
    }

    function topUp(IPaymentChannels.Key memory k, uint128 total) internal {
        bytes memory signature = signTopUp(k, total, SOON);
        vm.prank(relay);
        channels.topUpFor(k, total, SOON, signature);
    }

    function row(IPaymentChannels.Key memory k, uint128 cumulative)
        internal
        view
        returns (IPaymentChannels.Row memory)
    {
        return rowBy(signer, k, cumulative);
    }

    function rowBy(Vm.Wallet memory by, IPaymentChannels.Key memory k, uint128 cumulative)
        internal
        view
        returns (IPaymentChannels.Row memory)
    {
        bytes32 context = keccak256(abi.encode("receipt", cumulative));
        bytes memory signature = sign(by, voucherHash(idOf(k), cumulative, context));
        return IPaymentChannels.Row(k, cumulative, context, signature);
    }

    function claim(IPaymentChannels.Key memory k, uint128 cumulative) internal returns (uint128) {
        IPaymentChannels.Row memory r = row(k, cumulative);
        vm.prank(relay);
        return channels.claim(r);
    }

    /// @dev The provider closes by its own call.
    function close(IPaymentChannels.Key memory k, uint128 cumulative) internal returns (uint128) {
        IPaymentChannels.Row memory r = row(k, cumulative);
        vm.prank(k.provider);
        return channels.closeTogether(r, 0, "");
    }

    function requestClose(IPaymentChannels.Key memory k) internal {
        vm.prank(k.payer);
        channels.requestClose(k);
    }

    // ------------------------------------------------------------------ balance

    function signedDeposit(uint128 amount, uint64 nonce)
        internal
        view
        returns (IPaymentChannels.Deposit memory d, bytes memory signature)
    {
        d = IPaymentChannels.Deposit(payer.addr, amount, nonce, SOON);
        signature = sign(payer, depositHash(d));
    }

    function signedWithdrawal(address to, uint128 amount, uint128 fee, uint64 nonce)
        internal
        view
        returns (IPaymentChannels.Withdrawal memory w, bytes memory signature)
    {
        w = IPaymentChannels.Withdrawal(payer.addr, to, amount, fee, nonce, SOON);
        signature = sign(payer, withdrawalHash(w));
    }

    /// @dev A permit of EIP-2612 for the channels.
    function permitOf(Vm.Wallet memory by, uint256 value, uint256 nonce)
        internal
        view
        returns (IPaymentChannels.Permit memory p)
    {
        bytes32 permitHash = keccak256(
            abi.encode(
                token.PERMIT_TYPEHASH(), by.addr, address(channels), value, nonce, uint256(SOON)
            )
        );
        p = signPermit(by, IPaymentChannels.PermitKind.Eip2612, value, permitHash);
    }

    /// @dev A permit as DAI's, for an endless allowance until soon.
    function daiPermitOf(Vm.Wallet memory by, uint256 nonce)
        internal
        view
        returns (IPaymentChannels.Permit memory)
    {
        bytes32 permitHash = keccak256(
            abi.encode(
                token.PERMIT_TYPEHASH_LEGACY(),
                by.addr,
                address(channels),
                nonce,
                uint256(SOON),
                true
            )
        );
        return signPermit(by, IPaymentChannels.PermitKind.Dai, nonce, permitHash);
    }

    function signPermit(
        Vm.Wallet memory by,
        IPaymentChannels.PermitKind kind,
        uint256 value,
        bytes32 permitHash
    ) private view returns (IPaymentChannels.Permit memory) {
        bytes32 digest = digestOf(token.DOMAIN_SEPARATOR(), permitHash);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(by.privateKey, digest);
        return IPaymentChannels.Permit(kind, value, SOON, v, r, s);
    }

    function noPermit() internal pure returns (IPaymentChannels.Permit memory p) {}

    function free(address wallet) internal view returns (uint128 amount) {
        (amount,,) = channels.accounts(wallet);
    }

    function assertChannel(bytes32 id, uint96 reserved, uint96 paid, uint40 closingAt)
        internal
        view
    {
        (uint96 reserved_, uint96 paid_, uint40 closingAt_) = channels.channels(id);
        assertEq(reserved_, reserved, "reserved");
        assertEq(paid_, paid, "paid");
        assertEq(closingAt_, closingAt, "closingAt");
    }

    function expectRevertInvalidSignature(address by) internal {
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.InvalidSignature.selector, by));
    }

    function expectRevertExpired(uint40 deadline) internal {
        vm.expectRevert(
            abi.encodeWithSelector(IPaymentChannels.SignatureExpired.selector, deadline)
        );
    }

    function expectRevertNotOpen(bytes32 id) internal {
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.ChannelNotOpen.selector, id));
    }

    function expectRevertNothing(bytes32 id, IPaymentChannels.Skip reason) internal {
        vm.expectRevert(
            abi.encodeWithSelector(IPaymentChannels.NothingToClaim.selector, id, reason)
        );
    }
}
