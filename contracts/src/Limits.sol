// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

/// @dev The most bytes of a model's id, in a job and in an offering.
uint256 constant MODEL_ID_BYTES = 96;
