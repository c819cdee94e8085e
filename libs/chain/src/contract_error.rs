//! The errors that the market's contracts declare, and what to do about each.

/// Defines the contracts' errors: name, signature, and a sentence with the next step.
macro_rules! contract_errors {
    ($($(#[$doc:meta])* $name:ident = $signature:literal, $advice:literal;)*) => {
        /// An error that one of the market's contracts declares.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ContractError {
            $(#[doc = $advice] $name,)*
        }

        impl ContractError {
            /// Every error.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name in the contract.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// Its signature, whose hash begins with the selector.
            pub const fn signature(self) -> &'static str {
                match self {
                    $(Self::$name => $signature,)*
                }
            }

            /// What happened and what to do next, in a sentence for people.
            pub const fn advice(self) -> &'static str {
                match self {
                    $(Self::$name => $advice,)*
                }
            }
        }
    };
}

contract_errors! {
    AddressEmptyCode = "AddressEmptyCode(address)",
        "A call went to an address without a contract; check the configured addresses.";
    AlreadyRegistered = "AlreadyRegistered()",
        "This wallet is registered already, and a wallet registers only once; start the provider with it as it is.";
    AmountTooLarge = "AmountTooLarge(uint256,uint256)",
        "The amount is more than the channels can keep; choose a smaller one.";
    BadDeadline = "BadDeadline()",
        "The delivery deadline lies too close; choose one more than 30 seconds after the newest block.";
    BadStatus = "BadStatus()",
        "The job is not in a state that allows this; read the job again before the next step.";
    BadTokenData = "BadTokenData(uint256)",
        "Tokens were sent with data that name no payer; send them without data, or with the payer's 20 bytes.";
    ChannelExists = "ChannelExists(bytes32)",
        "The channel was opened before with less, is closing, or is closed; top it up, or open one with another salt.";
    ChannelNotClosing = "ChannelNotClosing(bytes32)",
        "Nobody asked to close the channel; ask for it first.";
    ChannelNotOpen = "ChannelNotOpen(bytes32)",
        "The channel is not open, or not any more; read it again before the next step.";
    ClosesLater = "ClosesLater(bytes32,uint40)",
        "It is too early to close the channel; try again once its delay is over on the chain.";
    DeadlineNotPassed = "DeadlineNotPassed()",
        "It is too early to cancel or time out the job; try again once its deadline has passed on the chain.";
    DeadlinePassed = "DeadlinePassed()",
        "The job's deadline has passed on the chain, so it can't be accepted or claimed any more.";
    DepositNotCovered = "DepositNotCovered(uint256,uint256,uint256)",
        "The payer's xBZZ balance or allowance is below the deposit; check both, and the permit.";
    EscrowAlreadySet = "EscrowAlreadySet()",
        "The registry knows its escrow already, and that is set only once; deploy a new pair to change it.";
    ExposureAboveStake = "ExposureAboveStake(address,uint256,uint256)",
        "The provider's open jobs would put more at risk than it has staked.";
    FailedCall = "FailedCall()",
        "A call inside of another failed without a reason.";
    FeeAboveAmount = "FeeAboveAmount(uint128,uint128)",
        "The fee is more than what is withdrawn; choose a smaller one.";
    InsufficientFreeBalance = "InsufficientFreeBalance(uint128,uint128)",
        "The payer's free balance is too low; deposit first, or wait until a channel is closed.";
    InsufficientStake = "InsufficientStake()",
        "The stake is below the registry's minimum; put at least the minimum stake in.";
    InsufficientStakeForJob = "InsufficientStakeForJob()",
        "The provider's stake does not cover another job of this price; choose another provider or a smaller job.";
    InvalidSignature = "InvalidSignature(address)",
        "The signature is not by the wallet that must sign, or for another message, contract or chain; sign again.";
    ModelIdTooLong = "ModelIdTooLong(uint256,uint256)",
        "The model's name is longer than the escrow takes; use a shorter one.";
    NotClient = "NotClient()",
        "Only the wallet that posted the job may do this, or there is no such job; check the job id and the wallet.";
    NotEscrow = "NotEscrow()",
        "Only the escrow may do this.";
    NotOwner = "NotOwner()",
        "Only the wallet that deployed the registry may do this.";
    NotPayer = "NotPayer(address)",
        "Only the channel's payer may do this.";
    NotProvider = "NotProvider()",
        "Only the job's provider may do this, or there is no such job; check the job id and the wallet.";
    NotRegistered = "NotRegistered()",
        "This wallet is not an active provider; register it first.";
    NotToken = "NotToken(address)",
        "Only the token may report tokens.";
    NothingToClaim = "NothingToClaim(bytes32,uint8)",
        "The voucher pays nothing: claimed already, of a closed channel, or not by its signer; read the channel again.";
    OpenJobsRemain = "OpenJobsRemain()",
        "Jobs are still open; settle them before the stake is withdrawn.";
    PaymentOutOfBounds = "PaymentOutOfBounds(uint128,uint128,uint128)",
        "The job's highest payment is outside of what the escrow takes; choose an amount within its limits.";
    PaymentTooHigh = "PaymentTooHigh()",
        "The claim is higher than the escrow holds for the job; claim at most its highest payment.";
    ProviderNotLive = "ProviderNotLive()",
        "The provider has given no sign of life for ten minutes; choose another one.";
    ReentrancyGuardReentrantCall = "ReentrancyGuardReentrantCall()",
        "The token called back into the contract, which is refused.";
    SafeCastOverflowedUintDowncast = "SafeCastOverflowedUintDowncast(uint8,uint256)",
        "A number is larger than the contract can hold.";
    SelfPayment = "SelfPayment()",
        "The channels' own contract would be paid; name a wallet.";
    SignatureExpired = "SignatureExpired(uint40)",
        "The signature's deadline has passed on the chain; sign again with a later one.";
    StillActive = "StillActive()",
        "The provider is still active; deactivate it before the stake is withdrawn.";
    StillBonded = "StillBonded()",
        "The stake is still bound; it is free two days after the deactivation.";
    TextTooLong = "TextTooLong(uint256,uint256)",
        "A model's name or the description is longer than the registry takes; use a shorter one.";
    TooManyOfferings = "TooManyOfferings(uint256,uint256)",
        "The list has more offers than the registry takes; offer fewer models.";
    TransferFailed = "TransferFailed()",
        "The token did not move; check the wallet's xBZZ balance and its allowance for the contract.";
    WrongAmountMoved = "WrongAmountMoved(uint256,uint256)",
        "The token moved another amount than it was told, which is refused.";
    WrongNonce = "WrongNonce(uint64,uint64)",
        "The signed deposit or withdrawal is not the payer's next one; read the nonces and sign again.";
    ZeroAddress = "ZeroAddress()",
        "The address zero was given where a contract must stand.";
    ZeroAmount = "ZeroAmount()",
        "The amount is zero; choose one above.";
}

impl ContractError {
    /// First four bytes of the error's data.
    pub fn selector(self) -> [u8; 4] {
        selector(self.signature())
    }

    pub(crate) fn by_selector(wanted: [u8; 4]) -> Option<Self> {
        Self::ALL.iter().copied().find(|error| error.selector() == wanted)
    }

    pub(crate) fn by_name(wanted: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|error| error.name() == wanted)
    }
}

/// First four bytes of a signature's hash.
pub(crate) fn selector(signature: &str) -> [u8; 4] {
    let [a, b, c, d, ..] = t4t_types::keccak256(signature);
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use ethers_core::abi::Abi;

    use super::*;
    use crate::abi::Interface;

    fn declared(artifact: &str) -> Abi {
        let artifact: serde_json::Value = serde_json::from_str(artifact).unwrap();
        serde_json::from_value(artifact["abi"].clone()).unwrap()
    }

    #[test]
    fn every_error_of_the_live_and_of_our_contracts_is_in_the_table() {
        let registry = declared(include_str!("../../../contracts/artifacts/ProviderRegistry.json"));
        let escrow = declared(include_str!("../../../contracts/artifacts/JobEscrow.json"));
        let channels = Interface::Channels.abi();
        for abi in [Interface::Registry.abi(), Interface::Escrow.abi(), &registry, &escrow, channels] {
            for error in abi.errors() {
                let known = ContractError::by_name(&error.name)
                    .unwrap_or_else(|| panic!("{} is missing", error.name));
                assert_eq!(error.signature()[..4], known.selector(), "{}", error.name);
            }
        }
    }

    #[test]
    fn the_selectors_are_the_documented_ones() {
        assert_eq!(hex::encode(ContractError::InsufficientStakeForJob.selector()), "785077af");
        assert_eq!(hex::encode(ContractError::BadStatus.selector()), "5c975bda");
        assert_eq!(
            ContractError::by_selector([0x58, 0xff, 0x69, 0x16]),
            Some(ContractError::ProviderNotLive)
        );
    }
}
