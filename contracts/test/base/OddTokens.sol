// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

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

/// @notice Calls a contract, and lets it call whatever it is told: a provider or client whose code
/// runs in the middle of a transfer.
contract Actor {
    function act(address target, bytes calldata data)
        external
        returns (bool ok, bytes memory answer)
    {
        (ok, answer) = target.call(data);
    }
}

/// @notice A whole token that lets an actor call before each balance moves, as a token with hooks
/// for its senders does. What the actor does in there has no hook of its own.
contract ReentrantToken is ERC20("reentrant", "RE") {
    Actor private _actor;
    address private _target;
    bytes private _data;
    /// @dev Whether the actor's last call went through, what it answered, and how many there were.
    bool public lastOk;
    bytes public lastAnswer;
    uint256 public calls;

    function mint(address wallet, uint256 amount) external {
        _mint(wallet, amount);
    }

    /// @notice From now on `actor` calls `target` before each transfer.
    function arm(Actor actor, address target, bytes calldata data) external {
        (_actor, _target, _data) = (actor, target, data);
        calls = 0;
    }

    function _update(address from, address to, uint256 amount) internal override {
        Actor actor = _actor;
        if (address(actor) != address(0)) {
            _actor = Actor(address(0));
            ++calls;
            (lastOk, lastAnswer) = actor.act(_target, _data);
            _actor = actor;
        }
        super._update(from, to, amount);
    }
}
