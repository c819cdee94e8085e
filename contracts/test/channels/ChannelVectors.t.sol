// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {PaymentChannels} from "../../src/PaymentChannels.sol";
import {IPaymentChannels} from "../../src/interfaces/IPaymentChannels.sol";
import {XbzzToken} from "../../src/test/XbzzToken.sol";
import {ChannelSigning} from "../base/ChannelSigning.sol";

/// @notice `vectors/channels.json`, which Rust reads too: each signature in it is accepted here, for the
/// message that is written beside it.
contract ChannelVectorsTest is ChannelSigning {
    string private json;
    uint256 private chain;
    IPaymentChannels.Key private key;
    XbzzToken private token;

    function setUp() public {
        json = vm.readFile("vectors/channels.json");
        chain = number(".chainId");
        vm.chainId(chain);
        vm.warp(number(".open.deadline"));
        token = new XbzzToken();
        channels = PaymentChannels(addr(".contract"));
        deployCodeTo("PaymentChannels.sol:PaymentChannels", abi.encode(token), address(channels));
        key = IPaymentChannels.Key(
            addr(".key.payer"),
            addr(".key.signer"),
            addr(".key.provider"),
            uint40(number(".key.closeDelay")),
            word(".key.salt")
        );
        token.mint(key.payer, 1e18);
        vm.prank(key.payer);
        token.approve(address(channels), 1e18);
    }

    function deploymentChain() internal view override returns (uint256) {
        return chain;
    }

    function test_vectors_idAndDomain() public view {
        assertEq(domainOn(chain), word(".domain"));
        assertEq(channels.channelId(key), word(".channelId"));
        assertEq(idOf(key), word(".channelId"));
    }

    function test_vectors_aChannelsLife() public {
        IPaymentChannels.Deposit memory d = IPaymentChannels.Deposit(
            addr(".deposit.payer"),
            amount(".deposit.amount"),
            uint64(number(".deposit.nonce")),
            deadline(".deposit")
        );
        assertDigest(".deposit", depositHash(d));
        IPaymentChannels.Permit memory none;
        assertTrue(channels.depositFor(d, signature(".deposit"), none));

        uint128 reserved = amount(".open.amount");
        assertDigest(".open", openHash(key, reserved, deadline(".open")));
        channels.openFor(key, reserved, deadline(".open"), signature(".open"));

        reserved = amount(".topUp.reservedTotal");
        assertDigest(".topUp", topUpHash(key, reserved, deadline(".topUp")));
        channels.topUpFor(key, reserved, deadline(".topUp"), signature(".topUp"));

        assertEq(channels.claim(row(".voucher")), amount(".voucher.cumulative"));

        assertDigest(".requestClose", requestCloseHash(key, deadline(".requestClose")));
        channels.requestCloseFor(key, deadline(".requestClose"), signature(".requestClose"));

        IPaymentChannels.Withdrawal memory w = IPaymentChannels.Withdrawal(
            addr(".withdrawal.payer"),
            addr(".withdrawal.to"),
            amount(".withdrawal.amount"),
            amount(".withdrawal.fee"),
            uint64(number(".withdrawal.nonce")),
            deadline(".withdrawal")
        );
        assertDigest(".withdrawal", withdrawalHash(w));
        channels.withdrawFor(w, signature(".withdrawal"));

        uint128 last = amount(".close.cumulative");
        assertDigest(".close", closeHash(word(".channelId"), last, deadline(".close")));
        channels.closeTogether(row(".lastVoucher"), deadline(".close"), signature(".close"));
        assertEq(token.balanceOf(key.provider), last);
        assertEq(token.balanceOf(w.to), w.amount - w.fee);
    }

    function test_vectors_aVoucherAfterAFork() public {
        vm.prank(address(token));
        channels.onTokenTransfer(key.payer, 1e18, "");
        token.mint(address(channels), 1e18);
        channels.openFor(key, amount(".open.amount"), deadline(".open"), signature(".open"));
        vm.chainId(number(".voucherAfterAFork.chainId"));
        assertEq(channels.claim(row(".voucherAfterAFork")), amount(".open.amount"));
    }

    // ------------------------------------------------------------------ reading

    function row(string memory at) private view returns (IPaymentChannels.Row memory r) {
        r = IPaymentChannels.Row(
            key,
            amount(string.concat(at, ".cumulative")),
            word(string.concat(at, ".context")),
            signature(at)
        );
        assertDigest(at, voucherHash(word(".channelId"), r.cumulative, r.context));
    }

    function assertDigest(string memory at, bytes32 messageHash) private view {
        assertEq(
            digestOf(domainOn(block.chainid), messageHash), word(string.concat(at, ".digest")), at
        );
    }

    function signature(string memory at) private view returns (bytes memory) {
        return vm.parseJsonBytes(json, string.concat(at, ".signature"));
    }

    function deadline(string memory at) private view returns (uint40) {
        return uint40(number(string.concat(at, ".deadline")));
    }

    function amount(string memory at) private view returns (uint128) {
        return uint128(number(at));
    }

    function number(string memory at) private view returns (uint256) {
        return vm.parseJsonUint(json, at);
    }

    function addr(string memory at) private view returns (address) {
        return vm.parseJsonAddress(json, at);
    }

    function word(string memory at) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, at);
    }
}
