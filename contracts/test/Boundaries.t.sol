// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {IJobEscrow} from "../src/interfaces/IJobEscrow.sol";
import {IProviderRegistry} from "../src/interfaces/IProviderRegistry.sol";
import {Market} from "./base/Market.sol";

/// @notice Each bound of the two contracts at its last good value and at the first bad one, at times
/// and amounts that no other bound is equal to.
contract BoundariesTest is Market {
    uint64 private constant ACK = 30;
    uint64 private constant GRACE = 1 hours;
    /// @dev Free stake that is exactly the reserve of a job of `LARGEST`; 100e16 is no multiple of
    /// three.
    uint128 private constant EXACT = 120e16;
    uint128 private constant LARGEST = 40e16;

    address private backed = makeAddr("backed provider");

    // ------------------------------------------------------------------ stake and payment

    function test_postJob_aReserveOfExactlyTheFreeStakeIsBacked() public {
        register(EXACT);
        postTo(backed, LARGEST);
        assertEq(registry.exposure(backed), EXACT);
        (, uint128 free) = registry.backing(backed);
        assertEq(free, 0);
        vm.expectRevert(IJobEscrow.InsufficientStakeForJob.selector);
        postTo(backed, 1e12);
    }

    function test_postJob_oneUnitOfStakeLessIsNotEnough() public {
        register(EXACT - 1);
        vm.expectRevert(IJobEscrow.InsufficientStakeForJob.selector);
        postTo(backed, LARGEST);
        postTo(backed, LARGEST - 1);
    }

    function test_postJob_oneUnitOfPaymentMoreIsTooMuch() public {
        register(EXACT);
        vm.expectRevert(IJobEscrow.InsufficientStakeForJob.selector);
        postTo(backed, LARGEST + 1);
    }

    function test_postJob_whatIsFreeCountsNotTheWholeStake() public {
        register(EXACT);
        postTo(backed, 10e16);
        vm.expectRevert(IJobEscrow.InsufficientStakeForJob.selector);
        postTo(backed, 30e16 + 1);
        bytes32 last = postTo(backed, 30e16);
        vm.prank(backed);
        escrow.rejectJob(last, 0);
        postTo(backed, 30e16);
    }

    function test_postJob_takesTheSmallestAndTheLargestPayment() public {
        uint128 most = type(uint72).max;
        register(3 * most);
        token.mint(client, uint256(most) + 1);
        bytes32 jobId = postTo(backed, most);
        assertEq(readJob(jobId).maxPayment, most);
        assertEq(registry.exposure(backed), 3 * uint256(most));
        vm.prank(backed);
        escrow.claimJob(jobId, RESPONSE, most, "");

        jobId = postTo(backed, 1e12);
        vm.warp(START + ACK + 1);
        vm.prank(client);
        escrow.cancelJob(jobId);
        assertEq(token.balanceOf(burn), 2e12);
    }

    function test_cancelJob_theLargestPaymentIsSlashedTwice() public {
        uint128 most = type(uint72).max;
        register(3 * most);
        token.mint(client, most);
        bytes32 jobId = postTo(backed, most);
        vm.warp(START + ACK + 1);
        vm.prank(client);
        escrow.cancelJob(jobId);
        assertEq(token.balanceOf(burn), 2 * uint256(most));
        assertEq(registry.getStake(backed), most);
    }

    function test_timeoutJob_theLargestPaymentIsSlashedWhole() public {
        uint128 most = type(uint72).max;
        register(3 * most);
        token.mint(client, most);
        bytes32 jobId = postTo(backed, most);
        vm.prank(backed);
        escrow.ackJob(jobId);
        vm.warp(START + DELIVERY + 1);
        vm.prank(client);
        escrow.timeoutJob(jobId);
        assertEq(token.balanceOf(burn), 3 * uint256(most));
        assertEq(registry.getStake(backed), 0);
    }

    function test_claimJob_oneUnitAndAllButOne() public {
        uint256 before = token.balanceOf(provider);
        claim(post(), 1);
        assertEq(token.balanceOf(provider), before + 1);
        assertRecord(1, 1);
        uint256 clients = token.balanceOf(client);
        bytes32 jobId = post();
        claim(jobId, PRICE - 1);
        assertEq(token.balanceOf(client), clients - PRICE + 1);
        assertEq(token.balanceOf(address(escrow)), 0);
    }

    function test_claimJob_ofAllOfIt() public {
        uint256 clients = token.balanceOf(client);
        claim(post(), PRICE);
        assertEq(token.balanceOf(client), clients - PRICE);
        bytes32 jobId = post();
        vm.expectRevert(IJobEscrow.PaymentTooHigh.selector);
        claim(jobId, PRICE + 1);
    }

    /// @dev A token may refuse a transfer of nothing, and then neither a job with nothing to refund
    /// nor a stake that is all burned could end.
    function test_noTransferOfNothingIsMade() public {
        bytes memory nothing = abi.encodeWithSelector(token.transfer.selector, client, 0);
        vm.expectCall(address(token), nothing, 0);
        claim(post(), PRICE);
        nothing = abi.encodeWithSelector(token.transfer.selector, provider, 0);
        vm.expectCall(address(token), nothing, 0);
        claim(post(), 0);
        nothing = abi.encodeWithSelector(token.transfer.selector, burn, 0);
        vm.expectCall(address(token), nothing, 0);
        vm.prank(address(escrow));
        registry.slash(provider, 0, 0);

        vm.prank(address(escrow));
        registry.slash(provider, STAKE, 0);
        vm.startPrank(provider);
        registry.deactivate();
        vm.warp(START + 2 days);
        registry.withdrawStake();
    }

    /// @dev A job of a model that is known writes the counter and its own three slots.
    function test_postJob_aModelsIdIsStoredOnce() public {
        post();
        vm.record();
        post();
        (, bytes32[] memory written) = vm.accesses(address(escrow));
        uint256 slots;
        for (uint256 i = 0; i < written.length; ++i) {
            bool seen;
            for (uint256 j = 0; j < i; ++j) {
                seen = seen || written[j] == written[i];
            }
            if (!seen) ++slots;
        }
        assertEq(slots, 4);
    }

    function test_isLive_atExactlyTheMinimumStake() public {
        register(STAKE);
        assertTrue(registry.isLive(backed));
        vm.prank(address(escrow));
        registry.slash(backed, 1, 0);
        assertFalse(registry.isLive(backed));
        vm.expectRevert(IJobEscrow.ProviderNotLive.selector);
        postTo(backed, 1e12);
        vm.prank(backed);
        registry.addStake(1);
        assertTrue(registry.isLive(backed));
    }

    function test_slash_ofOneLessThanTheStakeAndOfExactlyTheStake() public {
        vm.startPrank(address(escrow));
        registry.slash(provider, STAKE - 1, 0);
        assertEq(registry.getStake(provider), 1);
        vm.expectEmit(address(registry));
        emit IProviderRegistry.StakeSlashed(provider, 1, 0);
        registry.slash(provider, 1, 0);
        assertEq(registry.getStake(provider), 0);
        vm.expectEmit(address(registry));
        emit IProviderRegistry.StakeSlashed(provider, 0, 0);
        registry.slash(provider, 1, 0);
    }

    function test_slash_ofMoreThan88BitsBurnsTheStake() public {
        vm.prank(address(escrow));
        registry.slash(provider, uint128(1) << 88, 0);
        assertEq(token.balanceOf(burn), STAKE);
    }

    // ------------------------------------------------------------------ time

    function test_fuzz_postJob_theDeadlineCountsFromNow(uint40 start) public {
        at(start);
        uint64 first = uint64(block.timestamp) + ACK + 1;
        vm.expectRevert(IJobEscrow.BadDeadline.selector);
        post(client, PRICE, first - 1);
        assertEq(readJob(post(client, PRICE, first)).deliveryDeadline, first);
        uint64 last = uint64(block.timestamp) + 1 days;
        vm.expectRevert(IJobEscrow.BadDeadline.selector);
        post(client, PRICE, last + 1);
        assertEq(readJob(post(client, PRICE, last)).deliveryDeadline, last);
    }

    /// @dev Whatever the clock says, each time is read back, and each call ends at its second.
    function test_fuzz_aJobsTimesHoldAtAnyClock(uint40 start, uint8 delay, uint24 window) public {
        uint256 now_ = at(start);
        delay = uint8(bound(delay, 0, ACK));
        window = uint24(bound(window, ACK + 1, 1 days));
        bytes32 waiting = post(client, PRICE, uint64(now_ + window));
        bytes32 jobId = post(client, PRICE, uint64(now_ + window));

        vm.warp(now_ + delay);
        ack(jobId);
        JobView memory job = readJob(jobId);
        assertEq(job.postedAt, now_);
        assertEq(job.ackedAt, now_ + delay);
        assertEq(job.ackDeadline, now_ + ACK);
        assertEq(job.deliveryDeadline, now_ + window);

        vm.warp(now_ + ACK);
        vm.startPrank(client);
        vm.expectRevert(IJobEscrow.DeadlineNotPassed.selector);
        escrow.cancelJob(waiting);
        vm.warp(now_ + ACK + 1);
        escrow.cancelJob(waiting);
        vm.warp(now_ + window);
        vm.expectRevert(IJobEscrow.DeadlineNotPassed.selector);
        escrow.timeoutJob(jobId);
        vm.warp(now_ + window + 1);
        escrow.timeoutJob(jobId);
        vm.stopPrank();
    }

    function test_ackJob_atTheLastSecondAndOneAfter() public {
        bytes32 first = post();
        bytes32 second = post();
        vm.warp(START + ACK);
        ack(first);
        vm.warp(START + ACK + 1);
        vm.expectRevert(IJobEscrow.DeadlinePassed.selector);
        ack(second);
    }

    function test_claimJob_andRejectJob_atTheLastSecondAndOneAfter() public {
        bytes32[4] memory job = [post(), post(), post(), post()];
        vm.warp(START + DELIVERY);
        claim(job[0], PRICE);
        vm.startPrank(provider);
        escrow.rejectJob(job[1], 0);
        vm.warp(START + DELIVERY + 1);
        vm.expectRevert(IJobEscrow.DeadlinePassed.selector);
        escrow.claimJob(job[2], RESPONSE, PRICE, "");
        vm.expectRevert(IJobEscrow.DeadlinePassed.selector);
        escrow.rejectJob(job[3], 0);
    }

    function test_timeoutJob_byAnyoneOneSecondAfterTheGrace() public {
        bytes32 jobId = post();
        ack(jobId);
        vm.startPrank(stranger);
        vm.warp(START + DELIVERY + GRACE);
        vm.expectRevert(IJobEscrow.NotClient.selector);
        escrow.timeoutJob(jobId);
        vm.warp(START + DELIVERY + GRACE + 1);
        escrow.timeoutJob(jobId);
        assertStatus(jobId, IJobEscrow.JobStatus.TimedOut);
    }

    function test_fuzz_registry_countsFromAnyClock(uint40 start) public {
        uint256 now_ = at(start);
        assertEq(registry.getProvider(provider).lastHeartbeat, now_);
        vm.warp(now_ + 600);
        assertTrue(registry.isLive(provider));
        vm.warp(now_ + 601);
        assertFalse(registry.isLive(provider));

        vm.startPrank(provider);
        registry.deactivate();
        assertEq(registry.unbondingAt(provider), now_ + 601 + 2 days);
        vm.warp(now_ + 600 + 2 days);
        vm.expectRevert(IProviderRegistry.StillBonded.selector);
        registry.withdrawStake();
        vm.warp(now_ + 601 + 2 days);
        registry.withdrawStake();
    }

    // ------------------------------------------------------------------ inside

    /// @dev Sets the clock anywhere that 40 bits of seconds reach, and the provider lives.
    function at(uint40 start) private returns (uint256 now_) {
        now_ = bound(start, 1, type(uint40).max - 4 days);
        vm.warp(now_);
        vm.prank(provider);
        registry.heartbeat();
    }

    function register(uint128 stake) private {
        fund(backed, stake + 10);
        registerProvider(backed, stake);
    }

    function postTo(address to, uint128 maxPayment) private returns (bytes32) {
        vm.prank(client);
        return escrow.postJob(to, REQUEST, MODEL, maxPayment, uint64(block.timestamp) + DELIVERY);
    }
}
