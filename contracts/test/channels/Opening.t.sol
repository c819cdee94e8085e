// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {IPaymentChannels} from "../../src/interfaces/IPaymentChannels.sol";
import {ChannelFixture} from "../base/ChannelFixture.sol";

/// @notice How a channel is opened and topped up.
contract ChannelOpeningTest is ChannelFixture {
    // ------------------------------------------------------------------ openFor

    function test_openFor_reservesOutOfTheFreeBalance() public {
        IPaymentChannels.Key memory k = key();
        bytes32 expected = idOf(k);
        bytes memory signature = signOpen(k, RESERVED, SOON);
        vm.expectEmit(address(channels));
        emit IPaymentChannels.Opened(
            expected, provider.addr, payer.addr, signer.addr, DELAY, k.salt, RESERVED
        );
        vm.prank(relay);
        bytes32 id = channels.openFor(k, RESERVED, SOON, signature);
        assertEq(id, expected);
        assertEq(id, channels.channelId(k));
        assertChannel(id, uint96(RESERVED), 0, 0);
        assertEq(free(payer.addr), DEPOSIT - RESERVED);
        assertEq(token.balanceOf(address(channels)), DEPOSIT);
    }

    function test_openFor_byThePayerNeedsNoSignature() public {
        vm.prank(payer.addr);
        bytes32 id = channels.openFor(key(), RESERVED, SOON, "");
        assertChannel(id, uint96(RESERVED), 0, 0);
        // Its own signature is as good, a wrong one is not.
        IPaymentChannels.Key memory k = keyOf(provider.addr, 1);
        bytes memory wrong = signOpen(k, RESERVED + 1, SOON);
        vm.prank(payer.addr);
        expectRevertInvalidSignature(payer.addr);
        channels.openFor(k, RESERVED, SOON, wrong);
        bytes memory right = signOpen(k, RESERVED, SOON);
        vm.prank(payer.addr);
        channels.openFor(k, RESERVED, SOON, right);
    }

    function test_openFor_withoutASignatureIsThePayersAlone() public {
        address[4] memory callers = [signer.addr, provider.addr, relay, address(channels)];
        for (uint256 i = 0; i < callers.length; ++i) {
            vm.prank(callers[i]);
            expectRevertInvalidSignature(payer.addr);
            channels.openFor(key(), RESERVED, SOON, "");
        }
    }

    function test_openFor_ofAnOpenChannelThatHoldsAsMuchDoesNothing() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        bytes memory signature = signOpen(k, RESERVED, SOON);
        vm.prank(stranger);
        assertEq(channels.openFor(k, RESERVED, SOON, signature), id);
        assertEq(channels.openFor(k, RESERVED - 1, SOON, ""), id);
        // A top-up between two copies is in nobody's way, and neither is a claim.
        topUp(k, RESERVED + 5);
        claim(k, 7);
        assertEq(channels.openFor(k, RESERVED, SOON, signature), id);
        vm.warp(SOON + 1);
        assertEq(channels.openFor(k, RESERVED, SOON, signature), id);
        assertChannel(id, uint96(RESERVED) + 5, 7, 0);
        assertEq(free(payer.addr), DEPOSIT - RESERVED - 5);
    }

    function test_openFor_ofAChannelThatHoldsLessReverts() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        bytes memory signature = signOpen(k, RESERVED + 1, SOON);
        expectRevertExists(id);
        channels.openFor(k, RESERVED + 1, SOON, signature);
        assertChannel(id, uint96(RESERVED), 0, 0);
    }

    function test_openFor_ofAClosingChannelReverts() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        requestClose(k);
        bytes memory signature = signOpen(k, RESERVED, SOON);
        expectRevertExists(id);
        channels.openFor(k, RESERVED, SOON, signature);
    }

    function test_openFor_neverOpensAnIdAgain() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        close(k, 5);
        bytes memory signature = signOpen(k, RESERVED, SOON);
        expectRevertExists(id);
        channels.openFor(k, RESERVED, SOON, signature);
        // What was paid is still held by the slot, and is no open channel.
        signature = signOpen(k, 5, SOON);
        expectRevertExists(id);
        channels.openFor(k, 5, SOON, signature);

        // Nor one that was closed with nothing paid, whose slot holds only that.
        k = keyOf(provider.addr, 1);
        id = open(k, RESERVED);
        close(k, 0);
        assertChannel(id, 0, 0, CLOSED);
        signature = signOpen(k, RESERVED, SOON);
        expectRevertExists(id);
        channels.openFor(k, RESERVED, SOON, signature);
        assertEq(free(payer.addr), DEPOSIT - 5);
    }

    function test_openFor_revertsAfterItsDeadline() public {
        bytes memory signature = signOpen(key(), RESERVED, SOON);
        vm.warp(SOON + 1);
        expectRevertExpired(SOON);
        channels.openFor(key(), RESERVED, SOON, signature);
        vm.prank(payer.addr);
        expectRevertExpired(SOON);
        channels.openFor(key(), RESERVED, SOON, "");
        vm.warp(SOON);
        channels.openFor(key(), RESERVED, SOON, signature);
    }

    function test_openFor_revertsWithInvalidSignature() public {
        bytes memory signature = signOpen(key(), RESERVED, SOON);
        for (uint256 i = 0; i < 6; ++i) {
            IPaymentChannels.Key memory k = key();
            if (i == 0) k.signer = other.addr;
            if (i == 1) k.provider = other.addr;
            if (i == 2) k.closeDelay = DELAY + 1;
            if (i == 3) k.salt = bytes32(uint256(1));
            expectRevertInvalidSignature(payer.addr);
            channels.openFor(k, RESERVED - (i == 4 ? 1 : 0), SOON - (i == 5 ? 1 : 0), signature);
        }
        IPaymentChannels.Key memory foreign = key();
        foreign.payer = other.addr;
        expectRevertInvalidSignature(other.addr);
        channels.openFor(foreign, RESERVED, SOON, signature);
        // The channel's signer signs vouchers and nothing else.
        signature = sign(signer, openHash(key(), RESERVED, SOON));
        expectRevertInvalidSignature(payer.addr);
        channels.openFor(key(), RESERVED, SOON, signature);
    }

    function test_openFor_revertsWithoutASignerAndWithoutAProvider() public {
        IPaymentChannels.Key memory k = key();
        k.signer = address(0);
        bytes memory signature = signOpen(k, RESERVED, SOON);
        vm.expectRevert(IPaymentChannels.ZeroAddress.selector);
        channels.openFor(k, RESERVED, SOON, signature);
        k = keyOf(address(0), 0);
        signature = signOpen(k, RESERVED, SOON);
        vm.expectRevert(IPaymentChannels.ZeroAddress.selector);
        channels.openFor(k, RESERVED, SOON, signature);
        k = keyOf(address(channels), 0);
        signature = signOpen(k, RESERVED, SOON);
        vm.expectRevert(IPaymentChannels.SelfPayment.selector);
        channels.openFor(k, RESERVED, SOON, signature);
    }

    function test_openFor_ofNothingReverts() public {
        bytes memory signature = signOpen(key(), 0, SOON);
        vm.expectRevert(IPaymentChannels.ZeroAmount.selector);
        channels.openFor(key(), 0, SOON, signature);
    }

    function test_openFor_revertsAboveWhatASlotHolds() public {
        IPaymentChannels.Key memory k = key();
        vm.prank(address(token));
        channels.onTokenTransfer(payer.addr, uint256(type(uint96).max) + 1, "");
        bytes memory signature = signOpen(k, uint128(type(uint96).max) + 1, SOON);
        vm.expectRevert(
            abi.encodeWithSelector(
                IPaymentChannels.AmountTooLarge.selector,
                uint256(type(uint96).max) + 1,
                type(uint96).max
            )
        );
        channels.openFor(k, uint128(type(uint96).max) + 1, SOON, signature);
        assertChannel(open(k, type(uint96).max), type(uint96).max, 0, 0);
    }

    function test_openFor_takesTheWholeBalanceAndNotMore() public {
        bytes memory signature = signOpen(key(), DEPOSIT + 1, SOON);
        vm.expectRevert(
            abi.encodeWithSelector(
                IPaymentChannels.InsufficientFreeBalance.selector, DEPOSIT, DEPOSIT + 1
            )
        );
        channels.openFor(key(), DEPOSIT + 1, SOON, signature);
        open(key(), DEPOSIT);
        assertEq(free(payer.addr), 0);
    }

    /// @dev Of two that are worth more than the balance the second moves nothing, in either order, and
    /// works once the balance is there: until its deadline it has to be counted as spent.
    function test_fuzz_openFor_ofTwoAboveTheBalanceOneOpens(bool swapped, uint128 amount) public {
        amount = uint128(bound(amount, DEPOSIT / 2 + 1, DEPOSIT));
        IPaymentChannels.Key[2] memory k = [keyOf(provider.addr, 0), keyOf(other.addr, 0)];
        if (swapped) (k[0], k[1]) = (k[1], k[0]);
        open(k[0], amount);
        bytes memory signature = signOpen(k[1], amount, SOON);
        vm.expectRevert(
            abi.encodeWithSelector(
                IPaymentChannels.InsufficientFreeBalance.selector, DEPOSIT - amount, amount
            )
        );
        channels.openFor(k[1], amount, SOON, signature);
        assertChannel(idOf(k[1]), 0, 0, 0);
        assertEq(free(payer.addr), DEPOSIT - amount);

        vm.prank(payer.addr);
        channels.deposit(payer.addr, amount);
        channels.openFor(k[1], amount, SOON, signature);
        assertChannel(idOf(k[1]), uint96(amount), 0, 0);
    }

    function test_openFor_ofFiveProvidersComeInAnyOrder() public {
        bytes[5] memory signatures;
        IPaymentChannels.Key[5] memory keys;
        for (uint256 i = 0; i < 5; ++i) {
            keys[i] = keyOf(makeAddr(string.concat("provider ", vm.toString(i))), 0);
            signatures[i] = signOpen(keys[i], RESERVED, SOON);
        }
        uint8[5] memory order = [3, 0, 4, 1, 2];
        for (uint256 i = 0; i < 5; ++i) {
            vm.prank(keys[order[i]].provider);
            channels.openFor(keys[order[i]], RESERVED, SOON, signatures[order[i]]);
        }
        assertEq(free(payer.addr), DEPOSIT - 5 * RESERVED);
    }

    // ------------------------------------------------------------------ topUpFor

    function test_topUpFor_raisesWhatTheChannelHolds() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        claim(k, 3);
        bytes memory signature = signTopUp(k, RESERVED + 5, SOON);
        vm.expectEmit(address(channels));
        emit IPaymentChannels.ToppedUp(id, provider.addr, RESERVED + 5);
        vm.prank(relay);
        channels.topUpFor(k, RESERVED + 5, SOON, signature);
        assertChannel(id, uint96(RESERVED) + 5, 3, 0);
        assertEq(free(payer.addr), DEPOSIT - RESERVED - 5);
        vm.prank(payer.addr);
        channels.topUpFor(k, RESERVED + 6, SOON, "");
        assertChannel(id, uint96(RESERVED) + 6, 3, 0);
    }

    function test_topUpFor_toATotalThatIsThereDoesNothing() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        bytes memory signature = signTopUp(k, RESERVED + 5, SOON);
        channels.topUpFor(k, RESERVED + 5, SOON, signature);
        vm.warp(SOON + 1);
        channels.topUpFor(k, RESERVED + 5, SOON, signature);
        channels.topUpFor(k, RESERVED, SOON, "");
        assertChannel(id, uint96(RESERVED) + 5, 0, 0);
        assertEq(free(payer.addr), DEPOSIT - RESERVED - 5);
    }

    function test_topUpFor_ofAChannelThatIsNotOpenReverts() public {
        IPaymentChannels.Key memory k = key();
        bytes memory signature = signTopUp(k, RESERVED + 5, SOON);
        expectRevertNotOpen(idOf(k));
        channels.topUpFor(k, RESERVED + 5, SOON, signature);
        open(k, RESERVED);
        requestClose(k);
        expectRevertNotOpen(idOf(k));
        channels.topUpFor(k, RESERVED + 5, SOON, signature);
        close(k, 5);
        expectRevertNotOpen(idOf(k));
        channels.topUpFor(k, RESERVED + 5, SOON, signature);
    }

    function test_topUpFor_revertsAfterItsDeadline() public {
        (IPaymentChannels.Key memory k,) = open();
        bytes memory signature = signTopUp(k, RESERVED + 5, SOON);
        vm.warp(SOON + 1);
        expectRevertExpired(SOON);
        channels.topUpFor(k, RESERVED + 5, SOON, signature);
        vm.prank(payer.addr);
        expectRevertExpired(SOON);
        channels.topUpFor(k, RESERVED + 5, SOON, "");
        vm.warp(SOON);
        channels.topUpFor(k, RESERVED + 5, SOON, signature);
    }

    function test_topUpFor_revertsWithInvalidSignature() public {
        (IPaymentChannels.Key memory k,) = open();
        IPaymentChannels.Key memory second = keyOf(provider.addr, 1);
        open(second, RESERVED);
        bytes memory signature = signTopUp(k, RESERVED + 5, SOON);
        expectRevertInvalidSignature(payer.addr);
        channels.topUpFor(k, RESERVED + 6, SOON, signature);
        expectRevertInvalidSignature(payer.addr);
        channels.topUpFor(k, RESERVED + 5, SOON + 1, signature);
        expectRevertInvalidSignature(payer.addr);
        channels.topUpFor(second, RESERVED + 5, SOON, signature);
        vm.prank(provider.addr);
        expectRevertInvalidSignature(payer.addr);
        channels.topUpFor(k, RESERVED + 5, SOON, "");
        signature = signOpen(k, RESERVED + 5, SOON);
        expectRevertInvalidSignature(payer.addr);
        channels.topUpFor(k, RESERVED + 5, SOON, signature);
    }

    function test_topUpFor_revertsAboveTheFreeBalanceAndWhatASlotHolds() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        bytes memory signature = signTopUp(k, DEPOSIT + 1, SOON);
        vm.expectRevert(
            abi.encodeWithSelector(
                IPaymentChannels.InsufficientFreeBalance.selector,
                DEPOSIT - RESERVED,
                DEPOSIT - RESERVED + 1
            )
        );
        channels.topUpFor(k, DEPOSIT + 1, SOON, signature);
        topUp(k, DEPOSIT);
        assertChannel(id, uint96(DEPOSIT), 0, 0);
        assertEq(free(payer.addr), 0);

        vm.prank(address(token));
        channels.onTokenTransfer(payer.addr, type(uint96).max, "");
        signature = signTopUp(k, uint128(type(uint96).max) + 1, SOON);
        vm.expectRevert(
            abi.encodeWithSelector(
                IPaymentChannels.AmountTooLarge.selector,
                uint256(type(uint96).max) + 1,
                type(uint96).max
            )
        );
        channels.topUpFor(k, uint128(type(uint96).max) + 1, SOON, signature);
    }

    // ------------------------------------------------------------------ views

    function test_channelsOf_readsManyInTheirOrder() public {
        (, bytes32 id) = open();
        IPaymentChannels.Key memory closing = keyOf(other.addr, 1);
        bytes32 second = open(closing, 5);
        claim(closing, 2);
        requestClose(closing);
        bytes32[] memory ids = new bytes32[](3);
        (ids[0], ids[2]) = (second, id);
        IPaymentChannels.Channel[] memory found = channels.channelsOf(ids);
        assertEq(found.length, 3);
        assertEq(abi.encode(found[0]), abi.encode(5, 2, START + DELAY));
        assertEq(abi.encode(found[1]), abi.encode(0, 0, 0));
        assertEq(abi.encode(found[2]), abi.encode(RESERVED, 0, 0));
        assertEq(channels.channelsOf(new bytes32[](0)).length, 0);
    }

    function expectRevertExists(bytes32 id) private {
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.ChannelExists.selector, id));
    }
}
