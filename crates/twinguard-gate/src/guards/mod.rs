//! Stateful guards: what one command after another may do.
//!
//! A guard is asked before a command passes and told afterwards; a command that is refused anywhere leaves no trace in any
//! of them. A new guard is one file and one line of [`REGISTRY`]. All memory is bounded and nothing allocates when asked.
//!
//! | kind | refuses | keys of `[[guard]]` |
//! |---|---|---|
//! | `rate` | more than `most` commands in a burst, `most` per `period_s` on average | `signals`, `most`, `period_s` |
//! | `sequence` | a command before those of `when` were given, in this order, each within `within_s` of the one before | `signals`, `when`, `within_s` |
//! | `interlock` | a command while all of `when` hold, or cannot be told | `signals`, `when`, `range` |
//! | `select` | an operation that its sender has not selected within `within_s` | `signals`, `within_s` |
//! | `maintenance` | a command in `windows` by anybody without one of `roles` | `signals`, `windows`, `roles` |
//! | `travel` | more than `most` of movement, added up, per `period_s` | `signals`, `most`, `period_s` |
//! | `energy` | more than `most` = ∫ gain · value dt per `period_s` | `signals`, `most`, `period_s`, `gain` |
//! | `cumulative` | small steps that together exceed `most` within `within_s` | `signals`, `most`, `within_s` |
//! | `freshness` | commands older than `within_s`, from the future, or whose sequence number was seen | `signals`, `within_s` |

mod budget;
mod cumulative;
mod freshness;
mod interlock;
mod maintenance;
mod rate;
mod select;
mod sequence;

use core::fmt::Debug;

use twinguard_types::{Catalogue, Principal, PrincipalId, SignalId, Timestamp};

use crate::Error;
use crate::policy::GuardSpec;

pub use rate::{Bucket, Rates};

/// A command as guards see it.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Now.
    pub now: Timestamp,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// What it sets.
    pub signal: SignalId,
    /// To which value.
    pub value: f64,
    /// Who asks.
    pub principal: &'a Principal,
    /// The same as a number.
    pub principal_id: PrincipalId,
    /// Its number in the sender's count, where the channel has one.
    pub sequence: Option<u64>,
    /// Whether it only selects, to operate later.
    pub select: bool,
    /// What a signal is now, by the twin.
    pub known: &'a dyn Fn(SignalId) -> Option<f64>,
}

impl Debug for Asked<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Asked")
            .field("now", &self.now)
            .field("signal", &self.signal)
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}

/// Why a guard refuses.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// Too many commands; another one in this many seconds.
    TooOften {
        /// Seconds.
        wait_s: f64,
    },
    /// Something else has to be commanded first.
    OutOfOrder {
        /// What.
        missing: SignalId,
    },
    /// The plant is in a state in which this is barred.
    Interlocked {
        /// The signal that says so.
        by: SignalId,
        /// Its value; `None`: not known, which bars it as well.
        value: Option<f64>,
    },
    /// It has not been selected, or by somebody else, or too long ago.
    NotSelected,
    /// People work there.
    Maintenance,
    /// The budget is used up.
    Spent {
        /// How much it would be.
        would: f64,
        /// How much may be.
        most: f64,
    },
    /// Small steps add up to too much.
    Crept {
        /// How far it would be from where it was.
        would: f64,
        /// How far it may be.
        most: f64,
    },
    /// It was sent too long ago.
    Stale {
        /// Seconds.
        age_s: f64,
    },
    /// It says it was sent in the future.
    Early {
        /// Seconds.
        ahead_s: f64,
    },
    /// It was seen before, or is too old to tell.
    Replayed,
    /// More senders than can be told apart.
    Crowded,
}

impl Refusal {
    /// In words, with the names of a catalogue.
    #[must_use]
    pub fn words(&self, catalogue: &Catalogue) -> String {
        match self {
            Self::TooOften { wait_s } => format!("too often; again in {wait_s:.1} s"),
            Self::OutOfOrder { missing } => {
                format!("`{}` has to be commanded first", catalogue.path(*missing))
            }
            Self::Interlocked { by, value: Some(value) } => {
                format!("barred while `{}` is {value}", catalogue.path(*by))
            }
            Self::Interlocked { by, value: None } => {
                format!("barred while nobody knows what `{}` is", catalogue.path(*by))
            }
            Self::NotSelected => "it has not been selected by this sender, or too long ago".to_owned(),
            Self::Maintenance => "people work there".to_owned(),
            Self::Spent { would, most } => format!("{would:.4} of {most} would be spent in this period"),
            Self::Crept { would, most } => {
                format!("with the steps before it would be {would:.4} away, of {most} that is allowed")
            }
            Self::Stale { age_s } => format!("it was sent {age_s:.1} s ago"),
            Self::Early { ahead_s } => format!("it says it was sent {ahead_s:.1} s from now"),
            Self::Replayed => "its number was seen before".to_owned(),
            Self::Crowded => "more senders than can be told apart".to_owned(),
        }
    }
}

/// What a guard remembers, in a form that can be stored.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Memory {
    /// Whole numbers: instants in nanoseconds, counts.
    pub whole: Vec<i64>,
    /// Numbers.
    pub real: Vec<f64>,
}

/// One stateful guard.
pub trait Guard: Debug + Send + Sync {
    /// Whether the command may pass, as far as this guard goes.
    ///
    /// # Errors
    /// Why not.
    fn check(&self, asked: &Asked<'_>) -> Result<(), Refusal>;
    /// The command passes.
    fn passed(&mut self, asked: &Asked<'_>);
    /// What it remembers.
    fn memory(&self) -> Memory;
    /// Goes on from what it remembered; false, and nothing changes, if that cannot be its own.
    fn recall(&mut self, memory: &Memory) -> bool;
}

type Build = fn(&GuardSpec) -> Box<dyn Guard>;

/// Every kind of guard: name, the keys that it needs, how it is made.
const REGISTRY: &[(&str, &[&str], Build)] = &[
    ("rate", &["most", "period_s"], rate::build),
    ("sequence", &["when", "within_s"], sequence::build),
    ("interlock", &["when"], interlock::build),
    ("select", &["within_s"], select::build),
    ("maintenance", &["windows"], maintenance::build),
    ("travel", &["most", "period_s"], budget::travel),
    ("energy", &["most", "period_s"], budget::energy),
    ("cumulative", &["most", "within_s"], cumulative::build),
    ("freshness", &["within_s"], freshness::build),
];

/// The names of all kinds.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    REGISTRY.iter().map(|(kind, ..)| *kind)
}

/// The first key that the guard's kind needs and that is absent.
pub(crate) fn missing(spec: &GuardSpec) -> Option<&'static str> {
    let needs = REGISTRY.iter().find(|(kind, ..)| *kind == spec.kind).map(|(_, needs, _)| *needs)?;
    let absent = |key: &&&str| match **key {
        "most" => spec.most.is_none(),
        "period_s" => spec.period.is_none(),
        "within_s" => spec.within.is_none(),
        "when" => spec.when.is_empty(),
        "windows" => spec.windows.is_empty(),
        _ => false,
    };
    let signals = spec.signals.is_empty().then_some("signals");
    signals.or_else(|| needs.iter().find(absent).copied())
}

/// The guards of a policy, found by signal.
#[derive(Debug, Default)]
pub struct Guards {
    guards: Vec<(GuardSpec, Box<dyn Guard>)>,
    /// Per signal, the guards that look at it.
    by_signal: Vec<Vec<u32>>,
}

impl Guards {
    /// Guards as specified, for the signals of a catalogue.
    ///
    /// # Errors
    /// [`Error::Guard`] for a kind that there is none of, or one that lacks what it needs.
    pub fn new(specs: &[GuardSpec], catalogue: &Catalogue) -> Result<Self, Error> {
        let mut by_signal = vec![Vec::new(); catalogue.len()];
        let mut guards = Vec::with_capacity(specs.len());
        for (index, spec) in specs.iter().enumerate() {
            let refuse = |reason: String| Error::Guard { guard: spec.name.clone(), reason };
            let Some((_, _, build)) = REGISTRY.iter().find(|(kind, ..)| *kind == spec.kind) else {
                return Err(refuse(format!("there is no kind `{}`", spec.kind)));
            };
            if let Some(key) = missing(spec) {
                return Err(refuse(format!("`{key}` is missing")));
            }
            // Guards of sequences learn from the commands that they wait for, too.
            let mut looks_at = spec.signals.clone();
            if spec.kind == "sequence" {
                looks_at.extend(spec.when.iter().map(|condition| condition.signal));
                looks_at.sort_unstable();
                looks_at.dedup();
            }
            for signal in looks_at {
                by_signal
                    .get_mut(signal.index())
                    .ok_or_else(|| Error::UnknownSignal { rule: spec.name.clone() })?
                    .push(index as u32);
            }
            guards.push((spec.clone(), build(spec)));
        }
        Ok(Self { guards, by_signal })
    }

    /// The first guard that refuses, by its place, and why.
    ///
    /// # Errors
    /// Both.
    pub fn check(&self, asked: &Asked<'_>) -> Result<(), (u32, Refusal)> {
        for index in self.of(asked.signal) {
            if let Some((spec, guard)) = self.guards.get(*index as usize)
                && is_asked(spec, asked)
            {
                guard.check(asked).map_err(|refusal| (*index, refusal))?;
            }
        }
        Ok(())
    }

    /// A command passes.
    pub fn passed(&mut self, asked: &Asked<'_>) {
        for index in self.by_signal.get(asked.signal.index()).map(Vec::as_slice).unwrap_or_default() {
            if let Some((spec, guard)) = self.guards.get_mut(*index as usize)
                && is_asked(spec, asked)
            {
                guard.passed(asked);
            }
        }
    }

    /// The name of a guard by its place.
    #[must_use]
    pub fn name(&self, index: u32) -> &str {
        self.guards.get(index as usize).map_or("", |(spec, _)| spec.name.as_str())
    }

    /// What all remember, in their order.
    #[must_use]
    pub fn memory(&self) -> Vec<Memory> {
        self.guards.iter().map(|(_, guard)| guard.memory()).collect()
    }

    /// Goes on from what the same guards remembered.
    ///
    /// # Errors
    /// [`Error::State`] for the memory of others.
    pub fn recall(&mut self, memory: &[Memory]) -> Result<(), Error> {
        let whole = memory.len() == self.guards.len()
            && self.guards.iter_mut().zip(memory).all(|((_, guard), memory)| guard.recall(memory));
        if whole { Ok(()) } else { Err(Error::State { reason: "it is of a gate with other guards" }) }
    }

    fn of(&self, signal: SignalId) -> &[u32] {
        self.by_signal.get(signal.index()).map(Vec::as_slice).unwrap_or_default()
    }
}

/// A selection moves nothing: the operation that follows is asked of every guard.
fn is_asked(spec: &GuardSpec, asked: &Asked<'_>) -> bool {
    !asked.select || spec.kind == "select"
}

/// Whether a guard looks at the command's value at all.
fn concerns(spec: &GuardSpec, asked: &Asked<'_>) -> bool {
    spec.signals.binary_search(&asked.signal).is_ok()
        && spec.range.is_none_or(|range| range.contains(asked.value))
}
