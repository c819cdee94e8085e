// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {IPaymentChannels} from "../../src/interfaces/IPaymentChannels.sol";
import {ChannelFixture} from "../base/ChannelFixture.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice How a provider gets what vouchers say.
contract ChannelClaimsTest is ChannelFixture {
    // ------------------------------------------------------------------ claim

    function test_claim_paysTheProviderWhoeverCalls() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        IPaymentChannels.Row memory r = row(k, 4e16);
        vm.expectEmit(address(channels));
        emit IPaymentChannels.Claimed(id, provider.addr, 4e16, r.context);
        vm.prank(stranger);
        assertEq(channels.claim(r), 4e16);
        assertEq(token.balanceOf(provider.addr), 4e16);
        assertEq(token.balanceOf(stranger), 0);
        assertChannel(id, uint96(RESERVED), 4e16, 0);
        assertEq(free(payer.addr), DEPOSIT - RESERVED);
    }

    function test_claim_paysTheDifferenceToWhatWasPaid() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        claim(k, 4e16);
        IPaymentChannels.Row memory r = row(k, 6e16);
        vm.expectEmit(address(channels));
        emit IPaymentChannels.Claimed(id, provider.addr, 6e16, r.context);
        assertEq(channels.claim(r), 2e16);
        assertEq(token.balanceOf(provider.addr), 6e16);
    }

    function test_claim_ofAnOldOrEqualVoucherReverts() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        claim(k, 4e16);
        for (uint128 amount = 4e16 - 1; amount <= 4e16; ++amount) {
            IPaymentChannels.Row memory r = row(k, amount);
            expectRevertNothing(id, IPaymentChannels.Skip.NothingNew);
            channels.claim(r);
        }
        IPaymentChannels.Row memory zero = row(keyOf(provider.addr, 0), 0);
        expectRevertNothing(id, IPaymentChannels.Skip.NothingNew);
        channels.claim(zero);
        assertEq(claim(k, 4e16 + 1), 1);
    }

    function test_claim_aboveTheReservationPaysWhatIsLeftAndOnAfterATopUp() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        uint128 owed = RESERVED + 3e16;
        assertEq(claim(k, owed), RESERVED);
        assertChannel(id, uint96(RESERVED), uint96(RESERVED), 0);
        IPaymentChannels.Row memory again = row(k, owed);
        expectRevertNothing(id, IPaymentChannels.Skip.NothingNew);
        channels.claim(again);
        topUp(k, RESERVED + 1e16);
        assertEq(channels.claim(again), 1e16);
        topUp(k, RESERVED + 5e16);
        assertEq(channels.claim(again), 2e16);
        assertEq(token.balanceOf(provider.addr), owed);
        assertEq(token.balanceOf(address(channels)), DEPOSIT - owed);
    }

    function test_claim_takesTheLargestVoucherThereIs() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        assertEq(claim(k, type(uint128).max), RESERVED);
        assertChannel(id, uint96(RESERVED), uint96(RESERVED), 0);
    }

    function test_claim_ofAChannelThatIsNotOpenReverts() public {
        IPaymentChannels.Key memory k = key();
        bytes32 id = idOf(k);
        IPaymentChannels.Row memory r = row(k, 5);
        expectRevertNothing(id, IPaymentChannels.Skip.NotOpen);
        channels.claim(r);
        open(k, RESERVED);
        close(k, 3);
        expectRevertNothing(id, IPaymentChannels.Skip.NotOpen);
        channels.claim(r);
    }

    function test_claim_countsUntilTheChannelIsClosed() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        requestClose(k);
        assertEq(claim(k, 1), 1);
        vm.warp(START + DELAY + 1 days);
        assertEq(claim(k, 3), 2);
        channels.finalizeClose(k);
        IPaymentChannels.Row memory r = row(k, 4);
        expectRevertNothing(id, IPaymentChannels.Skip.NotOpen);
        channels.claim(r);
        assertEq(token.balanceOf(provider.addr), 3);
    }

    function test_claim_ofAnythingButTheSignersVoucherReverts() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        IPaymentChannels.Row[] memory bad = badRows(k);
        for (uint256 i = 0; i < bad.length; ++i) {
            expectRevertNothing(id, IPaymentChannels.Skip.BadSignature);
            channels.claim(bad[i]);
        }
    }

    function test_claim_withAnotherKeyIsAnotherChannels() public {
        open();
        IPaymentChannels.Row memory r = row(key(), 5);
        r.key.provider = other.addr;
        expectRevertNothing(idOf(r.key), IPaymentChannels.Skip.NotOpen);
        channels.claim(r);
        r.key = key();
        r.key.signer = other.addr;
        expectRevertNothing(idOf(r.key), IPaymentChannels.Skip.NotOpen);
        channels.claim(r);
    }

    /// @dev Whatever is claimed in whatever order: the highest voucher counts, and the reservation.
    function test_fuzz_claim_ordersDoNotMatter(uint128[5] memory amounts, uint96 reserved) public {
        IPaymentChannels.Key memory k = key();
        reserved = uint96(bound(reserved, 1, DEPOSIT));
        bytes32 id = open(k, reserved);
        uint256 highest;
        for (uint256 i = 0; i < amounts.length; ++i) {
            uint128 amount = uint128(bound(amounts[i], 0, 2 * DEPOSIT));
            IPaymentChannels.Row[] memory rows = new IPaymentChannels.Row[](1);
            rows[0] = row(k, amount);
            channels.claimMany(rows);
            if (amount > highest) highest = amount;
            uint256 expected = highest < reserved ? highest : reserved;
            assertEq(token.balanceOf(provider.addr), expected);
            assertChannel(id, reserved, uint96(expected), 0);
        }
    }

    // ------------------------------------------------------------------ claimMany

    function test_claimMany_paysManyChannelsInOneTransfer() public {
        IPaymentChannels.Row[] memory rows = new IPaymentChannels.Row[](3);
        uint256 sum;
        for (uint256 i = 0; i < 3; ++i) {
            IPaymentChannels.Key memory k = keyOf(provider.addr, i);
            open(k, RESERVED);
            rows[i] = row(k, uint128(i + 1) * 1e16);
            sum += rows[i].cumulative;
        }
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectEmit(address(channels));
            emit IPaymentChannels.Claimed(
                idOf(rows[i].key), provider.addr, rows[i].cumulative, rows[i].context
            );
        }
        vm.expectCall(address(token), abi.encodeCall(token.transfer, (provider.addr, sum)), 1);
        vm.prank(stranger);
        assertEq(channels.claimMany(rows), sum);
        assertEq(token.balanceOf(provider.addr), sum);
    }

    function test_claimMany_ofNothingDoesNothing() public {
        assertEq(channels.claimMany(new IPaymentChannels.Row[](0)), 0);
        IPaymentChannels.Row[] memory rows = new IPaymentChannels.Row[](1);
        rows[0] = row(key(), 5);
        vm.expectCall(address(token), abi.encodePacked(token.transfer.selector), 0);
        assertEq(channels.claimMany(rows), 0);
    }

    /// @dev One poisoned row costs its own, whichever it is.
    function test_claimMany_skipsWhatPaysNothing() public {
        IPaymentChannels.Key memory claimed = keyOf(provider.addr, 1);
        IPaymentChannels.Key memory forged = keyOf(provider.addr, 2);
        IPaymentChannels.Key memory closed = keyOf(provider.addr, 3);
        IPaymentChannels.Key memory foreign = keyOf(other.addr, 4);
        IPaymentChannels.Row[] memory rows = new IPaymentChannels.Row[](7);
        open();
        open(claimed, RESERVED);
        open(forged, RESERVED);
        open(closed, RESERVED);
        open(foreign, RESERVED);
        claim(claimed, 9);
        close(closed, 1);
        rows[0] = rowBy(other, forged, 5);
        rows[1] = row(foreign, 5);
        rows[2] = row(keyOf(provider.addr, 5), 5);
        rows[3] = row(closed, 5);
        rows[4] = row(claimed, 9);
        rows[5] = row(key(), 7);
        rows[6] = row(key(), 6);
        expectSkipped(rows[0], IPaymentChannels.Skip.BadSignature);
        expectSkipped(rows[1], IPaymentChannels.Skip.OtherProvider);
        expectSkipped(rows[2], IPaymentChannels.Skip.NotOpen);
        expectSkipped(rows[3], IPaymentChannels.Skip.NotOpen);
        expectSkipped(rows[4], IPaymentChannels.Skip.NothingNew);
        vm.expectEmit(address(channels));
        emit IPaymentChannels.Claimed(idOf(key()), provider.addr, 7, rows[5].context);
        expectSkipped(rows[6], IPaymentChannels.Skip.NothingNew);
        assertEq(channels.claimMany(rows), 7);
        assertEq(token.balanceOf(provider.addr), 9 + 1 + 7);
        assertEq(token.balanceOf(other.addr), 0);
        assertChannel(idOf(foreign), uint96(RESERVED), 0, 0);
    }

    function test_claimMany_skipsEveryBadSignature() public {
        (IPaymentChannels.Key memory k,) = open();
        assertEq(channels.claimMany(badRows(k)), 0);
        assertEq(token.balanceOf(provider.addr), 0);
    }

    function test_claimMany_of300RowsPaysAll() public {
        IPaymentChannels.Row[] memory rows = new IPaymentChannels.Row[](300);
        for (uint256 i = 0; i < rows.length; ++i) {
            IPaymentChannels.Key memory k = keyOf(provider.addr, i);
            open(k, 1e15);
            rows[i] = row(k, uint128(1e12 + i));
        }
        bytes memory call = abi.encodeCall(IPaymentChannels.claimMany, (rows));
        assertLt(call.length, 128_000, "a node takes it");
        uint256 paid = channels.claimMany(rows);
        assertEq(paid, 300 * 1e12 + 300 * 299 / 2);
        assertEq(token.balanceOf(provider.addr), paid);
    }

    /// @dev A batch equals the same rows one by one.
    /// forge-config: default.fuzz.runs = 256
    /// forge-config: ci.fuzz.runs = 256
    function test_fuzz_claimMany_isTheSameAsOneByOne(uint256 seed) public {
        IPaymentChannels.Row[] memory rows = new IPaymentChannels.Row[](8);
        for (uint256 i = 0; i < 3; ++i) {
            open(keyOf(provider.addr, i), uint128(RESERVED * (i + 1)));
            open(keyOf(other.addr, i), RESERVED / 4);
        }
        close(keyOf(provider.addr, 2), 5);
        for (uint256 i = 0; i < rows.length; ++i) {
            uint256 chance = uint256(keccak256(abi.encode(seed, i)));
            address to = i == 0 || chance % 5 != 0 ? provider.addr : other.addr;
            Vm.Wallet memory by = chance >> 8 & 7 == 0 ? payer : signer;
            IPaymentChannels.Key memory k = keyOf(to, chance >> 16 & 3);
            rows[i] = rowBy(by, k, uint128((chance >> 32) % (3 * RESERVED)));
        }
        uint256 snapshot = vm.snapshotState();
        uint256 paid = channels.claimMany(rows);
        bytes memory batch = stateOf(rows);
        vm.revertToState(snapshot);
        uint256 sum;
        for (uint256 i = 0; i < rows.length; ++i) {
            if (rows[i].key.provider != provider.addr) continue;
            try channels.claim(rows[i]) returns (uint128 part) {
                sum += part;
            } catch {}
        }
        assertEq(paid, sum);
        assertEq(batch, stateOf(rows));
    }

    // ------------------------------------------------------------------ helpers

    function stateOf(IPaymentChannels.Row[] memory rows) private view returns (bytes memory state) {
        state = abi.encode(
            token.balanceOf(provider.addr),
            token.balanceOf(other.addr),
            token.balanceOf(address(channels)),
            free(payer.addr)
        );
        for (uint256 i = 0; i < rows.length; ++i) {
            (uint96 reserved, uint96 paid, uint40 closingAt) = channels.channels(idOf(rows[i].key));
            state = abi.encode(state, reserved, paid, closingAt);
        }
    }

    function expectSkipped(IPaymentChannels.Row memory r, IPaymentChannels.Skip reason) private {
        vm.expectEmit(address(channels));
        emit IPaymentChannels.Skipped(idOf(r.key), reason);
    }

    /// @dev Foreign, malleable, short, long, compact, empty and zero signatures, of other amounts,
    /// contexts and channels.
    function badRows(IPaymentChannels.Key memory k)
        private
        view
        returns (IPaymentChannels.Row[] memory bad)
    {
        bad = new IPaymentChannels.Row[](13);
        for (uint256 i = 0; i < bad.length; ++i) {
            bad[i] = row(k, 5);
        }
        bytes memory good = bad[0].signature;
        (bytes32 r, bytes32 s, uint8 v) = split(good);
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        bad[0] = rowBy(other, k, 5);
        bad[1] = rowBy(payer, k, 5);
        bad[2] = rowBy(provider, k, 5);
        bad[3].cumulative = 6;
        bad[4].context = 0;
        bad[5].signature = row(keyOf(provider.addr, 1), 5).signature;
        bad[6].signature = abi.encodePacked(r, bytes32(order - uint256(s)), v ^ 7);
        bad[7].signature = abi.encodePacked(r, s);
        bad[8].signature = abi.encodePacked(good, uint8(0));
        bad[9].signature = abi.encodePacked(r, bytes32(uint256(s) | uint256(v - 27) << 255));
        bad[10].signature = "";
        bad[11].signature = new bytes(65);
        bad[12].signature = abi.encodePacked(r, s, v - 27);
    }

    function split(bytes memory signature) private pure returns (bytes32 r, bytes32 s, uint8 v) {
        assembly ("memory-safe") {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
            v := byte(0, mload(add(signature, 96)))
        }
    }
}
