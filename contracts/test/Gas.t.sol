// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {Market} from "./base/Market.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice What a request costs, each call a transaction of its own (21,000 and calldata included),
/// against three quarters of what version 1 costs with the cheaper of the two tokens it was
/// measured with.
/// forge-config: default.isolate = true
/// forge-config: ci.isolate = true
contract GasTest is Market {
    /// @dev Version 1: post, acknowledge and claim, with no other job of the provider open.
    uint256 private constant V1_ALONE = 368_262;
    /// @dev The same while another job is open.
    uint256 private constant V1_ANOTHER_OPEN = 343_834;

    function setUp() public override {
        super.setUp();
        // The first job ever: the model's id and the counter have their slots from now on.
        bytes32 first = post();
        ack(first);
        claim(first, PRICE / 2);
    }

    function test_gas_requestAlone() public {
        uint256 used = request("request alone");
        assertLe(used, V1_ALONE * 75 / 100);
    }

    function test_gas_requestWhileAnotherIsOpen() public {
        post();
        uint256 used = request("request, another open");
        assertLe(used, V1_ANOTHER_OPEN * 75 / 100);
    }

    function test_gas_reject() public {
        bytes32 jobId = post();
        vm.prank(provider);
        escrow.rejectJob(jobId, 1);
        assertLe(measured("rejectJob, pending"), 62_000);
    }

    function test_gas_rejectAckedWhileAnotherIsOpen() public {
        post();
        bytes32 jobId = post();
        ack(jobId);
        vm.prank(provider);
        escrow.rejectJob(jobId, 1);
        assertLe(measured("rejectJob, acked, another open"), 62_000);
    }

    function test_gas_zeroClaim() public {
        post();
        bytes32 jobId = post();
        vm.prank(provider);
        escrow.claimJob(jobId, 0, 0, "");
        assertLe(measured("claimJob of zero, another open"), 62_000);
    }

    function test_gas_cancel() public {
        bytes32 jobId = post();
        vm.warp(block.timestamp + 31);
        vm.prank(client);
        escrow.cancelJob(jobId);
        measured("cancelJob");
    }

    function test_gas_heartbeat() public {
        vm.warp(block.timestamp + 300);
        vm.prank(provider);
        registry.heartbeat();
        measured("heartbeat");
    }

    function request(string memory name) private returns (uint256 used) {
        bytes32 jobId = post();
        used = measured(string.concat(name, ": postJob"));
        ack(jobId);
        used += measured(string.concat(name, ": ackJob"));
        claim(jobId, PRICE / 2);
        used += measured(string.concat(name, ": claimJob"));
        vm.snapshotValue("Gas", name, used);
    }

    function measured(string memory what) private returns (uint256 used) {
        Vm.Gas memory gas = vm.lastCallGas();
        used = gas.gasTotalUsed;
        vm.snapshotValue("Gas", what, used);
    }
}
