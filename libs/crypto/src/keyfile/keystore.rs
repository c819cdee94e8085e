//! V3 keystores: a wallet's key encrypted under a password, as geth and most wallets write it.

use aes::Aes128;
use aes::cipher::{KeyIvInit, StreamCipher};
use ctr::Ctr128BE;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use t4t_types::{Address, keccak256};
use zeroize::Zeroizing;

use super::KeyFileProblem;
use crate::{CryptoError, WalletKey, random_bytes};

const VERSION: u32 = 3;
const CIPHER: &str = "aes-128-ctr";
/// log₂ of scrypt's N in keystores written here.
const SCRYPT_LOG_N: u8 = 17;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 1;
/// Derived bytes: the first 16 encrypt, the next 16 authenticate.
const DERIVED_BYTES: usize = 32;
/// Most memory a keystore may ask scrypt for, in bytes. Wallets ask for 256 MiB at most.
const MAX_SCRYPT_MEMORY: u64 = 1 << 30;
/// Most passes a keystore may ask for (scrypt's p); wallets use 1 to 8.
const MAX_SCRYPT_PASSES: u32 = 16;
/// Most rounds a keystore may ask PBKDF2 for; wallets use 262,144 to 1,000,000.
const MAX_PBKDF2_ROUNDS: u32 = 10_000_000;

#[derive(Serialize, Deserialize)]
struct Keystore {
    version: u32,
    #[serde(default)]
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(alias = "Crypto")]
    crypto: Crypto,
}

#[derive(Serialize, Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: HexBytes,
    #[serde(flatten)]
    kdf: Kdf,
    mac: HexBytes,
}

#[derive(Serialize, Deserialize)]
struct CipherParams {
    iv: HexBytes,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kdf", content = "kdfparams", rename_all = "lowercase")]
enum Kdf {
    Scrypt { dklen: usize, n: u64, r: u32, p: u32, salt: HexBytes },
    Pbkdf2 { dklen: usize, c: u32, prf: String, salt: HexBytes },
}

/// Bytes whose JSON form is a string of hexadecimal digits.
struct HexBytes(Vec<u8>);

impl Serialize for HexBytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        hex::decode(text.strip_prefix("0x").unwrap_or(&text)).map(Self).map_err(serde::de::Error::custom)
    }
}

/// Opens a keystore and checks that the key is that of the address it states.
pub(super) fn decrypt(json: &str, password: Option<&SecretString>) -> Result<WalletKey, KeyFileProblem> {
    let keystore: Keystore = serde_json::from_str(json).map_err(refuse_json)?;
    if keystore.version != VERSION {
        return Err(KeyFileProblem::Unsupported(format!("version {}", keystore.version)));
    }
    let password = password.ok_or(KeyFileProblem::PasswordNeeded)?;
    let key = keystore.crypto.open(password)?;
    let stated = keystore.address.filter(|address| !address.is_empty());
    match stated {
        Some(stated) => check_address(&stated, key),
        None => Ok(key),
    }
}

fn refuse_json(error: serde_json::Error) -> KeyFileProblem {
    if error.is_eof() {
        return KeyFileProblem::Truncated { needed: "a whole V3 keystore" };
    }
    // The error's own text can repeat a value of the file; line and column are enough to find it.
    KeyFileProblem::Malformed(format!("line {}, column {}", error.line(), error.column()))
}

fn check_address(stated: &str, key: WalletKey) -> Result<WalletKey, KeyFileProblem> {
    let digits = stated.strip_prefix("0x").unwrap_or(stated);
    let stated: Address = format!("0x{digits}")
        .parse()
        .map_err(|_| KeyFileProblem::Malformed("its address is not 40 hexadecimal digits".into()))?;
    match key.address() {
        actual if actual == stated => Ok(key),
        actual => Err(KeyFileProblem::WrongAddress { stated, actual }),
    }
}

impl Crypto {
    fn open(&self, password: &SecretString) -> Result<WalletKey, KeyFileProblem> {
        if self.cipher != CIPHER {
            return Err(KeyFileProblem::Unsupported(format!("a cipher other than {CIPHER}")));
        }
        let mut secret = Zeroizing::new([0; 32]);
        if self.ciphertext.0.len() != secret.len() {
            return Err(KeyFileProblem::Malformed("its ciphertext is not 32 bytes".into()));
        }
        let derived = self.kdf.derive(password)?;
        if mac(&derived, &self.ciphertext.0)[..] != self.mac.0[..] {
            return Err(KeyFileProblem::WrongPassword);
        }
        secret.copy_from_slice(&self.ciphertext.0);
        apply_cipher(&derived, &self.cipherparams.iv.0, secret.as_mut_slice())?;
        WalletKey::from_bytes(&secret).map_err(KeyFileProblem::Key)
    }
}

impl Kdf {
    fn derive(&self, password: &SecretString) -> Result<Zeroizing<[u8; DERIVED_BYTES]>, KeyFileProblem> {
        let unsupported = |what: &str| KeyFileProblem::Unsupported(what.into());
        let mut derived = Zeroizing::new([0; DERIVED_BYTES]);
        let password = password.expose_secret().as_bytes();
        match self {
            Self::Scrypt { dklen, n, r, p, salt } => {
                let params = scrypt_params(*n, *r, *p).ok_or_else(|| unsupported("scrypt cost"))?;
                check_length(*dklen)?;
                scrypt::scrypt(password, &salt.0, &params, derived.as_mut_slice())
                    .expect("32 is a length that scrypt can make");
            }
            Self::Pbkdf2 { dklen, c, prf, salt } => {
                check_length(*dklen)?;
                if prf != "hmac-sha256" || !(1..=MAX_PBKDF2_ROUNDS).contains(c) {
                    return Err(unsupported("PBKDF2 function or rounds"));
                }
                pbkdf2::pbkdf2_hmac::<Sha256>(password, &salt.0, *c, derived.as_mut_slice());
            }
        }
        Ok(derived)
    }
}

/// Longer outputs begin with the same 32 bytes, which are all that is used.
fn check_length(dklen: usize) -> Result<(), KeyFileProblem> {
    match dklen {
        DERIVED_BYTES.. => Ok(()),
        _ => Err(KeyFileProblem::Unsupported(format!("derived key of {dklen} bytes"))),
    }
}

/// The cost a keystore asks for, if it is a valid one and within what this machine is asked to spend.
fn scrypt_params(n: u64, r: u32, p: u32) -> Option<scrypt::Params> {
    let memory = n.checked_mul(u64::from(r))?.checked_mul(128)?;
    if !n.is_power_of_two() || n < 2 || memory > MAX_SCRYPT_MEMORY || p > MAX_SCRYPT_PASSES {
        return None;
    }
    scrypt::Params::new(u8::try_from(n.trailing_zeros()).ok()?, r, p).ok()
}

/// Encrypts a key under a password, as the JSON of a keystore.
pub(super) fn encrypt(key: &WalletKey, password: &SecretString) -> Result<String, KeyFileProblem> {
    let (salt, iv) = (random::<32>()?, random::<16>()?);
    let kdf = Kdf::Scrypt {
        dklen: DERIVED_BYTES,
        n: 1 << SCRYPT_LOG_N,
        r: SCRYPT_R,
        p: SCRYPT_P,
        salt: HexBytes(salt.to_vec()),
    };
    let derived = kdf.derive(password)?;
    let mut secret = key.secret_bytes();
    apply_cipher(&derived, &iv, secret.as_mut_slice())?;
    let keystore = Keystore {
        version: VERSION,
        id: uuid(random()?),
        address: Some(hex::encode(key.address().as_bytes())),
        crypto: Crypto {
            cipher: CIPHER.into(),
            cipherparams: CipherParams { iv: HexBytes(iv.to_vec()) },
            mac: HexBytes(mac(&derived, secret.as_slice()).to_vec()),
            ciphertext: HexBytes(secret.to_vec()),
            kdf,
        },
    };
    Ok(serde_json::to_string(&keystore).expect("strings and numbers always have a JSON form"))
}

fn random<const N: usize>() -> Result<[u8; N], KeyFileProblem> {
    random_bytes().map_err(|error: CryptoError| KeyFileProblem::Key(error))
}

/// AES-128-CTR with the first half of the derived bytes; the same step encrypts and decrypts.
fn apply_cipher(derived: &[u8; DERIVED_BYTES], iv: &[u8], secret: &mut [u8]) -> Result<(), KeyFileProblem> {
    let mut cipher = Ctr128BE::<Aes128>::new_from_slices(&derived[..16], iv)
        .map_err(|_| KeyFileProblem::Malformed("its iv is not 16 bytes".into()))?;
    cipher.apply_keystream(secret);
    Ok(())
}

/// Keccak-256 of the second half of the derived bytes and the ciphertext.
fn mac(derived: &[u8; DERIVED_BYTES], ciphertext: &[u8]) -> [u8; 32] {
    keccak256(Zeroizing::new([&derived[16..], ciphertext].concat()).as_slice())
}

/// A random (version 4) UUID.
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex::encode(bytes);
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    parts.join("-")
}
