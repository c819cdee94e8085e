// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {PaymentChannels} from "../../src/PaymentChannels.sol";
import {IPaymentChannels} from "../../src/interfaces/IPaymentChannels.sol";
import {XbzzToken} from "../../src/test/XbzzToken.sol";
import {ChannelSigning} from "../base/ChannelSigning.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice Three payers, three providers and a relay who do what they may and try what they may not,
/// next to a model of what every call has to do.
contract ChannelsHandler is ChannelSigning {
    /// @dev A channel as the model sees it. `highest` is the highest voucher that was submitted.
    struct Model {
        uint256 payer;
        uint256 provider;
        uint256 reserved;
        uint256 paid;
        uint256 highest;
        uint256 closingAt;
        bool closed;
    }

    enum Action {
        Claim,
        Batch,
        TopUp,
        CloseByProvider,
        CloseByRelay,
        RequestClose,
        RequestCloseFor,
        Finalize
    }

    uint256 public constant FUNDS = 1_000_000e16;
    uint40 private constant DELAY = 1 hours;
    uint40 private constant EVER = type(uint40).max;

    XbzzToken public immutable token;
    address public immutable relay = makeAddr("relay");
    address public immutable stranger = makeAddr("stranger");

    Vm.Wallet[] private payers;
    Vm.Wallet[] private signers;
    Vm.Wallet[] private providers;
    Vm.Wallet private forger = vm.createWallet("forger");
    Model[] public models;

    mapping(uint256 payer => uint256) public free;
    mapping(uint256 payer => uint256) public deposited;
    mapping(uint256 payer => uint256) public withdrawn;
    mapping(uint256 payer => uint64) private depositNonces;
    mapping(uint256 payer => uint64) private withdrawNonces;
    uint256 public fees;
    /// @dev How often each action did something, so that a run that tries nothing can be seen.
    mapping(Action action => uint256) public done;
    /// @dev Calls that went through and may be seen by everybody, to be sent again.
    bytes[] private sent;

    constructor(XbzzToken token_, PaymentChannels channels_) {
        (token, channels) = (token_, channels_);
        for (uint256 i = 0; i < 3; ++i) {
            payers.push(vm.createWallet(string.concat("payer ", vm.toString(i))));
            signers.push(vm.createWallet(string.concat("signer ", vm.toString(i))));
            providers.push(vm.createWallet(string.concat("provider ", vm.toString(i))));
        }
    }

    /// @dev To be called once the token was minted.
    function start() external {
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(payers[i].addr);
            token.approve(address(channels), type(uint256).max);
        }
    }

    // ------------------------------------------------------------------ balance

    function deposit(uint256 seed, uint128 amount, uint8 way) external {
        uint256 p = seed % 3;
        amount = uint128(bound(amount, 1, 50e16));
        if (token.balanceOf(payers[p].addr) < amount) return;
        if (way % 3 == 0) {
            vm.prank(payers[p].addr);
            channels.deposit(payers[p].addr, amount);
        } else if (way % 3 == 1) {
            vm.prank(payers[p].addr);
            token.transferAndCall(address(channels), amount, "");
        } else {
            depositFor(p, amount);
        }
        free[p] += amount;
        deposited[p] += amount;
    }

    function withdraw(uint256 seed, uint128 amount, uint128 fee, bool signed) external {
        uint256 p = seed % 3;
        amount = uint128(bound(amount, 1, 20e16));
        fee = signed ? uint128(bound(fee, 0, amount)) : 0;
        bytes memory call;
        if (signed) {
            IPaymentChannels.Withdrawal memory w = IPaymentChannels.Withdrawal(
                payers[p].addr, payers[p].addr, amount, fee, withdrawNonces[p], EVER
            );
            call = abi.encodeCall(
                IPaymentChannels.withdrawFor, (w, sign(payers[p], withdrawalHash(w)))
            );
        } else {
            call = abi.encodeCall(IPaymentChannels.withdraw, (amount, payers[p].addr));
        }
        bool ok = calls(signed ? relay : payers[p].addr, call);
        assertEq(ok, amount <= free[p], "withdraw");
        if (!ok) return;
        if (signed) {
            ++withdrawNonces[p];
            sent.push(call);
        }
        free[p] -= amount;
        withdrawn[p] += amount - fee;
        fees += fee;
    }

    // ------------------------------------------------------------------ channels

    function open(uint256 seed, uint256 providerSeed, uint128 amount, bool bySelf) external {
        uint256 p = seed % 3;
        amount = uint128(bound(amount, 1, 30e16));
        models.push(Model(p, providerSeed % 3, 0, 0, 0, 0, false));
        IPaymentChannels.Key memory k = key(models.length - 1);
        bytes memory signature = bySelf ? bytes("") : sign(payers[p], openHash(k, amount, EVER));
        bytes memory call = abi.encodeCall(IPaymentChannels.openFor, (k, amount, EVER, signature));
        bool ok = calls(bySelf ? payers[p].addr : providers[providerSeed % 3].addr, call);
        assertEq(ok, amount <= free[p], "open");
        if (!ok) {
            models.pop();
            return;
        }
        if (!bySelf) sent.push(call);
        free[p] -= amount;
        models[models.length - 1].reserved = amount;
    }

    /// @notice Somebody who may acts on a channel that is not closed.
    function act(uint256 seed, uint8 actionSeed, uint128 amount) external {
        (bool found, uint256 index) = findOpen(seed);
        if (found) tryAction(index, Action(actionSeed % 8), amount, seed);
    }

    /// @notice The same on any channel, closed ones among them.
    function actOnAny(uint256 seed, uint8 actionSeed, uint128 amount) external {
        if (models.length != 0) {
            tryAction(seed % models.length, Action(actionSeed % 8), amount, seed);
        }
    }

    /// @notice Whatever went through is sent again by a stranger. It moves nothing.
    function replay(uint256 seed) external {
        if (sent.length == 0) return;
        bytes32 before = state();
        calls(stranger, sent[seed % sent.length]);
        assertEq(state(), before, "a replay moved something");
    }

    /// @notice A stranger signs what others should.
    function forge(uint256 seed, uint128 amount) external {
        if (models.length == 0) return;
        IPaymentChannels.Key memory k = key(seed % models.length);
        bytes32 id = idOf(k);
        bytes32 before = state();
        vm.startPrank(stranger);
        bytes memory signature = sign(forger, voucherHash(id, amount, 0));
        IPaymentChannels.Row memory row = IPaymentChannels.Row(k, amount, 0, signature);
        refused(abi.encodeCall(IPaymentChannels.claim, (row)));
        signature = sign(forger, closeHash(id, amount, EVER));
        row.signature = voucher(seed % models.length, amount).signature;
        row.context = voucher(seed % models.length, amount).context;
        refused(abi.encodeCall(IPaymentChannels.closeTogether, (row, EVER, signature)));
        signature = sign(forger, requestCloseHash(k, EVER));
        refused(abi.encodeCall(IPaymentChannels.requestCloseFor, (k, EVER, signature)));
        IPaymentChannels.Withdrawal memory w = IPaymentChannels.Withdrawal(
            k.payer, stranger, 1, 0, withdrawNonces[models[seed % models.length].payer], EVER
        );
        signature = sign(forger, withdrawalHash(w));
        refused(abi.encodeCall(IPaymentChannels.withdrawFor, (w, signature)));
        vm.stopPrank();
        assertEq(state(), before, "a forgery moved something");
    }

    function passTime(uint256 secondsAhead) external {
        vm.warp(block.timestamp + bound(secondsAhead, 1, 40 minutes));
    }

    // ------------------------------------------------------------------ model

    function modelCount() external view returns (uint256) {
        return models.length;
    }

    function payerAt(uint256 index) external view returns (address) {
        return payers[index].addr;
    }

    function providerAt(uint256 index) external view returns (address) {
        return providers[index].addr;
    }

    function key(uint256 index) public view returns (IPaymentChannels.Key memory) {
        Model storage model = models[index];
        return IPaymentChannels.Key(
            payers[model.payer].addr,
            signers[model.payer].addr,
            providers[model.provider].addr,
            DELAY,
            bytes32(index)
        );
    }

    function tryAction(uint256 index, Action action, uint128 amount, uint256 seed) private {
        Model storage model = models[index];
        amount = uint128(bound(amount, 0, 2 * model.reserved + 2));
        if (action == Action.Batch) return tryBatch(index, amount, seed);
        bool allowed = isAllowed(model, action, amount);
        (address caller, bytes memory call) = encode(index, action, amount);
        bool ok = calls(caller, call);
        assertEq(ok, allowed, "allowed");
        if (ok) settle(model, action, amount);
        if (ok && (action == Action.TopUp || action > Action.CloseByProvider)) sent.push(call);
    }

    /// @dev A batch of this channel, of a second one, and of the first again.
    function tryBatch(uint256 index, uint128 amount, uint256 seed) private {
        uint256 second = uint256(keccak256(abi.encode(seed))) % models.length;
        IPaymentChannels.Row[] memory rows = new IPaymentChannels.Row[](3);
        rows[0] = voucher(index, amount);
        rows[1] = voucher(second, amount / 2);
        rows[2] = voucher(index, amount / 3);
        uint256 expected;
        if (isAllowed(models[index], Action.Claim, amount)) {
            expected += settle(models[index], Action.Claim, amount);
            ++done[Action.Batch];
        }
        if (
            models[second].provider == models[index].provider
                && isAllowed(models[second], Action.Claim, amount / 2)
        ) expected += settle(models[second], Action.Claim, amount / 2);
        if (isAllowed(models[index], Action.Claim, amount / 3)) {
            expected += settle(models[index], Action.Claim, amount / 3);
        }
        vm.prank(relay);
        assertEq(channels.claimMany(rows), expected, "claimMany");
    }

    function isAllowed(Model storage model, Action action, uint256 amount)
        private
        view
        returns (bool)
    {
        if (action == Action.Finalize) {
            return model.closed || (model.closingAt != 0 && block.timestamp >= model.closingAt);
        }
        if (action == Action.RequestClose || action == Action.RequestCloseFor) return true;
        if (model.closed) return false;
        if (action == Action.Claim) return capped(model, amount) > model.paid;
        if (action == Action.TopUp) {
            return model.closingAt == 0
                && (amount <= model.reserved || amount - model.reserved <= free[model.payer]);
        }
        return true;
    }

    /// @dev What the action does in the model; returns what the provider gets.
    function settle(Model storage model, Action action, uint256 amount)
        private
        returns (uint256 gained)
    {
        ++done[action];
        if (action == Action.TopUp) {
            if (amount <= model.reserved) return 0;
            free[model.payer] -= amount - model.reserved;
            model.reserved = amount;
        } else if (action == Action.RequestClose || action == Action.RequestCloseFor) {
            if (model.closingAt == 0 && !model.closed) model.closingAt = block.timestamp + DELAY;
        } else {
            if (model.closed) return 0;
            if (action != Action.Finalize) {
                if (amount > model.highest) model.highest = amount;
                uint256 total = capped(model, amount);
                if (total > model.paid) {
                    gained = total - model.paid;
                    model.paid = total;
                }
            }
            if (action == Action.Claim) return gained;
            model.closed = true;
            free[model.payer] += model.reserved - model.paid;
            model.reserved = model.paid;
        }
    }

    function capped(Model storage model, uint256 amount) private view returns (uint256) {
        return amount < model.reserved ? amount : model.reserved;
    }

    function encode(uint256 index, Action action, uint128 amount)
        private
        view
        returns (address caller, bytes memory call)
    {
        IPaymentChannels.Key memory k = key(index);
        Vm.Wallet memory payer = payers[models[index].payer];
        caller = relay;
        if (action == Action.Claim) {
            call = abi.encodeCall(IPaymentChannels.claim, (voucher(index, amount)));
        } else if (action == Action.TopUp) {
            bytes memory signature = sign(payer, topUpHash(k, amount, EVER));
            call = abi.encodeCall(IPaymentChannels.topUpFor, (k, amount, EVER, signature));
        } else if (action == Action.CloseByProvider) {
            caller = k.provider;
            call = abi.encodeCall(IPaymentChannels.closeTogether, (voucher(index, amount), 0, ""));
        } else if (action == Action.CloseByRelay) {
            bytes memory consent =
                sign(providers[models[index].provider], closeHash(idOf(k), amount, EVER));
            call = abi.encodeCall(
                IPaymentChannels.closeTogether, (voucher(index, amount), EVER, consent)
            );
        } else if (action == Action.RequestClose) {
            caller = k.payer;
            call = abi.encodeCall(IPaymentChannels.requestClose, (k));
        } else if (action == Action.RequestCloseFor) {
            bytes memory signature = sign(payer, requestCloseHash(k, EVER));
            call = abi.encodeCall(IPaymentChannels.requestCloseFor, (k, EVER, signature));
        } else {
            call = abi.encodeCall(IPaymentChannels.finalizeClose, (k));
        }
    }

    function voucher(uint256 index, uint128 cumulative)
        private
        view
        returns (IPaymentChannels.Row memory)
    {
        IPaymentChannels.Key memory k = key(index);
        bytes32 context = keccak256(abi.encode(cumulative));
        bytes memory signature =
            sign(signers[models[index].payer], voucherHash(idOf(k), cumulative, context));
        return IPaymentChannels.Row(k, cumulative, context, signature);
    }

    function depositFor(uint256 p, uint128 amount) private {
        IPaymentChannels.Deposit memory d =
            IPaymentChannels.Deposit(payers[p].addr, amount, depositNonces[p]++, EVER);
        IPaymentChannels.Permit memory none;
        bytes memory call =
            abi.encodeCall(IPaymentChannels.depositFor, (d, sign(payers[p], depositHash(d)), none));
        assertTrue(calls(relay, call), "depositFor");
        sent.push(call);
    }

    function findOpen(uint256 seed) private view returns (bool, uint256) {
        uint256 count = models.length;
        for (uint256 i = 0; i < count; ++i) {
            uint256 index = (seed % count + i) % count;
            if (!models[index].closed) return (true, index);
        }
        return (false, 0);
    }

    /// @dev All that a call could move.
    function state() private view returns (bytes32 hash) {
        for (uint256 i = 0; i < 3; ++i) {
            (uint128 amount,,) = channels.accounts(payers[i].addr);
            uint256 held = token.balanceOf(providers[i].addr);
            hash = keccak256(abi.encode(hash, amount, token.balanceOf(payers[i].addr), held));
        }
        (uint128 strangers,,) = channels.accounts(stranger);
        hash = keccak256(abi.encode(hash, strangers, token.balanceOf(stranger)));
        for (uint256 i = 0; i < models.length; ++i) {
            (uint96 reserved, uint96 paid, uint40 closingAt) = channels.channels(idOf(key(i)));
            hash = keccak256(abi.encode(hash, reserved, paid, closingAt));
        }
    }

    function calls(address caller, bytes memory data) private returns (bool ok) {
        vm.prank(caller);
        (ok,) = address(channels).call(data);
    }

    function refused(bytes memory data) private {
        (bool ok,) = address(channels).call(data);
        assertFalse(ok, "a forgery went through");
    }
}
