//! A verdict for the journal: at most 256 bytes, the same bytes for the same judgement.
//!
//! A CBOR array (RFC 8949) of 16 elements with lengths and integers in their shortest form (§4.2.1) and all floats in 64
//! bits. Names are cut to 40 bytes; whoever needs them whole has the plant file, which the digest names.

use minicbor::{Decoder, Encoder};
use twinguard_types::{Command, CommandId, Decision, Digest, SignalId, Stage, Timestamp, Value};

use super::judge::{Code, Judgement};
use super::{Asking, Gate};
use crate::Error;
use crate::policy::Ruling;

/// Bytes of a name.
const NAME: usize = 40;
const ELEMENTS: u64 = 16;
const VERSION: u8 = 1;

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
        // Writing to memory does not fail.
        let _ = self.write(&mut bytes);
        bytes
    }

    fn write(&self, bytes: &mut Vec<u8>) -> Result<(), minicbor::encode::Error<core::convert::Infallible>> {
        let mut it = Encoder::new(bytes);
        let (kind, value) = match self.decision {
            Decision::Allow => (0u8, None),
            Decision::Clamp(value) => (1, Some(value.as_f64())),
            Decision::StepUp => (2, None),
            Decision::Hold => (3, None),
            Decision::Deny => (4, None),
        };
        let stage = STAGES.iter().position(|stage| *stage == self.stage).unwrap_or(STAGES.len());
        it.array(ELEMENTS)?.u8(VERSION)?.u64(self.command.0)?.i64(self.at.as_nanos())?;
        it.u32(self.signal.0)?.f64(self.asked)?.u8(kind)?;
        match value {
            Some(value) => it.f64(value)?,
            None => it.null()?,
        };
        it.u8(stage as u8)?.u8(self.code as u8)?;
        match self.margin {
            Some((signal, least)) => it.array(2)?.u32(signal.0)?.f64(least)?,
            None => it.null()?,
        };
        match &self.state {
            Some(state) => it.bytes(&state.0)?,
            None => it.null()?,
        };
        match self.expires {
            Some(expires) => it.i64(expires.as_nanos())?,
            None => it.null()?,
        };
        match self.glass {
            Some(glass) => it.u64(glass)?,
            None => it.null()?,
        };
        it.bytes(&self.plant)?.str(cut(&self.principal))?.str(cut(&self.rule))?;
        Ok(())
    }

    /// From bytes.
    ///
    /// # Errors
    /// [`Error::Record`] for anything but the whole of one record in its only form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let record = Self::read(&mut Decoder::new(bytes)).filter(|record| record.to_bytes() == bytes);
        record.ok_or(Error::Record)
    }

    fn read(it: &mut Decoder<'_>) -> Option<Self> {
        fn maybe<T>(
            it: &mut Decoder<'_>,
            read: impl FnOnce(&mut Decoder<'_>) -> Result<T, minicbor::decode::Error>,
        ) -> Option<Option<T>> {
            if it.datatype().ok()? == minicbor::data::Type::Null {
                it.null().ok()?;
                return Some(None);
            }
            read(it).ok().map(Some)
        }
        if it.array().ok()? != Some(ELEMENTS) || it.u8().ok()? != VERSION {
            return None;
        }
        let command = CommandId(it.u64().ok()?);
        let at = Timestamp::from_nanos(it.i64().ok()?);
        let signal = SignalId(it.u32().ok()?);
        let asked = it.f64().ok()?;
        let kind = it.u8().ok()?;
        let decision = match (kind, maybe(it, |it| it.f64())?) {
            (0, None) => Decision::Allow,
            (1, Some(value)) => Decision::Clamp(Value::real(value).ok()?),
            (2, None) => Decision::StepUp,
            (3, None) => Decision::Hold,
            (4, None) => Decision::Deny,
            _ => return None,
        };
        let stage = *STAGES.get(usize::from(it.u8().ok()?))?;
        let code = *Code::ALL.get(usize::from(it.u8().ok()?))?;
        let margin = maybe(it, |it| {
            it.array()?;
            Ok((SignalId(it.u32()?), it.f64()?))
        })?;
        let state = match maybe(it, |it| Ok(it.bytes()?.to_vec()))? {
            Some(bytes) => Some(Digest(bytes.try_into().ok()?)),
            None => None,
        };
        let expires = maybe(it, |it| it.i64())?.map(Timestamp::from_nanos);
        let glass = maybe(it, |it| it.u64())?;
        let plant = it.bytes().ok()?.try_into().ok()?;
        let principal = it.str().ok()?.to_owned();
        let rule = it.str().ok()?.to_owned();
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
