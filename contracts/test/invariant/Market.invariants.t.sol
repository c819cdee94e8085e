// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {JobEscrow} from "../../src/JobEscrow.sol";
import {ProviderRegistry} from "../../src/ProviderRegistry.sol";
import {IJobEscrow} from "../../src/interfaces/IJobEscrow.sol";
import {IProviderRegistry} from "../../src/interfaces/IProviderRegistry.sol";
import {XbzzToken} from "../../src/test/XbzzToken.sol";
import {MarketHandler} from "./MarketHandler.sol";
import {Test} from "forge-std/Test.sol";

contract MarketInvariants is Test {
    XbzzToken private token;
    ProviderRegistry private registry;
    JobEscrow private escrow;
    MarketHandler private handler;

    function setUp() public {
        vm.warp(1_750_000_000);
        token = new XbzzToken();
        registry = new ProviderRegistry(address(token));
        escrow = new JobEscrow(address(token), address(registry));
        registry.setEscrow(address(escrow));
        handler = new MarketHandler(token, registry, escrow);
        for (uint256 i = 0; i < 3; ++i) {
            token.mint(handler.providers(i), handler.FUNDS());
            token.mint(handler.clients(i), handler.FUNDS());
        }
        handler.start();

        targetContract(address(handler));
        // Jobs are what matters: they are drawn more often than the providers' calls.
        bytes4[] memory selectors = new bytes4[](11);
        selectors[0] = MarketHandler.post.selector;
        selectors[1] = MarketHandler.post.selector;
        selectors[2] = MarketHandler.post.selector;
        selectors[3] = MarketHandler.act.selector;
        selectors[4] = MarketHandler.act.selector;
        selectors[5] = MarketHandler.act.selector;
        selectors[6] = MarketHandler.attack.selector;
        selectors[7] = MarketHandler.passTime.selector;
        selectors[8] = MarketHandler.addStake.selector;
        selectors[9] = MarketHandler.deactivate.selector;
        selectors[10] = MarketHandler.withdraw.selector;
        targetSelector(FuzzSelector({addr: address(handler), selectors: selectors}));
    }

    /// @dev Whatever was done, every job ends without its client and every stake can leave.
    function afterInvariant() public {
        endWithoutClients();
        assertEq(token.balanceOf(address(escrow)), 0, "escrow is empty");
        for (uint256 i = 0; i < 3; ++i) {
            address provider = handler.providers(i);
            assertEq(registry.openJobs(provider), 0, "no open job");
            assertEq(registry.exposure(provider), 0, "no exposure");
            withdraw(provider);
        }
        assertEq(token.balanceOf(address(registry)), 0, "registry is empty");
    }

    /// @dev The handler is no use if it ends jobs in some ways only.
    function test_handler_reachesEachWayToEnd() public {
        for (uint256 i = 0; i < 1500; ++i) {
            uint256 seed = uint256(keccak256(abi.encode(i)));
            if (i % 3 == 0) {
                handler.post(seed, seed >> 8, uint128(seed), seed >> 16, seed >> 24 & 1 == 0);
            } else if (i % 5 == 0) {
                handler.passTime(seed, uint8(seed >> 8) % 3);
            } else {
                handler.act(seed, uint8(seed >> 8), uint128(seed >> 16));
            }
        }
        for (uint8 action = 0; action < 5; ++action) {
            assertGt(handler.done(MarketHandler.Action(action)), 5, "never done");
        }
    }

    function invariant_escrowHoldsTheOpenPayments() public view {
        uint256 sum;
        for (uint256 i = 0; i < handler.rowCount(); ++i) {
            (bytes32 id,,,,,,,) = handler.rows(i);
            (,,,,, uint128 maxPayment,,,,, IJobEscrow.JobStatus status) = escrow.jobs(id);
            if (isOpen(status)) sum += maxPayment;
        }
        assertEq(token.balanceOf(address(escrow)), sum);
    }

    function invariant_registryHoldsTheStakes() public view {
        uint256 sum;
        for (uint256 i = 0; i < 3; ++i) {
            sum += registry.getStake(handler.providers(i));
        }
        assertEq(token.balanceOf(address(registry)), sum);
    }

    function invariant_openJobsAndExposureAreThoseOfTheOpenRows() public view {
        for (uint256 p = 0; p < 3; ++p) {
            address provider = handler.providers(p);
            (uint256 count, uint256 sum) = (0, 0);
            for (uint256 i = 0; i < handler.rowCount(); ++i) {
                (,, address of_, uint128 maxPayment,,,, bool open) = handler.rows(i);
                if (of_ != provider || !open) continue;
                ++count;
                sum += 3 * uint256(maxPayment);
            }
            assertEq(registry.openJobs(provider), count);
            assertEq(registry.exposure(provider), sum);
            assertLe(sum, registry.getStake(provider), "the stake covers every open job");
        }
    }

    function invariant_burnIsTheSumOfTheSlashes() public view {
        assertEq(token.balanceOf(registry.BURN_ADDRESS()), handler.burned());
    }

    function invariant_clientsLoseOnlyWhatWasClaimed() public view {
        for (uint256 c = 0; c < 3; ++c) {
            address client = handler.clients(c);
            uint256 locked;
            for (uint256 i = 0; i < handler.rowCount(); ++i) {
                (, address of_,, uint128 maxPayment,,,, bool open) = handler.rows(i);
                if (of_ == client && open) locked += maxPayment;
            }
            assertEq(token.balanceOf(client) + locked + handler.paid(client), handler.FUNDS());
        }
    }

    function invariant_providersHaveTheirStakeAndTheirEarnings() public view {
        for (uint256 p = 0; p < 3; ++p) {
            address provider = handler.providers(p);
            assertEq(
                token.balanceOf(provider) + registry.getStake(provider) + handler.slashed(provider),
                handler.FUNDS() + handler.earned(provider)
            );
        }
    }

    function invariant_recordsCountSettledJobs() public view {
        for (uint256 p = 0; p < 3; ++p) {
            address provider = handler.providers(p);
            IProviderRegistry.Provider memory row = registry.getProvider(provider);
            assertEq(row.totalJobs, handler.total(provider));
            assertEq(row.successfulJobs, handler.successful(provider));
        }
    }

    function invariant_statesAreTheModels() public view {
        for (uint256 i = 0; i < handler.rowCount(); ++i) {
            (bytes32 id,,,,,, bool acked, bool open) = handler.rows(i);
            (,,,,,,,,,, IJobEscrow.JobStatus status) = escrow.jobs(id);
            assertEq(isOpen(status), open);
            if (open) assertEq(status == IJobEscrow.JobStatus.Acked, acked);
        }
    }

    function endWithoutClients() private {
        vm.warp(block.timestamp + 2 days);
        vm.startPrank(makeAddr("passer-by"));
        for (uint256 i = 0; i < handler.rowCount(); ++i) {
            (bytes32 id, address client,, uint128 maxPayment,,, bool acked, bool open) =
                handler.rows(i);
            if (!open) continue;
            uint256 before = token.balanceOf(client);
            if (acked) escrow.timeoutJob(id);
            else escrow.cancelJob(id);
            assertEq(token.balanceOf(client), before + maxPayment, "refund");
        }
        vm.stopPrank();
    }

    function withdraw(address provider) private {
        IProviderRegistry.Provider memory row = registry.getProvider(provider);
        if (row.owner == address(0)) return;
        vm.startPrank(provider);
        if (row.active) registry.deactivate();
        vm.warp(block.timestamp + 2 days);
        registry.withdrawStake();
        vm.stopPrank();
    }

    function isOpen(IJobEscrow.JobStatus status) private pure returns (bool) {
        return status == IJobEscrow.JobStatus.Pending || status == IJobEscrow.JobStatus.Acked;
    }
}
