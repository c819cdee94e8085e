// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {MODEL_ID_BYTES} from "./Limits.sol";
import {IJobEscrow} from "./interfaces/IJobEscrow.sol";
import {IProviderRegistry} from "./interfaces/IProviderRegistry.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

/// @title JobEscrow
/// @notice See `IJobEscrow`.
contract JobEscrow is IJobEscrow, ReentrancyGuardTransient {
    /// @dev A job, packed into three slots.
    struct Job {
        address client;
        uint72 maxPayment;
        // Seconds from posting to the delivery deadline.
        uint24 deliveryWindow;
        // The slot that each change of state writes.
        address provider;
        uint40 postedAt;
        // Seconds from posting to the acknowledgement, plus one; zero without one.
        uint8 ackedAfter;
        JobStatus status;
        // Number of the model's id in `_models`.
        uint40 model;
        // The request's hash until the job is claimed, the response's from then on: the claim
        // needs no new slot, and `JobTerms` keeps the request's hash for those who read history.
        bytes32 contentHash;
    }

    /// @inheritdoc IJobEscrow
    uint64 public constant override ACK_WINDOW = 30;
    /// @inheritdoc IJobEscrow
    uint128 public constant override MIN_SLASH = 1e16;
    /// @inheritdoc IJobEscrow
    uint256 public constant override SLASH_MULT_NO_ACK = 2;
    /// @inheritdoc IJobEscrow
    uint256 public constant override SLASH_MULT_TIMEOUT = 3;
    /// @inheritdoc IJobEscrow
    uint128 public constant override MIN_JOB_PAYMENT = 1e12;
    /// @inheritdoc IJobEscrow
    uint128 public constant override MAX_JOB_PAYMENT = type(uint72).max;
    /// @inheritdoc IJobEscrow
    uint64 public constant override MAX_DELIVERY_WINDOW = 1 days;
    /// @inheritdoc IJobEscrow
    uint64 public constant override PUBLIC_GRACE = 1 hours;
    /// @inheritdoc IJobEscrow
    uint256 public constant override MAX_MODEL_ID_BYTES = MODEL_ID_BYTES;

    /// @inheritdoc IJobEscrow
    address public immutable override registry;
    /// @inheritdoc IJobEscrow
    address public immutable override xbzz;

    uint128 private _jobCount;
    uint40 private _modelCount;
    mapping(bytes32 jobId => Job) private _jobs;
    /// @dev Each model's id is stored once; jobs hold its number, which starts at one.
    mapping(uint40 model => string) private _models;
    mapping(bytes32 modelHash => uint40) private _modelNumbers;

    /// @param _xbzz The token of payments.
    /// @param _registry The registry of providers, whose deployer binds this escrow to it.
    constructor(address _xbzz, address _registry) {
        require(_xbzz != address(0) && _registry != address(0), ZeroAddress());
        xbzz = _xbzz;
        registry = _registry;
    }

    // ------------------------------------------------------------------ client's call

    /// @inheritdoc IJobEscrow
    function postJob(
        address provider,
        bytes32 requestHash,
        string calldata modelId,
        uint128 maxPayment,
        uint64 deliveryDeadline
    ) external override nonReentrant returns (bytes32 jobId) {
        _requireTerms(provider, modelId, maxPayment, deliveryDeadline);

        uint40 model = _modelNumber(modelId);
        jobId = keccak256(abi.encode(block.chainid, address(this), msg.sender, ++_jobCount));
        Job storage job = _jobs[jobId];
        job.client = msg.sender;
        job.maxPayment = uint72(maxPayment);
        job.deliveryWindow = uint24(deliveryDeadline - block.timestamp);
        job.provider = provider;
        job.postedAt = uint40(block.timestamp);
        job.status = JobStatus.Pending;
        job.model = model;
        job.contentHash = requestHash;
        emit JobPosted(jobId, msg.sender, provider);
        emit JobTerms(jobId, requestHash, modelId, maxPayment, deliveryDeadline);

        IProviderRegistry(registry).openJob(provider, _reserve(maxPayment));
        require(IERC20(xbzz).transferFrom(msg.sender, address(this), maxPayment), TransferFailed());
    }

    // ------------------------------------------------------------------ provider's calls

    /// @inheritdoc IJobEscrow
    function ackJob(bytes32 jobId) external override {
        Job storage job = _jobs[jobId];
        require(msg.sender == job.provider, NotProvider());
        require(job.status == JobStatus.Pending, BadStatus());
        require(block.timestamp <= _ackDeadline(job), DeadlinePassed());

        job.status = JobStatus.Acked;
        job.ackedAfter = uint8(block.timestamp - job.postedAt + 1);
        emit JobAcked(jobId);
    }

    /// @inheritdoc IJobEscrow
    function claimJob(bytes32 jobId, bytes32 responseHash, uint128 actualPayment, bytes calldata)
        external
        override
        nonReentrant
    {
        Job storage job = _jobs[jobId];
        _requireOpenForProvider(job);
        uint128 maxPayment = job.maxPayment;
        require(actualPayment <= maxPayment, PaymentTooHigh());
        require(block.timestamp <= _deliveryDeadline(job), DeadlinePassed());

        address client = job.client;
        job.status = JobStatus.Claimed;
        job.contentHash = responseHash;
        emit JobClaimed(jobId, responseHash, actualPayment);

        IProviderRegistry(registry)
            .closeJob(
                msg.sender,
                _reserve(maxPayment),
                actualPayment == 0
                    ? IProviderRegistry.Outcome.Unpaid
                    : IProviderRegistry.Outcome.Paid
            );
        _send(msg.sender, actualPayment);
        _send(client, maxPayment - actualPayment);
    }

    /// @inheritdoc IJobEscrow
    function rejectJob(bytes32 jobId, uint8 reason) external override nonReentrant {
        Job storage job = _jobs[jobId];
        _requireOpenForProvider(job);
        require(block.timestamp <= _deliveryDeadline(job), DeadlinePassed());

        (address client, uint128 maxPayment) = (job.client, job.maxPayment);
        job.status = JobStatus.Cancelled;
        emit JobRejected(jobId, reason);
        emit JobCancelled(jobId, 0);

        IProviderRegistry(registry)
            .closeJob(msg.sender, _reserve(maxPayment), IProviderRegistry.Outcome.Unpaid);
        _send(client, maxPayment);
    }

    // ------------------------------------------------------------------ client's, later anyone's

    /// @inheritdoc IJobEscrow
    function cancelJob(bytes32 jobId) external override nonReentrant {
        Job storage job = _jobs[jobId];
        uint256 deadline = _ackDeadline(job);
        _requireExpired(job, JobStatus.Pending, deadline);

        uint128 penalty = uint128(SLASH_MULT_NO_ACK * job.maxPayment);
        job.status = JobStatus.Cancelled;
        emit JobCancelled(jobId, penalty);
        _refundAndSlash(jobId, job, penalty);
    }

    /// @inheritdoc IJobEscrow
    function timeoutJob(bytes32 jobId) external override nonReentrant {
        Job storage job = _jobs[jobId];
        uint256 deadline = _deliveryDeadline(job);
        _requireExpired(job, JobStatus.Acked, deadline);

        uint128 penalty = uint128(SLASH_MULT_TIMEOUT * job.maxPayment);
        job.status = JobStatus.TimedOut;
        emit JobTimedOut(jobId, penalty);
        _refundAndSlash(jobId, job, penalty);
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc IJobEscrow
    function jobCounter() external view override returns (uint256) {
        return _jobCount;
    }

    /// @inheritdoc IJobEscrow
    function jobs(bytes32 jobId)
        external
        view
        override
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
        )
    {
        Job storage job = _jobs[jobId];
        status = job.status;
        if (status != JobStatus.None) {
            client = job.client;
            provider = job.provider;
            if (status == JobStatus.Claimed) responseHash = job.contentHash;
            else requestHash = job.contentHash;
            modelId = _models[job.model];
            maxPayment = job.maxPayment;
            postedAt = job.postedAt;
            if (job.ackedAfter != 0) ackedAt = postedAt + job.ackedAfter - 1;
            ackDeadline = postedAt + ACK_WINDOW;
            deliveryDeadline = postedAt + job.deliveryWindow;
        }
    }

    // ------------------------------------------------------------------ inside

    /// @dev Version 1's order: live, deadline, stake; what is new stands between the last two.
    function _requireTerms(
        address provider,
        string calldata modelId,
        uint128 maxPayment,
        uint64 deliveryDeadline
    ) private view {
        (bool live, uint128 free) = IProviderRegistry(registry).backing(provider);
        require(live, ProviderNotLive());
        require(
            deliveryDeadline > block.timestamp + ACK_WINDOW
                && deliveryDeadline <= block.timestamp + MAX_DELIVERY_WINDOW,
            BadDeadline()
        );
        require(
            maxPayment >= MIN_JOB_PAYMENT && maxPayment <= MAX_JOB_PAYMENT,
            PaymentOutOfBounds(maxPayment, MIN_JOB_PAYMENT, MAX_JOB_PAYMENT)
        );
        require(
            bytes(modelId).length <= MAX_MODEL_ID_BYTES,
            ModelIdTooLong(bytes(modelId).length, MAX_MODEL_ID_BYTES)
        );
        require(_reserve(maxPayment) <= free, InsufficientStakeForJob());
    }

    /// @dev The number of a model's id, which is stored the first time it is seen.
    function _modelNumber(string calldata modelId) private returns (uint40 number) {
        bytes32 modelHash = keccak256(bytes(modelId));
        number = _modelNumbers[modelHash];
        if (number == 0) {
            number = ++_modelCount;
            _modelNumbers[modelHash] = number;
            _models[number] = modelId;
        }
    }

    /// @dev Everything goes back to the client, whoever calls; the penalty is burned. It is never
    /// above the job's reserve, so the stake always covers it.
    function _refundAndSlash(bytes32 jobId, Job storage job, uint128 penalty) private {
        (address client, address provider, uint128 maxPayment) =
            (job.client, job.provider, job.maxPayment);
        IProviderRegistry(registry)
            .closeJob(provider, _reserve(maxPayment), IProviderRegistry.Outcome.Failed);
        IProviderRegistry(registry).slash(provider, penalty, jobId);
        _send(client, maxPayment);
    }

    function _send(address to, uint128 amount) private {
        if (amount == 0) return;
        require(IERC20(xbzz).transfer(to, amount), TransferFailed());
    }

    /// @dev The provider may still settle: its job, and not settled.
    function _requireOpenForProvider(Job storage job) private view {
        require(msg.sender == job.provider, NotProvider());
        JobStatus status = job.status;
        require(status == JobStatus.Pending || status == JobStatus.Acked, BadStatus());
    }

    /// @dev The client may resolve after the deadline, anyone else only a job that waits for it
    /// since more than the grace. The role comes before the state, as in version 1.
    function _requireExpired(Job storage job, JobStatus waiting, uint256 deadline) private view {
        bool waits = job.status == waiting;
        require(
            msg.sender == job.client || (waits && block.timestamp > deadline + PUBLIC_GRACE),
            NotClient()
        );
        require(waits, BadStatus());
        require(block.timestamp > deadline, DeadlineNotPassed());
    }

    function _ackDeadline(Job storage job) private view returns (uint256) {
        return uint256(job.postedAt) + ACK_WINDOW;
    }

    function _deliveryDeadline(Job storage job) private view returns (uint256) {
        return uint256(job.postedAt) + job.deliveryWindow;
    }

    /// @dev What the provider stands to lose by a job: the highest slash.
    function _reserve(uint128 maxPayment) private pure returns (uint128) {
        return uint128(SLASH_MULT_TIMEOUT * maxPayment);
    }
}
