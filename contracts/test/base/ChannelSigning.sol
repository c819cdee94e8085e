// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {PaymentChannels} from "../../src/PaymentChannels.sol";
import {IPaymentChannels} from "../../src/interfaces/IPaymentChannels.sol";
import {Test} from "forge-std/Test.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice The messages of the channels, hashed by a second hand: from their types' text.
abstract contract ChannelSigning is Test {
    string private constant CHANNEL =
        "Channel(address payer,address signer,address provider,uint40 closeDelay,bytes32 salt)";

    PaymentChannels internal channels;

    function domainOn(uint256 chain) internal view returns (bytes32) {
        return domainOf(chain, address(channels));
    }

    function domainOf(uint256 chain, address contract_) internal pure returns (bytes32) {
        bytes32 kind = keccak256(
            "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
        );
        return keccak256(
            abi.encode(kind, keccak256("t4t PaymentChannels"), keccak256("1"), chain, contract_)
        );
    }

    function digestOf(bytes32 domain, bytes32 messageHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domain, messageHash));
    }

    /// @dev The chain where the contract was deployed, whatever the chain is now.
    function deploymentChain() internal view virtual returns (uint256) {
        return 31_337;
    }

    function idOf(IPaymentChannels.Key memory k) internal view returns (bytes32) {
        return digestOf(domainOn(deploymentChain()), channelHash(k));
    }

    function sign(Vm.Wallet memory by, bytes32 messageHash) internal view returns (bytes memory) {
        return signDigest(by, digestOf(domainOn(block.chainid), messageHash));
    }

    function signDigest(Vm.Wallet memory by, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(by.privateKey, digest);
        return abi.encodePacked(r, s, v);
    }

    function channelHash(IPaymentChannels.Key memory k) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(bytes(CHANNEL)), k.payer, k.signer, k.provider, k.closeDelay, k.salt
            )
        );
    }

    function openHash(IPaymentChannels.Key memory k, uint128 amount, uint40 deadline)
        internal
        pure
        returns (bytes32)
    {
        string memory kind =
            string.concat("Open(Channel channel,uint128 amount,uint40 deadline)", CHANNEL);
        return keccak256(abi.encode(keccak256(bytes(kind)), channelHash(k), amount, deadline));
    }

    function topUpHash(IPaymentChannels.Key memory k, uint128 total, uint40 deadline)
        internal
        pure
        returns (bytes32)
    {
        string memory kind = string.concat(
            "TopUp(Channel channel,uint128 reservedTotal,uint40 deadline)", CHANNEL
        );
        return keccak256(abi.encode(keccak256(bytes(kind)), channelHash(k), total, deadline));
    }

    function requestCloseHash(IPaymentChannels.Key memory k, uint40 deadline)
        internal
        pure
        returns (bytes32)
    {
        string memory kind = string.concat("RequestClose(Channel channel,uint40 deadline)", CHANNEL);
        return keccak256(abi.encode(keccak256(bytes(kind)), channelHash(k), deadline));
    }

    function depositHash(IPaymentChannels.Deposit memory d) internal pure returns (bytes32) {
        bytes32 kind =
            keccak256("Deposit(address payer,uint128 amount,uint64 nonce,uint40 deadline)");
        return keccak256(abi.encode(kind, d.payer, d.amount, d.nonce, d.deadline));
    }

    function withdrawalHash(IPaymentChannels.Withdrawal memory w) internal pure returns (bytes32) {
        bytes32 kind = keccak256(
            "Withdrawal(address payer,address to,uint128 amount,uint128 fee,uint64 nonce,uint40 deadline)"
        );
        return keccak256(abi.encode(kind, w.payer, w.to, w.amount, w.fee, w.nonce, w.deadline));
    }

    function voucherHash(bytes32 id, uint128 cumulative, bytes32 context)
        internal
        pure
        returns (bytes32)
    {
        bytes32 kind = keccak256("Voucher(bytes32 channelId,uint128 cumulative,bytes32 context)");
        return keccak256(abi.encode(kind, id, cumulative, context));
    }

    function closeHash(bytes32 id, uint128 cumulative, uint40 deadline)
        internal
        pure
        returns (bytes32)
    {
        bytes32 kind = keccak256("Close(bytes32 channelId,uint128 cumulative,uint40 deadline)");
        return keccak256(abi.encode(kind, id, cumulative, deadline));
    }
}
