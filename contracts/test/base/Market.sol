// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {JobEscrow} from "../../src/JobEscrow.sol";
import {ProviderRegistry} from "../../src/ProviderRegistry.sol";
import {IJobEscrow} from "../../src/interfaces/IJobEscrow.sol";
import {IProviderRegistry} from "../../src/interfaces/IProviderRegistry.sol";
import {XbzzToken} from "../../src/test/XbzzToken.sol";
import {Test} from "forge-std/Test.sol";

/// @notice A token, the pair bound to each other, one registered provider and two clients.
abstract contract Market is Test {
    /// @dev A job as `jobs(bytes32)` answers it.
    struct JobView {
        address client;
        address provider;
        bytes32 requestHash;
        bytes32 responseHash;
        string modelId;
        uint128 maxPayment;
        uint64 postedAt;
        uint64 ackedAt;
        uint64 ackDeadline;
        uint64 deliveryDeadline;
        IJobEscrow.JobStatus status;
    }

    uint256 internal constant START = 1_750_000_000;
    uint128 internal constant STAKE = 100e16;
    uint128 internal constant PRICE = 1e16;
    uint64 internal constant DELIVERY = 900;
    string internal constant MODEL = "llama-3.1-8b-instruct";
    bytes32 internal constant REQUEST = keccak256("request");
    bytes32 internal constant RESPONSE = keccak256("response");
    bytes32 internal constant PSS_KEY = keccak256("pss key");
    bytes32 internal constant OVERLAY = keccak256("overlay");

    XbzzToken internal token;
    ProviderRegistry internal registry;
    JobEscrow internal escrow;

    address internal provider = makeAddr("provider");
    address internal client = makeAddr("client");
    address internal stranger = makeAddr("stranger");
    address internal burn;

    function setUp() public virtual {
        vm.warp(START);
        token = new XbzzToken();
        registry = new ProviderRegistry(address(token));
        escrow = new JobEscrow(address(token), address(registry));
        registry.setEscrow(address(escrow));
        burn = registry.BURN_ADDRESS();

        fund(client, 10_000e16);
        fund(stranger, 10_000e16);
        fund(provider, 10_000e16);
        registerProvider(provider, STAKE);
    }

    function fund(address wallet, uint256 amount) internal {
        token.mint(wallet, amount);
        vm.startPrank(wallet);
        token.approve(address(registry), type(uint256).max);
        token.approve(address(escrow), type(uint256).max);
        vm.stopPrank();
    }

    function registerProvider(address wallet, uint128 stake) internal {
        vm.prank(wallet);
        registry.register(PSS_KEY, OVERLAY, "", stake);
    }

    function post() internal returns (bytes32) {
        return post(PRICE);
    }

    function post(uint128 maxPayment) internal returns (bytes32) {
        return post(client, maxPayment, uint64(block.timestamp) + DELIVERY);
    }

    function post(address from, uint128 maxPayment, uint64 deadline) internal returns (bytes32) {
        vm.prank(from);
        return escrow.postJob(provider, REQUEST, MODEL, maxPayment, deadline);
    }

    function ack(bytes32 jobId) internal {
        vm.prank(provider);
        escrow.ackJob(jobId);
    }

    function claim(bytes32 jobId, uint128 amount) internal {
        vm.prank(provider);
        escrow.claimJob(jobId, RESPONSE, amount, "");
    }

    function readJob(bytes32 jobId) internal view returns (JobView memory job) {
        (bool ok, bytes memory answer) =
            address(escrow).staticcall(abi.encodeCall(IJobEscrow.jobs, (jobId)));
        assertTrue(ok);
        // The answer is a tuple with a string, encoded as the struct is but for the first offset.
        return abi.decode(abi.encodePacked(uint256(32), answer), (JobView));
    }

    function statusOf(bytes32 jobId) internal view returns (IJobEscrow.JobStatus) {
        return readJob(jobId).status;
    }

    function assertStatus(bytes32 jobId, IJobEscrow.JobStatus expected) internal view {
        assertEq(uint256(statusOf(jobId)), uint256(expected), "status");
    }

    function assertRecord(uint32 total, uint32 successful) internal view {
        IProviderRegistry.Provider memory row = registry.getProvider(provider);
        assertEq(row.totalJobs, total, "totalJobs");
        assertEq(row.successfulJobs, successful, "successfulJobs");
    }
}
