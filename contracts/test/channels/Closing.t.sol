// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {IPaymentChannels} from "../../src/interfaces/IPaymentChannels.sol";
import {ChannelFixture} from "../base/ChannelFixture.sol";

/// @notice How a channel ends, together or by the payer alone.
contract ChannelClosingTest is ChannelFixture {
    // ------------------------------------------------------------------ closeTogether

    function test_closeTogether_byTheProviderPaysAndReleases() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        claim(k, 1e16);
        IPaymentChannels.Row memory last = row(k, 4e16);
        vm.expectEmit(address(channels));
        emit IPaymentChannels.Closed(id, provider.addr, 4e16, RESERVED - 4e16);
        // Both are ignored: the deadline is over and the consent is none.
        vm.prank(provider.addr);
        assertEq(channels.closeTogether(last, 0, "no consent"), 3e16);
        assertChannel(id, 4e16, 4e16, CLOSED);
        assertEq(token.balanceOf(provider.addr), 4e16);
        assertEq(free(payer.addr), DEPOSIT - 4e16);
        assertEq(token.balanceOf(address(channels)), DEPOSIT - 4e16);
    }

    function test_closeTogether_byARelayNeedsTheProvidersConsent() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        IPaymentChannels.Row memory last = row(k, 4e16);
        bytes memory consent = sign(provider, closeHash(id, 4e16, SOON));
        vm.prank(relay);
        assertEq(channels.closeTogether(last, SOON, consent), 4e16);
        assertChannel(id, 4e16, 4e16, CLOSED);
        assertEq(token.balanceOf(provider.addr), 4e16);
        assertEq(token.balanceOf(relay), 0);
        assertEq(free(payer.addr), DEPOSIT - 4e16);
    }

    /// @dev Neither the payer with an old voucher nor the provider's bare word ends a channel.
    function test_closeTogether_isNamedByNoSideAlone() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        IPaymentChannels.Row memory old = row(k, 1);
        address[4] memory callers = [payer.addr, signer.addr, relay, other.addr];
        for (uint256 i = 0; i < callers.length; ++i) {
            vm.prank(callers[i]);
            expectRevertInvalidSignature(provider.addr);
            channels.closeTogether(old, SOON, "");
        }
        bytes memory byPayer = sign(payer, closeHash(id, 1, SOON));
        vm.prank(payer.addr);
        expectRevertInvalidSignature(provider.addr);
        channels.closeTogether(old, SOON, byPayer);
        // The provider names what no signer signed.
        IPaymentChannels.Row memory forged = rowBy(provider, k, RESERVED);
        vm.prank(provider.addr);
        expectRevertInvalidSignature(signer.addr);
        channels.closeTogether(forged, SOON, "");
        forged = rowBy(provider, k, 0);
        vm.prank(provider.addr);
        expectRevertInvalidSignature(signer.addr);
        channels.closeTogether(forged, SOON, "");
        bytes memory consent = sign(provider, closeHash(id, RESERVED, SOON));
        forged = rowBy(payer, k, RESERVED);
        vm.prank(relay);
        expectRevertInvalidSignature(signer.addr);
        channels.closeTogether(forged, SOON, consent);
        assertChannel(id, uint96(RESERVED), 0, 0);
    }

    function test_closeTogether_aConsentIsForItsAmountChannelAndTime() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        IPaymentChannels.Key memory second = keyOf(provider.addr, 1);
        open(second, RESERVED);
        bytes memory consent = sign(provider, closeHash(id, 4e16, SOON));
        IPaymentChannels.Row memory last = row(k, 3e16);
        expectRevertInvalidSignature(provider.addr);
        channels.closeTogether(last, SOON, consent);
        last = row(second, 4e16);
        expectRevertInvalidSignature(provider.addr);
        channels.closeTogether(last, SOON, consent);
        last = row(k, 4e16);
        expectRevertInvalidSignature(provider.addr);
        channels.closeTogether(last, SOON + 1, consent);
        vm.warp(SOON + 1);
        expectRevertExpired(SOON);
        channels.closeTogether(last, SOON, consent);
        vm.warp(SOON);
        channels.closeTogether(last, SOON, consent);
    }

    function test_closeTogether_withAnOldVoucherKeepsWhatWasPaid() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        claim(k, 4e16);
        assertEq(close(k, 1e16), 0);
        assertChannel(id, 4e16, 4e16, CLOSED);
        assertEq(token.balanceOf(provider.addr), 4e16);
        assertEq(free(payer.addr), DEPOSIT - 4e16);
    }

    function test_closeTogether_withTheVoucherThatWasClaimedTransfersNothing() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        claim(k, 4e16);
        vm.expectCall(address(token), abi.encodePacked(token.transfer.selector), 0);
        assertEq(close(k, 4e16), 0);
        assertChannel(id, 4e16, 4e16, CLOSED);
    }

    function test_closeTogether_aboveTheReservationPaysAllOfIt() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        assertEq(close(k, RESERVED + 1), RESERVED);
        assertChannel(id, uint96(RESERVED), uint96(RESERVED), CLOSED);
        assertEq(free(payer.addr), DEPOSIT - RESERVED);
    }

    function test_closeTogether_releasesTheLastPlur() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        assertEq(close(k, RESERVED - 1), RESERVED - 1);
        assertChannel(id, uint96(RESERVED) - 1, uint96(RESERVED) - 1, CLOSED);
        assertEq(free(payer.addr), DEPOSIT - RESERVED + 1);
    }

    function test_closeTogether_worksWhileClosing() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        requestClose(k);
        vm.warp(START + DELAY + 1);
        assertEq(close(k, 2e16), 2e16);
        assertChannel(id, 2e16, 2e16, CLOSED);
    }

    function test_closeTogether_ofAChannelThatIsNotOpenReverts() public {
        IPaymentChannels.Key memory k = key();
        IPaymentChannels.Row memory last = row(k, 5);
        vm.prank(provider.addr);
        expectRevertNotOpen(idOf(k));
        channels.closeTogether(last, 0, "");
        open(k, RESERVED);
        close(k, 5);
        IPaymentChannels.Row memory more = row(k, 6);
        vm.prank(provider.addr);
        expectRevertNotOpen(idOf(k));
        channels.closeTogether(more, 0, "");
        assertEq(free(payer.addr), DEPOSIT - 5);
        assertEq(token.balanceOf(provider.addr), 5);
    }

    function test_fuzz_closeTogether_losesNothing(uint96 reserved, uint128 claimed, uint128 last)
        public
    {
        reserved = uint96(bound(reserved, 1, DEPOSIT));
        IPaymentChannels.Key memory k = key();
        open(k, reserved);
        if (claimed != 0) claim(k, claimed);
        close(k, last);
        uint256 owed = claimed > last ? claimed : last;
        if (owed > reserved) owed = reserved;
        assertEq(token.balanceOf(provider.addr), owed);
        assertEq(free(payer.addr), DEPOSIT - owed);
        assertEq(token.balanceOf(address(channels)), DEPOSIT - owed);
    }

    // ------------------------------------------------------------------ requestClose

    function test_requestClose_startsTheDelay() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        vm.expectEmit(address(channels));
        emit IPaymentChannels.CloseRequested(id, provider.addr, START + DELAY);
        requestClose(k);
        assertChannel(id, uint96(RESERVED), 0, uint40(START) + DELAY);
        assertEq(free(payer.addr), DEPOSIT - RESERVED);
    }

    function test_requestClose_againChangesNothing() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        requestClose(k);
        vm.warp(START + 5);
        requestClose(k);
        assertChannel(id, uint96(RESERVED), 0, uint40(START) + DELAY);
        close(k, 5);
        requestClose(k);
        assertChannel(id, 5, 5, CLOSED);
    }

    function test_requestClose_isThePayersAlone() public {
        (IPaymentChannels.Key memory k,) = open();
        address[4] memory callers = [signer.addr, provider.addr, relay, stranger];
        for (uint256 i = 0; i < callers.length; ++i) {
            vm.prank(callers[i]);
            vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.NotPayer.selector, payer.addr));
            channels.requestClose(k);
        }
    }

    function test_requestClose_ofAChannelThatWasNeverOpenedReverts() public {
        IPaymentChannels.Key memory k = key();
        vm.prank(payer.addr);
        expectRevertNotOpen(idOf(k));
        channels.requestClose(k);
    }

    /// @dev A delay of nothing closes at once; one beyond the end of time neither locks the money by
    /// an overflow nor makes the channel look closed.
    function test_requestClose_takesEveryDelay() public {
        IPaymentChannels.Key memory k = key();
        k.closeDelay = 0;
        bytes32 id = open(k, RESERVED);
        requestClose(k);
        assertChannel(id, uint96(RESERVED), 0, uint40(START));
        channels.finalizeClose(k);
        assertChannel(id, 0, 0, CLOSED);

        uint40[4] memory delays = [
            CLOSED, CLOSED - uint40(START), CLOSED - uint40(START) - 1, CLOSED - uint40(START) - 2
        ];
        uint40[4] memory expected = [CLOSED - 1, CLOSED - 1, CLOSED - 1, CLOSED - 2];
        for (uint256 i = 0; i < delays.length; ++i) {
            k.closeDelay = delays[i];
            id = open(k, RESERVED);
            requestClose(k);
            assertChannel(id, uint96(RESERVED), 0, expected[i]);
            close(k, 1);
        }
        assertEq(free(payer.addr), DEPOSIT - 4);
    }

    // ------------------------------------------------------------------ requestCloseFor

    function test_requestCloseFor_isSubmittedByAnybody() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        bytes memory signature = sign(payer, requestCloseHash(k, SOON));
        vm.expectEmit(address(channels));
        emit IPaymentChannels.CloseRequested(id, provider.addr, START + DELAY);
        vm.prank(relay);
        channels.requestCloseFor(k, SOON, signature);
        assertChannel(id, uint96(RESERVED), 0, uint40(START) + DELAY);
        // A copy is no error and does not start the delay again.
        vm.warp(START + 5);
        vm.prank(stranger);
        channels.requestCloseFor(k, SOON, signature);
        assertChannel(id, uint96(RESERVED), 0, uint40(START) + DELAY);
    }

    function test_requestCloseFor_revertsAfterItsDeadline() public {
        (IPaymentChannels.Key memory k,) = open();
        bytes memory signature = sign(payer, requestCloseHash(k, SOON));
        vm.warp(SOON + 1);
        expectRevertExpired(SOON);
        channels.requestCloseFor(k, SOON, signature);
        vm.warp(SOON);
        channels.requestCloseFor(k, SOON, signature);
    }

    function test_requestCloseFor_revertsWithInvalidSignature() public {
        (IPaymentChannels.Key memory k,) = open();
        IPaymentChannels.Key memory second = keyOf(provider.addr, 1);
        open(second, RESERVED);
        bytes memory signature = sign(payer, requestCloseHash(k, SOON));
        expectRevertInvalidSignature(payer.addr);
        channels.requestCloseFor(k, SOON + 1, signature);
        expectRevertInvalidSignature(payer.addr);
        channels.requestCloseFor(second, SOON, signature);
        signature = sign(signer, requestCloseHash(k, SOON));
        expectRevertInvalidSignature(payer.addr);
        channels.requestCloseFor(k, SOON, signature);
        // The payer's own call is `requestClose`.
        vm.prank(payer.addr);
        expectRevertInvalidSignature(payer.addr);
        channels.requestCloseFor(k, SOON, "");
    }

    function test_requestCloseFor_ofAChannelThatWasNeverOpenedReverts() public {
        IPaymentChannels.Key memory k = key();
        bytes memory signature = sign(payer, requestCloseHash(k, SOON));
        expectRevertNotOpen(idOf(k));
        channels.requestCloseFor(k, SOON, signature);
    }

    // ------------------------------------------------------------------ finalizeClose

    function test_finalizeClose_givesThePayerTheRestWhoeverCalls() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        claim(k, 3e16);
        requestClose(k);
        claim(k, 4e16);
        vm.warp(START + DELAY);
        vm.expectEmit(address(channels));
        emit IPaymentChannels.Closed(id, provider.addr, 4e16, RESERVED - 4e16);
        vm.prank(stranger);
        channels.finalizeClose(k);
        assertChannel(id, 4e16, 4e16, CLOSED);
        assertEq(free(payer.addr), DEPOSIT - 4e16);
        vm.prank(payer.addr);
        channels.withdraw(DEPOSIT - 4e16, payer.addr);
        assertEq(token.balanceOf(address(channels)), 0);
    }

    function test_finalizeClose_revertsWithClosesLater() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        requestClose(k);
        vm.warp(START + DELAY - 1);
        vm.expectRevert(
            abi.encodeWithSelector(IPaymentChannels.ClosesLater.selector, id, START + DELAY)
        );
        channels.finalizeClose(k);
        vm.warp(START + DELAY);
        channels.finalizeClose(k);
    }

    function test_finalizeClose_ofAClosedChannelDoesNothing() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        close(k, 5);
        channels.finalizeClose(k);
        assertChannel(id, 5, 5, CLOSED);
        assertEq(free(payer.addr), DEPOSIT - 5);
    }

    function test_finalizeClose_revertsWhenNobodyAsked() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.ChannelNotClosing.selector, id));
        channels.finalizeClose(k);
        k.salt = bytes32(uint256(1));
        vm.expectRevert(
            abi.encodeWithSelector(IPaymentChannels.ChannelNotClosing.selector, idOf(k))
        );
        channels.finalizeClose(k);
    }

    function test_finalizeClose_ofAnEmptyChannelReleasesNothing() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        claim(k, RESERVED);
        requestClose(k);
        vm.warp(START + DELAY);
        channels.finalizeClose(k);
        assertChannel(id, uint96(RESERVED), uint96(RESERVED), CLOSED);
        assertEq(free(payer.addr), DEPOSIT - RESERVED);
    }
}
