// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {JobEscrow} from "../src/JobEscrow.sol";
import {PaymentChannels} from "../src/PaymentChannels.sol";
import {ProviderRegistry} from "../src/ProviderRegistry.sol";
import {XbzzToken} from "../src/test/XbzzToken.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {Script} from "forge-std/Script.sol";
import {console} from "forge-std/console.sol";

/// @notice Deploys the registry and the escrow, bound to each other, and the payment channels, on
/// anvil, Chiado or Gnosis.
contract Deploy is Script {
    uint256 private constant ANVIL = 31_337;
    uint256 private constant GNOSIS = 100;
    uint256 private constant CHIADO = 10_200;
    /// @dev xBZZ on Gnosis. A chain with Gnosis' id and no code here is a local one.
    address private constant XBZZ_ON_GNOSIS = 0xdBF3Ea6F5beE45c02255B2c26a16F300502F68da;
    uint256 private constant TEST_TOKENS = 1_000_000e16;

    /// @notice Thrown on a chain that is none of the three.
    error UnknownChain(uint256 chainId);
    /// @notice Thrown when the chain's token is not known and none was named.
    error XbzzAddressRequired(uint256 chainId);
    /// @notice Thrown when the named token is no contract, or not one with 16 decimals.
    error NotXbzz(address token);
    /// @notice Thrown when the contracts are not bound as they must be.
    error NotBound();

    /// @notice Deploys with the token of `XBZZ_ADDRESS`, or the chain's own when that is not set.
    function run()
        external
        returns (address token, address registry, address escrow, address channels)
    {
        (token, registry, escrow) = deploy(vm.envOr("XBZZ_ADDRESS", address(0)));
        channels = deployChannels(token);
        console.log("chain            ", block.chainid);
        console.log("xBZZ             ", token);
        console.log("ProviderRegistry ", registry);
        console.log("JobEscrow        ", escrow);
        console.log("PaymentChannels  ", channels);
    }

    /// @notice Deploys the channels alone, beside a pair that is there: `--sig 'runChannels()'`.
    function runChannels() external returns (address channels) {
        channels = deployChannels(vm.envOr("XBZZ_ADDRESS", address(0)));
        console.log("chain            ", block.chainid);
        console.log("PaymentChannels  ", channels);
    }

    /// @notice Deploys the pair with a token, or with the chain's own for zero.
    function deploy(address named)
        public
        returns (address token, address registry, address escrow)
    {
        token = tokenFor(named);
        vm.startBroadcast();
        if (token == address(0)) {
            token = address(new XbzzToken());
            XbzzToken(token).mint(XbzzToken(token).owner(), TEST_TOKENS);
        }
        ProviderRegistry newRegistry = new ProviderRegistry(token);
        JobEscrow newEscrow = new JobEscrow(token, address(newRegistry));
        newRegistry.setEscrow(address(newEscrow));
        vm.stopBroadcast();

        (registry, escrow) = (address(newRegistry), address(newEscrow));
        require(
            newRegistry.escrow() == escrow && newEscrow.registry() == registry
                && newRegistry.xbzz() == token && newEscrow.xbzz() == token,
            NotBound()
        );
    }

    /// @notice Deploys the channels with a token, or with the chain's own for zero.
    function deployChannels(address named) public returns (address channels) {
        address token = tokenFor(named);
        require(token != address(0), XbzzAddressRequired(block.chainid));
        vm.startBroadcast();
        channels = address(new PaymentChannels(token));
        vm.stopBroadcast();
        require(PaymentChannels(channels).xbzz() == token, NotBound());
    }

    /// @dev The token to use; zero where a test token is to be deployed.
    function tokenFor(address named) private view returns (address) {
        uint256 chain = block.chainid;
        require(chain == ANVIL || chain == GNOSIS || chain == CHIADO, UnknownChain(chain));
        if (named == address(0)) {
            require(chain != CHIADO, XbzzAddressRequired(chain));
            if (chain == ANVIL || XBZZ_ON_GNOSIS.code.length == 0) return address(0);
            named = XBZZ_ON_GNOSIS;
        }
        require(named.code.length > 0 && IERC20Metadata(named).decimals() == 16, NotXbzz(named));
        return named;
    }
}
