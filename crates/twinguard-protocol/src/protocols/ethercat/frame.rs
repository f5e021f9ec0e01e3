//! Frames and datagrams (IEC 61158-4-12, ETG.1000.4: 5.3 frame structure, 5.4 datagram structure); little-endian.

use twinguard_types::Oddity;

use crate::protocol::{Cut, Oddities};

/// Bytes of the frame header: length, a reserved bit, type.
pub const HEADER_LEN: usize = 2;
/// Bytes of a datagram around its data: header, working counter.
pub const DATAGRAM_LEN: usize = 12;
/// The type of frames that carry datagrams (5.3).
pub(super) const COMMANDS: u8 = 1;
/// The register by which the master asks for a state (ETG.1000.6 table 9).
pub(super) const AL_CONTROL: u16 = 0x0120;
/// The most that a frame's length can say.
const LENGTH_MAX: usize = 0x7ff;

/// A datagram's command (5.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Command(pub u8);

impl Command {
    /// Does nothing.
    pub const NOP: Self = Self(0);
    /// Writes the memory of the slave with a station address.
    pub const FPWR: Self = Self(5);
    /// Writes logical memory.
    pub const LWR: Self = Self(11);
    /// Reads and writes logical memory.
    pub const LRW: Self = Self(12);

    /// Whether the standard defines it.
    #[must_use]
    pub const fn is_defined(self) -> bool {
        self.0 <= 14
    }

    /// Whether slaves put their values into the datagram.
    #[must_use]
    pub const fn reads(self) -> bool {
        matches!(self.0, 1 | 3 | 4 | 6 | 7 | 9 | 10 | 12 | 13 | 14)
    }

    /// Whether slaves take the datagram's values; of those that read one slave and write the others too.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self.0, 2 | 3 | 5 | 6 | 8 | 9 | 11 | 12 | 13 | 14)
    }

    /// How it addresses.
    #[must_use]
    pub const fn addressing(self) -> Addressing {
        match self.0 {
            1..=3 | 13 => Addressing::Position,
            4..=6 | 14 => Addressing::Station,
            7..=9 => Addressing::Broadcast,
            10..=12 => Addressing::Logical,
            _ => Addressing::None,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            0 => "NOP",
            1 => "APRD",
            2 => "APWR",
            3 => "APRW",
            4 => "FPRD",
            5 => "FPWR",
            6 => "FPRW",
            7 => "BRD",
            8 => "BWR",
            9 => "BRW",
            10 => "LRD",
            11 => "LWR",
            12 => "LRW",
            13 => "ARMW",
            14 => "FRMW",
            _ => "undefined",
        }
    }
}

/// How a command names what it is for (5.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Addressing {
    /// Not at all.
    None,
    /// The slave at a place in the ring.
    Position,
    /// The slave with a configured station address.
    Station,
    /// Every slave.
    Broadcast,
    /// The logical memory that all slaves share.
    Logical,
}

/// Neighbouring logical addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// The first.
    pub start: u32,
    /// The one behind the last.
    pub end: u32,
}

/// One datagram; borrows its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// What is to be done.
    pub command: Command,
    /// The master's number for it.
    pub index: u8,
    /// Slave and offset, or the logical address.
    pub address: u32,
    /// Whether it went round the ring more than once.
    pub circulating: bool,
    /// Event requests of the slaves, combined.
    pub events: u16,
    /// The values.
    pub data: &'a [u8],
    /// How many slaves took part; 0 as the master sends it.
    pub working_counter: u16,
}

impl<'a> Datagram<'a> {
    /// The first datagram of these bytes, whether a further one follows, and what lies behind it.
    fn split(bytes: &'a [u8]) -> Option<(Self, u16, &'a [u8])> {
        let ([command, index, a0, a1, a2, a3, l0, l1, e0, e1], rest) = bytes.split_first_chunk()?;
        let length = u16::from_le_bytes([*l0, *l1]);
        let (data, rest) = rest.split_at_checked(usize::from(length) & LENGTH_MAX)?;
        let (counter, rest) = rest.split_first_chunk()?;
        let datagram = Self {
            command: Command(*command),
            index: *index,
            address: u32::from_le_bytes([*a0, *a1, *a2, *a3]),
            circulating: length & 0x4000 != 0,
            events: u16::from_le_bytes([*e0, *e1]),
            data,
            working_counter: u16::from_le_bytes(*counter),
        };
        Some((datagram, length, rest))
    }

    /// The slave: its station address, or its place counted down from 0 (5.4.1.2).
    #[must_use]
    pub const fn slave(&self) -> u16 {
        self.address as u16
    }

    /// The offset in the slave's memory.
    #[must_use]
    pub const fn offset(&self) -> u16 {
        (self.address >> 16) as u16
    }

    /// Appends it; data beyond what the length can say are left out.
    pub(super) fn emit(&self, more: bool, out: &mut Vec<u8>) {
        let data = self.data.get(..LENGTH_MAX).unwrap_or(self.data);
        let flags = u16::from(more) << 15 | u16::from(self.circulating) << 14;
        out.extend_from_slice(&[self.command.0, self.index]);
        out.extend_from_slice(&self.address.to_le_bytes());
        out.extend_from_slice(&(data.len() as u16 | flags).to_le_bytes());
        out.extend_from_slice(&self.events.to_le_bytes());
        out.extend_from_slice(data);
        out.extend_from_slice(&self.working_counter.to_le_bytes());
    }
}

/// The datagrams of a frame, up to the first that is cut.
#[derive(Clone, Copy, Debug)]
pub struct Datagrams<'a> {
    rest: &'a [u8],
    more: bool,
}

impl<'a> Iterator for Datagrams<'a> {
    type Item = Datagram<'a>;

    #[inline]
    fn next(&mut self) -> Option<Datagram<'a>> {
        let (datagram, length, rest) = Datagram::split(self.rest).filter(|_| self.more)?;
        self.more = length & 0x8000 != 0;
        self.rest = rest;
        Some(datagram)
    }
}

/// Where the first frame ends; what follows in an Ethernet frame is padding.
#[inline]
pub(super) fn cut(bytes: &[u8]) -> Cut {
    match bytes {
        [l0, l1, ..] => {
            let header = u16::from_le_bytes([*l0, *l1]);
            let total = HEADER_LEN + usize::from(header) % (LENGTH_MAX + 1);
            if header >> 12 == 0 || total == HEADER_LEN {
                Cut::Foreign
            } else if bytes.len() < total {
                Cut::More(total)
            } else {
                Cut::Message(total)
            }
        }
        _ => Cut::More(HEADER_LEN),
    }
}

/// One frame; shows any bytes that hold a header.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    header: u16,
    body: &'a [u8],
    oddities: Oddities,
    returned: bool,
    outputs: &'a [Range],
}

impl<'a> View<'a> {
    /// The frame in these bytes; `None` when they hold no header.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (header, body) = bytes.split_first_chunk::<HEADER_LEN>()?;
        let header = u16::from_le_bytes(*header);
        let mut view = Self { header, body, oddities: Oddities::NONE, returned: false, outputs: &[] };
        match view.length() {
            length if length > body.len() => view.oddities.push(Oddity::Truncated, bytes.len()),
            length => view.body = body.get(..length).unwrap_or_default(),
        }
        if header & 0x0800 != 0 {
            view.oddities.push(Oddity::BadValue, 0);
        }
        match view.kind() {
            COMMANDS => view.check(),
            // Network variables, mailbox gateway (5.3).
            4 | 5 => {}
            _ => view.oddities.push(Oddity::BadProtocolId, 0),
        }
        Some(view)
    }

    /// The frame, with the outputs of its segment.
    pub(super) const fn with(self, outputs: &'a [Range]) -> Self {
        Self { outputs, ..self }
    }

    /// Flags that a setting in it found no room.
    pub(super) fn drop_setting(&mut self) {
        self.oddities.push(Oddity::Dropped, HEADER_LEN);
    }

    fn check(&mut self) {
        let (mut rest, mut more) = (self.body, true);
        while more {
            let at = HEADER_LEN + self.body.len() - rest.len();
            let Some((datagram, length, after)) = Datagram::split(rest) else {
                self.oddities.push(Oddity::Truncated, at);
                return;
            };
            if !datagram.command.is_defined() {
                self.oddities.push(Oddity::UnknownFunction, at);
            }
            if length & 0x3800 != 0 {
                self.oddities.push(Oddity::BadValue, at + 6);
            }
            if datagram.circulating {
                // 5.4.1: it ran past a break of the ring.
                self.oddities.push(Oddity::DuplicateTransaction, at + 6);
            }
            self.returned |= datagram.working_counter != 0;
            more = length & 0x8000 != 0;
            rest = after;
        }
        if !rest.is_empty() {
            self.oddities.push(Oddity::TrailingBytes, HEADER_LEN + self.body.len() - rest.len());
        }
    }

    /// Number of bytes behind the header.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.header as usize & LENGTH_MAX
    }

    /// What the frame carries: 1 datagrams, 4 network variables, 5 mailbox of a gateway.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        (self.header >> 12) as u8
    }

    /// The reserved bit.
    #[must_use]
    pub const fn reserved(&self) -> bool {
        self.header & 0x0800 != 0
    }

    /// Its datagrams.
    #[must_use]
    pub const fn datagrams(&self) -> Datagrams<'a> {
        Datagrams { rest: self.body, more: self.kind() == COMMANDS }
    }

    /// Whether any slave took part: the frame is on its way back to the master.
    #[must_use]
    pub const fn is_returned(&self) -> bool {
        self.returned
    }

    /// The logical addresses that slaves are known to take from the master.
    #[must_use]
    pub const fn outputs(&self) -> &'a [Range] {
        self.outputs
    }

    /// What is odd about it.
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A read of the AL status of station 0x1001, as every master sends it while slaves change their state.
    const STATUS: [u8; 16] = [0x0e, 0x10, 0x04, 0x21, 0x01, 0x10, 0x30, 0x01, 0x02, 0, 0, 0, 0, 0, 0, 0];

    #[test]
    fn a_frame_shows_its_datagrams() {
        let view = View::new(&STATUS).unwrap();
        assert!(view.oddities().is_empty() && !view.is_returned());
        let all: Vec<_> = view.datagrams().collect();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].command.name(), all[0].slave(), all[0].offset()), ("FPRD", 0x1001, 0x0130));
        assert_eq!(cut(&STATUS), Cut::Message(16));
        assert_eq!(cut(&STATUS[..9]), Cut::More(16));
        assert_eq!(cut(&[0; 46]), Cut::Foreign);
    }

    #[test]
    fn oddities_carry_their_place() {
        let check = |at: usize, value: u8, want: (Oddity, u32)| {
            let mut bytes = STATUS;
            bytes[at] = value;
            assert_eq!(View::new(&bytes).unwrap().oddities().iter().next(), Some(want), "{at}");
        };
        check(0, 0x0f, (Oddity::Truncated, 16));
        check(1, 0x18, (Oddity::BadValue, 0));
        check(1, 0x20, (Oddity::BadProtocolId, 0));
        check(2, 0x0f, (Oddity::UnknownFunction, 2));
        check(8, 0x03, (Oddity::Truncated, 2));
        check(8, 0x01, (Oddity::TrailingBytes, 15));
        check(9, 0x08, (Oddity::BadValue, 8));
        check(9, 0x40, (Oddity::DuplicateTransaction, 8));
        check(9, 0x80, (Oddity::Truncated, 16));
    }
}
