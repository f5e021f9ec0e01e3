//! One GOOSE message: its header on Ethernet or UDP, and its fields.
//!
//! Sources: IEC 61850-8-1 (2011) Annex A (`IECGoosePdu`), Annex C.2 (header on Ethernet); IEC 61850-90-5 §8.3 (session
//! header of routed messages), ISO 8602 (the transport header before it).

use core::num::NonZeroU32;

use twinguard_types::Oddity;

use crate::ber::{self, Element, Reader};
use crate::bytes::be16;
use crate::iec61850::{Leaves, UtcTime};
use crate::protocol::Oddities;

/// Length of the header on Ethernet: APPID, length, two reserved words (Annex C.2).
pub const HEADER_LEN: usize = 8;
/// Bit of the first reserved word that tells a simulated message (Annex C.2).
pub const SIMULATED: u16 = 0x8000;
/// Beginning of a routed message: unit data of ISO 8602, session identifier of GOOSE (IEC 61850-90-5 §8.3.2).
pub const ROUTED: [u8; 3] = [0x01, 0x40, 0xa1];

/// The fields of `IECGoosePdu` by the numbers of their tags (Annex A).
pub(super) mod field {
    pub(crate) const CONTROL_BLOCK: usize = 0;
    pub(crate) const TIME_ALLOWED_TO_LIVE: usize = 1;
    pub(crate) const DATA_SET: usize = 2;
    pub(crate) const ID: usize = 3;
    pub(crate) const TIME: usize = 4;
    pub(crate) const STATE_NUMBER: usize = 5;
    pub(crate) const SEQUENCE_NUMBER: usize = 6;
    pub(crate) const SIMULATION: usize = 7;
    pub(crate) const REVISION: usize = 8;
    pub(crate) const NEEDS_COMMISSIONING: usize = 9;
    pub(crate) const ENTRIES: usize = 10;
    pub(crate) const DATA: usize = 11;
}

/// Shows any bytes as a GOOSE message.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    app_id: u16,
    length: u16,
    simulated: bool,
    is_routed: bool,
    /// Where the elements of the fields begin, by their numbers.
    fields: [Option<NonZeroU32>; 12],
    pub(super) oddities: Oddities,
}

impl<'a> View<'a> {
    /// A frame behind its EtherType; `None` when it is too short for the header.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (app_id, length, reserved) = (be16(bytes, 0)?, be16(bytes, 2)?, be16(bytes, 4)?);
        let mut view = Self::empty(bytes);
        (view.app_id, view.length, view.simulated) = (app_id, length, reserved & SIMULATED != 0);
        let told = usize::from(length);
        let end = if (HEADER_LEN..=bytes.len()).contains(&told) {
            told
        } else {
            view.oddities.push(Oddity::LengthMismatch, 2);
            bytes.len()
        };
        view.read(bytes.get(HEADER_LEN..end)?, HEADER_LEN);
        Some(view)
    }

    /// A datagram (IEC 61850-90-5); `None` when it is no routed GOOSE message. Of several messages in one datagram the
    /// first is shown.
    #[must_use]
    pub fn routed(bytes: &'a [u8]) -> Option<Self> {
        // Session identifier, its length, then the common header of that length (§8.3.2, table 6).
        bytes.strip_prefix(&ROUTED)?;
        let common = 3 + 1 + usize::from(*bytes.get(3)?);
        let payload = common + 4;
        let (kind, simulated) = (bytes.get(payload)?, bytes.get(payload + 1)?);
        let (app_id, length) = (be16(bytes, payload + 2)?, be16(bytes, payload + 4)?);
        if *kind != 0x81 {
            return None;
        }
        let mut view = Self::empty(bytes);
        (view.app_id, view.length, view.simulated, view.is_routed) = (app_id, length, *simulated != 0, true);
        let at = payload + 6;
        let rest = bytes.get(at..)?;
        let pdu = rest.get(..usize::from(length)).unwrap_or_else(|| {
            view.oddities.push(Oddity::LengthMismatch, payload + 4);
            rest
        });
        view.read(pdu, at);
        Some(view)
    }

    fn empty(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            app_id: 0,
            length: 0,
            simulated: false,
            is_routed: false,
            fields: [None; 12],
            oddities: Oddities::NONE,
        }
    }

    fn read(&mut self, pdu: &'a [u8], at: usize) {
        let mut outer = Reader::new(pdu, at);
        let inner = match outer.next() {
            Some(Ok(element)) if element.tag == 0x61 => {
                if !outer.is_empty() {
                    self.oddities.push(Oddity::TrailingBytes, outer.at());
                }
                element.inside()
            }
            Some(Ok(_)) => return self.oddities.push(Oddity::UnknownFunction, at),
            // A message that is cut short still tells its fields.
            Some(Err(fault)) => {
                self.oddities.push(fault.oddity, fault.at);
                let head = match pdu {
                    [0x61, len @ 0x80..=0xff, ..] => 2 + usize::from(len & 0x7f),
                    [0x61, ..] => 2,
                    _ => return,
                };
                Reader::new(pdu.get(head..).unwrap_or_default(), at + head)
            }
            None => return self.oddities.push(Oddity::Truncated, at),
        };
        self.find(inner);
        let wanted = [
            self.state_number(),
            self.sequence_number(),
            self.revision(),
            self.entries(),
            self.time_allowed_to_live(),
        ];
        let named = self.control_block().is_some() && self.data_set().is_some();
        if !wanted.iter().all(Option::is_some) || !named || self.time().is_none() {
            self.oddities.push(Oddity::Truncated, at);
        }
        self.values();
    }

    /// Takes note of where the fields lie.
    fn find(&mut self, mut reader: Reader<'a>) {
        let mut last = 0;
        loop {
            let start = NonZeroU32::new(reader.at() as u32);
            let element = match reader.next() {
                Some(Ok(element)) => element,
                Some(Err(fault)) => return self.oddities.push(fault.oddity, fault.at),
                None => return,
            };
            // A sequence: each field once, in order (X.690 §8.9).
            if element.tag & 0x1f < last {
                self.oddities.push(Oddity::BadValue, element.at);
            }
            last = (element.tag & 0x1f) + 1;
            let is_legal = match element.tag {
                0x80 | 0x82 | 0x83 | 0x87 | 0x89 | 0xab => true,
                0x81 | 0x85 | 0x86 | 0x88 | 0x8a => number(&element).is_some(),
                0x84 => element.content.len() == 8,
                // Security, reserved for a digital signature.
                0x8c | 0xac => continue,
                _ => {
                    self.oddities.push(Oddity::BadValue, element.at);
                    continue;
                }
            };
            if !is_legal {
                self.oddities.push(Oddity::BadValue, element.at);
            }
            // A time that is none leaves one before it.
            if (is_legal || element.tag != 0x84)
                && let Some(field) = self.fields.get_mut(element.number() as usize)
            {
                *field = start;
            }
        }
    }

    /// The values are as many as the message says, and whole.
    fn values(&mut self) {
        let (data, at) = (self.data(), self.place(field::DATA));
        let (mut reader, mut count) = (Reader::new(data, at), 0);
        while let Some(Ok(_)) = reader.next() {
            count += 1;
        }
        if self.entries().is_some_and(|told| told != count) {
            self.oddities.push(Oddity::BadQuantity, at);
        }
        let mut leaves = self.leaves();
        while leaves.next().is_some() {}
        if let Some((oddity, at)) = leaves.fault() {
            self.oddities.push(oddity, at);
        }
    }

    #[inline]
    fn field(&self, number: usize) -> Option<Element<'a>> {
        let at = self.fields.get(number).copied().flatten()?.get() as usize;
        Reader::new(self.bytes.get(at..)?, at).next()?.ok()
    }

    fn content(&self, number: usize) -> Option<&'a [u8]> {
        self.field(number).map(|field| field.content)
    }

    fn number(&self, field: usize) -> Option<u32> {
        number(&self.field(field)?)
    }

    fn state(&self, field: usize) -> Option<bool> {
        self.content(field)?.last().map(|byte| *byte != 0)
    }

    /// Where the content of a field begins; 0 where there is none.
    pub(super) fn place(&self, field: usize) -> usize {
        self.field(field).map_or(0, |field| field.at)
    }

    /// All bytes, padding included.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Application identifier.
    #[must_use]
    pub const fn app_id(&self) -> u16 {
        self.app_id
    }

    /// Length field: header and PDU, of a routed message the PDU alone.
    #[must_use]
    pub const fn length(&self) -> u16 {
        self.length
    }

    /// Whether it came over UDP.
    #[must_use]
    pub const fn is_routed(&self) -> bool {
        self.is_routed
    }

    /// Whether it says of itself, in the header or in the PDU, that it is simulated.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.simulated || self.simulation() == Some(true)
    }

    /// The simulation field of the PDU (edition 1: test).
    #[must_use]
    pub fn simulation(&self) -> Option<bool> {
        self.state(field::SIMULATION)
    }

    /// Reference of the control block, which names the publisher.
    #[must_use]
    pub fn control_block(&self) -> Option<&'a [u8]> {
        self.content(field::CONTROL_BLOCK)
    }

    /// Reference of the data set.
    #[must_use]
    pub fn data_set(&self) -> Option<&'a [u8]> {
        self.content(field::DATA_SET)
    }

    /// Identifier given by the user.
    #[must_use]
    pub fn id(&self) -> Option<&'a [u8]> {
        self.content(field::ID)
    }

    /// Milliseconds within which the next message comes.
    #[must_use]
    pub fn time_allowed_to_live(&self) -> Option<u32> {
        self.number(field::TIME_ALLOWED_TO_LIVE)
    }

    /// When the state number last went up.
    #[must_use]
    pub fn time(&self) -> Option<UtcTime> {
        self.content(field::TIME)?.try_into().ok().map(UtcTime)
    }

    /// State number: goes up with each change of a value.
    #[must_use]
    pub fn state_number(&self) -> Option<u32> {
        self.number(field::STATE_NUMBER)
    }

    /// Sequence number: goes up with each message of one state.
    #[must_use]
    pub fn sequence_number(&self) -> Option<u32> {
        self.number(field::SEQUENCE_NUMBER)
    }

    /// Revision of the data set.
    #[must_use]
    pub fn revision(&self) -> Option<u32> {
        self.number(field::REVISION)
    }

    /// Number of values that it says to carry.
    #[must_use]
    pub fn entries(&self) -> Option<u32> {
        self.number(field::ENTRIES)
    }

    /// Whether the publisher needs commissioning.
    #[must_use]
    pub fn needs_commissioning(&self) -> Option<bool> {
        self.state(field::NEEDS_COMMISSIONING)
    }

    /// Its values, flattened.
    #[must_use]
    pub fn leaves(&self) -> Leaves<'a> {
        self.field(field::DATA).map_or(Leaves::new(&[], 0), |data| Leaves::new(data.content, data.at))
    }

    /// The bytes of its values.
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        self.content(field::DATA).unwrap_or_default()
    }

    /// What is odd about it by itself.
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }
}

/// A number of 32 bits without a sign.
fn number(element: &Element<'_>) -> Option<u32> {
    ber::unsigned(element.content).and_then(|number| u32::try_from(number).ok())
}
