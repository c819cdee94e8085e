// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

/// @title Registry of the providers of AI inference, their stake and their record.
/// @notice All amounts are PLUR: one xBZZ is 10^16 PLUR. Times are Unix seconds of the chain.
interface IProviderRegistry {
    /// @notice A provider as its readers see it.
    struct Provider {
        /// The provider's wallet; zero when it is not registered.
        address owner;
        /// X coordinate of its encryption key (the point with the even Y).
        bytes32 pssPublicKey;
        /// Its node's address in Swarm.
        bytes32 swarmOverlay;
        /// Where its description lies; free text.
        string metadataURI;
        /// The stake that is left after every slash.
        uint128 stake;
        /// When it last said that it works.
        uint64 lastHeartbeat;
        /// Jobs that count for its record: paid, cancelled or timed out.
        uint32 totalJobs;
        /// Those of them that were paid.
        uint32 successfulJobs;
        /// False from `deactivate` on.
        bool active;
        /// How many jobs it says it works on at once; zero means it does not say.
        uint32 maxConcurrentJobs;
    }

    /// @notice A model and its price.
    struct Offering {
        string modelId;
        uint128 inputPricePerMillionTokens;
        uint128 outputPricePerMillionTokens;
        uint128 maxContextTokens;
        uint64 maxLatencySeconds;
    }

    /// @notice How a job ended, as far as the provider's record is concerned.
    enum Outcome {
        /// Refused, or claimed for nothing: the record stays as it is.
        Unpaid,
        /// Paid: a job done and a success.
        Paid,
        /// A deadline was missed: a job done and no success.
        Failed
    }

    /// @notice Thrown when a registered wallet registers again before it withdrew its stake.
    error AlreadyRegistered();
    /// @notice Thrown when the escrow is set a second time.
    error EscrowAlreadySet();
    /// @notice Thrown when the stake of a registration is below the minimum.
    error InsufficientStake();
    /// @notice Thrown when somebody other than the escrow calls an escrow's function.
    error NotEscrow();
    /// @notice Thrown when somebody other than the deployer binds the escrow.
    error NotOwner();
    /// @notice Thrown when the caller is no provider, or no longer an active one.
    error NotRegistered();
    /// @notice Thrown when stake is withdrawn while jobs are open.
    error OpenJobsRemain();
    /// @notice Thrown when stake is withdrawn without `deactivate`.
    error StillActive();
    /// @notice Thrown when stake is withdrawn before the unbonding period ends.
    error StillBonded();
    /// @notice Thrown when the token answers false.
    error TransferFailed();
    /// @notice Thrown when the address zero stands where a contract must.
    error ZeroAddress();
    /// @notice Thrown when a list of offerings is longer than `MAX_OFFERINGS`.
    error TooManyOfferings(uint256 count, uint256 limit);
    /// @notice Thrown when a text (a model's id, a metadata URI) is longer than its limit in bytes.
    error TextTooLong(uint256 length, uint256 limit);
    /// @notice Thrown when a job asks for more exposure than the provider's free stake.
    error ExposureAboveStake(address provider, uint256 exposure, uint256 stake);

    /// @notice The escrow was bound, once and for all.
    event EscrowSet(address indexed escrow);
    /// @notice A provider said that it works.
    event Heartbeat(address indexed owner, uint64 timestamp);
    /// @notice A provider changed how many jobs it works on at once.
    event MaxConcurrentJobsUpdated(address indexed owner, uint32 cap);
    /// @notice A provider replaced its price list.
    event OfferingsUpdated(address indexed owner, uint256 count);
    /// @notice A provider left; its stake unbonds from now.
    event ProviderDeactivated(address indexed owner);
    /// @notice A provider registered, for the first time or again.
    event ProviderRegistered(address indexed owner, bytes32 pssPubKey);
    /// @notice A provider added stake (in PLUR).
    event StakeAdded(address indexed owner, uint128 amount);
    /// @notice Stake was burned (in PLUR) for a missed deadline of the job.
    event StakeSlashed(address indexed owner, uint128 amount, bytes32 indexed jobId);
    /// @notice A provider took its stake back (in PLUR).
    event StakeWithdrawn(address indexed owner, uint128 amount);
    /// @notice A provider changed its encryption key or its node's address.
    event KeysUpdated(address indexed owner, bytes32 pssPublicKey, bytes32 swarmOverlay);
    /// @notice A provider changed its description.
    event MetadataUpdated(address indexed owner, string metadataURI);

    /// @notice Where slashed stake goes; nobody holds its key.
    function BURN_ADDRESS() external view returns (address);
    /// @notice Seconds after the last heartbeat in which a provider counts as live.
    function HEARTBEAT_TTL() external view returns (uint64);
    /// @notice The least stake of a registration, and of a live provider.
    function MIN_STAKE() external view returns (uint128);
    /// @notice Seconds between `deactivate` and `withdrawStake`.
    function UNBONDING_PERIOD() external view returns (uint64);
    /// @notice The most offerings of one provider.
    function MAX_OFFERINGS() external view returns (uint256);
    /// @notice The most bytes of a model's id.
    function MAX_MODEL_ID_BYTES() external view returns (uint256);
    /// @notice The most bytes of a metadata URI.
    function MAX_METADATA_BYTES() external view returns (uint256);

    /// @notice The escrow, or zero while none is bound.
    function escrow() external view returns (address);
    /// @notice Who deployed the registry and may bind the escrow, once.
    function owner() external view returns (address);
    /// @notice The token of stakes.
    function xbzz() external view returns (address);
    /// @notice Jobs of a provider that are not settled.
    function openJobs(address ownerAddr) external view returns (uint32);
    /// @notice When a deactivated provider may withdraw; zero for an active one.
    function unbondingAt(address ownerAddr) external view returns (uint64);
    /// @notice What a provider stands to lose if it misses every open job's deadline.
    function exposure(address ownerAddr) external view returns (uint128);
    /// @notice Whether a provider is live, and the stake that no open job has a hold on.
    function backing(address ownerAddr) external view returns (bool live, uint128 free);
    /// @notice A provider's price list.
    function getOfferings(address ownerAddr) external view returns (Offering[] memory);
    /// @notice A provider; zeros (but for its record) when it is not registered.
    function getProvider(address ownerAddr) external view returns (Provider memory);
    /// @notice A provider's stake.
    function getStake(address ownerAddr) external view returns (uint128);
    /// @notice Whether jobs may be posted to a provider: active, heard of, and with enough stake.
    function isLive(address ownerAddr) external view returns (bool);
    /// @notice Registered providers from `cursor` on, at most `limit`. Providers that withdrew
    /// are not among them, and the last one takes the place of one that withdraws.
    function listProviders(uint256 cursor, uint256 limit)
        external
        view
        returns (Provider[] memory page, uint256 nextCursor);
    /// @notice How many providers are registered.
    function providerCount() external view returns (uint256);

    /// @notice Binds the escrow. Deployer only, once.
    function setEscrow(address escrow_) external;
    /// @notice Registers the caller with a stake. After a withdrawal it may do so again: the
    /// counters of its record go on, everything else starts anew.
    function register(
        bytes32 pssPublicKey,
        bytes32 swarmOverlay,
        string calldata metadataURI,
        uint128 initialStake
    ) external;
    /// @notice Adds stake.
    function addStake(uint128 amount) external;
    /// @notice Says that the caller works.
    function heartbeat() external;
    /// @notice Replaces the caller's price list.
    function updateOfferings(Offering[] calldata offerings) external;
    /// @notice Says how many jobs the caller works on at once. Readers choose by it; no call
    /// enforces it.
    function setMaxConcurrentJobs(uint32 cap) external;
    /// @notice Changes the caller's encryption key and its node's address. Requests that are
    /// under way were encrypted to the old key: keep it until `openJobs` is zero.
    function updateKeys(bytes32 pssPublicKey, bytes32 swarmOverlay) external;
    /// @notice Changes the caller's description.
    function updateMetadata(string calldata metadataURI) external;
    /// @notice Leaves: no new job can be posted, open ones go on, the stake unbonds.
    function deactivate() external;
    /// @notice Takes the stake back, once it is unbonded and no job is open, and ends the
    /// registration.
    function withdrawStake() external;

    /// @notice Opens a job and reserves what the provider stands to lose by it. Escrow only.
    function openJob(address provider, uint128 reserve) external;
    /// @notice Closes a job, frees its reserve and counts its outcome. Escrow only.
    function closeJob(address provider, uint128 reserve, Outcome outcome) external;
    /// @notice Opens a job without a reserve. Escrow only; version 1's form of `openJob`.
    function recordJobStart(address providerOwner) external;
    /// @notice Closes a job as paid. Escrow only; version 1's form of `closeJob`.
    function recordJobSuccess(address providerOwner) external;
    /// @notice Closes a job as failed. Escrow only; version 1's form of `closeJob`.
    function recordJobFail(address providerOwner) external;
    /// @notice Burns stake, at most all of it. Escrow only.
    function slash(address providerOwner, uint128 amount, bytes32 jobId) external;
}
