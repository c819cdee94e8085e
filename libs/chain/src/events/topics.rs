//! First topics of the events, by which they are known.

/// Reads 64 hexadecimal digits while compiling.
const fn topic(digits: &str) -> [u8; 32] {
    let digits = digits.as_bytes();
    assert!(digits.len() == 64, "a topic has 64 digits");
    let mut bytes = [0; 32];
    let mut at = 0;
    while at < 32 {
        bytes[at] = nibble(digits[2 * at]) << 4 | nibble(digits[2 * at + 1]);
        at += 1;
    }
    bytes
}

const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => panic!("a topic has lower-case hexadecimal digits"),
    }
}

macro_rules! topics {
    ($($name:ident $signature:literal $digits:literal)*) => {
        $(#[doc = concat!("Hash of `", $signature, "`.")]
        pub const $name: [u8; 32] = topic($digits);)*

        /// Every event: its signature and its first topic.
        pub const ALL: &[(&str, [u8; 32])] = &[$(($signature, $name)),*];
    };
}

topics! {
    JOB_POSTED "JobPosted(bytes32,address,address)"
        "848d785d5c7c833ed230c164ce362149c3be4f9b9e799824c43ebcf6fbafe320"
    JOB_TERMS "JobTerms(bytes32,bytes32,string,uint128,uint64)"
        "26e4d7d929d173143fdf8396927a2b725970f75ff451c2268ca854fa9af1845e"
    JOB_ACKED "JobAcked(bytes32)"
        "e535de1e6b76e49ab808a5df85654dc9068d849b8d81089adf9140c480707b6e"
    JOB_CLAIMED "JobClaimed(bytes32,bytes32,uint128)"
        "131b1f05a7bf646ddb6f05c228b90cd054526272462fcdcff9ebace47885fd5f"
    JOB_REJECTED "JobRejected(bytes32,uint8)"
        "614106adbb95ae36cc80135f1b71c7add85eef77862a50a4462ba4a578857bb4"
    JOB_CANCELLED "JobCancelled(bytes32,uint128)"
        "3db7bab34377ec1163f1260496ff53aa5d5b10b9205179541f8d740950bb1345"
    JOB_TIMED_OUT "JobTimedOut(bytes32,uint128)"
        "3a50ab2a4d6a4bd520dc9f66f3f84c533c3ae469737f9c760f126b3ec552af34"
    PROVIDER_REGISTERED "ProviderRegistered(address,bytes32)"
        "c1031a4dd6064c07b2472171c6d677b3bcf743d1606b70a16c4c9e3ebb35e30c"
    OFFERINGS_UPDATED "OfferingsUpdated(address,uint256)"
        "ae03f1c063de226677267dce86d296be21efe76ea4d0b7c229ef5d19ed487bdf"
    HEARTBEAT "Heartbeat(address,uint64)"
        "72382836110f8dba15205d0508ec794c885dfa0cf8e4a75f68386f14e19ecdc1"
    STAKE_ADDED "StakeAdded(address,uint128)"
        "4e6e7db4a0a9233b0dfa7c824f8c9e3288091a0df7abbc72ec39be802089414d"
    STAKE_SLASHED "StakeSlashed(address,uint128,bytes32)"
        "e0ff7f1eb34ea33c16699b1171a1c9dca1d13380a61a51fb271100f201f49498"
    PROVIDER_DEACTIVATED "ProviderDeactivated(address)"
        "3584a4db7306d80246748a1c4bc6188505b8053684afee0c79670dade4db205c"
    STAKE_WITHDRAWN "StakeWithdrawn(address,uint128)"
        "3d67ee64384c0db5bc8e45f280fc926384971c9473181e40ae0ae5d31e9118cd"
    MAX_CONCURRENT_JOBS_UPDATED "MaxConcurrentJobsUpdated(address,uint32)"
        "7b076385fa32534feae7a18f8c0abbbf0c21e3eee6b90a74e0f0285414a9d341"
    KEYS_UPDATED "KeysUpdated(address,bytes32,bytes32)"
        "04c945ea815607b43c4c8eba872095961ea8ea66339c27b3d60a5662fe34eab0"
    METADATA_UPDATED "MetadataUpdated(address,string)"
        "2013570c343af8ab14a9778150e381a0fda34ed6368127a95fd5e7210cbec5bf"
    ESCROW_SET "EscrowSet(address)"
        "a585aec3a6cb0e1a084ed18c7638024e40cc3e3ea815166e2cb6fc17d7f1392b"
}

/// First topics of the payment channels' events.
pub mod channels {
    use super::topic;

    topics! {
        DEPOSITED "Deposited(address,address,uint256)"
            "8752a472e571a816aea92eec8dae9baf628e840f4929fbcc2d155e6233ff68a7"
        WITHDRAWN "Withdrawn(address,address,uint256,uint256)"
            "91fb9d98b786c57d74c099ccd2beca1739e9f6a81fb49001ca465c4b7591bbe2"
        OPENED "Opened(bytes32,address,address,address,uint40,bytes32,uint256)"
            "1450bffff4b8b5e440c67e085f318dd06f46c5e425cd5464d5110b43717220f8"
        TOPPED_UP "ToppedUp(bytes32,address,uint256)"
            "831e8bacc44ea8b4be95d1b2ad207b7bbe602348c66b089cace4646af6619e86"
        CLAIMED "Claimed(bytes32,address,uint256,bytes32)"
            "59f727ec17161ff2a008cc90ea6acd27abc26c0c0886aba5431dd69b25c9a912"
        SKIPPED "Skipped(bytes32,uint8)"
            "167515379ec29133d62e15798dd6c90f692036c714de5d7c9c36fe3ed92ade5b"
        CLOSE_REQUESTED "CloseRequested(bytes32,address,uint256)"
            "baa76f73acb9846a844c4b5801e67f9029dffcb26777c8aeedb27000f1d4c76c"
        CLOSED "Closed(bytes32,address,uint256,uint256)"
            "7f7739303b0e1485594b242672eb715f28e7361cd9523116f1aab367729c5ea4"
    }
}
