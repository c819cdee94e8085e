//! The ways in which a backend goes wrong, and what the dice make of each.

use std::fmt;

use t4t_testkit::backend::Behaviour;
use t4t_types::keccak256;

/// Words of a question, none longer than five letters: each is one token of the scripted backend.
const WORDS: [&str; 12] =
    ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "alpha", "omega"];

/// Fewest words of a question: below it ten times the tokens could still be true.
const FEWEST_WORDS: u64 = 6;

/// A way in which a backend goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Hang,
    Stall,
    Status500,
    Status429,
    Reset,
    CutInCharacter,
    NoUsage,
    UsageTimesTen,
    NegativeUsage,
    HugeUsage,
    WrongModel,
    HundredMegabytes,
    Endless,
    NotANumber,
    NotJson,
}

/// How a request to such a backend must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With the whole answer.
    Answer,
    /// With as much of an endless answer as is paid for.
    CutAnswer,
    /// With an error and the money back.
    Refund,
    /// With either.
    Any,
}

impl Fault {
    pub(crate) const ALL: [Self; 15] = [
        Self::Hang,
        Self::Stall,
        Self::Status500,
        Self::Status429,
        Self::Reset,
        Self::CutInCharacter,
        Self::NoUsage,
        Self::UsageTimesTen,
        Self::NegativeUsage,
        Self::HugeUsage,
        Self::WrongModel,
        Self::HundredMegabytes,
        Self::Endless,
        Self::NotANumber,
        Self::NotJson,
    ];

    /// Whether the backend falls silent, so that the request ends by the runner's patience.
    pub(crate) const fn is_silence(self) -> bool {
        matches!(self, Self::Hang | Self::Stall)
    }
}

/// A fault and its dice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Play {
    pub(crate) fault: Fault,
    pub(crate) seed: u64,
    /// Whether the app asks for a stream.
    pub(crate) is_streamed: bool,
    /// Whether the backend answers in one piece.
    pub(crate) is_whole: bool,
}

impl fmt::Display for Play {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let app = if self.is_streamed { "streamed" } else { "plain" };
        let backend = if self.is_whole { "one piece" } else { "a stream" };
        write!(f, "{:?}, seed {}, {app}, backend sends {backend}", self.fault, self.seed)
    }
}

impl Play {
    /// The `run`-th of a fault: four in a row have every form of question and answer.
    pub(crate) const fn new(fault: Fault, first_seed: u64, run: u32) -> Self {
        let seed = first_seed + run as u64;
        Self { fault, seed, is_streamed: run.is_multiple_of(2), is_whole: run % 4 >= 2 }
    }

    /// A number below `sides`; each `number` is another throw.
    pub(crate) fn throw(&self, number: u8, sides: u64) -> u64 {
        let hash = keccak256(format!("{:?} {} {number}", self.fault, self.seed));
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash[..8]);
        u64::from_be_bytes(bytes) % sides
    }

    /// The question; its words differ from play to play.
    pub(crate) fn text(&self) -> String {
        let count = FEWEST_WORDS + self.throw(0, 24);
        let word = |number: u64| WORDS[((number * 7 + self.seed) % WORDS.len() as u64) as usize];
        (0..count).map(word).collect::<Vec<_>>().join(" ")
    }

    /// What the backend does.
    pub(crate) fn behaviour(&self) -> Behaviour {
        let usage = |number: &str| {
            let text = format!(r#"{{"prompt_tokens":{number},"completion_tokens":{number}}}"#);
            Behaviour::Usage(Some(text))
        };
        match self.fault {
            Fault::Hang => Behaviour::HangBeforeHeaders,
            Fault::Stall => Behaviour::HangAfter(self.throw(1, FEWEST_WORDS) as usize),
            Fault::Status500 => Behaviour::Refuse(500, "CUDA out of memory".into()),
            Fault::Status429 => {
                Behaviour::Refuse(429, r#"{"error":{"message":"slow down","code":429}}"#.into())
            }
            Fault::Reset => Behaviour::ResetAfter(1 + self.throw(1, 4000) as usize),
            Fault::CutInCharacter => Behaviour::CutInsideCharacter,
            Fault::NoUsage => Behaviour::Usage(None),
            Fault::UsageTimesTen => Behaviour::UsageTimes(10),
            Fault::NegativeUsage => usage(["-1", "-5", "-9223372036854775808"][self.throw(1, 3) as usize]),
            Fault::HugeUsage => {
                usage(["18446744073709551615", "1e308", "4294967295"][self.throw(1, 3) as usize])
            }
            Fault::WrongModel => Behaviour::WrongModel,
            Fault::HundredMegabytes if self.throw(1, 2) == 0 => Behaviour::Bulk(100 << 20),
            Fault::HundredMegabytes => Behaviour::BulkOfFields(100 << 20),
            Fault::Endless => Behaviour::Endless,
            Fault::NotANumber => Behaviour::NotANumber,
            Fault::NotJson => Behaviour::NotJson,
        }
    }

    /// How it must end.
    pub(crate) const fn end(&self) -> End {
        match self.fault {
            Fault::Endless if self.is_whole => End::Refund,
            Fault::Endless => End::CutAnswer,
            Fault::Reset => End::Any,
            Fault::NoUsage
            | Fault::UsageTimesTen
            | Fault::NegativeUsage
            | Fault::HugeUsage
            | Fault::NotANumber => End::Answer,
            _ => End::Refund,
        }
    }
}
