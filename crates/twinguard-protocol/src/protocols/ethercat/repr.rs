//! Legal frames: what cannot be built here, the standard forbids.

use twinguard_types::{Oddity, Value};

use super::Place;
use super::frame::{Command, DATAGRAM_LEN, Datagram, HEADER_LEN, View};
use crate::protocol::{Change, Write};

/// The most that an Ethernet frame carries behind its own header: frame header and datagrams.
pub const FRAME_MAX: usize = 1500;

/// Why a frame is not legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Illegal {
    /// It does not fit into an Ethernet frame.
    #[error("frame is longer than 1500 bytes")]
    TooLong,
    /// A field that the standard does not allow.
    #[error("frame at byte {offset} is not legal: {oddity:?}")]
    Field {
        /// Where in the frame.
        offset: u32,
        /// What is wrong with it.
        oddity: Oddity,
    },
    /// The place takes no such value.
    #[error("the place takes no such value")]
    Value,
}

/// A legal frame of datagrams.
///
/// ```
/// use twinguard_protocol::protocols::ethercat::{Command, Repr};
///
/// // Station 0x1001 is to become operational: AL control (0x0120) takes 8.
/// let frame = Repr::new(&[Repr::station(Command::FPWR, 0x1001, 0x0120, &[8, 0])])?;
/// assert_eq!(frame.emit(), [0x0e, 0x10, 5, 0, 0x01, 0x10, 0x20, 0x01, 2, 0, 0, 0, 8, 0, 0, 0]);
/// # Ok::<(), twinguard_protocol::protocols::ethercat::Illegal>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repr(Vec<u8>);

impl Repr {
    /// A frame of these datagrams, one at least.
    ///
    /// # Errors
    /// [`Illegal`] when the standard forbids it.
    pub fn new(datagrams: &[Datagram<'_>]) -> Result<Self, Illegal> {
        let length: usize = datagrams.iter().map(|datagram| DATAGRAM_LEN + datagram.data.len()).sum();
        if HEADER_LEN + length > FRAME_MAX {
            return Err(Illegal::TooLong);
        }
        let mut bytes = Vec::with_capacity(HEADER_LEN + length);
        bytes.extend_from_slice(&(0x1000 | length as u16).to_le_bytes());
        for (index, datagram) in datagrams.iter().enumerate() {
            datagram.emit(index + 1 < datagrams.len(), &mut bytes);
        }
        let odd = View::new(&bytes).and_then(|view| view.oddities().iter().next());
        match odd {
            Some((oddity, offset)) => Err(Illegal::Field { offset, oddity }),
            None => Ok(Self(bytes)),
        }
    }

    /// A datagram for the memory of one slave, as the master sends it.
    #[must_use]
    pub const fn station(command: Command, station: u16, offset: u16, data: &[u8]) -> Datagram<'_> {
        let address = (offset as u32) << 16 | station as u32;
        Datagram { command, index: 0, address, circulating: false, events: 0, data, working_counter: 0 }
    }

    /// A datagram for logical memory, as the master sends it.
    #[must_use]
    pub const fn logical(command: Command, address: u32, data: &[u8]) -> Datagram<'_> {
        Datagram { command, index: 0, address, circulating: false, events: 0, data, working_counter: 0 }
    }

    /// The frame that writes bytes to logical memory or to the memory of a station.
    ///
    /// # Errors
    /// [`Illegal::Value`] for other places and single bits.
    pub fn command(write: &Write<'_>, number: u8) -> Result<Self, Illegal> {
        let single;
        let data = match write.change {
            Change::Words { .. } => write.bytes(),
            Change::Scalar { value: Value::Integer(byte), .. } => {
                single = [u8::try_from(byte).map_err(|_| Illegal::Value)?];
                &single
            }
            _ => return Err(Illegal::Value),
        };
        let datagram = match Place::of(&write.tag) {
            Some(Place::Logical { address }) => Self::logical(Command::LWR, address, data),
            Some(Place::Station { station, offset }) => Self::station(Command::FPWR, station, offset, data),
            _ => return Err(Illegal::Value),
        };
        Self::new(&[Datagram { index: number, ..datagram }])
    }

    /// The bytes behind the Ethernet header, or in a UDP datagram.
    #[must_use]
    pub fn emit(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_emitted_reads_back(
            parts in prop::collection::vec(
                (0u8..15, any::<u8>(), any::<u32>(), any::<u16>(), prop::collection::vec(any::<u8>(), 0..40), any::<u16>()),
                1..6,
            ),
        ) {
            let datagrams: Vec<_> = parts
                .iter()
                .map(|(command, index, address, events, data, working_counter)| Datagram {
                    command: Command(*command),
                    index: *index,
                    address: *address,
                    circulating: false,
                    events: *events,
                    data,
                    working_counter: *working_counter,
                })
                .collect();
            let frame = Repr::new(&datagrams).unwrap();
            let view = View::new(frame.emit()).unwrap();
            prop_assert!(view.oddities().is_empty());
            prop_assert_eq!(view.datagrams().collect::<Vec<_>>(), datagrams);
        }
    }

    #[test]
    fn what_the_standard_forbids_cannot_be_built() {
        let long = [0; 1487];
        assert_eq!(Repr::new(&[Repr::logical(Command::LWR, 0, &long)]), Err(Illegal::TooLong));
        assert!(matches!(Repr::new(&[]), Err(Illegal::Field { .. })));
        assert!(matches!(Repr::new(&[Repr::logical(Command(15), 0, &[])]), Err(Illegal::Field { .. })));
    }
}
