use super::*;

const KEY: [u8; 32] = [
    0xd1, 0x02, 0xe3, 0x14, 0xf5, 0x26, 0x07, 0x38, 0x19, 0x4a, 0x2b, 0x5c, 0x3d, 0x6e, 0x4f, 0x80, 0x91,
    0xa2, 0xb3, 0xc4, 0xd5, 0xe6, 0xf7, 0x08, 0x10, 0x21, 0x32, 0x43, 0x54, 0x65, 0x76, 0x87,
];

fn forms(secrets: &Secrets, bytes: impl AsRef<[u8]>) -> Vec<&'static str> {
    secrets.in_bytes("here", bytes.as_ref()).into_iter().map(|found| found.form).collect()
}

#[test]
fn a_key_is_found_in_every_form_and_by_its_half() {
    let secrets = Secrets::new().key("the wallet", &KEY);
    let text = hex::encode(KEY);
    assert_eq!(forms(&secrets, format!("key=0x{text};")), ["hexadecimal digits"]);
    assert_eq!(forms(&secrets, &text[..40]), ["hexadecimal digits"]);
    assert_eq!(forms(&secrets, text.to_uppercase()), ["capital hexadecimal digits"]);
    assert_eq!(forms(&secrets, [b"..".as_slice(), &KEY].concat()), ["raw bytes"]);
    assert_eq!(forms(&secrets, format!("{KEY:?}")), ["a list of numbers"]);
    let decimal = "94538486309469042092471631081889820388256123335252480415839380009754938406535";
    assert_eq!(forms(&secrets, decimal), ["decimal digits"]);
    assert_eq!(
        secrets.in_bytes("here", text.as_bytes())[0].to_string(),
        "the wallet as hexadecimal digits in here"
    );
}

#[test]
fn base64_is_found_wherever_the_key_stands_in_what_was_encoded() {
    use base64::Engine;
    let secrets = Secrets::new().key("the wallet", &KEY).text("the token", "a long enough token?");
    for before in ["", "x", "xy", "xyz"] {
        for secret in [KEY.as_slice(), b"a long enough token?"] {
            let row = [before.as_bytes(), secret, b"after"].concat();
            let encoded = base64::engine::general_purpose::STANDARD.encode(row);
            assert!(forms(&secrets, &encoded).contains(&"base64"), "{before} {encoded}");
        }
    }
}

#[test]
fn other_bytes_hold_nothing() {
    let secrets = Secrets::new().key("the wallet", &KEY).text("the token", "a long enough token?");
    assert_eq!(secrets.count(), 2);
    assert!(forms(&secrets, hex::encode([0x77; 4096])).is_empty());
    assert!(forms(&secrets, "a long enough tokem?").is_empty());
}

#[test]
fn keys_may_be_in_their_files_and_nowhere_else() {
    let home = tempfile::tempdir().unwrap();
    let text = hex::encode(KEY);
    fs::create_dir(home.path().join("gateway")).unwrap();
    fs::write(home.path().join("gateway/wallet.key"), format!("0x{text}\n")).unwrap();
    fs::write(home.path().join("gateway.log"), "started\n").unwrap();
    let secrets = Secrets::new().keys_below(home.path()).unwrap();
    secrets.stay_in_their_files().unwrap();
    // Across the border of two pieces too.
    let mut log = vec![b'.'; (4 << 20) - 11];
    log.extend_from_slice(text.as_bytes());
    fs::write(home.path().join("gateway.log"), log).unwrap();
    let said = secrets.stay_in_their_files().unwrap_err().to_string();
    assert!(said.contains("gateway.log") && !said.contains(&text), "{said}");
}
