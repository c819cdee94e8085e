// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.28;

/// @notice A contract that wants to know of tokens sent by `transferAndCall` (ERC-677).
interface IERC677Receiver {
    function onTokenTransfer(address from, uint256 value, bytes calldata data)
        external
        returns (bool);
}

/// @title XbzzToken
/// @notice A token for tests that behaves as xBZZ on Gnosis does, the bridge's permittable token:
/// 16 decimals, both permits, `transferAndCall`, an endless allowance that is never lowered, and
/// transfers that burn all gas when they fail. Whoever deploys it may mint. Not for production.
contract XbzzToken {
    /// @dev Read the name and the domain from the chain: the real token's name is the bridge's.
    string public constant name = "BZZ on xDai";
    string public constant symbol = "xBZZ";
    string public constant version = "1";
    uint8 public constant decimals = 16;

    bytes32 public constant PERMIT_TYPEHASH_LEGACY = keccak256(
        "Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)"
    );
    bytes32 public constant PERMIT_TYPEHASH = keccak256(
        "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
    );
    // forge-lint: disable-next-line(mixed-case-variable)
    bytes32 public immutable DOMAIN_SEPARATOR;

    address public immutable owner;
    uint256 public totalSupply;
    mapping(address holder => uint256) public balanceOf;
    mapping(address holder => uint256) public nonces;
    mapping(address holder => mapping(address spender => uint256)) public allowance;
    /// @notice When an endless allowance given by the legacy permit ends; zero for never.
    mapping(address holder => mapping(address spender => uint256)) public expirations;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Transfer(address indexed from, address indexed to, uint256 value, bytes data);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    constructor() {
        owner = msg.sender;
        DOMAIN_SEPARATOR = keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                ),
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                block.chainid,
                address(this)
            )
        );
    }

    /// @notice Makes new tokens. Deployer only.
    function mint(address to, uint256 value) external returns (bool) {
        _require(msg.sender == owner);
        totalSupply += value;
        balanceOf[to] += value;
        emit Transfer(address(0), to, value);
        return true;
    }

    function approve(address spender, uint256 value) external returns (bool) {
        if (value == type(uint256).max) delete expirations[msg.sender][spender];
        _approve(msg.sender, spender, value);
        return true;
    }

    function increaseAllowance(address spender, uint256 added) external returns (bool) {
        uint256 before = allowance[msg.sender][spender];
        _assert(before <= type(uint256).max - added);
        _approve(msg.sender, spender, before + added);
        return true;
    }

    function decreaseAllowance(address spender, uint256 subtracted) external returns (bool) {
        uint256 before = allowance[msg.sender][spender];
        _approve(msg.sender, spender, subtracted > before ? 0 : before - subtracted);
        return true;
    }

    function transfer(address to, uint256 value) external returns (bool) {
        _transfer(msg.sender, to, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        _transfer(from, to, value);
        if (from == msg.sender) return true;
        uint256 allowed = allowance[from][msg.sender];
        if (allowed == type(uint256).max) {
            uint256 expiry = expirations[from][msg.sender];
            _require(expiry == 0 || expiry >= block.timestamp);
        } else {
            _assert(value <= allowed);
            _approve(from, msg.sender, allowed - value);
        }
        return true;
    }

    /// @notice Transfers and tells the receiver, if it is a contract (ERC-677).
    function transferAndCall(address to, uint256 value, bytes calldata data)
        external
        returns (bool)
    {
        _require(to != address(this));
        _transfer(msg.sender, to, value);
        emit Transfer(msg.sender, to, value, data);
        if (to.code.length > 0) {
            _require(IERC677Receiver(to).onTokenTransfer(msg.sender, value, data));
        }
        return true;
    }

    /// @notice The legacy permit: an endless allowance, or none.
    function permit(
        address holder,
        address spender,
        uint256 nonce,
        uint256 expiry,
        bool allowed,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        _require(expiry == 0 || block.timestamp <= expiry);
        _require(nonce == nonces[holder]++);
        bytes32 permitHash =
            keccak256(abi.encode(PERMIT_TYPEHASH_LEGACY, holder, spender, nonce, expiry, allowed));
        _requireSigned(holder, permitHash, v, r, s);

        expirations[holder][spender] = allowed ? expiry : 0;
        _approve(holder, spender, allowed ? type(uint256).max : 0);
    }

    /// @notice The permit of EIP-2612.
    function permit(
        address holder,
        address spender,
        uint256 value,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        _require(block.timestamp <= deadline);
        uint256 nonce = nonces[holder]++;
        bytes32 permitHash =
            keccak256(abi.encode(PERMIT_TYPEHASH, holder, spender, value, nonce, deadline));
        _requireSigned(holder, permitHash, v, r, s);

        if (value == type(uint256).max) delete expirations[holder][spender];
        _approve(holder, spender, value);
    }

    function _transfer(address from, address to, uint256 value) private {
        _require(from != address(0) && to != address(0));
        _assert(value <= balanceOf[from]);
        unchecked {
            balanceOf[from] -= value;
            balanceOf[to] += value;
        }
        emit Transfer(from, to, value);
    }

    function _approve(address holder, address spender, uint256 value) private {
        allowance[holder][spender] = value;
        emit Approval(holder, spender, value);
    }

    function _requireSigned(address holder, bytes32 permitHash, uint8 v, bytes32 r, bytes32 s)
        private
        view
    {
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", DOMAIN_SEPARATOR, permitHash));
        address signer = ecrecover(digest, v, r, s);
        _require(signer != address(0) && signer == holder);
    }

    /// @dev The old compiler's `require`: a revert without a reason.
    function _require(bool condition) private pure {
        // forge-lint: disable-next-line(custom-errors)
        if (!condition) revert();
    }

    /// @dev The old compiler's `assert`: an invalid instruction, which burns all gas.
    function _assert(bool condition) private pure {
        if (!condition) {
            assembly ("memory-safe") {
                invalid()
            }
        }
    }
}
