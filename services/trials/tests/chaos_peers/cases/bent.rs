//! What can be wrong with a message.

use serde_json::{Value, json};
use t4t_clock::{Clock, SystemClock};
use t4t_crypto::WalletKey;
use t4t_types::{Address, SwarmRef};

use super::super::dice::Dice;
use super::letters::{Letter, hex, replaced};

/// Bytes that a message may have in Swarm.
pub(crate) const LONGEST: usize = 4000;

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageTrick {
    ForgedSender,
    FlippedBits,
    CutShort,
    Repeated,
    RepeatedAfterARestart,
    ForSomebodyElse,
    AboutAnotherJob,
    UnknownKind,
    KindOfTheOtherSide,
    AnotherVersion,
    MissingField,
    WrongType,
    DoubtfulNumber,
    PastOrFuture,
    RepeatedKeys,
    Nested,
    OddUnicode,
    OverlongText,
    BadSignature,
    Garbage,
    OddNonce,
    KeyOffTheCurve,
    BoundForNowhere,
    ManySenders,
    WrongTopic,
    AfterTheFact,
}

impl MessageTrick {
    pub(crate) const ALL: &[Self] = &[
        Self::ForgedSender,
        Self::FlippedBits,
        Self::CutShort,
        Self::Repeated,
        Self::RepeatedAfterARestart,
        Self::ForSomebodyElse,
        Self::AboutAnotherJob,
        Self::UnknownKind,
        Self::KindOfTheOtherSide,
        Self::AnotherVersion,
        Self::MissingField,
        Self::WrongType,
        Self::DoubtfulNumber,
        Self::PastOrFuture,
        Self::RepeatedKeys,
        Self::Nested,
        Self::OddUnicode,
        Self::OverlongText,
        Self::BadSignature,
        Self::Garbage,
        Self::OddNonce,
        Self::KeyOffTheCurve,
        Self::BoundForNowhere,
        Self::ManySenders,
        Self::WrongTopic,
        Self::AfterTheFact,
    ];

    /// Whether none of its messages may be taken, and each that was would leave its nonce.
    pub(crate) fn leaves_no_row(self) -> bool {
        matches!(self, Self::ForgedSender | Self::CutShort | Self::ForSomebodyElse)
    }
}

/// What a bad message is made of.
#[derive(Debug)]
pub(crate) struct Base<'a> {
    pub(crate) key: &'a WalletKey,
    pub(crate) to: Address,
    /// Whose message it might pass for.
    pub(crate) honest: Address,
    pub(crate) kind: &'static str,
    pub(crate) body: Value,
}

impl Base<'_> {
    fn letter(&self, dice: &mut Dice) -> Letter {
        self.letter_from(self.key.address(), dice)
    }

    fn letter_from(&self, from: Address, dice: &mut Dice) -> Letter {
        let mut nonce = [0; 16];
        nonce.copy_from_slice(&dice.hash()[..16]);
        Letter::new(self.kind, from, self.to, SystemClock.now(), nonce, &self.body)
    }

    fn good(&self, dice: &mut Dice) -> Vec<u8> {
        self.letter(dice).signed(self.key)
    }
}

/// One run's messages.
pub(crate) fn letters(trick: MessageTrick, base: &Base<'_>, dice: &mut Dice) -> Vec<Vec<u8>> {
    use MessageTrick as Trick;
    let good = base.good(dice);
    match trick {
        Trick::ForgedSender => {
            let forged = base.letter_from(base.honest, dice);
            vec![
                forged.signed(base.key),
                replaced(&good, &base.key.address().to_string(), &base.honest.to_string()),
            ]
        }
        Trick::FlippedBits => (0..8)
            .map(|_| {
                let mut flipped = good.clone();
                let place = dice.below(flipped.len());
                flipped[place] ^= 1 << dice.below(8);
                flipped
            })
            .collect(),
        Trick::CutShort => {
            let mut cut: Vec<Vec<u8>> = (0..4).map(|_| good[..dice.below(good.len())].to_vec()).collect();
            cut.push([good.as_slice(), b"}"].concat());
            cut.push([good.as_slice(), &good].concat());
            cut
        }
        Trick::Repeated | Trick::RepeatedAfterARestart => vec![good; 20],
        Trick::ForSomebodyElse => [base.honest, base.key.address(), Address::ZERO, Address::new([9; 20])]
            .map(|to| base.letter(dice).with("to", to.to_string()).signed(base.key))
            .to_vec(),
        Trick::AboutAnotherJob => about_another_job(base, dice),
        Trick::UnknownKind => {
            let kinds = ["job_cancel", "job_pay", "JOB_NOTIFY", "job_notify ", "", "__proto__", "job_ack\0"];
            kinds.map(|kind| base.letter(dice).with("type", kind).signed(base.key)).to_vec()
        }
        Trick::KindOfTheOtherSide => ["job_ack", "job_deliver", "job_notify"]
            .into_iter()
            .filter(|kind| (*kind == "job_notify") != (base.kind == "job_notify"))
            .map(|kind| base.letter(dice).with("type", kind).signed(base.key))
            .collect(),
        Trick::AnotherVersion => {
            let versions = [
                json!(0),
                json!(2),
                json!("1"),
                json!(1.5),
                json!(null),
                json!(true),
                json!(-1),
                json!(1e300),
            ];
            versions.map(|version| base.letter(dice).with("v", version).signed(base.key)).to_vec()
        }
        Trick::MissingField => missing_fields(base, dice),
        Trick::WrongType => wrong_types(base, dice),
        Trick::DoubtfulNumber => doubtful_numbers(base, &good, dice),
        Trick::PastOrFuture => past_or_future(base, dice),
        Trick::RepeatedKeys => repeated_keys(base, &good),
        Trick::Nested => nested(base, dice),
        Trick::OddUnicode => odd_unicode(base, &good, dice),
        Trick::OverlongText => overlong(base, dice),
        Trick::BadSignature => bad_signatures(base, &good, dice),
        Trick::Garbage => garbage(dice),
        Trick::OddNonce => odd_nonces(base, dice),
        Trick::KeyOffTheCurve => keys(base, dice),
        Trick::BoundForNowhere => [[0; 32], [0xff; 32], dice.hash()]
            .map(|overlay| {
                let overlay = format!("0x{}", hex(&overlay));
                base.letter(dice).with_in_body("clientSwarmOverlay", overlay).signed(base.key)
            })
            .to_vec(),
        Trick::ManySenders => (0..20)
            .filter_map(|_| {
                let key = WalletKey::from_bytes(&dice.hash()).ok()?;
                Some(base.letter_from(key.address(), dice).signed(&key))
            })
            .collect(),
        Trick::WrongTopic => vec![good],
        Trick::AfterTheFact => (0..15).map(|_| base.good(dice)).collect(),
    }
}

fn about_another_job(base: &Base<'_>, dice: &mut Dice) -> Vec<Vec<u8>> {
    let other = |dice: &mut Dice| format!("0x{}", hex(&dice.hash()));
    let (id, hash) = (other(dice), hex(&dice.hash()));
    let fits = format!("0x{}", hex(SwarmRef::new([7; 32]).routing_id().as_bytes()));
    vec![
        base.letter(dice).with_in_body("jobId", id).signed(base.key),
        base.letter(dice).with_in_body("requestHash", hash).signed(base.key),
        // One that nobody posted, and that is consistent in itself.
        base.letter(dice)
            .with_in_body("jobId", fits)
            .with_in_body("requestHash", "07".repeat(32))
            .signed(base.key),
    ]
}

fn missing_fields(base: &Base<'_>, dice: &mut Dice) -> Vec<Vec<u8>> {
    let letter = base.letter(dice);
    let outer = letter.field_names().into_iter().map(|name| letter.clone().without(&name).signed(base.key));
    let inner =
        letter.body_names().into_iter().map(|name| letter.clone().without_in_body(&name).signed(base.key));
    let unsigned = json!({ "from": base.honest.to_string() }).to_string().into_bytes();
    outer.chain(inner).chain([unsigned]).collect()
}

fn wrong_types(base: &Base<'_>, dice: &mut Dice) -> Vec<Vec<u8>> {
    let values = [
        json!(null),
        json!(true),
        json!([]),
        json!({}),
        json!(-1),
        json!(0.5),
        json!(""),
        json!("x"),
        json!([[]]),
    ];
    let letter = base.letter(dice);
    let (outer, inner) = (letter.field_names(), letter.body_names());
    (0..24)
        .map(|_| {
            let value = values[dice.below(values.len())].clone();
            let place = dice.below(outer.len() + inner.len());
            let letter = base.letter(dice);
            match outer.get(place) {
                Some(name) => letter.with(name, value),
                None => letter.with_in_body(&inner[place - outer.len()], value),
            }
            .signed(base.key)
        })
        .collect()
}

fn doubtful_numbers(base: &Base<'_>, good: &[u8], dice: &mut Dice) -> Vec<Vec<u8>> {
    let texts = [
        "1e400",
        "-1e400",
        "-0",
        "9007199254740993",
        "NaN",
        "Infinity",
        "1e-400",
        "0x10",
        "007",
        "+1",
        ".5",
        "1.",
        "1e",
        "18446744073709551616",
        "-9223372036854775809",
        "1E+2147483648",
    ];
    let body = String::from_utf8_lossy(good).into_owned();
    let ts =
        body.split("\"ts\":").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or_default().to_owned();
    let unsigned =
        texts.into_iter().map(|text| replaced(good, &format!("\"ts\":{ts}"), &format!("\"ts\":{text}")));
    let fields = ["deliveryDeadline", "estimatedCompletion", "maxPayment", "jobId"];
    let values = [
        json!(-0.0),
        json!(9_007_199_254_740_993_u64),
        json!(1e308),
        json!(u64::MAX),
        json!("1e30"),
        json!("-1"),
        json!("0x10"),
        json!("9".repeat(60)),
        json!("١٢٣"),
    ];
    let unsigned: Vec<Vec<u8>> = unsigned.collect();
    let signed = (0..12).map(|_| {
        let (field, value) = (fields[dice.below(fields.len())], values[dice.below(values.len())].clone());
        base.letter(dice).with_in_body(field, value).signed(base.key)
    });
    unsigned.into_iter().chain(signed).collect()
}

fn past_or_future(base: &Base<'_>, dice: &mut Dice) -> Vec<Vec<u8>> {
    let now = SystemClock.now().get();
    let times =
        [0, 1, now - 130, now + 130, now - 31_536_000, now + 31_536_000, (1 << 53) - 1, 1 << 63, u64::MAX];
    times.map(|ts| base.letter(dice).with("ts", ts).signed(base.key)).to_vec()
}

/// Of two equal keys the last one counts for the signature; no reader may take the first.
fn repeated_keys(base: &Base<'_>, good: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(good).into_owned();
    let inside = text.trim_start_matches('{').trim_end_matches('}');
    let lies = [
        format!("\"from\":\"{}\"", base.honest),
        "\"type\":\"job_deliver\"".to_owned(),
        "\"body\":{}".to_owned(),
        "\"v\":2".to_owned(),
        "\"sig\":\"0x\"".to_owned(),
        "\"\\u0066rom\":\"0x\"".to_owned(),
    ];
    let before = lies.iter().map(|lie| format!("{{{lie},{}", text.trim_start_matches('{')).into_bytes());
    let after = lies.iter().map(|lie| format!("{{{inside}}},{lie}}}").into_bytes());
    before.chain(after).collect()
}

fn nested(base: &Base<'_>, dice: &mut Dice) -> Vec<Vec<u8>> {
    let deep = (0..100 + dice.below(700)).fold(json!(0), |inner, _| json!([inner]));
    let objects = (0..300).fold(json!(0), |inner, _| json!({ "a": inner }));
    vec![
        base.letter(dice).with_in_body("ext", deep).signed(base.key),
        base.letter(dice).with("more", objects).signed(base.key),
        b"[".repeat(LONGEST),
        b"{\"a\":".repeat(LONGEST / 5),
        [b"[".repeat(LONGEST / 2), b"]".repeat(LONGEST / 2)].concat(),
    ]
}

fn odd_unicode(base: &Base<'_>, good: &[u8], dice: &mut Dice) -> Vec<Vec<u8>> {
    let texts = [
        "\u{feff}echo",
        "e\u{0}cho",
        "\u{202e}ohce",
        "echo\u{2028}",
        "ｅｃｈｏ",
        "e\u{301}cho",
        "\u{10ffff}",
    ];
    let signed = texts.map(|text| base.letter(dice).with_in_body("modelId", text).signed(base.key));
    let mut all = signed.to_vec();
    all.push([b"\xef\xbb\xbf".as_slice(), good].concat());
    all.push(replaced(good, "\"jobId\"", "\"j\u{43e}bId\""));
    all.push(replaced(good, "\"type\":\"job", "\"type\":\"\\ud800job"));
    all.push(replaced(good, "\"type\"", "\"\\u0074ype\""));
    let mut invalid = good.to_vec();
    let place = dice.below(invalid.len());
    invalid.splice(place..place, [0xc0, 0xaf, 0xed, 0xa0, 0x80]);
    all.push(invalid);
    all
}

fn overlong(base: &Base<'_>, dice: &mut Dice) -> Vec<Vec<u8>> {
    let long = "x".repeat(2800);
    let fields = ["modelId", "clientReplyUrl", "jobId", "requestHash", "maxPayment", "more"];
    let mut all: Vec<Vec<u8>> = fields
        .iter()
        .map(|field| base.letter(dice).with_in_body(field, long.clone()).signed(base.key))
        .collect();
    let digits = format!("0x{}", "a".repeat(2800));
    all.extend(
        ["from", "to", "nonce", "type"]
            .map(|field| base.letter(dice).with(field, digits.clone()).signed(base.key)),
    );
    all.push(base.letter(dice).with_signature(&digits));
    all
}

fn bad_signatures(base: &Base<'_>, good: &[u8], dice: &mut Dice) -> Vec<Vec<u8>> {
    let letter = base.letter(dice);
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let mut signatures: Vec<String> = ["", "0x", "null", "0x1b"].map(str::to_owned).to_vec();
    signatures.extend([0_u8, 1, 0xff].map(|byte| format!("0x{}", hex(&[byte; 65]))));
    signatures.extend([64, 66, 1000].map(|count| format!("0x{}", hex(&dice.bytes(count)))));
    signatures.push(format!("0x{order}{order}1b"));
    signatures.push(format!("0x{}{}1b", hex(&dice.hash()), order));
    signatures.push(format!("0x{}{}1d", hex(&dice.hash()), hex(&dice.hash())));
    signatures.push(format!("0x{}{}1c", hex(&dice.hash()), hex(&dice.hash())));
    let mut all: Vec<Vec<u8>> = signatures.iter().map(|signature| letter.with_signature(signature)).collect();
    // The same signature in other forms: at most one of them may count.
    let text = String::from_utf8_lossy(good).into_owned();
    if let Some(signature) = text.split("\"sig\":\"").nth(1).and_then(|rest| rest.split('"').next()) {
        all.push(replaced(good, signature, &signature.to_uppercase().replace("0X", "0x")));
        all.push(replaced(good, signature, &mirrored(signature)));
    }
    all
}

/// The other valid form of a signature: `s` taken from the curve's order, `v` turned.
fn mirrored(signature: &str) -> String {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba,
        0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
    ];
    let digits = signature.trim_start_matches("0x");
    let byte = |place: usize| {
        digits.get(2 * place..2 * place + 2).and_then(|two| u8::from_str_radix(two, 16).ok()).unwrap_or(0)
    };
    let mut borrow = false;
    let mut s = [0_u8; 32];
    for place in (0..32).rev() {
        let (less, first) = ORDER[place].overflowing_sub(byte(32 + place));
        let (less, second) = less.overflowing_sub(u8::from(borrow));
        s[place] = less;
        borrow = first || second;
    }
    let v = if byte(64) == 27 { "1c" } else { "1b" };
    format!("0x{}{}{v}", digits.get(..64).unwrap_or_default(), hex(&s))
}

fn garbage(dice: &mut Dice) -> Vec<Vec<u8>> {
    let mut all = vec![
        b"{}".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"\"\"".to_vec(),
        b"0".to_vec(),
        vec![b' '; LONGEST],
        vec![0; LONGEST],
        vec![0xff; LONGEST],
        b"\x1f\x8b\x08\x00".to_vec(),
        b"\"".repeat(LONGEST),
    ];
    for _ in 0..6 {
        let count = 1 + dice.below(LONGEST);
        all.push(dice.bytes(count));
    }
    all
}

fn odd_nonces(base: &Base<'_>, dice: &mut Dice) -> Vec<Vec<u8>> {
    let nonces = ["", "0x", "0x00", "00112233445566778899aabbccddeeff", "0X00112233445566778899aabbccddeeff"];
    let mut all: Vec<Vec<u8>> =
        nonces.map(|nonce| base.letter(dice).with("nonce", nonce).signed(base.key)).to_vec();
    let letter = base.letter(dice);
    all.extend((0..6).map(|number| letter.clone().with_in_body("more", number).signed(base.key)));
    all.push(base.letter(dice).with("nonce", "0x00112233445566778899AABBCCDDEEFF").signed(base.key));
    all
}

fn keys(base: &Base<'_>, dice: &mut Dice) -> Vec<Vec<u8>> {
    let field_prime = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f";
    let mut keys =
        vec!["00".repeat(32), "ff".repeat(32), field_prime.to_owned(), format!("{}01", "00".repeat(31))];
    keys.extend((0..5).map(|_| hex(&dice.hash())));
    keys.iter()
        .map(|key| base.letter(dice).with_in_body("clientPssPubKey", format!("0x{key}")).signed(base.key))
        .collect()
}
