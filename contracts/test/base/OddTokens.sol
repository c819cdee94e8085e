// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice Answers false when told to, without reverting.
contract RefusingToken {
    bool private _refusing;

    function refuse(bool refusing) external {
        _refusing = refusing;
    }

    function balanceOf(address) external pure returns (uint256) {
        return 0;
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

/// @notice Moves one less than it was told.
contract ShortToken is ERC20("short", "SH") {
    function mint(address wallet, uint256 amount) external {
        _mint(wallet, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        return super.transferFrom(from, to, amount - 1);
    }
}

/// @notice Tells a contract of every transfer to it, as the bridge's token did at first, and takes no
/// notice when the contract refuses.
contract OldImageToken is ERC20("old", "OLD") {
    uint256 public failedCalls;

    function mint(address wallet, uint256 amount) external {
        _mint(wallet, amount);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        super.transfer(to, amount);
        tell(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        super.transferFrom(from, to, amount);
        tell(from, to, amount);
        return true;
    }

    function tell(address from, address to, uint256 amount) private {
        if (to.code.length == 0) return;
        (bool ok,) = to.call(
            abi.encodeWithSignature("onTokenTransfer(address,uint256,bytes)", from, amount, "")
        );
        if (!ok) ++failedCalls;
    }
}
