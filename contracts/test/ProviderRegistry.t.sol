// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {ProviderRegistry} from "../src/ProviderRegistry.sol";
import {IProviderRegistry} from "../src/interfaces/IProviderRegistry.sol";
import {Market} from "./base/Market.sol";
import {RefusingToken} from "./base/OddTokens.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

contract ProviderRegistryTest is Market {
    address private other = makeAddr("other provider");
    address private third = makeAddr("third provider");
    bytes32 private constant JOB = keccak256("job");

    function setUp() public override {
        super.setUp();
        fund(other, 1000e16);
        fund(third, 1000e16);
    }

    // ------------------------------------------------------------------ constants, constructor

    function test_constants_areVersionOnes() public view {
        assertEq(registry.MIN_STAKE(), 100e16);
        assertEq(registry.HEARTBEAT_TTL(), 600);
        assertEq(registry.UNBONDING_PERIOD(), 2 days);
        assertEq(registry.BURN_ADDRESS(), 0x000000000000000000000000000000000000dEaD);
        assertEq(registry.MAX_OFFERINGS(), 64);
        assertEq(registry.MAX_MODEL_ID_BYTES(), 96);
        assertEq(registry.MAX_METADATA_BYTES(), 512);
        assertEq(registry.owner(), address(this));
        assertEq(registry.xbzz(), address(token));
        assertEq(registry.escrow(), address(escrow));
    }

    function test_constructor_revertsWithZeroAddress() public {
        vm.expectRevert(IProviderRegistry.ZeroAddress.selector);
        new ProviderRegistry(address(0));
    }

    // ------------------------------------------------------------------ setEscrow

    function test_setEscrow_bindsOnce() public {
        ProviderRegistry fresh = new ProviderRegistry(address(token));
        assertEq(fresh.escrow(), address(0));
        vm.expectRevert(IProviderRegistry.ZeroAddress.selector);
        fresh.setEscrow(address(0));
        vm.expectEmit(address(fresh));
        emit IProviderRegistry.EscrowSet(other);
        fresh.setEscrow(other);
        assertEq(fresh.escrow(), other);
        vm.expectRevert(IProviderRegistry.EscrowAlreadySet.selector);
        fresh.setEscrow(third);
    }

    function test_setEscrow_revertsWithNotOwner() public {
        ProviderRegistry fresh = new ProviderRegistry(address(token));
        vm.expectRevert(IProviderRegistry.NotOwner.selector);
        vm.prank(other);
        fresh.setEscrow(other);
    }

    // ------------------------------------------------------------------ register

    function test_register_storesTheProviderAndTakesTheStake() public {
        uint256 before = token.balanceOf(other);
        vm.expectEmit(address(registry));
        emit IProviderRegistry.ProviderRegistered(other, PSS_KEY);
        vm.prank(other);
        registry.register(PSS_KEY, OVERLAY, "bzz://about", 120e16);

        IProviderRegistry.Provider memory row = registry.getProvider(other);
        assertEq(row.owner, other);
        assertEq(row.pssPublicKey, PSS_KEY);
        assertEq(row.swarmOverlay, OVERLAY);
        assertEq(row.metadataURI, "bzz://about");
        assertEq(row.stake, 120e16);
        assertEq(row.lastHeartbeat, START);
        assertEq(row.totalJobs, 0);
        assertEq(row.successfulJobs, 0);
        assertTrue(row.active);
        assertEq(row.maxConcurrentJobs, 0);
        assertTrue(registry.isLive(other));
        assertEq(registry.getStake(other), 120e16);
        assertEq(registry.providerCount(), 2);
        assertEq(token.balanceOf(other), before - 120e16);
    }

    function test_register_revertsWithAlreadyRegistered() public {
        vm.startPrank(provider);
        vm.expectRevert(IProviderRegistry.AlreadyRegistered.selector);
        registry.register(PSS_KEY, OVERLAY, "", STAKE);
        registry.deactivate();
        vm.expectRevert(IProviderRegistry.AlreadyRegistered.selector);
        registry.register(PSS_KEY, OVERLAY, "", STAKE);
    }

    function test_register_revertsWithInsufficientStake() public {
        vm.expectRevert(IProviderRegistry.InsufficientStake.selector);
        registerProvider(other, STAKE - 1);
    }

    function test_register_revertsWithTextTooLong() public {
        string memory longest = string(new bytes(512));
        string memory tooLong = string(new bytes(513));
        vm.startPrank(other);
        vm.expectRevert(abi.encodeWithSelector(IProviderRegistry.TextTooLong.selector, 513, 512));
        registry.register(PSS_KEY, OVERLAY, tooLong, STAKE);
        registry.register(PSS_KEY, OVERLAY, longest, STAKE);
    }

    function test_register_revertsWithMoreThanThereCanBe() public {
        uint256 tooMuch = uint256(type(uint88).max) + 1;
        vm.expectRevert(
            abi.encodeWithSelector(SafeCast.SafeCastOverflowedUintDowncast.selector, 88, tooMuch)
        );
        registerProvider(other, uint128(tooMuch));
    }

    function test_register_revertsWithTransferFailed() public {
        RefusingToken refusing = new RefusingToken();
        ProviderRegistry fresh = new ProviderRegistry(address(refusing));
        fresh.setEscrow(address(this));
        vm.prank(other);
        fresh.register(PSS_KEY, OVERLAY, "", STAKE);
        refusing.refuse(true);
        vm.expectRevert(IProviderRegistry.TransferFailed.selector);
        vm.prank(third);
        fresh.register(PSS_KEY, OVERLAY, "", STAKE);
        vm.expectRevert(IProviderRegistry.TransferFailed.selector);
        fresh.slash(other, 1, JOB);
    }

    function test_register_againAfterTheWithdrawalKeepsTheRecord() public {
        bytes32 jobId = post();
        claim(jobId, PRICE);
        vm.startPrank(provider);
        registry.updateOfferings(offerings(2));
        registry.setMaxConcurrentJobs(4);
        registry.deactivate();
        vm.warp(block.timestamp + 2 days);
        registry.withdrawStake();

        registry.register(keccak256("new key"), keccak256("new overlay"), "new", STAKE);
        vm.stopPrank();
        IProviderRegistry.Provider memory row = registry.getProvider(provider);
        assertEq(row.owner, provider);
        assertEq(row.pssPublicKey, keccak256("new key"));
        assertEq(row.metadataURI, "new");
        assertEq(row.stake, STAKE);
        assertEq(row.maxConcurrentJobs, 0);
        assertTrue(row.active);
        assertRecord(1, 1);
        assertEq(registry.getOfferings(provider).length, 0);
        assertEq(registry.providerCount(), 1);
        assertEq(registry.unbondingAt(provider), 0);
        assertTrue(registry.isLive(provider));
    }

    // ------------------------------------------------------------------ addStake

    function test_addStake_addsAndRevives() public {
        asEscrowSlash(provider, 40e16);
        assertFalse(registry.isLive(provider));
        vm.expectEmit(address(registry));
        emit IProviderRegistry.StakeAdded(provider, 40e16);
        vm.prank(provider);
        registry.addStake(40e16);
        assertEq(registry.getStake(provider), STAKE);
        assertTrue(registry.isLive(provider));
    }

    function test_addStake_revertsWithNotRegistered() public {
        vm.expectRevert(IProviderRegistry.NotRegistered.selector);
        vm.prank(other);
        registry.addStake(1);
    }

    // ------------------------------------------------------------------ heartbeat and liveness

    function test_heartbeat_keepsAlive() public {
        vm.warp(START + 600);
        assertTrue(registry.isLive(provider));
        vm.warp(START + 601);
        assertFalse(registry.isLive(provider));
        vm.expectEmit(address(registry));
        emit IProviderRegistry.Heartbeat(provider, uint64(START + 601));
        vm.prank(provider);
        registry.heartbeat();
        assertTrue(registry.isLive(provider));
        assertEq(registry.getProvider(provider).lastHeartbeat, START + 601);
    }

    function test_heartbeat_worksButDoesNotReviveAnInactiveOne() public {
        vm.startPrank(provider);
        registry.deactivate();
        registry.heartbeat();
        assertFalse(registry.isLive(provider));
    }

    function test_heartbeat_revertsWithNotRegistered() public {
        vm.expectRevert(IProviderRegistry.NotRegistered.selector);
        registry.heartbeat();
    }

    function test_isLive_needsTheMinimumStake() public {
        asEscrowSlash(provider, 1);
        assertFalse(registry.isLive(provider));
        (bool live, uint128 free) = registry.backing(provider);
        assertFalse(live);
        assertEq(free, STAKE - 1);
    }

    // ------------------------------------------------------------------ updateOfferings

    function test_updateOfferings_replacesTheList() public {
        vm.startPrank(provider);
        vm.expectEmit(address(registry));
        emit IProviderRegistry.OfferingsUpdated(provider, 3);
        registry.updateOfferings(offerings(3));
        assertEq(abi.encode(registry.getOfferings(provider)), abi.encode(offerings(3)));
        registry.updateOfferings(offerings(5));
        assertEq(abi.encode(registry.getOfferings(provider)), abi.encode(offerings(5)));
        registry.updateOfferings(offerings(1));
        assertEq(abi.encode(registry.getOfferings(provider)), abi.encode(offerings(1)));
        registry.updateOfferings(offerings(0));
        assertEq(registry.getOfferings(provider).length, 0);
    }

    function test_updateOfferings_revertsWithTooManyOfferings() public {
        vm.startPrank(provider);
        registry.updateOfferings(offerings(64));
        vm.expectRevert(abi.encodeWithSelector(IProviderRegistry.TooManyOfferings.selector, 65, 64));
        registry.updateOfferings(offerings(65));
    }

    function test_updateOfferings_revertsWithTextTooLong() public {
        IProviderRegistry.Offering[] memory list = offerings(2);
        list[1].modelId = string(new bytes(97));
        vm.startPrank(provider);
        vm.expectRevert(abi.encodeWithSelector(IProviderRegistry.TextTooLong.selector, 97, 96));
        registry.updateOfferings(list);
    }

    function test_updateOfferings_revertsWithNotRegistered() public {
        vm.expectRevert(IProviderRegistry.NotRegistered.selector);
        registry.updateOfferings(offerings(1));
    }

    // ------------------------------------------------------------------ small updates

    function test_setMaxConcurrentJobs() public {
        vm.expectEmit(address(registry));
        emit IProviderRegistry.MaxConcurrentJobsUpdated(provider, 4);
        vm.prank(provider);
        registry.setMaxConcurrentJobs(4);
        assertEq(registry.getProvider(provider).maxConcurrentJobs, 4);
        vm.expectRevert(IProviderRegistry.NotRegistered.selector);
        registry.setMaxConcurrentJobs(4);
    }

    function test_updateKeys() public {
        (bytes32 key, bytes32 overlay) = (keccak256("rotated"), keccak256("moved"));
        vm.expectEmit(address(registry));
        emit IProviderRegistry.KeysUpdated(provider, key, overlay);
        vm.prank(provider);
        registry.updateKeys(key, overlay);
        assertEq(registry.getProvider(provider).pssPublicKey, key);
        assertEq(registry.getProvider(provider).swarmOverlay, overlay);
        assertEq(registry.getStake(provider), STAKE);
        vm.expectRevert(IProviderRegistry.NotRegistered.selector);
        registry.updateKeys(key, overlay);
    }

    function test_updateMetadata() public {
        vm.expectEmit(address(registry));
        emit IProviderRegistry.MetadataUpdated(provider, "bzz://new");
        vm.prank(provider);
        registry.updateMetadata("bzz://new");
        assertEq(registry.getProvider(provider).metadataURI, "bzz://new");
        vm.expectRevert(IProviderRegistry.NotRegistered.selector);
        registry.updateMetadata("");
        string memory tooLong = string(new bytes(513));
        vm.expectRevert(abi.encodeWithSelector(IProviderRegistry.TextTooLong.selector, 513, 512));
        vm.prank(provider);
        registry.updateMetadata(tooLong);
    }

    // ------------------------------------------------------------------ deactivate

    function test_deactivate_withAnOpenJob() public {
        bytes32 jobId = post();
        vm.expectEmit(address(registry));
        emit IProviderRegistry.ProviderDeactivated(provider);
        vm.prank(provider);
        registry.deactivate();
        assertFalse(registry.isLive(provider));
        assertFalse(registry.getProvider(provider).active);
        assertEq(registry.unbondingAt(provider), START + 2 days);
        ack(jobId);
        claim(jobId, PRICE);
        assertRecord(1, 1);
    }

    function test_deactivate_revertsWithNotRegistered() public {
        vm.startPrank(provider);
        registry.deactivate();
        vm.expectRevert(IProviderRegistry.NotRegistered.selector);
        registry.deactivate();
        vm.stopPrank();
        vm.expectRevert(IProviderRegistry.NotRegistered.selector);
        registry.deactivate();
    }

    // ------------------------------------------------------------------ withdrawStake

    function test_withdrawStake_paysBackAndEndsTheRegistration() public {
        uint256 before = token.balanceOf(provider);
        vm.startPrank(provider);
        registry.updateMetadata("bzz://about");
        registry.deactivate();
        vm.warp(START + 2 days);
        vm.expectEmit(address(registry));
        emit IProviderRegistry.StakeWithdrawn(provider, STAKE);
        registry.withdrawStake();
        assertEq(token.balanceOf(provider), before + STAKE);
        assertEq(registry.getStake(provider), 0);
        assertEq(registry.providerCount(), 0);
        IProviderRegistry.Provider memory zeros;
        assertEq(abi.encode(registry.getProvider(provider)), abi.encode(zeros));
        vm.expectRevert(IProviderRegistry.NotRegistered.selector);
        registry.withdrawStake();
        vm.expectRevert(IProviderRegistry.NotRegistered.selector);
        registry.addStake(1);
    }

    function test_withdrawStake_ofNothingLeft() public {
        asEscrowSlash(provider, STAKE);
        vm.startPrank(provider);
        registry.deactivate();
        vm.warp(START + 2 days);
        registry.withdrawStake();
        registry.register(PSS_KEY, OVERLAY, "", STAKE);
        assertTrue(registry.isLive(provider));
    }

    function test_withdrawStake_revertsWithStillActive() public {
        vm.expectRevert(IProviderRegistry.StillActive.selector);
        vm.prank(provider);
        registry.withdrawStake();
    }

    function test_withdrawStake_revertsWithStillBonded() public {
        vm.startPrank(provider);
        registry.deactivate();
        vm.warp(START + 2 days - 1);
        vm.expectRevert(IProviderRegistry.StillBonded.selector);
        registry.withdrawStake();
    }

    function test_withdrawStake_revertsWithOpenJobsRemain() public {
        post();
        vm.startPrank(provider);
        registry.deactivate();
        vm.warp(START + 2 days);
        vm.expectRevert(IProviderRegistry.OpenJobsRemain.selector);
        registry.withdrawStake();
    }

    function test_withdrawStake_revertsWithNotRegistered() public {
        vm.expectRevert(IProviderRegistry.NotRegistered.selector);
        registry.withdrawStake();
    }

    // ------------------------------------------------------------------ escrow's calls

    function test_escrowsCalls_revertWithNotEscrow() public {
        vm.expectRevert(IProviderRegistry.NotEscrow.selector);
        registry.openJob(provider, 1);
        vm.expectRevert(IProviderRegistry.NotEscrow.selector);
        registry.closeJob(provider, 1, IProviderRegistry.Outcome.Paid);
        vm.expectRevert(IProviderRegistry.NotEscrow.selector);
        registry.recordJobStart(provider);
        vm.expectRevert(IProviderRegistry.NotEscrow.selector);
        registry.recordJobSuccess(provider);
        vm.expectRevert(IProviderRegistry.NotEscrow.selector);
        registry.recordJobFail(provider);
        vm.expectRevert(IProviderRegistry.NotEscrow.selector);
        registry.slash(provider, 1, JOB);
    }

    function test_openJob_revertsWithExposureAboveStake() public {
        vm.startPrank(address(escrow));
        registry.openJob(provider, 60e16);
        vm.expectRevert(
            abi.encodeWithSelector(
                IProviderRegistry.ExposureAboveStake.selector, provider, 100e16 + 1, STAKE
            )
        );
        registry.openJob(provider, 40e16 + 1);
        registry.openJob(provider, 40e16);
        assertEq(registry.exposure(provider), STAKE);
        assertEq(registry.openJobs(provider), 2);
        (bool live, uint128 free) = registry.backing(provider);
        assertTrue(live);
        assertEq(free, 0);
    }

    function test_closeJob_countsEachOutcome() public {
        vm.startPrank(address(escrow));
        for (uint256 i = 0; i < 3; ++i) {
            registry.openJob(provider, 3);
        }
        registry.closeJob(provider, 3, IProviderRegistry.Outcome.Unpaid);
        assertRecord(0, 0);
        registry.closeJob(provider, 3, IProviderRegistry.Outcome.Failed);
        assertRecord(1, 0);
        registry.closeJob(provider, 3, IProviderRegistry.Outcome.Paid);
        assertRecord(2, 1);
        assertEq(registry.openJobs(provider), 0);
        assertEq(registry.exposure(provider), 0);
    }

    function test_versionOnesRecordCalls_work() public {
        vm.startPrank(address(escrow));
        registry.recordJobStart(provider);
        registry.recordJobStart(provider);
        assertEq(registry.openJobs(provider), 2);
        registry.recordJobSuccess(provider);
        registry.recordJobFail(provider);
        assertEq(registry.openJobs(provider), 0);
        assertRecord(2, 1);
    }

    function test_slash_burnsAtMostTheStake() public {
        vm.startPrank(address(escrow));
        vm.expectEmit(address(registry));
        emit IProviderRegistry.StakeSlashed(provider, 30e16, JOB);
        registry.slash(provider, 30e16, JOB);
        assertEq(token.balanceOf(burn), 30e16);
        vm.expectEmit(address(registry));
        emit IProviderRegistry.StakeSlashed(provider, 70e16, JOB);
        registry.slash(provider, 1000e16, JOB);
        assertEq(token.balanceOf(burn), STAKE);
        assertEq(registry.getStake(provider), 0);
        assertEq(token.balanceOf(address(registry)), 0);
    }

    function test_backing_ofAStakeBelowTheExposureIsNothingFree() public {
        vm.startPrank(address(escrow));
        registry.openJob(provider, 50e16);
        registry.slash(provider, 60e16, JOB);
        (bool live, uint128 free) = registry.backing(provider);
        assertFalse(live);
        assertEq(free, 0);
    }

    // ------------------------------------------------------------------ lists

    function test_listProviders_pages() public {
        registerProvider(other, STAKE);
        registerProvider(third, STAKE);
        (IProviderRegistry.Provider[] memory page, uint256 next) = registry.listProviders(0, 2);
        assertEq(page.length, 2);
        assertEq(page[0].owner, provider);
        assertEq(page[1].owner, other);
        assertEq(next, 2);
        (page, next) = registry.listProviders(2, 2);
        assertEq(page.length, 1);
        assertEq(page[0].owner, third);
        assertEq(next, 3);
        (page, next) = registry.listProviders(3, 2);
        assertEq(page.length, 0);
        assertEq(next, 3);
        (page, next) = registry.listProviders(9, 2);
        assertEq(page.length, 0);
        assertEq(next, 3);
        // Version 1 overflows here.
        (page, next) = registry.listProviders(1, type(uint256).max);
        assertEq(page.length, 2);
        assertEq(next, 3);
    }

    function test_listProviders_holdsInactiveOnesUntilTheyWithdraw() public {
        registerProvider(other, STAKE);
        registerProvider(third, STAKE);
        vm.startPrank(provider);
        registry.deactivate();
        assertEq(registry.providerCount(), 3);
        vm.warp(START + 2 days);
        registry.withdrawStake();
        vm.stopPrank();
        (IProviderRegistry.Provider[] memory page,) = registry.listProviders(0, 10);
        assertEq(page.length, 2);
        assertEq(page[0].owner, third);
        assertEq(page[1].owner, other);

        vm.startPrank(third);
        registry.deactivate();
        vm.warp(START + 4 days);
        registry.withdrawStake();
        (page,) = registry.listProviders(0, 10);
        assertEq(page.length, 1);
        assertEq(page[0].owner, other);
    }

    /// @dev From each place of the list one leaves, then the others, in every order.
    function test_listProviders_whoeverLeavesTheOthersStay() public {
        registerProvider(other, STAKE);
        registerProvider(third, STAKE);
        address[3] memory wallets = [provider, other, third];
        for (uint256 i = 0; i < 6; ++i) {
            uint256 snapshot = vm.snapshotState();
            (uint256 a, uint256 b) = (i % 3, (i + 1 + i / 3) % 3);
            leave(wallets[a]);
            assertEq(registry.providerCount(), 2);
            assertEq(listed(wallets[a]), 0);
            assertEq(listed(wallets[b]), 1);
            leave(wallets[b]);
            assertEq(registry.providerCount(), 1);
            assertEq(listed(wallets[3 - a - b]), 1);
            leave(wallets[3 - a - b]);
            assertEq(registry.providerCount(), 0);
            vm.revertToState(snapshot);
        }
    }

    function leave(address wallet) private {
        vm.startPrank(wallet);
        registry.deactivate();
        vm.warp(block.timestamp + 2 days);
        registry.withdrawStake();
        vm.stopPrank();
    }

    function listed(address wallet) private view returns (uint256 times) {
        (IProviderRegistry.Provider[] memory page,) = registry.listProviders(0, 10);
        for (uint256 i = 0; i < page.length; ++i) {
            if (page[i].owner == wallet) ++times;
        }
    }

    function test_views_ofAnUnknownWalletAreZeros() public view {
        IProviderRegistry.Provider memory zeros;
        assertEq(abi.encode(registry.getProvider(other)), abi.encode(zeros));
        assertEq(registry.getOfferings(other).length, 0);
        assertEq(registry.getStake(other), 0);
        assertEq(registry.openJobs(other), 0);
        assertEq(registry.unbondingAt(other), 0);
        assertFalse(registry.isLive(other));
    }

    // ------------------------------------------------------------------ fuzz

    function test_fuzz_listProviders_neverReverts(uint256 cursor, uint256 limit) public {
        registerProvider(other, STAKE);
        (IProviderRegistry.Provider[] memory page, uint256 next) =
            registry.listProviders(cursor, limit);
        assertLe(page.length, 2);
        assertLe(next, 2);
    }

    function test_fuzz_slash_movesStakeToTheBurnAddress(uint128 stake, uint128 amount) public {
        stake = uint128(bound(stake, STAKE, 1000e16));
        registerProvider(other, stake);
        asEscrowSlash(other, amount);
        uint256 burned = amount < stake ? amount : stake;
        assertEq(token.balanceOf(burn), burned);
        assertEq(registry.getStake(other), stake - burned);
        assertEq(token.balanceOf(address(registry)), STAKE + stake - burned);
    }

    /// forge-config: default.fuzz.runs = 128
    /// forge-config: ci.fuzz.runs = 256
    /// forge-config: mutants.fuzz.runs = 8
    function test_fuzz_updateOfferings_readBack(IProviderRegistry.Offering[] memory list) public {
        vm.assume(list.length <= 64);
        for (uint256 i = 0; i < list.length; ++i) {
            vm.assume(bytes(list[i].modelId).length <= 96);
        }
        vm.prank(provider);
        registry.updateOfferings(list);
        assertEq(abi.encode(registry.getOfferings(provider)), abi.encode(list));
    }

    function asEscrowSlash(address wallet, uint128 amount) private {
        vm.prank(address(escrow));
        registry.slash(wallet, amount, JOB);
    }

    function offerings(uint256 count)
        private
        pure
        returns (IProviderRegistry.Offering[] memory list)
    {
        list = new IProviderRegistry.Offering[](count);
        for (uint256 i = 0; i < count; ++i) {
            list[i] = IProviderRegistry.Offering({
                modelId: string.concat("model-", vm.toString(i)),
                inputPricePerMillionTokens: uint128(3e15 + i),
                outputPricePerMillionTokens: uint128(15e15 + count),
                maxContextTokens: 8192,
                maxLatencySeconds: 120
            });
        }
    }
}
