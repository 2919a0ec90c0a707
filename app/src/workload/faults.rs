//! Reads a file of faults, such as `faults.toml`: what goes wrong while an application is simulated, and when.

use std::borrow::Cow;

use flyball_core::{Name, Span};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::file::values::{Bytes, Chance, Factor, Flag, Lapse, PerSecond, Words};
use crate::{
    Code, Diagnostics, SourceMap,
    file::{
        self, Parsed,
        reader::{Need, Reader, Shape, Value},
        shape::table,
        values::{Reference, schema, word},
    },
};

/// Faults in one file.
pub const FAULTS_MAX: usize = 1_000;

/// What goes wrong, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    /// `[[fault]]`.
    pub faults: Vec<Fault>,
}

/// A fault, once or again and again.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// When it begins.
    pub when: When,
    /// How long it lasts; a crash: until the platform is there again.
    pub lasts: Span,
    /// What goes wrong.
    pub what: What,
}

/// When a fault begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// So long after the beginning.
    At(Span),
    /// At random, again and again: the mean of the time from one to the next.
    Mean(Span),
}

/// What goes wrong. Where `of` is left out, one is drawn each time.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// The platform's process ends: what was not durable is lost.
    Crash,
    /// Calls of a dependency that begin then take so many times as long.
    Slow {
        /// The dependency.
        of: Option<String>,
        /// 1 or more.
        factor: f64,
    },
    /// Calls of a dependency fail.
    Failing {
        /// The dependency.
        of: Option<String>,
        /// Which share of them, 0 to 1.
        share: f64,
    },
    /// A dependency refuses all calls.
    Refusing {
        /// The dependency.
        of: Option<String>,
    },
    /// Requests, messages and reports of ended runs come twice.
    Duplicates {
        /// Which share of them, 0 to 1.
        share: f64,
    },
    /// Requests and messages come late.
    Late {
        /// Which share of them, 0 to 1.
        share: f64,
        /// So late.
        by: Span,
    },
    /// Items of a run fail, and the others of the same run do not.
    PartialFailures {
        /// The function. `None`: all.
        of: Option<String>,
        /// Which share of the items, 0 to 1.
        share: f64,
    },
    /// The store makes nothing durable for a time.
    StoreStall,
    /// A group of commits fails, or its result is not known: the lane is opened again from the store.
    CommitFails,
    /// The platform's clock is put forward, or back.
    ClockJump {
        /// By so much.
        by: Span,
        /// Back: time stands still for the platform as long.
        back: bool,
    },
    /// One tenant sends more than all others.
    Flood {
        /// The source whose requests it sends.
        of: Option<String>,
        /// The tenant.
        tenant: Option<Name>,
        /// Requests a second.
        per_s: f64,
    },
    /// One event whose runs end the process; on AWS, the environment.
    Poison {
        /// The source that it comes from.
        of: Option<String>,
    },
    /// Somebody puts all dead letters back where they came from.
    Redrive,
    /// Somebody throws all dead letters away.
    Discard,
    /// Runs leave memory behind in their environments.
    Leak {
        /// The function.
        of: Option<String>,
        /// Mebibytes for each run.
        mb: f64,
    },
}

table! {
    /// A file of faults.
    File {
        /// What goes wrong.
        faults = "fault": Option<Vec<FaultValue>>,
    }
}

table! {
    /// A fault: its kind, when it begins, and what belongs to the kind.
    FaultTable {
        /// "crash", "slow", "failing", "refusing", "duplicates", "late", "partial-failures", "store-stall",
        /// "commit-fails", "clock-jump", "flood", "poison", "redrive", "discard" or "leak".
        kind = "kind": Need<KindWord>,
        /// It begins so long after the beginning. One of `at` and `mean`.
        at = "at": Option<super::file::values::Stretch>,
        /// It comes at random, again and again: the mean time between two. One of `at` and `mean`.
        mean = "mean": Option<Lapse>,
        /// How long it lasts. Default: crash 1s, store-stall 5s, others 30s.
        lasts = "lasts": Option<Lapse>,
        /// Of slow, failing, refusing: the dependency; of flood, poison: the traffic; of partial-failures, leak: the
        /// function. Default: drawn; of partial-failures: all.
        of = "of": Option<Words>,
        /// Of failing (default 1), duplicates, late, partial-failures (default 0.1): which share; more than 0, to 1.
        share = "share": Option<Chance>,
        /// Of slow: so many times as long; 1 to 1,000,000. Default 10.
        factor = "factor": Option<Factor>,
        /// Of late (default 5s) and clock-jump (default 1m): by how much.
        by = "by": Option<Lapse>,
        /// Of clock-jump: the clock is put back. Default false.
        back = "back": Option<Flag>,
        /// Of flood: requests a second. Default 100.
        per_s = "per_s": Option<PerSecond>,
        /// Of flood: the tenant. Default: drawn.
        tenant = "tenant": Option<Reference>,
        /// Of leak: what each run leaves behind. Default 10MiB.
        leak = "leak": Option<Bytes>,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Crash,
    Slow,
    Failing,
    Refusing,
    Duplicates,
    Late,
    PartialFailures,
    StoreStall,
    CommitFails,
    ClockJump,
    Flood,
    Poison,
    Redrive,
    Discard,
    Leak,
}

/// The kinds, with the keys that each takes besides `kind`, `at` and `mean`.
const KINDS: [(&str, Kind, &[&str]); 15] = [
    ("crash", Kind::Crash, &["lasts"]),
    ("slow", Kind::Slow, &["lasts", "of", "factor"]),
    ("failing", Kind::Failing, &["lasts", "of", "share"]),
    ("refusing", Kind::Refusing, &["lasts", "of"]),
    ("duplicates", Kind::Duplicates, &["lasts", "share"]),
    ("late", Kind::Late, &["lasts", "share", "by"]),
    ("partial-failures", Kind::PartialFailures, &["lasts", "of", "share"]),
    ("store-stall", Kind::StoreStall, &["lasts"]),
    ("commit-fails", Kind::CommitFails, &[]),
    ("clock-jump", Kind::ClockJump, &["by", "back"]),
    ("flood", Kind::Flood, &["lasts", "of", "tenant", "per_s"]),
    ("poison", Kind::Poison, &["of"]),
    ("redrive", Kind::Redrive, &[]),
    ("discard", Kind::Discard, &[]),
    ("leak", Kind::Leak, &["lasts", "of", "leak"]),
];

/// The kind of a fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KindWord(Kind);

schema!(KindWord, "FaultKind", {
    "enum": [
        "crash", "slow", "failing", "refusing", "duplicates", "late", "partial-failures", "store-stall",
        "commit-fails", "clock-jump", "flood", "poison", "redrive", "discard", "leak"
    ]
});

impl Shape for KindWord {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        word(value, &KINDS.map(|(name, kind, _)| (name, kind)), reader).map(KindWord)
    }
}

/// A fault as it is meant.
#[derive(Debug, Clone)]
pub(crate) struct FaultValue(Fault);

impl JsonSchema for FaultValue {
    fn schema_name() -> Cow<'static, str> {
        "Fault".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        FaultTable::json_schema(generator)
    }
}

impl Shape for FaultValue {
    fn read(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        let before = reader.found_so_far();
        let table = FaultTable::read(value, reader)?;
        let Need(Some(KindWord(kind))) = table.kind else { return None };
        let (name, _, takes) = KINDS.iter().find(|(_, of, _)| *of == kind)?;
        let strange = strange_keys(&table, takes);
        if !strange.is_empty() {
            let message = format!("{} has no meaning in a fault of kind {name:?}", strange.join(", "));
            reader.bad(value, message, "remove it, or write another fault of its own");
        }
        if let Some(factor) = table.factor.filter(|factor| factor.0 < 1.0) {
            let message = format!("`factor` is {}; it must be 1 to 1000000", factor.0);
            reader.bad(value, message, "write how many times as long calls take");
        }
        let when = match (table.at, table.mean) {
            (Some(at), None) => Some(When::At(at.0)),
            (None, Some(mean)) => Some(When::Mean(mean.0)),
            _ => {
                let message = "a fault has one of `at` and `mean`".to_string();
                reader.bad(value, message, "write `at = \"5m\"`, or `mean = \"10m\"` for again and again");
                None
            }
        };
        if reader.found_so_far() > before {
            return None;
        }
        let lasts = table.lasts.map_or(kind.lasts(), |lasts| lasts.0);
        Some(FaultValue(Fault { when: when?, lasts, what: what(kind, table) }))
    }
}

impl Kind {
    /// How long it lasts where the file does not say.
    const fn lasts(self) -> Span {
        match self {
            Kind::Crash => Span::from_secs(1),
            Kind::StoreStall => Span::from_secs(5),
            Kind::CommitFails | Kind::ClockJump | Kind::Poison | Kind::Redrive | Kind::Discard => Span::ZERO,
            _ => Span::from_secs(30),
        }
    }
}

fn what(kind: Kind, table: FaultTable) -> What {
    let of = table.of.map(|of| of.0);
    let share = |default: f64| table.share.map_or(default, |share| share.0);
    let by = |default: Span| table.by.map_or(default, |by| by.0);
    match kind {
        Kind::Crash => What::Crash,
        Kind::Slow => What::Slow { of, factor: table.factor.map_or(10.0, |factor| factor.0) },
        Kind::Failing => What::Failing { of, share: share(1.0) },
        Kind::Refusing => What::Refusing { of },
        Kind::Duplicates => What::Duplicates { share: share(0.1) },
        Kind::Late => What::Late { share: share(0.1), by: by(Span::from_secs(5)) },
        Kind::PartialFailures => What::PartialFailures { of, share: share(0.1) },
        Kind::StoreStall => What::StoreStall,
        Kind::CommitFails => What::CommitFails,
        Kind::ClockJump => {
            What::ClockJump { by: by(Span::from_secs(60)), back: table.back.is_some_and(|flag| flag.0) }
        }
        Kind::Flood => What::Flood {
            of,
            tenant: table.tenant.map(|tenant| tenant.0),
            per_s: table.per_s.map_or(100.0, |rate| rate.0),
        },
        Kind::Poison => What::Poison { of },
        Kind::Redrive => What::Redrive,
        Kind::Discard => What::Discard,
        #[expect(clippy::cast_precision_loss, reason = "at most 2^40")]
        Kind::Leak => What::Leak { of, mb: table.leak.map_or(10.0, |bytes| bytes.0 as f64 / 1_048_576.0) },
    }
}

/// Keys that are there and that the kind does not take.
fn strange_keys(table: &FaultTable, takes: &[&str]) -> Vec<String> {
    let has = [
        ("lasts", table.lasts.is_some()),
        ("of", table.of.is_some()),
        ("share", table.share.is_some()),
        ("factor", table.factor.is_some()),
        ("by", table.by.is_some()),
        ("back", table.back.is_some()),
        ("per_s", table.per_s.is_some()),
        ("tenant", table.tenant.is_some()),
        ("leak", table.leak.is_some()),
    ];
    let strange = has.into_iter().filter(|(key, has)| *has && !takes.contains(key));
    strange.map(|(key, _)| format!("`{key}`")).collect()
}

/// Reads a file of faults. `file_name` is only for messages.
///
/// # Errors
/// Everything that is wrong, in the order of the file; at most [`crate::DIAGNOSTICS_MAX`], with how many more. A text
/// of more than [`crate::FILE_BYTES_MAX`] bytes is not looked at.
pub fn read(file_name: &str, text: &str) -> Result<Faults, Diagnostics> {
    let help = "a file of faults says little";
    let Parsed { mut reader, sources, broken, root } = file::parse(file_name, text, help)?;
    let file = File::read(&root, &mut reader).unwrap_or_default();
    let faults: Vec<Fault> = file.faults.unwrap_or_default().into_iter().map(|fault| fault.0).collect();
    check(&faults, &sources, &mut reader);
    if broken {
        reader.forget_what_follows_from_syntax(&sources);
    }
    match reader.is_empty() {
        true => Ok(Faults { faults }),
        false => Err(reader.finish(&sources)),
    }
}

fn check(faults: &[Fault], sources: &SourceMap, reader: &mut Reader) {
    let place = ["fault".to_string()];
    let mut wrong = |code, message: String, help: &str| {
        reader.add_at(code, &place, sources, message, help.into());
    };
    if faults.len() > FAULTS_MAX {
        let message = format!("there are {} of `fault`; at most {FAULTS_MAX} are read", faults.len());
        wrong(Code::TooLarge, message, "write what comes again and again once, with `mean`");
    }
    if faults.is_empty() && !sources.has(&["fault"]) {
        wrong(Code::MissingKey, "no fault is stated".into(), "add a table [[fault]] with `kind`");
    }
}

/// The JSON Schema of a file of faults, for editors.
pub fn json_schema() -> serde_json::Value {
    file::shape::schema_of::<File>()
}
