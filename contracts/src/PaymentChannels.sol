// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {ChannelMessages} from "./ChannelMessages.sol";
import {IPaymentChannels} from "./interfaces/IPaymentChannels.sol";
import {IPermittableToken} from "./interfaces/IPermittableToken.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @title PaymentChannels
/// @notice See `IPaymentChannels`.
contract PaymentChannels is ChannelMessages, ReentrancyGuardTransient {
    /// @dev `closingAt` of a channel that is closed for ever.
    uint40 private constant CLOSED = type(uint40).max;

    /// @inheritdoc IPaymentChannels
    address public immutable override xbzz;

    /// @inheritdoc IPaymentChannels
    mapping(address payer => Account) public override accounts;
    /// @inheritdoc IPaymentChannels
    mapping(bytes32 id => Channel) public override channels;

    /// @param _xbzz The token of payments.
    constructor(address _xbzz) {
        require(_xbzz != address(0), ZeroAddress());
        xbzz = _xbzz;
    }

    // ------------------------------------------------------------------ balance

    /// @inheritdoc IPaymentChannels
    function deposit(address payer, uint128 amount) external override nonReentrant {
        _credit(payer, msg.sender, amount);
        _pull(msg.sender, amount);
    }

    /// @inheritdoc IPaymentChannels
    /// @dev The old image of the token calls this on plain transfers too, those of `deposit` among
    /// them: the lock refuses what would be counted twice. It must revert, for that token does not
    /// look at the answer.
    function onTokenTransfer(address from, uint256 value, bytes calldata data)
        external
        override
        nonReentrant
        returns (bool)
    {
        require(msg.sender == xbzz, NotToken(msg.sender));
        require(data.length == 0 || data.length == 20, BadTokenData(data.length));
        _credit(data.length == 0 ? from : address(bytes20(data)), from, value);
        return true;
    }

    /// @inheritdoc IPaymentChannels
    function depositFor(Deposit calldata d, bytes calldata payerSig, Permit calldata p)
        external
        override
        nonReentrant
        returns (bool moved)
    {
        Account storage account = accounts[d.payer];
        uint64 nonce = account.depositNonce;
        if (d.nonce < nonce) return false;
        require(d.nonce == nonce, WrongNonce(d.nonce, nonce));
        _requireInTime(d.deadline);
        _requirePayerSigned(d.payer, _depositHash(d), payerSig);

        account.depositNonce = nonce + 1;
        _credit(d.payer, d.payer, d.amount);
        _cover(d.payer, d.amount, p);
        _pull(d.payer, d.amount);
        return true;
    }

    /// @inheritdoc IPaymentChannels
    function withdraw(uint128 amount, address to) external override nonReentrant {
        _withdraw(msg.sender, to, amount, 0);
    }

    /// @inheritdoc IPaymentChannels
    function withdrawFor(Withdrawal calldata w, bytes calldata payerSig)
        external
        override
        nonReentrant
    {
        Account storage account = accounts[w.payer];
        uint64 nonce = account.withdrawNonce;
        require(w.nonce == nonce, WrongNonce(w.nonce, nonce));
        _requireInTime(w.deadline);
        _requirePayerSigned(w.payer, _withdrawalHash(w), payerSig);
        require(w.fee <= w.amount, FeeAboveAmount(w.fee, w.amount));

        account.withdrawNonce = nonce + 1;
        _withdraw(w.payer, w.to, w.amount, w.fee);
    }

    // ------------------------------------------------------------------ opening

    /// @inheritdoc IPaymentChannels
    function openFor(Key calldata key, uint128 amount, uint40 deadline, bytes calldata payerSig)
        external
        override
        returns (bytes32 id)
    {
        bytes32 channelHash = _channelHash(key);
        id = _id(channelHash);
        Channel storage channel = channels[id];
        (uint96 reserved, uint40 closingAt) = (channel.reserved, channel.closingAt);
        if (reserved != 0 && reserved >= amount && closingAt == 0) return id;
        require(reserved == 0 && closingAt == 0, ChannelExists(id));
        require(amount != 0, ZeroAmount());
        require(key.signer != address(0) && key.provider != address(0), ZeroAddress());
        require(key.provider != address(this), SelfPayment());
        _authorise(key.payer, _openHash(channelHash, amount, deadline), deadline, payerSig);

        _debit(key.payer, amount);
        channel.reserved = _fitting(amount);
        emit Opened(id, key.provider, key.payer, key.signer, key.closeDelay, key.salt, amount);
    }

    /// @inheritdoc IPaymentChannels
    function topUpFor(
        Key calldata key,
        uint128 reservedTotal,
        uint40 deadline,
        bytes calldata payerSig
    ) external override {
        bytes32 channelHash = _channelHash(key);
        bytes32 id = _id(channelHash);
        Channel storage channel = channels[id];
        uint96 reserved = channel.reserved;
        require(reserved != 0 && channel.closingAt == 0, ChannelNotOpen(id));
        if (reserved >= reservedTotal) return;
        _authorise(key.payer, _topUpHash(channelHash, reservedTotal, deadline), deadline, payerSig);

        _debit(key.payer, reservedTotal - reserved);
        channel.reserved = _fitting(reservedTotal);
        emit ToppedUp(id, key.provider, reservedTotal);
    }

    // ------------------------------------------------------------------ claiming

    /// @inheritdoc IPaymentChannels
    function claim(Row calldata row) external override nonReentrant returns (uint128 paid) {
        bytes32 id = channelId(row.key);
        Skip reason;
        (paid, reason) = _settle(id, row);
        require(reason == Skip.None, NothingToClaim(id, reason));
        _send(row.key.provider, paid);
    }

    /// @inheritdoc IPaymentChannels
    function claimMany(Row[] calldata rows) external override nonReentrant returns (uint256 paid) {
        if (rows.length == 0) return 0;
        address provider = rows[0].key.provider;
        for (uint256 i = 0; i < rows.length; ++i) {
            Row calldata row = rows[i];
            bytes32 id = channelId(row.key);
            (uint128 part, Skip reason) =
                row.key.provider == provider ? _settle(id, row) : (0, Skip.OtherProvider);
            if (reason == Skip.None) paid += part;
            else emit Skipped(id, reason);
        }
        _send(provider, paid);
    }

    // ------------------------------------------------------------------ closing

    /// @inheritdoc IPaymentChannels
    function closeTogether(Row calldata last, uint40 deadline, bytes calldata providerSig)
        external
        override
        nonReentrant
        returns (uint128 paid)
    {
        Key calldata key = last.key;
        bytes32 id = channelId(key);
        Channel memory channel = channels[id];
        require(channel.reserved != 0 && channel.closingAt != CLOSED, ChannelNotOpen(id));
        if (msg.sender != key.provider) {
            _requireInTime(deadline);
            bytes32 consent = _closeHash(id, last.cumulative, deadline);
            require(_isSigned(key.provider, consent, providerSig), InvalidSignature(key.provider));
        }
        require(_isSignedVoucher(id, last), InvalidSignature(key.signer));

        uint96 total = _payable(channel.reserved, last.cumulative);
        if (total < channel.paid) total = channel.paid;
        _close(id, key, channel.reserved, total);
        paid = total - channel.paid;
        _send(key.provider, paid);
    }

    /// @inheritdoc IPaymentChannels
    function requestClose(Key calldata key) external override {
        require(msg.sender == key.payer, NotPayer(key.payer));
        _requestClose(channelId(key), key);
    }

    /// @inheritdoc IPaymentChannels
    function requestCloseFor(Key calldata key, uint40 deadline, bytes calldata payerSig)
        external
        override
    {
        bytes32 channelHash = _channelHash(key);
        _requireInTime(deadline);
        _requirePayerSigned(key.payer, _requestCloseHash(channelHash, deadline), payerSig);
        _requestClose(_id(channelHash), key);
    }

    /// @inheritdoc IPaymentChannels
    function finalizeClose(Key calldata key) external override {
        bytes32 id = channelId(key);
        Channel memory channel = channels[id];
        if (channel.closingAt == CLOSED) return;
        require(channel.closingAt != 0, ChannelNotClosing(id));
        require(block.timestamp >= channel.closingAt, ClosesLater(id, channel.closingAt));
        _close(id, key, channel.reserved, channel.paid);
    }

    // ------------------------------------------------------------------ many at once, views

    /// @inheritdoc IPaymentChannels
    function multicall(bytes[] calldata calls) external override {
        for (uint256 i = 0; i < calls.length; ++i) {
            // Nobody asks for the answers, and to return them would cost gas.
            // slither-disable-next-line unused-return
            Address.functionDelegateCall(address(this), calls[i]);
        }
    }

    /// @inheritdoc IPaymentChannels
    function channelsOf(bytes32[] calldata ids)
        external
        view
        override
        returns (Channel[] memory found)
    {
        found = new Channel[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            found[i] = channels[ids[i]];
        }
    }

    /// @inheritdoc IPaymentChannels
    function channelId(Key calldata key) public view override returns (bytes32) {
        return _id(_channelHash(key));
    }

    // ------------------------------------------------------------------ inside

    /// @dev The payer calls itself and signs nothing, or has signed.
    function _authorise(
        address payer,
        bytes32 messageHash,
        uint40 deadline,
        bytes calldata signature
    ) private view {
        _requireInTime(deadline);
        if (msg.sender == payer && signature.length == 0) return;
        _requirePayerSigned(payer, messageHash, signature);
    }

    /// @dev Counts a voucher: what it adds to what was paid, or why it adds nothing.
    function _settle(bytes32 id, Row calldata row) private returns (uint128 part, Skip reason) {
        Channel storage channel = channels[id];
        (uint96 reserved, uint96 before) = (channel.reserved, channel.paid);
        if (reserved == 0 || channel.closingAt == CLOSED) return (0, Skip.NotOpen);
        uint96 total = _payable(reserved, row.cumulative);
        if (total <= before) return (0, Skip.NothingNew);
        if (!_isSignedVoucher(id, row)) return (0, Skip.BadSignature);

        channel.paid = total;
        emit Claimed(id, row.key.provider, total, row.context);
        return (total - before, Skip.None);
    }

    function _isSignedVoucher(bytes32 id, Row calldata row) private view returns (bool) {
        bytes32 voucher = _voucherHash(id, row.cumulative, row.context);
        return _isSigned(row.key.signer, voucher, row.signature);
    }

    /// @dev What a channel can pay of a voucher: the rest is paid after a top-up.
    function _payable(uint96 reserved, uint128 cumulative) private pure returns (uint96) {
        return cumulative < reserved ? uint96(cumulative) : reserved;
    }

    /// @dev Asking again changes nothing: the delay runs from the first time.
    function _requestClose(bytes32 id, Key calldata key) private {
        Channel storage channel = channels[id];
        if (channel.closingAt != 0) return;
        require(channel.reserved != 0, ChannelNotOpen(id));

        uint256 closingAt = block.timestamp + key.closeDelay;
        // A delay beyond the end of time must neither lock the channel nor look closed.
        if (closingAt >= CLOSED) closingAt = CLOSED - 1;
        channel.closingAt = uint40(closingAt);
        emit CloseRequested(id, key.provider, closingAt);
    }

    /// @dev The slot keeps what was paid, so that the id is never opened again and can be read.
    function _close(bytes32 id, Key calldata key, uint96 reserved, uint96 total) private {
        uint96 released = reserved - total;
        channels[id] = Channel({reserved: total, paid: total, closingAt: CLOSED});
        if (released != 0) accounts[key.payer].free += released;
        emit Closed(id, key.provider, total, released);
    }

    function _withdraw(address payer, address to, uint128 amount, uint128 fee) private {
        require(amount != 0, ZeroAmount());
        require(to != address(0), ZeroAddress());
        require(to != address(this), SelfPayment());

        _debit(payer, amount);
        if (fee != 0) accounts[msg.sender].free += fee;
        emit Withdrawn(payer, to, amount, fee);
        _send(to, amount - fee);
    }

    function _credit(address payer, address from, uint256 amount) private {
        require(payer != address(0), ZeroAddress());
        require(payer != address(this), SelfPayment());
        require(amount != 0, ZeroAmount());
        require(amount <= type(uint128).max, AmountTooLarge(amount, type(uint128).max));
        accounts[payer].free += uint128(amount);
        emit Deposited(payer, from, amount);
    }

    function _debit(address payer, uint128 amount) private {
        uint128 free = accounts[payer].free;
        require(amount <= free, InsufficientFreeBalance(free, amount));
        accounts[payer].free = free - amount;
    }

    function _fitting(uint128 amount) private pure returns (uint96) {
        require(amount <= type(uint96).max, AmountTooLarge(amount, type(uint96).max));
        return uint96(amount);
    }

    /// @dev Uses the permit if the allowance is too low, and refuses what the token would: a failing
    /// `transferFrom` of it burns all gas. A permit that fails was used by a copy of the transaction
    /// before, or leaves the allowance too low, which is seen here.
    function _cover(address payer, uint128 amount, Permit calldata p) private {
        IPermittableToken token = IPermittableToken(xbzz);
        uint256 allowance = token.allowance(payer, address(this));
        if (allowance < amount && p.kind != PermitKind.None) {
            _permit(token, payer, p);
            allowance = token.allowance(payer, address(this));
        }
        uint256 balance = token.balanceOf(payer);
        require(
            amount <= allowance && amount <= balance, DepositNotCovered(allowance, balance, amount)
        );
    }

    function _permit(IPermittableToken token, address payer, Permit calldata p) private {
        if (p.kind == PermitKind.Eip2612) {
            try token.permit(payer, address(this), p.value, p.deadline, p.v, p.r, p.s) {} catch {}
        } else {
            try token.permit(payer, address(this), p.value, p.deadline, true, p.v, p.r, p.s) {}
                catch {}
        }
    }

    /// @dev The balance has to grow by just the amount, whatever the token answers.
    function _pull(address from, uint128 amount) private {
        IPermittableToken token = IPermittableToken(xbzz);
        uint256 before = token.balanceOf(address(this));
        require(token.transferFrom(from, address(this), amount), TransferFailed());
        uint256 moved = token.balanceOf(address(this)) - before;
        // The lock keeps this contract's own transfers out of the difference, so that it is the deposit.
        // slither-disable-next-line reentrancy-balance,incorrect-equality
        require(moved == amount, WrongAmountMoved(moved, amount));
    }

    function _send(address to, uint256 amount) private {
        if (amount == 0) return;
        require(IPermittableToken(xbzz).transfer(to, amount), TransferFailed());
    }
}
