// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {IERC677Receiver, XbzzToken} from "../src/test/XbzzToken.sol";
import {Test} from "forge-std/Test.sol";

contract Receiver is IERC677Receiver {
    address public from;
    uint256 public value;
    bytes public data;
    bool public accept = true;

    function setAccept(bool accept_) external {
        accept = accept_;
    }

    function onTokenTransfer(address from_, uint256 value_, bytes calldata data_)
        external
        returns (bool)
    {
        (from, value, data) = (from_, value_, data_);
        return accept;
    }
}

contract XbzzTokenTest is Test {
    XbzzToken private token;
    address private holder;
    uint256 private key;
    address private spender = makeAddr("spender");

    function setUp() public {
        vm.warp(1_750_000_000);
        token = new XbzzToken();
        (holder, key) = makeAddrAndKey("holder");
        token.mint(holder, 100e16);
    }

    function test_metadata() public view {
        assertEq(token.decimals(), 16);
        assertEq(token.symbol(), "xBZZ");
        assertEq(token.version(), "1");
        assertEq(token.totalSupply(), 100e16);
        assertEq(
            token.PERMIT_TYPEHASH(),
            0x6e71edae12b1b97f4d1f60370fef10105fa2faae0126114a169c64845d6126c9
        );
        assertEq(
            token.PERMIT_TYPEHASH_LEGACY(),
            0xea2aa0a1be11a07ed86d755c93467f4f82362b452371d1ba94d1715123511acb
        );
    }

    function test_mint_isTheDeployersOnly() public {
        assertTrue(token.mint(spender, 1));
        assertEq(token.balanceOf(spender), 1);
        vm.prank(holder);
        vm.expectRevert(bytes(""));
        token.mint(holder, 1);
    }

    function test_transfer() public {
        vm.expectEmit(address(token));
        emit XbzzToken.Transfer(holder, spender, 1e16);
        vm.prank(holder);
        assertTrue(token.transfer(spender, 1e16));
        assertEq(token.balanceOf(holder), 99e16);
        assertEq(token.balanceOf(spender), 1e16);
    }

    function test_transfer_toZeroReverts() public {
        vm.prank(holder);
        vm.expectRevert(bytes(""));
        token.transfer(address(0), 1);
    }

    function test_failingTransfers_burnAllGas() public {
        assertBurnsAllGas(spender, abi.encodeCall(token.transfer, (holder, 1)));
        assertBurnsAllGas(spender, abi.encodeCall(token.transferFrom, (holder, spender, 1)));
        vm.prank(holder);
        token.approve(spender, type(uint256).max);
        assertBurnsAllGas(
            spender, abi.encodeCall(token.transferFrom, (holder, spender, 100e16 + 1))
        );
    }

    function test_transferFrom_lowersALimitedAllowance() public {
        vm.prank(holder);
        token.approve(spender, 5);
        vm.prank(spender);
        token.transferFrom(holder, spender, 2);
        assertEq(token.allowance(holder, spender), 3);
    }

    function test_transferFrom_keepsAnEndlessAllowance() public {
        vm.prank(holder);
        token.approve(spender, type(uint256).max);
        vm.prank(spender);
        token.transferFrom(holder, spender, 2);
        assertEq(token.allowance(holder, spender), type(uint256).max);
    }

    function test_transferFrom_oneself() public {
        vm.prank(holder);
        assertTrue(token.transferFrom(holder, spender, 2));
    }

    function test_allowance_isRaisedAndLowered() public {
        vm.startPrank(holder);
        token.increaseAllowance(spender, 5);
        token.decreaseAllowance(spender, 2);
        assertEq(token.allowance(holder, spender), 3);
        token.decreaseAllowance(spender, 9);
        assertEq(token.allowance(holder, spender), 0);
        token.approve(spender, type(uint256).max);
        vm.stopPrank();
        assertBurnsAllGas(holder, abi.encodeCall(token.increaseAllowance, (spender, 1)));
    }

    function test_transferAndCall_tellsTheReceiver() public {
        Receiver receiver = new Receiver();
        vm.startPrank(holder);
        assertTrue(token.transferAndCall(address(receiver), 7, "hello"));
        assertEq(receiver.from(), holder);
        assertEq(receiver.value(), 7);
        assertEq(receiver.data(), "hello");
        assertTrue(token.transferAndCall(spender, 7, ""));
        receiver.setAccept(false);
        vm.expectRevert(bytes(""));
        token.transferAndCall(address(receiver), 7, "");
        vm.expectRevert(bytes(""));
        token.transferAndCall(address(token), 7, "");
    }

    function test_permit_legacy() public {
        uint256 expiry = block.timestamp + 60;
        (uint8 v, bytes32 r, bytes32 s) = signLegacy(0, expiry, true);
        token.permit(holder, spender, 0, expiry, true, v, r, s);
        assertEq(token.allowance(holder, spender), type(uint256).max);
        assertEq(token.expirations(holder, spender), expiry);
        assertEq(token.nonces(holder), 1);
        vm.startPrank(spender);
        token.transferFrom(holder, spender, 1);
        vm.warp(expiry + 1);
        vm.expectRevert(bytes(""));
        token.transferFrom(holder, spender, 1);
        vm.stopPrank();

        (v, r, s) = signLegacy(1, 0, false);
        token.permit(holder, spender, 1, 0, false, v, r, s);
        assertEq(token.allowance(holder, spender), 0);
        assertEq(token.expirations(holder, spender), 0);
    }

    function test_permit_legacyReverts() public {
        uint256 expiry = block.timestamp + 60;
        (uint8 v, bytes32 r, bytes32 s) = signLegacy(0, expiry, true);
        vm.expectRevert(bytes(""));
        token.permit(holder, address(this), 0, expiry, true, v, r, s);
        vm.expectRevert(bytes(""));
        token.permit(holder, spender, 1, expiry, true, v, r, s);
        token.permit(holder, spender, 0, expiry, true, v, r, s);
        vm.expectRevert(bytes(""));
        token.permit(holder, spender, 0, expiry, true, v, r, s);
        (v, r, s) = signLegacy(1, expiry, true);
        vm.warp(expiry + 1);
        vm.expectRevert(bytes(""));
        token.permit(holder, spender, 1, expiry, true, v, r, s);
    }

    function test_permit_ofEip2612() public {
        uint256 deadline = block.timestamp + 60;
        (uint8 v, bytes32 r, bytes32 s) = sign2612(42, 0, deadline);
        token.permit(holder, spender, 42, deadline, v, r, s);
        assertEq(token.allowance(holder, spender), 42);
        vm.expectRevert(bytes(""));
        token.permit(holder, spender, 42, deadline, v, r, s);
        (v, r, s) = sign2612(type(uint256).max, 1, deadline);
        token.permit(holder, spender, type(uint256).max, deadline, v, r, s);
        assertEq(token.allowance(holder, spender), type(uint256).max);
        (v, r, s) = sign2612(1, 2, deadline);
        vm.warp(deadline + 1);
        vm.expectRevert(bytes(""));
        token.permit(holder, spender, 1, deadline, v, r, s);
    }

    function test_permit_ofTheZeroHolderReverts() public {
        vm.expectRevert(bytes(""));
        token.permit(address(0), spender, 1, block.timestamp, 27, 0, 0);
    }

    function test_fuzz_transfer_keepsTheSum(uint256 amount) public {
        amount = bound(amount, 0, 100e16);
        vm.prank(holder);
        token.transfer(spender, amount);
        assertEq(token.balanceOf(holder) + token.balanceOf(spender), token.totalSupply());
    }

    function assertBurnsAllGas(address from, bytes memory data) private {
        uint256 before = gasleft();
        vm.prank(from);
        (bool ok, bytes memory answer) = address(token).call{gas: 1_000_000}(data);
        assertFalse(ok);
        assertEq(answer.length, 0);
        assertGe(before - gasleft(), 1_000_000);
    }

    function signLegacy(uint256 nonce, uint256 expiry, bool allowed)
        private
        view
        returns (uint8, bytes32, bytes32)
    {
        return sign(
            keccak256(
                abi.encode(token.PERMIT_TYPEHASH_LEGACY(), holder, spender, nonce, expiry, allowed)
            )
        );
    }

    function sign2612(uint256 value, uint256 nonce, uint256 deadline)
        private
        view
        returns (uint8, bytes32, bytes32)
    {
        return sign(
            keccak256(abi.encode(token.PERMIT_TYPEHASH(), holder, spender, value, nonce, deadline))
        );
    }

    function sign(bytes32 permitHash) private view returns (uint8, bytes32, bytes32) {
        return
            vm.sign(
                key, keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), permitHash))
            );
    }
}
