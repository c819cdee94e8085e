// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {XbzzToken} from "../../src/test/XbzzToken.sol";
import {Proxy} from "@openzeppelin/contracts/proxy/Proxy.sol";

/// @notice The token as it stands on Gnosis: behind a proxy, which makes each call of it dearer.
contract TokenProxy is Proxy {
    /// @dev The slot of EIP-1967. The token's own state begins at zero, so it must not be declared.
    bytes32 private constant SLOT = bytes32(uint256(keccak256("eip1967.proxy.implementation")) - 1);

    constructor(address image) {
        bytes32 slot = SLOT;
        assembly ("memory-safe") {
            sstore(slot, image)
        }
    }

    function _implementation() internal view override returns (address image) {
        bytes32 slot = SLOT;
        assembly ("memory-safe") {
            image := sload(slot)
        }
    }
}

/// @dev The test token behind a proxy. The caller may mint.
function newProxiedToken() returns (XbzzToken) {
    return XbzzToken(address(new TokenProxy(address(new XbzzToken()))));
}
