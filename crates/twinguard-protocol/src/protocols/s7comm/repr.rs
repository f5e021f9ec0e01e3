//! Legal messages: what cannot be built here, the protocol forbids.
//!
//! There is one judge of legality: a message is legal when its bytes, read by [`View`], show the same message and
//! nothing odd. Sources: as `view.rs`; RFC 1006 and ISO 8073 for what is around it.

use twinguard_types::Oddity;

use super::item::ANY;
use super::place::{Place, Unit};
use super::view::{PROTOCOL_ID, View, function, rosctr};
use crate::protocol::Sender;
use crate::protocols::cotp;

/// Longest message: what devices agree on at most.
pub const PDU_MAX: usize = 960;

/// Why a message is not legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Illegal {
    /// It is longer than [`PDU_MAX`].
    #[error("message is longer than 960 bytes")]
    TooLong,
    /// A field that is not allowed.
    #[error("field at byte {offset} is not legal: {oddity:?}")]
    Field {
        /// Where in the message.
        offset: u32,
        /// What is wrong with it.
        oddity: Oddity,
    },
}

/// A legal message.
///
/// ```
/// use twinguard_protocol::protocols::s7comm::{Repr, function, rosctr};
///
/// let setup = [function::SETUP, 0, 0, 1, 0, 1, 1, 0xe0];
/// let setup = Repr::new(rosctr::JOB, 7, 0, &setup, &[])?;
/// let mut bytes = Vec::new();
/// setup.emit(&mut bytes);
/// assert_eq!(bytes[..9], [3, 0, 0, 25, 2, 0xf0, 0x80, 0x32, 1]);
/// assert!(Repr::new(rosctr::JOB, 7, 0, &[function::READ, 3], &[]).is_err(), "three items and none there");
/// # Ok::<(), twinguard_protocol::protocols::s7comm::Illegal>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr<'a> {
    rosctr: u8,
    reference: u16,
    error: u16,
    parameters: &'a [u8],
    data: &'a [u8],
}

impl<'a> Repr<'a> {
    /// A message of these parts; the error counts for answers alone.
    ///
    /// # Errors
    /// [`Illegal`] when it is too long, or shows anything odd.
    pub fn new(
        rosctr: u8,
        reference: u16,
        error: u16,
        parameters: &'a [u8],
        data: &'a [u8],
    ) -> Result<Self, Illegal> {
        let error = if matches!(rosctr, rosctr::ACK | rosctr::ACK_DATA) { error } else { 0 };
        let repr = Self { rosctr, reference, error, parameters, data };
        if parameters.len() + data.len() + 12 > PDU_MAX {
            return Err(Illegal::TooLong);
        }
        let mut bytes = [0; PDU_MAX];
        let pdu = bytes.get(..repr.write(&mut bytes.clone())).map_or(0, <[u8]>::len);
        repr.write(&mut bytes);
        let view = View::new(bytes.get(..pdu).unwrap_or_default(), Sender::Unknown);
        match view.oddities().iter().next() {
            Some((oddity, offset)) => Err(Illegal::Field { offset, oddity }),
            None => Ok(repr),
        }
    }

    /// Appends its bytes with TPKT and COTP.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let mut bytes = [0; PDU_MAX];
        let len = self.write(&mut bytes);
        let data = bytes.get(..len).unwrap_or_default();
        let _ = cotp::Repr::Data { last: true, data }.emit(out);
    }

    fn write(&self, out: &mut [u8; PDU_MAX]) -> usize {
        let ([r1, r0], [c1, c0]) = (self.reference.to_be_bytes(), self.error.to_be_bytes());
        let [p1, p0] = (self.parameters.len() as u16).to_be_bytes();
        let [d1, d0] = (self.data.len() as u16).to_be_bytes();
        let head = [PROTOCOL_ID, self.rosctr, 0, 0, r1, r0, p1, p0, d1, d0, c1, c0];
        let answers = matches!(self.rosctr, rosctr::ACK | rosctr::ACK_DATA);
        let head = head.get(..if answers { 12 } else { 10 }).unwrap_or_default();
        let parts = head.iter().chain(self.parameters).chain(self.data);
        out.iter_mut().zip(parts).map(|(byte, part)| *byte = *part).count()
    }
}

impl<'a> TryFrom<&View<'a>> for Repr<'a> {
    type Error = Illegal;

    /// The same message, if it is legal.
    fn try_from(view: &View<'a>) -> Result<Self, Illegal> {
        match view.oddities().iter().next() {
            Some((oddity, offset)) => Err(Illegal::Field { offset, oddity }),
            None => Self::new(view.rosctr(), view.reference(), view.error(), view.parameters(), view.data()),
        }
    }
}

/// Appends a job that writes one value; `None` for a place that no item can name.
pub(super) fn write(reference: u16, place: Place, value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (transport, length, size, bits, address) = match place.unit {
        Unit::Bit => (1, 1, 3, 1, place.address),
        Unit::Byte => (2, value.len(), 4, value.len() * 8, place.address * 8),
        Unit::Word => (place.area, value.len() / 2, 9, value.len(), place.address),
    };
    let ([l1, l0], [d1, d0]) = (u16::try_from(length).ok()?.to_be_bytes(), place.block.to_be_bytes());
    let ([_, a2, a1, a0], [b1, b0]) = (address.to_be_bytes(), u16::try_from(bits).ok()?.to_be_bytes());
    let item = [function::WRITE, 1, 0x12, 10, ANY, transport, l1, l0, d1, d0, place.area, a2, a1, a0];
    let mut data = [0; 4 + crate::protocol::VALUE_MAX];
    let head = [0, size, b1, b0];
    let len = data.iter_mut().zip(head.iter().chain(value)).map(|(byte, part)| *byte = *part).count();
    if len < head.len() + value.len() {
        return None;
    }
    Repr::new(rosctr::JOB, reference, 0, &item, data.get(..len)?).ok()?.emit(out);
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::{Access, Block, Change, Context, Protocol, Write};
    use crate::protocols::s7comm::{S7comm, Session};

    fn written(tag: &str, change: Change) -> String {
        let tag = S7comm::parse_tag(tag).unwrap();
        let endpoint = twinguard_types::Endpoint::Any;
        let write = Write { family: S7comm::FAMILY, endpoint, tag, change };
        let mut bytes = Vec::new();
        S7comm::command(&write, 9, &mut bytes).unwrap();
        assert_eq!(S7comm::probe(&bytes), Some(Sender::Client));
        let (mut session, mut shared) = (Session::default(), ());
        let view = S7comm::decode(&mut session, &mut shared, &Context::of(Sender::Client), &bytes).unwrap();
        assert!(view.oddities().is_empty());
        let place = |point: crate::protocol::RawPoint<'_>| {
            assert_eq!(point.access, Access::Write);
            let place = core::fmt::from_fn(|f| S7comm::write_place(&point.tag, point.variant, f)).to_string();
            format!("{place}={}", point.raw)
        };
        S7comm::blocks(&view, None).flat_map(Block::points).map(place).collect()
    }

    #[test]
    fn commands_read_back_as_writes() {
        let words = |bytes: [u8; 8], len| Change::Words { bytes, len };
        assert_eq!(written("DB1.10", words([1, 2, 3, 4, 0, 0, 0, 0], 4)), "DB1.10.0:2x4=01020304");
        assert_eq!(written("M7.2", Change::Bit(true)), "M7.2:1x1=1");
        assert_eq!(written("Q7", Change::BitOf { bit: 2, state: false }), "Q7.2:1x1=0");
        assert_eq!(written("T5", words([0x25, 4, 0, 0, 0, 0, 0, 0], 2)), "T5:29x1=2504");
    }

    proptest! {
        #[test]
        fn emit_undoes_parse(kind in 0u8..9, reference: u16, error: u16, parameters in proptest::collection::vec(any::<u8>(), 0..40), data in proptest::collection::vec(any::<u8>(), 0..40)) {
            let Ok(repr) = Repr::new(kind, reference, error, &parameters, &data) else { return Ok(()) };
            let mut bytes = Vec::new();
            repr.emit(&mut bytes);
            let view = View::new(cotp::data(&bytes).unwrap(), Sender::Unknown);
            prop_assert_eq!(Repr::try_from(&view), Ok(repr));
        }

        #[test]
        fn lists_come_back(reference: u16, places in proptest::collection::vec((any::<u16>(), 0u32..0x1_0000, 1u8..9), 1..20)) {
            let mut parameters = vec![function::READ, places.len() as u8];
            for (block, address, length) in &places {
                let ([d1, d0], [_, a2, a1, a0]) = (block.to_be_bytes(), (address * 8).to_be_bytes());
                parameters.extend([0x12, 10, ANY, 2, 0, *length, d1, d0, 0x84, a2, a1, a0]);
            }
            let repr = Repr::new(rosctr::JOB, reference, 0, &parameters, &[]).unwrap();
            let (mut bytes, mut answer) = (Vec::new(), Vec::new());
            repr.emit(&mut bytes);
            let mut data = Vec::new();
            for (index, (.., length)) in places.iter().enumerate() {
                data.extend([0xff, 4, 0, length * 8]);
                data.extend((0..*length).map(|byte| byte ^ index as u8));
                if length % 2 == 1 && index + 1 < places.len() {
                    data.push(0);
                }
            }
            let count = [function::READ, places.len() as u8];
            Repr::new(rosctr::ACK_DATA, reference, 0, &count, &data).unwrap().emit(&mut answer);
            let (mut session, mut shared) = (Session::default(), ());
            let _ = S7comm::decode(&mut session, &mut shared, &Context::of(Sender::Client), &bytes).unwrap();
            let view = S7comm::decode(&mut session, &mut shared, &Context::of(Sender::Server), &answer).unwrap();
            let found: Vec<_> = S7comm::blocks(&view, None).map(|block| Place::of(&block.tag).unwrap()).collect();
            let wanted: Vec<_> = places.iter().map(|(block, address, _)| Place { area: 0x84, block: *block, unit: Unit::Byte, address: *address }).collect();
            prop_assert_eq!(found, wanted);
        }

        #[test]
        fn no_bytes_panic(pdu in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut pdu = pdu;
            if let Some(first) = pdu.first_mut() { *first = PROTOCOL_ID; }
            let view = View::new(&pdu, Sender::Unknown);
            let _ = S7comm::blocks(&view, None).count();
            S7comm::fields(&view, &mut |_, _| {});
        }
    }
}
