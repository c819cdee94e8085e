// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {JobEscrow} from "../src/JobEscrow.sol";
import {ProviderRegistry} from "../src/ProviderRegistry.sol";
import {IJobEscrow} from "../src/interfaces/IJobEscrow.sol";
import {IProviderRegistry} from "../src/interfaces/IProviderRegistry.sol";
import {Market} from "./base/Market.sol";
import {HookToken, RefusingToken} from "./base/OddTokens.sol";

contract JobEscrowTest is Market {
    uint64 private constant ACK = 30;
    uint64 private constant GRACE = 1 hours;

    // ------------------------------------------------------------------ constants, constructor

    function test_constants_areVersionOnes() public view {
        assertEq(escrow.ACK_WINDOW(), 30);
        assertEq(escrow.MIN_SLASH(), 1e16);
        assertEq(escrow.SLASH_MULT_NO_ACK(), 2);
        assertEq(escrow.SLASH_MULT_TIMEOUT(), 3);
        assertEq(escrow.xbzz(), address(token));
        assertEq(escrow.registry(), address(registry));
        assertEq(escrow.MIN_JOB_PAYMENT(), 1e12);
        assertEq(escrow.MAX_JOB_PAYMENT(), type(uint72).max);
        assertEq(escrow.MAX_DELIVERY_WINDOW(), 1 days);
        assertEq(escrow.PUBLIC_GRACE(), GRACE);
        assertEq(escrow.MAX_MODEL_ID_BYTES(), registry.MAX_MODEL_ID_BYTES());
    }

    function test_constructor_revertsWithZeroAddress() public {
        vm.expectRevert(IJobEscrow.ZeroAddress.selector);
        new JobEscrow(address(0), address(registry));
        vm.expectRevert(IJobEscrow.ZeroAddress.selector);
        new JobEscrow(address(token), address(0));
    }

    // ------------------------------------------------------------------ postJob

    function test_postJob_storesTheTermsAndTakesThePayment() public {
        uint256 before = token.balanceOf(client);
        bytes32 expected = keccak256(abi.encode(block.chainid, address(escrow), client, uint256(1)));
        uint64 deadline = uint64(START) + DELIVERY;

        vm.expectEmit(address(escrow));
        emit IJobEscrow.JobPosted(expected, client, provider);
        vm.expectEmit(address(escrow));
        emit IJobEscrow.JobTerms(expected, REQUEST, MODEL, PRICE, deadline);
        bytes32 jobId = post();

        assertEq(jobId, expected);
        JobView memory job = readJob(jobId);
        assertEq(job.client, client);
        assertEq(job.provider, provider);
        assertEq(job.requestHash, REQUEST);
        assertEq(job.responseHash, 0);
        assertEq(job.modelId, MODEL);
        assertEq(job.maxPayment, PRICE);
        assertEq(job.postedAt, START);
        assertEq(job.ackedAt, 0);
        assertEq(job.ackDeadline, START + ACK);
        assertEq(job.deliveryDeadline, deadline);
        assertStatus(jobId, IJobEscrow.JobStatus.Pending);
        assertEq(escrow.jobCounter(), 1);
        assertEq(token.balanceOf(client), before - PRICE);
        assertEq(token.balanceOf(address(escrow)), PRICE);
        assertEq(registry.openJobs(provider), 1);
        assertEq(registry.exposure(provider), 3 * PRICE);
        assertRecord(0, 0);
    }

    function test_postJob_keepsEachModelsIdReadable() public {
        string memory long = "organisation/a-model-with-a-name-above-one-word-of-storage:70b-q4";
        bytes32 first = post();
        vm.startPrank(client);
        bytes32 second = escrow.postJob(provider, REQUEST, long, PRICE, uint64(START) + DELIVERY);
        bytes32 third = escrow.postJob(provider, REQUEST, "", PRICE, uint64(START) + DELIVERY);
        vm.stopPrank();
        bytes32 fourth = post();
        assertEq(readJob(first).modelId, MODEL);
        assertEq(readJob(second).modelId, long);
        assertEq(readJob(third).modelId, "");
        assertEq(readJob(fourth).modelId, MODEL);
    }

    function test_postJob_givesEachJobItsOwnId() public {
        bytes32 first = post();
        bytes32 second = post();
        assertNotEq(first, second);
        assertEq(second, keccak256(abi.encode(block.chainid, address(escrow), client, uint256(2))));
    }

    function test_postJob_revertsWithProviderNotLive() public {
        vm.startPrank(client);
        vm.expectRevert(IJobEscrow.ProviderNotLive.selector);
        escrow.postJob(stranger, REQUEST, MODEL, PRICE, uint64(START) + DELIVERY);

        vm.warp(START + 601);
        vm.expectRevert(IJobEscrow.ProviderNotLive.selector);
        escrow.postJob(provider, REQUEST, MODEL, PRICE, uint64(START) + 601 + DELIVERY);
    }

    function test_postJob_revertsWithBadDeadline() public {
        uint64[4] memory bad =
            [0, uint64(START) + ACK, uint64(START) + 1 days + 1, type(uint64).max];
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(IJobEscrow.BadDeadline.selector);
            post(client, PRICE, bad[i]);
        }
        post(client, PRICE, uint64(START) + ACK + 1);
        bytes32 jobId = post(client, PRICE, uint64(START) + 1 days);
        assertEq(readJob(jobId).deliveryDeadline, START + 1 days);
    }

    function test_postJob_revertsWithPaymentOutOfBounds() public {
        uint128[4] memory bad = [0, 1, 1e12 - 1, uint128(type(uint72).max) + 1];
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(
                    IJobEscrow.PaymentOutOfBounds.selector, bad[i], 1e12, type(uint72).max
                )
            );
            post(bad[i]);
        }
        post(1e12);
    }

    function test_postJob_revertsWithModelIdTooLong() public {
        string memory longest = string(new bytes(96));
        string memory tooLong = string(new bytes(97));
        vm.startPrank(client);
        escrow.postJob(provider, REQUEST, longest, PRICE, uint64(START) + DELIVERY);
        vm.expectRevert(abi.encodeWithSelector(IJobEscrow.ModelIdTooLong.selector, 97, 96));
        escrow.postJob(provider, REQUEST, tooLong, PRICE, uint64(START) + DELIVERY);
    }

    function test_postJob_revertsWithInsufficientStakeForJob() public {
        vm.expectRevert(IJobEscrow.InsufficientStakeForJob.selector);
        post(STAKE / 3 + 1);
        post(STAKE / 3);
    }

    function test_postJob_countsTheSumOfExposures() public {
        // Version 1 takes these: each alone is small enough, ten of them are not.
        for (uint256 i = 0; i < 3; ++i) {
            post(10e16);
        }
        assertEq(registry.exposure(provider), 90e16);
        vm.expectRevert(IJobEscrow.InsufficientStakeForJob.selector);
        post(10e16);
        post(3e16);
    }

    function test_postJob_smallJobsDoNotBlockALargeOne() public {
        // Version 1 refuses the last one: it multiplies the number of jobs with the largest.
        for (uint256 i = 0; i < 50; ++i) {
            post(1e12);
        }
        post(1e16);
    }

    function test_postJob_checksInVersionOnesOrder() public {
        // Everything is wrong at once; then one thing after the other is right.
        uint64 bad = uint64(START);
        uint64 good = uint64(START) + DELIVERY;
        vm.startPrank(makeAddr("poor"));
        vm.expectRevert(IJobEscrow.ProviderNotLive.selector);
        escrow.postJob(stranger, REQUEST, MODEL, STAKE, bad);
        vm.expectRevert(IJobEscrow.BadDeadline.selector);
        escrow.postJob(provider, REQUEST, MODEL, STAKE, bad);
        vm.expectRevert(IJobEscrow.InsufficientStakeForJob.selector);
        escrow.postJob(provider, REQUEST, MODEL, STAKE, good);
        vm.expectRevert();
        escrow.postJob{gas: 1_000_000}(provider, REQUEST, MODEL, PRICE, good);
    }

    function test_postJob_revertsWithoutAllowance() public {
        address poor = makeAddr("poor");
        vm.expectRevert();
        vm.prank(poor);
        escrow.postJob{gas: 1_000_000}(provider, REQUEST, MODEL, PRICE, uint64(START) + DELIVERY);
        assertEq(escrow.jobCounter(), 0);
        assertEq(registry.openJobs(provider), 0);
    }

    function test_transfers_revertWithTransferFailed() public {
        RefusingToken refusing = new RefusingToken();
        ProviderRegistry otherRegistry = new ProviderRegistry(address(refusing));
        JobEscrow other = new JobEscrow(address(refusing), address(otherRegistry));
        otherRegistry.setEscrow(address(other));
        vm.prank(provider);
        otherRegistry.register(PSS_KEY, OVERLAY, "", STAKE);

        refusing.refuse(true);
        vm.prank(client);
        vm.expectRevert(IJobEscrow.TransferFailed.selector);
        other.postJob(provider, REQUEST, MODEL, PRICE, uint64(START) + DELIVERY);

        refusing.refuse(false);
        vm.prank(client);
        bytes32 jobId = other.postJob(provider, REQUEST, MODEL, PRICE, uint64(START) + DELIVERY);
        refusing.refuse(true);
        vm.prank(provider);
        vm.expectRevert(IJobEscrow.TransferFailed.selector);
        other.claimJob(jobId, RESPONSE, PRICE, "");
    }

    function test_claimJob_cannotBeEnteredAgain() public {
        HookToken hook = new HookToken();
        ProviderRegistry otherRegistry = new ProviderRegistry(address(hook));
        JobEscrow other = new JobEscrow(address(hook), address(otherRegistry));
        otherRegistry.setEscrow(address(other));
        vm.prank(provider);
        otherRegistry.register(PSS_KEY, OVERLAY, "", STAKE);
        vm.prank(client);
        bytes32 jobId = other.postJob(provider, REQUEST, MODEL, PRICE, uint64(START) + DELIVERY);

        hook.callOnTransfer(
            address(other), abi.encodeCall(IJobEscrow.claimJob, (jobId, RESPONSE, PRICE, ""))
        );
        vm.prank(provider);
        other.claimJob(jobId, RESPONSE, PRICE, "");
        assertEq(bytes4(hook.lastAnswer()), bytes4(keccak256("ReentrancyGuardReentrantCall()")));
    }

    // ------------------------------------------------------------------ ackJob

    function test_ackJob_recordsTheTime() public {
        bytes32 jobId = post();
        vm.warp(START + ACK);
        vm.expectEmit(address(escrow));
        emit IJobEscrow.JobAcked(jobId);
        ack(jobId);
        assertStatus(jobId, IJobEscrow.JobStatus.Acked);
        assertEq(readJob(jobId).ackedAt, START + ACK);
    }

    function test_ackJob_inTheBlockOfThePost() public {
        bytes32 jobId = post();
        ack(jobId);
        assertEq(readJob(jobId).ackedAt, START);
    }

    function test_ackJob_revertsWithNotProvider() public {
        bytes32 jobId = post();
        vm.expectRevert(IJobEscrow.NotProvider.selector);
        vm.prank(client);
        escrow.ackJob(jobId);
        vm.expectRevert(IJobEscrow.NotProvider.selector);
        ack(bytes32(uint256(1)));
    }

    function test_ackJob_revertsWithBadStatus() public {
        bytes32 jobId = post();
        ack(jobId);
        vm.warp(START + ACK + 1);
        vm.expectRevert(IJobEscrow.BadStatus.selector);
        ack(jobId);
    }

    function test_ackJob_revertsWithDeadlinePassed() public {
        bytes32 jobId = post();
        vm.warp(START + ACK + 1);
        vm.expectRevert(IJobEscrow.DeadlinePassed.selector);
        ack(jobId);
    }

    // ------------------------------------------------------------------ claimJob

    function test_claimJob_paysTheProviderAndRefundsTheRest() public {
        bytes32 jobId = post();
        ack(jobId);
        uint256 clientBefore = token.balanceOf(client);
        uint256 providerBefore = token.balanceOf(provider);
        vm.warp(START + DELIVERY);
        vm.expectEmit(address(escrow));
        emit IJobEscrow.JobClaimed(jobId, RESPONSE, PRICE / 4);
        claim(jobId, PRICE / 4);

        assertEq(token.balanceOf(provider), providerBefore + PRICE / 4);
        assertEq(token.balanceOf(client), clientBefore + PRICE - PRICE / 4);
        assertEq(token.balanceOf(address(escrow)), 0);
        assertEq(registry.openJobs(provider), 0);
        assertEq(registry.exposure(provider), 0);
        assertRecord(1, 1);
        JobView memory job = readJob(jobId);
        assertStatus(jobId, IJobEscrow.JobStatus.Claimed);
        assertEq(job.responseHash, RESPONSE);
        assertEq(job.requestHash, 0);
        assertEq(job.client, client);
        assertEq(job.provider, provider);
        assertEq(job.modelId, MODEL);
        assertEq(job.maxPayment, PRICE);
        assertEq(job.ackedAt, START);
        assertEq(job.deliveryDeadline, START + DELIVERY);
    }

    function test_claimJob_fromPending() public {
        bytes32 jobId = post();
        vm.warp(START + ACK + 1);
        claim(jobId, PRICE);
        assertStatus(jobId, IJobEscrow.JobStatus.Claimed);
        assertEq(readJob(jobId).ackedAt, 0);
        assertRecord(1, 1);
    }

    function test_claimJob_ofZeroRefundsAndLeavesTheRecord() public {
        bytes32 jobId = post();
        uint256 before = token.balanceOf(client);
        vm.prank(provider);
        escrow.claimJob(jobId, 0, 0, "");
        assertStatus(jobId, IJobEscrow.JobStatus.Claimed);
        assertEq(token.balanceOf(client), before + PRICE);
        assertEq(registry.getStake(provider), STAKE);
        assertEq(registry.openJobs(provider), 0);
        assertRecord(0, 0);
    }

    function test_claimJob_ignoresTheSignature() public {
        bytes32 jobId = post();
        vm.prank(provider);
        escrow.claimJob(jobId, RESPONSE, 1, hex"c0ffee");
        assertStatus(jobId, IJobEscrow.JobStatus.Claimed);
    }

    function test_claimJob_revertsWithNotProvider() public {
        bytes32 jobId = post();
        vm.startPrank(client);
        vm.expectRevert(IJobEscrow.NotProvider.selector);
        escrow.claimJob(jobId, RESPONSE, PRICE, "");
        vm.expectRevert(IJobEscrow.NotProvider.selector);
        escrow.claimJob(bytes32(uint256(1)), RESPONSE, PRICE, "");
    }

    function test_claimJob_revertsWithBadStatus() public {
        bytes32 jobId = post();
        claim(jobId, PRICE);
        vm.expectRevert(IJobEscrow.BadStatus.selector);
        claim(jobId, PRICE);
    }

    function test_claimJob_revertsWithPaymentTooHigh() public {
        bytes32 jobId = post();
        vm.warp(START + DELIVERY + 1);
        vm.expectRevert(IJobEscrow.PaymentTooHigh.selector);
        claim(jobId, PRICE + 1);
    }

    function test_claimJob_revertsWithDeadlinePassed() public {
        bytes32 jobId = post();
        ack(jobId);
        vm.warp(START + DELIVERY + 1);
        vm.expectRevert(IJobEscrow.DeadlinePassed.selector);
        claim(jobId, PRICE);
    }

    // ------------------------------------------------------------------ rejectJob

    function test_rejectJob_refundsWithoutASlash() public {
        bytes32 jobId = post();
        uint256 before = token.balanceOf(client);
        vm.expectEmit(address(escrow));
        emit IJobEscrow.JobRejected(jobId, 7);
        vm.expectEmit(address(escrow));
        emit IJobEscrow.JobCancelled(jobId, 0);
        vm.prank(provider);
        escrow.rejectJob(jobId, 7);

        assertStatus(jobId, IJobEscrow.JobStatus.Cancelled);
        assertEq(readJob(jobId).requestHash, REQUEST);
        assertEq(token.balanceOf(client), before + PRICE);
        assertEq(registry.getStake(provider), STAKE);
        assertEq(token.balanceOf(burn), 0);
        assertEq(registry.openJobs(provider), 0);
        assertEq(registry.exposure(provider), 0);
        assertRecord(0, 0);
    }

    function test_rejectJob_afterTheAcknowledgement() public {
        bytes32 jobId = post();
        ack(jobId);
        vm.warp(START + DELIVERY);
        vm.prank(provider);
        escrow.rejectJob(jobId, 0);
        assertStatus(jobId, IJobEscrow.JobStatus.Cancelled);
    }

    function test_rejectJob_revertsWithNotProvider() public {
        bytes32 jobId = post();
        vm.startPrank(client);
        vm.expectRevert(IJobEscrow.NotProvider.selector);
        escrow.rejectJob(jobId, 0);
        vm.expectRevert(IJobEscrow.NotProvider.selector);
        escrow.rejectJob(bytes32(uint256(1)), 0);
    }

    function test_rejectJob_revertsWithBadStatus() public {
        bytes32 jobId = post();
        claim(jobId, PRICE);
        vm.expectRevert(IJobEscrow.BadStatus.selector);
        vm.prank(provider);
        escrow.rejectJob(jobId, 0);
    }

    function test_rejectJob_revertsWithDeadlinePassed() public {
        bytes32 jobId = post();
        vm.warp(START + DELIVERY + 1);
        vm.expectRevert(IJobEscrow.DeadlinePassed.selector);
        vm.prank(provider);
        escrow.rejectJob(jobId, 0);
    }

    // ------------------------------------------------------------------ cancelJob

    function test_cancelJob_refundsAndBurnsTwiceThePrice() public {
        bytes32 jobId = post();
        uint256 before = token.balanceOf(client);
        vm.warp(START + ACK + 1);
        vm.expectEmit(address(escrow));
        emit IJobEscrow.JobCancelled(jobId, 2 * PRICE);
        vm.expectEmit(address(registry));
        emit IProviderRegistry.StakeSlashed(provider, 2 * PRICE, jobId);
        vm.prank(client);
        escrow.cancelJob(jobId);

        assertStatus(jobId, IJobEscrow.JobStatus.Cancelled);
        assertEq(token.balanceOf(client), before + PRICE);
        assertEq(token.balanceOf(burn), 2 * PRICE);
        assertEq(registry.getStake(provider), STAKE - 2 * PRICE);
        assertEq(token.balanceOf(address(registry)), STAKE - 2 * PRICE);
        assertEq(token.balanceOf(address(escrow)), 0);
        assertEq(registry.openJobs(provider), 0);
        assertEq(registry.exposure(provider), 0);
        assertRecord(1, 0);
    }

    function test_cancelJob_ofADustJobBurnsDust() public {
        // Version 1 burns a whole xBZZ for it, so a hundred of them burn the stake for gas alone.
        bytes32 jobId = post(1e12);
        vm.warp(START + ACK + 1);
        vm.prank(client);
        escrow.cancelJob(jobId);
        assertEq(token.balanceOf(burn), 2e12);
    }

    function test_cancelJob_byAnyoneAfterTheGraceRefundsTheClient() public {
        bytes32 jobId = post();
        uint256 before = token.balanceOf(client);
        uint256 strangers = token.balanceOf(stranger);
        vm.startPrank(stranger);
        vm.warp(START + ACK + GRACE);
        vm.expectRevert(IJobEscrow.NotClient.selector);
        escrow.cancelJob(jobId);
        vm.warp(START + ACK + GRACE + 1);
        escrow.cancelJob(jobId);
        assertEq(token.balanceOf(client), before + PRICE);
        assertEq(token.balanceOf(stranger), strangers);
        assertEq(token.balanceOf(burn), 2 * PRICE);
    }

    function test_cancelJob_revertsWithNotClient() public {
        bytes32 jobId = post();
        vm.startPrank(stranger);
        vm.expectRevert(IJobEscrow.NotClient.selector);
        escrow.cancelJob(jobId);
        vm.expectRevert(IJobEscrow.NotClient.selector);
        escrow.cancelJob(bytes32(uint256(1)));
        vm.stopPrank();
        // A settled or acknowledged job does not wait for anyone: the role comes before the state.
        ack(jobId);
        vm.warp(START + 2 days);
        vm.expectRevert(IJobEscrow.NotClient.selector);
        vm.prank(stranger);
        escrow.cancelJob(jobId);
    }

    function test_cancelJob_revertsWithBadStatus() public {
        bytes32 jobId = post();
        ack(jobId);
        vm.expectRevert(IJobEscrow.BadStatus.selector);
        vm.prank(client);
        escrow.cancelJob(jobId);
    }

    function test_cancelJob_revertsWithDeadlineNotPassed() public {
        bytes32 jobId = post();
        vm.warp(START + ACK);
        vm.expectRevert(IJobEscrow.DeadlineNotPassed.selector);
        vm.prank(client);
        escrow.cancelJob(jobId);
    }

    // ------------------------------------------------------------------ timeoutJob

    function test_timeoutJob_refundsAndBurnsThreeTimesThePrice() public {
        bytes32 jobId = post();
        ack(jobId);
        uint256 before = token.balanceOf(client);
        vm.warp(START + DELIVERY + 1);
        vm.expectEmit(address(escrow));
        emit IJobEscrow.JobTimedOut(jobId, 3 * PRICE);
        vm.expectEmit(address(registry));
        emit IProviderRegistry.StakeSlashed(provider, 3 * PRICE, jobId);
        vm.prank(client);
        escrow.timeoutJob(jobId);

        assertStatus(jobId, IJobEscrow.JobStatus.TimedOut);
        assertEq(token.balanceOf(client), before + PRICE);
        assertEq(token.balanceOf(burn), 3 * PRICE);
        assertEq(registry.getStake(provider), STAKE - 3 * PRICE);
        assertEq(registry.openJobs(provider), 0);
        assertEq(registry.exposure(provider), 0);
        assertRecord(1, 0);
    }

    function test_timeoutJob_byAnyoneAfterTheGraceFreesTheStake() public {
        bytes32 jobId = post();
        ack(jobId);
        uint256 before = token.balanceOf(client);
        vm.prank(provider);
        registry.deactivate();
        vm.warp(START + DELIVERY + GRACE);
        vm.expectRevert(IJobEscrow.NotClient.selector);
        vm.prank(provider);
        escrow.timeoutJob(jobId);

        // The client is gone for good; version 1 keeps stake and payment for ever.
        vm.warp(START + 2 days);
        vm.startPrank(provider);
        vm.expectRevert(IProviderRegistry.OpenJobsRemain.selector);
        registry.withdrawStake();
        escrow.timeoutJob(jobId);
        registry.withdrawStake();
        assertEq(token.balanceOf(client), before + PRICE);
        assertEq(token.balanceOf(address(registry)), 0);
    }

    function test_timeoutJob_revertsWithNotClient() public {
        bytes32 jobId = post();
        ack(jobId);
        vm.startPrank(stranger);
        vm.warp(START + DELIVERY + 1);
        vm.expectRevert(IJobEscrow.NotClient.selector);
        escrow.timeoutJob(jobId);
        vm.warp(START + 30 days);
        vm.expectRevert(IJobEscrow.NotClient.selector);
        escrow.timeoutJob(bytes32(uint256(1)));
    }

    function test_timeoutJob_revertsWithBadStatus() public {
        bytes32 jobId = post();
        vm.warp(START + DELIVERY + 1);
        vm.expectRevert(IJobEscrow.BadStatus.selector);
        vm.prank(client);
        escrow.timeoutJob(jobId);
    }

    function test_timeoutJob_revertsWithDeadlineNotPassed() public {
        bytes32 jobId = post();
        ack(jobId);
        vm.warp(START + DELIVERY);
        vm.expectRevert(IJobEscrow.DeadlineNotPassed.selector);
        vm.prank(client);
        escrow.timeoutJob(jobId);
    }

    // ------------------------------------------------------------------ views

    function test_jobs_ofAnUnknownIdAreZeros() public view {
        JobView memory job = readJob(keccak256("unknown"));
        JobView memory zeros;
        assertEq(abi.encode(job), abi.encode(zeros));
    }

    // ------------------------------------------------------------------ fuzz

    function test_fuzz_jobs_readBackWhatWasPosted(
        bytes32 requestHash,
        uint128 maxPayment,
        uint64 window,
        uint8 delay,
        string calldata modelId
    ) public {
        vm.assume(bytes(modelId).length <= 96);
        maxPayment = uint128(bound(maxPayment, 1e12, STAKE / 3));
        window = uint64(bound(window, ACK + 1, 1 days));
        delay = uint8(bound(delay, 0, ACK));
        vm.prank(client);
        bytes32 jobId =
            escrow.postJob(provider, requestHash, modelId, maxPayment, uint64(START) + window);
        vm.warp(START + delay);
        ack(jobId);
        JobView memory job = readJob(jobId);
        assertEq(job.requestHash, requestHash);
        assertEq(job.modelId, modelId);
        assertEq(job.maxPayment, maxPayment);
        assertEq(job.postedAt, START);
        assertEq(job.ackedAt, START + delay);
        assertEq(job.deliveryDeadline, START + window);
    }

    function test_fuzz_claimJob_splitsThePayment(uint128 maxPayment, uint128 paid) public {
        maxPayment = uint128(bound(maxPayment, 1e12, STAKE / 3));
        paid = uint128(bound(paid, 0, maxPayment));
        uint256 clientBefore = token.balanceOf(client);
        uint256 providerBefore = token.balanceOf(provider);
        bytes32 jobId = post(maxPayment);
        claim(jobId, paid);
        assertEq(token.balanceOf(provider), providerBefore + paid);
        assertEq(token.balanceOf(client), clientBefore - paid);
        assertEq(token.balanceOf(address(escrow)), 0);
        assertRecord(paid == 0 ? 0 : 1, paid == 0 ? 0 : 1);
    }

    function test_fuzz_slash_isTheMultipleAndNeverPaidOut(uint128 maxPayment, bool acked) public {
        maxPayment = uint128(bound(maxPayment, 1e12, STAKE / 3));
        uint256 clientBefore = token.balanceOf(client);
        bytes32 jobId = post(maxPayment);
        if (acked) ack(jobId);
        vm.warp(START + DELIVERY + 1);
        vm.prank(client);
        if (acked) escrow.timeoutJob(jobId);
        else escrow.cancelJob(jobId);
        assertEq(token.balanceOf(client), clientBefore);
        assertEq(token.balanceOf(burn), (acked ? 3 : 2) * uint256(maxPayment));
        assertEq(registry.getStake(provider), STAKE - token.balanceOf(burn));
    }

    /// @dev At each second a job can be ended by its provider or by its client, never by both
    /// (but for the late claim of a pending job), and after the grace by anyone.
    function test_fuzz_deadlines_areDisjoint(uint32 delay, bool acked) public {
        delay = uint32(bound(delay, 0, 2 days));
        bytes32 jobId = post();
        if (acked) ack(jobId);
        vm.warp(START + delay);
        bool claims = trial(provider, abi.encodeCall(IJobEscrow.claimJob, (jobId, 0, 1, "")));
        bytes memory end = acked
            ? abi.encodeCall(IJobEscrow.timeoutJob, (jobId))
            : abi.encodeCall(IJobEscrow.cancelJob, (jobId));
        assertEq(claims, delay <= DELIVERY);
        assertEq(trial(client, end), delay > (acked ? DELIVERY : ACK));
        assertEq(trial(stranger, end), delay > (acked ? DELIVERY : ACK) + GRACE);
    }

    /// @dev Whether a call would succeed; leaves no trace.
    function trial(address from, bytes memory data) private returns (bool ok) {
        uint256 snapshot = vm.snapshotState();
        vm.prank(from);
        (ok,) = address(escrow).call(data);
        vm.revertToState(snapshot);
    }
}
