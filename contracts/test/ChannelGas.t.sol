// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {IPaymentChannels} from "../src/interfaces/IPaymentChannels.sol";
import {ChannelFixture} from "./base/ChannelFixture.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice What the calls of a channel cost, each a transaction of its own (21,000 and calldata
/// included), with the token behind a proxy and all slots of a provider that was paid before.
/// forge-config: default.isolate = true
/// forge-config: ci.isolate = true
contract ChannelGasTest is ChannelFixture {
    uint256 private constant REQUESTS = 1000;

    function setUp() public override {
        super.setUp();
        // Both providers hold tokens, and the contract does.
        token.mint(provider.addr, 1);
        token.mint(other.addr, 1);
    }

    function test_gas_openClaimAndCloseByTheProvider() public {
        uint256 opened = openIt(key());
        uint256 claimed = claimIt(key(), 1e16);
        uint256 closed = closeIt(key(), 2e16);
        assertLe(opened, 66_000);
        assertLe(claimed, 67_000);
        assertLe(closed, 76_000);
    }

    function test_gas_firstClaimOfAProviderWithoutTokens() public {
        IPaymentChannels.Key memory k = keyOf(makeAddr("poor provider"), 0);
        openIt(k);
        claim(k, 1e16);
        measured("claim, provider without tokens");
    }

    function test_gas_closeByARelay() public {
        open();
        IPaymentChannels.Row memory last = row(key(), 2e16);
        bytes memory consent = sign(provider, closeHash(idOf(key()), 2e16, SOON));
        vm.prank(relay);
        channels.closeTogether(last, SOON, consent);
        assertLe(measured("closeTogether, by a relay"), 82_000);
    }

    function test_gas_topUpAndCloseByThePayer() public {
        open();
        topUp(key(), 2 * RESERVED);
        measured("topUpFor");
        requestClose(key());
        measured("requestClose");
        vm.warp(START + DELAY);
        vm.prank(relay);
        channels.finalizeClose(key());
        measured("finalizeClose");
    }

    function test_gas_refusedOpen() public {
        bytes memory signature = signOpen(key(), DEPOSIT + 1, SOON);
        vm.prank(relay);
        (bool ok,) = address(channels)
            .call(abi.encodeCall(IPaymentChannels.openFor, (key(), DEPOSIT + 1, SOON, signature)));
        assertFalse(ok);
        assertLe(measured("openFor, refused"), 40_000);
    }

    function test_gas_furtherRowOfABatch() public {
        uint256 two = batchOf(2, "claimMany, 2 rows");
        uint256 ten = batchOf(10, "claimMany, 10 rows");
        uint256 each = (ten - two) / 8;
        vm.snapshotValue("Gas", "channel: claimMany, further row", each);
        assertLe(each, 20_000);
    }

    function test_gas_batchOf300Rows() public {
        uint256 used = batchOf(300, "claimMany, 300 rows");
        // Further rows stay cheap in a long batch: the memory that each takes is not kept.
        assertLe(used, 300 * 20_000 + 67_000);
    }

    function test_gas_closesInAMulticall() public {
        bytes[] memory calls = new bytes[](10);
        for (uint256 i = 0; i < calls.length; ++i) {
            open(keyOf(provider.addr, i), 1e16);
            calls[i] = abi.encodeCall(
                IPaymentChannels.closeTogether, (row(keyOf(provider.addr, i), 1e15), 0, "")
            );
        }
        vm.prank(provider.addr);
        channels.multicall(calls);
        measured("multicall of 10 closes");
    }

    function test_gas_deposits() public {
        vm.prank(payer.addr);
        channels.deposit(payer.addr, 1e16);
        measured("deposit");
        vm.prank(payer.addr);
        token.transferAndCall(address(channels), 1e16, "");
        measured("deposit by transferAndCall");
    }

    function test_gas_withdrawals() public {
        vm.prank(payer.addr);
        channels.withdraw(1e16, payer.addr);
        measured("withdraw");
        (IPaymentChannels.Withdrawal memory w, bytes memory signature) =
            signedWithdrawal(payer.addr, 2e16, 1e15, 0);
        vm.prank(relay);
        channels.withdrawFor(w, signature);
        measured("withdrawFor");
    }

    function test_gas_aThousandRequests() public {
        uint256 used = depositAndOpen("deposit and open");
        assertLe(used, 177_000);
        uint256 closed = closeOf(buyer(), 2e16, "first channel: closeTogether");
        vm.snapshotValue("Gas", "channel: request of 1,000", (used + closed) / REQUESTS);
        assertLe(used + closed, 255 * REQUESTS);
    }

    function test_gas_aThousandRequestsWithAClaimMidway() public {
        uint256 used = depositAndOpen("deposit and open");
        IPaymentChannels.Row memory midway = row(buyer(), 1e16);
        vm.prank(relay);
        channels.claim(midway);
        used += measured("claim");
        used += closeOf(buyer(), 2e16, "closeTogether after a claim");
        vm.snapshotValue("Gas", "channel: request of 1,000, a claim midway", used / REQUESTS);
        assertLe(used, 322 * REQUESTS);
    }

    function test_gas_furtherProvider() public {
        openIt(key());
        uint256 used = openIt(keyOf(other.addr, 0));
        IPaymentChannels.Row memory last = row(keyOf(other.addr, 0), 2e16);
        vm.prank(other.addr);
        channels.closeTogether(last, 0, "");
        used += measured("closeTogether");
        vm.snapshotValue("Gas", "channel: further provider", used);
        assertLe(used, 142_000);
    }

    // ------------------------------------------------------------------ steps

    /// @dev A payer that has no gas, never deposited before and gives a permit.
    function buyer() private returns (IPaymentChannels.Key memory k) {
        k = key();
        k.payer = vm.createWallet("buyer").addr;
    }

    function depositAndOpen(string memory what) private returns (uint256) {
        Vm.Wallet memory from = vm.createWallet("buyer");
        token.mint(from.addr, 1000e16);
        IPaymentChannels.Key memory k = buyer();
        IPaymentChannels.Deposit memory d = IPaymentChannels.Deposit(from.addr, DEPOSIT, 0, SOON);
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(
            IPaymentChannels.depositFor, (d, sign(from, depositHash(d)), permitOf(from, DEPOSIT, 0))
        );
        calls[1] = abi.encodeCall(
            IPaymentChannels.openFor, (k, RESERVED, SOON, sign(from, openHash(k, RESERVED, SOON)))
        );
        vm.prank(provider.addr);
        channels.multicall(calls);
        return measured(what);
    }

    function openIt(IPaymentChannels.Key memory k) private returns (uint256) {
        open(k, RESERVED);
        return measured("openFor");
    }

    function claimIt(IPaymentChannels.Key memory k, uint128 cumulative) private returns (uint256) {
        claim(k, cumulative);
        return measured("claim");
    }

    function closeIt(IPaymentChannels.Key memory k, uint128 cumulative) private returns (uint256) {
        return closeOf(k, cumulative, "closeTogether after a claim");
    }

    function closeOf(IPaymentChannels.Key memory k, uint128 cumulative, string memory what)
        private
        returns (uint256)
    {
        close(k, cumulative);
        return measured(what);
    }

    function batchOf(uint256 count, string memory what) private returns (uint256) {
        IPaymentChannels.Row[] memory rows = new IPaymentChannels.Row[](count);
        for (uint256 i = 0; i < count; ++i) {
            IPaymentChannels.Key memory k = keyOf(provider.addr, count << 32 | i);
            open(k, 1e15);
            rows[i] = row(k, 1e14);
        }
        vm.prank(relay);
        assertEq(channels.claimMany(rows), count * 1e14);
        return measured(what);
    }

    function measured(string memory what) private returns (uint256 used) {
        Vm.Gas memory gas = vm.lastCallGas();
        used = gas.gasTotalUsed;
        vm.snapshotValue("Gas", string.concat("channel: ", what), used);
    }
}
