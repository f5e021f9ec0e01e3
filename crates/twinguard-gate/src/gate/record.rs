//! A verdict for the journal: at most 256 bytes, the same bytes for the same judgement.
//!
//! A CBOR array (RFC 8949) of 16 elements with everything in its shortest form (§4.2.1). Names are cut to 40 bytes; whoever
//! needs them whole has the plant file, which the digest names.

use twinguard_integrity::cbor::{Item, read, write};
use twinguard_types::{Command, CommandId, Decision, Digest, SignalId, Stage, Timestamp, Value};

use super::judge::{Code, Judgement};
use super::{Asking, Gate};
use crate::Error;
use crate::policy::Ruling;

/// Bytes of a name.
const NAME: usize = 40;
const ELEMENTS: usize = 16;
const VERSION: u64 = 1;

/// A verdict as the journal keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The command.
    pub command: CommandId,
    /// When it was decided.
    pub at: Timestamp,
    /// Its signal.
    pub signal: SignalId,
    /// The value that was asked for.
    pub asked: f64,
    /// What was decided.
    pub decision: Decision,
    /// Which part of the gate decided.
    pub stage: Stage,
    /// What it rests on.
    pub code: Code,
    /// Least margin to a limit in the what-if, with its signal.
    pub margin: Option<(SignalId, f64)>,
    /// Digest of the twin's state that the what-if started from.
    pub state: Option<Digest>,
    /// From when on the command must not be sent any more.
    pub expires: Option<Timestamp>,
    /// The break-glass capability that it passed by.
    pub glass: Option<u64>,
    /// The plant file's digest, its first 16 bytes.
    pub plant: [u8; 16],
    /// Who asked, cut to 40 bytes.
    pub principal: String,
    /// The rule or guard that decided, cut to 40 bytes.
    pub rule: String,
}

fn cut(name: &str) -> &str {
    let mut end = name.len().min(NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default()
}

const STAGES: [Stage; 5] = [Stage::Identity, Stage::Policy, Stage::Guard, Stage::WhatIf, Stage::Trust];

impl Gate {
    /// A judgement for the journal.
    #[must_use]
    pub fn record(
        &self,
        now: Timestamp,
        command: &Command,
        asking: &Asking<'_>,
        judgement: &Judgement,
    ) -> Record {
        let rule = match (judgement.guard, judgement.ruling) {
            (Some((guard, _)), _) => self.guards.name(guard),
            (None, Some(Ruling::Allowed(rule) | Ruling::Forbidden(rule))) => {
                self.policy.clauses().get(rule as usize).map_or("", |clause| clause.rule.name.as_str())
            }
            _ => "",
        };
        let mut plant = [0; 16];
        plant.iter_mut().zip(self.plant.0).for_each(|(to, from)| *to = from);
        Record {
            command: command.id,
            at: now,
            signal: command.signal,
            asked: command.value.as_f64(),
            decision: judgement.decision,
            stage: judgement.stage,
            code: judgement.code,
            margin: judgement.margin,
            state: judgement.state,
            expires: judgement.expires,
            glass: judgement.glass,
            plant,
            principal: cut(&asking.principal.name).to_owned(),
            rule: cut(rule).to_owned(),
        }
    }
}

impl Record {
    /// Its bytes, at most 256.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        let out = &mut bytes;
        let (kind, value) = match self.decision {
            Decision::Allow => (0, None),
            Decision::Clamp(value) => (1, Some(value.as_f64())),
            Decision::StepUp => (2, None),
            Decision::Hold => (3, None),
            Decision::Deny => (4, None),
        };
        let stage = STAGES.iter().position(|stage| *stage == self.stage).unwrap_or(STAGES.len());
        write::array(out, ELEMENTS);
        write::unsigned(out, VERSION);
        write::unsigned(out, self.command.0);
        write::integer(out, self.at.as_nanos());
        write::unsigned(out, u64::from(self.signal.0));
        write::number(out, self.asked);
        write::unsigned(out, kind);
        maybe(out, value, write::number);
        write::unsigned(out, stage as u64);
        write::unsigned(out, self.code as u64);
        maybe(out, self.margin, |out, (signal, least)| {
            write::array(out, 2);
            write::unsigned(out, u64::from(signal.0));
            write::number(out, least);
        });
        maybe(out, self.state.as_ref(), |out, state| write::bytes(out, &state.0));
        maybe(out, self.expires, |out, expires| write::integer(out, expires.as_nanos()));
        maybe(out, self.glass, write::unsigned);
        write::bytes(out, &self.plant);
        write::text(out, cut(&self.principal));
        write::text(out, cut(&self.rule));
        bytes
    }

    /// From bytes.
    ///
    /// # Errors
    /// [`Error::Record`] for anything but the whole of one record in its only form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let record = Self::read(&mut Reader(bytes)).filter(|record| record.to_bytes() == bytes);
        record.ok_or(Error::Record)
    }

    fn read(it: &mut Reader<'_>) -> Option<Self> {
        if it.next()? != Item::Array(ELEMENTS as u64) || it.unsigned()? != VERSION {
            return None;
        }
        let command = CommandId(it.unsigned()?);
        let at = Timestamp::from_nanos(it.integer()?);
        let signal = it.signal()?;
        let asked = it.number()?;
        let kind = it.unsigned()?;
        let decision = match (kind, it.maybe(Reader::number)?) {
            (0, None) => Decision::Allow,
            (1, Some(value)) => Decision::Clamp(Value::real(value).ok()?),
            (2, None) => Decision::StepUp,
            (3, None) => Decision::Hold,
            (4, None) => Decision::Deny,
            _ => return None,
        };
        let stage = *STAGES.get(usize::try_from(it.unsigned()?).ok()?)?;
        let code = *Code::ALL.get(usize::try_from(it.unsigned()?).ok()?)?;
        let margin = it.maybe(|it| {
            let pair = it.next()? == Item::Array(2);
            Some((pair.then(|| it.signal())??, it.number()?))
        })?;
        let state = it.maybe(|it| it.bytes()?.try_into().ok().map(Digest))?;
        let expires = it.maybe(Reader::integer)?.map(Timestamp::from_nanos);
        let glass = it.maybe(Reader::unsigned)?;
        let plant = it.bytes()?.try_into().ok()?;
        let principal = it.text()?.to_owned();
        let rule = it.text()?.to_owned();
        Some(Self {
            command,
            at,
            signal,
            asked,
            decision,
            stage,
            code,
            margin,
            state,
            expires,
            glass,
            plant,
            principal,
            rule,
        })
    }
}

fn maybe<T>(out: &mut Vec<u8>, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
    match value {
        Some(value) => write(out, value),
        None => write::null(out),
    }
}

/// Items that are what they should be.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<Item<'a>> {
        read(&mut self.0)
    }

    /// What is read, or null.
    fn maybe<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        let mut ahead = Self(self.0);
        if ahead.next()? == Item::Null {
            *self = ahead;
            return Some(None);
        }
        read(self).map(Some)
    }

    fn unsigned(&mut self) -> Option<u64> {
        match self.next()? {
            Item::Unsigned(value) => Some(value),
            _ => None,
        }
    }

    fn integer(&mut self) -> Option<i64> {
        match self.next()? {
            Item::Unsigned(value) => i64::try_from(value).ok(),
            Item::Negative(value) => Some(value),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<f64> {
        match self.next()? {
            Item::Number(value) => Some(value),
            _ => None,
        }
    }

    fn signal(&mut self) -> Option<SignalId> {
        self.unsigned().and_then(|id| u32::try_from(id).ok()).map(SignalId)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        match self.next()? {
            Item::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<&'a str> {
        match self.next()? {
            Item::Text(text) => Some(text),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(id: u64, number: f64, name: &str, full: bool) -> Record {
        Record {
            command: CommandId(id),
            at: Timestamp::from_nanos(i64::MIN),
            signal: SignalId(u32::MAX),
            asked: number,
            decision: Decision::Clamp(Value::real(-1.5).unwrap()),
            stage: Stage::WhatIf,
            code: Code::Crosses,
            margin: full.then_some((SignalId(u32::MAX), number)),
            state: full.then_some(Digest([255; 32])),
            expires: full.then_some(Timestamp::MAX),
            glass: full.then_some(u64::MAX),
            plant: [255; 16],
            principal: cut(name).to_owned(),
            rule: cut(name).to_owned(),
        }
    }

    #[test]
    fn the_largest_fits() {
        let largest = record(u64::MAX, 1.0, &"ü".repeat(500), true);
        let bytes = largest.to_bytes();
        assert!(bytes.len() <= 256, "{}", bytes.len());
        assert_eq!(Record::from_bytes(&bytes).unwrap(), largest);
        for at in 0..bytes.len() {
            assert!(Record::from_bytes(&bytes[..at]).is_err());
        }
        assert!(Record::from_bytes(&[bytes, vec![0]].concat()).is_err());
    }

    #[test]
    fn codes_are_their_numbers() {
        for (number, code) in Code::ALL.iter().enumerate() {
            assert_eq!(*code as usize, number);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(id: u64, number in -1e300..1e300f64, name in ".{0,60}", full: bool) {
            let written = record(id, number, &name, full);
            let bytes = written.to_bytes();
            prop_assert!(bytes.len() <= 256);
            prop_assert_eq!(Record::from_bytes(&bytes).unwrap(), written);
        }

        #[test]
        fn noise_is_refused_or_is_its_own_form(bytes: Vec<u8>) {
            if let Ok(record) = Record::from_bytes(&bytes) {
                prop_assert_eq!(record.to_bytes(), bytes);
            }
        }
    }
}
