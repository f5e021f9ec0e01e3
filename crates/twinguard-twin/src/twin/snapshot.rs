//! Saving and restoring a twin: versioned bytes, continued bit for bit.
//!
//! Form (little endian): `TWIN`, format u32, digest of the model (32 bytes), then the fields in the order of the code
//! below; lists begin with their length as u64; an absent number is one byte 0, a present one 1 and 8 bytes.

use twinguard_types::Timestamp;

use super::history::Saved;
use super::{MAX_PENDING, Pending, Twin};
use crate::Error;
use crate::setup::Place;

const MAGIC: [u8; 4] = *b"TWIN";
const FORMAT: u32 = 2;

struct Writer(Vec<u8>);

impl Writer {
    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    fn f64(&mut self, value: f64) {
        self.u64(value.to_bits());
    }
    fn bool(&mut self, value: bool) {
        self.0.push(u8::from(value));
    }
    fn time(&mut self, at: Timestamp) {
        self.u64(at.as_nanos() as u64);
    }
    fn list(&mut self, values: &[f64]) {
        self.u64(values.len() as u64);
        values.iter().for_each(|value| self.f64(*value));
    }
    fn options(&mut self, values: &[Option<f64>]) {
        self.u64(values.len() as u64);
        for value in values {
            self.bool(value.is_some());
            if let Some(value) = value {
                self.f64(*value);
            }
        }
    }
}

struct Reader<'a>(&'a [u8]);

const SHORT: Error = Error::Snapshot { reason: "it ends too early" };

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (first, rest) = self.0.split_first_chunk::<N>().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*first)
    }
    fn u64(&mut self) -> Result<u64, Error> {
        self.take().map(u64::from_le_bytes)
    }
    fn f64(&mut self) -> Result<f64, Error> {
        let value = f64::from_bits(self.u64()?);
        if value.is_finite() { Ok(value) } else { Err(Error::Snapshot { reason: "a number is not finite" }) }
    }
    fn bool(&mut self) -> Result<bool, Error> {
        match self.take::<1>()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Error::Snapshot { reason: "a flag is neither 0 nor 1" }),
        }
    }
    fn time(&mut self) -> Result<Timestamp, Error> {
        Ok(Timestamp::from_nanos(self.u64()? as i64))
    }
    fn length(&mut self, most: usize) -> Result<usize, Error> {
        let length = usize::try_from(self.u64()?).unwrap_or(usize::MAX);
        if length <= most { Ok(length) } else { Err(Error::Snapshot { reason: "a list is too long" }) }
    }
    fn list(&mut self, expected: usize) -> Result<Vec<f64>, Error> {
        let length = self.length(expected)?;
        if length != expected {
            return Err(Error::Snapshot { reason: "a list has another length than this plant needs" });
        }
        (0..length).map(|_| self.f64()).collect()
    }
    fn options(&mut self, expected: usize) -> Result<Vec<Option<f64>>, Error> {
        let length = self.length(expected)?;
        if length != expected {
            return Err(Error::Snapshot { reason: "a list has another length than this plant needs" });
        }
        (0..length).map(|_| if self.bool()? { self.f64().map(Some) } else { Ok(None) }).collect()
    }
}

impl Twin {
    /// Everything that a twin of the same plant needs to go on bit for bit, as versioned bytes.
    ///
    /// ```
    /// # use twinguard_twin::{Plant, Twin};
    /// # let plant = Plant::parse(include_str!("../../plants/cooling_loop.toml"), "cooling_loop.toml")?;
    /// let twin = Twin::new(&plant)?;
    /// let mut other = Twin::new(&plant)?;
    /// other.restore(&twin.snapshot())?;
    /// assert!(other.restore(b"TWIN?").is_err());
    /// # Ok::<(), twinguard_twin::Error>(())
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Writer(MAGIC.to_vec());
        out.0.extend_from_slice(&FORMAT.to_le_bytes());
        out.0.extend_from_slice(&self.setup.digest().0);
        out.bool(self.slot.is_some());
        out.time(self.slot.unwrap_or_default());
        out.time(self.start);
        for input in &self.inputs {
            out.f64(input.value);
            for flag in [input.excluded, input.known, input.commanded, input.changed] {
                out.bool(flag);
            }
            out.time(input.since);
            out.f64(input.sum);
        }
        out.list(&self.held);
        out.options(&self.measured);
        self.measured_at.iter().for_each(|at| out.time(*at));
        self.excluded.iter().for_each(|flag| out.bool(*flag));
        out.u64(self.pending.len() as u64);
        for Pending { place, at, value, command } in &self.pending {
            let (kind, index) = match place {
                Place::Output(index) => (false, *index),
                Place::Input(index) => (true, *index),
                Place::None => continue,
            };
            out.bool(kind);
            out.u64(index as u64);
            out.time(*at);
            out.f64(*value);
            out.bool(*command);
        }
        let counts = self.counts;
        for count in [counts.slots, counts.late, counts.unusable, counts.dropped, counts.restarts] {
            out.u64(count);
        }
        let kalman = self.engine.filter.kalman();
        let (u, d) = kalman.factors();
        for list in [kalman.mean(), u, d, &self.engine.process, &self.engine.unsure] {
            out.list(list);
        }
        out.u64(u64::from(self.engine.since_push));
        let (slots, saved, since_save) = self.history.parts();
        out.u64(slots.len() as u64);
        for index in slots {
            let slot = self.history.slot(index);
            out.time(slot.at);
            slot.held.iter().for_each(|value| out.f64(*value));
            out.options(slot.measured);
        }
        out.u64(saved.len() as u64);
        for Saved { at, mean, u, d, held } in saved {
            out.time(*at);
            for list in [mean, u, d, held] {
                out.list(list);
            }
        }
        out.u64(since_save as u64);
        let rows = self.engine.bank.rows();
        out.u64(rows.len() as u64);
        for (at, row) in rows {
            out.time(at);
            out.options(row);
        }
        self.engine.filter.linearised().into_iter().for_each(|list| out.list(list));
        out.0
    }

    /// Goes on where a twin of the same plant stood. On an error this twin stays as it is.
    ///
    /// # Errors
    /// [`Error::Snapshot`] for other bytes than [`snapshot`](Self::snapshot) writes, another format, or another model.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut input = Reader(bytes);
        // Made anew, not cloned: a clone has no more room than what it holds, and would grow while it runs.
        let mut twin = Self::of(self.setup.clone())?;
        if input.take::<4>()? != MAGIC {
            return Err(Error::Snapshot { reason: "it is not a twin's" });
        }
        if u32::from_le_bytes(input.take()?) != FORMAT {
            return Err(Error::Snapshot { reason: "its format is not known to this version" });
        }
        if input.take::<32>()? != self.setup.digest().0 {
            return Err(Error::Snapshot { reason: "it is of another model" });
        }
        let (running, slot) = (input.bool()?, input.time()?);
        twin.slot = running.then_some(slot);
        twin.start = input.time()?;
        for each in &mut twin.inputs {
            each.value = input.f64()?;
            each.excluded = input.bool()?;
            each.known = input.bool()?;
            each.commanded = input.bool()?;
            each.changed = input.bool()?;
            each.since = input.time()?;
            each.sum = input.f64()?;
        }
        let (inputs, outputs) = (twin.inputs.len(), twin.measured.len());
        twin.held = input.list(inputs)?;
        twin.measured = input.options(outputs)?;
        for at in &mut twin.measured_at {
            *at = input.time()?;
        }
        for flag in &mut twin.excluded {
            *flag = input.bool()?;
        }
        for _ in 0..input.length(MAX_PENDING)? {
            let (is_input, index) = (input.bool()?, input.u64()? as usize);
            if index >= if is_input { inputs } else { outputs } {
                return Err(Error::Snapshot { reason: "it names a signal that is not there" });
            }
            let place = if is_input { Place::Input(index) } else { Place::Output(index) };
            let (at, value, command) = (input.time()?, input.f64()?, input.bool()?);
            twin.pending.push_back(Pending { place, at, value, command });
        }
        let counts = &mut twin.counts;
        for count in [
            &mut counts.slots,
            &mut counts.late,
            &mut counts.unusable,
            &mut counts.dropped,
            &mut counts.restarts,
        ] {
            *count = input.u64()?;
        }
        let n = twin.engine.filter.kalman().order();
        let (mean, u, d) = (input.list(n)?, input.list(n * n)?, input.list(n)?);
        twin.engine.process = input.list(n * n)?;
        twin.engine.unsure = input.list(inputs)?;
        twin.engine.filter.set_process(&twin.engine.process)?;
        twin.engine.filter.kalman_mut().set_factors(&mean, &u, &d)?;
        twin.engine.since_push = u32::try_from(input.u64()?).map_err(|_| SHORT)?;
        for _ in 0..input.length(super::history::SLOTS)? {
            let at = input.time()?;
            let held = (0..inputs).map(|_| input.f64()).collect::<Result<Vec<_>, _>>()?;
            twin.history.push(at, &held, &input.options(outputs)?);
        }
        let mut saved = Vec::new();
        for _ in 0..input.length(super::history::SAVES)? {
            let at = input.time()?;
            let (mean, u, d) = (input.list(n)?, input.list(n * n)?, input.list(n)?);
            // A state that the filter would refuse later is refused now.
            twin.engine.filter.kalman().clone().set_factors(&mean, &u, &d)?;
            saved.push(Saved { at, mean, u, d, held: input.list(inputs)? });
        }
        twin.history.set_saved(saved, input.u64()? as usize);
        for _ in 0..input.length(crate::bank::WINDOW)? {
            let at = input.time()?;
            twin.engine.bank.push(at, &input.options(outputs)?);
        }
        let lengths = twin.engine.filter.linearised().map(<[f64]>::len);
        let mut linearised = Vec::with_capacity(lengths.len());
        for length in lengths {
            linearised.push(input.list(length)?);
        }
        if !input.0.is_empty() {
            return Err(Error::Snapshot { reason: "it goes on after its end" });
        }
        let at = twin.slot.map_or(twin.start, |slot| slot - twin.setup.step);
        twin.engine.refresh(&twin.setup, (at - twin.start).as_secs_f64(), &twin.held);
        for (held, list) in twin.engine.filter.linearised_mut().into_iter().zip(linearised) {
            *held = list;
        }
        *self = twin;
        Ok(())
    }
}
