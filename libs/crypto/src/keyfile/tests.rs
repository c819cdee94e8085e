//! Key files on a real file system.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;

/// The two test vectors of the Web3 Secret Storage definition, both of this key and password.
const STATED_SECRET: &str = "0x7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
const PBKDF2: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},"ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2","kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},"mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;
const SCRYPT: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"83dbcc02d8ccb40e466191a123791e0e"},"ciphertext":"d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c","kdf":"scrypt","kdfparams":{"dklen":32,"n":262144,"p":8,"r":1,"salt":"ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},"mac":"2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn holding(&self, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path("key");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

fn password(text: &str) -> SecretString {
    SecretString::from(text)
}

fn wallet() -> WalletKey {
    WalletKey::from_bytes(&[7; 32]).unwrap()
}

fn problem_of(content: impl AsRef<[u8]>, password: Option<&SecretString>) -> KeyFileProblem {
    read_wallet(&Folder::new().holding(content), password).unwrap_err().problem
}

#[test]
fn a_plain_key_comes_back_and_only_its_owner_can_read_it() {
    let folder = Folder::new();
    let path = folder.path("wallet.key");
    write_wallet_hex(&path, &wallet()).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("0x{}\n", "07".repeat(32)));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(read_wallet(&path, None).unwrap().address(), wallet().address());
}

#[test]
fn a_keystore_written_here_opens_with_its_password_and_no_other() {
    let folder = Folder::new();
    let path = folder.path("wallet.json");
    write_wallet_keystore(&path, &wallet(), &password("opens")).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(read_wallet(&path, Some(&password("opens"))).unwrap().address(), wallet().address());
    let wrong = read_wallet(&path, Some(&password("Opens"))).unwrap_err();
    assert!(matches!(wrong.problem, KeyFileProblem::WrongPassword));
    let none = read_wallet(&path, None).unwrap_err();
    assert!(matches!(none.problem, KeyFileProblem::PasswordNeeded));

    let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(json["crypto"]["kdf"], "scrypt");
    assert_eq!(json["crypto"]["kdfparams"]["n"], 131_072);
    assert_eq!(json["address"], hex::encode(wallet().address().as_bytes()));
    assert_eq!(json["id"].as_str().unwrap().len(), 36);
}

#[test]
fn keystores_of_other_wallets_open() {
    let password = password("testpassword");
    let stated = WalletKey::parse(STATED_SECRET).unwrap();
    // Some wallets write `Crypto`, and an address with 0x.
    let capital = SCRYPT.replace("\"crypto\"", "\"Crypto\"");
    let with_address = PBKDF2.replacen('{', &format!("{{\"address\":\"{}\",", stated.address()), 1);
    for keystore in [PBKDF2, SCRYPT, &capital, &with_address] {
        let key = read_wallet(&Folder::new().holding(keystore), Some(&password)).unwrap();
        assert_eq!(key.address(), stated.address());
    }
}

#[test]
fn a_keystore_of_another_address_is_refused() {
    let other = "\"address\":\"00000000000000000000000000000000000000aa\",";
    let keystore = PBKDF2.replacen('{', &format!("{{{other}"), 1);
    let problem = problem_of(keystore, Some(&password("testpassword")));
    assert!(matches!(problem, KeyFileProblem::WrongAddress { .. }), "{problem:?}");
}

#[test]
fn a_keystore_that_asks_for_too_much_work_is_refused_at_once() {
    let costs = [
        SCRYPT.replace("262144", "1073741824"),
        SCRYPT.replace("262144", "262143"),
        SCRYPT.replace("\"p\":8", "\"p\":4000000000"),
        SCRYPT.replace("\"r\":1", "\"r\":0"),
        SCRYPT.replace("\"n\":262144", "\"n\":0"),
        PBKDF2.replace("262144", "4000000000"),
        PBKDF2.replace("262144", "0"),
        PBKDF2.replace("hmac-sha256", "hmac-md5"),
        PBKDF2.replace("\"dklen\":32", "\"dklen\":16"),
        PBKDF2.replace("aes-128-ctr", "aes-256-cbc"),
        PBKDF2.replace("\"version\":3", "\"version\":4"),
    ];
    for keystore in costs {
        let problem = problem_of(&keystore, Some(&password("testpassword")));
        assert!(matches!(problem, KeyFileProblem::Unsupported(_)), "{problem:?} for {keystore}");
    }
}

#[test]
fn a_keystore_cut_anywhere_is_refused() {
    for length in 1..PBKDF2.len() {
        let problem = problem_of(&PBKDF2[..length], Some(&password("testpassword")));
        assert!(matches!(problem, KeyFileProblem::Truncated { .. }), "{problem:?} at {length}");
    }
}

#[test]
fn a_plain_key_cut_anywhere_is_refused() {
    let text = format!("0x{}", "07".repeat(32));
    for length in 0..text.len() {
        let problem = problem_of(&text[..length], None);
        let is_refused = matches!(problem, KeyFileProblem::Truncated { .. } | KeyFileProblem::Key(_));
        assert!(is_refused, "{problem:?} at {length}");
    }
    assert!(matches!(problem_of("", None), KeyFileProblem::Truncated { .. }));
}

#[test]
fn a_file_that_others_can_read_is_refused_with_the_line_to_run() {
    let folder = Folder::new();
    let path = folder.holding(format!("0x{}", "07".repeat(32)));
    for mode in [0o644, 0o604, 0o666, 0o602, 0o622 | 0o004] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = read_wallet(&path, None).unwrap_err();
        let line = format!("chmod 600 {}", path.display());
        assert!(error.problem.to_string().contains(&line), "{}", error.problem);
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    read_wallet(&path, None).unwrap();
}

#[test]
fn the_own_group_may_read_a_key_where_nobody_else_is_in_it() {
    let folder = Folder::new();
    let path = folder.holding(format!("0x{}", "07".repeat(32)));
    let group = fs::metadata(&path).unwrap().gid();
    let is_ours = super::group::is_ours_alone(group);
    for mode in [0o640, 0o660, 0o620] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(read_wallet(&path, None).is_ok(), is_ours, "{mode:o}, group {group}");
    }
    // Only root can give a file to a group that it is not in; others can't show this half.
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, None, Some(65_534)).unwrap();
        for mode in [0o640, 0o660, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let problem = read_wallet(&path, None).unwrap_err().problem;
            assert!(matches!(problem, KeyFileProblem::Exposed { .. }), "{mode:o}: {problem}");
        }
    }
}

#[test]
fn a_secret_is_its_files_first_line_and_never_blank_or_open_to_others() {
    let folder = Folder::new();
    let read = |content: &str| read_secret(&folder.holding(content));
    assert_eq!(read("a password\r\nand a note").unwrap().expose_secret(), "a password");
    for blank in ["", "\n", " \t\nsecond line"] {
        assert!(matches!(read(blank).unwrap_err().problem, KeyFileProblem::Empty), "{blank:?}");
    }
    let path = folder.holding("a password");
    let link = folder.path("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert_eq!(read_secret(&link).unwrap().expose_secret(), "a password");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    for path in [&path, &link] {
        assert!(matches!(read_secret(path).unwrap_err().problem, KeyFileProblem::Exposed { .. }));
    }
    assert!(matches!(read_secret(&folder.path("none")).unwrap_err().problem, KeyFileProblem::Missing));
    assert!(matches!(read_secret(folder.0.path()).unwrap_err().problem, KeyFileProblem::NotAFile));
}

#[test]
fn a_secret_in_the_place_of_a_path_is_not_repeated() {
    for secret in
        [&"07".repeat(32), &format!("0x{}", "07".repeat(32)), "correct horse battery", "abc/defGH+12=="]
    {
        for error in
            [read_wallet(Path::new(secret), None).unwrap_err(), read_secret(Path::new(secret)).unwrap_err()]
        {
            assert!(!error.to_string().contains(secret) && error.to_string().contains('…'), "{error}");
        }
    }
    let error = read_secret(Path::new("/nowhere/password")).unwrap_err();
    assert!(error.to_string().contains("/nowhere/password"), "{error}");
}

#[test]
fn a_file_that_is_there_is_never_overwritten() {
    let folder = Folder::new();
    let path = folder.holding("precious");
    let sealing = SealingKey::derive(&wallet());
    let refused = [
        write_wallet_hex(&path, &wallet()),
        write_wallet_keystore(&path, &wallet(), &password("x")),
        write_sealing_key(&path, &sealing),
    ];
    for result in refused {
        assert!(matches!(result.unwrap_err().problem, KeyFileProblem::Exists));
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn what_holds_no_key_is_refused_and_not_repeated() {
    let secret = "07".repeat(32);
    for content in [secret.clone(), format!("0x{secret}00"), "0xzz".into(), format!("1x{secret}")] {
        let error = read_wallet(&Folder::new().holding(&content), None).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(&secret), "{error:?}");
    }
    assert!(matches!(problem_of([0xff; 66], None), KeyFileProblem::Malformed(_)));
    assert!(matches!(problem_of(vec![b'0'; 20_000], None), KeyFileProblem::TooLarge { .. }));
}

#[test]
fn missing_files_and_folders_say_so() {
    let folder = Folder::new();
    let missing = read_wallet(&folder.path("none"), None).unwrap_err();
    assert!(matches!(missing.problem, KeyFileProblem::Missing));
    let not_a_file = read_wallet(folder.0.path(), None).unwrap_err();
    assert!(matches!(not_a_file.problem, KeyFileProblem::NotAFile));
    let nowhere = write_wallet_hex(&folder.path("no/such/folder"), &wallet()).unwrap_err();
    assert!(matches!(nowhere.problem, KeyFileProblem::Io { .. }));
}

#[test]
fn a_link_is_not_followed() {
    let folder = Folder::new();
    let key = folder.path("elsewhere");
    write_wallet_hex(&key, &wallet()).unwrap();
    let (link, dangling) = (folder.path("wallet.key"), folder.path("dangling"));
    std::os::unix::fs::symlink(&key, &link).unwrap();
    std::os::unix::fs::symlink(folder.path("none"), &dangling).unwrap();
    for link in [&link, &dangling] {
        assert!(matches!(read_wallet(link, None).unwrap_err().problem, KeyFileProblem::Link));
        let written = write_wallet_hex(link, &wallet()).unwrap_err();
        assert!(matches!(written.problem, KeyFileProblem::Exists));
    }
}

#[test]
fn a_sealing_key_comes_back_with_or_without_its_prefix() {
    let folder = Folder::new();
    let key = SealingKey::derive(&wallet());
    let path = folder.path("pss.key");
    write_sealing_key(&path, &key).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.len(), 65);
    assert_eq!(read_sealing_key(&path).unwrap().public(), key.public());
    let prefixed = folder.holding(format!("0x{text}"));
    assert_eq!(read_sealing_key(&prefixed).unwrap().public(), key.public());
}

#[test]
fn a_sealing_key_with_an_odd_point_is_refused() {
    let odd = (1..=255).map(|byte| [byte; 32]).find(|bytes| SealingKey::from_bytes(bytes).is_err()).unwrap();
    let error = read_sealing_key(&Folder::new().holding(hex::encode(odd))).unwrap_err();
    assert!(matches!(error.problem, KeyFileProblem::Key(crate::CryptoError::OddPublicKey)));
}
