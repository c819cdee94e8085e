// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

import {Deploy} from "../script/Deploy.s.sol";
import {JobEscrow} from "../src/JobEscrow.sol";
import {PaymentChannels} from "../src/PaymentChannels.sol";
import {ProviderRegistry} from "../src/ProviderRegistry.sol";
import {XbzzToken} from "../src/test/XbzzToken.sol";
import {Test} from "forge-std/Test.sol";

contract DeployTest is Test {
    address private constant XBZZ_ON_GNOSIS = 0xdBF3Ea6F5beE45c02255B2c26a16F300502F68da;
    Deploy private script = new Deploy();

    function test_deploy_onAnvilWithATestToken() public {
        (address token, address registry, address escrow) = script.deploy(address(0));
        assertBound(token, registry, escrow);
        assertEq(XbzzToken(token).balanceOf(XbzzToken(token).owner()), 1_000_000e16);
    }

    function test_deploy_onALocalChainWithGnosisId() public {
        vm.chainId(100);
        (address token, address registry, address escrow) = script.deploy(address(0));
        assertNotEq(token, XBZZ_ON_GNOSIS);
        assertBound(token, registry, escrow);
    }

    function test_deploy_onGnosisWithTheRealToken() public {
        vm.chainId(100);
        vm.etch(XBZZ_ON_GNOSIS, address(new XbzzToken()).code);
        (address token, address registry, address escrow) = script.deploy(address(0));
        assertEq(token, XBZZ_ON_GNOSIS);
        assertBound(token, registry, escrow);
    }

    function test_deploy_onChiadoWithANamedToken() public {
        vm.chainId(10_200);
        vm.expectRevert(abi.encodeWithSelector(Deploy.XbzzAddressRequired.selector, 10_200));
        script.deploy(address(0));
        address named = address(new XbzzToken());
        (address token, address registry, address escrow) = script.deploy(named);
        assertEq(token, named);
        assertBound(token, registry, escrow);
    }

    function test_deploy_revertsWithUnknownChain() public {
        vm.chainId(1);
        vm.expectRevert(abi.encodeWithSelector(Deploy.UnknownChain.selector, 1));
        script.deploy(address(0));
    }

    function test_deploy_revertsWithNotXbzz() public {
        address named = makeAddr("no contract");
        vm.expectRevert(abi.encodeWithSelector(Deploy.NotXbzz.selector, named));
        script.deploy(named);
    }

    function test_run_deploysThePairAndTheChannelsWithOneToken() public {
        vm.setEnv("XBZZ_ADDRESS", vm.toString(address(0)));
        (address token, address registry, address escrow, address channels) = script.run();
        assertBound(token, registry, escrow);
        assertEq(PaymentChannels(channels).xbzz(), token);
    }

    function test_deployChannels_besideAPairNeedsAToken() public {
        vm.expectRevert(abi.encodeWithSelector(Deploy.XbzzAddressRequired.selector, 31_337));
        script.deployChannels(address(0));
        vm.chainId(100);
        vm.etch(XBZZ_ON_GNOSIS, address(new XbzzToken()).code);
        assertEq(PaymentChannels(script.deployChannels(address(0))).xbzz(), XBZZ_ON_GNOSIS);
        address named = address(new XbzzToken());
        assertEq(PaymentChannels(script.deployChannels(named)).xbzz(), named);
        named = makeAddr("no contract");
        vm.expectRevert(abi.encodeWithSelector(Deploy.NotXbzz.selector, named));
        script.deployChannels(named);
    }

    function assertBound(address token, address registry, address escrow) private view {
        assertEq(ProviderRegistry(registry).escrow(), escrow);
        assertEq(ProviderRegistry(registry).xbzz(), token);
        assertEq(JobEscrow(escrow).registry(), registry);
        assertEq(JobEscrow(escrow).xbzz(), token);
    }
}
