// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {PaymentChannels} from "../../src/PaymentChannels.sol";
import {IPaymentChannels} from "../../src/interfaces/IPaymentChannels.sol";
import {ChannelFixture} from "../base/ChannelFixture.sol";
import {OldImageToken, RefusingToken, ShortToken} from "../base/OddTokens.sol";

/// @notice What goes into a payer's free balance and what leaves it.
contract ChannelBalanceTest is ChannelFixture {
    function test_constructor_keepsTheToken() public {
        assertEq(channels.xbzz(), address(token));
        vm.expectRevert(IPaymentChannels.ZeroAddress.selector);
        new PaymentChannels(address(0));
    }

    // ------------------------------------------------------------------ deposit

    function test_deposit_movesTokensIntoAnyonesFreeBalance() public {
        uint256 before = token.balanceOf(payer.addr);
        vm.expectEmit(address(channels));
        emit IPaymentChannels.Deposited(stranger, payer.addr, 5);
        vm.prank(payer.addr);
        channels.deposit(stranger, 5);
        assertEq(free(stranger), 5);
        assertEq(free(payer.addr), DEPOSIT);
        assertEq(token.balanceOf(payer.addr), before - 5);
        assertEq(token.balanceOf(address(channels)), DEPOSIT + 5);
    }

    function test_deposit_revertsForNobodyForItselfAndOfNothing() public {
        vm.startPrank(payer.addr);
        vm.expectRevert(IPaymentChannels.ZeroAddress.selector);
        channels.deposit(address(0), 1);
        vm.expectRevert(IPaymentChannels.SelfPayment.selector);
        channels.deposit(address(channels), 1);
        vm.expectRevert(IPaymentChannels.ZeroAmount.selector);
        channels.deposit(payer.addr, 0);
    }

    function test_deposit_revertsWithoutAllowance() public {
        vm.expectRevert();
        vm.prank(stranger);
        channels.deposit{gas: 1_000_000}(stranger, 1);
        assertEq(free(stranger), 0);
    }

    function test_deposit_revertsWhenTheTokenAnswersFalse() public {
        RefusingToken refusing = new RefusingToken();
        refusing.refuse(true);
        channels = new PaymentChannels(address(refusing));
        vm.expectRevert(IPaymentChannels.TransferFailed.selector);
        channels.deposit(payer.addr, 1);
    }

    function test_deposit_revertsWhenTheTokenMovesLess() public {
        ShortToken short = new ShortToken();
        short.mint(payer.addr, 100);
        channels = new PaymentChannels(address(short));
        vm.startPrank(payer.addr);
        short.approve(address(channels), 100);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.WrongAmountMoved.selector, 99, 100));
        channels.deposit(payer.addr, 100);
    }

    function test_fuzz_deposit_andWithdrawAreInverse(uint128 amount, uint128 back) public {
        amount = uint128(bound(amount, 1, 900e16));
        back = uint128(bound(back, 1, amount));
        uint256 before = token.balanceOf(payer.addr);
        vm.startPrank(payer.addr);
        channels.deposit(stranger, amount);
        vm.stopPrank();
        vm.prank(stranger);
        channels.withdraw(back, payer.addr);
        assertEq(free(stranger), amount - back);
        assertEq(token.balanceOf(payer.addr), before - amount + back);
    }

    // ------------------------------------------------------------------ onTokenTransfer

    function test_onTokenTransfer_creditsTheSenderOrThePayerInTheData() public {
        vm.startPrank(payer.addr);
        vm.expectEmit(address(channels));
        emit IPaymentChannels.Deposited(payer.addr, payer.addr, 3);
        assertTrue(token.transferAndCall(address(channels), 3, ""));
        vm.expectEmit(address(channels));
        emit IPaymentChannels.Deposited(stranger, payer.addr, 4);
        token.transferAndCall(address(channels), 4, abi.encodePacked(stranger));
        assertEq(free(payer.addr), DEPOSIT + 3);
        assertEq(free(stranger), 4);
        assertEq(token.balanceOf(address(channels)), DEPOSIT + 7);
    }

    function test_onTokenTransfer_revertsWithOtherData() public {
        bytes[4] memory bad = [bytes(hex"00"), new bytes(19), new bytes(21), abi.encode(stranger)];
        vm.startPrank(address(token));
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(IPaymentChannels.BadTokenData.selector, bad[i].length)
            );
            channels.onTokenTransfer(payer.addr, 1, bad[i]);
        }
        vm.expectRevert(IPaymentChannels.ZeroAddress.selector);
        channels.onTokenTransfer(payer.addr, 1, new bytes(20));
        vm.expectRevert(IPaymentChannels.ZeroAmount.selector);
        channels.onTokenTransfer(payer.addr, 0, "");
    }

    function test_onTokenTransfer_revertsWithNotToken() public {
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.NotToken.selector, address(this)));
        channels.onTokenTransfer(payer.addr, 1, "");
    }

    function test_onTokenTransfer_revertsWithMoreThanAnAccountHolds() public {
        uint256 tooMuch = uint256(type(uint128).max) + 1;
        vm.startPrank(address(token));
        vm.expectRevert(
            abi.encodeWithSelector(
                IPaymentChannels.AmountTooLarge.selector, tooMuch, type(uint128).max
            )
        );
        channels.onTokenTransfer(stranger, tooMuch, "");
        assertTrue(channels.onTokenTransfer(stranger, type(uint128).max, ""));
        assertEq(free(stranger), type(uint128).max);
    }

    /// @dev That token tells its receiver of each transfer and takes no notice of a refusal.
    function test_onTokenTransfer_ofTheOldImageCountsADepositOnce() public {
        OldImageToken old = new OldImageToken();
        old.mint(payer.addr, 100);
        channels = new PaymentChannels(address(old));
        vm.startPrank(payer.addr);
        old.approve(address(channels), 100);
        channels.deposit(payer.addr, 60);
        assertEq(free(payer.addr), 60);
        assertEq(old.failedCalls(), 1);
        // A plain transfer is a deposit there, as it says itself.
        old.transfer(address(channels), 40);
        assertEq(free(payer.addr), 100);
        // A payout to a contract that is told of it.
        channels.withdraw(100, address(new PaymentChannels(address(old))));
        assertEq(old.balanceOf(address(channels)), 0);
    }

    function test_onTokenTransfer_ofTheOldImageCountsASignedDepositOnce() public {
        OldImageToken old = new OldImageToken();
        old.mint(payer.addr, 100);
        channels = new PaymentChannels(address(old));
        vm.prank(payer.addr);
        old.approve(address(channels), 100);
        (IPaymentChannels.Deposit memory d, bytes memory signature) = signedDeposit(60, 0);
        assertTrue(channels.depositFor(d, signature, noPermit()));
        assertEq(free(payer.addr), 60);
    }

    // ------------------------------------------------------------------ depositFor

    function test_depositFor_takesAnAllowance() public {
        (IPaymentChannels.Deposit memory d, bytes memory signature) = signedDeposit(7, 0);
        vm.expectEmit(address(channels));
        emit IPaymentChannels.Deposited(payer.addr, payer.addr, 7);
        vm.prank(relay);
        assertTrue(channels.depositFor(d, signature, noPermit()));
        assertEq(free(payer.addr), DEPOSIT + 7);
        (, uint64 depositNonce, uint64 withdrawNonce) = channels.accounts(payer.addr);
        assertEq(depositNonce, 1);
        assertEq(withdrawNonce, 0);
        assertEq(token.balanceOf(address(channels)), DEPOSIT + 7);
    }

    function test_depositFor_takesEitherPermit() public {
        disallow();
        (IPaymentChannels.Deposit memory d, bytes memory signature) = signedDeposit(7, 0);
        channels.depositFor(d, signature, permitOf(payer, 7, 0));
        assertEq(token.allowance(payer.addr, address(channels)), 0);
        (d, signature) = signedDeposit(8, 1);
        channels.depositFor(d, signature, daiPermitOf(payer, 1));
        assertEq(token.allowance(payer.addr, address(channels)), type(uint256).max);
        assertEq(free(payer.addr), DEPOSIT + 15);
    }

    function test_depositFor_takesNoPermitThatHasNoKind() public {
        disallow();
        (IPaymentChannels.Deposit memory d, bytes memory signature) = signedDeposit(7, 0);
        IPaymentChannels.Permit memory p = daiPermitOf(payer, 0);
        p.kind = IPaymentChannels.PermitKind.None;
        vm.expectRevert(
            abi.encodeWithSelector(
                IPaymentChannels.DepositNotCovered.selector, 0, token.balanceOf(payer.addr), 7
            )
        );
        channels.depositFor(d, signature, p);
    }

    function test_depositFor_leavesAPermitThatIsNotNeeded() public {
        (IPaymentChannels.Deposit memory d, bytes memory signature) = signedDeposit(7, 0);
        channels.depositFor(d, signature, permitOf(payer, 7, 0));
        assertEq(token.nonces(payer.addr), 0);
        // An allowance of just the amount is enough.
        allow(8);
        (d, signature) = signedDeposit(8, 1);
        channels.depositFor(d, signature, permitOf(payer, 8, 0));
        assertEq(token.nonces(payer.addr), 0);
        assertEq(free(payer.addr), DEPOSIT + 15);
    }

    function test_depositFor_aPermitUsedBySomebodyElseIsNoError() public {
        disallow();
        (IPaymentChannels.Deposit memory d, bytes memory signature) = signedDeposit(7, 0);
        IPaymentChannels.Permit memory p = permitOf(payer, 7, 0);
        vm.prank(stranger);
        token.permit(payer.addr, address(channels), p.value, p.deadline, p.v, p.r, p.s);
        assertTrue(channels.depositFor(d, signature, p));

        disallow();
        (d, signature) = signedDeposit(8, 1);
        p = daiPermitOf(payer, 1);
        vm.prank(stranger);
        token.permit(payer.addr, address(channels), p.value, p.deadline, true, p.v, p.r, p.s);
        assertTrue(channels.depositFor(d, signature, p));
    }

    function test_depositFor_ofAUsedNonceDoesNothing() public {
        (IPaymentChannels.Deposit memory d, bytes memory signature) = signedDeposit(7, 0);
        channels.depositFor(d, signature, noPermit());
        vm.prank(stranger);
        assertFalse(channels.depositFor(d, signature, noPermit()));
        // Not even when its time is over.
        vm.warp(SOON + 1);
        assertFalse(channels.depositFor(d, signature, noPermit()));
        assertEq(free(payer.addr), DEPOSIT + 7);
        assertEq(token.balanceOf(address(channels)), DEPOSIT + 7);
    }

    function test_depositFor_revertsWithWrongNonce() public {
        (IPaymentChannels.Deposit memory d, bytes memory signature) = signedDeposit(7, 1);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.WrongNonce.selector, 1, 0));
        channels.depositFor(d, signature, noPermit());
    }

    function test_depositFor_revertsAfterItsDeadline() public {
        (IPaymentChannels.Deposit memory d, bytes memory signature) = signedDeposit(7, 0);
        vm.warp(SOON + 1);
        expectRevertExpired(SOON);
        channels.depositFor(d, signature, noPermit());
        vm.warp(SOON);
        assertTrue(channels.depositFor(d, signature, noPermit()));
    }

    function test_depositFor_revertsWithInvalidSignature() public {
        (IPaymentChannels.Deposit memory d, bytes memory signature) = signedDeposit(7, 0);
        d.amount = 8;
        expectRevertInvalidSignature(payer.addr);
        channels.depositFor(d, signature, noPermit());
        // The payer's own call is no signature here: it has `deposit`.
        vm.prank(payer.addr);
        expectRevertInvalidSignature(payer.addr);
        channels.depositFor(d, "", noPermit());
        // Nobody's tokens are taken for somebody else's signature.
        d.payer = stranger;
        expectRevertInvalidSignature(stranger);
        channels.depositFor(d, sign(payer, depositHash(d)), noPermit());
    }

    function test_depositFor_ofNothingReverts() public {
        (IPaymentChannels.Deposit memory d, bytes memory signature) = signedDeposit(0, 0);
        vm.expectRevert(IPaymentChannels.ZeroAmount.selector);
        channels.depositFor(d, signature, noPermit());
    }

    /// @dev A transfer that fails burns all gas in the token, so it must not come to it.
    function test_depositFor_looksBeforeItPulls() public {
        uint128 all = uint128(token.balanceOf(payer.addr));
        (IPaymentChannels.Deposit memory d, bytes memory signature) = signedDeposit(all + 1, 0);
        vm.expectRevert(
            abi.encodeWithSelector(
                IPaymentChannels.DepositNotCovered.selector, type(uint256).max, all, all + 1
            )
        );
        channels.depositFor{gas: 200_000}(d, signature, noPermit());

        allow(6);
        (d, signature) = signedDeposit(7, 0);
        bytes memory notCovered =
            abi.encodeWithSelector(IPaymentChannels.DepositNotCovered.selector, 6, all, 7);
        vm.expectRevert(notCovered);
        channels.depositFor{gas: 200_000}(d, signature, noPermit());
        // A permit of somebody else, or for less.
        IPaymentChannels.Permit memory p = permitOf(signer, 7, 0);
        vm.expectRevert(notCovered);
        channels.depositFor{gas: 300_000}(d, signature, p);
        p = permitOf(payer, 6, 0);
        vm.expectRevert(notCovered);
        channels.depositFor{gas: 300_000}(d, signature, p);
        assertEq(free(payer.addr), DEPOSIT);
        (, uint64 depositNonce,) = channels.accounts(payer.addr);
        assertEq(depositNonce, 0);

        (d, signature) = signedDeposit(all, 0);
        allow(all);
        assertTrue(channels.depositFor(d, signature, noPermit()));
        assertEq(token.balanceOf(payer.addr), 0);
    }

    // ------------------------------------------------------------------ withdraw

    function test_withdraw_sendsFreeBalance() public {
        vm.expectEmit(address(channels));
        emit IPaymentChannels.Withdrawn(payer.addr, stranger, 40e16, 0);
        vm.prank(payer.addr);
        channels.withdraw(40e16, stranger);
        assertEq(free(payer.addr), 60e16);
        assertEq(token.balanceOf(stranger), 40e16);
        vm.prank(payer.addr);
        channels.withdraw(60e16, stranger);
        assertEq(free(payer.addr), 0);
    }

    function test_withdraw_reachesFreeBalanceOnly() public {
        open();
        uint128 left = DEPOSIT - RESERVED;
        vm.startPrank(payer.addr);
        vm.expectRevert(
            abi.encodeWithSelector(
                IPaymentChannels.InsufficientFreeBalance.selector, left, left + 1
            )
        );
        channels.withdraw(left + 1, payer.addr);
        channels.withdraw(left, payer.addr);
        assertEq(token.balanceOf(address(channels)), RESERVED);
    }

    function test_withdraw_revertsToNobodyToItselfAndOfNothing() public {
        vm.startPrank(payer.addr);
        vm.expectRevert(IPaymentChannels.ZeroAddress.selector);
        channels.withdraw(1, address(0));
        vm.expectRevert(IPaymentChannels.SelfPayment.selector);
        channels.withdraw(1, address(channels));
        vm.expectRevert(IPaymentChannels.ZeroAmount.selector);
        channels.withdraw(0, payer.addr);
    }

    function test_withdraw_revertsWhenTheTokenAnswersFalse() public {
        RefusingToken refusing = new RefusingToken();
        channels = new PaymentChannels(address(refusing));
        vm.prank(address(refusing));
        channels.onTokenTransfer(payer.addr, 5, "");
        refusing.refuse(true);
        vm.prank(payer.addr);
        vm.expectRevert(IPaymentChannels.TransferFailed.selector);
        channels.withdraw(5, payer.addr);
    }

    // ------------------------------------------------------------------ withdrawFor

    function test_withdrawFor_paysTheFeeIntoTheRelaysFreeBalance() public {
        (IPaymentChannels.Withdrawal memory w, bytes memory signature) =
            signedWithdrawal(stranger, 10e16, 1e16, 0);
        vm.expectEmit(address(channels));
        emit IPaymentChannels.Withdrawn(payer.addr, stranger, 10e16, 1e16);
        vm.prank(relay);
        channels.withdrawFor(w, signature);
        assertEq(token.balanceOf(stranger), 9e16);
        assertEq(free(relay), 1e16);
        assertEq(free(payer.addr), DEPOSIT - 10e16);
        (, uint64 depositNonce, uint64 withdrawNonce) = channels.accounts(payer.addr);
        assertEq(depositNonce, 0);
        assertEq(withdrawNonce, 1);
        vm.prank(relay);
        channels.withdraw(1e16, relay);
        assertEq(token.balanceOf(relay), 1e16);
    }

    function test_withdrawFor_takesAFeeOfNothingAndOfEverything() public {
        (IPaymentChannels.Withdrawal memory w, bytes memory signature) =
            signedWithdrawal(stranger, 5, 0, 0);
        vm.prank(relay);
        channels.withdrawFor(w, signature);
        assertEq(free(relay), 0);
        assertEq(token.balanceOf(stranger), 5);
        (w, signature) = signedWithdrawal(stranger, 6, 6, 1);
        vm.prank(relay);
        channels.withdrawFor(w, signature);
        assertEq(free(relay), 6);
        assertEq(token.balanceOf(stranger), 5);
    }

    function test_withdrawFor_byThePayerItselfGivesItsFeeBack() public {
        (IPaymentChannels.Withdrawal memory w, bytes memory signature) =
            signedWithdrawal(stranger, 10, 4, 0);
        vm.prank(payer.addr);
        channels.withdrawFor(w, signature);
        assertEq(free(payer.addr), DEPOSIT - 6);
        assertEq(token.balanceOf(stranger), 6);
    }

    function test_withdrawFor_isNeverRepeated() public {
        (IPaymentChannels.Withdrawal memory w, bytes memory signature) =
            signedWithdrawal(stranger, 10e16, 1e16, 0);
        channels.withdrawFor(w, signature);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.WrongNonce.selector, 0, 1));
        vm.prank(relay);
        channels.withdrawFor(w, signature);
        (w, signature) = signedWithdrawal(stranger, 1, 0, 2);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.WrongNonce.selector, 2, 1));
        channels.withdrawFor(w, signature);
        assertEq(free(payer.addr), DEPOSIT - 10e16);
    }

    function test_withdrawFor_revertsAfterItsDeadline() public {
        (IPaymentChannels.Withdrawal memory w, bytes memory signature) =
            signedWithdrawal(stranger, 10, 1, 0);
        vm.warp(SOON + 1);
        expectRevertExpired(SOON);
        channels.withdrawFor(w, signature);
        vm.warp(SOON);
        channels.withdrawFor(w, signature);
    }

    function test_withdrawFor_revertsWithInvalidSignature() public {
        (IPaymentChannels.Withdrawal memory signed, bytes memory signature) =
            signedWithdrawal(stranger, 10, 1, 0);
        for (uint256 i = 0; i < 4; ++i) {
            IPaymentChannels.Withdrawal memory w = IPaymentChannels.Withdrawal(
                signed.payer, signed.to, signed.amount, signed.fee, signed.nonce, signed.deadline
            );
            if (i == 0) w.to = relay;
            if (i == 1) w.amount = 11;
            if (i == 2) w.fee = 2;
            if (i == 3) w.deadline = SOON + 1;
            expectRevertInvalidSignature(payer.addr);
            channels.withdrawFor(w, signature);
        }
        vm.prank(payer.addr);
        expectRevertInvalidSignature(payer.addr);
        channels.withdrawFor(signed, "");
    }

    function test_withdrawFor_revertsWithFeeAboveAmount() public {
        (IPaymentChannels.Withdrawal memory w, bytes memory signature) =
            signedWithdrawal(stranger, 10, 11, 0);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.FeeAboveAmount.selector, 11, 10));
        channels.withdrawFor(w, signature);
    }

    function test_withdrawFor_revertsAboveTheFreeBalance() public {
        open();
        (IPaymentChannels.Withdrawal memory w, bytes memory signature) =
            signedWithdrawal(stranger, DEPOSIT, 0, 0);
        vm.expectRevert(
            abi.encodeWithSelector(
                IPaymentChannels.InsufficientFreeBalance.selector, DEPOSIT - RESERVED, DEPOSIT
            )
        );
        channels.withdrawFor(w, signature);
    }

    function test_fuzz_withdrawFor_losesNothing(uint128 amount, uint128 fee) public {
        amount = uint128(bound(amount, 1, DEPOSIT));
        fee = uint128(bound(fee, 0, amount));
        (IPaymentChannels.Withdrawal memory w, bytes memory signature) =
            signedWithdrawal(stranger, amount, fee, 0);
        vm.prank(relay);
        channels.withdrawFor(w, signature);
        assertEq(token.balanceOf(stranger), amount - fee);
        assertEq(token.balanceOf(address(channels)), uint256(free(payer.addr)) + free(relay));
    }

    // ------------------------------------------------------------------ helpers

    function allow(uint256 amount) private {
        vm.prank(payer.addr);
        token.approve(address(channels), amount);
    }

    function disallow() private {
        allow(0);
    }
}
