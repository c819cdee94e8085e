// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @notice A wallet that is a contract: it accepts what its owner signed, later everything, or burns
/// all the gas that it gets.
contract ContractWallet is IERC1271 {
    address private immutable _owner;
    bool private _acceptsAll;
    bool private _burnsGas;

    constructor(address owner) {
        _owner = owner;
    }

    function approve(address token, address spender) external {
        IERC20(token).approve(spender, type(uint256).max);
    }

    function acceptAll() external {
        _acceptsAll = true;
    }

    function burnGas() external {
        _burnsGas = true;
    }

    function isValidSignature(bytes32 hash, bytes calldata signature)
        external
        view
        override
        returns (bytes4)
    {
        while (_burnsGas) {}
        if (_acceptsAll) return IERC1271.isValidSignature.selector;
        (address recovered,,) = ECDSA.tryRecoverCalldata(hash, signature);
        return recovered == _owner ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }
}
