//! A view on one APDU: control information and the ASDU behind it (IEC 60870-5-104 §5).

use twinguard_types::{Oddity, Timestamp};

use crate::iec60870::{Asdu, Layout};
use crate::protocol::{Oddities, Sender};

/// First octet of every APDU (§5).
pub const START: u8 = 0x68;
/// Octets up to the end of the control field: start, length, four of control (§5).
pub const HEADER_LEN: usize = 6;
/// Least and most that the length field may say: the control field alone, 253 octets (§5).
pub const LENGTHS: core::ops::RangeInclusive<u8> = 4..=253;

/// A function of the unnumbered format (§5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Unnumbered {
    /// Data transfer is to start.
    StartActivation = 0x01,
    /// It starts.
    StartConfirmation = 0x02,
    /// Data transfer is to stop.
    StopActivation = 0x04,
    /// It stops.
    StopConfirmation = 0x08,
    /// The connection is tested.
    TestActivation = 0x10,
    /// It lives.
    TestConfirmation = 0x20,
}

impl Unnumbered {
    const ALL: [Self; 6] = [
        Self::StartActivation,
        Self::StartConfirmation,
        Self::StopActivation,
        Self::StopConfirmation,
        Self::TestActivation,
        Self::TestConfirmation,
    ];

    /// From the bits of the first control octet; `None` unless it is exactly one.
    pub(super) fn of(bits: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|function| *function as u8 == bits)
    }
}

/// The three formats of the control field (§5.1 to §5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// I: numbered information.
    Information {
        /// N(S).
        send: u16,
        /// N(R): all before it came.
        receive: u16,
    },
    /// S: numbered supervision.
    Supervisory {
        /// N(R).
        receive: u16,
    },
    /// U: unnumbered control; the six function bits, of which one is set.
    Unnumbered(u8),
}

/// A view on one APDU; shows any bytes that hold a control field.
///
/// ```
/// use twinguard_protocol::protocols::iec104::{Format, View};
/// use twinguard_types::Timestamp;
///
/// let view = View::new(&[0x68, 4, 0x43, 0, 0, 0], Timestamp::ZERO).unwrap();
/// assert_eq!(view.format(), Format::Unnumbered(0x10), "TESTFR act");
/// assert!(view.oddities().is_empty());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    format: Format,
    asdu: Option<Asdu<'a>>,
    pub(super) oddities: Oddities,
    pub(super) unacknowledged: u16,
}

impl<'a> View<'a> {
    /// Reads an APDU that came at `at`; `None` when it is shorter than its control field.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8], at: Timestamp) -> Option<Self> {
        let ([start, length, control @ ..], rest) = bytes.split_first_chunk::<HEADER_LEN>()?;
        let mut oddities = Oddities::NONE;
        if *start != START {
            oddities.push(Oddity::BadProtocolId, 0);
        }
        if usize::from(*length) + 2 != bytes.len() {
            oddities.push(Oddity::LengthMismatch, 1);
        }
        let [c1, c2, c3, c4] = *control;
        let number = |low: u8, high: u8| u16::from_le_bytes([low, high]) >> 1;
        let (format, mut asdu) = match c1 & 3 {
            0 | 2 => {
                // §5.1: the lowest bit of the third octet is 0.
                if c3 & 1 != 0 {
                    oddities.push(Oddity::BadValue, 4);
                }
                let format = Format::Information { send: number(c1, c2), receive: number(c3, c4) };
                (format, Asdu::new(rest, Layout::NET, at))
            }
            1 => {
                if c1 != 1 || c2 != 0 || c3 & 1 != 0 {
                    oddities.push(Oddity::BadValue, 2);
                }
                (Format::Supervisory { receive: number(c3, c4) }, None)
            }
            _ => {
                // §5.3: one function at a time, the other octets 0.
                if Unnumbered::of(c1 >> 2).is_none() || [c2, c3, c4] != [0; 3] {
                    oddities.push(Oddity::BadValue, 2);
                }
                (Format::Unnumbered(c1 >> 2), None)
            }
        };
        match (&mut asdu, format) {
            (Some(asdu), _) => asdu.check(HEADER_LEN, &mut oddities),
            (None, Format::Information { .. }) => oddities.push(Oddity::Truncated, bytes.len()),
            (None, _) if !rest.is_empty() => oddities.push(Oddity::TrailingBytes, HEADER_LEN),
            (None, _) => {}
        }
        Some(Self { bytes, format, asdu, oddities, unacknowledged: 0 })
    }

    /// All bytes of the message.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The control field.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The ASDU of numbered information, where its data unit identifier is whole.
    #[must_use]
    pub const fn asdu(&self) -> Option<&Asdu<'a>> {
        self.asdu.as_ref()
    }

    /// What is odd about it.
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }

    /// How many numbered messages of its sender the other end has not acknowledged, this one with them; the standard
    /// proposes that a sender stops at k = 12 (§5.5). 0 where the conversation is not known.
    #[must_use]
    pub const fn unacknowledged(&self) -> u16 {
        self.unacknowledged
    }

    /// Who sends such a message, if it is legal: [`Sender::Unknown`] when both ends could.
    pub(super) fn shape(&self) -> Option<Sender> {
        if !self.oddities.is_empty() {
            return None;
        }
        let Some(asdu) = &self.asdu else {
            return Some(match self.format {
                Format::Unnumbered(0x01 | 0x04) => Sender::Client,
                Format::Unnumbered(0x02 | 0x08) => Sender::Server,
                _ => Sender::Unknown,
            });
        };
        asdu.sender()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odd(bytes: &[u8]) -> Vec<(Oddity, u32)> {
        View::new(bytes, Timestamp::ZERO).unwrap().oddities().iter().collect()
    }

    #[test]
    fn control_fields() {
        let format = |bytes: &[u8]| View::new(bytes, Timestamp::ZERO).unwrap().format();
        assert_eq!(format(&[0x68, 4, 1, 0, 0x0c, 0x80]), Format::Supervisory { receive: 0x4006 });
        let spontaneous = [0x68, 14, 2, 0, 4, 0, 1, 1, 3, 0, 1, 0, 1, 0, 0, 1];
        assert_eq!(format(&spontaneous), Format::Information { send: 1, receive: 2 });
        assert_eq!(odd(&spontaneous), []);
        assert_eq!(odd(&[0x68, 4, 7, 0, 0, 0]), []);
        assert_eq!(odd(&[0x68, 4, 0x0f, 0, 0, 0]), [(Oddity::BadValue, 2)], "two functions");
        assert_eq!(odd(&[0x68, 4, 7, 0, 1, 0]), [(Oddity::BadValue, 2)]);
        assert_eq!(odd(&[0x68, 4, 5, 0, 0, 0]), [(Oddity::BadValue, 2)]);
        assert_eq!(odd(&[0x68, 5, 7, 0, 0, 0, 9]), [(Oddity::TrailingBytes, 6)]);
        assert_eq!(odd(&[0x69, 9, 7, 0, 0, 0]), [(Oddity::BadProtocolId, 0), (Oddity::LengthMismatch, 1)]);
        assert_eq!(odd(&[0x68, 5, 0, 0, 1, 0, 1]), [(Oddity::BadValue, 4), (Oddity::Truncated, 7)]);
        assert!(View::new(&[0x68, 4, 7, 0, 0], Timestamp::ZERO).is_none());
    }
}
