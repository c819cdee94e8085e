// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

/// @title Escrow of the payments for single inference jobs.
/// @notice A client posts a job with its highest price; the provider acknowledges it within
/// `ACK_WINDOW`, works, and claims what the answer cost before the delivery deadline; the rest
/// goes back. If the provider misses a deadline the client gets everything back and a part of the
/// provider's stake is burned. All amounts are PLUR: one xBZZ is 10^16 PLUR.
interface IJobEscrow {
    /// @notice The states of a job. `Delivered` is never used and keeps the numbers of version 1.
    enum JobStatus {
        None,
        Pending,
        Acked,
        Delivered,
        Claimed,
        Cancelled,
        TimedOut
    }

    /// @notice Thrown when the delivery deadline is not after the acknowledgement window, or more
    /// than `MAX_DELIVERY_WINDOW` ahead.
    error BadDeadline();
    /// @notice Thrown when the job's state does not allow the call.
    error BadStatus();
    /// @notice Thrown when it is too early to cancel or time out.
    error DeadlineNotPassed();
    /// @notice Thrown when it is too late to acknowledge, claim or reject.
    error DeadlinePassed();
    /// @notice Thrown when the provider's free stake does not cover the job's highest slash.
    error InsufficientStakeForJob();
    /// @notice Thrown when the caller is not the job's client (nor may everybody resolve it yet).
    error NotClient();
    /// @notice Thrown when the caller is not the job's provider.
    error NotProvider();
    /// @notice Thrown when a claim is above the job's highest price.
    error PaymentTooHigh();
    /// @notice Thrown when a job is posted to a provider that is not live.
    error ProviderNotLive();
    /// @notice Thrown when the token answers false.
    error TransferFailed();
    /// @notice Thrown when a job's highest price is below `MIN_JOB_PAYMENT` or above
    /// `MAX_JOB_PAYMENT`.
    error PaymentOutOfBounds(uint128 maxPayment, uint128 lowest, uint128 highest);
    /// @notice Thrown when a model's id is longer than `MAX_MODEL_ID_BYTES`.
    error ModelIdTooLong(uint256 length, uint256 limit);
    /// @notice Thrown when the address zero stands where a contract must.
    error ZeroAddress();

    /// @notice The provider acknowledged the job.
    event JobAcked(bytes32 indexed jobId);
    /// @notice The job ended without an acknowledgement and the slash (in PLUR) was burned; or,
    /// with a slash of zero and next to `JobRejected`, the provider refused it.
    event JobCancelled(bytes32 indexed jobId, uint128 slash);
    /// @notice The provider was paid (in PLUR); the rest went back to the client.
    event JobClaimed(bytes32 indexed jobId, bytes32 responseHash, uint128 paid);
    /// @notice A client posted a job.
    event JobPosted(bytes32 indexed jobId, address indexed client, address indexed provider);
    /// @notice The job ended without a delivery and the slash (in PLUR) was burned.
    event JobTimedOut(bytes32 indexed jobId, uint128 slash);
    /// @notice What was agreed for a posted job, so that readers of events need no call per job.
    event JobTerms(
        bytes32 indexed jobId,
        bytes32 requestHash,
        string modelId,
        uint128 maxPayment,
        uint64 deliveryDeadline
    );
    /// @notice The provider refused the job; the client got everything back.
    /// @param reason The provider's reason, a number that clients and providers agree on off chain.
    event JobRejected(bytes32 indexed jobId, uint8 reason);

    /// @notice Seconds after posting in which a job must be acknowledged.
    function ACK_WINDOW() external view returns (uint64);
    /// @notice Version 1's least slash. Kept to be read; no slash is raised to it, because then a
    /// client could burn stake worth far more than what its own job locks.
    function MIN_SLASH() external view returns (uint128);
    /// @notice A missed acknowledgement burns this many times the job's highest price.
    function SLASH_MULT_NO_ACK() external view returns (uint256);
    /// @notice A missed delivery burns this many times the job's highest price.
    function SLASH_MULT_TIMEOUT() external view returns (uint256);
    /// @notice The least highest price of a job.
    function MIN_JOB_PAYMENT() external view returns (uint128);
    /// @notice The greatest highest price of a job.
    function MAX_JOB_PAYMENT() external view returns (uint128);
    /// @notice The farthest delivery deadline, in seconds after posting.
    function MAX_DELIVERY_WINDOW() external view returns (uint64);
    /// @notice Seconds after a missed deadline from which anyone may resolve the job.
    function PUBLIC_GRACE() external view returns (uint64);
    /// @notice The most bytes of a model's id.
    function MAX_MODEL_ID_BYTES() external view returns (uint256);

    /// @notice How many jobs were ever posted.
    function jobCounter() external view returns (uint256);
    /// @notice The registry of providers.
    function registry() external view returns (address);
    /// @notice The token of payments.
    function xbzz() external view returns (address);
    /// @notice A job; zeros for an unknown id. `requestHash` is zero once the job is claimed, and
    /// `responseHash` until then (`JobTerms` keeps the former).
    function jobs(bytes32 jobId)
        external
        view
        returns (
            address client,
            address provider,
            bytes32 requestHash,
            bytes32 responseHash,
            string memory modelId,
            uint128 maxPayment,
            uint64 postedAt,
            uint64 ackedAt,
            uint64 ackDeadline,
            uint64 deliveryDeadline,
            JobStatus status
        );

    /// @notice Posts a job and takes its highest price into escrow.
    /// @return jobId keccak256(abi.encode(chain id, this address, client, count of jobs)).
    function postJob(
        address provider,
        bytes32 requestHash,
        string calldata modelId,
        uint128 maxPayment,
        uint64 deliveryDeadline
    ) external returns (bytes32 jobId);
    /// @notice Acknowledges a pending job within its window. Provider only.
    function ackJob(bytes32 jobId) external;
    /// @notice Takes the price of the answer out of escrow, pending or acknowledged, up to and with
    /// the delivery deadline; the rest goes back to the client. Provider only. A claim of zero is a
    /// refusal: a full refund that leaves the provider's record as it is.
    /// @param responseHash The Swarm reference of the answer.
    /// @param actualPayment What the answer cost, at most the job's highest price.
    /// @param clientSig Not used; keeps version 1's selector.
    function claimJob(
        bytes32 jobId,
        bytes32 responseHash,
        uint128 actualPayment,
        bytes calldata clientSig
    ) external;
    /// @notice Refuses a job, pending or acknowledged, up to and with the delivery deadline: a full
    /// refund and no slash. Provider only.
    /// @param reason A number that clients and providers agree on off chain.
    function rejectJob(bytes32 jobId, uint8 reason) external;
    /// @notice Ends a pending job after its acknowledgement window: the client is refunded, the
    /// provider slashed. Client only, and anyone `PUBLIC_GRACE` later.
    function cancelJob(bytes32 jobId) external;
    /// @notice Ends an acknowledged job after its delivery deadline: the client is refunded, the
    /// provider slashed. Client only, and anyone `PUBLIC_GRACE` later.
    function timeoutJob(bytes32 jobId) external;
}
