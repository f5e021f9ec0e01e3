//! Configuration frames: what the words of data frames mean.
//!
//! Source: IEEE C37.118.2-2011 §6.4 (CFG-1, CFG-2), table 9; §6.5 (CFG-3), table 12.

use super::view::{FrameType, View};
use crate::bytes::{be16, be32};
use crate::protocol::Address;

/// Streams whose configuration is kept; beyond it the oldest is forgotten.
pub const CONFIGS_MAX: usize = 128;
/// Bytes of a name in CFG-1 and CFG-2.
const NAME_LEN: usize = 16;

/// How the words of a unit are written (table 9, FORMAT).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format(pub u16);

impl Format {
    /// Phasors as magnitude and angle, else as real and imaginary part.
    #[must_use]
    pub const fn polar(self) -> bool {
        self.0 & 1 != 0
    }

    /// Phasors in floating point.
    #[must_use]
    pub const fn float_phasors(self) -> bool {
        self.0 & 2 != 0
    }

    /// Analog values in floating point.
    #[must_use]
    pub const fn float_analogs(self) -> bool {
        self.0 & 4 != 0
    }

    /// Frequency and its rate of change in floating point.
    #[must_use]
    pub const fn float_frequency(self) -> bool {
        self.0 & 8 != 0
    }
}

/// One unit of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unit {
    /// Its identifier.
    pub id: u16,
    /// How its words are written.
    pub format: Format,
    /// Number of phasors.
    pub phasors: u16,
    /// Number of analog values.
    pub analogs: u16,
    /// Number of digital words.
    pub digitals: u16,
    /// Nominal frequency in Hz: 50 or 60.
    pub nominal: f64,
    /// Number of the configuration.
    pub count: u16,
    /// Where its first factor lies among those of the stream.
    pub(super) factors: usize,
}

impl Unit {
    /// Bytes that it takes in a data frame (table 5).
    #[must_use]
    pub const fn size(&self) -> usize {
        let Format(format) = self.format;
        let phasor = if format & 2 != 0 { 8 } else { 4 };
        let analog = if format & 4 != 0 { 4 } else { 2 };
        let frequency = if format & 8 != 0 { 8 } else { 4 };
        2 + self.phasors as usize * phasor
            + frequency
            + self.analogs as usize * analog
            + self.digitals as usize * 2
    }
}

/// What is done to whole numbers: analogs are raw × scale + offset, magnitudes raw × scale, angles lose the offset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Factor {
    pub(super) scale: f64,
    pub(super) offset: f64,
}

/// The configuration of a stream.
#[derive(Debug, PartialEq)]
pub struct Config {
    source: Address,
    id: u16,
    /// The frame, to see whether a later one says the same.
    frame: Vec<u8>,
    /// Parts of a second.
    pub time_base: u32,
    /// Frames a second, or seconds a frame when negative (table 9, `DATA_RATE`).
    pub rate: i16,
    /// Its units.
    pub units: Vec<Unit>,
    pub(super) factors: Vec<Factor>,
    size: usize,
}

impl Config {
    /// Whether a data frame has the length that it says; other frames need no explanation.
    #[must_use]
    pub fn explains(&self, view: &View<'_>) -> bool {
        view.frame_type() != FrameType::Data || view.data().len() == self.size
    }
}

/// The configurations of all streams.
#[derive(Debug, Default)]
pub struct Shared {
    configs: Vec<Config>,
    next: usize,
}

/// The sender of a stream: its host, whatever the port.
fn host(address: Address) -> Address {
    match address {
        Address::Socket(mut socket) => {
            socket.set_port(0);
            Address::Socket(socket)
        }
        mac @ Address::Mac(_) => mac,
    }
}

impl Shared {
    /// Takes note of a configuration frame; one that cannot be read changes nothing.
    pub(super) fn learn(&mut self, source: Address, view: &View<'_>) {
        let source = host(source);
        let held = self.configs.iter().position(|held| held.source == source && held.id == view.id());
        let known = held.and_then(|place| self.configs.get(place));
        if known.is_some_and(|held| held.frame == view.data()) {
            return;
        }
        let Some((time_base, rate, units, factors)) = parse(view) else { return };
        let size = units.iter().map(Unit::size).sum();
        let frame = view.data().to_vec();
        let fresh = Config { source, id: view.id(), frame, time_base, rate, units, factors, size };
        if held.is_none() && self.configs.len() < CONFIGS_MAX {
            self.configs.push(fresh);
            return;
        }
        let place = held.unwrap_or_else(|| {
            self.next = (self.next + 1) % CONFIGS_MAX;
            self.next
        });
        if let Some(held) = self.configs.get_mut(place) {
            *held = fresh;
        }
    }

    /// The configuration of a stream.
    pub(super) fn find(&self, source: Address, id: u16) -> Option<&Config> {
        let source = host(source);
        self.configs.iter().find(|held| held.id == id && held.source == source)
    }
}

/// Reads from the front.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn word(&mut self) -> Option<u16> {
        be16(self.take(2)?, 0)
    }

    pub(super) fn long(&mut self) -> Option<u32> {
        be32(self.take(4)?, 0)
    }

    fn float(&mut self) -> Option<f64> {
        Some(f64::from(f32::from_bits(self.long()?)))
    }

    /// A name: 16 characters, in CFG-3 as many as its first byte says.
    pub(super) fn name(&mut self, third: bool) -> Option<&'a [u8]> {
        let len = if third { usize::from(*self.take(1)?.first()?) } else { NAME_LEN };
        self.take(len)
    }
}

type Parsed = (u32, i16, Vec<Unit>, Vec<Factor>);

fn parse(view: &View<'_>) -> Option<Parsed> {
    let third = view.frame_type() == FrameType::Config3;
    let mut reader = Reader(view.data());
    // §6.5: fragments of a CFG-3 are not put together.
    if third && reader.word()? != 0 {
        return None;
    }
    let time_base = reader.long()? & 0x00ff_ffff;
    let count = reader.word()?;
    let (mut units, mut factors) = (Vec::new(), Vec::new());
    for _ in 0..count {
        units.push(unit(&mut reader, third, &mut factors)?);
    }
    let rate = reader.word()?.cast_signed();
    (time_base > 0 && reader.0.is_empty()).then_some((time_base, rate, units, factors))
}

fn unit(reader: &mut Reader<'_>, third: bool, factors: &mut Vec<Factor>) -> Option<Unit> {
    reader.name(third)?;
    let id = reader.word()?;
    if third {
        reader.take(16)?; // G_PMU_ID
    }
    let format = Format(reader.word()?);
    let [phasors, analogs, digitals] = [reader.word()?, reader.word()?, reader.word()?];
    for _ in 0..u32::from(phasors) + u32::from(analogs) + 16 * u32::from(digitals) {
        reader.name(third)?;
    }
    let first = factors.len();
    for _ in 0..phasors {
        if third {
            // PHSCALE: flags, scale, angle adjustment in radians.
            reader.take(4)?;
            factors.push(Factor { scale: reader.float()?, offset: reader.float()? });
        } else {
            // PHUNIT: 10⁻⁵ volts or amperes a bit.
            let scale = f64::from(reader.long()? & 0x00ff_ffff) * 1e-5;
            factors.push(Factor { scale, offset: 0.0 });
        }
    }
    for _ in 0..analogs {
        if third {
            factors.push(Factor { scale: reader.float()?, offset: reader.float()? });
        } else {
            // ANUNIT: what a bit is worth is the user's to say.
            reader.long()?;
            factors.push(Factor { scale: 1.0, offset: 0.0 });
        }
    }
    reader.take(usize::from(digitals) * 4)?;
    if third {
        // Latitude, longitude, elevation, service class, window, group delay.
        reader.take(4 * 3 + 1 + 4 * 2)?;
    }
    // FNOM: bit 0 is 1 for 50 Hz.
    let nominal = if reader.word()? & 1 == 1 { 50.0 } else { 60.0 };
    Some(Unit { id, format, phasors, analogs, digitals, nominal, count: reader.word()?, factors: first })
}
