// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {IPaymentChannels} from "./interfaces/IPaymentChannels.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title ChannelMessages
/// @notice The signed messages of `PaymentChannels`: EIP-712, and who may have signed how.
abstract contract ChannelMessages is IPaymentChannels {
    bytes32 private constant DOMAIN = keccak256(
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    );
    bytes32 private constant CHANNEL = keccak256(
        "Channel(address payer,address signer,address provider,uint40 closeDelay,bytes32 salt)"
    );
    // The channel is nested, so that a wallet shows whom it pays.
    bytes32 private constant OPEN = keccak256(
        "Open(Channel channel,uint128 amount,uint40 deadline)"
        "Channel(address payer,address signer,address provider,uint40 closeDelay,bytes32 salt)"
    );
    bytes32 private constant TOP_UP = keccak256(
        "TopUp(Channel channel,uint128 reservedTotal,uint40 deadline)"
        "Channel(address payer,address signer,address provider,uint40 closeDelay,bytes32 salt)"
    );
    bytes32 private constant REQUEST_CLOSE = keccak256(
        "RequestClose(Channel channel,uint40 deadline)"
        "Channel(address payer,address signer,address provider,uint40 closeDelay,bytes32 salt)"
    );
    bytes32 private constant DEPOSIT =
        keccak256("Deposit(address payer,uint128 amount,uint64 nonce,uint40 deadline)");
    bytes32 private constant WITHDRAWAL = keccak256(
        "Withdrawal(address payer,address to,uint128 amount,uint128 fee,uint64 nonce,uint40 deadline)"
    );
    bytes32 private constant VOUCHER =
        keccak256("Voucher(bytes32 channelId,uint128 cumulative,bytes32 context)");
    bytes32 private constant CLOSE =
        keccak256("Close(bytes32 channelId,uint128 cumulative,uint40 deadline)");

    uint256 private immutable _deploymentChain = block.chainid;
    bytes32 private immutable _deploymentDomain = _domainOn(block.chainid);

    // ------------------------------------------------------------------ messages

    function _channelHash(Key calldata key) internal pure returns (bytes32) {
        return keccak256(abi.encode(CHANNEL, key));
    }

    /// @dev Under the domain of the deployment for ever: were it the present chain's, a fork with a
    /// new chain id would give each channel a new id and lock its money.
    function _id(bytes32 channelHash) internal view returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(_deploymentDomain, channelHash);
    }

    function _openHash(bytes32 channelHash, uint128 amount, uint40 deadline)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(OPEN, channelHash, amount, deadline));
    }

    function _topUpHash(bytes32 channelHash, uint128 reservedTotal, uint40 deadline)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(TOP_UP, channelHash, reservedTotal, deadline));
    }

    function _requestCloseHash(bytes32 channelHash, uint40 deadline)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(REQUEST_CLOSE, channelHash, deadline));
    }

    function _depositHash(Deposit calldata d) internal pure returns (bytes32) {
        return keccak256(abi.encode(DEPOSIT, d));
    }

    function _withdrawalHash(Withdrawal calldata w) internal pure returns (bytes32) {
        return keccak256(abi.encode(WITHDRAWAL, w));
    }

    function _voucherHash(bytes32 id, uint128 cumulative, bytes32 context)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(VOUCHER, id, cumulative, context));
    }

    function _closeHash(bytes32 id, uint128 cumulative, uint40 deadline)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(CLOSE, id, cumulative, deadline));
    }

    // ------------------------------------------------------------------ signatures

    function _requireInTime(uint40 deadline) internal view {
        require(block.timestamp <= deadline, SignatureExpired(deadline));
    }

    /// @dev By the payer's key, or by a payer that is a contract. The key comes first: most payers are
    /// keys, and to look for code costs more than the whole check.
    function _requirePayerSigned(address payer, bytes32 messageHash, bytes calldata signature)
        internal
        view
    {
        bytes32 digest = _digest(messageHash);
        require(
            _isByKey(payer, digest, signature)
                || SignatureChecker.isValidERC1271SignatureNowCalldata(payer, digest, signature),
            InvalidSignature(payer)
        );
    }

    /// @dev By a key alone, whether or not code stands at its address.
    function _isSigned(address key, bytes32 messageHash, bytes calldata signature)
        internal
        view
        returns (bool)
    {
        return _isByKey(key, _digest(messageHash), signature);
    }

    /// @dev 65 bytes, the lower of the two values of s, and never the address zero.
    function _isByKey(address key, bytes32 digest, bytes calldata signature)
        private
        pure
        returns (bool)
    {
        // What is left out is a detail of the fault.
        // slither-disable-next-line unused-return
        (address recovered, ECDSA.RecoverError fault,) = ECDSA.tryRecoverCalldata(digest, signature);
        return fault == ECDSA.RecoverError.NoError && recovered == key;
    }

    /// @dev Under the domain of the present chain: what is signed for one branch of a fork is worth
    /// nothing on the other.
    function _digest(bytes32 messageHash) private view returns (bytes32) {
        bytes32 domain =
            block.chainid == _deploymentChain ? _deploymentDomain : _domainOn(block.chainid);
        return MessageHashUtils.toTypedDataHash(domain, messageHash);
    }

    function _domainOn(uint256 chain) private view returns (bytes32) {
        return keccak256(
            abi.encode(
                DOMAIN, keccak256("t4t PaymentChannels"), keccak256("1"), chain, address(this)
            )
        );
    }
}
