// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {PaymentChannels} from "../../src/PaymentChannels.sol";
import {IPaymentChannels} from "../../src/interfaces/IPaymentChannels.sol";
import {ChannelSigning} from "../base/ChannelSigning.sol";
import {Actor, ReentrantToken} from "../base/OddTokens.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice Each call that moves tokens, with a token that lets a party call again in the middle of the
/// transfer. xBZZ calls nobody on a plain transfer today; its first image did, and its proxy may be
/// upgraded again.
contract ChannelReentrancyTest is ChannelSigning {
    uint40 private constant SOON = 1_750_000_900;
    uint128 private constant DEPOSIT = 100;
    bytes4 private constant LOCKED = bytes4(keccak256("ReentrancyGuardReentrantCall()"));

    ReentrantToken private token = new ReentrantToken();
    /// @dev Payer and provider of a channel of its own, and the provider of the wallet's.
    Actor private actor = new Actor();
    Vm.Wallet private wallet = vm.createWallet("wallet");

    function setUp() public {
        vm.warp(1_750_000_000);
        channels = new PaymentChannels(address(token));
        token.mint(address(actor), 1000);
        token.mint(wallet.addr, 1000);
        act(address(token), abi.encodeCall(token.approve, (address(channels), 1000)));
        vm.startPrank(wallet.addr);
        token.approve(address(channels), 1000);
        channels.deposit(wallet.addr, DEPOSIT);
        vm.stopPrank();
        act(address(channels), abi.encodeCall(IPaymentChannels.deposit, (address(actor), DEPOSIT)));
        channels.openFor(keyOf(0), 10, SOON, sign(wallet, openHash(keyOf(0), 10, SOON)));
        channels.openFor(keyOf(1), 10, SOON, sign(wallet, openHash(keyOf(1), 10, SOON)));
    }

    function test_noCallOfTheChannelsThatMovesTokens_canBeEnteredAgain() public {
        bytes[] memory outer = calls();
        bytes[] memory inner = calls();
        for (uint256 i = 0; i < outer.length; ++i) {
            for (uint256 j = 0; j <= inner.length; ++j) {
                uint256 snapshot = vm.snapshotState();
                // The last one is what the token itself would call.
                bytes memory again = j < inner.length
                    ? inner[j]
                    : abi.encodeCall(IPaymentChannels.onTokenTransfer, (address(actor), 5, ""));
                token.arm(actor, address(channels), again);
                act(address(channels), outer[i]);
                assertLocked();
                vm.revertToState(snapshot);
            }
        }
    }

    function test_aMulticall_doesNotGoRoundTheLock() public {
        bytes[] memory again = new bytes[](1);
        again[0] = abi.encodeCall(IPaymentChannels.withdraw, (5, address(actor)));
        token.arm(actor, address(channels), abi.encodeCall(IPaymentChannels.multicall, (again)));
        act(address(channels), again[0]);
        assertLocked();
    }

    /// @dev What is not locked moves no tokens, and finds everything counted already.
    function test_aChannelClosedInTheMiddle_releasesOnce() public {
        IPaymentChannels.Key memory k = keyOf(0);
        vm.prank(wallet.addr);
        channels.requestClose(k);
        token.arm(actor, address(channels), abi.encodeCall(IPaymentChannels.finalizeClose, (k)));
        act(address(channels), abi.encodeCall(IPaymentChannels.claim, (row(0, 4))));
        assertTrue(token.lastOk());
        (uint128 free,,) = channels.accounts(wallet.addr);
        assertEq(free, DEPOSIT - 20 + 6);
        assertEq(token.balanceOf(address(channels)), 2 * DEPOSIT - 4);
    }

    // ------------------------------------------------------------------ inside

    function calls() private view returns (bytes[] memory made) {
        IPaymentChannels.Row[] memory rows = new IPaymentChannels.Row[](1);
        rows[0] = row(0, 2);
        IPaymentChannels.Deposit memory d = IPaymentChannels.Deposit(wallet.addr, 5, 0, SOON);
        IPaymentChannels.Withdrawal memory w =
            IPaymentChannels.Withdrawal(wallet.addr, wallet.addr, 5, 1, 0, SOON);
        IPaymentChannels.Permit memory none;
        made = new bytes[](7);
        made[0] = abi.encodeCall(IPaymentChannels.deposit, (address(actor), 5));
        made[1] =
            abi.encodeCall(IPaymentChannels.depositFor, (d, sign(wallet, depositHash(d)), none));
        made[2] = abi.encodeCall(IPaymentChannels.withdraw, (5, address(actor)));
        made[3] = abi.encodeCall(IPaymentChannels.withdrawFor, (w, sign(wallet, withdrawalHash(w))));
        made[4] = abi.encodeCall(IPaymentChannels.claim, (row(0, 1)));
        made[5] = abi.encodeCall(IPaymentChannels.claimMany, (rows));
        made[6] = abi.encodeCall(IPaymentChannels.closeTogether, (row(1, 3), 0, ""));
    }

    function keyOf(uint256 salt) private view returns (IPaymentChannels.Key memory) {
        return IPaymentChannels.Key(wallet.addr, wallet.addr, address(actor), 0, bytes32(salt));
    }

    function row(uint256 salt, uint128 cumulative)
        private
        view
        returns (IPaymentChannels.Row memory)
    {
        bytes memory signature = sign(wallet, voucherHash(idOf(keyOf(salt)), cumulative, 0));
        return IPaymentChannels.Row(keyOf(salt), cumulative, 0, signature);
    }

    function assertLocked() private view {
        assertGt(token.calls(), 0, "the token's hook ran");
        assertFalse(token.lastOk());
        assertEq(bytes4(token.lastAnswer()), LOCKED);
    }

    function act(address target, bytes memory data) private {
        (bool ok,) = actor.act(target, data);
        assertTrue(ok, "the call itself goes through");
    }
}
