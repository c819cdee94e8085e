// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {Deploy} from "../script/Deploy.s.sol";
import {JobEscrow} from "../src/JobEscrow.sol";
import {PaymentChannels} from "../src/PaymentChannels.sol";
import {ProviderRegistry} from "../src/ProviderRegistry.sol";
import {IJobEscrow} from "../src/interfaces/IJobEscrow.sol";
import {IPaymentChannels} from "../src/interfaces/IPaymentChannels.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {Test} from "forge-std/Test.sol";

/// @notice The pair with the real xBZZ, on a fork of Gnosis. Runs when `FORK_GNOSIS_RPC_URL` names
/// an RPC endpoint and is reported as skipped when it does not.
contract ForkTest is Test {
    address private constant LIVE_REGISTRY = 0xf81121AAbc2F7261224BaDd0Ed871711e6D1371E;
    address private constant LIVE_ESCROW = 0x34Db8E014E71928f17E23eC1272B602582222c9c;
    uint128 private constant PRICE = 1e16;

    IERC20Metadata private token;
    ProviderRegistry private registry;
    JobEscrow private escrow;
    PaymentChannels private channels;
    address private provider = makeAddr("provider");
    address private client = makeAddr("client");

    function setUp() public {
        string memory url = vm.envOr("FORK_GNOSIS_RPC_URL", string(""));
        if (bytes(url).length == 0) vm.skip(true, "FORK_GNOSIS_RPC_URL is not set");
        vm.createSelectFork(url);
        Deploy script = new Deploy();
        (address token_, address registry_, address escrow_) = script.deploy(address(0));
        channels = PaymentChannels(script.deployChannels(token_));
        (token, registry, escrow) =
        (IERC20Metadata(token_), ProviderRegistry(registry_), JobEscrow(escrow_));

        deal(token_, provider, 100e16);
        deal(token_, client, 100e16);
        vm.startPrank(provider);
        token.approve(registry_, 100e16);
        registry.register(keccak256("key"), keccak256("overlay"), "", 100e16);
        vm.stopPrank();
        vm.prank(client);
        token.approve(escrow_, type(uint256).max);
    }

    function test_fork_tokenIsTheOneWeExpect() public view {
        assertEq(block.chainid, 100);
        assertEq(token.decimals(), 16);
    }

    function test_fork_jobIsPaid() public {
        bytes32 jobId = post();
        vm.startPrank(provider);
        escrow.ackJob(jobId);
        escrow.claimJob(jobId, keccak256("answer"), PRICE / 4, "");
        assertEq(token.balanceOf(provider), PRICE / 4);
        assertEq(token.balanceOf(client), 100e16 - PRICE / 4);
        assertEq(token.balanceOf(address(escrow)), 0);
    }

    function test_fork_missedAcknowledgementIsBurned() public {
        uint256 before = token.balanceOf(registry.BURN_ADDRESS());
        bytes32 jobId = post();
        vm.warp(block.timestamp + 31);
        vm.prank(client);
        escrow.cancelJob(jobId);
        assertEq(token.balanceOf(registry.BURN_ADDRESS()), before + 2 * PRICE);
        assertEq(token.balanceOf(client), 100e16);
    }

    function test_fork_channelIsPaid() public {
        (address signer, uint256 signerKey) = makeAddrAndKey("signer");
        IPaymentChannels.Key memory key = IPaymentChannels.Key(client, signer, provider, 1 days, 0);
        vm.startPrank(client);
        token.approve(address(channels), 10e16);
        channels.deposit(client, 10e16);
        bytes32 id = channels.openFor(key, 5e16, uint40(block.timestamp), "");
        vm.stopPrank();
        bytes32 kind = keccak256("Voucher(bytes32 channelId,uint128 cumulative,bytes32 context)");
        bytes32 domain = keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                ),
                keccak256("t4t PaymentChannels"),
                keccak256("1"),
                block.chainid,
                address(channels)
            )
        );
        bytes32 voucher = keccak256(abi.encode(kind, id, uint128(PRICE), bytes32(0)));
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(signerKey, keccak256(abi.encodePacked(hex"1901", domain, voucher)));
        vm.prank(provider);
        channels.closeTogether(
            IPaymentChannels.Row(key, PRICE, 0, abi.encodePacked(r, s, v)), 0, ""
        );
        assertEq(token.balanceOf(provider), PRICE);
        vm.prank(client);
        channels.withdraw(10e16 - PRICE, client);
        assertEq(token.balanceOf(address(channels)), 0);
    }

    function test_fork_constantsAreTheLiveOnes() public {
        if (LIVE_REGISTRY.code.length == 0) vm.skip(true, "the live contracts are not there");
        ProviderRegistry liveRegistry = ProviderRegistry(LIVE_REGISTRY);
        assertEq(registry.MIN_STAKE(), liveRegistry.MIN_STAKE());
        assertEq(registry.HEARTBEAT_TTL(), liveRegistry.HEARTBEAT_TTL());
        assertEq(registry.UNBONDING_PERIOD(), liveRegistry.UNBONDING_PERIOD());
        assertEq(registry.BURN_ADDRESS(), liveRegistry.BURN_ADDRESS());
        assertEq(registry.xbzz(), liveRegistry.xbzz());
        IJobEscrow liveEscrow = IJobEscrow(LIVE_ESCROW);
        assertEq(escrow.ACK_WINDOW(), liveEscrow.ACK_WINDOW());
        assertEq(escrow.MIN_SLASH(), liveEscrow.MIN_SLASH());
        assertEq(escrow.SLASH_MULT_NO_ACK(), liveEscrow.SLASH_MULT_NO_ACK());
        assertEq(escrow.SLASH_MULT_TIMEOUT(), liveEscrow.SLASH_MULT_TIMEOUT());
        assertEq(liveEscrow.registry(), LIVE_REGISTRY);
    }

    function post() private returns (bytes32) {
        uint64 deadline = uint64(block.timestamp) + 900;
        vm.prank(client);
        return escrow.postJob(provider, keccak256("request"), "model", PRICE, deadline);
    }
}
