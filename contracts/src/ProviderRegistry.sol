// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {MODEL_ID_BYTES} from "./Limits.sol";
import {IProviderRegistry} from "./interfaces/IProviderRegistry.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title ProviderRegistry
/// @notice See `IProviderRegistry`.
contract ProviderRegistry is IProviderRegistry, ReentrancyGuardTransient {
    using SafeCast for uint256;

    /// @dev Where a wallet stands. A withdrawn one may register again.
    enum Standing {
        None,
        Active,
        Inactive,
        Withdrawn
    }

    /// @dev A provider, packed. 88 bits hold 3 * 10^10 xBZZ, far above all that exists.
    struct Account {
        // One slot: what opening and closing a job reads and writes.
        uint88 stake;
        uint88 exposure;
        uint32 openJobs;
        uint40 lastHeartbeat;
        Standing standing;
        // One slot: the record, and what is seldom written. `place` (in the list, from one) is
        // never zero for a registered provider, so that counting its first job costs no new slot.
        uint32 totalJobs;
        uint32 successfulJobs;
        uint32 maxConcurrentJobs;
        uint32 place;
        uint40 unbondingAt;
        bytes32 pssPublicKey;
        bytes32 swarmOverlay;
        string metadataURI;
    }

    /// @inheritdoc IProviderRegistry
    address public constant override BURN_ADDRESS = 0x000000000000000000000000000000000000dEaD;
    /// @inheritdoc IProviderRegistry
    uint64 public constant override HEARTBEAT_TTL = 600;
    /// @inheritdoc IProviderRegistry
    uint128 public constant override MIN_STAKE = 100e16;
    /// @inheritdoc IProviderRegistry
    uint64 public constant override UNBONDING_PERIOD = 2 days;
    /// @inheritdoc IProviderRegistry
    uint256 public constant override MAX_OFFERINGS = 64;
    /// @inheritdoc IProviderRegistry
    uint256 public constant override MAX_MODEL_ID_BYTES = MODEL_ID_BYTES;
    /// @inheritdoc IProviderRegistry
    uint256 public constant override MAX_METADATA_BYTES = 512;

    /// @inheritdoc IProviderRegistry
    address public immutable override owner;
    /// @inheritdoc IProviderRegistry
    address public immutable override xbzz;
    /// @inheritdoc IProviderRegistry
    address public override escrow;

    mapping(address wallet => Account) private _accounts;
    mapping(address wallet => Offering[]) private _offerings;
    address[] private _list;

    modifier onlyEscrow() {
        require(msg.sender == escrow, NotEscrow());
        _;
    }

    /// @param _xbzz The token of stakes.
    constructor(address _xbzz) {
        require(_xbzz != address(0), ZeroAddress());
        xbzz = _xbzz;
        owner = msg.sender;
    }

    // ------------------------------------------------------------------ provider's calls

    /// @inheritdoc IProviderRegistry
    function register(
        bytes32 pssPublicKey,
        bytes32 swarmOverlay,
        string calldata metadataURI,
        uint128 initialStake
    ) external override nonReentrant {
        Account storage account = _accounts[msg.sender];
        require(!_isRegistered(account), AlreadyRegistered());
        require(initialStake >= MIN_STAKE, InsufficientStake());
        _requireLength(bytes(metadataURI).length, MAX_METADATA_BYTES);

        _list.push(msg.sender);
        account.stake = uint256(initialStake).toUint88();
        account.lastHeartbeat = uint40(block.timestamp);
        account.standing = Standing.Active;
        account.place = _list.length.toUint32();
        account.pssPublicKey = pssPublicKey;
        account.swarmOverlay = swarmOverlay;
        account.metadataURI = metadataURI;
        emit ProviderRegistered(msg.sender, pssPublicKey);

        _take(initialStake);
    }

    /// @inheritdoc IProviderRegistry
    function addStake(uint128 amount) external override nonReentrant {
        Account storage account = _registered();
        account.stake = (uint256(account.stake) + amount).toUint88();
        emit StakeAdded(msg.sender, amount);

        _take(amount);
    }

    /// @inheritdoc IProviderRegistry
    function heartbeat() external override {
        _registered().lastHeartbeat = uint40(block.timestamp);
        emit Heartbeat(msg.sender, uint64(block.timestamp));
    }

    /// @inheritdoc IProviderRegistry
    function updateOfferings(Offering[] calldata offerings) external override {
        _registered();
        uint256 count = offerings.length;
        require(count <= MAX_OFFERINGS, TooManyOfferings(count, MAX_OFFERINGS));

        Offering[] storage stored = _offerings[msg.sender];
        while (stored.length > count) stored.pop();
        for (uint256 i = 0; i < count; ++i) {
            _requireLength(bytes(offerings[i].modelId).length, MAX_MODEL_ID_BYTES);
            if (i < stored.length) stored[i] = offerings[i];
            else stored.push(offerings[i]);
        }
        emit OfferingsUpdated(msg.sender, count);
    }

    /// @inheritdoc IProviderRegistry
    function setMaxConcurrentJobs(uint32 cap) external override {
        _registered().maxConcurrentJobs = cap;
        emit MaxConcurrentJobsUpdated(msg.sender, cap);
    }

    /// @inheritdoc IProviderRegistry
    function updateKeys(bytes32 pssPublicKey, bytes32 swarmOverlay) external override {
        Account storage account = _registered();
        account.pssPublicKey = pssPublicKey;
        account.swarmOverlay = swarmOverlay;
        emit KeysUpdated(msg.sender, pssPublicKey, swarmOverlay);
    }

    /// @inheritdoc IProviderRegistry
    function updateMetadata(string calldata metadataURI) external override {
        Account storage account = _registered();
        _requireLength(bytes(metadataURI).length, MAX_METADATA_BYTES);
        account.metadataURI = metadataURI;
        emit MetadataUpdated(msg.sender, metadataURI);
    }

    /// @inheritdoc IProviderRegistry
    function deactivate() external override {
        Account storage account = _accounts[msg.sender];
        require(account.standing == Standing.Active, NotRegistered());
        account.standing = Standing.Inactive;
        account.unbondingAt = uint40(block.timestamp + UNBONDING_PERIOD);
        emit ProviderDeactivated(msg.sender);
    }

    /// @inheritdoc IProviderRegistry
    function withdrawStake() external override nonReentrant {
        Account storage account = _registered();
        require(account.standing == Standing.Inactive, StillActive());
        require(block.timestamp >= account.unbondingAt, StillBonded());
        require(account.openJobs == 0, OpenJobsRemain());

        uint128 amount = account.stake;
        _unlist(account.place);
        account.stake = 0;
        account.lastHeartbeat = 0;
        account.standing = Standing.Withdrawn;
        account.maxConcurrentJobs = 0;
        account.place = 0;
        account.unbondingAt = 0;
        delete account.pssPublicKey;
        delete account.swarmOverlay;
        delete account.metadataURI;
        delete _offerings[msg.sender];
        emit StakeWithdrawn(msg.sender, amount);

        _send(msg.sender, amount);
    }

    // ------------------------------------------------------------------ escrow's calls

    /// @inheritdoc IProviderRegistry
    function setEscrow(address escrow_) external override {
        require(msg.sender == owner, NotOwner());
        require(escrow == address(0), EscrowAlreadySet());
        require(escrow_ != address(0), ZeroAddress());
        escrow = escrow_;
        emit EscrowSet(escrow_);
    }

    /// @inheritdoc IProviderRegistry
    function openJob(address provider, uint128 reserve) external override onlyEscrow {
        _open(provider, reserve);
    }

    /// @inheritdoc IProviderRegistry
    function closeJob(address provider, uint128 reserve, Outcome outcome)
        external
        override
        onlyEscrow
    {
        _close(provider, reserve, outcome);
    }

    /// @inheritdoc IProviderRegistry
    function recordJobStart(address providerOwner) external override onlyEscrow {
        _open(providerOwner, 0);
    }

    /// @inheritdoc IProviderRegistry
    function recordJobSuccess(address providerOwner) external override onlyEscrow {
        _close(providerOwner, 0, Outcome.Paid);
    }

    /// @inheritdoc IProviderRegistry
    function recordJobFail(address providerOwner) external override onlyEscrow {
        _close(providerOwner, 0, Outcome.Failed);
    }

    /// @inheritdoc IProviderRegistry
    function slash(address providerOwner, uint128 amount, bytes32 jobId)
        external
        override
        onlyEscrow
        nonReentrant
    {
        Account storage account = _accounts[providerOwner];
        uint88 burned = account.stake;
        if (amount < burned) burned = uint88(amount);
        account.stake -= burned;
        emit StakeSlashed(providerOwner, burned, jobId);

        _send(BURN_ADDRESS, burned);
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc IProviderRegistry
    function isLive(address ownerAddr) external view override returns (bool) {
        return _isLive(_accounts[ownerAddr]);
    }

    /// @inheritdoc IProviderRegistry
    function backing(address ownerAddr) external view override returns (bool live, uint128 free) {
        Account storage account = _accounts[ownerAddr];
        (uint128 stake, uint128 reserved) = (account.stake, account.exposure);
        return (_isLive(account), stake > reserved ? stake - reserved : 0);
    }

    /// @inheritdoc IProviderRegistry
    function exposure(address ownerAddr) external view override returns (uint128) {
        return _accounts[ownerAddr].exposure;
    }

    /// @inheritdoc IProviderRegistry
    function openJobs(address ownerAddr) external view override returns (uint32) {
        return _accounts[ownerAddr].openJobs;
    }

    /// @inheritdoc IProviderRegistry
    function unbondingAt(address ownerAddr) external view override returns (uint64) {
        return _accounts[ownerAddr].unbondingAt;
    }

    /// @inheritdoc IProviderRegistry
    function getStake(address ownerAddr) external view override returns (uint128) {
        return _accounts[ownerAddr].stake;
    }

    /// @inheritdoc IProviderRegistry
    function getOfferings(address ownerAddr) external view override returns (Offering[] memory) {
        return _offerings[ownerAddr];
    }

    /// @inheritdoc IProviderRegistry
    function getProvider(address ownerAddr) public view override returns (Provider memory) {
        Account storage account = _accounts[ownerAddr];
        return Provider({
            owner: _isRegistered(account) ? ownerAddr : address(0),
            pssPublicKey: account.pssPublicKey,
            swarmOverlay: account.swarmOverlay,
            metadataURI: account.metadataURI,
            stake: account.stake,
            lastHeartbeat: account.lastHeartbeat,
            totalJobs: account.totalJobs,
            successfulJobs: account.successfulJobs,
            active: account.standing == Standing.Active,
            maxConcurrentJobs: account.maxConcurrentJobs
        });
    }

    /// @inheritdoc IProviderRegistry
    function listProviders(uint256 cursor, uint256 limit)
        external
        view
        override
        returns (Provider[] memory page, uint256 nextCursor)
    {
        uint256 count = _list.length;
        if (cursor >= count) return (new Provider[](0), count);
        uint256 size = limit < count - cursor ? limit : count - cursor;
        page = new Provider[](size);
        for (uint256 i = 0; i < size; ++i) {
            page[i] = getProvider(_list[cursor + i]);
        }
        nextCursor = cursor + size;
    }

    /// @inheritdoc IProviderRegistry
    function providerCount() external view override returns (uint256) {
        return _list.length;
    }

    // ------------------------------------------------------------------ inside

    function _open(address provider, uint128 reserve) private {
        Account storage account = _accounts[provider];
        uint256 sum = uint256(account.exposure) + reserve;
        require(sum <= account.stake, ExposureAboveStake(provider, sum, account.stake));
        account.exposure = uint88(sum);
        account.openJobs += 1;
    }

    function _close(address provider, uint128 reserve, Outcome outcome) private {
        Account storage account = _accounts[provider];
        account.exposure -= uint256(reserve).toUint88();
        account.openJobs -= 1;
        if (outcome == Outcome.Unpaid) return;
        account.totalJobs += 1;
        if (outcome == Outcome.Paid) account.successfulJobs += 1;
    }

    /// @dev The last provider of the list takes the place that becomes free.
    function _unlist(uint32 place) private {
        address last = _list[_list.length - 1];
        _list[place - 1] = last;
        _accounts[last].place = place;
        _list.pop();
    }

    function _take(uint128 amount) private {
        require(IERC20(xbzz).transferFrom(msg.sender, address(this), amount), TransferFailed());
    }

    function _send(address to, uint128 amount) private {
        if (amount == 0) return;
        require(IERC20(xbzz).transfer(to, amount), TransferFailed());
    }

    function _registered() private view returns (Account storage account) {
        account = _accounts[msg.sender];
        require(_isRegistered(account), NotRegistered());
    }

    function _isRegistered(Account storage account) private view returns (bool) {
        Standing standing = account.standing;
        return standing == Standing.Active || standing == Standing.Inactive;
    }

    function _isLive(Account storage account) private view returns (bool) {
        return account.standing == Standing.Active && account.stake >= MIN_STAKE
            && block.timestamp <= uint256(account.lastHeartbeat) + HEARTBEAT_TTL;
    }

    function _requireLength(uint256 length, uint256 limit) private pure {
        require(length <= limit, TextTooLong(length, limit));
    }
}
