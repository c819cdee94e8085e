// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {PaymentChannels} from "../../src/PaymentChannels.sol";
import {IPaymentChannels} from "../../src/interfaces/IPaymentChannels.sol";
import {ChannelFixture} from "../base/ChannelFixture.sol";
import {ContractWallet} from "../base/ContractWallet.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice What somebody would try with the messages of others, and who stands behind a signature.
contract ChannelAttacksTest is ChannelFixture {
    // ------------------------------------------------------------------ many calls at once

    /// @dev A first deposit and its channel come together or not at all, so that no other provider's
    /// channel takes the deposit in between.
    function test_multicall_depositsAndOpensAtOnce() public {
        (Vm.Wallet memory buyer, bytes[] memory calls) = firstContact();
        vm.prank(provider.addr);
        channels.multicall(calls);
        assertEq(free(buyer.addr), DEPOSIT - RESERVED);
        assertChannel(idOf(firstKey(buyer)), uint96(RESERVED), 0, 0);
        assertEq(free(payer.addr), DEPOSIT);
    }

    function test_multicall_isAllOrNothing() public {
        (Vm.Wallet memory buyer, bytes[] memory calls) = firstContact();
        calls[1] = abi.encodeCall(
            IPaymentChannels.openFor,
            (
                firstKey(buyer),
                DEPOSIT + 1,
                SOON,
                sign(buyer, openHash(firstKey(buyer), DEPOSIT + 1, SOON))
            )
        );
        vm.expectRevert(
            abi.encodeWithSelector(
                IPaymentChannels.InsufficientFreeBalance.selector, DEPOSIT, DEPOSIT + 1
            )
        );
        vm.prank(provider.addr);
        channels.multicall(calls);
        assertEq(free(buyer.addr), 0);
        assertEq(token.balanceOf(buyer.addr), DEPOSIT);
    }

    /// @dev Whatever part somebody copies out of the mempool and sends first, in whichever order.
    function test_multicall_copiedPartsBlockNothing() public {
        for (uint256 copied = 0; copied < 4; ++copied) {
            uint256 snapshot = vm.snapshotState();
            (Vm.Wallet memory buyer, bytes[] memory calls) = firstContact();
            vm.startPrank(stranger);
            if (copied == 1 || copied == 2) call(calls[0]);
            if (copied == 2) call(calls[1]);
            if (copied == 3) {
                IPaymentChannels.Permit memory p = permitOf(buyer, DEPOSIT, 0);
                token.permit(buyer.addr, address(channels), p.value, p.deadline, p.v, p.r, p.s);
            }
            vm.stopPrank();
            vm.prank(provider.addr);
            channels.multicall(calls);
            assertEq(free(buyer.addr), DEPOSIT - RESERVED);
            assertChannel(idOf(firstKey(buyer)), uint96(RESERVED), 0, 0);
            vm.revertToState(snapshot);
        }
    }

    /// @dev A payer without gas gets out: it signs, and a relay does both steps for a fee.
    function test_multicall_closesAndWithdrawsForAFee() public {
        (IPaymentChannels.Key memory k,) = open();
        (IPaymentChannels.Withdrawal memory w, bytes memory signature) =
            signedWithdrawal(payer.addr, DEPOSIT - RESERVED, 1e15, 0);
        bytes[] memory calls = new bytes[](2);
        bytes memory request = sign(payer, requestCloseHash(k, SOON));
        calls[0] = abi.encodeCall(IPaymentChannels.requestCloseFor, (k, SOON, request));
        calls[1] = abi.encodeCall(IPaymentChannels.withdrawFor, (w, signature));
        vm.prank(stranger);
        call(calls[0]);
        vm.prank(relay);
        channels.multicall(calls);
        assertEq(free(relay), 1e15);

        vm.warp(START + DELAY);
        w = IPaymentChannels.Withdrawal(
            payer.addr, payer.addr, RESERVED, 1e15, 1, uint40(START) + 2 * DELAY
        );
        calls[0] = abi.encodeCall(IPaymentChannels.finalizeClose, (k));
        calls[1] = abi.encodeCall(IPaymentChannels.withdrawFor, (w, sign(payer, withdrawalHash(w))));
        vm.prank(stranger);
        call(calls[0]);
        vm.prank(relay);
        channels.multicall(calls);
        assertEq(free(relay), 2e15);
        assertEq(free(payer.addr), 0);
        assertEq(token.balanceOf(payer.addr), 1000e16 - 2e15);
    }

    /// @dev A claim that somebody made before is in nobody's way.
    function test_multicall_withABatchIsNotBlockedByACopiedClaim() public {
        (IPaymentChannels.Key memory k,) = open();
        IPaymentChannels.Row[] memory rows = new IPaymentChannels.Row[](1);
        rows[0] = row(k, 5);
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(IPaymentChannels.claimMany, (rows));
        calls[1] = abi.encodeCall(
            IPaymentChannels.openFor,
            (keyOf(other.addr, 0), 5, SOON, signOpen(keyOf(other.addr, 0), 5, SOON))
        );
        vm.prank(stranger);
        channels.claim(rows[0]);
        vm.prank(relay);
        channels.multicall(calls);
        assertChannel(idOf(keyOf(other.addr, 0)), 5, 0, 0);
        assertEq(token.balanceOf(provider.addr), 5);
    }

    function test_multicall_actsForItsCallerOnly() public {
        open();
        bytes[] memory calls = new bytes[](1);
        calls[0] = abi.encodeCall(IPaymentChannels.withdraw, (1, stranger));
        vm.prank(stranger);
        vm.expectRevert(
            abi.encodeWithSelector(IPaymentChannels.InsufficientFreeBalance.selector, 0, 1)
        );
        channels.multicall(calls);
        // Nor does one inside of another.
        calls[0] = abi.encodeCall(IPaymentChannels.requestClose, (key()));
        calls[0] = abi.encodeCall(IPaymentChannels.multicall, (calls));
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.NotPayer.selector, payer.addr));
        channels.multicall(calls);
        vm.prank(payer.addr);
        channels.multicall(calls);
        assertChannel(idOf(key()), uint96(RESERVED), 0, uint40(START) + DELAY);
    }

    // ------------------------------------------------------------------ money promised twice

    function test_twoAmountsForOneId_theFirstThatIsMinedCounts() public {
        IPaymentChannels.Key memory k = key();
        bytes memory small = signOpen(k, 1, SOON);
        bytes memory large = signOpen(k, RESERVED, SOON);
        vm.prank(payer.addr);
        channels.openFor(k, 1, SOON, small);
        vm.prank(provider.addr);
        vm.expectRevert(abi.encodeWithSelector(IPaymentChannels.ChannelExists.selector, idOf(k)));
        channels.openFor(k, RESERVED, SOON, large);
        // And the other way round the smaller is there as well.
        k = keyOf(provider.addr, 1);
        small = signOpen(k, 1, SOON);
        open(k, RESERVED);
        channels.openFor(k, 1, SOON, small);
        assertChannel(idOf(k), uint96(RESERVED), 0, 0);
    }

    function test_aWithdrawalThatComesFirst_leavesAnOpenWithoutMoney() public {
        bytes memory signature = signOpen(key(), RESERVED, SOON);
        vm.prank(payer.addr);
        channels.withdraw(DEPOSIT, payer.addr);
        vm.prank(provider.addr);
        vm.expectRevert(
            abi.encodeWithSelector(IPaymentChannels.InsufficientFreeBalance.selector, 0, RESERVED)
        );
        channels.openFor(key(), RESERVED, SOON, signature);
    }

    function test_aConsentKeptWhileServingGoesOn_closesAtTheOldAmount() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        IPaymentChannels.Row memory old = row(k, 1e16);
        bytes memory consent = sign(provider, closeHash(id, 1e16, SOON));
        // The provider serves on; what it claimed stays its own, what it only holds is lost.
        claim(k, 3e16);
        vm.prank(payer.addr);
        assertEq(channels.closeTogether(old, SOON, consent), 0);
        assertEq(token.balanceOf(provider.addr), 3e16);
        IPaymentChannels.Row memory newer = row(k, 5e16);
        expectRevertNothing(id, IPaymentChannels.Skip.NotOpen);
        channels.claim(newer);
    }

    function test_aStolenSigner_spendsTheReservationsAndNoMore() public {
        (IPaymentChannels.Key memory k,) = open();
        claim(k, type(uint128).max);
        assertEq(free(payer.addr), DEPOSIT - RESERVED);
        bytes memory signature = sign(signer, topUpHash(k, DEPOSIT, SOON));
        expectRevertInvalidSignature(payer.addr);
        channels.topUpFor(k, DEPOSIT, SOON, signature);
        IPaymentChannels.Withdrawal memory w =
            IPaymentChannels.Withdrawal(payer.addr, signer.addr, 1, 0, 0, SOON);
        signature = sign(signer, withdrawalHash(w));
        expectRevertInvalidSignature(payer.addr);
        channels.withdrawFor(w, signature);
    }

    // ------------------------------------------------------------------ contracts

    /// @dev A contract could accept a voucher today and refuse it at the claim.
    function test_aContractIsNoSigner() public {
        ContractWallet wallet = new ContractWallet(signer.addr);
        IPaymentChannels.Key memory k = key();
        k.signer = address(wallet);
        bytes32 id = open(k, RESERVED);
        IPaymentChannels.Row memory r = row(k, 5);
        // Asked, it would accept.
        bytes32 digest = digestOf(domainOn(block.chainid), voucherHash(id, 5, r.context));
        assertEq(wallet.isValidSignature(digest, r.signature), wallet.isValidSignature.selector);
        expectRevertNothing(id, IPaymentChannels.Skip.BadSignature);
        channels.claim(r);
        vm.prank(provider.addr);
        expectRevertInvalidSignature(address(wallet));
        channels.closeTogether(r, 0, "");
        // Nor is a provider that is a contract asked for its consent; it calls itself.
        k = keyOf(address(wallet), 0);
        id = open(k, RESERVED);
        r = row(k, 5);
        bytes memory consent = sign(signer, closeHash(id, 5, SOON));
        expectRevertInvalidSignature(address(wallet));
        channels.closeTogether(r, SOON, consent);
        vm.prank(address(wallet));
        channels.closeTogether(r, 0, "");
        assertEq(token.balanceOf(address(wallet)), 5);
    }

    /// @dev A key signs as well when code stands at its address.
    function test_aKeyWithCode_signsAsAKey() public {
        (IPaymentChannels.Key memory k,) = open();
        vm.etch(signer.addr, hex"00");
        vm.etch(payer.addr, hex"60006000fd");
        vm.etch(provider.addr, hex"60006000fd");
        claim(k, 5);
        topUp(k, RESERVED + 1);
        bytes memory consent = sign(provider, closeHash(idOf(k), 6, SOON));
        IPaymentChannels.Row memory last = row(k, 6);
        vm.prank(relay);
        channels.closeTogether(last, SOON, consent);
        assertEq(token.balanceOf(provider.addr), 6);
    }

    function test_aContractPays_withItsOwnWayToSign() public {
        ContractWallet wallet = new ContractWallet(payer.addr);
        token.mint(address(wallet), DEPOSIT);
        wallet.approve(address(token), address(channels));
        address from = address(wallet);
        IPaymentChannels.Deposit memory d = IPaymentChannels.Deposit(from, DEPOSIT, 0, SOON);
        channels.depositFor(d, sign(payer, depositHash(d)), noPermit());
        IPaymentChannels.Key memory k = key();
        k.payer = from;
        bytes memory signature = signOpen(k, RESERVED, SOON);
        channels.openFor(k, RESERVED, SOON, signature);
        signature = signTopUp(k, RESERVED + 1, SOON);
        channels.topUpFor(k, RESERVED + 1, SOON, signature);
        signature = sign(payer, requestCloseHash(k, SOON));
        channels.requestCloseFor(k, SOON, signature);
        IPaymentChannels.Withdrawal memory w =
            IPaymentChannels.Withdrawal(from, payer.addr, 5, 1, 0, SOON);
        signature = sign(payer, withdrawalHash(w));
        vm.prank(relay);
        channels.withdrawFor(w, signature);
        assertEq(free(from), DEPOSIT - RESERVED - 6);
        assertChannel(idOf(k), uint96(RESERVED) + 1, 0, uint40(START) + DELAY);
        // Not everything that it is asked.
        k.salt = bytes32(uint256(1));
        signature = sign(other, openHash(k, RESERVED, SOON));
        expectRevertInvalidSignature(from);
        channels.openFor(k, RESERVED, SOON, signature);
        // Its signatures may have any length, an empty one among them.
        wallet.acceptAll();
        channels.openFor(k, RESERVED, SOON, "");
        k.salt = bytes32(uint256(2));
        channels.openFor(k, RESERVED, SOON, new bytes(200));
    }

    /// @dev What it burns is what the relay lets it have, and nothing else happens.
    function test_aContractPayerThatBurnsGas_costsWhatTheRelayAllows() public {
        ContractWallet wallet = new ContractWallet(payer.addr);
        wallet.burnGas();
        vm.prank(address(token));
        channels.onTokenTransfer(address(wallet), DEPOSIT, "");
        IPaymentChannels.Key memory k = key();
        k.payer = address(wallet);
        bytes memory signature = signOpen(k, RESERVED, SOON);
        bytes memory open_ =
            abi.encodeCall(IPaymentChannels.openFor, (k, RESERVED, SOON, signature));
        uint256 before = gasleft();
        vm.prank(relay);
        (bool ok,) = address(channels).call{gas: 150_000}(open_);
        assertFalse(ok);
        assertLt(before - gasleft(), 170_000);
        assertChannel(idOf(k), 0, 0, 0);
        assertEq(free(address(wallet)), DEPOSIT);
    }

    // ------------------------------------------------------------------ other chains and contracts

    /// @dev The id stays when the chain's id changes, so the money stays within reach; what was signed
    /// for one branch is worth nothing on the other.
    function test_aFork_keepsIdsAndRefusesOldSignatures() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        IPaymentChannels.Key memory second = keyOf(provider.addr, 1);
        IPaymentChannels.Row memory before = row(k, 5);
        bytes memory topUpBefore = signTopUp(k, RESERVED + 1, SOON);
        bytes memory openBefore = signOpen(second, 7, SOON);
        bytes memory requestBefore = sign(payer, requestCloseHash(k, SOON));
        bytes memory consentBefore = sign(provider, closeHash(id, 5, SOON));
        (IPaymentChannels.Deposit memory d, bytes memory depositBefore) = signedDeposit(7, 0);
        (IPaymentChannels.Withdrawal memory w, bytes memory withdrawalBefore) =
            signedWithdrawal(payer.addr, 7, 0, 0);

        vm.chainId(77_777);
        assertEq(channels.channelId(k), id);
        expectRevertNothing(id, IPaymentChannels.Skip.BadSignature);
        channels.claim(before);
        expectRevertInvalidSignature(payer.addr);
        channels.topUpFor(k, RESERVED + 1, SOON, topUpBefore);
        expectRevertInvalidSignature(payer.addr);
        channels.openFor(second, 7, SOON, openBefore);
        expectRevertInvalidSignature(payer.addr);
        channels.requestCloseFor(k, SOON, requestBefore);
        expectRevertInvalidSignature(payer.addr);
        channels.depositFor(d, depositBefore, noPermit());
        expectRevertInvalidSignature(payer.addr);
        channels.withdrawFor(w, withdrawalBefore);
        IPaymentChannels.Row memory now_ = row(k, 5);
        expectRevertInvalidSignature(provider.addr);
        channels.closeTogether(now_, SOON, consentBefore);

        assertEq(claim(k, 3), 3);
        topUp(k, RESERVED + 1);
        requestBefore = sign(payer, requestCloseHash(k, SOON));
        channels.requestCloseFor(k, SOON, requestBefore);
        assertEq(close(k, 5), 2);
        assertEq(free(payer.addr), DEPOSIT - 5);

        vm.chainId(deploymentChain());
        assertEq(open(second, 7), idOf(second));
    }

    /// @dev A contract of the same code, with the same payer and its money.
    function test_anotherContract_takesNoMessageOfThisOne() public {
        (IPaymentChannels.Key memory k, bytes32 id) = open();
        bytes memory openHere = signOpen(keyOf(other.addr, 0), 7, SOON);
        IPaymentChannels.Row memory here = row(k, 5);
        (IPaymentChannels.Withdrawal memory w, bytes memory withdrawalHere) =
            signedWithdrawal(payer.addr, 7, 0, 0);

        channels = new PaymentChannels(address(token));
        vm.startPrank(payer.addr);
        token.approve(address(channels), type(uint256).max);
        channels.deposit(payer.addr, DEPOSIT);
        vm.stopPrank();
        bytes32 there = open(k, RESERVED);
        assertNotEq(there, id);
        expectRevertNothing(there, IPaymentChannels.Skip.BadSignature);
        channels.claim(here);
        expectRevertInvalidSignature(payer.addr);
        channels.openFor(keyOf(other.addr, 0), 7, SOON, openHere);
        expectRevertInvalidSignature(payer.addr);
        channels.withdrawFor(w, withdrawalHere);
    }

    // ------------------------------------------------------------------ signatures of the payer

    function test_aPayersSignature_isNeitherMalleableNorShortNorZero() public {
        IPaymentChannels.Key memory k = key();
        bytes memory good = signOpen(k, RESERVED, SOON);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(
            payer.privateKey, digestOf(domainOn(block.chainid), openHash(k, RESERVED, SOON))
        );
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        bytes[6] memory bad = [
            abi.encodePacked(r, bytes32(order - uint256(s)), v ^ 7),
            abi.encodePacked(r, s),
            abi.encodePacked(good, uint8(0)),
            abi.encodePacked(r, bytes32(uint256(s) | uint256(v - 27) << 255)),
            new bytes(65),
            new bytes(0)
        ];
        for (uint256 i = 0; i < bad.length; ++i) {
            expectRevertInvalidSignature(payer.addr);
            channels.openFor(k, RESERVED, SOON, bad[i]);
        }
        // Nobody signs for the address zero: what recovers to nothing is no signature of it.
        k.payer = address(0);
        expectRevertInvalidSignature(address(0));
        channels.openFor(k, RESERVED, SOON, new bytes(65));
        channels.openFor(key(), RESERVED, SOON, good);
    }

    // ------------------------------------------------------------------ helpers

    /// @dev A payer with tokens and a permit, no gas and no deposit.
    function firstContact() private returns (Vm.Wallet memory buyer, bytes[] memory calls) {
        buyer = vm.createWallet("buyer");
        token.mint(buyer.addr, DEPOSIT);
        IPaymentChannels.Deposit memory d = IPaymentChannels.Deposit(buyer.addr, DEPOSIT, 0, SOON);
        calls = new bytes[](2);
        calls[0] = abi.encodeCall(
            IPaymentChannels.depositFor,
            (d, sign(buyer, depositHash(d)), permitOf(buyer, DEPOSIT, 0))
        );
        bytes memory signature = sign(buyer, openHash(firstKey(buyer), RESERVED, SOON));
        calls[1] =
            abi.encodeCall(IPaymentChannels.openFor, (firstKey(buyer), RESERVED, SOON, signature));
    }

    function firstKey(Vm.Wallet memory buyer) private view returns (IPaymentChannels.Key memory k) {
        k = key();
        k.payer = buyer.addr;
    }

    function call(bytes memory data) private {
        (bool ok,) = address(channels).call(data);
        assertTrue(ok, "the copy goes through");
    }
}
