// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {PaymentChannels} from "../../src/PaymentChannels.sol";
import {IPaymentChannels} from "../../src/interfaces/IPaymentChannels.sol";
import {XbzzToken} from "../../src/test/XbzzToken.sol";
import {ChannelSigning} from "../base/ChannelSigning.sol";
import {newProxiedToken} from "../base/TokenProxy.sol";
import {ChannelsHandler} from "./ChannelsHandler.sol";

contract ChannelsInvariants is ChannelSigning {
    XbzzToken private token;
    ChannelsHandler private handler;

    function setUp() public {
        vm.warp(1_750_000_000);
        token = newProxiedToken();
        channels = new PaymentChannels(address(token));
        handler = new ChannelsHandler(token, channels);
        for (uint256 i = 0; i < 3; ++i) {
            token.mint(handler.payerAt(i), handler.FUNDS());
        }
        handler.start();

        targetContract(address(handler));
        // What channels do is drawn more often than the rest.
        bytes4[] memory selectors = new bytes4[](12);
        selectors[0] = ChannelsHandler.deposit.selector;
        selectors[1] = ChannelsHandler.deposit.selector;
        selectors[2] = ChannelsHandler.withdraw.selector;
        selectors[3] = ChannelsHandler.open.selector;
        selectors[4] = ChannelsHandler.open.selector;
        selectors[5] = ChannelsHandler.act.selector;
        selectors[6] = ChannelsHandler.act.selector;
        selectors[7] = ChannelsHandler.act.selector;
        selectors[8] = ChannelsHandler.actOnAny.selector;
        selectors[9] = ChannelsHandler.replay.selector;
        selectors[10] = ChannelsHandler.forge.selector;
        selectors[11] = ChannelsHandler.passTime.selector;
        targetSelector(FuzzSelector({addr: address(handler), selectors: selectors}));
    }

    /// @dev Whatever was done, each payer gets the rest back within the delay and one more call, and
    /// nothing stays behind.
    function afterInvariant() public {
        for (uint256 i = 0; i < handler.modelCount(); ++i) {
            IPaymentChannels.Key memory k = handler.key(i);
            vm.prank(k.payer);
            channels.requestClose(k);
        }
        vm.warp(block.timestamp + 1 hours);
        for (uint256 i = 0; i < handler.modelCount(); ++i) {
            channels.finalizeClose(handler.key(i));
        }
        for (uint256 p = 0; p < 3; ++p) {
            empty(handler.payerAt(p));
            uint256 spent;
            for (uint256 i = 0; i < handler.modelCount(); ++i) {
                (uint256 of_,,, uint256 paid,,,) = handler.models(i);
                if (of_ == p) spent += paid;
            }
            // The relay's fees are the payers' as well.
            assertLe(token.balanceOf(handler.payerAt(p)) + spent, handler.FUNDS(), "payer gained");
            assertGe(
                token.balanceOf(handler.payerAt(p)) + spent + handler.fees(),
                handler.FUNDS(),
                "payer lost"
            );
        }
        empty(handler.relay());
        assertEq(token.balanceOf(address(channels)), 0, "nothing stays behind");
    }

    /// @dev The handler is no use if some of its calls never do anything.
    function test_handler_reachesEachAction() public {
        for (uint256 i = 0; i < 600; ++i) {
            uint256 seed = uint256(keccak256(abi.encode(i)));
            if (i % 4 == 0) handler.open(seed, seed >> 8, uint128(seed), seed >> 16 & 1 == 0);
            else if (i % 7 == 0) handler.deposit(seed, uint128(seed), uint8(seed >> 8));
            else if (i % 9 == 0) handler.passTime(seed);
            else handler.act(seed, uint8(seed >> 8), uint128(seed >> 16));
        }
        for (uint8 action = 0; action < 8; ++action) {
            assertGt(handler.done(ChannelsHandler.Action(action)), 2, "never done");
        }
    }

    /// @dev One function, so that a campaign checks them all.
    /// forge-config: default.invariant.runs = 32
    /// forge-config: ci.invariant.runs = 64
    /// forge-config: ci.invariant.depth = 64
    /// forge-config: deep.invariant.runs = 256
    /// forge-config: deep.invariant.depth = 200
    function invariant_everyPlurIsWhereTheVouchersSay() public view {
        theContractHoldsWhatItOwes();
        channelsAreTheModels();
        freeBalancesAreTheModels();
        providersHaveWhatWasSignedAndNobodyElseAnything();
    }

    function theContractHoldsWhatItOwes() private view {
        uint256 sum = freeOf(handler.relay());
        for (uint256 p = 0; p < 3; ++p) {
            sum += freeOf(handler.payerAt(p));
        }
        for (uint256 i = 0; i < handler.modelCount(); ++i) {
            (uint96 reserved, uint96 paid,) = channels.channels(idOf(handler.key(i)));
            assertLe(paid, reserved, "paid above what was reserved");
            sum += reserved - paid;
        }
        assertEq(token.balanceOf(address(channels)), sum);
    }

    function channelsAreTheModels() private view {
        for (uint256 i = 0; i < handler.modelCount(); ++i) {
            (,, uint256 reserved, uint256 paid,, uint256 closingAt, bool closed) = handler.models(i);
            (uint96 reserved_, uint96 paid_, uint40 closingAt_) =
                channels.channels(idOf(handler.key(i)));
            assertEq(reserved_, reserved, "reserved");
            assertEq(paid_, paid, "paid");
            assertEq(closingAt_, closed ? type(uint40).max : closingAt, "closingAt");
        }
    }

    function freeBalancesAreTheModels() private view {
        for (uint256 p = 0; p < 3; ++p) {
            assertEq(freeOf(handler.payerAt(p)), handler.free(p));
            assertEq(
                token.balanceOf(handler.payerAt(p)) + handler.deposited(p),
                handler.FUNDS() + handler.withdrawn(p)
            );
        }
        assertEq(freeOf(handler.relay()), handler.fees());
    }

    function providersHaveWhatWasSignedAndNobodyElseAnything() private view {
        for (uint256 p = 0; p < 3; ++p) {
            uint256 earned;
            uint256 signed;
            for (uint256 i = 0; i < handler.modelCount(); ++i) {
                (, uint256 provider,, uint256 paid, uint256 highest,,) = handler.models(i);
                if (provider != p) continue;
                earned += paid;
                signed += highest;
            }
            assertEq(token.balanceOf(handler.providerAt(p)), earned);
            assertLe(earned, signed, "paid above the vouchers");
        }
        assertEq(token.balanceOf(handler.relay()), 0);
        assertEq(token.balanceOf(handler.stranger()), 0);
        assertEq(freeOf(handler.stranger()), 0);
    }

    function freeOf(address wallet) private view returns (uint128 free) {
        (free,,) = channels.accounts(wallet);
    }

    function empty(address wallet) private {
        uint128 free = freeOf(wallet);
        if (free == 0) return;
        vm.prank(wallet);
        channels.withdraw(free, wallet);
    }
}
