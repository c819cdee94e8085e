// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {JobEscrow} from "../src/JobEscrow.sol";
import {ProviderRegistry} from "../src/ProviderRegistry.sol";
import {IJobEscrow} from "../src/interfaces/IJobEscrow.sol";
import {IProviderRegistry} from "../src/interfaces/IProviderRegistry.sol";
import {Actor, ReentrantToken} from "./base/OddTokens.sol";
import {Test} from "forge-std/Test.sol";

/// @notice Each call that moves tokens, with a token that lets the very wallet which gains by it call
/// again in the middle of the transfer. xBZZ calls nobody on a plain transfer; the lock is what
/// holds if its proxy is ever upgraded to a token that does.
contract ReentrancyTest is Test {
    uint128 private constant STAKE = 120e16;
    uint128 private constant PRICE = 1e16;
    uint64 private constant DELIVERY = 900;
    bytes4 private constant LOCKED = bytes4(keccak256("ReentrancyGuardReentrantCall()"));

    ReentrantToken private token = new ReentrantToken();
    ProviderRegistry private registry;
    JobEscrow private escrow;
    /// @dev The provider and client of its own jobs.
    Actor private actor = new Actor();
    address private honest = makeAddr("honest client");
    bytes32 private pending;
    bytes32 private acked;

    function setUp() public {
        vm.warp(1_750_000_001);
        registry = new ProviderRegistry(address(token));
        escrow = new JobEscrow(address(token), address(registry));
        registry.setEscrow(address(escrow));
        fund(honest);
        fund(address(actor));
        act(address(registry), registering());
        // Somebody else's payment lies in the escrow, and somebody else's stake in the registry.
        vm.prank(honest);
        escrow.postJob(address(actor), 0, "m", PRICE, uint64(block.timestamp) + DELIVERY);
        vm.prank(honest);
        registry.register(0, 0, "", STAKE);
        pending = abi.decode(act(address(escrow), posting()), (bytes32));
        acked = abi.decode(act(address(escrow), posting()), (bytes32));
        act(address(escrow), abi.encodeCall(IJobEscrow.ackJob, (acked)));
    }

    function test_noCallOfTheEscrowThatMovesTokens_canBeEnteredAgain() public {
        bytes[] memory calls = escrowCalls();
        for (uint256 outer = 0; outer < calls.length; ++outer) {
            for (uint256 inner = 0; inner < calls.length; ++inner) {
                uint256 snapshot = vm.snapshotState();
                // The deadlines of what is cancelled and timed out are over, the others' are not.
                if (outer >= 3) vm.warp(block.timestamp + DELIVERY + 1);
                token.arm(actor, address(escrow), calls[inner]);
                act(address(escrow), calls[outer]);
                assertLocked();
                vm.revertToState(snapshot);
            }
        }
    }

    function test_noCallOfTheRegistryThatMovesTokens_canBeEnteredAgain() public {
        bytes[3] memory calls = [
            registering(),
            abi.encodeCall(IProviderRegistry.addStake, (1)),
            abi.encodeCall(IProviderRegistry.withdrawStake, ())
        ];
        for (uint256 outer = 0; outer < calls.length; ++outer) {
            for (uint256 inner = 0; inner < calls.length; ++inner) {
                uint256 snapshot = vm.snapshotState();
                if (outer != 1) leave();
                if (outer == 0) act(address(registry), calls[2]);
                token.arm(actor, address(registry), calls[inner]);
                act(address(registry), calls[outer]);
                assertLocked();
                vm.revertToState(snapshot);
            }
        }
    }

    function test_slash_canNeitherBeEnteredAgainNorEnterAnother() public {
        // A registry whose escrow is the actor: it alone may slash.
        registry = new ProviderRegistry(address(token));
        registry.setEscrow(address(actor));
        vm.startPrank(honest);
        token.approve(address(registry), type(uint256).max);
        registry.register(0, 0, "", STAKE);
        vm.stopPrank();
        vm.prank(address(actor));
        token.approve(address(registry), type(uint256).max);
        bytes memory slashing = abi.encodeCall(IProviderRegistry.slash, (honest, PRICE, 0));
        bytes[2] memory inner = [slashing, registering()];
        for (uint256 i = 0; i < inner.length; ++i) {
            token.arm(actor, address(registry), inner[i]);
            act(address(registry), slashing);
            assertLocked();
        }
        token.arm(actor, address(registry), slashing);
        act(address(registry), registering());
        assertLocked();
        assertEq(registry.getStake(honest), STAKE - 2 * PRICE);
        assertEq(token.balanceOf(address(registry)), 2 * STAKE - 2 * PRICE);
    }

    /// @dev Without the lock on `postJob`, a wallet with nothing pays for its job with what others
    /// have in the escrow, and provides and earns in between.
    function test_postJob_aJobIsNotPaidOutBeforeItsPaymentArrived() public {
        uint256 all = token.balanceOf(address(actor));
        vm.prank(address(actor));
        token.transfer(makeAddr("elsewhere"), all);
        bytes32 next = keccak256(abi.encode(block.chainid, escrow, address(actor), uint256(4)));
        uint256 held = token.balanceOf(address(escrow));

        token.arm(actor, address(escrow), abi.encodeCall(IJobEscrow.claimJob, (next, 0, PRICE, "")));
        (bool ok,) = actor.act(address(escrow), posting());
        assertFalse(ok, "a job was paid with the money of another");
        assertEq(token.balanceOf(address(escrow)), held);
        assertEq(escrow.jobCounter(), 3);
    }

    /// @dev `addStake` counts before the tokens arrive: in between nothing of it can be burned or
    /// taken out.
    function test_addStake_whatHasNotArrivedCannotBeBurned() public {
        vm.warp(block.timestamp + DELIVERY + 1);
        uint256 held = token.balanceOf(address(registry));
        bytes memory cancelling = abi.encodeCall(IJobEscrow.cancelJob, (pending));
        token.arm(actor, address(escrow), cancelling);
        act(address(registry), abi.encodeCall(IProviderRegistry.addStake, (1)));
        assertLocked();
        assertEq(token.balanceOf(address(registry)), held + 1);
    }

    /// @dev Who withdraws is out before the tokens move: no job can be posted to it in between.
    function test_withdrawStake_isOverBeforeItPays() public {
        leave();
        token.arm(actor, address(escrow), posting());
        act(address(registry), abi.encodeCall(IProviderRegistry.withdrawStake, ()));
        assertEq(token.calls(), 1);
        assertFalse(token.lastOk());
        assertEq(bytes4(token.lastAnswer()), IJobEscrow.ProviderNotLive.selector);
        assertEq(token.balanceOf(address(registry)), STAKE);
    }

    // ------------------------------------------------------------------ inside

    function escrowCalls() private view returns (bytes[] memory calls) {
        calls = new bytes[](5);
        calls[0] = posting();
        calls[1] = abi.encodeCall(IJobEscrow.claimJob, (acked, 0, PRICE, ""));
        calls[2] = abi.encodeCall(IJobEscrow.rejectJob, (pending, 0));
        calls[3] = abi.encodeCall(IJobEscrow.cancelJob, (pending));
        calls[4] = abi.encodeCall(IJobEscrow.timeoutJob, (acked));
    }

    function posting() private view returns (bytes memory) {
        uint64 deadline = uint64(block.timestamp) + DELIVERY;
        return abi.encodeCall(IJobEscrow.postJob, (address(actor), 0, "m", PRICE, deadline));
    }

    function registering() private pure returns (bytes memory) {
        return abi.encodeCall(IProviderRegistry.register, (0, 0, "", STAKE));
    }

    /// @dev The actor's jobs end and its stake unbonds.
    function leave() private {
        act(address(escrow), abi.encodeCall(IJobEscrow.rejectJob, (pending, 0)));
        act(address(escrow), abi.encodeCall(IJobEscrow.rejectJob, (acked, 0)));
        bytes32 others = keccak256(abi.encode(block.chainid, escrow, honest, uint256(1)));
        act(address(escrow), abi.encodeCall(IJobEscrow.rejectJob, (others, 0)));
        act(address(registry), abi.encodeCall(IProviderRegistry.deactivate, ()));
        vm.warp(block.timestamp + 2 days);
    }

    function assertLocked() private view {
        assertGt(token.calls(), 0, "the token's hook ran");
        assertFalse(token.lastOk());
        assertEq(bytes4(token.lastAnswer()), LOCKED);
    }

    function act(address target, bytes memory data) private returns (bytes memory answer) {
        bool ok;
        (ok, answer) = actor.act(target, data);
        assertTrue(ok, "the call itself goes through");
    }

    function fund(address wallet) private {
        token.mint(wallet, 1000e16);
        vm.startPrank(wallet);
        token.approve(address(registry), type(uint256).max);
        token.approve(address(escrow), type(uint256).max);
        vm.stopPrank();
    }
}
