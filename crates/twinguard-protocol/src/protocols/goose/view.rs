//! One GOOSE message: its header on Ethernet or UDP, and its fields.
//!
//! Sources: IEC 61850-8-1 (2011) Annex A (`IECGoosePdu`), Annex C.2 (header on Ethernet); IEC 61850-90-5 §8.3 (session
//! header of routed messages), ISO 8602 (the transport header before it).

use twinguard_types::Oddity;

use crate::ber::{self, Reader};
use crate::bytes::be16;
use crate::iec61850::{Leaves, UtcTime};
use crate::protocol::Oddities;

/// Length of the header on Ethernet: APPID, length, two reserved words (Annex C.2).
pub const HEADER_LEN: usize = 8;
/// Bit of the first reserved word that tells a simulated message (Annex C.2).
pub const SIMULATED: u16 = 0x8000;
/// Beginning of a routed message: unit data of ISO 8602, session identifier of GOOSE (IEC 61850-90-5 §8.3.2).
pub const ROUTED: [u8; 3] = [0x01, 0x40, 0xa1];

/// Shows any bytes as a GOOSE message.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    app_id: u16,
    length: u16,
    simulated: bool,
    is_routed: bool,
    texts: [Option<&'a [u8]>; 3],
    time_allowed_to_live: Option<u32>,
    time: Option<UtcTime>,
    numbers: [Option<u32>; 4],
    simulation: Option<bool>,
    needs_commissioning: Option<bool>,
    data: &'a [u8],
    data_at: usize,
    pub(super) oddities: Oddities,
    /// Offsets of state number, sequence number, configuration revision.
    pub(super) places: [usize; 3],
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
            texts: [None; 3],
            time_allowed_to_live: None,
            time: None,
            numbers: [None; 4],
            simulation: None,
            needs_commissioning: None,
            data: &[],
            data_at: 0,
            oddities: Oddities::NONE,
            places: [0; 3],
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
        self.fields(inner);
        let wanted =
            [self.numbers[0], self.numbers[1], self.numbers[2], self.numbers[3], self.time_allowed_to_live];
        let complete =
            wanted.iter().all(Option::is_some) && self.texts[0].is_some() && self.texts[1].is_some();
        if !complete || self.time.is_none() {
            self.oddities.push(Oddity::Truncated, at);
        }
        self.values();
    }

    fn fields(&mut self, mut reader: Reader<'a>) {
        let mut last = 0;
        while let Some(element) = reader.next() {
            let element = match element {
                Ok(element) => element,
                Err(fault) => return self.oddities.push(fault.oddity, fault.at),
            };
            // A sequence: each field once, in order (X.690 §8.9).
            if element.tag & 0x1f < last {
                self.oddities.push(Oddity::BadValue, element.at);
            }
            last = (element.tag & 0x1f) + 1;
            let content = element.content;
            let number = || ber::unsigned(content).and_then(|number| u32::try_from(number).ok());
            let place = |slot: &mut Option<u32>, oddities: &mut Oddities| {
                *slot = number();
                if slot.is_none() {
                    oddities.push(Oddity::BadValue, element.at);
                }
            };
            let [state, sequence, revision, entries] = &mut self.numbers;
            let [state_at, sequence_at, revision_at] = &mut self.places;
            match element.tag {
                0x80 => self.texts[0] = Some(content),
                0x81 => place(&mut self.time_allowed_to_live, &mut self.oddities),
                0x82 => self.texts[1] = Some(content),
                0x83 => self.texts[2] = Some(content),
                0x84 => match <[u8; 8]>::try_from(content) {
                    Ok(bytes) => self.time = Some(UtcTime(bytes)),
                    Err(_) => self.oddities.push(Oddity::BadValue, element.at),
                },
                0x85 => {
                    *state_at = element.at;
                    place(state, &mut self.oddities);
                }
                0x86 => {
                    *sequence_at = element.at;
                    place(sequence, &mut self.oddities);
                }
                0x87 => self.simulation = content.last().map(|byte| *byte != 0),
                0x88 => {
                    *revision_at = element.at;
                    place(revision, &mut self.oddities);
                }
                0x89 => self.needs_commissioning = content.last().map(|byte| *byte != 0),
                0x8a => place(entries, &mut self.oddities),
                0xab => (self.data, self.data_at) = (content, element.at),
                // Security, reserved for a digital signature.
                0x8c | 0xac => {}
                _ => self.oddities.push(Oddity::BadValue, element.at),
            }
        }
    }

    /// The values are as many as the message says, and whole.
    fn values(&mut self) {
        let (mut reader, mut count) = (Reader::new(self.data, self.data_at), 0);
        while let Some(Ok(_)) = reader.next() {
            count += 1;
        }
        if self.numbers[3].is_some_and(|told| told != count) {
            self.oddities.push(Oddity::BadQuantity, self.data_at);
        }
        let mut leaves = self.leaves();
        while leaves.next().is_some() {}
        if let Some((oddity, at)) = leaves.fault() {
            self.oddities.push(oddity, at);
        }
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
        self.simulated || self.simulation == Some(true)
    }

    /// The simulation field of the PDU (edition 1: test).
    #[must_use]
    pub const fn simulation(&self) -> Option<bool> {
        self.simulation
    }

    /// Reference of the control block, which names the publisher.
    #[must_use]
    pub const fn control_block(&self) -> Option<&'a [u8]> {
        self.texts[0]
    }

    /// Reference of the data set.
    #[must_use]
    pub const fn data_set(&self) -> Option<&'a [u8]> {
        self.texts[1]
    }

    /// Identifier given by the user.
    #[must_use]
    pub const fn id(&self) -> Option<&'a [u8]> {
        self.texts[2]
    }

    /// Milliseconds within which the next message comes.
    #[must_use]
    pub const fn time_allowed_to_live(&self) -> Option<u32> {
        self.time_allowed_to_live
    }

    /// When the state number last went up.
    #[must_use]
    pub const fn time(&self) -> Option<UtcTime> {
        self.time
    }

    /// State number: goes up with each change of a value.
    #[must_use]
    pub const fn state_number(&self) -> Option<u32> {
        self.numbers[0]
    }

    /// Sequence number: goes up with each message of one state.
    #[must_use]
    pub const fn sequence_number(&self) -> Option<u32> {
        self.numbers[1]
    }

    /// Revision of the data set.
    #[must_use]
    pub const fn revision(&self) -> Option<u32> {
        self.numbers[2]
    }

    /// Number of values that it says to carry.
    #[must_use]
    pub const fn entries(&self) -> Option<u32> {
        self.numbers[3]
    }

    /// Whether the publisher needs commissioning.
    #[must_use]
    pub const fn needs_commissioning(&self) -> Option<bool> {
        self.needs_commissioning
    }

    /// Its values, flattened.
    #[must_use]
    pub fn leaves(&self) -> Leaves<'a> {
        Leaves::new(self.data, self.data_at)
    }

    /// The bytes of its values.
    #[must_use]
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Where its values begin.
    pub(super) const fn data_at(&self) -> usize {
        self.data_at
    }

    /// What is odd about it by itself.
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }
}
