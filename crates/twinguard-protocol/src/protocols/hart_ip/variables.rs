//! Values of universal and common-practice commands.
//!
//! Source: HCF_SPEC-127 *Universal Command Specification* §6 (commands 1, 2, 3, 9, 15, 48), HCF_SPEC-151 *Common Practice
//! Command Specification* §7 (commands 33, 34, 35, 40, 79); HCF_SPEC-99 §8 (device status), HCF_SPEC-183 (unit codes).

use twinguard_types::{Quality, Timestamp};

use super::view::{Command, Commands, Device, View};
use super::{Place, Variable};
use crate::bytes::{be32, chunk};
use crate::protocol::{Access, Block, Data, Scalar};

/// Codes of the dynamic variables among device variables (HCF_SPEC-183 table 34).
pub(super) const RANGE: u8 = 244;
pub(super) const LOOP: u8 = 245;
pub(super) const PRIMARY: u8 = 246;

/// One value in the data of a command.
struct Found<'a> {
    variable: Variable,
    unit: Option<u8>,
    raw: &'a [u8],
    /// Its own status, where it has one.
    status: Option<u8>,
}

impl<'a> Found<'a> {
    fn float(variable: Variable, unit: Option<u8>, data: &'a [u8], at: usize) -> Option<Self> {
        Some(Self { variable, unit, raw: data.get(at..at + 4)?, status: None })
    }
}

/// The value of this number in the data of a command.
fn nth<'a>(number: u16, answer: bool, data: &'a [u8], index: usize) -> Option<Found<'a>> {
    let unit = |at: usize| data.get(at).copied();
    let device = |code: u8| Variable::Device(code);
    match (number, index) {
        (1, 0) if answer => Found::float(device(PRIMARY), unit(0), data, 1),
        (2, 0) if answer => Found::float(device(LOOP), None, data, 0),
        (2, 1) if answer => Found::float(device(RANGE), None, data, 4),
        (3, 0) if answer => Found::float(device(LOOP), None, data, 0),
        (3, 1..=4) if answer => {
            let at = 4 + (index - 1) * 5;
            Found::float(device(PRIMARY + (index - 1) as u8), unit(at), data, at + 1)
        }
        // Extended status, then code, classification, unit, value, status for each.
        (9, 0..=7) if answer => {
            let at = 1 + index * 8;
            let found = Found::float(device(unit(at)?), unit(at + 2), data, at + 3)?;
            Some(Found { status: Some(unit(at + 7)?), ..found })
        }
        (33, 0..=3) if answer => {
            let at = index * 6;
            Found::float(device(unit(at)?), unit(at + 1), data, at + 2)
        }
        // Alarm selection, transfer function, unit, then upper, lower, damping.
        (15, 0) if answer => Found::float(Variable::Upper, unit(2), data, 3),
        (15, 1) if answer => Found::float(Variable::Lower, unit(2), data, 7),
        (15, 2) if answer => Found::float(Variable::Damping, None, data, 11),
        (48, _) if answer => Some(Found {
            variable: Variable::Status(u8::try_from(index).ok()?),
            unit: None,
            raw: data.get(index..=index)?,
            status: None,
        }),
        (34, 0) => Found::float(Variable::Damping, None, data, 0),
        (35, 0) => Found::float(Variable::Upper, unit(0), data, 1),
        (35, 1) => Found::float(Variable::Lower, unit(0), data, 5),
        (40, 0) => Found::float(device(LOOP), None, data, 0),
        // Variable, 0 for normal or 1 for fixed, unit, value, status.
        (79, 0) => Found::float(device(unit(0)?), unit(2), data, 3),
        _ => None,
    }
}

/// Whether a command tells the device to take its values.
const fn writes(number: u16) -> bool {
    matches!(number, 34 | 35 | 40 | 79)
}

/// The values of a message, command by command.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    commands: Commands<'a>,
    current: Option<Command<'a>>,
    index: usize,
    device: Device,
    now: Timestamp,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(view: &View<'a>, now: Timestamp) -> Self {
        let mut commands = view.commands();
        let current = commands.next();
        Self { commands, current, index: 0, device: view.device(), now }
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        loop {
            let Command { number, code, status, data } = self.current?;
            // HCF_SPEC-81 §5: with bit 7 the response code tells errors on the line, and no data follow.
            let index = self.index;
            self.index += 1;
            let answer = code.is_some();
            let found = match code {
                Some(0x80..) => None,
                _ => nth(number, answer, data, index),
            };
            let Some(Found { variable, unit, raw, status: own }) = found else {
                (self.current, self.index) = (self.commands.next(), 0);
                continue;
            };
            let place = Place { device: self.device, variable };
            let access = match (writes(number), answer) {
                (false, _) => Access::Read,
                (true, true) => Access::Echo,
                (true, false) => Access::Write,
            };
            let (value, absent) = match chunk(raw, 0) {
                Some(bytes) => {
                    let float = f32::from_be_bytes(*bytes);
                    (Scalar::Float(f64::from(float)), float.is_nan())
                }
                None => (Scalar::Unsigned(raw.first().copied().map_or(0, u64::from)), false),
            };
            let quality = match answer {
                _ if absent => Quality::Bad,
                true => quality(status, variable, own),
                false => Quality::Good,
            };
            let at = if number == 9 && index == 0 { time(data, self.now) } else { None };
            let block = Block::new(place.tag(), access, Data::Scalar { raw, value });
            return Some(Block { variant: unit.map_or(0, |unit| u32::from(unit) + 1), quality, at, ..block });
        }
    }
}

/// What device status and the variable's own status say (HCF_SPEC-99 §8.2, §8.3).
fn quality(status: u8, variable: Variable, own: Option<u8>) -> Quality {
    match own.map(|own| own >> 6) {
        Some(0) => return Quality::Bad,
        Some(1) => return Quality::Uncertain,   // poor accuracy
        Some(2) => return Quality::Substituted, // manual or fixed
        _ => {}
    }
    let limits = match variable {
        Variable::Device(PRIMARY) => 0x01,
        Variable::Device(LOOP | RANGE) => 0x0c, // fixed or saturated
        Variable::Device(_) => 0x02,
        _ => 0,
    };
    match (status & 0x80 != 0, variable) {
        (true, Variable::Device(_)) => Quality::Bad,
        _ if status & limits != 0 => Quality::Uncertain,
        _ => Quality::Good,
    }
}

/// When the first slot of command 9 was measured: 1/32 ms since midnight, at the day of the frame, where that lies
/// within ten minutes of it: most devices never had their clock set.
fn time(data: &[u8], now: Timestamp) -> Option<Timestamp> {
    const DAY: i64 = 86_400_000_000_000;
    let tail = data.len().checked_sub(4).filter(|behind| behind % 8 == 1 && *behind >= 9)?;
    let within = i64::from(be32(data, tail)?) * 31_250;
    let midnight = now.as_nanos() - now.as_nanos().rem_euclid(DAY);
    let candidates = [-DAY, 0, DAY].map(|day| midnight + day + within);
    candidates
        .into_iter()
        .find(|nanos| (nanos - now.as_nanos()).abs() < 600_000_000_000)
        .map(Timestamp::from_nanos)
}
