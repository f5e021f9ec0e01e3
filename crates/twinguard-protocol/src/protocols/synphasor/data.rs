//! Values in data frames.
//!
//! Source: IEEE C37.118.2-2011 §6.3, tables 5 (words), 6 (their meaning) and 4 (time quality).

use twinguard_types::{Quality, Timestamp};

use super::config::{Config, Factor, Reader, Unit};
use super::view::{FrameType, View};
use super::{Channel, Place};
use crate::protocol::{Access, Block, Data, Scalar};

/// What a unit's status word and the time quality of the frame say of its values (tables 6 and 4).
#[must_use]
pub const fn quality(status: u16, time: u8) -> Quality {
    match status >> 14 {
        // 01: error, no information; 11: error, do not use.
        1 | 3 => Quality::Bad,
        // 10: test mode or absent data tags; bit 13: not in sync with UTC; bit 9: modified afterwards.
        2 => Quality::Uncertain,
        // Table 4: up to 5 the clock is within 10 µs, a fifth of a degree; from 31 µs on a phasor is wrong by a percent.
        _ if status & 0x2200 != 0 || time & 0x0f > 5 => Quality::Uncertain,
        _ => Quality::Good,
    }
}

/// The values of a data frame, unit by unit.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    config: Option<&'a Config>,
    rest: &'a [u8],
    at: Option<Timestamp>,
    time: u8,
    stream: u16,
    unit: usize,
    /// Of the unit: status, phasors' parts, frequency, its rate, analogs, digitals, one after the other.
    step: u32,
    quality: Quality,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(view: &View<'a>) -> Self {
        let config =
            view.config.filter(|config| view.frame_type() == FrameType::Data && config.explains(view));
        let at = config.map(|config| {
            let nanos = u64::from(view.fraction()) * 1_000_000_000 / u64::from(config.time_base.max(1));
            Timestamp::from_nanos(i64::from(view.seconds()) * 1_000_000_000 + nanos as i64)
        });
        Self {
            config,
            rest: view.data(),
            at,
            time: view.time_quality(),
            stream: view.id(),
            unit: 0,
            step: 0,
            quality: Quality::Good,
        }
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        let config = self.config?;
        loop {
            let unit = config.units.get(self.unit)?;
            let Some((channel, index, len)) = channel(unit, self.step) else {
                (self.unit, self.step) = (self.unit + 1, 0);
                continue;
            };
            self.step += 1;
            let mut reader = Reader(self.rest);
            let raw = reader.take(len)?;
            self.rest = reader.0;
            if channel == Channel::Status {
                self.quality = quality(Reader(raw).word()?, self.time);
            }
            let place = Place { stream: self.stream, unit: unit.id, channel, index };
            let absent = is_absent(channel, raw, self.rest);
            let value =
                if absent { Scalar::Float(f64::NAN) } else { value(config, unit, channel, index, raw)? };
            let block = Block::new(place.tag(), Access::Read, Data::Scalar { raw, value });
            let quality = if absent { Quality::Bad } else { self.quality };
            return Some(Block { quality, at: self.at, ..block });
        }
    }
}

/// The channel at a step of a unit: which, its number, its bytes.
fn channel(unit: &Unit, step: u32) -> Option<(Channel, u32, usize)> {
    let Some(step) = step.checked_sub(1) else { return Some((Channel::Status, 0, 2)) };
    let parts = u32::from(unit.phasors) * 2;
    let Some(step) = step.checked_sub(parts) else {
        let channel = match (unit.format.polar(), step % 2) {
            (true, 0) => Channel::Magnitude,
            (true, _) => Channel::Angle,
            (false, 0) => Channel::Real,
            (false, _) => Channel::Imaginary,
        };
        return Some((channel, step / 2, if unit.format.float_phasors() { 4 } else { 2 }));
    };
    let frequency = if unit.format.float_frequency() { 4 } else { 2 };
    let step = match step {
        0 => return Some((Channel::Frequency, 0, frequency)),
        1 => return Some((Channel::Rocof, 0, frequency)),
        later => later - 2,
    };
    let Some(step) = step.checked_sub(u32::from(unit.analogs)) else {
        return Some((Channel::Analog, step, if unit.format.float_analogs() { 4 } else { 2 }));
    };
    (step < u32::from(unit.digitals)).then_some((Channel::Digital, step, 2))
}

/// §6.3.1: 0x8000 stands for an absent value; in a polar phasor the angle says so for both.
fn is_absent(channel: Channel, raw: &[u8], rest: &[u8]) -> bool {
    const ABSENT: [u8; 2] = [0x80, 0];
    match (channel, raw.len()) {
        (Channel::Magnitude, 2) => rest.starts_with(&ABSENT),
        (Channel::Angle | Channel::Real | Channel::Imaginary, 2) => raw == ABSENT,
        _ => false,
    }
}

/// The physical value of a word or a float (table 6).
fn value(config: &Config, unit: &Unit, channel: Channel, index: u32, raw: &[u8]) -> Option<Scalar<'static>> {
    let mut reader = Reader(raw);
    let factor = |behind: u32| {
        let place = unit.factors + behind as usize;
        config.factors.get(place).copied().unwrap_or(Factor { scale: 1.0, offset: 0.0 })
    };
    if raw.len() == 4 {
        return Some(Scalar::Float(f64::from(f32::from_bits(reader.long()?))));
    }
    let word = reader.word()?;
    let signed = f64::from(word.cast_signed());
    Some(match channel {
        Channel::Status | Channel::Digital => Scalar::Unsigned(u64::from(word)),
        Channel::Magnitude => Scalar::Float(f64::from(word) * factor(index).scale),
        Channel::Real | Channel::Imaginary => Scalar::Float(signed * factor(index).scale),
        // 10⁻⁴ radians.
        Channel::Angle => Scalar::Float(signed * 1e-4 - factor(index).offset),
        // Millihertz from nominal; hundredths of Hz/s.
        Channel::Frequency => Scalar::Float(unit.nominal + signed * 1e-3),
        Channel::Rocof => Scalar::Float(signed * 1e-2),
        Channel::Analog => {
            let Factor { scale, offset } = factor(u32::from(unit.phasors) + index);
            Scalar::Float(signed * scale + offset)
        }
    })
}
