// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

/// @notice Answers false when told to, without reverting.
contract RefusingToken {
    bool private _refusing;

    function refuse(bool refusing) external {
        _refusing = refusing;
    }

    function transfer(address, uint256) external view returns (bool) {
        return !_refusing;
    }

    function transferFrom(address, address, uint256) external view returns (bool) {
        return !_refusing;
    }
}

/// @notice Calls back on each transfer, as old bridge tokens call their receivers.
contract HookToken {
    address private _target;
    bytes private _data;
    bytes public lastAnswer;

    function callOnTransfer(address target, bytes calldata data) external {
        _target = target;
        _data = data;
    }

    function transfer(address, uint256) external returns (bool) {
        if (_target != address(0)) (, lastAnswer) = _target.call(_data);
        return true;
    }

    function transferFrom(address, address, uint256) external pure returns (bool) {
        return true;
    }
}
