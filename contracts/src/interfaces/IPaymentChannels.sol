// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

/// @title Payment channels: one balance for each payer, one-way channels out of it.
/// @notice A payer deposits once. It opens a channel for each provider by a signature that anybody
/// may submit, and its key of the channel (the signer) signs vouchers, each for everything owed so
/// far. The provider claims the newest one whenever it likes. A channel ends at once when the
/// provider agrees, else `closeDelay` seconds after the payer asked; what is left is the payer's
/// again. All amounts are PLUR: one xBZZ is 10^16 PLUR. `docs/spec.md` has the signed messages.
interface IPaymentChannels {
    /// @notice What makes a channel. Its id, the EIP-712 digest of this under the domain of the
    /// deployment, can be used once.
    /// @param payer Whose balance the channel is opened from and what is left goes back to; a wallet
    /// or a contract with ERC-1271.
    /// @param signer The key that signs vouchers. A key and no contract: a contract could accept a
    /// voucher today and refuse it at the claim.
    /// @param provider Who is paid, and nobody else.
    /// @param closeDelay Seconds from the payer's request to close until it may be closed.
    /// @param salt Tells channels apart that are equal otherwise.
    struct Key {
        address payer;
        address signer;
        address provider;
        uint40 closeDelay;
        bytes32 salt;
    }

    /// @notice A voucher with the channel that it is for.
    /// @param cumulative All that the payer owes since the channel was opened.
    /// @param context What it is paid for; not interpreted here.
    /// @param signature 65 bytes r‖s‖v of the signer over `Voucher(id, cumulative, context)`.
    struct Row {
        Key key;
        uint128 cumulative;
        bytes32 context;
        bytes signature;
    }

    /// @notice A deposit that the payer signed.
    struct Deposit {
        address payer;
        uint128 amount;
        uint64 nonce;
        uint40 deadline;
    }

    /// @notice A withdrawal that the payer signed. `to` gets `amount - fee`.
    struct Withdrawal {
        address payer;
        address to;
        uint128 amount;
        uint128 fee;
        uint64 nonce;
        uint40 deadline;
    }

    /// @notice The permits of the token: none, of EIP-2612, or DAI's (xBZZ has both vintages).
    enum PermitKind {
        None,
        Eip2612,
        Dai
    }

    /// @notice A permit for this contract, signed by the payer.
    /// @param value The allowance; for DAI's kind the permit's nonce.
    /// @param deadline For DAI's kind the permit's expiry.
    struct Permit {
        PermitKind kind;
        uint256 value;
        uint256 deadline;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    /// @notice A payer's balance that no channel holds, and the nonces of its next signed deposit and
    /// withdrawal.
    struct Account {
        uint128 free;
        uint64 depositNonce;
        uint64 withdrawNonce;
    }

    /// @notice A channel. `reserved` is all that it ever held, `paid` what the provider has of it.
    /// `closingAt` is 0 while it is open, the second from which it may be closed once that was asked
    /// for, and 2^40 - 1 when it is closed for ever (`reserved` equals `paid` then).
    struct Channel {
        uint96 reserved;
        uint96 paid;
        uint40 closingAt;
    }

    /// @notice Why a row pays nothing.
    enum Skip {
        None,
        OtherProvider,
        NotOpen,
        NothingNew,
        BadSignature
    }

    /// @notice Thrown when the address zero stands where a wallet or contract must.
    error ZeroAddress();
    /// @notice Thrown when this contract would be paid.
    error SelfPayment();
    /// @notice Thrown when an amount is zero.
    error ZeroAmount();
    /// @notice Thrown when an amount is more than can be kept.
    error AmountTooLarge(uint256 amount, uint256 limit);
    /// @notice Thrown when somebody else than the token reports tokens.
    error NotToken(address caller);
    /// @notice Thrown when tokens come with data that are neither empty nor an address.
    error BadTokenData(uint256 length);
    /// @notice Thrown when the token answers false.
    error TransferFailed();
    /// @notice Thrown when the token moved something else than it was told.
    error WrongAmountMoved(uint256 moved, uint256 expected);
    /// @notice Thrown when the payer's allowance or balance at the token is below its deposit.
    error DepositNotCovered(uint256 allowance, uint256 balance, uint256 needed);
    /// @notice Thrown when the payer's free balance is less than what is to leave it.
    error InsufficientFreeBalance(uint128 free, uint128 needed);
    /// @notice Thrown when the fee is more than what is withdrawn.
    error FeeAboveAmount(uint128 fee, uint128 amount);
    /// @notice Thrown when a signed deposit or withdrawal is not the payer's next.
    error WrongNonce(uint64 nonce, uint64 expected);
    /// @notice Thrown when a signature's deadline is over.
    error SignatureExpired(uint40 deadline);
    /// @notice Thrown when a signature is not by this wallet, or not for this message.
    error InvalidSignature(address signer);
    /// @notice Thrown when the caller is not the channel's payer.
    error NotPayer(address payer);
    /// @notice Thrown when the channel was opened before with less, is closing, or is closed.
    error ChannelExists(bytes32 id);
    /// @notice Thrown when the channel was never opened, or does not allow this any more.
    error ChannelNotOpen(bytes32 id);
    /// @notice Thrown when nobody asked to close the channel.
    error ChannelNotClosing(bytes32 id);
    /// @notice Thrown when it is too early to close the channel.
    error ClosesLater(bytes32 id, uint40 closingAt);
    /// @notice Thrown when a single row pays nothing.
    error NothingToClaim(bytes32 id, Skip reason);

    /// @notice The payer's free balance grew by tokens of `from`.
    event Deposited(address indexed payer, address indexed from, uint256 amount);
    /// @notice The payer's free balance fell by `amount`: `to` got it less the fee, which is in the
    /// free balance of the transaction's sender.
    event Withdrawn(address indexed payer, address indexed to, uint256 amount, uint256 fee);
    /// @notice A channel was opened.
    event Opened(
        bytes32 indexed id,
        address indexed provider,
        address indexed payer,
        address signer,
        uint40 closeDelay,
        bytes32 salt,
        uint256 reserved
    );
    /// @notice A channel holds `reserved` in all from now on.
    event ToppedUp(bytes32 indexed id, address indexed provider, uint256 reserved);
    /// @notice A voucher was claimed. `paid` is the channel's total, not the difference.
    event Claimed(bytes32 indexed id, address indexed provider, uint256 paid, bytes32 context);
    /// @notice A row of a batch paid nothing.
    event Skipped(bytes32 indexed id, Skip reason);
    /// @notice The payer asked to close a channel: claims count until it is closed, which may happen
    /// from `closingAt` on.
    event CloseRequested(bytes32 indexed id, address indexed provider, uint256 closingAt);
    /// @notice A channel is closed. `paid` is its total, a last voucher included; `released` is what
    /// went back to the payer's free balance.
    event Closed(bytes32 indexed id, address indexed provider, uint256 paid, uint256 released);

    /// @notice The token of payments.
    function xbzz() external view returns (address);
    /// @notice A payer's free balance and nonces.
    function accounts(address payer)
        external
        view
        returns (uint128 free, uint64 depositNonce, uint64 withdrawNonce);
    /// @notice A channel; zeros for an id that was never opened.
    function channels(bytes32 id)
        external
        view
        returns (uint96 reserved, uint96 paid, uint40 closingAt);
    /// @notice Many channels, in the order of the ids.
    function channelsOf(bytes32[] calldata ids) external view returns (Channel[] memory);
    /// @notice A channel's id. It does not depend on the chain's id of the day: after a fork the money
    /// of the channels stays within reach.
    function channelId(Key calldata key) external view returns (bytes32);

    /// @notice Takes xBZZ of the caller, who has approved it, into a payer's free balance.
    function deposit(address payer, uint128 amount) external;
    /// @notice Called by the token when tokens were sent with `transferAndCall`: they are the free
    /// balance of `from`, or of the payer whose 20 bytes stand in `data`.
    function onTokenTransfer(address from, uint256 value, bytes calldata data)
        external
        returns (bool);
    /// @notice Takes xBZZ of a payer, who signed for it, into the payer's free balance. The permit is
    /// used if the allowance is too low, and one that was used by somebody else before is no error.
    /// @return moved False, and nothing happens, when a deposit of this nonce was made before.
    function depositFor(Deposit calldata d, bytes calldata payerSig, Permit calldata p)
        external
        returns (bool moved);
    /// @notice Sends some of the caller's free balance.
    function withdraw(uint128 amount, address to) external;
    /// @notice Sends some of a payer's free balance, as the payer signed; the fee goes to the caller's
    /// free balance.
    function withdrawFor(Withdrawal calldata w, bytes calldata payerSig) external;

    /// @notice Opens a channel with `amount` of the payer's free balance, signed by the payer; the
    /// payer itself gives an empty signature. Does nothing when the channel is open, not closing, and
    /// holds that much.
    function openFor(Key calldata key, uint128 amount, uint40 deadline, bytes calldata payerSig)
        external
        returns (bytes32 id);
    /// @notice Raises what an open channel holds to `reservedTotal` out of the payer's free balance,
    /// signed as for `openFor`. Does nothing when it holds that much.
    function topUpFor(
        Key calldata key,
        uint128 reservedTotal,
        uint40 deadline,
        bytes calldata payerSig
    ) external;

    /// @notice Pays the provider what a voucher is above what was paid, up to what the channel holds.
    /// Anybody may call. Counts until the channel is closed.
    /// @return paid What the provider got now.
    function claim(Row calldata row) external returns (uint128 paid);
    /// @notice The same for many vouchers in one transfer, to the provider of the first row. A row that
    /// pays nothing is skipped, and so is another provider's.
    /// @return paid What the provider got now.
    function claimMany(Row[] calldata rows) external returns (uint256 paid);

    /// @notice Closes a channel at once, with the signer's last voucher and the provider's consent: its
    /// own call, or its signature over `Close(id, cumulative, deadline)` of the same amount. A consent
    /// that is kept while serving goes on closes at the old amount, so providers close by their own call.
    /// @param deadline Of the consent; ignored with it when the provider itself calls.
    /// @return paid What the provider got now.
    function closeTogether(Row calldata last, uint40 deadline, bytes calldata providerSig)
        external
        returns (uint128 paid);
    /// @notice Asks to close a channel. Payer only. Does nothing when that was asked for before.
    function requestClose(Key calldata key) external;
    /// @notice The same, signed by the payer.
    function requestCloseFor(Key calldata key, uint40 deadline, bytes calldata payerSig) external;
    /// @notice Closes a channel whose delay is over; what is left is the payer's free balance. Anybody
    /// may call. Does nothing when it is closed.
    function finalizeClose(Key calldata key) external;

    /// @notice Makes many calls as the caller's, all or none: deposit and open, or close and withdraw,
    /// so that nobody else's transaction comes in between. `claimMany`, not `claim`, belongs in it.
    function multicall(bytes[] calldata calls) external;
}
