// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {IJobEscrow} from "../src/interfaces/IJobEscrow.sol";
import {IProviderRegistry} from "../src/interfaces/IProviderRegistry.sol";
import {Market} from "./base/Market.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @notice What somebody would try who wants the escrow's money, or another's stake.
contract AttacksTest is Market {
    address private rival = makeAddr("rival");

    /// @dev Every way to end a job, then every call by everyone, at every time: nothing moves again.
    function test_aSettledJob_isNeverSettledAgain() public {
        for (uint256 first = 0; first < 4; ++first) {
            bytes32 jobId = settled(first);
            post(); // Somebody's money is in the escrow, so that a second payment could be made.
            uint256 held = token.balanceOf(address(escrow));
            uint256 stake = registry.getStake(provider);
            address[3] memory callers = [provider, client, stranger];
            for (uint256 i = 0; i < 2; ++i) {
                for (uint256 caller = 0; caller < callers.length; ++caller) {
                    assertNothingSettles(jobId, callers[caller]);
                }
                vm.warp(block.timestamp + 2 days);
            }
            assertEq(token.balanceOf(address(escrow)), held);
            assertEq(registry.getStake(provider), stake);
            vm.prank(provider);
            registry.heartbeat();
        }
    }

    /// @dev Open jobs hold a leaver's stake for their windows only, and cost it what its silence
    /// costs, whether their client is there or not.
    function test_manyDustJobs_holdALeaversStakeForTheirWindowsOnly() public {
        bytes32[20] memory dust;
        for (uint256 i = 0; i < dust.length; ++i) {
            dust[i] = post(client, 1e12, uint64(START) + 1 days);
            if (i % 2 == 0) ack(dust[i]);
        }
        vm.startPrank(provider);
        registry.deactivate();
        vm.warp(START + 2 days);
        for (uint256 i = 0; i < dust.length; ++i) {
            if (i % 2 == 0) escrow.timeoutJob(dust[i]);
            else escrow.cancelJob(dust[i]);
        }
        uint256 before = token.balanceOf(provider);
        registry.withdrawStake();
        assertEq(token.balanceOf(provider), before + STAKE - 10 * 3e12 - 10 * 2e12);
        assertEq(token.balanceOf(address(registry)), 0);
        assertEq(token.balanceOf(address(escrow)), 0);
    }

    /// @dev The end of one job frees its own hold on the stake, not those of the others.
    function test_theEndOfAJob_freesItsOwnReserveOnly() public {
        bytes32[3] memory job = [post(1e15), post(2e15), post(4e15)];
        claim(job[1], 1);
        assertEq(registry.openJobs(provider), 2);
        assertEq(registry.exposure(provider), 3 * 5e15);
        vm.startPrank(provider);
        escrow.rejectJob(job[0], 0);
        assertEq(registry.openJobs(provider), 1);
        assertEq(registry.exposure(provider), 3 * 4e15);
        registry.deactivate();
        vm.warp(START + 2 days);
        vm.expectRevert(IProviderRegistry.OpenJobsRemain.selector);
        registry.withdrawStake();
    }

    /// @dev A record grows by one with each job, whatever it was before.
    function test_aRecord_countsOneByOne() public {
        for (uint32 i = 1; i <= 5; ++i) {
            claim(post(1e12), 1);
            assertRecord(i, i);
        }
        bytes32 jobId = post(1e12);
        vm.warp(START + 31);
        vm.prank(client);
        escrow.cancelJob(jobId);
        assertRecord(6, 5);
    }

    /// @dev One provider's jobs and slashes leave the stake of another alone.
    function test_aProvidersSlashes_areItsOwn() public {
        fund(rival, STAKE);
        registerProvider(rival, STAKE);
        bytes32 jobId = post(STAKE / 3);
        ack(jobId);
        vm.warp(START + DELIVERY + 1);
        vm.prank(client);
        escrow.timeoutJob(jobId);
        assertEq(registry.getStake(rival), STAKE);
        assertEq(registry.openJobs(rival), 0);
        (, uint128 free) = registry.backing(rival);
        assertEq(free, STAKE);
    }

    /// @dev The largest stake there can be goes in and comes out whole, and not one PLUR more.
    function test_theLargestStake_isTakenAndPaidBackWhole() public {
        uint128 most = type(uint88).max;
        fund(rival, uint256(most) + 1);
        registerProvider(rival, most - 5);
        vm.startPrank(rival);
        vm.expectRevert(
            abi.encodeWithSelector(
                SafeCast.SafeCastOverflowedUintDowncast.selector, 88, uint256(most) + 1
            )
        );
        registry.addStake(6);
        registry.addStake(5);
        assertEq(registry.getStake(rival), most);
        (, uint128 free) = registry.backing(rival);
        assertEq(free, most);
        registry.deactivate();
        vm.warp(START + 2 days);
        vm.expectEmit(address(registry));
        emit IProviderRegistry.StakeWithdrawn(rival, most);
        registry.withdrawStake();
        assertEq(token.balanceOf(rival), uint256(most) + 1);
    }

    /// @dev A withdrawn wallet is out: it cannot be paid again, live again or be backed again.
    function test_aWithdrawnWallet_cannotDoAnything() public {
        vm.startPrank(provider);
        registry.deactivate();
        vm.warp(START + 2 days);
        registry.withdrawStake();
        bytes[6] memory calls = [
            abi.encodeCall(IProviderRegistry.withdrawStake, ()),
            abi.encodeCall(IProviderRegistry.deactivate, ()),
            abi.encodeCall(IProviderRegistry.heartbeat, ()),
            abi.encodeCall(IProviderRegistry.addStake, (1)),
            abi.encodeCall(IProviderRegistry.setMaxConcurrentJobs, (1)),
            abi.encodeCall(IProviderRegistry.updateKeys, (PSS_KEY, OVERLAY))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            (bool ok, bytes memory answer) = address(registry).call(calls[i]);
            assertFalse(ok);
            assertEq(bytes4(answer), IProviderRegistry.NotRegistered.selector);
        }
        (bool live, uint128 free) = registry.backing(provider);
        assertFalse(live);
        assertEq(free, 0);
    }

    function settled(uint256 how) private returns (bytes32 jobId) {
        jobId = post();
        if (how == 0) claim(jobId, PRICE / 2);
        if (how == 1) {
            vm.prank(provider);
            escrow.rejectJob(jobId, 0);
        }
        if (how == 3) ack(jobId);
        if (how < 2) return jobId;
        fundStake();
        vm.warp(block.timestamp + DELIVERY + 1);
        vm.prank(client);
        if (how == 2) escrow.cancelJob(jobId);
        else escrow.timeoutJob(jobId);
        vm.prank(provider);
        registry.heartbeat();
    }

    /// @dev So that the provider lives on after the slash.
    function fundStake() private {
        vm.prank(provider);
        registry.addStake(3 * PRICE);
    }

    function assertNothingSettles(bytes32 jobId, address caller) private {
        bytes[5] memory calls = [
            abi.encodeCall(IJobEscrow.ackJob, (jobId)),
            abi.encodeCall(IJobEscrow.claimJob, (jobId, RESPONSE, PRICE / 2, "")),
            abi.encodeCall(IJobEscrow.rejectJob, (jobId, 0)),
            abi.encodeCall(IJobEscrow.cancelJob, (jobId)),
            abi.encodeCall(IJobEscrow.timeoutJob, (jobId))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(caller);
            (bool ok,) = address(escrow).call(calls[i]);
            assertFalse(ok, "a settled job was settled again");
        }
    }
}
