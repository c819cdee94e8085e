// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {JobEscrow} from "../../src/JobEscrow.sol";
import {ProviderRegistry} from "../../src/ProviderRegistry.sol";
import {IJobEscrow} from "../../src/interfaces/IJobEscrow.sol";
import {IProviderRegistry} from "../../src/interfaces/IProviderRegistry.sol";
import {XbzzToken} from "../../src/test/XbzzToken.sol";
import {Test} from "forge-std/Test.sol";

/// @notice Three providers, three clients and a stranger who do what they may and try what they
/// may not, next to a model of what every call has to do.
contract MarketHandler is Test {
    /// @dev A job as the model sees it, from what was passed and what may follow.
    struct Row {
        bytes32 id;
        address client;
        address provider;
        uint128 maxPayment;
        uint256 postedAt;
        uint256 deliveryDeadline;
        bool acked;
        bool open;
    }

    enum Action {
        Ack,
        Claim,
        Reject,
        Cancel,
        TimeOut
    }

    uint256 public constant FUNDS = 1_000_000e16;
    string private constant MODEL = "llama-3.1-8b-instruct";

    XbzzToken public immutable token;
    ProviderRegistry public immutable registry;
    JobEscrow public immutable escrow;

    address[] public providers;
    address[] public clients;
    address public stranger = makeAddr("stranger");
    Row[] public rows;

    uint256 public burned;
    mapping(address provider => uint256) public slashed;
    mapping(address provider => uint256) public earned;
    mapping(address client => uint256) public paid;
    mapping(address provider => uint32) public total;
    mapping(address provider => uint32) public successful;
    /// @dev Each way a job ended, so that a run that tries nothing can be seen.
    mapping(Action action => uint256) public done;

    constructor(XbzzToken token_, ProviderRegistry registry_, JobEscrow escrow_) {
        (token, registry, escrow) = (token_, registry_, escrow_);
        for (uint256 i = 0; i < 3; ++i) {
            providers.push(makeAddr(string.concat("provider ", vm.toString(i))));
            clients.push(makeAddr(string.concat("client ", vm.toString(i))));
        }
    }

    /// @dev To be called once the token was minted.
    function start() external {
        for (uint256 i = 0; i < 3; ++i) {
            approve(providers[i]);
            approve(clients[i]);
            register(providers[i]);
        }
    }

    // ------------------------------------------------------------------ jobs

    function post(
        uint256 providerSeed,
        uint256 clientSeed,
        uint128 maxPayment,
        uint256 window,
        bool acked
    ) external {
        address provider = providers[providerSeed % 3];
        if (!revive(provider)) return;
        (, uint128 free) = registry.backing(provider);
        if (free < 3e12) return;
        maxPayment = uint128(bound(maxPayment, 1e12, free / 3));
        window = bound(window, 31, 1 days);
        address client = clients[clientSeed % 3];
        vm.prank(client);
        bytes32 id = escrow.postJob(
            provider,
            keccak256(abi.encode(rows.length)),
            MODEL,
            maxPayment,
            uint64(block.timestamp + window)
        );
        rows.push(
            Row({
                id: id,
                client: client,
                provider: provider,
                maxPayment: maxPayment,
                postedAt: block.timestamp,
                deliveryDeadline: block.timestamp + window,
                acked: false,
                open: true
            })
        );
        if (acked) tryAction(rows.length - 1, provider, Action.Ack, 0);
    }

    /// @notice The rightful caller acts on an open job, if it is the time for it.
    function act(uint256 seed, uint8 actionSeed, uint128 amount) external {
        (bool found, uint256 index) = findOpen(seed);
        if (!found) return;
        Action action = Action(actionSeed % 5);
        Row storage row = rows[index];
        if (action == Action.Cancel && row.acked) action = Action.TimeOut;
        address caller =
            action == Action.Cancel || action == Action.TimeOut ? row.client : row.provider;
        tryAction(index, caller, action, uint128(bound(amount, 0, row.maxPayment)));
    }

    /// @notice Anybody tries anything on any job.
    function attack(uint256 seed, uint256 callerSeed, uint8 actionSeed, uint128 amount) external {
        if (rows.length == 0) return;
        address caller = callerSeed % 7 == 6
            ? stranger
            : (callerSeed % 7 < 3 ? providers[callerSeed % 7] : clients[callerSeed % 7 - 3]);
        tryAction(seed % rows.length, caller, Action(actionSeed % 5), amount);
    }

    // ------------------------------------------------------------------ providers

    function addStake(uint256 seed, uint128 amount) external {
        address provider = providers[seed % 3];
        if (registry.getProvider(provider).owner == address(0)) return;
        vm.prank(provider);
        registry.addStake(uint128(bound(amount, 0, 500e16)));
    }

    function deactivate(uint256 seed) external {
        address provider = providers[seed % 3];
        if (seed % 4 != 0 || !registry.getProvider(provider).active) return;
        vm.prank(provider);
        registry.deactivate();
    }

    function withdraw(uint256 seed) external {
        address provider = providers[seed % 3];
        uint256 unbondingAt = registry.unbondingAt(provider);
        bool allowed =
            unbondingAt != 0 && block.timestamp >= unbondingAt && registry.openJobs(provider) == 0;
        vm.prank(provider);
        (bool ok,) = address(registry).call(abi.encodeCall(registry.withdrawStake, ()));
        assertEq(ok, allowed, "withdrawStake");
    }

    function passTime(uint256 secondsAhead, uint8 kind) external {
        uint256[4] memory most = [uint256(10), 60, 2 hours, 2 days];
        vm.warp(block.timestamp + bound(secondsAhead, 1, most[kind % 4]));
    }

    // ------------------------------------------------------------------ model

    function rowCount() external view returns (uint256) {
        return rows.length;
    }

    function tryAction(uint256 index, address caller, Action action, uint128 amount) private {
        Row storage row = rows[index];
        bool allowed = isAllowed(row, caller, action, amount);
        vm.prank(caller);
        (bool ok,) = address(escrow).call(encode(row.id, action, amount));
        assertEq(ok, allowed, "allowed");
        if (ok) settle(row, action, amount);
    }

    function isAllowed(Row storage row, address caller, Action action, uint128 amount)
        private
        view
        returns (bool)
    {
        if (!row.open) return false;
        uint256 time = block.timestamp;
        if (action == Action.Ack) {
            return caller == row.provider && !row.acked && time <= row.postedAt + 30;
        }
        if (action == Action.Claim || action == Action.Reject) {
            return caller == row.provider && time <= row.deliveryDeadline
                && (action == Action.Reject || amount <= row.maxPayment);
        }
        uint256 deadline = action == Action.Cancel ? row.postedAt + 30 : row.deliveryDeadline;
        if (caller != row.client) deadline += 1 hours;
        return row.acked == (action == Action.TimeOut) && time > deadline;
    }

    function settle(Row storage row, Action action, uint128 amount) private {
        ++done[action];
        if (action == Action.Ack) {
            row.acked = true;
            return;
        }
        row.open = false;
        if (action == Action.Reject || (action == Action.Claim && amount == 0)) return;
        ++total[row.provider];
        if (action == Action.Claim) {
            ++successful[row.provider];
            earned[row.provider] += amount;
            paid[row.client] += amount;
            return;
        }
        uint256 penalty = (action == Action.Cancel ? 2 : 3) * uint256(row.maxPayment);
        burned += penalty;
        slashed[row.provider] += penalty;
    }

    function encode(bytes32 id, Action action, uint128 amount) private pure returns (bytes memory) {
        if (action == Action.Ack) return abi.encodeCall(IJobEscrow.ackJob, (id));
        if (action == Action.Claim) {
            return abi.encodeCall(IJobEscrow.claimJob, (id, keccak256("answer"), amount, ""));
        }
        if (action == Action.Reject) return abi.encodeCall(IJobEscrow.rejectJob, (id, 1));
        if (action == Action.Cancel) return abi.encodeCall(IJobEscrow.cancelJob, (id));
        return abi.encodeCall(IJobEscrow.timeoutJob, (id));
    }

    function findOpen(uint256 seed) private view returns (bool, uint256) {
        uint256 count = rows.length;
        for (uint256 i = 0; i < count; ++i) {
            uint256 index = (seed % count + i) % count;
            if (rows[index].open) return (true, index);
        }
        return (false, 0);
    }

    /// @dev Makes a provider live again where that needs no waiting.
    function revive(address provider) private returns (bool) {
        IProviderRegistry.Provider memory row = registry.getProvider(provider);
        if (row.owner == address(0)) {
            register(provider);
            return true;
        }
        if (!row.active) return false;
        vm.startPrank(provider);
        registry.heartbeat();
        if (row.stake < registry.MIN_STAKE()) {
            registry.addStake(registry.MIN_STAKE() - row.stake);
        }
        vm.stopPrank();
        return registry.isLive(provider);
    }

    function register(address provider) private {
        uint128 stake = registry.MIN_STAKE();
        vm.prank(provider);
        registry.register(keccak256("key"), keccak256("overlay"), "", stake);
    }

    function approve(address wallet) private {
        vm.startPrank(wallet);
        token.approve(address(registry), type(uint256).max);
        token.approve(address(escrow), type(uint256).max);
        vm.stopPrank();
    }
}
